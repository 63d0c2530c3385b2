"""ATen's elementary functions that are no ops: powers, logarithms to other bases, remainders, norms of pairs."""

from __future__ import annotations

import math
from typing import Any

from lockstep.numerics.dtypes import DType
from lockstep.program import composites
from lockstep.program.emitter import Operand, Value
from lockstep.program.lowering.pointwise import as_float, out_dtype, widened
from lockstep.program.lowering.registry import Context, lowers

F32, I32 = DType.F32, DType.I32
_LONGEST_PRODUCT = 64


@lowers("log1p")
def log1p(c: Context, x: Value) -> Value:
    """``log(1 + x)``, accurate for small x."""
    return composites.log1p(c.b, x)


@lowers("expm1")
def expm1(c: Context, x: Value) -> Value:
    """``e^x - 1``, accurate for small x."""
    return composites.expm1(c.b, x)


@lowers("exp2")
def exp2(c: Context, x: Value) -> Value:
    """``2^x`` as ``e^(x log 2)``."""
    return c.b.exp(c.b.mul(x, math.log(2)))


@lowers("log2")
def log2(c: Context, x: Value) -> Value:
    """Logarithm to base 2."""
    return c.b.mul(c.b.log(x), 1 / math.log(2))


@lowers("log10")
def log10(c: Context, x: Value) -> Value:
    """Logarithm to base 10."""
    return c.b.mul(c.b.log(x), 1 / math.log(10))


@lowers("sinh")
def sinh(c: Context, x: Value) -> Value:
    """``(e^x - e^-x) / 2``, by ``expm1`` so that small x keep their bits."""
    b = c.b
    return b.mul(b.sub(composites.expm1(b, x), composites.expm1(b, b.neg(x))), 0.5)


@lowers("cosh")
def cosh(c: Context, x: Value) -> Value:
    """``(e^x + e^-x) / 2``."""
    b = c.b
    return b.mul(b.add(b.exp(x), b.exp(b.neg(x))), 0.5)


@lowers("sin")
def sin(c: Context, x: Value) -> Value:
    """Sine: within 2e-7 up to 6,000 in absolute value."""
    return composites.sine(c.b, as_float(c.b, x))


@lowers("cos")
def cos(c: Context, x: Value) -> Value:
    """Cosine: within 2e-7 up to 6,000 in absolute value."""
    return composites.sine(c.b, as_float(c.b, x), 1)


@lowers("tan")
def tan(c: Context, x: Value) -> Value:
    """Sine over cosine."""
    return c.b.div(sin(c, x), cos(c, x))


@lowers("erfc")
def erfc(c: Context, x: Value) -> Value:
    """``1 - erf(x)``, the difference rounded."""
    return c.b.sub(1.0, c.b.erf(x))


@lowers("frac")
def frac(c: Context, x: Value) -> Value:
    """What is behind the point, with the number's sign."""
    return c.b.sub(x, c.b.trunc(x))


@lowers("hypot")
def hypot(c: Context, a: Value, b: Value) -> Value:
    """``sqrt(a^2 + b^2)``; overflows where a square does."""
    x, y = widened(c, a, b, dtype=F32)
    return c.b.sqrt(c.b.add(c.b.mul(x, x), c.b.mul(y, y)))


@lowers("logaddexp")
def logaddexp(c: Context, a: Value, b: Value) -> Value:
    """``log(e^a + e^b)`` about the larger."""
    x, y = widened(c, a, b, dtype=F32)
    apart = c.b.neg(c.b.abs(c.b.sub(x, y)))
    tail = composites.log1p(c.b, c.b.exp(apart))
    # equal infinities have no difference
    return c.b.select(c.b.eq(x, y), c.b.add(x, math.log(2)), c.b.add(c.b.maximum(x, y), tail))


# powers


def _product(c: Context, x: Value, count: int) -> Value:
    """``x`` to a whole power by squarings."""
    result: Value | None = None
    while count:
        if count & 1:
            result = x if result is None else c.b.mul(result, x)
        count >>= 1
        x = c.b.mul(x, x) if count else x
    return c.b.f32(1.0, x.shape) if result is None else result


