"""What one element of a node's output reads: the runs of input elements a dispute's last move proves.

The table is ``docs/PROGRAM.md``'s column "leaf reads"; twin of what ``contracts/executor`` expects.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from lockstep.program.graph import Concat, Node, Shape, TensorType, View
from lockstep.program.ops import ELEMENTWISE_FAMILIES, InputKind, Op

PROVEN_KINDS = frozenset({InputKind.NODE, InputKind.STATE, InputKind.CONST, InputKind.COMMITTED})
"""Inputs a leaf reads from proofs; STEP, SEED and literals it takes from the task and the node."""


class LeafRead(NamedTuple):
    """A run of ``length`` elements of the tensor at input ``slot``, from row-major index ``start``.

    For a ``state`` node: the tensor root of input ``slot`` (start 0, length 1). Length 0: the tensor's type alone.
    """

    slot: int
    start: int
    length: int


def unravel(element: int, shape: Shape) -> tuple[int, ...]:
    """Multi-dimensional index of a row-major element number."""
    index = []
    for extent in reversed(shape):
        element, at = divmod(element, extent)
        index.append(at)
    return tuple(reversed(index))


def ravel(index: Sequence[int], shape: Shape) -> int:
    """Row-major element number of a multi-dimensional index."""
    element = 0
    for at, extent in zip(index, shape, strict=True):
        element = element * extent + at
    return element


def view_source(view: View, shape: Shape, element: int) -> int | None:
    """Source element that output ``element`` of a view copies; None where it is the fill."""
    source = list(view.offset)
    for at, (axis, stride) in zip(unravel(element, shape), view.mapping, strict=True):
        if stride:
            source[axis] += stride * at
    if any(not 0 <= at < extent for at, extent in zip(source, view.src_shape, strict=True)):
        return None
    return ravel(source, view.src_shape)


def concat_source(attrs: Concat, shape: Shape, element: int) -> tuple[int, int]:
    """(slot, source element) that output ``element`` of a concat copies."""
    index = list(unravel(element, shape))
    slot = 0
    while index[attrs.axis] >= attrs.extents[slot]:
        index[attrs.axis] -= attrs.extents[slot]
        slot += 1
    part = (*shape[: attrs.axis], attrs.extents[slot], *shape[attrs.axis + 1 :])
    return slot, ravel(index, part)


def matmul_rows(node: Node, element: int) -> tuple[int, int]:
    """The rows of the operands [L, M, K] and [L, N, K] that an element of a matmul contracts."""
    m, n = node.shape[-2:]
    return element // n, element // (m * n) * n + element % n


def leaf_reads(
    node: Node, element: int, types: Sequence[TensorType | None], index: Callable[[int], int]
) -> list[LeafRead]:
    """The reads of output ``element`` of a well-formed node, in the order the executor expects.

    That is by input slot, except that a gather reads its index first. One leaf does not carry a row of several blocks
    (``lockstep.program.long_rows``): the executor refuses it. Inputs that are STEP, SEED or
    literals are never among them. ``types`` has the type of each NODE, STATE and CONST input by slot
    (None for other kinds). ``index(i)`` gives element i of a gather's index tensor as a signed number,
    whatever kind of input it is; no other op calls it.
    """
    if not 0 <= element < math.prod(node.shape):
        raise ValueError(f"A node of shape {node.shape} has no element {element}.")
    reads = [LeafRead(*run) for run in _runs(node, element, types, index)]
    return [read for read in reads if node.inputs[read.slot].kind in PROVEN_KINDS]


def _runs(
    node: Node, element: int, types: Sequence[TensorType | None], index: Callable[[int], int]
) -> list[tuple[int, int, int]]:
    op = node.op
    if op.family in ELEMENTWISE_FAMILIES:
        return [(slot, element, 1) for slot in range(len(node.inputs))]
    if op in (Op.IOTA, Op.STATE):
        return [] if op is Op.IOTA else [(element, 0, 1)]
    if op is Op.RANDOM_BITS:
        return [(0, 0, 1)]
    if op is Op.SHUFFLE:
        return [(0, element, 1), (1, 0, 1)]
    if isinstance(node.attrs, View):
        source = view_source(node.attrs, node.shape, element)
        return [] if source is None else [(0, source, 1)]
    if isinstance(node.attrs, Concat):
        return [(*concat_source(node.attrs, node.shape, element), 1)]

    def shape(slot: int) -> Shape:
        found = types[slot]
        assert found is not None, f"{op.name} needs the type of input {slot}."
        return found.shape

    if op is Op.GATHER:
        table = shape(0) if node.inputs[0].kind is not InputKind.SEED else (2,)
        rest = math.prod(table[1:])
        position, within = divmod(element, rest)
        row = index(position)
        # Out of range the table's first element is read all the same: how many rows there are is in its
        # header, and the executor must not take the caller's word for it.
        source = row * rest + within if 0 <= row < table[0] else 0
        return [(1, position, 1), (0, source, 1)]

    k = shape(0)[-1]
    match op:
        case Op.EXPONENT | Op.REDUCE_MAX | Op.ARGMAX:
            return [(0, element * k, k)]
        case Op.QUANTIZE:
            return [(0, element, 1), (1, element // k, 1)]
        case Op.MATMUL:
            a, b = matmul_rows(node, element)
            return [(0, a * k, k), (1, a, 1), (2, b * k, k), (3, b, 1)]
        case Op.SUM:
            return [(0, element * k, k), (1, element, 1)]
        case Op.SORT | Op.ARGSORT:
            return [(0, element // k * k, k)]
        case Op.SCATTER_ADD:
            c = element // node.shape[1]
            return [(0, c * k, k), (1, 0, k), (2, c, 1)]
    raise AssertionError(f"{op.name} has no leaf.")
