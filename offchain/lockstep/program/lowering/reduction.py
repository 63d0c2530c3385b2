"""ATen's reductions: exact sums, maxima, softmax."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lockstep.numerics.dtypes import DType
from lockstep.program import composites
from lockstep.program.emitter import Value
from lockstep.program.lowering.indexing import broadcast_shape
from lockstep.program.lowering.pointwise import as_float, listed
from lockstep.program.lowering.registry import MANY, Context, lowers

F32, I32 = DType.F32, DType.I32
Axes = int | Sequence[int] | None


@lowers("sum", "sum.dim_IntList")
def sum_(c: Context, x: Value, axes: Axes = None, keepdim: bool = False, **_options: Any) -> Value:
    """Exact sum over some axes, one rounding; truth values and integers by way of f32."""
    whole = x.dtype is not F32
    total = c.b.sum_axes(as_float(c.b, x), listed(axes, len(x.shape)), keepdim=keepdim) if x.shape else x
    return c.b.cast(total, I32) if whole and c.node.meta["val"].dtype.is_floating_point is False else total


@lowers("mean", "mean.dim")
def mean(c: Context, x: Value, axes: Axes = None, keepdim: bool = False, **_options: Any) -> Value:
    """Mean over some axes."""
    return c.b.mean_axes(x, listed(axes, len(x.shape)), keepdim=keepdim) if x.shape else x


def centred(c: Context, x: Value, axes: Sequence[int]) -> tuple[Value, Value, Value]:
    """Mean (axes kept with extent 1), ``x`` minus it, and the sum of its squares (axes kept)."""
    mean_value = c.b.mean_axes(x, axes, keepdim=True)
    centre = c.b.sub(x, c.b.expand(mean_value, x.shape))
    return mean_value, centre, c.b.sum_axes(c.b.mul(centre, centre), axes, keepdim=True)


@lowers("var.correction")
def var(c: Context, x: Value, axes: Axes = None, *, correction: float | None = None, keepdim: bool = False) -> Value:
    """Variance over some axes."""
    chosen = listed(axes, len(x.shape))
    count = math.prod(x.shape[axis] for axis in chosen) - (1 if correction is None else correction)
    return c.b.reshape(c.b.div(centred(c, x, chosen)[2], float(count)), c.shape)


@lowers("var_mean.correction")
def var_mean(
    c: Context, x: Value, axes: Axes = None, *, correction: float | None = None, keepdim: bool = False
) -> tuple[Value, Value]:
    """Variance and mean over some axes."""
    chosen = listed(axes, len(x.shape))
    count = math.prod(x.shape[axis] for axis in chosen) - (1 if correction is None else correction)
    mean_value, _, squares = centred(c, x, chosen)
    shape = tuple(int(extent) for extent in c.node.meta["val"][0].shape)
    return c.b.reshape(c.b.div(squares, float(count)), shape), c.b.reshape(mean_value, shape)


@lowers("amax")
def amax(c: Context, x: Value, axes: Axes = None, keepdim: bool = False) -> Value:
    """Largest over some axes."""
    return c.b.max_axes(x, listed(axes, len(x.shape)), keepdim=keepdim)


@lowers("amin")
def amin(c: Context, x: Value, axes: Axes = None, keepdim: bool = False) -> Value:
    """Smallest over some axes."""
    return c.b.neg(c.b.max_axes(c.b.neg(x), listed(axes, len(x.shape)), keepdim=keepdim))


@lowers("std.correction")
def std(c: Context, x: Value, axes: Axes = None, *, correction: float | None = None, keepdim: bool = False) -> Value:
    """Standard deviation over some axes."""
    return c.b.sqrt(var(c, x, axes, correction=correction, keepdim=keepdim))


@lowers("max")
def max_all(c: Context, x: Value) -> Value:
    """Largest of all."""
    return c.b.max_axes(x, range(len(x.shape))) if x.shape else x


@lowers("min")
def min_all(c: Context, x: Value) -> Value:
    """Smallest of all."""
    return c.b.neg(max_all(c, c.b.neg(x)))


def _any(c: Context, x: Value, axes: Axes, keepdim: bool) -> Value:
    """i32: 1 where any of the truth values is not 0."""
    if not x.shape:
        return c.b.ine(x, 0)
    counted = c.b.max_axes(c.b.cast(c.b.ine(x, 0), F32), listed(axes, len(x.shape)), keepdim=keepdim)
    return c.b.cast(counted, I32)


@lowers("any", "any.dim", "any.dims")
def any_(c: Context, x: Value, axes: Axes = None, keepdim: bool = False) -> Value:
    """Whether any truth value over some axes holds."""
    return _any(c, x if x.dtype is I32 else c.b.ne(x, 0.0), axes, keepdim)


@lowers("all", "all.dim", "all.dims")
def all_(c: Context, x: Value, axes: Axes = None, keepdim: bool = False) -> Value:
    """Whether all truth values over some axes hold."""
    return c.b.ieq(_any(c, c.b.ieq(x if x.dtype is I32 else c.b.ne(x, 0.0), 0), axes, keepdim), 0)


@lowers("logsumexp")
def logsumexp(c: Context, x: Value, axes: Axes, keepdim: bool = False) -> Value:
    """Logarithm of the sum of exponentials over some axes, about the largest where that is finite."""
    b, chosen = c.b, listed(axes, len(x.shape))
    largest = b.max_axes(x, chosen, keepdim=True)
    centre = b.select(b.eq(b.abs(largest), math.inf), 0.0, largest)
    total = b.sum_axes(b.exp(b.sub(x, b.expand(centre, x.shape))), chosen, keepdim=True)
    return b.reshape(b.add(b.log(total), centre), c.shape)


@lowers("linalg_vector_norm", "norm.ScalarOpt_dim", "norm.Scalar")
def vector_norm(c: Context, x: Value, order: float | None = 2, axes: Axes = None, keepdim: bool = False,
                **_options: Any) -> Value:  # fmt: skip
    """1-, 2- and infinity-norms over some axes."""
    b, chosen = c.b, listed(axes, len(x.shape))
    order = 2.0 if order is None else order
    if order == math.inf:
        value = b.max_axes(b.abs(x), chosen)
    elif order == 1:
        value = b.sum_axes(b.abs(x), chosen)
    elif order == 2:
        value = b.sqrt(b.sum_axes(b.mul(x, x), chosen))
    else:
        raise c.refuse(f"the {order}-norm is not carried", "Use the 1-, 2- or infinity-norm.")
    return b.reshape(value, c.shape)


@lowers("dist")
def dist(c: Context, a: Value, b: Value, order: float = 2) -> Value:
    """Norm of a difference."""
    shape = broadcast_shape([a.shape, b.shape])
    return vector_norm(c, c.b.sub(c.b.expand(a, shape), c.b.expand(b, shape)), order)


@lowers("argmin")
def argmin(c: Context, x: Value, axis: int | None = None, keepdim: bool = False) -> Value:
    """Index of the smallest along one axis, the lowest of equals."""
    return argmax(c, c.b.neg(x), axis, keepdim)


@lowers("argmax")
def argmax(c: Context, x: Value, axis: int | None = None, keepdim: bool = False) -> Value:
    """Index of the largest along one axis, the lowest of equals."""
    return c.b.reshape(c.b.argmax_rows(c.b.rows(x, listed(axis, len(x.shape)))), c.shape)


@lowers("_softmax")
def softmax(c: Context, x: Value, axis: int, _half_to_float: bool) -> Value:
    """Softmax along an axis; marked for a residual contraction where its rows are long (attention)."""
    y = c.b.transpose(composites.softmax(c.b, c.b.transpose(x, axis, -1)), axis, -1)
    c.mark_residual(y, RESIDUAL_PLACES)
    return y


@lowers("_safe_softmax")
def safe_softmax(c: Context, x: Value, axis: int, _dtype: Any = None) -> Value:
    """Softmax along an axis; 0 where everything is minus infinity (a row masked whole)."""
    y = softmax(c, x, axis, False)
    largest = c.b.expand(c.b.max_axes(x, [axis], keepdim=True), x.shape)
    result = c.b.select(c.b.eq(largest, -math.inf), 0.0, y)
    c.mark_residual(result, RESIDUAL_PLACES)
    return result


@lowers("_softmax_backward_data")
def softmax_backward(c: Context, grad: Value, y: Value, axis: int, _dtype: Any) -> Value:
    """``y (grad - sum(grad y))``."""
    product = c.b.mul(grad, y)
    total = c.b.expand(c.b.sum_axes(product, [axis], keepdim=True), y.shape)
    return c.b.sub(product, c.b.mul(y, total))


@lowers("_log_softmax")
def log_softmax(c: Context, x: Value, axis: int, _half_to_float: bool) -> Value:
    """Logarithm of the softmax along an axis."""
    return c.b.transpose(composites.log_softmax(c.b, c.b.transpose(x, axis, -1)), axis, -1)


@lowers("_log_softmax_backward_data")
def log_softmax_backward(c: Context, grad: Value, y: Value, axis: int, _dtype: Any) -> Value:
    """``grad - e^y sum(grad)``; marked for a residual contraction where there are many classes."""
    if grad.source in c.row_totals and axis % len(y.shape) == 1:
        total = c.b.expand_rows(c.row_totals[grad.source], y.shape[1])
    else:
        total = c.b.expand(c.b.sum_axes(grad, [axis], keepdim=True), y.shape)
    result = c.b.sub(grad, c.b.mul(c.b.exp(y), total))
    if y.shape[axis] >= MANY:
        c.mark_residual(result, MANY)
    return result


RESIDUAL_PLACES = 64
"""Places that a softmax is over from which its products get a residual part: one of them may have nearly all of it."""
