"""Forced errors with real agents: caught, uncaught, skipped, not opened, and told to nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from rich.console import Console

from lockstep.agents.journal import Journal
from lockstep.agents.solver import Solver
from lockstep.agents.submitter import Submitter
from lockstep.agents.task_secrets import TaskSecrets
from lockstep.agents.verifier import Verifier
from lockstep.agents.whistleblower import Whistleblower
from lockstep.chain import terms as arithmetic
from lockstep.chain.anvil import Anvil
from lockstep.chain.lockstep import PostedTask
from lockstep.chain.parameters import LOCAL, Profile
from lockstep.chain.types import ClaimBody, Slot, TaskState
from lockstep.cli.demo.acts import make_verifier
from lockstep.cli.demo.stage import Stage
from lockstep.cli.demo.world import World

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]

SEGMENTS = 3
ALWAYS = Profile(replace(LOCAL.parameters, forced_bps=10_000, jackpot_multiple=1), LOCAL.disputes)
OFTEN = Profile(replace(LOCAL.parameters, forced_bps=5_000, jackpot_multiple=3), LOCAL.disputes)


class SkippingVerifier(Verifier):
    """Posts the right digest, whatever its secret tells it: it hopes for the reward of an error that nobody finds."""

    def body(self, posted: PostedTask, segment: int, slot: Slot) -> ClaimBody:
        """The claim it should have made, with the right digest."""
        body = super().body(posted, segment, slot)
        return replace(body, digest=self.digest(posted, segment, slot, self.address))


class SealedVerifier(Verifier):
    """Never opens its secret."""

    def opens(self, posted: PostedTask, segment: int) -> bool:
        """It does not."""
        return False


class ForgetfulVerifier(Verifier):
    """Loses its journal's seeds after it has registered."""

    def register(self, stake: int) -> None:
        """Register, and forget."""
        super().register(stake)
        self.secrets = TaskSecrets(self.lockstep, Journal(":memory:"))


@dataclass(frozen=True, slots=True)
class Scene:
    """A settled task of one drawn verifier, and what everybody came with."""

    stage: Stage
    posted: PostedTask
    verifier: Verifier
    watcher: Whistleblower | None
    before: tuple[int, int]

    @property
    def jackpot(self) -> int:
        """J, base units."""
        parameters = self.verifier.lockstep.parameters
        return parameters.jackpot_multiple * arithmetic.replay_cost(self.posted.terms)

    @property
    def locked(self) -> int:
        """Deposit and bond of one claim, base units."""
        chain = self.verifier.lockstep
        return chain.numbers(self.posted.terms).claim_deposit + chain.parameters.claim_bond

    @property
    def gained(self) -> int:
        """What the verifier has more than before, base units."""
        return self.verifier.lockstep.worth(self.verifier.address) - self.before[0]

    @property
    def found(self) -> int:
        """The same of the whistleblower."""
        assert self.watcher is not None
        return self.watcher.lockstep.worth(self.watcher.address) - self.before[1]


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    with Anvil() as anvil:
        yield anvil


