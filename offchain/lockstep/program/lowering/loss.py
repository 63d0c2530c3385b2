"""ATen's losses and their backward passes."""

from __future__ import annotations

import math

from lockstep.numerics.dtypes import DType
from lockstep.program.emitter import Value
from lockstep.program.lowering.registry import Context, lowers
from lockstep.program.ops import MAX_ROW

_MEAN, _SUM = 1, 2
F32 = DType.F32


def _reduced(c: Context, x: Value, reduction: int) -> Value:
    if reduction == 0:
        return x
    axes = range(len(x.shape))
    return c.b.mean_axes(x, axes) if reduction == _MEAN else c.b.sum_axes(x, axes)


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


def _nll_checked(c: Context, x: Value, weight: Value | None) -> None:
    if weight is not None:
        raise c.refuse("class weights are not carried", "Weight the samples' losses instead.")
    if len(x.shape) != 2:
        raise c.refuse("carried for scores of shape [N, C]", "Flatten the other axes first.")


@lowers("nll_loss_forward")
def nll_loss_forward(
    c: Context, x: Value, target: Value, weight: Value | None, reduction: int, ignore_index: int
) -> tuple[Value, Value]:
    """Negative log likelihood of the targets and the number of targets that count."""
    _nll_checked(c, x, weight)
    b, (rows, classes) = c.b, x.shape
    count = b.f32(float(rows))
    if c.may_be(target, ignore_index):
        count = b.sum_rows(b.cast(b.ine(target, ignore_index), F32))
    target = _counted(c, target, ignore_index)
    if reduction == 0 or rows * classes > MAX_ROW:
        # -1 stays out of range, where a gather gives 0
        place = b.iadd(b.imul(b.iota((rows,)), classes), target)
        place = b.select(b.ilt(target, 0), -1, place)
        chosen = b.gather(b.reshape(x, (rows * classes,)), place)
        if reduction == 0:
            return b.neg(chosen), count
    else:
        chosen = b.reshape(b.select(_is_target(c, target, classes), x, 0.0), (rows * classes,))
    total = b.neg(b.sum_rows(chosen))
    return (b.div(total, count) if reduction == _MEAN else total), count


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
    """Minus the gradient (over the count for a mean) at the targets, zeros elsewhere."""
    _nll_checked(c, x, weight)
    share = c.b.neg(c.b.div(grad, total_weight) if reduction == _MEAN else grad)
    wide = c.b.expand_rows(share, x.shape[1]) if share.shape else c.b.expand(share, x.shape)
    if share.is_literal:
        wide = share
    target = _counted(c, target, ignore_index)
    return c.b.select(_is_target(c, target, x.shape[1]), wide, c.b.f32(0.0, x.shape))


@lowers("mse_loss")
def mse_loss(c: Context, x: Value, target: Value, reduction: int = _MEAN) -> Value:
    """Squares of the differences, their mean or their sum."""
    difference = c.b.sub(x, target)
    return _reduced(c, c.b.mul(difference, difference), reduction)


@lowers("mse_loss_backward")
def mse_loss_backward(c: Context, grad: Value, x: Value, target: Value, reduction: int) -> Value:
    """``2 (x - target)`` times the gradient (over the count for a mean)."""
    twice = c.b.mul(c.b.sub(x, target), 2.0)
    if reduction == _MEAN:
        twice = c.b.div(twice, float(math.prod(x.shape)))
    return c.b.mul(twice, grad if grad.is_literal and not grad.shape else c.b.expand(grad, x.shape))


@lowers("binary_cross_entropy_with_logits")
def binary_cross_entropy_with_logits(
    c: Context, x: Value, target: Value, weight: Value | None = None, positive: Value | None = None, reduction: int = 1
) -> Value:
    """``max(x, 0) - x target + log(1 + e^-|x|)``, the mean or the sum."""
    if weight is not None or positive is not None:
        raise c.refuse("weights are not carried", "Weight the samples' losses instead.")
    b = c.b
    tail = b.log(b.add(b.exp(b.neg(b.abs(x))), 1.0))
    return _reduced(c, b.add(b.sub(b.maximum(0.0, x), b.mul(x, target)), tail), reduction)
