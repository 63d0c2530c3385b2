"""Elementwise ops: the executor gives the reference's bits, on 10,000 vectors an op (1,000,000 in long runs)."""

from __future__ import annotations

import numpy as np
import pytest

from lockstep.numerics.dtypes import DType
from lockstep.program.graph import Input, Node, TensorType
from lockstep.program.ops import ELEMENTWISE_FAMILIES, Family, InputKind, Op
from tests.differential.harness import ExecutorHarness
from tests.strategies.nodes import CASTS, FLOAT_COMPARE, SHIFTS, NodeCase
from tests.strategies.values import EDGE_F32_BITS, EDGE_I32, NOISY_NAN_BITS, Array, Rng, values_of

pytestmark = pytest.mark.chain

SHORT, LONG = 10_000, 1_000_000
PIECE = 250
"""Elements drawn from one regime of ``values_of``."""


def operands(op: Op) -> list[tuple[tuple[DType, ...], DType, tuple[int, ...]]]:
    """(operand dtypes, output dtype, attributes) of every form of an op."""
    if op is Op.CAST:
        return [((source,), dtype, ()) for source, dtype in CASTS]
    if op is Op.BITCAST:
        return [((DType.F32,), DType.I32, ()), ((DType.I32,), DType.F32, ())]
    if op is Op.SELECT:
        return [((DType.I32, dtype, dtype), dtype, ()) for dtype in (DType.F32, DType.I32)]
    if op in SHIFTS:
        return [((DType.I32,), DType.I32, (count,)) for count in (0, 1, 7, 8, 16, 31)]
    if op.family in (Family.FLOAT, Family.TRANSCENDENTAL):
        return [((DType.F32,) * (2 if op < Op.SQRT else 1), DType.F32, ())]
    return [((DType.F32 if op in FLOAT_COMPARE else DType.I32,) * 2, DType.I32, ())]


def edges(dtype: DType) -> Array:
    """Values worth meeting in every combination."""
    match dtype:
        case DType.F32:
            return np.array(EDGE_F32_BITS + NOISY_NAN_BITS, np.uint32).view(np.float32)
        case DType.I32:
            return np.array(EDGE_I32, np.int64).astype(np.int32)
        case _:
            return values_of(np.random.default_rng(0), dtype, (40,), hostile=True)


def near(rng: Rng, a: Array) -> Array:
    """Numbers a few units in the last place away from others, or from their negatives: cancellation, ties, equals."""
    bits = a.view(np.uint32) + rng.integers(-2, 3, a.shape).astype(np.uint32)
    return (bits ^ (rng.integers(0, 2, a.shape).astype(np.uint32) << 31)).view(np.float32)


def vectors(rng: Rng, dtypes: tuple[DType, ...], count: int) -> list[Array]:
    """Operands of ``count`` vectors: all combinations of edges first, then regimes in pieces."""
    grids = list(np.meshgrid(*[edges(dtype) for dtype in dtypes[:2]], indexing="ij"))
    grids += [values_of(rng, dtype, grids[0].shape) for dtype in dtypes[2:]]
    arrays = [[grid.reshape(-1)] for grid in grids]
    drawn = grids[0].size
    while drawn < count:
        piece = [values_of(rng, dtype, (PIECE,), hostile=True) for dtype in dtypes]
        if dtypes == (DType.F32, DType.F32) and rng.random() < 0.3:
            piece[1] = near(rng, piece[0])
        for whole, part in zip(arrays, piece, strict=True):
            whole.append(part)
        drawn += PIECE
    return [np.concatenate(parts)[:count] for parts in arrays]


def node_case(op: Op, dtypes: tuple[DType, ...], dtype: DType, attrs: tuple[int, ...], arrays: list[Array]) -> NodeCase:
    """A node over whole arrays."""
    shape = arrays[0].shape
    inputs = tuple(Input(InputKind.NODE, slot) for slot in range(len(arrays)))
    types = tuple(TensorType(operand, shape) for operand in dtypes)
    return NodeCase(Node(op, dtype, shape, inputs, attrs), tuple(arrays), types, 0, 0)


def compare(executor: ExecutorHarness, op: Op, count: int, seed: int) -> None:
    """Every form of an op on ``count`` vectors in all."""
    forms = operands(op)
    for number, (dtypes, dtype, attrs) in enumerate(forms):
        rng = np.random.default_rng([seed, op, number])
        case = node_case(op, dtypes, dtype, attrs, vectors(rng, dtypes, -(-count // len(forms))))
        got, want = executor.elementwise(case).view(np.uint32), case.value().reshape(-1).view(np.uint32)
        wrong = np.flatnonzero(got != want)
        shown = [
            (
                *(hex(int.from_bytes(array[i].tobytes(), "little")) for array in case.arrays if array is not None),
                hex(want[i]),
                hex(got[i]),
            )
            for i in wrong[:5]
        ]
        assert not wrong.size, f"{op.name} {attrs}: {wrong.size} differ; (operands, reference, executor): {shown}"


ELEMENTWISE = [op for op in Op if op.family in ELEMENTWISE_FAMILIES]


@pytest.mark.parametrize("op", ELEMENTWISE, ids=lambda op: op.name.lower())
def test_executor_equals_the_reference(executor: ExecutorHarness, op: Op) -> None:
    compare(executor, op, SHORT, 0)


@pytest.mark.long
@pytest.mark.parametrize("op", ELEMENTWISE, ids=lambda op: op.name.lower())
def test_executor_equals_the_reference_on_a_million(executor: ExecutorHarness, op: Op) -> None:
    for part in range(LONG // 50_000):
        compare(executor, op, 50_000, 1 + part)
