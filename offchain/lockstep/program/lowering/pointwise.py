"""Elementwise ATen operators: arithmetic, comparisons, activations and their backward passes, fills.

Truth values and integers are i32. An f32 operand meets an integer one by a cast; shapes widen by views.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from lockstep.numerics.dtypes import DType
from lockstep.program import composites
from lockstep.program.builder import Builder
from lockstep.program.emitter import Operand, Value
from lockstep.program.lowering.registry import Context, lowers

F32, I32 = DType.F32, DType.I32
_DTYPES = {torch.float32: F32, torch.int64: I32, torch.int32: I32, torch.bool: I32}


def dtype_of(c: Context, dtype: torch.dtype) -> DType:
    """Element type that carries a PyTorch dtype; refuses those none carries."""
    if dtype not in _DTYPES:
        raise c.refuse(f"tensors of {dtype} are not carried", "Programs compute in float32 and int32.")
    return _DTYPES[dtype]


def out_dtype(c: Context) -> DType:
    """Element type of the node's output."""
    return dtype_of(c, c.node.meta["val"].dtype)


def as_float(b: Builder, x: Operand) -> Value:
    """An operand as f32."""
    return b.cast(x, F32) if isinstance(x, Value) else b.f32(float(x))


def widened(c: Context, *operands: Operand, dtype: DType | None = None) -> list[Value]:
    """Operands in one dtype (f32 where any is) and in the shape of the node's output."""
    values = [x for x in operands if isinstance(x, Value)]
    if dtype is None:
        floating = any(v.dtype is F32 for v in values) or any(isinstance(x, float) for x in operands)
        dtype = F32 if floating else I32
    made = []
    for x in operands:
        value = c.b.literal_like(x, dtype)
        value = c.b.cast(value, dtype) if value.dtype is not dtype else value
        made.append(c.b.expand(value, c.shape) if value.shape or not value.is_literal else value)
    return made


def _arithmetic(floating: str, integer: str | None) -> Callable[..., Value]:
    def rule(c: Context, a: Operand, b: Operand, alpha: float = 1) -> Value:
        x, y = widened(c, a, b, dtype=out_dtype(c))
        if x.dtype is F32:
            if alpha != 1:
                y = c.b.mul(y, float(alpha))
            return _full(c, getattr(c.b, floating)(x, y))
        if integer is None:
            raise c.refuse("not carried for integers")
        if alpha != 1:
            y = c.b.imul(y, int(alpha))
        return _full(c, getattr(c.b, integer)(x, y))

    rule.__doc__ = f"Elementwise ``{floating}``" + (
        f", of integers ``{integer}``." if integer else "; not of integers."
    )
    return rule


def _full(c: Context, x: Value) -> Value:
    """A result in the node's shape: two scalars give a literal of shape ()."""
    return c.b.expand(x, c.shape) if x.shape != c.shape else x


lowers("add.Tensor", "add.Scalar")(_arithmetic("add", "iadd"))
lowers("sub.Tensor", "sub.Scalar")(_arithmetic("sub", "isub"))
lowers("mul.Tensor", "mul.Scalar")(_arithmetic("mul", "imul"))
lowers("div.Tensor", "div.Scalar")(_arithmetic("div", None))
lowers("maximum")(_arithmetic("maximum", None))
lowers("minimum")(_arithmetic("minimum", None))


@lowers("rsub.Scalar", "rsub.Tensor")
def rsub(c: Context, a: Value, b: Operand, alpha: float = 1) -> Value:
    """``b - alpha a``."""
    x, y = widened(c, a, b, dtype=F32)
    return _full(c, c.b.sub(y, c.b.mul(x, float(alpha)) if alpha != 1 else x))


def _unary(name: str) -> Callable[[Context, Value], Value]:
    def rule(c: Context, x: Value) -> Value:
        result: Value = getattr(c.b, name)(as_float(c.b, x))
        return result

    rule.__doc__ = f"Elementwise ``{name}``."
    return rule


for _name in ("exp", "log", "tanh", "erf", "sqrt", "floor", "ceil", "trunc"):
    lowers(_name)(_unary(_name))
