"""Functions that are no ops, built from ops: activations, softmax, random draws.

Each takes the builder and values, emits nodes and returns the result's value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lockstep.numerics.dtypes import DType
from lockstep.program.builder import Builder
from lockstep.program.emitter import Value
from lockstep.program.graph import Shape

F32 = DType.F32
_KEEP_BITS = 24


def sigmoid(b: Builder, x: Value) -> Value:
    """``1 / (1 + e^-x)``."""
    return b.div(1.0, b.add(b.exp(b.neg(x)), 1.0))


def silu(b: Builder, x: Value) -> Value:
    """``x sigmoid(x)``."""
    return b.mul(x, sigmoid(b, x))


def normal_cdf(b: Builder, x: Value) -> Value:
    """Distribution function of the standard normal: ``(1 + erf(x / sqrt 2)) / 2``."""
    return b.mul(b.add(b.erf(b.mul(x, math.sqrt(0.5))), 1.0), 0.5)


def gelu(b: Builder, x: Value) -> Value:
    """``x`` times the standard normal's distribution function at ``x``."""
    return b.mul(x, normal_cdf(b, x))


def relu(b: Builder, x: Value) -> Value:
    """``max(0, x)``; NaN stays NaN (``max`` is the second operand where the first is not greater)."""
    return b.maximum(0.0, x)


def softmax(b: Builder, x: Value) -> Value:
    """Softmax of the rows of f32 ``x`` [..., K]."""
    length = x.shape[-1]
    grown = b.exp(b.sub(x, b.expand_rows(b.max_rows(x), length)))
    return b.div(grown, b.expand_rows(b.sum_rows(grown), length))


def log_softmax(b: Builder, x: Value) -> Value:
    """Logarithm of the softmax of the rows of f32 ``x`` [..., K]."""
    length = x.shape[-1]
    shifted = b.sub(x, b.expand_rows(b.max_rows(x), length))
    return b.sub(shifted, b.expand_rows(b.log(b.sum_rows(b.exp(shifted))), length))


def rsqrt(b: Builder, x: Value) -> Value:
    """``1 / sqrt(x)``, each rounded."""
    return b.div(1.0, b.sqrt(x))


def log1p(b: Builder, x: Value) -> Value:
    """``log(1 + x)``, accurate for small x: ``log(u) x / (u - 1)`` with ``u = 1 + x`` rounded (W. Kahan)."""
    u = b.add(x, 1.0)
    lost = b.sub(u, 1.0)
    # where u is 1 the logarithm is x, and where x is infinite so is the logarithm
    plain = b.eq(lost, 0.0)
    scaled = b.mul(b.log(u), b.div(x, lost))
    return b.select(plain, x, b.select(b.eq(lost, x), b.log(u), scaled))


def expm1(b: Builder, x: Value) -> Value:
    """``e^x - 1``, accurate for small x: ``(u - 1) x / log(u)`` with ``u = e^x`` rounded (W. Kahan)."""
    u = b.exp(x)
    less = b.sub(u, 1.0)
    small = b.select(b.eq(u, 1.0), x, b.mul(less, b.div(x, b.log(u))))
    return b.select(b.lt(b.abs(x), 1.0), small, less)


_QUARTER = (math.floor(math.pi / 2 * 2**11) * 2.0**-11, math.floor(math.pi / 2 * 2**23) % 2**12 * 2.0**-23)
"""A quarter turn in two parts of 12 bits, whose products with numbers of quarters below 2**12 are exact."""
_REST = math.pi / 2 - sum(_QUARTER)