@pytest.fixture(scope="module")
def always(node: Anvil, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    folder: Path = tmp_path_factory.mktemp("always")
    return Stage(World(node, folder, ALWAYS), Console(quiet=True))


def play(
    stage: Stage,
    prefix: str,
    kind: type[Verifier],
    watched: bool = False,
    on_round: Sequence[Callable[[Verifier], None]] = (),
    ends: TaskState = TaskState.SETTLED,
    stakes: int = SEGMENTS,
) -> Scene:
    """One honest task from submission until nobody has anything left to do; with stake for so many claims."""
    world = stage.world
    posted = stage.submit(world.agent(Submitter, f"{prefix} submitter"), "mlp", stage.order("forced", 8, 4))
    task = posted.terms.id
    verifier = make_verifier(stage, kind, f"{prefix} verifier", posted, stakes)
    watcher = world.agent(Whistleblower, f"{prefix} whistleblower", [task]) if watched else None
    before = (verifier.lockstep.worth(verifier.address), watcher.lockstep.worth(watcher.address) if watcher else 0)
    agents = [world.agent(Solver, f"{prefix} solver", [task]), verifier, *([watcher] if watcher else [])]
    state = world.run(task, agents, lambda: [act(verifier) for act in on_round])  # type: ignore[arg-type, return-value]
    world.dismiss(verifier)
    assert state is ends
    return Scene(stage, posted, verifier, watcher, before)


def test_forced_and_caught_pays_the_finder_and_costs_the_verifier_nothing(always: Stage) -> None:
    scene = play(always, "caught", Verifier, watched=True)
    chain, wages = scene.verifier.lockstep, SEGMENTS * scene.posted.terms.wage
    errors = chain.forced_errors(scene.posted.terms.id)
    assert [(error.made, error.finders) for error in errors] == [(True, 1)] * SEGMENTS
    assert scene.found == SEGMENTS * scene.jackpot
    assert scene.gained == wages + SEGMENTS * (scene.jackpot // 4)
    assert chain.locked(scene.verifier.address) == 0


def test_skipped_forced_error_costs_deposit_and_bond(always: Stage) -> None:
    scene = play(always, "skipped", SkippingVerifier)
    errors = scene.verifier.lockstep.forced_errors(scene.posted.terms.id)
    assert [(error.made, error.finders) for error in errors] == [(False, 0)] * SEGMENTS
    assert scene.gained == SEGMENTS * (scene.posted.terms.wage - scene.locked)


def test_secret_that_is_never_opened_costs_deposit_and_bond(always: Stage) -> None:
    scene = play(always, "sealed", SealedVerifier)
    world, chain = always.world, scene.verifier.lockstep
    assert chain.locked(scene.verifier.address) == SEGMENTS * scene.locked
    world.anvil.advance_time(chain.parameters.opening_window + 1)
    assert world.keeper(scene.posted.terms.id).turn()
    assert chain.locked(scene.verifier.address) == 0
    assert scene.gained == SEGMENTS * (scene.posted.terms.wage - scene.locked)


def test_verifier_that_lost_its_seeds_is_silent_and_pays_misses_not_deposits(always: Stage) -> None:
    scene = play(always, "forgetful", ForgetfulVerifier, ends=TaskState.UNAVAILABLE, stakes=8 * SEGMENTS)
    chain = scene.verifier.lockstep
    rounds = chain.parameters.redraws + 1
    assert scene.gained == -SEGMENTS * rounds * chain.numbers(scene.posted.terms).miss
    assert chain.locked(scene.verifier.address) == 0


def test_redraw_that_finds_nobody_is_tried_ever_more_rarely_and_ends_without(always: Stage) -> None:
    scene = play(always, "poor", ForgetfulVerifier, ends=TaskState.UNAVAILABLE)
    chain = scene.verifier.lockstep
    rounds, miss = chain.parameters.redraws + 1, chain.numbers(scene.posted.terms).miss
    assert -scene.gained in [n * miss for n in range(SEGMENTS, rounds * SEGMENTS + 1)]
    # Each call costs gas, and finds nobody while the stake of the other segments is locked.
    stalls = chain._logs("AuditCourt", "DrawStalled", task=scene.posted.terms.id)
    assert 0 < len(stalls) < 50 * rounds * SEGMENTS
    assert chain.locked(scene.verifier.address) == 0


def test_uncaught_pays_the_verifier_and_untold_nothing(node: Anvil, tmp_path: Path) -> None:
    def restart(verifier: Verifier) -> None:
        verifier.secrets = TaskSecrets(verifier.lockstep, verifier.journal)

    stage = Stage(World(node, tmp_path, OFTEN), Console(quiet=True))
    scene = play(stage, "uncaught", Verifier, on_round=[restart])
    chain, task = scene.verifier.lockstep, scene.posted.terms.id
    value = chain.beacon_value(task, 0, 0)
    told = [each for each in range(SEGMENTS) if scene.verifier.secrets.told(scene.posted, each, 0, value).errs]
    errors = chain.forced_errors(task)
    assert sorted(error.segment for error in errors) == told
    assert all(error.made and error.finders == 0 for error in errors)
    arrears = chain.view(chain.treasury, "arrearsOf", scene.verifier.address)
    due = len(told) * (scene.jackpot * 5 // 4)
    assert scene.gained + arrears == SEGMENTS * scene.posted.terms.wage + due
    assert stage.world.treasury() == max(scene.posted.terms.levy - due, 0)
    assert arrears == max(due - scene.posted.terms.levy, 0)
    assert stage.world.leave() == 0