lowers("round")(_unary("rne"))


@lowers("neg")
def neg(c: Context, x: Value) -> Value:
    """``-x``."""
    return c.b.neg(x) if x.dtype is F32 else c.b.isub(0, x)


@lowers("abs")
def absolute(c: Context, x: Value) -> Value:
    """``|x|``; integers are not carried."""
    if x.dtype is not F32:
        raise c.refuse("not carried for integers")
    return c.b.abs(x)


@lowers("sgn", "sign")
def sign(c: Context, x: Value) -> Value:
    """-1, 0 or 1; 0 for NaN."""
    b = c.b
    return b.cast(b.isub(b.lt(0.0, x), b.lt(x, 0.0)), F32)


@lowers("reciprocal")
def reciprocal(c: Context, x: Value) -> Value:
    """``1 / x``, one rounding."""
    return c.b.div(1.0, as_float(c.b, x))


@lowers("rsqrt")
def rsqrt(c: Context, x: Value) -> Value:
    """``1 / sqrt(x)``, each rounded."""
    return composites.rsqrt(c.b, as_float(c.b, x))


def _compare(floating: str, integer: str, *, swap: bool = False) -> Callable[..., Value]:
    def rule(c: Context, a: Operand, b: Operand) -> Value:
        x, y = widened(c, *((b, a) if swap else (a, b)))
        return _full(c, getattr(c.b, floating if x.dtype is F32 else integer)(x, y))

    rule.__doc__ = f"Elementwise ``{floating}``, of integers ``{integer}``" + (
        " of the operands exchanged." if swap else "."
    )
    return rule


for _aten, _floating, _integer, _swap in (
    ("lt", "lt", "ilt", False),
    ("le", "le", "ile", False),
    ("gt", "lt", "ilt", True),
    ("ge", "le", "ile", True),
    ("eq", "eq", "ieq", False),
    ("ne", "ne", "ine", False),
):
    lowers(f"{_aten}.Tensor", f"{_aten}.Scalar")(_compare(_floating, _integer, swap=_swap))


@lowers("logical_not", "bitwise_not")
def logical_not(c: Context, x: Value) -> Value:
    """Truth values only."""
    if c.node.meta["val"].dtype is not torch.bool:
        raise c.refuse("carried for truth values only")
    return c.b.ieq(x, 0)


@lowers("logical_and", "bitwise_and.Tensor")
def logical_and(c: Context, a: Value, b: Value) -> Value:
    """Bitwise and; truth values are 0 and 1."""
    return c.b.bit_and(*widened(c, a, b, dtype=I32))


@lowers("logical_or", "bitwise_or.Tensor")
def logical_or(c: Context, a: Value, b: Value) -> Value:
    """Bitwise or; truth values are 0 and 1."""
    return c.b.bit_or(*widened(c, a, b, dtype=I32))


@lowers("where.self", "where.ScalarOther", "where.ScalarSelf", "where.Scalar")
def where(c: Context, condition: Value, a: Operand, b: Operand) -> Value:
    """``a`` where the condition holds, else ``b``."""
    x, y = widened(c, a, b, dtype=out_dtype(c))
    return _full(c, c.b.select(c.b.expand(condition, c.shape), x, y))


@lowers("masked_fill.Scalar", "masked_fill.Tensor")
def masked_fill(c: Context, x: Value, mask: Value, value: Operand) -> Value:
    """``value`` where the mask holds, else ``x``."""
    return where(c, mask, value, x)


@lowers("hardtanh")
def hardtanh(c: Context, x: Value, low: float = -1.0, high: float = 1.0) -> Value:
    """``x`` held between two numbers; NaN stays NaN."""
    return clamp(c, x, low, high)


@lowers("clamp")
def clamp(c: Context, x: Value, low: float | None = None, high: float | None = None) -> Value:
    """``x`` held between two numbers, or on one side of one; NaN stays NaN."""
    if low is not None:
        x = c.b.maximum(float(low), x)
    return x if high is None else c.b.minimum(float(high), x)


