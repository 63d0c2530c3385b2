"""One node with one deployment for all tests of the command line; each test finds both in their first state."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lockstep.chain.anvil import Anvil
from lockstep.chain.client import Client
from lockstep.chain.deployment import Deployment, deploy
from lockstep.chain.parameters import LOCAL
from lockstep.cli.keys import well_known_key
from lockstep.cli.options import Role
from tests.offchain.cli.bench import Bench


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Anvil, Deployment]]:
    with Anvil() as node:
        yield node, deploy(Client(node.url, well_known_key(Role.DEPLOYER)), LOCAL)


@pytest.fixture(autouse=True)
def no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What whoever runs the tests has in the environment does not reach the commands."""
    for name in ("RPC", "KEY", "DEPLOYMENT", "STORE", "HOME", "DEBUG"):
        monkeypatch.delenv(f"LOCKSTEP_{name}", raising=False)


@pytest.fixture
def bench(deployed: tuple[Anvil, Deployment], tmp_path: Path) -> Iterator[Bench]:
    node, deployment = deployed
    home = tmp_path / "home"
    deployment.save(home / "deployment.json")
    before = node.snapshot()
    yield Bench(node, home, deployment)
    node.restore(before)
