"""An account changes its role on a chain as what it sees changes, and earns in each role."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from lockstep.agents.base import Agent
from lockstep.agents.caution import Caution
from lockstep.agents.entry import Choice
from lockstep.agents.journal import Journal
from lockstep.agents.outlook import Prices
from lockstep.agents.prospects import Means, read_prospects
from lockstep.agents.roles import Rules, Standing, incomes
from lockstep.agents.solver import Solver
from lockstep.agents.submitter import Submitter
from lockstep.agents.switcher import Switcher
from lockstep.agents.verifier import Verifier
from lockstep.agents.whistleblower import Whistleblower
from lockstep.chain.anvil import Anvil
from lockstep.chain.lockstep import PostedTask
from lockstep.chain.parameters import LOCAL, TOKEN, Profile
from lockstep.chain.types import TaskState
from lockstep.cli.demo import actors
from lockstep.cli.demo.acts import make_verifier
from lockstep.cli.demo.stage import PRICE, Stage, describe
from lockstep.cli.demo.world import World

pytestmark = [pytest.mark.chain, pytest.mark.timeout(900)]

STEPS = 16
SEGMENTS = STEPS + 1
"""Segments of one step, all of them drawn: each task has so many claims."""
CHEAP = Prices(cost=PRICE // 2)
"""Half of what tasks pay: a replay for the least wage leaves something."""


class Careful(Switcher):
    """Holds itself to the promise: a role is taken only when nothing is open."""

    def _keep(self, standing: Standing) -> None:
        if standing.role is not self.standing.role:
            assert not self.lockstep.is_engaged(self.address)
        super()._keep(standing)


@pytest.fixture
def calm(tmp_path: Path) -> Iterator[Stage]:
    """A chain of its own: what happened there decides who does what."""
    with Anvil() as node:
        yield Stage(World(node, tmp_path), Console(quiet=True))


def post(stage: Stage, name: str) -> PostedTask:
    submitter = stage.world.agent(Submitter, f"{name} submitter")
    return stage.submit(submitter, "mlp", stage.order(name, STEPS, 1))


def play(stage: Stage, name: str, posted: PostedTask, agents: Sequence[Agent], solver: bool = True) -> str:
    """How a task ended, in words; the agents look at it and at nothing else."""
    task = posted.terms.id
    for agent in agents:
        agent.only = [task]
    solvers = [stage.world.agent(Solver, f"{name} solver", [task])] if solver else []
    return describe(stage.world, task, stage.world.run(task, [*solvers, *agents]))


def claims_of(posted: PostedTask, agent: Agent) -> int:
    chain, task = agent.lockstep, posted.terms.id
    rounds = [(segment, chain.slot(task, segment).round) for segment in chain.drawn_segments(task)]
    return sum(claim.claimant == agent.address for each in rounds for claim in chain.claims(task, *each))


def rest(stage: Stage, agent: Agent) -> None:
    """Let it look around while nothing goes on."""
    while agent.turn():
        pass
    stage.world.anvil.mine(1)
    while agent.turn():
        pass


def serve_notice(stage: Stage, agent: Agent) -> None:
    """Let the notice that it gave be over, and have it look around."""
    stage.world.anvil.advance_time(agent.lockstep.parameters.withdrawal_delay)
    rest(stage, agent)


def test_account_verifies_where_nobody_lies_and_watches_again_once_somebody_does(calm: Stage) -> None:
    stage, world, lines = calm, calm.world, list[str]()
    first = post(stage, "1")
    settled = make_verifier(stage, Verifier, "1 verifier", first, SEGMENTS)
    each = settled.lockstep.numbers(first.terms).claim_deposit + settled.lockstep.parameters.claim_bond
    roamer = world.agent(Careful, "roamer", [first.terms.id])
    roamer.narrate, roamer.rules = lines.append, Rules()
    means = Means(CHEAP, 2 * SEGMENTS * each, Caution(verifiers=0))
    roamer.equip(means)
    chain = roamer.lockstep

    # Nothing is known of anybody: a look pays.
    assert play(stage, "1", first, [settled, roamer]) == "settled"
    assert roamer.standing.role is Choice.WHISTLEBLOWER
    assert roamer.watcher.compute_seconds > 0
    # After so many claims that were right none pays, and a wage does.
    assert play(stage, "2", post(stage, "2"), [settled, roamer]) == "settled"
    rest(stage, roamer)
    assert roamer.standing.role is Choice.VERIFIER, lines
    assert chain.verifiers()[roamer.address] * chain.parameters.weight_unit <= means.stake
    assert "was a whistleblower, and is a verifier now" in lines

    before, third = chain.worth(roamer.address), post(stage, "3")
    assert play(stage, "3", third, [settled, roamer]) == "settled"
    earned = claims_of(third, roamer) * third.terms.wage
    assert chain.worth(roamer.address) == before + earned > before
    rest(stage, roamer)
    assert roamer.standing.role is Choice.VERIFIER  # and it does not flap

    # Somebody lies, and somebody else finds it: now looking pays better.
    fourth = post(stage, "4")
    lazy = make_verifier(stage, actors.LazyVerifier, "4 lazy verifier", fourth, 4 * SEGMENTS)
    finder = world.agent(Whistleblower, "4 whistleblower")
    assert "4 lazy verifier convicted by its digest" in play(stage, "4", fourth, [settled, roamer, lazy, finder])
    rest(stage, roamer)
    assert roamer.standing.leaving
    assert roamer.standing.role is Choice.VERIFIER  # it stays in the draws until its notice is over
    assert roamer.address in chain.verifiers()
    serve_notice(stage, roamer)
    assert roamer.standing.role is Choice.WHISTLEBLOWER, lines
    assert roamer.address not in chain.verifiers()
    assert "was a verifier, and is a whistleblower now" in lines

    before, fifth = chain.worth(roamer.address), post(stage, "5")
    lazy.register(4 * SEGMENTS * each)
    outcome = play(stage, "5", fifth, [settled, lazy, roamer])
    assert "4 lazy verifier convicted by its digest" in outcome
    assert chain.worth(roamer.address) > before
    assert claims_of(fifth, roamer) > 0


def test_role_is_left_while_claims_are_open_and_the_next_taken_when_they_are_closed(calm: Stage) -> None:
    stage, world, lines = calm, calm.world, list[str]()
    first = post(stage, "1")
    settled = make_verifier(stage, Verifier, "1 verifier", first, SEGMENTS)
    for name, each_task in (("1", first), ("2", post(stage, "2"))):
        assert play(stage, name, each_task, [settled]) == "settled"
    stage.world.dismiss(settled)

    posted = post(stage, "3")
    roamer = world.agent(Careful, "roamer", [posted.terms.id])
    roamer.narrate, roamer.rules = lines.append, Rules(dwell=10**12)
    chain, each = roamer.lockstep, roamer.lockstep.numbers(posted.terms).claim_deposit
    stake = 3 * SEGMENTS * (each + roamer.lockstep.parameters.claim_bond)
    roamer.verifier.register(stake)
    roamer.equip(Means(CHEAP, stake, Caution(verifiers=0)))
    assert roamer.standing.role is Choice.VERIFIER  # as the draws say
    # Without stake it cannot verify, and nobody lied: with what work costs it now, only solving pays anything.
    best = Means(Prices(cost=PRICE * 9 // 10), 0, Caution(verifiers=0))
    seen: list[tuple[Choice, bool, bool, bool]] = []

    def on_round() -> None:
        engaged, standing = chain.is_engaged(roamer.address), roamer.standing
        if engaged and roamer.means is not best:
            roamer.equip(best)
            roamer.rules = Rules()
        seen.append((standing.role, standing.leaving, engaged, bool(roamer._weight())))

    solver = world.agent(Solver, "3 solver", [posted.terms.id])
    state = world.run(posted.terms.id, [solver, roamer], on_round)
    assert state is TaskState.SETTLED
    rest(stage, roamer)
    assert claims_of(posted, roamer) == SEGMENTS
    assert (Choice.VERIFIER, True, True, True) in seen  # its notice given, its claims still open
    assert all(role is Choice.VERIFIER for role, _, engaged, _ in seen if engaged)
    serve_notice(stage, roamer)
    assert roamer.standing.role is Choice.SOLVER, (lines, incomes(read_prospects(chain, best, None)))
    assert not chain.is_engaged(roamer.address)

    # It solves, and is paid; nothing of it was said by another: the next life knows its role from the journal.
    nextlife = Careful(chain, roamer.store, roamer.journal, narrate=lines.append)
    nextlife.equip(best)
    nextlife.rules = Rules(dwell=10**9)
    before, work = chain.worth(roamer.address), post(stage, "4")
    judge = make_verifier(stage, Verifier, "4 verifier", work, SEGMENTS)
    assert play(stage, "4", work, [nextlife, judge], solver=False) == "settled"
    assert chain.solver(work.terms.id) == roamer.address
    assert chain.worth(roamer.address) >= before + chain.numbers(work.terms).fee
    assert nextlife.standing.role is Choice.SOLVER


def test_verifier_whose_weight_was_lowered_is_weighed_by_its_whole_stake_again(calm: Stage) -> None:
    roamer = calm.world.agent(Careful, "roamer")
    chain, unit = roamer.lockstep, roamer.lockstep.parameters.weight_unit
    roamer.verifier.register(20 * unit)
    chain.send(chain.vault, "requestWithdrawal", 15 * unit, doing="ask for stake")
    calm.world.anvil.advance_time(chain.parameters.withdrawal_delay)
    chain.send(chain.vault, "withdrawStake", doing="withdraw")
    chain.send(chain.court, "refreshVerifier", roamer.address, doing="refresh")
    roamer.equip(Means(CHEAP, 20 * unit, Caution(verifiers=0)))
    assert not roamer.turn()  # it is not there to weigh
    assert chain.verifiers() == {roamer.address: 5}
    chain.deposit(15 * unit)
    assert roamer.turn()
    assert chain.verifiers() == {roamer.address: 20}
    assert not roamer.turn()


def test_account_whose_secrets_another_journal_has_commits_to_new_ones(tmp_path: Path) -> None:
    told = Profile(replace(LOCAL.parameters, forced_bps=1_000), LOCAL.disputes)
    with Anvil() as node:
        world = World(node, tmp_path, told)
        before = world.agent(Verifier, "roamer")
        before.register(TOKEN)
        chain = before.lockstep
        roamer = Careful(chain, world.store, Journal(":memory:"))
        assert not roamer.verifier.secrets.is_known()
        roamer.equip(Means(CHEAP, 2 * TOKEN, Caution(verifiers=0)))
        chain.deposit(TOKEN)
        assert roamer.turn()  # weighed by its whole stake, and able to open what it will be told
        assert roamer.verifier.secrets.is_known()
        assert len(chain.trees(roamer.address)) == 2
