"""The executor, deployed once for all differential tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.differential.harness import ExecutorHarness, own_node


@pytest.fixture(scope="session")
def executor() -> Iterator[ExecutorHarness]:
    """The Solidity executor on a node of its own, whose calls may use any amount of gas."""
    with own_node() as node:
        yield ExecutorHarness(node)
