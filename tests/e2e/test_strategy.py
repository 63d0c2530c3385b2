"""The whistleblower's default strategy on a chain: it joins where a look pays, and stays away where it does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from lockstep.agents.entry import Choice
from lockstep.agents.outlook import Prices
from lockstep.agents.solver import Solver
from lockstep.agents.submitter import Submitter
from lockstep.agents.verifier import Verifier
from lockstep.agents.whistleblower import Whistleblower
from lockstep.chain.anvil import Anvil
from lockstep.chain.parameters import TOKEN
from lockstep.chain.types import TaskState
from lockstep.cli.demo import actors
from lockstep.cli.demo.acts import make_verifier
from lockstep.cli.demo.stage import Stage, describe
from lockstep.cli.demo.world import World

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]

SEGMENTS = 3


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A chain on which nothing has happened: no rivals, no claims judged."""
    folder: Path = tmp_path_factory.mktemp("quiet")
    with Anvil() as node:
        yield Stage(World(node, folder), Console(quiet=True))


def play(
    stage: Stage, prefix: str, kind: type[Verifier], prices: Prices, **options: object
) -> tuple[str, Whistleblower, list[str]]:
    """The outcome of a task that a whistleblower watches as its strategy says, and what that said."""
    world, lines = stage.world, list[str]()
    posted = stage.submit(world.agent(Submitter, f"{prefix} submitter"), "mlp", stage.order("watched", 4, 2))
    task = posted.terms.id
    verifier = make_verifier(stage, kind, f"{prefix} verifier", posted, SEGMENTS, **options)
    watcher = world.agent(Whistleblower, f"{prefix} whistleblower", [task])
    watcher.prices, watcher.narrate = prices, lines.append
    state = world.run(task, [world.agent(Solver, f"{prefix} solver", [task]), verifier, watcher])
    world.dismiss(verifier)
    assert state is TaskState.SETTLED
    return describe(world, task, state), watcher, lines


def test_whistleblower_joins_where_a_look_pays_and_leaves_where_it_does_not(quiet: Stage) -> None:
    outcome, joined, said = play(quiet, "1", actors.LazyVerifier, Prices())
    assert outcome == "settled; 1 verifier convicted by its digest"
    assert any("0 rivals seen, 0 of 0 judged claims false" in line for line in said)
    assert joined.speed is not None

    outcome, stayed, said = play(quiet, "2", Verifier, Prices(cost=10**6 * TOKEN))
    assert outcome == "settled"
    assert stayed.compute_seconds == 0
    assert stayed.lockstep.client.gas == {}
    assert said
    assert all("1 rival seen, 3 of 3 judged claims false" in line and "it stays away" in line for line in said)
    chain = quiet.world.keeper_lockstep
    assert chain.blind_claimants(0) == {joined.address}
    posted = chain.tasks()[-1]
    assert stayed.decide(posted, Prices()).choice is Choice.WHISTLEBLOWER
    assert joined.decide(posted, Prices()).outlook.rivals == 0  # one is no rival of oneself


def test_an_hour_costs_what_the_measured_speed_makes_of_it() -> None:
    prices = Prices(hour=3_600 * TOKEN)
    assert prices.of_look(50_000_000, 10_000_000, 7) == 5 * TOKEN
    assert Prices().of_look(50_000_000, 10_000_000, 7) == 7
    assert Prices(cost=2).of_look(50_000_000, 10_000_000, 7) == 100
