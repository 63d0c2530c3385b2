"""Withheld data, with real agents: demanded on chain, answered or not; and silence where nothing was withheld."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from web3.types import RPCEndpoint

from lockstep.agents.answerer import Answerer
from lockstep.agents.claimant import Claimant
from lockstep.agents.seeker import Seeker
from lockstep.agents.solver import Solver
from lockstep.agents.submitter import Submitter
from lockstep.agents.verifier import Verifier
from lockstep.agents.whistleblower import Whistleblower
from lockstep.chain.lockstep import PostedDemand, PostedTask
from lockstep.chain.types import DemandState, PieceKind, SlotState, TaskState
from lockstep.cli.demo import actors
from lockstep.cli.demo.acts import make_verifier
from lockstep.cli.demo.stage import Stage
from lockstep.economics.setting import ON_PUBLIC_CHAIN
from lockstep.storage.store import ArtifactStore
from tests.e2e.chain_histories import predicted

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]

LATE = 60
"""Seconds before its deadline that a late answer comes."""


class HoardingSolver(Solver):
    """Keeps what it makes, its list of checkpoints included, in a store of its own."""

    def __init__(self, *arguments: Any, hoard: Path, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.hoard = ArtifactStore(str(hoard))

    def _solve(self, posted: PostedTask) -> bool:
        if self.hoard is not self.store:
            shutil.copytree(self.store.url, self.hoard.url, dirs_exist_ok=True)
        self.store = self.hoard
        return super()._solve(posted)

    def _collect(self, posted: PostedTask) -> bool:
        """Leaves lots alone: they would blur what demands bring."""
        return False


class LateAnswerer(Answerer):
    """Answers in the last minute of the first demand that is open."""

    is_late = False

    def turn(self) -> bool:
        """Let time pass as far as the first open demand allows; a tick would not see it pass."""
        chain = self.lockstep
        for task in self.tasks():
            demands = chain.demands(task.terms.id)
            due = [each.deadline for each in demands if chain.demand(each.id).state == DemandState.OPEN]
            wait = min(due, default=0) - chain.now() - LATE
            self.is_late = bool(due)
            if wait > 0:
                chain.client.web3.provider.make_request(RPCEndpoint("evm_increaseTime"), [wait])
                chain.client.mine()
        return super().turn()

    def answers(self, posted: PostedTask, demand: PostedDemand) -> bool:
        """Once time is almost up for the first."""
        return self.is_late


class SilentAnswerer(Answerer):
    """Answers nothing."""

    def answers(self, posted: PostedTask, demand: PostedDemand) -> bool:
        """It does not."""
        return False


class BeatenSeeker(Seeker):
    """Somebody else demands everything just before this one does."""

    def __init__(self, party: Claimant, friend: Claimant) -> None:
        super().__init__(party)
        self.friend = Seeker(friend)

    def seek(self, posted: PostedTask, segment: int) -> bool:
        """After the friend."""
        beaten = self.friend.seek(posted, segment)
        time.sleep(1.1)  # within a tick the chain is looked at once a second
        return super().seek(posted, segment) or beaten


class Hoard:
    """A task whose solver keeps its work to itself, all of it audited by one verifier."""

    def __init__(
        self, stage: Stage, folder: Path, prefix: str, answerer: type[Answerer], verifier: type[Verifier] = Verifier
    ) -> None:
        self.world, self.prefix = stage.world, prefix
        submitter = self.world.agent(Submitter, f"{prefix} submitter")
        escrowed_from = self.world.parties[f"{prefix} submitter"].worth
        self.posted = stage.submit(submitter, "mlp", stage.order(prefix, 4, 2))
        self.task = self.posted.terms.id
        # A claim more than there are segments: with less, misses leave too little for the next draw.
        self.verifier = make_verifier(stage, verifier, f"{prefix} verifier", self.posted, 4)
        self.solver = self.world.agent(HoardingSolver, f"{prefix} solver", [self.task], hoard=folder / prefix)
        options = {"narrate": self.solver.narrate, "only": [self.task]}
        self.answerer = answerer(self.solver.lockstep, self.solver.hoard, self.solver.journal, **options)
        self.parties = {role: self.world.parties[f"{prefix} {role}"] for role in ("submitter", "solver", "verifier")}
        self.chain = self.world.keeper_lockstep
        self.before = {role: party.worth for role, party in self.parties.items()} | {"submitter": escrowed_from}
        self.treasury = self._treasury()

    def _treasury(self) -> int:
        return int(self.chain.view(self.chain.treasury, "balance"))

    def watch(self, role: str) -> None:
        """Count another party, of the same prefix, in."""
        party = self.world.parties[f"{self.prefix} {role}"]
        self.parties[role], self.before[role] = party, party.worth

    def run(self) -> TaskState:
        """The task's end; what everybody was paid is what the payout function says."""
        state = self.world.run(self.task, [self.solver, self.answerer, self.verifier])
        self.world.dismiss(self.verifier)
        gains = predicted(self.chain, self.posted, "treasury")
        for role, party in self.parties.items():
            assert gains.get(party.address, 0) == self.gain(role), role
        assert gains["treasury"] == self._treasury() - self.treasury
        return state

    def gain(self, role: str) -> int:
        """What a party has more than when it came, base units."""
        return self.parties[role].worth - self.before[role]

    def states(self) -> set[DemandState]:
        """Where the task's demands stand."""
        return {DemandState(self.chain.demand(demand.id).state) for demand in self.chain.demands(self.task)}

    def fees(self) -> int:
        """What the demands of the task cost, base units."""
        return sum(demand.fee for demand in self.chain.demands(self.task))


