"""Row ops: the executor gives the reference's bits, on 10,000 elements an op and some rows at the largest K."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lockstep.numerics import contraction
from lockstep.numerics.dtypes import DType
from lockstep.numerics.float32 import canonical
from lockstep.program.graph import Attrs, Input, Node, Shape, TensorType
from lockstep.program.ops import (
    EXPONENT_FLOOR_QUANTIZE,
    EXPONENT_FLOOR_SUM,
    MAX_SORT_ROW,
    QUANTIZE_BITS,
    ROW_BLOCK,
    SCATTER_BLOCK,
    InputKind,
    Op,
)
from tests.differential.harness import ExecutorHarness
from tests.strategies.nodes import NodeCase, random_node_case
from tests.strategies.values import Array, Rng, e16_values, f32_values, i32_values, m16_values

pytestmark = pytest.mark.chain

SHORT, LONG = 10_000, 1_000_000
ROW_OPS = (
    *(Op.EXPONENT, Op.QUANTIZE, Op.MATMUL, Op.SUM, Op.REDUCE_MAX, Op.ARGMAX, Op.SORT, Op.ARGSORT),
    *(Op.VIEW, Op.CONCAT, Op.GATHER, Op.SCATTER_ADD, Op.IOTA, Op.RANDOM_BITS, Op.SHUFFLE, Op.STATE),
)
LONGEST_ROWS = 20
F32, I32, M16, E16 = DType.F32, DType.I32, DType.M16, DType.E16


def build(
    op: Op, dtype: DType, shape: Shape, attrs: Attrs, operands: list[tuple[DType, Array]], seed: int = 0
) -> NodeCase:
    """A node over proven operands."""
    inputs = tuple(Input(InputKind.NODE, slot) for slot in range(len(operands)))
    types = tuple(TensorType(operand, array.shape) for operand, array in operands)
    return NodeCase(Node(op, dtype, shape, inputs, attrs), tuple(array for _, array in operands), types, 0, seed)


def assert_equal(executor: ExecutorHarness, work: list[tuple[NodeCase, list[int] | None]]) -> None:
    """Compare nodes' elements (None: all of them) with the reference."""
    for (case, elements), got in zip(work, executor.run_all(work), strict=True):
        value = case.value()
        want = value if case.node.op is Op.STATE else value.reshape(-1)
        if elements is not None:
            want = want[elements]
        if got.tobytes() != want.tobytes():
            wrong = [i for i in range(len(want)) if got[i].tobytes() != want[i].tobytes()]
            shown = [(elements[i] if elements else i, want[i], got[i]) for i in wrong[:5]]
            pytest.fail(f"{case.node}: {len(wrong)} differ; (element, reference, executor): {shown}")


def compare_random(executor: ExecutorHarness, op: Op, count: int, seed: int) -> None:
    """Random nodes of an op, every second one over what only a liar would commit, until ``count`` elements."""
    work: list[tuple[NodeCase, list[int] | None]] = []
    done, number = 0, 0
    while done < count:
        rng = np.random.default_rng([seed, op, number])
        size = (1, 8, 60, 300)[number % 4]
        work.append((random_node_case(rng, op, elements=size, hostile=number % 2 == 1), None))
        done += work[-1][0].node.type.elements
        number += 1
        if number % 500 == 0:
            assert_equal(executor, work)
            work = []
    assert_equal(executor, work)


@pytest.mark.parametrize("op", ROW_OPS, ids=lambda op: op.name.lower())
def test_executor_equals_the_reference(executor: ExecutorHarness, op: Op) -> None:
    compare_random(executor, op, 1_000 if op is Op.STATE else SHORT, 0)


