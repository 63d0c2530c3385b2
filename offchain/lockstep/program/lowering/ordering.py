"""ATen's orders along an axis: sort, top k, largest and smallest with their places, running sums and maxima."""

from __future__ import annotations

import math

from lockstep.numerics.dtypes import DType
from lockstep.program.emitter import Value
from lockstep.program.graph import View
from lockstep.program.lowering.registry import Context, lowers
from lockstep.program.ops import MAX_ELEMENTS, MAX_SORT_ROW, Op

F32, I32 = DType.F32, DType.I32
Pair = tuple[Value, Value]
_MINUS_INFINITY = 0xFF800000


def _ascending(c: Context, rows: Value, descending: bool) -> Pair:
    """Rows sorted with the places the elements had, stable in both directions."""
    if rows.shape[-1] > MAX_SORT_ROW:
        raise c.refuse(f"a row of {rows.shape[-1]} elements; one leaf can sort {MAX_SORT_ROW}", "Use amax or argmax.")
    keys = c.b.neg(rows) if descending else rows
    values = c.b.emit(Op.SORT, [keys], F32, keys.shape)
    places = c.b.emit(Op.ARGSORT, [keys], I32, keys.shape)
    return (c.b.neg(values) if descending else values), places


@lowers("sort")
def sort(c: Context, x: Value, axis: int = -1, descending: bool = False) -> Pair:
    """An axis in order, and the places; equals keep their order. -0 is below +0."""
    values, places = _ascending(c, c.b.materialise(c.b.transpose(x, axis, -1)), descending)
    return c.b.transpose(values, axis, -1), c.b.transpose(places, axis, -1)


@lowers("sort.stable")
def sort_stable(c: Context, x: Value, *, stable: bool | None = None, dim: int = -1, descending: bool = False) -> Pair:
    """As ``sort``, which is stable."""
    return sort(c, x, dim, descending)


@lowers("topk")
def topk(c: Context, x: Value, k: int, axis: int = -1, largest: bool = True, _sorted: bool = True) -> Pair:
    """The ``k`` largest (or smallest) of an axis in order, and their places."""
    values, places = _ascending(c, c.b.transpose(x, axis, -1), largest)
    top, where = (c.b.slice(part, -1, 0, k) for part in (values, places))
    return c.b.transpose(top, axis, -1), c.b.transpose(where, axis, -1)


def _extreme(c: Context, x: Value, axis: int, keepdim: bool, negative: bool) -> Pair:
    rows = c.b.rows(c.b.neg(x) if negative else x, [axis])
    value, place = c.b.max_rows(rows), c.b.argmax_rows(rows)
    shape = tuple(int(extent) for extent in c.node.meta["val"][0].shape)
    return c.b.reshape(c.b.neg(value) if negative else value, shape), c.b.reshape(place, shape)


@lowers("max.dim")
def max_(c: Context, x: Value, axis: int, keepdim: bool = False) -> Pair:
    """The largest of an axis and its place, the lowest of equals."""
    return _extreme(c, x, axis, keepdim, False)


@lowers("min.dim")
def min_(c: Context, x: Value, axis: int, keepdim: bool = False) -> Pair:
    """The smallest of an axis and its place, the lowest of equals."""
    return _extreme(c, x, axis, keepdim, True)


def _prefixes(c: Context, x: Value, axis: int, fill: int) -> Value:
    """[.., K, K]: for each element along the axis (moved last) the row up to it, filled before the start."""
    rows = c.b.transpose(x, axis, -1) if x.shape else c.b.reshape(x, (1,))
    *lead, length = rows.shape
    count = math.prod(lead)
    if count * length * length > MAX_ELEMENTS // 16:
        raise c.refuse(f"a running sum along {length} elements of {count} rows is not carried", "Use shorter rows.")
    seen = View((count, length), (0, 1 - length), ((0, 1), (1, 1), (1, 1)), fill)
    return c.b.reshape(c.b.view(c.b.reshape(rows, (count, length)), seen, (count, length, length)),
                       (*lead, length, length))  # fmt: skip


@lowers("cumsum")
def cumsum(c: Context, x: Value, axis: int, **_options: object) -> Value:
    """Running sums along an axis, each an exact sum rounded once; K elements read K^2."""
    whole = x.dtype is not F32
    y = c.b.sum_rows(_prefixes(c, c.b.cast(x, F32), axis, 0))
    y = c.b.transpose(y, axis, -1) if x.shape else c.b.reshape(y, ())
    return c.b.cast(y, I32) if whole and not c.node.meta["val"].dtype.is_floating_point else y


@lowers("cummax")
def cummax(c: Context, x: Value, axis: int) -> Pair:
    """Running maxima along an axis, and their places (the lowest of equals)."""
    rows = _prefixes(c, x, axis, _MINUS_INFINITY)
    length = rows.shape[-1]
    # the prefix of element i starts at place length - 1 - i of its row
    start = c.b.expand(c.b.isub(length - 1, c.b.iota((length,))), rows.shape[:-1])
    place = c.b.isub(c.b.argmax_rows(rows), start)
    return c.b.transpose(c.b.max_rows(rows), axis, -1), c.b.transpose(place, axis, -1)