def sine(b: Builder, x: Value, quarters: int = 0) -> Value:
    """``sin(x + quarters pi / 2)``: within 2e-7 for ``|x|`` up to 6,000, beyond that any number from -1 to 1.

    What is left of x after whole quarter turns (W. Cody, W. Waite), then Taylor's polynomial of the sine or the cosine.
    """
    turns = b.rne(b.mul(x, 2 / math.pi))
    r = x
    for part in (*_QUARTER, _REST):
        r = b.sub(r, b.mul(turns, part))
    r = b.minimum(1.0, b.maximum(-1.0, r))
    square = b.mul(r, r)
    odd = b.mul(r, _polynomial(b, square, [(-1) ** n / math.factorial(2 * n + 1) for n in (4, 3, 2, 1, 0)]))
    even = _polynomial(b, square, [(-1) ** n / math.factorial(2 * n) for n in (5, 4, 3, 2, 1, 0)])
    place = b.iadd(b.cast(turns, DType.I32), quarters) if quarters else b.cast(turns, DType.I32)
    value = b.select(b.bit_and(place, 1), even, odd)
    return b.select(b.bit_and(place, 2), b.neg(value), value)


def uniform(b: Builder, shape: Shape, low: float = 0.0, high: float = 1.0, counter: Value | None = None) -> Value:
    """f32 draws from [low, high) on a grid of 2**24 points: ``(bits shr 8) * ((high - low) * 2**-24) + low``."""
    grid = b.cast(b.shr(b.random_bits(shape, counter), 32 - _KEEP_BITS), F32)
    spread = b.mul(grid, (high - low) * 2.0**-_KEEP_BITS)
    return b.add(spread, low) if low else spread


def open_uniform(b: Builder, shape: Shape, counter: Value | None = None) -> Value:
    """f32 draws from (0, 1): odd multiples of 2**-24, so neither end is among them."""
    odd = b.iadd(b.shl(b.shr(b.random_bits(shape, counter), 9), 1), 1)
    return b.mul(b.cast(odd, F32), 2.0**-24)


_CENTRE = (
    2.81022636e-08,
    3.43273939e-07,
    -3.5233877e-06,
    -4.39150654e-06,
    0.00021858087,
    -0.00125372503,
    -0.00417768164,
    0.246640727,
    1.50140941,
)
_TAIL = (
    -0.000200214257,
    0.000100950558,
    0.00134934322,
    -0.00367342844,
    0.00573950773,
    -0.0076224613,
    0.00943887047,
    1.00167406,
    2.83297682,
)


def _polynomial(b: Builder, x: Value, coefficients: Sequence[float]) -> Value:
    total = b.f32(coefficients[0], x.shape)
    for coefficient in coefficients[1:]:
        total = b.add(b.mul(total, x), coefficient)
    return total


def normal(b: Builder, shape: Shape, std: float = 1.0, counter: Value | None = None) -> Value:
    """f32 draws from the normal distribution with mean 0; absolute value at most 5.3 standard deviations.

    ``sqrt(2) erfinv(u)`` for u an odd multiple of 2**-23 in (-1, 1), by the polynomials of M. Giles,
    "Approximating the erfinv function" (GPU Computing Gems, 2010).
    """
    odd = b.iadd(b.shl(b.shr(b.random_bits(shape, counter), 9), 1), 1 - 2**23)
    u = b.mul(b.cast(odd, F32), 2.0**-23)
    w = b.neg(b.log(b.mul(b.sub(1.0, u), b.add(u, 1.0))))
    centre = _polynomial(b, b.sub(w, 2.5), _CENTRE)
    tail = _polynomial(b, b.sub(b.sqrt(w), 3.0), _TAIL)
    return b.mul(b.mul(u, math.sqrt(2.0) * std), b.select(b.lt(w, 5.0), centre, tail))


def dropout_mask(
    b: Builder, shape: Shape, probability: float, counter: Value | None = None, site: int | None = None
) -> Value:
    """f32: 0 with ``probability``, else ``1 / (1 - probability)``; kept iff ``(bits shr 8) < T``."""
    threshold = round((1.0 - probability) * 2**_KEEP_BITS)
    kept = b.ult(b.shr(b.random_bits(shape, counter, site), 32 - _KEEP_BITS), threshold)
    return b.select(kept, 1.0 / (1.0 - probability), 0.0)
