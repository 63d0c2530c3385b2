"""ATen operators that move elements: nearly all are one ``view``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lockstep.numerics.dtypes import DType
from lockstep.program.emitter import Value
from lockstep.program.graph import View
from lockstep.program.lowering.registry import Context, lowers


@lowers("view", "_unsafe_view", "reshape", "flatten.using_ints", "squeeze", "squeeze.dim", "squeeze.dims", "unsqueeze")
def reshape(c: Context, x: Value, *_rest: Any) -> Value:
    """The same elements in the node's shape."""
    return c.b.reshape(x, c.shape)


@lowers("t")
def t(c: Context, x: Value) -> Value:
    """Rows and columns exchanged; vectors as they are."""
    return c.b.transpose(x) if len(x.shape) == 2 else x


@lowers("transpose.int")
def transpose(c: Context, x: Value, a: int, b: int) -> Value:
    """Two axes exchanged."""
    return c.b.transpose(x, a, b) if x.shape else x


@lowers("permute")
def permute(c: Context, x: Value, order: Sequence[int]) -> Value:
    """Axes in another order."""
    return c.b.permute(x, order)


@lowers("expand")
def expand(c: Context, x: Value, *_rest: Any, **_options: Any) -> Value:
    """Widened to the node's shape."""
    return c.b.expand(x, c.shape)


@lowers("repeat")
def repeat(c: Context, x: Value, counts: Sequence[int]) -> Value:
    """The tensor repeated along its axes."""
    shape = (1,) * (len(counts) - len(x.shape)) + x.shape
    spread = tuple(extent for pair in zip(counts, shape, strict=True) for extent in pair)
    between = tuple(extent for size in shape for extent in (1, size))
    return c.b.reshape(c.b.expand(c.b.reshape(x, between), spread), c.shape)