def test_solver_that_withholds_and_does_not_answer_is_slashed_and_the_verifier_paid(
    stage: Stage, tmp_path: Path
) -> None:
    hoard = Hoard(stage, tmp_path, "20", SilentAnswerer)
    assert hoard.run() is TaskState.UNAVAILABLE
    states = {hoard.chain.slot(hoard.task, segment).state for segment in range(3)}
    assert states == {SlotState.WITHHELD}
    assert hoard.states() == {DemandState.LAPSED, DemandState.DROPPED} or hoard.states() == {DemandState.LAPSED}
    numbers = hoard.chain.numbers(hoard.posted.terms)
    assert hoard.gain("solver") == -numbers.solver_deposit
    pot = numbers.solver_deposit * hoard.chain.parameters.finder_bps // 10_000
    assert pot - 3 <= hoard.gain("verifier") <= pot  # a segment's share is rounded down


def test_whoever_demands_in_vain_gets_a_second_share_behind_the_drawn_verifier(stage: Stage, tmp_path: Path) -> None:
    hoard = Hoard(stage, tmp_path, "25", SilentAnswerer)
    friend = stage.world.agent(Whistleblower, "25 whistleblower", [hoard.task])
    hoard.watch("whistleblower")
    hoard.verifier.seeker = BeatenSeeker(hoard.verifier, friend)
    assert hoard.run() is TaskState.UNAVAILABLE
    assert 0 < 2 * hoard.gain("whistleblower") < hoard.gain("verifier")


def test_solver_that_answers_late_but_in_time_is_paid(stage: Stage, tmp_path: Path) -> None:
    hoard = Hoard(stage, tmp_path, "21", LateAnswerer)
    assert hoard.run() is TaskState.SETTLED
    demands = hoard.chain.demands(hoard.task)
    assert {PieceKind(demand.piece.kind) for demand in demands} == {PieceKind.LINK, PieceKind.STATE}
    assert hoard.states() == {DemandState.ANSWERED}
    numbers = hoard.chain.numbers(hoard.posted.terms)
    assert hoard.gain("verifier") == 3 * hoard.posted.terms.wage - hoard.fees()
    assert numbers.fee < hoard.gain("solver") <= numbers.fee + hoard.fees()


def test_verifier_that_is_beaten_to_every_demand_waits_all_the_same_and_pays_nothing(
    stage: Stage, tmp_path: Path
) -> None:
    hoard = Hoard(stage, tmp_path, "24", LateAnswerer)
    friend = stage.world.agent(Whistleblower, "24 whistleblower", [hoard.task])
    hoard.watch("whistleblower")
    hoard.verifier.seeker = BeatenSeeker(hoard.verifier, friend)
    assert hoard.run() is TaskState.SETTLED
    demands = hoard.chain.demands(hoard.task)
    assert {demand.demander for demand in demands} == {friend.address}
    assert all(hoard.chain.demand(demand.id).pauses for demand in demands)
    assert hoard.gain("verifier") == 3 * hoard.posted.terms.wage


def test_everything_from_the_chain_and_a_flood_costs_its_maker_more_than_the_solver(
    stage: Stage, tmp_path: Path
) -> None:
    hoard = Hoard(stage, tmp_path, "22", Answerer)
    hoard.verifier.store = ArtifactStore(str(tmp_path / "empty"))
    hoard.verifier.seeker.limit = 10**30
    assert hoard.run() is TaskState.SETTLED
    demands = hoard.chain.demands(hoard.task)
    assert {PieceKind(demand.piece.kind) for demand in demands} == set(PieceKind) - {PieceKind.COMMITTED}
    assert {demand.piece.init for demand in demands} == {False, True}
    assert hoard.states() == {DemandState.ANSWERED}
    gas = hoard.solver.lockstep.client.gas
    answers = sum(sum(units) for kind, units in gas.items() if kind.startswith("answer"))
    cost = answers * ON_PUBLIC_CHAIN.gas_price
    earned = hoard.gain("solver") - hoard.chain.numbers(hoard.posted.terms).fee
    lost = 3 * hoard.posted.terms.wage - hoard.gain("verifier")
    print(f"{len(demands)} demands: maker lost {lost}, solver earned {earned} and spent {cost} on {answers} gas")
    assert lost == hoard.fees() >= earned >= cost


def test_three_silent_verifiers_do_not_slash_a_solver_that_was_asked_for_nothing(stage: Stage, tmp_path: Path) -> None:
    hoard = Hoard(stage, tmp_path, "23", Answerer, actors.SilentVerifier)
    hoard.solver.hoard = hoard.solver.store  # it keeps nothing to itself
    assert hoard.run() is TaskState.UNAVAILABLE
    assert {hoard.chain.slot(hoard.task, segment).state for segment in range(3)} == {SlotState.MOOT}
    assert hoard.chain.demands(hoard.task) == []
    assert hoard.gain("solver") == 0
    assert hoard.gain("submitter") == 0
    misses = 9 * hoard.chain.numbers(hoard.posted.terms).miss
    assert hoard.gain("verifier") == -misses
