"""ATen's losses and their backward passes."""

from __future__ import annotations

import math

from lockstep.numerics.dtypes import DType
from lockstep.program.emitter import Value
from lockstep.program.lowering.registry import Context, lowers
from lockstep.program.ops import MAX_SUM_ROW

_MEAN, _SUM = 1, 2
F32 = DType.F32


def reduced(c: Context, x: Value, reduction: int) -> Value:
    """The losses of the elements, their mean or their sum."""
    if reduction == 0:
        return x
    axes = range(len(x.shape))
    return c.b.mean_axes(x, axes) if reduction == _MEAN else c.b.sum_axes(x, axes)


def shared(c: Context, grad: Value, slope: Value, reduction: int) -> Value:
    """``slope`` times the gradient of the loss, over the count for a mean."""
    if reduction == _MEAN:
        slope = c.b.div(slope, float(math.prod(slope.shape)))
    return c.b.mul(slope, grad if grad.is_literal and not grad.shape else c.b.expand(grad, slope.shape))


def _counted(c: Context, target: Value, ignore_index: int) -> Value:
    """Targets with -1, which is no class, for those to be ignored; as they are where none can be."""
    if not c.may_be(target, ignore_index):
        return target
    return c.b.select(c.b.ieq(target, ignore_index), -1, target)


def _is_target(c: Context, target: Value, classes: int) -> Value:
    """i32 [N, C]: 1 where the column is the row's target."""
    rows = target.shape[0]
    column = c.b.iota((classes,))
    return c.b.ieq(c.b.expand_rows(target, classes), c.b.expand(column, (rows, classes)))


def _weights_of(c: Context, target: Value, weight: Value) -> Value:
    """f32 [N]: each target's class weight; 0 for -1."""
    return c.b.gather(weight, target)


def _nll(
    c: Context, x: Value, target: Value, weight: Value | None, reduction: int, ignore_index: int
) -> tuple[Value, Value]:
    """Negative log likelihood of scores [N, C] and the total weight of the targets that count."""
    b, (rows, classes) = c.b, x.shape
    count = b.f32(float(rows))
    if weight is None and c.may_be(target, ignore_index):
        count = b.sum_rows(b.cast(b.ine(target, ignore_index), F32))
    target = _counted(c, target, ignore_index)
    weights = None if weight is None else _weights_of(c, target, weight)
    if weights is not None:
        count = b.sum_rows(weights)
    if reduction == 0 or weights is not None or rows * classes > MAX_SUM_ROW:
        # -1 stays out of range, where a gather gives 0
        place = b.iadd(b.imul(b.iota((rows,)), classes), target)
        place = b.select(b.ilt(target, 0), -1, place)
        chosen = b.gather(b.reshape(x, (rows * classes,)), place)
        if weights is not None:
            chosen = b.mul(chosen, weights)
        if reduction == 0:
            return b.neg(chosen), count
    else:
        chosen = b.reshape(b.select(_is_target(c, target, classes), x, 0.0), (rows * classes,))
    total = b.neg(b.sum_rows(chosen))
    return (b.div(total, count) if reduction == _MEAN else total), count


def _nll_backward(
    c: Context, grad: Value, x: Value, target: Value, weight: Value | None, reduction: int, ignore_index: int,
    total_weight: Value,
) -> Value:  # fmt: skip
    share = c.b.neg(c.b.div(grad, total_weight) if reduction == _MEAN else grad)
    target = _counted(c, target, ignore_index)
    if weight is not None:
        share = c.b.mul(c.b.expand(share, target.shape), _weights_of(c, target, weight))
    wide = c.b.expand_rows(share, x.shape[1]) if share.shape else c.b.expand(share, x.shape)
    if share.is_literal:
        wide = share
    result = c.b.select(_is_target(c, target, x.shape[1]), wide, c.b.f32(0.0, x.shape))
    each = share if share.is_literal or share.shape else c.b.expand(share, target.shape)
    c.row_totals[result.source] = c.b.select(c.b.ult(target, x.shape[1]), each, c.b.f32(0.0, target.shape))
    return result


