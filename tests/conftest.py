"""Fixtures and options that every test may use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from lockstep.chain.anvil import Anvil

# Two profiles: short runs repeat the same examples, so that a failure in CI is a failure here; long runs draw new ones.
settings.register_profile("short", max_examples=50, deadline=None, derandomize=True)
settings.register_profile("long", max_examples=2_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run tests marked long, with many more random inputs")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("long" if config.getoption("--long") else "short")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="long: run it with --long"))


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    """Whether this is a long run: draw more."""
    return bool(request.config.getoption("--long"))


@pytest.fixture(scope="session")
def anvil_process() -> Iterator[Anvil]:
    """One node for the whole run. Tests take ``anvil``, which leaves no trace on it."""
    with Anvil() as node:
        yield node


@pytest.fixture
def anvil(anvil_process: Anvil) -> Iterator[Anvil]:
    """A node in its first state, whatever earlier tests did to it."""
    before = anvil_process.snapshot()
    yield anvil_process
    anvil_process.restore(before)
