"""Every op at the edges of what a program may have: rank 0 and 8, rows of one element, indices out of range.

Random nodes (``test_elementwise``, ``test_rows``) seldom get there. Rows at their limit are in ``test_rows``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from lockstep.numerics import contraction
from lockstep.numerics.dtypes import DType
from lockstep.numerics.threefry import draw_key, threefry2x32
from lockstep.program.graph import Concat, Shape, View
from lockstep.program.infer import infer
from lockstep.program.leaf import unravel
from lockstep.program.ops import (
    ELEMENTWISE_FAMILIES,
    EXPONENT_FLOOR_QUANTIZE,
    EXPONENT_FLOOR_SUM,
    MAX_CONCAT,
    MAX_DIM,
    MAX_ELEMENTS,
    MAX_RANK,
    MAX_VIEW_REACH,
    QUANTIZE_BITS,
    Op,
)
from tests.differential.harness import ExecutorHarness
from tests.differential.test_elementwise import operands
from tests.differential.test_rows import assert_equal, build
from tests.strategies.nodes import CARRIED, NodeCase, elements_of
from tests.strategies.values import Rng, e16_values, f32_values, m16_values, values_of

pytestmark = pytest.mark.chain

F32, I32, M16, E16, ROOT = DType.F32, DType.I32, DType.M16, DType.E16, DType.ROOT
ONES: Shape = (1,) * MAX_RANK
MIXED: Shape = (2, 1, 1, 2, 1, 1, 1, 3)
SHORT_ROWS: Shape = (2, 1, 1, 1, 3, 1, 2, 1)
"""Of rank 8, with rows of one element."""
SHAPES: tuple[Shape, ...] = ((), ONES, MIXED)
ROWS: tuple[Shape, ...] = ((1,), (5,), ONES, MIXED, SHORT_ROWS)
FAR = (-(2**31), 2**31 - 1)
REPEATS = 3
SAMPLE = 60
"""Elements of a node that are compared, the first and the last among them; most have fewer."""


def elementwise(rng: Rng, op: Op) -> Iterator[NodeCase]:
    for dtypes, dtype, attrs in operands(op):
        for shape in SHAPES:
            yield build(op, dtype, shape, attrs, [(d, values_of(rng, d, shape, hostile=True)) for d in dtypes])


def rows(rng: Rng, op: Op) -> Iterator[NodeCase]:
    """Ops of one row: they keep it, or reduce it."""
    for shape in ROWS:
        x = f32_values(rng, shape, noisy=True)
        keeps = shape if op in (Op.SORT, Op.ARGSORT) else shape[:-1]
        if op is not Op.EXPONENT:
            yield build(op, F32 if op in (Op.REDUCE_MAX, Op.SORT) else I32, keeps, (), [(F32, x)])
            continue
        for floor in (EXPONENT_FLOOR_QUANTIZE, EXPONENT_FLOOR_SUM):
            yield build(op, E16, keeps, (floor,), [(F32, x)])


def scaled_rows(rng: Rng, op: Op) -> Iterator[NodeCase]:
    """``quantize`` and ``sum``, under their rows' own exponents and under any."""
    floor = EXPONENT_FLOOR_SUM if op is Op.SUM else EXPONENT_FLOOR_QUANTIZE
    for shape in ROWS:
        x = f32_values(rng, shape)
        for e in (contraction.exponent(x, floor), e16_values(rng, shape[:-1], hostile=True)):
            if op is Op.SUM:
                yield build(op, F32, shape[:-1], (), [(F32, x), (E16, e)])
            else:
                yield build(op, M16, shape, (QUANTIZE_BITS,), [(F32, x), (E16, e)])


def matmul(rng: Rng, op: Op) -> Iterator[NodeCase]:
    lead = MIXED[: MAX_RANK - 2]
    for leading, m, n, k in (((), 1, 1, 1), ((), 3, 1, 2), (lead, 1, 2, 1), (lead, 2, 3, 4)):
        sides = [
            (dtype, draw(rng, (*leading, *shape), hostile=True))
            for extent in (m, n)
            for dtype, draw, shape in ((M16, m16_values, (extent, k)), (E16, e16_values, (extent,)))
        ]
        yield build(op, F32, (*leading, m, n), (), sides)


