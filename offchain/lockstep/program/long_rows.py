"""Elements whose row is longer than one leaf carries: its blocks, what each reads, their parts, and what these make.

``exponent``, ``matmul``, ``sum``, ``reduce_max``, ``argmax`` and ``scatter_add`` have such rows. The parts are
``lockstep.numerics.parts``; the twin on chain is ``contracts/executor/LongRows.sol``; the rules in words are
``docs/PROGRAM.md``, "Rows of several blocks".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lockstep.numerics import parts
from lockstep.numerics.dtypes import ITEMSIZE
from lockstep.program.graph import Node, TensorType
from lockstep.program.leaf import LeafRead, matmul_rows
from lockstep.program.ops import ROW_BLOCK, SCATTER_BLOCK, Op

PART_BYTES = 8
_MAX_OPS = (Op.EXPONENT, Op.REDUCE_MAX, Op.ARGMAX)
_BLOCK = {**dict.fromkeys((*_MAX_OPS, Op.MATMUL, Op.SUM), ROW_BLOCK), Op.SCATTER_ADD: SCATTER_BLOCK}
"""Elements of a block, by op."""

Array = npt.NDArray[Any]


def block_size(op: Op) -> int | None:
    """Elements of a block of the op's rows; None where rows are never cut."""
    return _BLOCK.get(op)


def row_blocks(node: Node, types: Sequence[TensorType | None]) -> int:
    """Blocks of a row of a well-formed node whose proven inputs have these types: 1 where one leaf carries the row."""
    size = _BLOCK.get(node.op)
    if size is None:
        return 1
    return -(-_length(types) // size)


def _length(types: Sequence[TensorType | None]) -> int:
    assert types[0] is not None, "Input 0 of an op with rows is a tensor."
    return types[0].shape[-1]


def opening_reads(node: Node, element: int) -> list[LeafRead]:
    """What says how the parts of an element's row combine: the type of the operand with the row, and exponents."""
    reads = [LeafRead(0, 0, 0)]
    if node.op is Op.MATMUL:
        a, b = matmul_rows(node, element)
        reads += [LeafRead(1, a, 1), LeafRead(3, b, 1)]
    elif node.op is Op.SUM:
        reads.append(LeafRead(1, element, 1))
    elif node.op is Op.SCATTER_ADD:
        reads.append(LeafRead(2, element // node.shape[1], 1))
    return reads


def block_reads(node: Node, element: int, block: int, types: Sequence[TensorType | None]) -> list[LeafRead]:
    """What the part of one block of an element's row reads, by slot."""
    length, size = _length(types), _BLOCK[node.op]
    if not 0 <= block * size < length:
        raise ValueError(f"A row of {length} elements has no block {block}.")
    start, count = block * size, min(size, length - block * size)
    if node.op is Op.MATMUL:
        a, b = matmul_rows(node, element)
        return [LeafRead(0, a * length + start, count), LeafRead(2, b * length + start, count)]
    if node.op is Op.SCATTER_ADD:
        channel = element // node.shape[1]
        return [LeafRead(0, channel * length + start, count), LeafRead(1, start, count), LeafRead(2, channel, 1)]
    run = LeafRead(0, element * length + start, count)
    return [run, LeafRead(1, element, 1)] if node.op is Op.SUM else [run]


def block_part(node: Node, element: int, block: int, runs: Sequence[Array]) -> int:
    """The part of a block from what it reads: an array for each of ``block_reads``."""
    match node.op:
        case Op.MATMUL:
            return parts.contract(runs[0], runs[1])
        case Op.SUM:
            return parts.add(runs[0], int(runs[1][0]))
        case Op.SCATTER_ADD:
            return parts.scatter(runs[0], runs[1], int(runs[2][0]), element % node.shape[1])
        case Op.EXPONENT:
            assert isinstance(node.attrs, tuple)
            return parts.block_exponent(runs[0], node.attrs[0])
        case Op.REDUCE_MAX:
            return parts.largest_key(runs[0])
        case Op.ARGMAX:
            return parts.largest_place(runs[0], block * _BLOCK[node.op])
    raise ValueError(f"Rows of {node.op.name} have no parts.")


def combine(node: Node, exponents: Sequence[int], given: Sequence[int]) -> bytes:
    """The element, as little-endian bytes, that parts make.

    ``exponents`` are those that ``opening_reads`` reads, in its order. Any signed 64-bit numbers combine to something.
    """
    match node.op:
        case Op.MATMUL:
            bits = parts.contracted(sum(given), exponents[0], exponents[1])
        case Op.SUM | Op.SCATTER_ADD:
            bits = parts.added(sum(given), exponents[0])
        case Op.EXPONENT:
            bits = parts.of_exponent(max(given))
        case Op.REDUCE_MAX:
            bits = parts.of_key(max(given))
        case Op.ARGMAX:
            bits = parts.of_place(max(given))
        case _:
            raise ValueError(f"Rows of {node.op.name} have no parts.")
    return bits.to_bytes(ITEMSIZE[node.dtype], "little")


def encode_parts(given: Sequence[int]) -> bytes:
    """Parts as a reveal shows them: 8 bytes each, big-endian."""
    return np.array(given, ">i8").tobytes()


def decode_parts(data: bytes) -> list[int]:
    """Parts from a reveal's bytes, whose number is a multiple of 8."""
    return [int(part) for part in np.frombuffer(data, ">i8")]