@lowers("pow.Tensor_Scalar")
def power(c: Context, x: Value, exponent: float) -> Value:
    """Halves and whole numbers up to 64 by products and a square root; others by ``e^(exponent log x)``.

    The latter is off by about ``|exponent log x|`` roundings.
    """
    if out_dtype(c) is I32:
        raise c.refuse("powers of integers are not carried", "Multiply, or take powers of floats.")
    x = as_float(c.b, x)
    doubled = 2 * exponent
    if doubled != int(doubled) or abs(exponent) > _LONGEST_PRODUCT:
        return c.b.exp(c.b.mul(c.b.log(x), float(exponent)))
    count, half = divmod(int(abs(doubled)), 2)
    result = _product(c, x, count)
    if half:
        result = c.b.mul(result, c.b.sqrt(x)) if count else c.b.sqrt(x)
    return c.b.div(1.0, result) if exponent < 0 else result


@lowers("pow.Scalar")
def power_of_number(c: Context, base: float, exponent: Value) -> Value:
    """A positive number to a power: ``e^(exponent log base)``."""
    if base <= 0:
        raise c.refuse(f"powers of {base} are not carried", "Use a positive base.")
    return c.b.exp(c.b.mul(as_float(c.b, exponent), math.log(base)))


@lowers("pow.Tensor_Tensor")
def power_of_tensor(c: Context, x: Value, exponent: Value) -> Value:
    """``e^(exponent log x)``: NaN where the base is negative, even for whole powers."""
    base, by = widened(c, x, exponent, dtype=F32)
    return c.b.select(c.b.eq(by, 0.0), 1.0, c.b.exp(c.b.mul(by, c.b.log(base))))


@lowers("xlogy.Tensor", "xlogy.Scalar_Other", "xlogy.Scalar_Self")
def xlogy(c: Context, a: Operand, b: Operand) -> Value:
    """``a log b``, 0 where ``a`` is 0."""
    x, y = widened(c, a, b, dtype=F32)
    return c.b.select(c.b.eq(x, 0.0), 0.0, c.b.mul(x, c.b.log(y)))


# quotients


def _whole_quotient(c: Context, a: Value, b: Operand) -> tuple[Value, Value, Value]:
    """Operands and the quotient rounded down of integers, for a positive divisor."""
    given = b.exact if isinstance(b, Value) and b.is_literal else b
    if isinstance(given, Value) or given <= 0:
        raise c.refuse("division of integers by a tensor or by what is not positive", "Divide by a positive number.")
    x, y = widened(c, a, b, dtype=I32)
    # -1 - x is what is left of a negative x without its sign, and never negative
    below = c.b.isub(-1, c.b.udiv(c.b.isub(-1, x), y))
    return x, y, c.b.select(c.b.ilt(x, 0), below, c.b.udiv(x, y))


@lowers("div.Tensor_mode", "div.Scalar_mode", "floor_divide", "floor_divide.Scalar")
def divided(c: Context, a: Value, b: Operand, *, rounding_mode: str | None = "floor") -> Value:
    """Quotient rounded down or towards zero; of integers by positive integers."""
    if out_dtype(c) is I32:
        if rounding_mode != "floor":
            raise c.refuse("division of integers towards zero is not carried", "Use rounding_mode='floor'.")
        return _whole_quotient(c, a, b)[2]
    quotient = c.b.div(*widened(c, a, b, dtype=F32))
    if rounding_mode is None:
        return quotient
    return c.b.floor(quotient) if rounding_mode == "floor" else c.b.trunc(quotient)


@lowers("remainder.Scalar", "remainder.Tensor")
def remainder(c: Context, a: Value, b: Operand) -> Value:
    """``a - b floor(a / b)``, for floats with each step rounded."""
    if out_dtype(c) is I32:
        x, y, quotient = _whole_quotient(c, a, b)
        return c.b.isub(x, c.b.imul(quotient, y))
    x, y = widened(c, a, b, dtype=F32)
    return c.b.sub(x, c.b.mul(y, c.b.floor(c.b.div(x, y))))