def view(rng: Rng, op: Op) -> Iterator[NodeCase]:
    backwards = tuple((axis, -1) for axis in reversed(range(MAX_RANK)))
    still = tuple((0, 0) for _ in range(MAX_RANK))
    joined = tuple((0, stride) for stride in (1, 2, 3, -1, -2, 0, 5, 7))
    ends = tuple(extent - 1 for extent in MIXED)
    reach = MAX_VIEW_REACH // MAX_DIM
    for dtype in CARRIED:
        scalar, many = values_of(rng, dtype, ()), values_of(rng, dtype, MIXED)
        fill = int.from_bytes(values_of(rng, dtype, (1,)).tobytes(), "little")
        yield build(op, dtype, (), View((), (), ()), [(dtype, scalar)])
        yield build(op, dtype, ONES, View((1,), (0,), still), [(dtype, scalar)])
        yield build(op, dtype, MIXED, View((1,), (0,), still, fill), [(dtype, scalar)])
        yield build(op, dtype, MIXED[::-1], View(MIXED, ends, backwards, fill), [(dtype, many)])
        yield build(op, dtype, (2,) * MAX_RANK, View((many.size,), (1,), joined, fill), [(dtype, many)])
        for offset in FAR:
            yield build(op, dtype, (3,), View((1,), (offset,), ((0, 1),), fill), [(dtype, scalar)])
            back = -MAX_DIM if offset > 0 else MAX_DIM
            yield build(op, dtype, (2, 3), View((many.size,), (offset,), ((0, back), (0, 1)), fill), [(dtype, many)])
            steps = ((0, offset), (0, 1))
            yield build(op, dtype, (reach - 1, 2), View((many.size,), (0,), steps, fill), [(dtype, many)])


def concat(rng: Rng, op: Op) -> Iterator[NodeCase]:
    for dtype in CARRIED:
        for axis in (0, MAX_RANK - 1):
            parts = [(*MIXED[:axis], extent, *MIXED[axis + 1 :]) for extent in (1, 2, 1)]
            arrays = [(dtype, values_of(rng, dtype, part)) for part in parts]
            whole = (*MIXED[:axis], 4, *MIXED[axis + 1 :])
            yield build(op, dtype, whole, Concat(axis, (1, 2, 1)), arrays)
        yield build(op, dtype, (1,), Concat(0, (1,)), [(dtype, values_of(rng, dtype, (1,)))])
    many = [(F32, f32_values(rng, (1,))) for _ in range(MAX_CONCAT)]
    yield build(op, F32, (MAX_CONCAT,), Concat(0, (1,) * MAX_CONCAT), many)


def gather(rng: Rng, op: Op) -> Iterator[NodeCase]:
    for dtype in CARRIED:
        for table in ((1,), (3,), MIXED):
            entries, indices = values_of(rng, dtype, table), [*FAR, -1, 0, table[0] - 1, table[0]]
            for index in map(np.int32, indices):
                yield build(op, dtype, table[1:], (), [(dtype, entries), (I32, np.array(index))])
        wide = np.array(indices * 2, np.int32).reshape(MIXED)
        yield build(op, dtype, MIXED, (), [(dtype, values_of(rng, dtype, (2,))), (I32, wide)])


def scatter_add(rng: Rng, op: Op) -> Iterator[NodeCase]:
    """One entry and several; all out of range, and all in the last row."""
    for channels, n, into in ((1, 1, 1), (3, 1, 2), (2, 5, 1), (2, 5, 4)):
        x = f32_values(rng, (channels, n))
        for index in (*FAR, -1, 0, into - 1, into):
            for e in (contraction.exponent(x, EXPONENT_FLOOR_SUM), e16_values(rng, (channels,), hostile=True)):
                at = np.full(n, index, np.int32)
                yield build(op, F32, (channels, into), (), [(F32, x), (I32, at), (E16, e)])