@lowers("clamp_min")
def clamp_min(c: Context, x: Value, low: float) -> Value:
    """``x`` but at least ``low``; NaN stays NaN."""
    return c.b.maximum(float(low), x)


@lowers("hardtanh_backward")
def hardtanh_backward(c: Context, grad: Value, x: Value, low: float, high: float) -> Value:
    """The gradient strictly inside the two numbers."""
    inside = c.b.bit_and(c.b.lt(low, x), c.b.lt(x, high))
    return c.b.select(inside, grad, 0.0)


@lowers("relu")
def relu(c: Context, x: Value) -> Value:
    """``max(0, x)``."""
    return composites.relu(c.b, x)


@lowers("threshold_backward")
def threshold_backward(c: Context, grad: Value, x: Value, threshold: float) -> Value:
    """0 where ``x <= threshold``, else the gradient."""
    return c.b.select(c.b.le(x, float(threshold)), 0.0, grad)


@lowers("leaky_relu")
def leaky_relu(c: Context, x: Value, slope: float = 0.01) -> Value:
    """``x`` where positive, else ``slope x``."""
    return c.b.select(c.b.lt(0.0, x), x, c.b.mul(x, float(slope)))


@lowers("leaky_relu_backward")
def leaky_relu_backward(c: Context, grad: Value, x: Value, slope: float, _from_result: bool) -> Value:
    """The gradient where ``x`` (or the result, of the same sign) is positive, else ``slope`` times it."""
    return c.b.select(c.b.lt(0.0, x), grad, c.b.mul(grad, float(slope)))


@lowers("sigmoid")
def sigmoid(c: Context, x: Value) -> Value:
    """``1 / (1 + e^-x)``."""
    return composites.sigmoid(c.b, x)


@lowers("sigmoid_backward")
def sigmoid_backward(c: Context, grad: Value, y: Value) -> Value:
    """``grad (1 - y) y``."""
    return c.b.mul(grad, c.b.mul(c.b.sub(1.0, y), y))


@lowers("tanh_backward")
def tanh_backward(c: Context, grad: Value, y: Value) -> Value:
    """``grad (1 - y^2)``."""
    return c.b.mul(grad, c.b.sub(1.0, c.b.mul(y, y)))


@lowers("silu")
def silu(c: Context, x: Value) -> Value:
    """``x sigmoid(x)``."""
    return composites.silu(c.b, x)


@lowers("silu_backward")
def silu_backward(c: Context, grad: Value, x: Value) -> Value:
    """``grad s (1 + x (1 - s))`` with ``s = sigmoid(x)``."""
    s = composites.sigmoid(c.b, x)
    return c.b.mul(grad, c.b.mul(s, c.b.add(c.b.mul(x, c.b.sub(1.0, s)), 1.0)))


_TANH_SCALE, _TANH_CUBE = math.sqrt(2 / math.pi), 0.044715


def _tanh_inner(b: Builder, x: Value) -> Value:
    """``tanh(sqrt(2 / pi) (x + 0.044715 x^3))``."""
    cube = b.mul(b.mul(b.mul(x, x), x), _TANH_CUBE)
    return b.tanh(b.mul(b.add(x, cube), _TANH_SCALE))


@lowers("gelu")
def gelu(c: Context, x: Value, approximate: str = "none") -> Value:
    """``x`` times the normal distribution function, or its tanh approximation."""
    if approximate == "none":
        return composites.gelu(c.b, x)
    return c.b.mul(c.b.mul(x, 0.5), c.b.add(_tanh_inner(c.b, x), 1.0))


@lowers("gelu_backward")
def gelu_backward(c: Context, grad: Value, x: Value, approximate: str = "none") -> Value:
    """``grad (cdf(x) + x pdf(x))``, or the derivative of the tanh approximation."""
    b = c.b
    if approximate == "none":
        density = b.mul(b.exp(b.mul(b.mul(x, x), -0.5)), 1 / math.sqrt(2 * math.pi))
        return b.mul(grad, b.add(composites.normal_cdf(b, x), b.mul(x, density)))
    t = _tanh_inner(b, x)
    inner = b.mul(b.add(b.mul(b.mul(x, x), 3 * _TANH_CUBE), 1.0), _TANH_SCALE)
    slope = b.mul(b.mul(b.mul(x, 0.5), b.sub(1.0, b.mul(t, t))), inner)
    return b.mul(grad, b.add(b.mul(b.add(t, 1.0), 0.5), slope))


