"""One world for all end-to-end scenarios: a real node, the real contracts, real training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from lockstep.agents.verifier import retire
from lockstep.chain.anvil import Anvil
from lockstep.cli.demo.stage import Stage
from lockstep.cli.demo.world import World

SHARED = ("stage", "always", "worlds")
"""Fixtures that give a stage, or several by name, to more than one test."""


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("world")
    with Anvil() as node:
        yield Stage(World(node, folder), Console(quiet=True))


def empty_draws(world: World) -> list[str]:
    """Retire every verifier that is still in the draws; their names."""
    chain = world.keeper_lockstep
    left = [
        (name, party.lockstep)
        for name, party in world.parties.items()
        if party.address in chain.verifiers() and chain.view(chain.court, "weightOf", party.address)
    ]
    for _, lockstep in left:
        retire(lockstep)
    if left:
        world.anvil.advance_time(chain.parameters.withdrawal_delay + 1)
    for _, lockstep in left:
        retire(lockstep)
    return [name for name, _ in left]


@pytest.fixture(autouse=True)
def nobody_left_in_the_draws(request: pytest.FixtureRequest) -> Iterator[None]:
    """Worlds are shared: whom a test leaves in their draws, as where it fails, no other test may have drawn."""
    # asked for here, they live until this is over
    found = [request.getfixturevalue(name) for name in SHARED if name in request.fixturenames]
    stages = [stage for each in found for stage in (each.values() if isinstance(each, dict) else [each])]
    yield
    for stage in stages:
        empty_draws(stage.world)