def generators(rng: Rng, op: Op) -> Iterator[NodeCase]:
    seed = int(rng.integers(0, 2**63))
    for shape in SHAPES:
        match op:
            case Op.IOTA:
                yield build(op, I32, shape, (), [])
            case Op.RANDOM_BITS:
                for counter in FAR:
                    yield build(op, I32, shape, (2**31 - 1,), [(I32, np.array(counter, np.int32))], seed)
            case _:
                for n in (1, 2, 2**32 - 1):
                    place = values_of(rng, I32, shape)
                    yield build(op, I32, shape, (n, 0), [(I32, place), (I32, np.array(-1, np.int32))], seed)


def state(rng: Rng, op: Op) -> Iterator[NodeCase]:
    for shapes in (((),), (ONES,), ((), ONES, MIXED) * 22):
        given = [(dtype, values_of(rng, dtype, shape)) for shape in shapes for dtype in (F32, I32)]
        yield build(op, ROOT, (len(given),), (), given)


EDGES: dict[Op, Callable[[Rng, Op], Iterator[NodeCase]]] = {
    **{op: elementwise for op in Op if op.family in ELEMENTWISE_FAMILIES},
    **dict.fromkeys((Op.EXPONENT, Op.REDUCE_MAX, Op.ARGMAX, Op.SORT, Op.ARGSORT), rows),
    **dict.fromkeys((Op.QUANTIZE, Op.SUM), scaled_rows),
    **dict.fromkeys((Op.IOTA, Op.RANDOM_BITS, Op.SHUFFLE), generators),
    Op.MATMUL: matmul,
    Op.VIEW: view,
    Op.CONCAT: concat,
    Op.GATHER: gather,
    Op.SCATTER_ADD: scatter_add,
    Op.STATE: state,
}


def test_every_op_has_its_edges() -> None:
    assert set(EDGES) == set(Op)


@pytest.mark.parametrize("op", EDGES, ids=lambda op: op.name.lower())
def test_executor_equals_the_reference_at_the_edges(executor: ExecutorHarness, op: Op) -> None:
    cases = [case for number in range(REPEATS) for case in EDGES[op](np.random.default_rng([11, op, number]), op)]
    for case in cases:
        types = [given for given in case.types if given is not None]
        assert infer(case.node, types) == case.node.type, f"This is no valid node: {case.node}"
    rng = np.random.default_rng([12, op])
    assert_equal(executor, [(case, elements_of(rng, case.node, SAMPLE)) for case in cases])


LARGEST: tuple[Shape, ...] = ((MAX_ELEMENTS,), (*(1,) * 7, MAX_ELEMENTS), (*(2**4,) * 7, 4))
"""Shapes of as many elements as a tensor may have: no array of them is made."""
FILL = 77


def elements_of_the_largest(rng: Rng) -> list[int]:
    return [0, 1, MAX_ELEMENTS - 2, MAX_ELEMENTS - 1, *(int(element) for element in rng.integers(0, MAX_ELEMENTS, 20))]


@pytest.mark.parametrize("shape", LARGEST, ids=str)
def test_elements_of_the_largest_tensors(executor: ExecutorHarness, shape: Shape) -> None:
    """Iota, random bits, and views of a small tensor: ops whose output may be large where no operand is."""
    rng = np.random.default_rng([13, len(shape)])
    assert math.prod(shape) == MAX_ELEMENTS
    elements = elements_of_the_largest(rng)
    assert executor.run(build(Op.IOTA, I32, shape, (), []), elements).tolist() == elements

    seed, counter, site = 21, 5, 6
    bits = build(Op.RANDOM_BITS, I32, shape, (site,), [(I32, np.array(counter, np.int32))], seed)
    drawn = [threefry2x32(draw_key(seed, counter, site), (n >> 1, 0))[n & 1] for n in elements]
    assert executor.run(bits, elements).view(np.uint32).tolist() == drawn

    table = values_of(rng, I32, (7,))
    for fast, offset, stride in ((len(shape) - 1, 3, 1), (len(shape) - 1, 0, 5), (0, 6, -1)):
        mapping = tuple((0, stride if axis == fast else 0) for axis in range(len(shape)))
        spread = build(Op.VIEW, I32, shape, View((7,), (offset,), mapping, FILL), [(I32, table)])
        places = [offset + stride * unravel(element, shape)[fast] for element in elements]
        wanted = [int(table[at]) if 0 <= at < len(table) else FILL for at in places]
        assert executor.run(spread, elements).tolist() == wanted
