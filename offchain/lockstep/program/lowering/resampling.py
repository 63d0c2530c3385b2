"""ATen's upsampling, one axis after another.

Nearest neighbours are views (a whole factor) or gathers, their gradients exact sums. Linear interpolation is a
contraction with the hat functions ``max(0, 1 - |source(o) - i|)``, its gradient one with their transpose.
"""

from __future__ import annotations

from collections.abc import Sequence

from lockstep.numerics.dtypes import DType
from lockstep.program.emitter import Value
from lockstep.program.lowering.indexing import put_add, take
from lockstep.program.lowering.registry import Context, lowers

F32, I32 = DType.F32, DType.I32


def _ratio(given: float | None, extent: int, out: int) -> float:
    """How far apart sources are: by the factor that was given, else by the extents."""
    return 1.0 / given if given else extent / out


# nearest


def _nearest_index(c: Context, extent: int, out: int, scale: float | None) -> Value:
    """i32 [out]: the source of each output element, ``min(floor(o ratio), extent - 1)``."""
    b = c.b
    if _ratio(scale, extent, out) == extent / out:
        return b.udiv(b.imul(b.iota((out,)), extent), out)
    place = b.cast(b.floor(b.mul(b.cast(b.iota((out,)), F32), _ratio(scale, extent, out))), I32)
    return b.select(b.ilt(place, extent), place, extent - 1)


def _nearest(c: Context, x: Value, axis: int, out: int, scale: float | None) -> Value:
    extent = x.shape[axis]
    if out % extent == 0 and _ratio(scale, extent, out) == extent / out:
        lead, rest, factor = x.shape[:axis], x.shape[axis + 1 :], out // extent
        wide = c.b.expand(c.b.reshape(x, (*lead, extent, 1, *rest)), (*lead, extent, factor, *rest))
        return c.b.reshape(wide, (*lead, out, *rest))
    return take(c, x, axis, _nearest_index(c, extent, out, scale))


def _nearest_backward(c: Context, grad: Value, axis: int, extent: int, scale: float | None) -> Value:
    out = grad.shape[axis]
    if out % extent == 0 and _ratio(scale, extent, out) == extent / out:
        lead, rest = grad.shape[:axis], grad.shape[axis + 1 :]
        return c.b.sum_axes(c.b.reshape(grad, (*lead, extent, out // extent, *rest)), [axis + 1])
    return put_add(c, grad, axis, _nearest_index(c, extent, out, scale), extent)


@lowers("upsample_nearest1d", "upsample_nearest2d")
def upsample_nearest(c: Context, x: Value, size: Sequence[int], *scales: float | None) -> Value:
    """Each output element the source element below it."""
    for at, out in enumerate(size):
        x = _nearest(c, x, 2 + at, int(out), scales[at] if scales else None)
    return x


@lowers("upsample_nearest1d_backward", "upsample_nearest2d_backward")
def upsample_nearest_backward(
    c: Context, grad: Value, size: Sequence[int], shape: Sequence[int], *scales: float | None
) -> Value:
    """Exact sums of the gradients of what each source element became."""
    for at in range(len(size)):
        grad = _nearest_backward(c, grad, 2 + at, int(shape[2 + at]), scales[at] if scales else None)
    return grad


# linear


def _hats(c: Context, extent: int, out: int, align: bool, scale: float | None) -> Value:
    """f32 [out, extent]: the weight of each source element in each output element."""
    b = c.b
    number = b.cast(b.iota((out,)), F32)
    if align:
        place = b.mul(number, (extent - 1) / (out - 1) if out > 1 else 0.0)
    else:
        place = b.sub(b.mul(b.add(number, 0.5), _ratio(scale, extent, out)), 0.5)
    place = b.minimum(float(extent - 1), b.maximum(0.0, place))
    source = b.expand(b.cast(b.iota((extent,)), F32), (out, extent))
    return b.maximum(0.0, b.sub(1.0, b.abs(b.sub(b.expand_rows(place, extent), source))))


def _contracted(c: Context, x: Value, axis: int, weights: Value) -> Value:
    """``x`` with an axis contracted with the rows of ``weights`` [new extent, extent]."""
    rows = c.b.transpose(x, axis, -1)
    flat = c.b.reshape(rows, (-(-_size(x) // x.shape[axis]), x.shape[axis]))
    made = c.b.reshape(c.b.contract(flat, weights), (*rows.shape[:-1], weights.shape[0]))
    return c.b.transpose(made, axis, -1)


def _size(x: Value) -> int:
    return x.type.elements


@lowers("upsample_linear1d", "upsample_bilinear2d")
def upsample_linear(c: Context, x: Value, size: Sequence[int], align: bool, *scales: float | None) -> Value:
    """Linear interpolation along each axis."""
    for at, out in enumerate(size):
        weights = _hats(c, x.shape[2 + at], int(out), align, scales[at] if scales else None)
        x = _contracted(c, x, 2 + at, weights)
    return x


@lowers("upsample_linear1d_backward", "upsample_bilinear2d_backward")
def upsample_linear_backward(
    c: Context, grad: Value, size: Sequence[int], shape: Sequence[int], align: bool, *scales: float | None
) -> Value:
    """The transposed interpolation."""
    for at, out in enumerate(size):
        weights = _hats(c, int(shape[2 + at]), int(out), align, scales[at] if scales else None)
        grad = _contracted(c, grad, 2 + at, c.b.transpose(weights))
    return grad