@lowers("slice.Tensor")
def slice_(
    c: Context, x: Value, axis: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Value:
    """Every ``step``-th element of an axis from a start."""
    axis %= len(x.shape)
    first = slice(start, end).indices(x.shape[axis])[0]
    return c.b.slice(x, axis, first, c.shape[axis], step)


@lowers("select.int")
def select(c: Context, x: Value, axis: int, index: int) -> Value:
    """One element of an axis, the axis dropped."""
    return c.b.reshape(c.b.slice(x, axis, index % x.shape[axis], 1), c.shape)


def _scattered(c: Context, part: Value, shape: Sequence[int], axis: int, start: int, step: int) -> Value:
    """``part`` at every ``step``-th place of an axis from ``start``, zeros elsewhere."""
    axis %= len(shape)
    if step == 1:
        return c.b.pad(part, axis, start, shape[axis] - start - part.shape[axis])
    count = part.shape[axis]
    lead, rest = math.prod(part.shape[:axis]), math.prod(part.shape[axis + 1 :])
    spread = View((lead, count, 1, rest), (0, 0, 0, 0), ((0, 1), (1, 1), (2, 1), (3, 1)))
    wide = c.b.reshape(c.b.view(part, spread, (lead, count, step, rest)), (lead, count * step, rest))
    return c.b.reshape(c.b.pad(wide, 1, start, shape[axis] - start - count * step), tuple(shape))


@lowers("slice_backward")
def slice_backward(c: Context, grad: Value, sizes: Sequence[int], axis: int, start: int, end: int, step: int) -> Value:
    """The gradient at the sliced places, zeros elsewhere."""
    first = slice(start, end).indices(sizes[axis])[0]
    return _scattered(c, grad, c.shape, axis, first, step)


@lowers("select_backward")
def select_backward(c: Context, grad: Value, sizes: Sequence[int], axis: int, index: int) -> Value:
    """The gradient at the selected place, zeros elsewhere."""
    axis %= len(sizes)
    row = c.b.reshape(grad, (*c.shape[:axis], 1, *c.shape[axis + 1 :]))
    return _scattered(c, row, c.shape, axis, index % sizes[axis], 1)


def _replaced(c: Context, x: Value, part: Value, axis: int, start: int) -> Value:
    """``x`` with ``part`` in place of the elements of an axis from ``start``."""
    end = start + part.shape[axis]
    pieces = [c.b.slice(x, axis, 0, start)] if start else []
    pieces.append(part)
    if end < x.shape[axis]:
        pieces.append(c.b.slice(x, axis, end, x.shape[axis] - end))
    return c.b.concat([c.b.materialise(piece) for piece in pieces], axis)


@lowers("select_scatter")
def select_scatter(c: Context, x: Value, part: Value, axis: int, index: int) -> Value:
    """One element of an axis replaced."""
    axis %= len(x.shape)
    row = c.b.reshape(part, (*x.shape[:axis], 1, *x.shape[axis + 1 :]))
    return _replaced(c, x, row, axis, index % x.shape[axis])


@lowers("slice_scatter")
def slice_scatter(
    c: Context, x: Value, part: Value, axis: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Value:
    """Every ``step``-th element of an axis from a start replaced."""
    axis %= len(x.shape)
    first = slice(start, end).indices(x.shape[axis])[0]
    if step == 1:
        return _replaced(c, x, part, axis, first)
    b, extent = c.b, x.shape[axis]
    place = b.isub(b.iota((extent,)), first)
    ours = b.bit_and(b.ile(0, place), b.ieq(b.umod(place, step), 0))
    ours = b.bit_and(ours, b.ilt(place, step * part.shape[axis]))
    wide = b.view(ours, View((extent,), (0,), tuple((0, int(a == axis)) for a in range(len(x.shape)))), x.shape)
    return b.select(wide, _scattered(c, b.materialise(part), x.shape, axis, first, step), b.materialise(x))


@lowers("tril", "triu")
def triangle(c: Context, x: Value, diagonal: int = 0) -> Value:
    """The lower or the upper triangle of matrices, 0 elsewhere."""
    rows, columns = x.shape[-2:]
    row = c.b.expand_rows(c.b.iota((rows,)), columns)
    column = c.b.expand(c.b.iota((columns,)), (rows, columns))
    limit = c.b.iadd(row, diagonal) if diagonal else row
    lower = "tril" in str(c.node.target)
    inside = c.b.ile(column, limit) if lower else c.b.ile(limit, column)
    zero = c.b.f32(0.0, x.shape) if x.dtype is DType.F32 else c.b.i32(0, x.shape)
    return c.b.select(c.b.expand(inside, x.shape), x, zero)


@lowers("cat")
def cat(c: Context, values: Sequence[Value], axis: int = 0) -> Value:
    """Tensors joined along an axis."""
    return c.b.concat([c.b.materialise(value) for value in values], axis)


@lowers("stack")
def stack(c: Context, values: Sequence[Value], axis: int = 0) -> Value:
    """Tensors joined along a new axis."""
    axis %= len(c.shape)
    single = (*c.shape[:axis], 1, *c.shape[axis + 1 :])
    return c.b.concat([c.b.reshape(c.b.materialise(value), single) for value in values], axis)


@lowers("split.Tensor", "split_with_sizes", "unsafe_split.Tensor", "unsafe_split_with_sizes")
def split(c: Context, x: Value, sizes: int | Sequence[int], axis: int = 0) -> tuple[Value, ...]:
    """Pieces of an axis."""
    axis %= len(x.shape)
    parts, start = [], 0
    for piece in c.node.meta["val"]:
        parts.append(c.b.slice(x, axis, start, int(piece.shape[axis])))
        start += int(piece.shape[axis])
    return tuple(parts)


@lowers("unbind.int")
def unbind(c: Context, x: Value, axis: int = 0) -> tuple[Value, ...]:
    """The slices of an axis, the axis dropped."""
    axis %= len(x.shape)
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    return tuple(c.b.reshape(c.b.slice(x, axis, i, 1), shape) for i in range(x.shape[axis]))


@lowers("flip")
def flip(c: Context, x: Value, axes: Sequence[int]) -> Value:
    """Axes in reverse."""
    for axis in axes:
        x = c.b.flip(x, axis)
    return x


@lowers("roll")
def roll(c: Context, x: Value, shifts: Sequence[int], axes: Sequence[int] = ()) -> Value:
    """Axes moved on, what leaves at the end coming in at the start."""
    shape = x.shape
    if not axes:
        x, axes = c.b.reshape(x, (math.prod(shape),)), (0,)
    for shift, axis in zip(shifts, axes, strict=True):
        extent = x.shape[axis]
        start = -int(shift) % extent
        if start:
            parts = [c.b.slice(x, axis, start, extent - start), c.b.slice(x, axis, 0, start)]
            x = c.b.concat([c.b.materialise(part) for part in parts], axis)
    return c.b.reshape(x, shape)


@lowers("diagonal")
def diagonal(c: Context, x: Value, offset: int = 0, a: int = 0, b: int = 1) -> Value:
    """A diagonal of two axes as a new last axis."""
    rank = len(x.shape)
    a, b = a % rank, b % rank
    start = [0] * rank
    start[a if offset < 0 else b] = abs(offset)
    kept = [(axis, 1) for axis in range(rank) if axis not in (a, b)]
    # both axes at once, row by row: read as one axis of extent rows * columns
    moved = c.b.permute(x, [axis for axis, _ in kept] + [a, b])
    columns = x.shape[b]
    flat = (*moved.shape[:-2], x.shape[a] * columns)
    offsets = (*(0,) * len(kept), start[a] * columns + start[b])
    mapping = (*((axis, 1) for axis in range(len(kept))), (len(kept), columns + 1))
    return c.b.view(moved, View(flat, offsets, mapping), c.shape)


def _on_diagonal(c: Context, x: Value, offset: int, rows: int, columns: int) -> Value:
    """[.., D] on a diagonal of matrices [.., rows, columns], 0 elsewhere."""
    b, shape = c.b, (*x.shape[:-1], rows, columns)
    row = b.expand_rows(b.iota((rows,)), columns)
    column = b.expand(b.iota((columns,)), (rows, columns))
    on = b.ieq(b.iadd(row, offset), column)
    at = (*(0,) * (len(x.shape) - 1), min(offset, 0))
    mapping = (*((axis, 1) for axis in range(len(x.shape))), (0, 0))
    return b.select(b.expand(on, shape), b.view(b.materialise(x), View(x.shape, at, mapping), shape), 0.0)


@lowers("diagonal_backward")
def diagonal_backward(c: Context, grad: Value, sizes: Sequence[int], offset: int, a: int, b: int) -> Value:
    """The gradient on the diagonal, zeros elsewhere."""
    rank = len(sizes)
    a, b = a % rank, b % rank
    order = [*(axis for axis in range(rank) if axis not in (a, b)), a, b]
    made = _on_diagonal(c, grad, offset, sizes[a], sizes[b])
    return c.b.permute(made, [order.index(axis) for axis in range(rank)])


@lowers("diag_embed")
def diag_embed(c: Context, x: Value, offset: int = 0, a: int = -2, b: int = -1) -> Value:
    """The last axis on a diagonal of two new axes, zeros elsewhere."""
    rank, side = len(x.shape) + 1, x.shape[-1] + abs(offset)
    a, b = a % rank, b % rank
    order = [*(axis for axis in range(rank) if axis not in (a, b)), a, b]
    return c.b.permute(_on_diagonal(c, x, offset, side, side), [order.index(axis) for axis in range(rank)])


@lowers("unfold")
def unfold(c: Context, x: Value, axis: int, size: int, step: int) -> Value:
    """Windows along an axis, their elements a new last axis."""
    axis %= len(x.shape)
    mapping = (*((a, step if a == axis else 1) for a in range(len(x.shape))), (axis, 1))
    return c.b.view(x, View(x.shape, (0,) * len(x.shape), mapping), c.shape)


@lowers("unfold_backward")
def unfold_backward(c: Context, grad: Value, sizes: Sequence[int], axis: int, size: int, step: int) -> Value:
    """The sum, in the order of the windows' elements, of the gradients of what saw each place."""
    axis %= len(sizes)
    total: Value | None = None
    for tap in range(size):
        part = c.b.reshape(c.b.slice(grad, -1, tap, 1), grad.shape[:-1])
        placed = _scattered(c, part, sizes, axis, tap, step)
        total = placed if total is None else c.b.add(total, placed)
    assert total is not None
    return total


@lowers("pixel_shuffle")
def pixel_shuffle(c: Context, x: Value, factor: int) -> Value:
    """Channels [.., C r r, H, W] as finer images [.., C, H r, W r]."""
    *lead, channels, rows, columns = x.shape
    count, n = channels // factor**2, len(lead)
    parts = c.b.reshape(x, (*lead, count, factor, factor, rows, columns))
    return c.b.reshape(c.b.permute(parts, (*range(n), n, n + 3, n + 1, n + 4, n + 2)), c.shape)


@lowers("pixel_unshuffle")
def pixel_unshuffle(c: Context, x: Value, factor: int) -> Value:
    """Images [.., C, H r, W r] as channels [.., C r r, H, W]."""
    *lead, channels, rows, columns = x.shape
    n = len(lead)
    parts = c.b.reshape(x, (*lead, channels, rows // factor, factor, columns // factor, factor))
    return c.b.reshape(c.b.permute(parts, (*range(n), n, n + 2, n + 4, n + 1, n + 3)), c.shape)


@lowers("channel_shuffle", "native_channel_shuffle")
def channel_shuffle(c: Context, x: Value, groups: int) -> Value:
    """Channels [N, C, ..] read as groups by members, written as members by groups."""
    n, channels, *rest = x.shape
    parts = c.b.reshape(x, (n, groups, channels // groups, math.prod(rest)))
    return c.b.reshape(c.b.permute(parts, (0, 2, 1, 3)), c.shape)


@lowers("constant_pad_nd")
def constant_pad_nd(c: Context, x: Value, pads: Sequence[int], value: float = 0.0) -> Value:
    """Axes from the last longer (or shorter) at both ends by one number."""
    literal = c.b.literal_like(value if x.dtype is DType.F32 else int(value), x.dtype)
    for at in range(len(pads) // 2):
        x = c.b.pad(x, -1 - at, pads[2 * at], pads[2 * at + 1], literal.source.value)
    return x


@lowers("embedding")
def embedding(c: Context, table: Value, index: Value, *_rest: Any, **_options: Any) -> Value:
    """Rows of a table."""
    return c.b.gather(table, index)


@lowers("embedding_dense_backward")
def embedding_dense_backward(
    c: Context, grad: Value, index: Value, rows: int, padding: int = -1, by_frequency: bool = False
) -> Value:
    """Exact sums of the gradients that share a row; a padding row gets none."""
    if by_frequency:
        raise c.refuse("scale_grad_by_freq is not carried")
    width = grad.shape[-1]
    flat = c.b.reshape(index, (math.prod(index.shape),))
    columns = c.b.transpose(c.b.reshape(grad, (flat.shape[0], width)))
    if padding >= 0:
        flat = c.b.select(c.b.ieq(flat, padding), -1, flat)
    return c.b.transpose(c.b.scatter_add(columns, flat, rows))
