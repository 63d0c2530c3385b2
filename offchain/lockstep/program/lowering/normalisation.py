"""Layer, group and batch normalisation: means and variances are exact sums of rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lockstep.program import composites
from lockstep.program.emitter import Value
from lockstep.program.graph import Shape
from lockstep.program.lowering.convolution import per_channel
from lockstep.program.lowering.registry import Context, lowers

Three = tuple[Value | None, Value | None, Value | None]


def _standardised(c: Context, rows: Value, mean: Value, rstd: Value) -> Value:
    """``(x - mean) rstd`` of rows [R, D]; mean and rstd [R]."""
    length = rows.shape[-1]
    return c.b.mul(c.b.sub(rows, c.b.expand_rows(mean, length)), c.b.expand_rows(rstd, length))


def _statistics(c: Context, rows: Value, eps: float) -> tuple[Value, Value]:
    """Mean and ``1 / sqrt(variance + eps)`` of each row."""
    length = rows.shape[-1]
    mean = c.b.mean_axes(rows, [-1])
    centre = c.b.sub(rows, c.b.expand_rows(mean, length))
    variance = c.b.mean_axes(c.b.mul(centre, centre), [-1])
    return mean, composites.rsqrt(c.b, c.b.add(variance, float(eps)))


def _input_gradient(c: Context, grad: Value, hat: Value, rstd: Value) -> Value:
    """Gradient by the rows: ``rstd (grad - mean(grad) - hat mean(grad hat))``; all [R, D] but rstd [R]."""
    b, length = c.b, grad.shape[-1]
    plain = b.expand_rows(b.mean_axes(grad, [-1]), length)
    along = b.expand_rows(b.mean_axes(b.mul(grad, hat), [-1]), length)
    return b.mul(b.sub(b.sub(grad, plain), b.mul(hat, along)), b.expand_rows(rstd, length))


def _shape(c: Context) -> Shape:
    return tuple(int(extent) for extent in c.node.meta["val"][0].shape)


@lowers("native_group_norm")
def group_norm(
    c: Context,
    x: Value,
    weight: Value | None,
    bias: Value | None,
    n: int,
    channels: int,
    hw: int,
    groups: int,
    eps: float,
) -> tuple[Value, Value, Value]:
    """Groups of channels of each sample standardised, then scaled and moved by channel."""
    rows = c.b.reshape(x, (n * groups, channels // groups * hw))
    mean, rstd = _statistics(c, rows, eps)
    y = c.b.reshape(_standardised(c, rows, mean, rstd), x.shape)
    if weight is not None:
        y = c.b.mul(y, per_channel(c, weight, x.shape))
    if bias is not None:
        y = c.b.add(y, per_channel(c, bias, x.shape))
    return y, c.b.reshape(mean, (n, groups)), c.b.reshape(rstd, (n, groups))


@lowers("native_group_norm_backward")
def group_norm_backward(
    c: Context, grad: Value, x: Value, mean: Value, rstd: Value, weight: Value | None,
    n: int, channels: int, hw: int, groups: int, mask: Sequence[bool],
) -> Three:  # fmt: skip
    """Gradients by input, weight and bias."""
    b, shape = c.b, (n * groups, channels // groups * hw)
    flat_rstd = b.reshape(rstd, (n * groups,))
    hat = _standardised(c, b.reshape(x, shape), b.reshape(mean, (n * groups,)), flat_rstd)
    scaled = b.mul(grad, per_channel(c, weight, x.shape)) if weight is not None else grad
    axes = [axis for axis in range(len(x.shape)) if axis != 1]
    dx = b.reshape(_input_gradient(c, b.reshape(scaled, shape), hat, flat_rstd), x.shape) if mask[0] else None
    dw = b.sum_axes(b.mul(grad, b.reshape(hat, x.shape)), axes) if mask[1] else None
    return dx, dw, b.sum_axes(grad, axes) if mask[2] else None


@lowers("native_layer_norm")
def layer_norm(
    c: Context, x: Value, normalised: Sequence[int], weight: Value | None, bias: Value | None, eps: float
) -> tuple[Value, Value, Value]:
    """The last axes of each sample standardised, then scaled and moved by element."""
    length = math.prod(normalised)
    rows = c.b.reshape(x, (math.prod(x.shape) // length, length))
    mean, rstd = _statistics(c, rows, eps)
    y = c.b.reshape(_standardised(c, rows, mean, rstd), x.shape)
    if weight is not None:
        y = c.b.mul(y, c.b.expand(weight, x.shape))
    if bias is not None:
        y = c.b.add(y, c.b.expand(bias, x.shape))
    kept = tuple(int(extent) for extent in c.node.meta["val"][1].shape)
    return y, c.b.reshape(mean, kept), c.b.reshape(rstd, kept)


@lowers("native_layer_norm_backward")
def layer_norm_backward(
    c: Context, grad: Value, x: Value, normalised: Sequence[int], mean: Value, rstd: Value,
    weight: Value | None, bias: Value | None, mask: Sequence[bool],
) -> Three:  # fmt: skip
    """Gradients by input, weight and bias."""
    b, length = c.b, math.prod(normalised)
    count = math.prod(x.shape) // length
    flat_rstd = b.reshape(rstd, (count,))
    hat = _standardised(c, b.reshape(x, (count, length)), b.reshape(mean, (count,)), flat_rstd)
    scaled = b.reshape(b.mul(grad, b.expand(weight, x.shape)) if weight is not None else grad, (count, length))
    flat = b.reshape(grad, (count, length))
    dx = b.reshape(_input_gradient(c, scaled, hat, flat_rstd), x.shape) if mask[0] else None
    dw = b.reshape(b.sum_axes(b.mul(flat, hat), [0]), tuple(normalised)) if mask[1] else None
    return dx, dw, b.reshape(b.sum_axes(flat, [0]), tuple(normalised)) if mask[2] else None


@lowers("native_batch_norm_backward")
def batch_norm_backward(
    c: Context, grad: Value, x: Value, weight: Value | None, running_mean: Value | None, running_var: Value | None,
    mean: Value | None, rstd: Value | None, training: bool, eps: float, mask: Sequence[bool],
) -> Three:  # fmt: skip
    """Gradients by input, weight and bias; in training the batch's statistics depend on the input."""
    b = c.b
    if not training:
        assert running_mean is not None
        assert running_var is not None
        mean, rstd = running_mean, composites.rsqrt(b, b.add(running_var, float(eps)))
    assert mean is not None
    assert rstd is not None
    axes = [axis for axis in range(len(x.shape)) if axis != 1]
    wide_mean, wide_rstd = per_channel(c, mean, x.shape), per_channel(c, rstd, x.shape)
    hat = b.mul(b.sub(x, wide_mean), wide_rstd)
    db = b.sum_axes(grad, axes)
    dw = b.sum_axes(b.mul(grad, hat), axes)
    if not mask[0]:
        return None, dw if mask[1] else None, db if mask[2] else None
    factor = b.mul(rstd, weight) if weight is not None else rstd
    if not training:
        return b.mul(grad, per_channel(c, factor, x.shape)), dw if mask[1] else None, db if mask[2] else None
    count = float(math.prod(x.shape) // x.shape[1])
    plain = per_channel(c, b.div(db, count), x.shape)
    along = per_channel(c, b.div(dw, count), x.shape)
    dx = b.mul(b.sub(b.sub(grad, plain), b.mul(hat, along)), per_channel(c, factor, x.shape))
    return dx, dw if mask[1] else None, db if mask[2] else None


def _norms_of(c: Context, x: Value, axis: int) -> Value:
    """f32 with extent 1 but along ``axis``: the lengths of what stands at each place of it."""
    axes = [a for a in range(len(x.shape)) if a != axis % len(x.shape)]
    return c.b.sqrt(c.b.sum_axes(c.b.mul(x, x), axes, keepdim=True))


@lowers("_weight_norm_interface")
def weight_norm(c: Context, v: Value, g: Value, axis: int = 0) -> tuple[Value, Value]:
    """``v g / |v|``, the length of each slice along an axis being ``g``; and the lengths of ``v``."""
    norms = _norms_of(c, v, axis)
    return c.b.mul(v, c.b.expand(c.b.div(g, norms), v.shape)), norms


@lowers("_weight_norm_interface_backward")
def weight_norm_backward(c: Context, grad: Value, v: Value, g: Value, norms: Value, axis: int) -> tuple[Value, Value]:
    """Gradients by direction, ``(g / |v|) (grad - v (grad v) / |v|^2)``, and by length, ``(grad v) / |v|``."""
    b = c.b
    axes = [a for a in range(len(v.shape)) if a != axis % len(v.shape)]
    along = b.div(b.sum_axes(b.mul(grad, v), axes, keepdim=True), norms)
    straight = b.mul(v, b.expand(b.div(along, norms), v.shape))
    return b.mul(b.sub(grad, straight), b.expand(b.div(g, norms), v.shape)), along