@pytest.mark.long
@pytest.mark.parametrize("op", ROW_OPS, ids=lambda op: op.name.lower())
def test_executor_equals_the_reference_on_many_more(executor: ExecutorHarness, op: Op) -> None:
    for part in range(10):
        compare_random(executor, op, (10_000 if op is Op.STATE else LONG) // 10, 1 + part)


# Rows as long as a leaf can carry


def row(rng: Rng, k: int) -> Array:
    """A row of f32 in some regime; a third of the time one of the extremes for exact sums."""
    match rng.integers(0, 6):
        case 0:  # all clamped, one sign: the largest sum
            return np.full((1, k), np.float32(rng.choice([3.4e38, -3.4e38, 1.0, 2.0**-126])))
        case 1:  # ties of the quantisation
            return (rng.integers(-(2**20), 2**20, (1, k)) * 2.0**-34 + 0).astype(np.float32)
        case _:
            return f32_values(rng, (1, k), noisy=True)


def exponents(rng: Rng, x: Array, floor: int) -> Array:
    if rng.random() < 0.8:
        return contraction.exponent(canonical(x), floor)
    return e16_values(rng, x.shape[:-1], hostile=True)


def longest_exponent(rng: Rng) -> NodeCase:
    return build(Op.EXPONENT, E16, (1,), (EXPONENT_FLOOR_SUM,), [(F32, row(rng, ROW_BLOCK))])


def longest_quantize(rng: Rng) -> NodeCase:
    x = row(rng, ROW_BLOCK)
    e = exponents(rng, x, EXPONENT_FLOOR_QUANTIZE)
    return build(Op.QUANTIZE, M16, x.shape, (QUANTIZE_BITS,), [(F32, x), (E16, e)])


def longest_matmul(rng: Rng) -> NodeCase:
    k = int(rng.choice([ROW_BLOCK, ROW_BLOCK - 1]))
    a, b = (m16_values(rng, (1, k), hostile=rng.random() < 0.5) for _ in range(2))
    ea, eb = (e16_values(rng, (1,)) for _ in range(2))
    return build(Op.MATMUL, F32, (1, 1), (), [(M16, a), (E16, ea), (M16, b), (E16, eb)])


def longest_sum(rng: Rng) -> NodeCase:
    x = row(rng, ROW_BLOCK)
    return build(Op.SUM, F32, (1,), (), [(F32, x), (E16, exponents(rng, x, EXPONENT_FLOOR_SUM))])


def longest_maximum(op: Op) -> Callable[[Rng], NodeCase]:
    return lambda rng: build(op, I32 if op is Op.ARGMAX else F32, (1,), (), [(F32, row(rng, ROW_BLOCK))])


def longest_order(op: Op) -> Callable[[Rng], NodeCase]:
    return lambda rng: build(
        op, I32 if op is Op.ARGSORT else F32, (1, MAX_SORT_ROW), (), [(F32, row(rng, MAX_SORT_ROW))]
    )


def longest_scatter_add(rng: Rng) -> NodeCase:
    x = row(rng, SCATTER_BLOCK)
    rows = int(rng.choice([1, 3, 1000]))
    index = rng.integers(-1, rows + 1, SCATTER_BLOCK).astype(np.int32) if rng.random() < 0.7 else None
    if index is None:
        index = i32_values(rng, (SCATTER_BLOCK,))
    e = exponents(rng, x, EXPONENT_FLOOR_SUM)
    return build(Op.SCATTER_ADD, F32, (1, rows), (), [(F32, x), (I32, index), (E16, e)])


LONGEST: dict[Op, Callable[[Rng], NodeCase]] = {
    Op.EXPONENT: longest_exponent,
    Op.QUANTIZE: longest_quantize,
    Op.MATMUL: longest_matmul,
    Op.SUM: longest_sum,
    Op.REDUCE_MAX: longest_maximum(Op.REDUCE_MAX),
    Op.ARGMAX: longest_maximum(Op.ARGMAX),
    Op.SORT: longest_order(Op.SORT),
    Op.ARGSORT: longest_order(Op.ARGSORT),
    Op.SCATTER_ADD: longest_scatter_add,
}


@pytest.mark.parametrize("op", LONGEST, ids=lambda op: op.name.lower())
def test_longest_rows_equal_the_reference(executor: ExecutorHarness, op: Op) -> None:
    work: list[tuple[NodeCase, list[int] | None]] = []
    for number in range(LONGEST_ROWS):
        rng = np.random.default_rng([7, op, number])
        case = LONGEST[op](rng)
        work.append((case, [int(rng.integers(0, case.node.type.elements))]))
    assert_equal(executor, work)
