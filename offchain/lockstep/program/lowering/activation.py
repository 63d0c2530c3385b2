"""ATen's less common activations and their backward passes; the common ones are in ``pointwise``."""

from __future__ import annotations

from lockstep.program import composites
from lockstep.program.emitter import Value
from lockstep.program.lowering.registry import Context, lowers


def _softplus(c: Context, x: Value) -> Value:
    """``log(1 + e^x)`` as ``max(0, x) + log(1 + e^-|x|)``, which neither overflows nor cancels."""
    b = c.b
    return b.add(b.maximum(0.0, x), composites.log1p(b, b.exp(b.neg(b.abs(x)))))


@lowers("softplus")
def softplus(c: Context, x: Value, beta: float = 1, threshold: float = 20) -> Value:
    """``log(1 + e^(beta x)) / beta``; ``x`` where ``beta x`` is above the threshold."""
    scaled = c.b.mul(x, float(beta))
    return c.b.select(c.b.lt(float(threshold), scaled), x, c.b.div(_softplus(c, scaled), float(beta)))


@lowers("softplus_backward")
def softplus_backward(c: Context, grad: Value, x: Value, beta: float, threshold: float) -> Value:
    """``grad sigmoid(beta x)``; the gradient where ``beta x`` is above the threshold."""
    scaled = c.b.mul(x, float(beta))
    return c.b.select(c.b.lt(float(threshold), scaled), grad, c.b.mul(grad, composites.sigmoid(c.b, scaled)))


@lowers("log_sigmoid_forward")
def log_sigmoid(c: Context, x: Value) -> tuple[Value, None]:
    """``log(sigmoid(x))``, minus the softplus of ``-x``; the second output nobody reads."""
    return c.b.neg(_softplus(c, c.b.neg(x))), None


@lowers("log_sigmoid_backward")
def log_sigmoid_backward(c: Context, grad: Value, x: Value, _buffer: Value | None) -> Value:
    """``grad sigmoid(-x)``."""
    return c.b.mul(grad, composites.sigmoid(c.b, c.b.neg(x)))