@lowers("fmod.Scalar", "fmod.Tensor")
def fmod(c: Context, a: Value, b: Operand) -> Value:
    """``a - b trunc(a / b)``, each step rounded."""
    x, y = widened(c, a, b, dtype=F32)
    return c.b.sub(x, c.b.mul(y, c.b.trunc(c.b.div(x, y))))


# fused forms, each step rounded


@lowers("lerp.Scalar", "lerp.Tensor")
def lerp(c: Context, start: Value, end: Value, weight: Operand) -> Value:
    """``start + weight (end - start)``."""
    x, y, by = widened(c, start, end, weight, dtype=F32)
    return c.b.add(x, c.b.mul(by, c.b.sub(y, x)))


@lowers("addcmul")
def addcmul(c: Context, x: Value, a: Value, b: Value, *, value: float = 1) -> Value:
    """``x + value a b``."""
    total, left, right = widened(c, x, a, b, dtype=F32)
    return c.b.add(total, c.b.mul(c.b.mul(left, float(value)), right))


@lowers("addcdiv")
def addcdiv(c: Context, x: Value, a: Value, b: Value, *, value: float = 1) -> Value:
    """``x + value a / b``."""
    total, left, right = widened(c, x, a, b, dtype=F32)
    return c.b.add(total, c.b.div(c.b.mul(left, float(value)), right))


# what is not a number


@lowers("isnan")
def isnan(c: Context, x: Value) -> Value:
    """1 where NaN."""
    return c.b.ne(x, x)


@lowers("isinf")
def isinf(c: Context, x: Value) -> Value:
    """1 where infinite."""
    return c.b.eq(c.b.abs(x), math.inf)


@lowers("isfinite")
def isfinite(c: Context, x: Value) -> Value:
    """1 where neither NaN nor infinite."""
    return c.b.lt(c.b.abs(x), math.inf)


_LARGEST = (2.0 - 2.0**-23) * 2.0**127


@lowers("nan_to_num")
def nan_to_num(
    c: Context, x: Value, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Value:
    """NaN and infinities replaced by numbers: 0 and the largest finite ones unless given."""
    b = c.b
    y = b.select(b.eq(x, math.inf), float(_LARGEST if posinf is None else posinf), x)
    y = b.select(b.eq(x, -math.inf), float(-_LARGEST if neginf is None else neginf), y)
    return b.select(b.ne(x, x), float(nan or 0.0), y)


# bounds that are tensors


def _bounded(c: Context, x: Value, low: Operand | None, high: Operand | None) -> Value:
    for bound, method in ((low, c.b.maximum), (high, c.b.minimum)):
        if bound is not None:
            wide, value = widened(c, bound, x, dtype=F32)
            x = method(wide, value)
    return x


@lowers("clamp.Tensor")
def clamp_tensor(c: Context, x: Value, low: Value | None = None, high: Value | None = None) -> Value:
    """``x`` held between two tensors; NaN stays NaN."""
    return _bounded(c, x, low, high)


@lowers("clamp_min.Tensor")
def clamp_min_tensor(c: Context, x: Value, low: Value) -> Value:
    """``x`` but at least another tensor; NaN stays NaN."""
    return _bounded(c, x, low, None)


@lowers("clamp_max", "clamp_max.Tensor")
def clamp_max(c: Context, x: Value, high: Operand) -> Value:
    """``x`` but at most a number or another tensor; NaN stays NaN."""
    return _bounded(c, x, None, high)


@lowers("logical_xor", "bitwise_xor.Tensor")
def logical_xor(c: Context, a: Value, b: Value, **_options: Any) -> Value:
    """Bitwise exclusive or; truth values are 0 and 1."""
    return c.b.bit_xor(*widened(c, a, b, dtype=I32))
