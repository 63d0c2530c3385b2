"""Random nodes whose rows have several blocks, and what a dispute says of their elements.

Two rows of an operand at most, the last block short: long enough for every boundary, small enough for the reference.
"""

from __future__ import annotations

import numpy as np

from lockstep.numerics import contraction
from lockstep.numerics.dtypes import DType
from lockstep.numerics.float32 import canonical
from lockstep.program.graph import Attrs, Input, Node, Shape, TensorType
from lockstep.program.leaf import LeafRead
from lockstep.program.long_rows import block_part, block_reads, block_size, opening_reads, row_blocks
from lockstep.program.ops import EXPONENT_FLOOR_QUANTIZE, EXPONENT_FLOOR_SUM, InputKind, Op
from tests.strategies.nodes import NodeCase
from tests.strategies.values import Array, Rng, e16_values, f32_values, i32_values, m16_values

LONG_OPS = (Op.EXPONENT, Op.MATMUL, Op.SUM, Op.REDUCE_MAX, Op.ARGMAX, Op.SCATTER_ADD)
F32, I32, M16, E16 = DType.F32, DType.I32, DType.M16, DType.E16


def long_case(rng: Rng, op: Op, length: int, hostile: bool = False) -> NodeCase:
    """A node of ``op`` over rows of ``length``; ``hostile``: over what only a liar would commit, too."""
    if op is Op.MATMUL:
        a, b = (m16_values(rng, (rows, length), hostile) for rows in (2, 2))
        ea, eb = (e16_values(rng, (2,), hostile) for _ in range(2))
        return _case(op, F32, (2, 2), (), (M16, a), (E16, ea), (M16, b), (E16, eb))
    x = np.concatenate([f32_values(rng, (1, length), noisy=hostile) for _ in range(2)])
    if op in (Op.SUM, Op.SCATTER_ADD):
        e = contraction.exponent(canonical(x), EXPONENT_FLOOR_SUM)
        if hostile and rng.random() < 0.5:
            e = e16_values(rng, (2,), hostile)
        if op is Op.SUM:
            return _case(op, F32, (2,), (), (F32, x), (E16, e))
        rows = int(rng.choice([1, 3]))
        index = rng.integers(-1, rows + 1, length).astype(np.int32)
        if rng.random() < 0.2:
            index = i32_values(rng, (length,))
        return _case(op, F32, (2, rows), (), (F32, x), (I32, index), (E16, e))
    if op is Op.EXPONENT:
        floor = int(rng.choice([EXPONENT_FLOOR_QUANTIZE, EXPONENT_FLOOR_SUM]))
        return _case(op, E16, (2,), (floor,), (F32, x))
    return _case(op, I32 if op is Op.ARGMAX else F32, (2,), (), (F32, x))


def random_long_case(rng: Rng, op: Op, hostile: bool = False) -> NodeCase:
    """As ``long_case``, of two or three blocks, the last perhaps short."""
    size = block_size(op)
    assert size is not None
    return long_case(rng, op, size * int(rng.integers(1, 3)) + int(rng.choice([1, 2, 3, 17, size])), hostile)


def _case(op: Op, dtype: DType, shape: Shape, attrs: Attrs, *operands: tuple[DType, Array]) -> NodeCase:
    inputs = tuple(Input(InputKind.NODE, slot) for slot in range(len(operands)))
    types = tuple(TensorType(operand, array.shape) for operand, array in operands)
    return NodeCase(Node(op, dtype, shape, inputs, attrs), tuple(array for _, array in operands), types, 0, 0)


def run_of(case: NodeCase, read: LeafRead) -> Array:
    """The elements of a read."""
    return case.operand(read.slot).reshape(-1)[read.start : read.start + read.length]


def parts_of(case: NodeCase, element: int) -> list[int]:
    """The parts of an element's row."""
    return [part_of(case, element, block) for block in range(row_blocks(case.node, case.types))]


def part_of(case: NodeCase, element: int, block: int) -> int:
    """The part of one block."""
    reads = block_reads(case.node, element, block, case.types)
    return block_part(case.node, element, block, [run_of(case, read) for read in reads])


def exponents_of(case: NodeCase, element: int) -> list[int]:
    """The exponents by which an element's parts combine."""
    return [int(run_of(case, read)[0]) for read in opening_reads(case.node, element)[1:]]


def element_bytes(case: NodeCase, element: int) -> bytes:
    """The element as the reference gives it, little-endian."""
    return bytes(np.ascontiguousarray(case.value()).reshape(-1)[element : element + 1].view(np.uint8))
