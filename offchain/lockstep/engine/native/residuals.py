"""Rows that are quantised twice: where ``Builder.quantized_parts`` made a residual part of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from lockstep.engine.native.access import collapse
from lockstep.numerics.dtypes import DType
from lockstep.program.graph import Input, Node
from lockstep.program.ops import EXPONENT_FLOOR_QUANTIZE, QUANTIZE_BITS, InputKind, Op

if TYPE_CHECKING:
    from lockstep.engine.native.lower import Lowering

_SHIFT = 127 - (QUANTIZE_BITS - 1)
_MANTISSA_BITS = 23


class TwoParts(NamedTuple):
    """Nodes: mantissas under the exponent in question, and exponent and mantissas of what they lost."""

    mantissas: int
    rest: int
    rest_mantissas: int


def find_residual(low: Lowering, exponent: int) -> TwoParts | None:
    """The residual part of the rows that ``exponent`` is of; None without one, or where others read what is between."""
    node = low.node(exponent)
    source = node.inputs[0]
    if node.attrs != (EXPONENT_FLOOR_QUANTIZE,):
        return None
    kept = [r for r in low.readers[exponent] if low.node(r).op is Op.QUANTIZE and low.node(r).inputs[0] == source]
    casts = [r for r in low.readers[exponent] if low.node(r).op is Op.CAST and low.node(r).dtype is DType.I32]
    if len(kept) != 1 or len(casts) != 1:
        return None
    unit = _follow(low, casts[0], Op.IADD, Op.SHL, Op.BITCAST, Op.VIEW, Op.MUL)
    mantissa_cast = [r for r in low.readers[kept[0]] if low.node(r).op is Op.CAST]
    if unit is None or len(mantissa_cast) != 1 or _only(low, mantissa_cast[0]) != unit[-1]:
        return None
    add, shift, _, _, product = unit
    lost = _only(low, product)
    if lost is None or low.node(lost).op is not Op.SUB or low.node(lost).inputs != (source, _node(product)):
        return None
    if low.node(add).inputs[1] != Input(InputKind.I32, _SHIFT) or low.node(shift).attrs != (_MANTISSA_BITS,):
        return None
    if low.node(product).inputs != (_node(mantissa_cast[0]), _node(unit[3])) or not _is_of_rows(low, product):
        return None
    rest = [r for r in low.readers[lost] if low.node(r).op is Op.EXPONENT]
    if len(rest) != 1 or low.node(rest[0]).attrs != node.attrs or lost in low.wanted:
        return None
    last = [r for r in low.readers[lost] if low.node(r).inputs == (_node(lost), _node(rest[0]))]
    if len(last) != 1 or set(low.readers[lost]) != {rest[0], last[0]} or low.node(last[0]).op is not Op.QUANTIZE:
        return None
    found = TwoParts(kept[0], rest[0], last[0])
    written = low.products.layouts.keys() | low.products.unread
    return None if written & {found.mantissas, found.rest_mantissas} else found


def _node(index: int) -> Input:
    return Input(InputKind.NODE, index)


def _only(low: Lowering, index: int) -> int | None:
    """The only reader of a node that nobody outside wants."""
    readers = low.readers[index]
    return readers[0] if len(readers) == 1 and index not in low.wanted else None


def _follow(low: Lowering, index: int, *ops: Op) -> list[int] | None:
    """The nodes after ``index``, each the only reader of the one before, if they are of these ops."""
    found: list[int] = []
    for op in ops:
        reader = _only(low, found[-1] if found else index)
        if reader is None or low.node(reader).op is not op:
            return None
        found.append(reader)
    return found


def _is_of_rows(low: Lowering, product: int) -> bool:
    """Whether the second factor has one number for each of the rows (the last axis) of the first."""
    node: Node = low.node(product)
    rows, length = math.prod(node.shape[:-1]), node.shape[-1]
    _, access = low.resolve(node.inputs[1])
    return (
        not access.bounds and not access.offset and collapse(access.dims) == collapse(((rows, 1, ()), (length, 0, ())))
    )
