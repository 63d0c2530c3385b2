"""One world for all end-to-end scenarios: a real node, the real contracts, real training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from lockstep.chain.anvil import Anvil
from lockstep.cli.demo.stage import Stage
from lockstep.cli.demo.world import World


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("world")
    with Anvil() as node:
        yield Stage(World(node, folder), Console(quiet=True))
