"""docs/data/leaf_costs.json and its table say what the dearest leaf of every op costs, and all are affordable."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lockstep.program.ops import Op
from lockstep.program.spec import MAX_LEAF_BYTES
from tests.differential.harness import ExecutorHarness

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import leaf_costs

MAX_LEAF_GAS = 5_000_000
TOLERANCE = 0.1


def test_every_op_has_an_affordable_leaf() -> None:
    costs = leaf_costs.read()
    assert [cost.op for cost in costs] == [op.name.lower() for op in Op]
    for cost in costs:
        assert cost.calldata_bytes <= MAX_LEAF_BYTES
        assert cost.transaction_gas <= MAX_LEAF_GAS


def test_the_documentation_has_the_committed_figures() -> None:
    document = leaf_costs.DOCUMENT.read_text()
    assert leaf_costs.with_table(document, leaf_costs.read()) == document, "run scripts/leaf_costs.py"


@pytest.mark.chain
@pytest.mark.parametrize("cost", leaf_costs.read(), ids=lambda cost: cost.op)
def test_committed_figures_are_what_leaves_cost(executor: ExecutorHarness, cost: leaf_costs.LeafCost) -> None:
    now = leaf_costs.measure(executor, Op[cost.op.upper()])
    assert now.calldata_bytes == pytest.approx(cost.calldata_bytes, rel=TOLERANCE)
    assert now.executor_gas == pytest.approx(cost.executor_gas, rel=TOLERANCE), "run scripts/leaf_costs.py"
    assert now.proof_gas == pytest.approx(cost.proof_gas, rel=TOLERANCE), "run scripts/leaf_costs.py"