@lowers("elu", "celu")
def elu(c: Context, x: Value, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Value:
    """``scale x`` where positive, else ``scale alpha (e^(x input_scale) - 1)``; CELU and SELU are kinds of it."""
    if "celu" in str(c.node.target):
        input_scale = 1.0 / alpha
    b = c.b
    below = b.mul(composites.expm1(b, b.mul(x, float(input_scale))), float(alpha) * float(scale))
    return b.select(b.lt(0.0, x), b.mul(x, float(scale)), below)


@lowers("elu_backward")
def elu_backward(
    c: Context, grad: Value, alpha: float, scale: float, input_scale: float, from_result: bool, x: Value
) -> Value:
    """The gradient by the input, from the input or from the result."""
    b = c.b
    if from_result:
        slope = b.mul(b.add(x, float(alpha) * float(scale)), float(input_scale))
    else:
        slope = b.mul(b.exp(b.mul(x, float(input_scale))), float(input_scale) * float(alpha) * float(scale))
    return b.mul(grad, b.select(b.lt(0.0, x), float(scale), slope))


def _hard_ramp(c: Context, x: Value) -> Value:
    """``min(max(x + 3, 0), 6)``."""
    return c.b.minimum(6.0, c.b.maximum(0.0, c.b.add(x, 3.0)))


@lowers("hardsigmoid")
def hardsigmoid(c: Context, x: Value) -> Value:
    """``min(max(x + 3, 0), 6) / 6``."""
    return c.b.div(_hard_ramp(c, x), 6.0)


@lowers("hardsigmoid_backward")
def hardsigmoid_backward(c: Context, grad: Value, x: Value) -> Value:
    """A sixth of the gradient strictly between -3 and 3."""
    inside = c.b.lt(c.b.abs(x), 3.0)
    return c.b.select(inside, c.b.div(grad, 6.0), 0.0)


@lowers("hardswish")
def hardswish(c: Context, x: Value) -> Value:
    """``x min(max(x + 3, 0), 6) / 6``."""
    return c.b.div(c.b.mul(x, _hard_ramp(c, x)), 6.0)


@lowers("hardswish_backward")
def hardswish_backward(c: Context, grad: Value, x: Value) -> Value:
    """0 below -3, the gradient above 3, ``grad (x / 3 + 1 / 2)`` between."""
    b = c.b
    between = b.mul(grad, b.add(b.div(x, 3.0), 0.5))
    return b.select(b.le(x, -3.0), 0.0, b.select(b.lt(x, 3.0), between, grad))


@lowers("mish")
def mish(c: Context, x: Value) -> Value:
    """``x tanh(softplus(x))``."""
    return c.b.mul(x, c.b.tanh(_softplus(c, x)))


@lowers("mish_backward")
def mish_backward(c: Context, grad: Value, x: Value) -> Value:
    """``grad (t + x sigmoid(x) (1 - t^2))`` with ``t = tanh(softplus(x))``."""
    b = c.b
    t = b.tanh(_softplus(c, x))
    slope = b.mul(b.mul(x, composites.sigmoid(b, x)), b.sub(1.0, b.mul(t, t)))
    return b.mul(grad, b.add(t, slope))


def _halves(c: Context, x: Value, axis: int) -> tuple[Value, Value]:
    half = x.shape[axis] // 2
    return c.b.slice(x, axis, 0, half), c.b.slice(x, axis, half, half)


@lowers("glu")
def glu(c: Context, x: Value, axis: int = -1) -> Value:
    """The first half of an axis times the sigmoid of the second."""
    value, gate = _halves(c, x, axis)
    return c.b.mul(value, composites.sigmoid(c.b, gate))


@lowers("glu_backward")
def glu_backward(c: Context, grad: Value, x: Value, axis: int) -> Value:
    """``grad s`` and ``grad value s (1 - s)``, joined."""
    b = c.b
    value, gate = _halves(c, x, axis)
    s = composites.sigmoid(b, gate)
    by_gate = b.mul(b.mul(grad, value), b.mul(s, b.sub(1.0, s)))
    return b.concat([b.mul(grad, s), by_gate], axis)


@lowers("softshrink")
def softshrink(c: Context, x: Value, width: float = 0.5) -> Value:
    """``x`` drawn towards 0 by a width, 0 within it."""
    b = c.b
    below = b.select(b.lt(x, -float(width)), b.add(x, float(width)), 0.0)
    return b.select(b.lt(float(width), x), b.sub(x, float(width)), below)


@lowers("hardshrink")
def hardshrink(c: Context, x: Value, width: float = 0.5) -> Value:
    """``x``, but 0 within a width of 0."""
    return c.b.select(c.b.le(c.b.abs(x), float(width)), 0.0, x)


@lowers("softshrink_backward", "hardshrink_backward")
def shrink_backward(c: Context, grad: Value, x: Value, width: float) -> Value:
    """The gradient outside the width."""
    return c.b.select(c.b.le(c.b.abs(x), float(width)), 0.0, grad)


@lowers("threshold")
def threshold(c: Context, x: Value, limit: float, value: float) -> Value:
    """``x`` above a limit, else a number."""
    return c.b.select(c.b.le(x, float(limit)), float(value), x)


@lowers("_prelu_kernel")
def prelu(c: Context, x: Value, slope: Value) -> Value:
    """``x`` where positive, else ``slope x``."""
    return c.b.select(c.b.lt(0.0, x), x, c.b.mul(x, c.b.expand(slope, x.shape)))


@lowers("_prelu_kernel_backward")
def prelu_backward(c: Context, grad: Value, x: Value, slope: Value) -> tuple[Value, Value]:
    """Gradients by the input and, element by element, by the slope."""
    positive = c.b.lt(0.0, x)
    by_input = c.b.select(positive, grad, c.b.mul(grad, c.b.expand(slope, x.shape)))
    return by_input, c.b.select(positive, 0.0, c.b.mul(grad, x))
