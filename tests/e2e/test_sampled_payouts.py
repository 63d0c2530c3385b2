"""Forced errors and called-up segments in one task, casts drawn at random: payouts to the last base unit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from rich.console import Console

from lockstep.agents.base import Agent
from lockstep.agents.defender import Defender
from lockstep.agents.solver import Solver
from lockstep.agents.submitter import Submitter
from lockstep.agents.verifier import Verifier
from lockstep.agents.whistleblower import Whistleblower
from lockstep.chain.anvil import Anvil
from lockstep.chain.lockstep import Lockstep, PostedTask
from lockstep.chain.parameters import LOCAL
from lockstep.chain.types import SlotState, TaskState
from lockstep.cli.demo import actors
from lockstep.cli.demo.acts import make_verifier
from lockstep.cli.demo.stage import Stage
from lockstep.cli.demo.world import World
from tests.e2e.chain_histories import predicted
from tests.e2e.conftest import empty_draws
from tests.e2e.test_forced_errors import ALWAYS, OFTEN, SealedVerifier, SkippingVerifier
from tests.e2e.test_volunteers import AUDITS, SEGMENT_STEPS, STEPS, SkippingUndrawn, Slanderer

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]

TREASURY = "treasury"
QUICK = (1, 5)
"""Casts of short runs: a verifier that skips its forced errors and two false callers; one that opens no secret."""
REDRAWS = LOCAL.parameters.redraws


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays a task of five segments, two of them drawn; every lie is about segment ``lied``."""

    solver: type[Solver]
    verifier: type[Verifier]
    volunteers: tuple[type[Whistleblower], ...]
    watchers: int
    defends: bool
    lied: int

    @classmethod
    def drawn(cls, seed: int) -> Cast:
        """A cast at random: somebody always volunteers."""
        rng = np.random.default_rng(seed)
        volunteers = [(SkippingUndrawn,), (Slanderer,), (SkippingUndrawn, Slanderer), (Slanderer, Slanderer)]
        verifiers = (Verifier, Verifier, Verifier, SkippingVerifier, SealedVerifier, actors.SilentVerifier)
        return cls(
            solver=(Solver, actors.NudgingSolver)[rng.integers(2)],
            verifier=verifiers[rng.integers(len(verifiers))],
            volunteers=volunteers[rng.integers(len(volunteers))],
            watchers=int(rng.integers(3)),
            defends=bool(rng.random() < 0.7),
            lied=int(rng.integers(1, 5)),
        )


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    with Anvil() as anvil:
        yield anvil


@pytest.fixture(scope="module")
def worlds(node: Anvil, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Stage]:
    """One deployment where half the claims are told to err, and one where everybody is."""
    made = {}
    for name, profile in (("often", OFTEN), ("always", ALWAYS)):
        made[name] = Stage(World(node, tmp_path_factory.mktemp(name), profile), Console(quiet=True))
    return made


def play(stage: Stage, prefix: str, cast: Cast) -> PostedTask:
    """One task until every claim is closed; what everybody has gained is then what the payout function says."""
    world, before = stage.world, stage.world.treasury()
    known = set(world.parties)
    submitter = world.agent(Submitter, f"{prefix} submitter")
    posted = stage.submit(submitter, "mlp", replace(stage.order(prefix, STEPS, SEGMENT_STEPS), audits=AUDITS))
    task, lie = posted.terms.id, {"segment": cast.lied, "step": 1}
    solver = world.agent(cast.solver, f"{prefix} solver", [task], **({} if cast.solver is Solver else lie))
    drawn = make_verifier(stage, cast.verifier, f"{prefix} verifier", posted, AUDITS * (REDRAWS + 1))
    agents: list[Agent] = [solver, drawn]
    for place, kind in enumerate(cast.volunteers):
        options = {} if kind is SkippingUndrawn else lie | {"step": place}
        agents.append(world.agent(kind, f"{prefix} {place} volunteer", [task], **options))
    agents += [world.agent(Whistleblower, f"{prefix} {place} watcher", [task]) for place in range(cast.watchers)]
    if cast.defends:
        agents.append(Defender(solver.lockstep, solver.store, solver.journal, solver.narrate, only=[task]))
    world.run(task, agents)
    empty_draws(world)
    chain = world.keeper_lockstep
    if chain.now() <= chain.deadline(task):
        # whoever kept its secret to itself falls after this
        world.anvil.advance_time(chain.deadline(task) - chain.now() + 1)
    while world.keeper(task).turn():
        pass
    gains = {party.address: party.worth - party.brought for name, party in world.parties.items() if name not in known}
    gains[TREASURY] = world.treasury() - before
    told = predicted(chain, posted, TREASURY)
    assert {account: told.get(account, 0) for account in gains} == gains
    assert set(told) <= set(gains)
    assert sum(gains.values()) == 0
    return posted


def forced_and_called(chain: Lockstep, task: int) -> tuple[int, int]:
    """How many errors were made because a secret asked for them, and how many segments were called up."""
    return sum(error.made for error in chain.forced_errors(task)), len(chain.called_segments(task))


def until_called(stage: Stage, prefix: str, cast: Cast) -> PostedTask:
    """The cast's task, with its lie about another segment each time, until one is called up."""
    for attempt in range(1, 6):
        posted = play(stage, f"{prefix}{attempt}", replace(cast, lied=1 + attempt % 4))
        if stage.world.keeper_lockstep.called_segments(posted.terms.id):
            return posted
    raise AssertionError("Five draws hit the lie: one in three thousand.")


def test_false_call_beside_forced_errors_falls_and_finders_have_their_jackpots(worlds: dict[str, Stage]) -> None:
    stage = worlds["always"]
    posted = until_called(stage, "16a", Cast(Solver, Verifier, (Slanderer,), 2, True, 1))
    chain, task = stage.world.keeper_lockstep, posted.terms.id
    assert chain.state(task) is TaskState.SETTLED
    assert forced_and_called(chain, task) == (AUDITS, 1)
    # who slanders looks at the drawn verifier's claims too
    assert [error.finders for error in chain.forced_errors(task)] == [3] * AUDITS


def test_call_that_shows_fraud_beside_forced_errors_stops_their_pay(worlds: dict[str, Stage]) -> None:
    stage = worlds["always"]
    posted = until_called(stage, "16b", Cast(actors.NudgingSolver, Verifier, (SkippingUndrawn,), 1, False, 1))
    chain, task = stage.world.keeper_lockstep, posted.terms.id
    assert chain.state(task) is TaskState.REJECTED
    assert forced_and_called(chain, task) == (AUDITS, 1)
    assert {chain.slot(task, segment).state for segment in chain.called_segments(task)} == {SlotState.FAILED}


@pytest.mark.parametrize(
    "seed", [seed if seed in QUICK else pytest.param(seed, marks=pytest.mark.long) for seed in range(24)]
)
def test_histories_with_forced_errors_and_calls_pay_as_the_contracts_do(worlds: dict[str, Stage], seed: int) -> None:
    play(worlds["always" if seed in QUICK else "often"], f"s{seed}", Cast.drawn(seed))
