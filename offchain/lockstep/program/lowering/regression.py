"""ATen's losses of numbers: smooth L1, Huber, cross entropy of probabilities, and their backward passes."""

from __future__ import annotations

from lockstep.program import composites
from lockstep.program.emitter import Value
from lockstep.program.lowering.loss import reduced, shared
from lockstep.program.lowering.registry import Context, lowers


def _bent(c: Context, x: Value, target: Value, width: float, outer: float) -> tuple[Value, Value]:
    """Whether a difference is within the width; ``d^2 / 2`` there, ``outer (|d| - width / 2)`` outside."""
    b = c.b
    size = b.abs(b.sub(x, target))
    within = b.lt(size, width)
    outside = b.mul(b.sub(size, width / 2), outer)
    return within, b.select(within, b.mul(b.mul(size, size), 0.5 * outer / width if width else 0.5), outside)


def _bent_slope(c: Context, x: Value, target: Value, width: float, outer: float) -> Value:
    """Derivative of ``_bent`` by ``x``."""
    b = c.b
    difference = b.sub(x, target)
    sign = b.select(b.lt(0.0, difference), outer, b.select(b.lt(difference, 0.0), -outer, 0.0))
    inner = b.mul(difference, outer / width) if width else difference
    return b.select(b.lt(b.abs(difference), width), inner, sign)


@lowers("smooth_l1_loss")
def smooth_l1(c: Context, x: Value, target: Value, reduction: int = 1, beta: float = 1.0) -> Value:
    """``d^2 / (2 beta)`` within beta of 0, ``|d| - beta / 2`` outside."""
    return reduced(c, _bent(c, x, target, float(beta), 1.0)[1], reduction)


@lowers("smooth_l1_loss_backward")
def smooth_l1_backward(c: Context, grad: Value, x: Value, target: Value, reduction: int, beta: float) -> Value:
    """Gradient by the first operand."""
    return shared(c, grad, _bent_slope(c, x, target, float(beta), 1.0), reduction)


@lowers("huber_loss")
def huber(c: Context, x: Value, target: Value, reduction: int = 1, delta: float = 1.0) -> Value:
    """``d^2 / 2`` within delta of 0, ``delta (|d| - delta / 2)`` outside."""
    return reduced(c, _bent(c, x, target, float(delta), float(delta))[1], reduction)


@lowers("huber_loss_backward")
def huber_backward(c: Context, grad: Value, x: Value, target: Value, reduction: int, delta: float) -> Value:
    """Gradient by the first operand."""
    return shared(c, grad, _bent_slope(c, x, target, float(delta), float(delta)), reduction)


def _weighted(c: Context, x: Value, weight: Value | None) -> Value:
    return x if weight is None else c.b.mul(x, c.b.expand(weight, x.shape))


@lowers("binary_cross_entropy")
def binary_cross_entropy(c: Context, x: Value, target: Value, weight: Value | None = None, reduction: int = 1) -> Value:
    """``-(t log x + (1 - t) log(1 - x))``, logarithms at least -100 as in PyTorch."""
    b = c.b
    yes = b.maximum(-100.0, b.log(x))
    no = b.maximum(-100.0, composites.log1p(b, b.neg(x)))
    value = b.sub(b.mul(b.sub(target, 1.0), no), b.mul(target, yes))
    return reduced(c, _weighted(c, value, weight), reduction)


@lowers("binary_cross_entropy_backward")
def binary_cross_entropy_backward(
    c: Context, grad: Value, x: Value, target: Value, weight: Value | None = None, reduction: int = 1
) -> Value:
    """``(x - t) / max(x (1 - x), 1e-12)``."""
    b = c.b
    slope = b.div(b.sub(x, target), b.maximum(1e-12, b.mul(x, b.sub(1.0, x))))
    return shared(c, grad, _weighted(c, slope, weight), reduction)


@lowers("soft_margin_loss")
def soft_margin(c: Context, x: Value, target: Value, reduction: int = 1) -> Value:
    """``log(1 + e^(-t x))``."""
    b = c.b
    turned = b.neg(b.mul(target, x))
    tail = composites.log1p(b, b.exp(b.neg(b.abs(turned))))
    return reduced(c, b.add(b.maximum(0.0, turned), tail), reduction)


@lowers("soft_margin_loss_backward")
def soft_margin_backward(c: Context, grad: Value, x: Value, target: Value, reduction: int) -> Value:
    """``-t sigmoid(-t x)``."""
    b = c.b
    slope = b.neg(b.mul(target, composites.sigmoid(b, b.neg(b.mul(target, x)))))
    return shared(c, grad, slope, reduction)