@lowers("nll_loss_forward")
def nll_loss_forward(
    c: Context, x: Value, target: Value, weight: Value | None, reduction: int, ignore_index: int
) -> tuple[Value, Value]:
    """Negative log likelihood of the targets and the total weight of the targets that count."""
    if len(x.shape) != 2:
        raise c.refuse("carried for scores of shape [N, C]", "Add an axis for the batch.")
    return _nll(c, x, target, weight, reduction, ignore_index)


@lowers("nll_loss_backward")
def nll_loss_backward(
    c: Context,
    grad: Value,
    x: Value,
    target: Value,
    weight: Value | None,
    reduction: int,
    ignore_index: int,
    total_weight: Value,
) -> Value:
    """Minus the gradient (over the total weight for a mean) at the targets, zeros elsewhere."""
    return _nll_backward(c, grad, x, target, weight, reduction, ignore_index, total_weight)


def _flat_scores(c: Context, x: Value) -> Value:
    """Scores [N, C, H, W] as [N * H * W, C]."""
    n, classes, *places = x.shape
    return c.b.reshape(c.b.permute(x, (0, *range(2, len(x.shape)), 1)), (n * math.prod(places), classes))


@lowers("nll_loss2d_forward")
def nll_loss2d_forward(
    c: Context, x: Value, target: Value, weight: Value | None, reduction: int, ignore_index: int
) -> tuple[Value, Value]:
    """As ``nll_loss_forward`` for scores [N, C, H, W] of targets [N, H, W]."""
    flat = c.b.reshape(target, (math.prod(target.shape),))
    value, total = _nll(c, _flat_scores(c, x), flat, weight, reduction, ignore_index)
    return (c.b.reshape(value, target.shape) if reduction == 0 else value), total


@lowers("nll_loss2d_backward")
def nll_loss2d_backward(
    c: Context,
    grad: Value,
    x: Value,
    target: Value,
    weight: Value | None,
    reduction: int,
    ignore_index: int,
    total_weight: Value,
) -> Value:
    """As ``nll_loss_backward`` for scores [N, C, H, W] of targets [N, H, W]."""
    n, classes, *places = x.shape
    flat = c.b.reshape(target, (math.prod(target.shape),))
    share = c.b.reshape(grad, flat.shape) if grad.shape else grad
    made = _nll_backward(c, share, _flat_scores(c, x), flat, weight, reduction, ignore_index, total_weight)
    order = (0, len(places) + 1, *range(1, len(places) + 1))
    return c.b.permute(c.b.reshape(made, (n, *places, classes)), order)


@lowers("mse_loss")
def mse_loss(c: Context, x: Value, target: Value, reduction: int = _MEAN) -> Value:
    """Squares of the differences, their mean or their sum."""
    difference = c.b.sub(x, target)
    return reduced(c, c.b.mul(difference, difference), reduction)


@lowers("mse_loss_backward")
def mse_loss_backward(c: Context, grad: Value, x: Value, target: Value, reduction: int) -> Value:
    """``2 (x - target)`` times the gradient (over the count for a mean)."""
    return shared(c, grad, c.b.mul(c.b.sub(x, target), 2.0), reduction)


@lowers("binary_cross_entropy_with_logits")
def binary_cross_entropy_with_logits(
    c: Context, x: Value, target: Value, weight: Value | None = None, positive: Value | None = None, reduction: int = 1
) -> Value:
    """``max(x, 0) - x target + log(1 + e^-|x|)``, the mean or the sum."""
    b = c.b
    tail = b.log(b.add(b.exp(b.neg(b.abs(x))), 1.0))
    if positive is None:
        value = b.add(b.sub(b.maximum(0.0, x), b.mul(x, target)), tail)
    else:
        # (1 - t) x + (1 + (p - 1) t) softplus(-x)
        factor = b.add(b.mul(b.sub(b.expand(positive, x.shape), 1.0), target), 1.0)
        value = b.add(b.mul(b.sub(1.0, target), x), b.mul(factor, b.add(b.maximum(0.0, b.neg(x)), tail)))
    return reduced(c, value if weight is None else b.mul(value, b.expand(weight, x.shape)), reduction)