@lowers("_to_copy")
def to_copy(c: Context, x: Value, dtype: torch.dtype | None = None, **_options: Any) -> Value:
    """Casts among float32, integers and truth values; devices and layouts mean nothing here."""
    wanted = c.node.meta["val"].dtype
    if wanted is torch.bool:
        return c.b.ne(x, 0.0) if x.dtype is F32 else c.b.ine(x, 0)
    return c.b.cast(x, dtype_of(c, wanted))


@lowers("clone", "detach", "alias", "lift_fresh_copy", "contiguous")
def same(c: Context, x: Value, **_options: Any) -> Value:
    """The operand itself."""
    return x


@lowers("copy")
def copy(c: Context, target: Value, x: Value, *_rest: Any) -> Value:
    """The second operand in the first's shape and dtype."""
    return c.b.expand(c.b.cast(x, target.dtype), c.shape)


def _filled(value: float | None) -> Callable[..., Value]:
    def rule(c: Context, *args: Any, **_options: Any) -> Value:
        number = args[-1] if value is None else value
        if isinstance(number, Value):
            return c.b.expand(c.b.cast(number, out_dtype(c)), c.shape)
        dtype = out_dtype(c)
        return c.b.f32(float(number), c.shape) if dtype is F32 else c.b.i32(int(number), c.shape)

    rule.__doc__ = "A number in every element." if value is None else f"{value:g} in every element."
    return rule


lowers("zeros", "zeros_like", "new_zeros", "empty.memory_format", "empty_like", "new_empty", "new_empty_strided")(
    _filled(0.0)
)
lowers("ones", "ones_like", "new_ones")(_filled(1.0))
lowers("full", "full_like", "new_full", "scalar_tensor", "fill.Scalar", "fill.Tensor")(_filled(None))


@lowers("arange", "arange.start", "arange.start_step")
def arange(c: Context, *bounds: float, **_options: Any) -> Value:
    """Integers from a start by a step."""
    start, step = (bounds[0] if len(bounds) > 1 else 0), (bounds[2] if len(bounds) > 2 else 1)
    if any(number != int(number) for number in (start, step)):
        raise c.refuse("carried for whole numbers only")
    counted = c.b.iadd(c.b.imul(c.b.iota(c.shape), int(step)) if step != 1 else c.b.iota(c.shape), int(start))
    return c.b.cast(counted if start else _without_start(c, int(step)), out_dtype(c))


@lowers("linspace")
def linspace(c: Context, start: float, end: float, steps: int, **_options: Any) -> Value:
    """Equal steps from a number to another."""
    number = c.b.cast(c.b.iota(c.shape), F32)
    return c.b.add(c.b.mul(number, (end - start) / max(steps - 1, 1)), float(start))


@lowers("eye", "eye.m")
def eye(c: Context, *_sizes: int, **_options: Any) -> Value:
    """1 on the diagonal, 0 elsewhere."""
    rows, columns = c.shape
    row = c.b.expand_rows(c.b.iota((rows,)), columns)
    on = c.b.ieq(row, c.b.expand(c.b.iota((columns,)), (rows, columns)))
    return c.b.cast(on, out_dtype(c))


def _without_start(c: Context, step: int) -> Value:
    return c.b.imul(c.b.iota(c.shape), step) if step != 1 else c.b.iota(c.shape)


def listed(axes: int | Sequence[int] | None, rank: int) -> list[int]:
    """Axes of a reduction as a sorted list of non-negative numbers; all of them where none is named."""
    if axes is None or (not isinstance(axes, int) and len(axes) == 0):
        return list(range(rank))
    axes = [axes] if isinstance(axes, int) else list(axes)
    return sorted(axis % rank if rank else 0 for axis in axes)
