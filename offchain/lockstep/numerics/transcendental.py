"""exp, log, tanh and erf as fixed sequences of IEEE-754 binary32 operations.

Each function below is the definition: the operations it calls on ``o``, in the order written, every one
rounded to nearest even, none fused. NumPy, torch, ``native/transcendental.h`` and the Solidity executor run
the same sequence and so return the same bits. ``docs/numerics-transcendental.md`` derives the sequences;
``docs/data/transcendental_ulp.json`` holds the worst errors over all 2**32 inputs.

The sequences are frozen: changing one constant or swapping two operands changes what every past claim means.

The primitives, and what they must do where platforms differ:

- ``maximum(a, b)`` and ``minimum(a, b)`` have a finite non-zero constant as ``a``; a NaN ``b`` stays a NaN.
- ``to_int`` gets integral values in [-151, 129], or a NaN. A NaN may become 0 or INT_MIN: only the low nine bits
  matter, and they are zero in both.
- ``select(c, a, b)`` computes nothing: an operand not chosen may be anything.
- ``canonical`` replaces every NaN by 0x7fc00000. Where each f32 written is canonical anyway it is the identity.
"""

# ruff: noqa: D102  (the methods of both back ends are documented in Primitives)

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import numpy as np
import torch

from lockstep.numerics.dtypes import CANONICAL_NAN

CONSTANTS: Final[dict[str, int]] = {
    # Exact or correctly rounded values.
    "ZERO": 0x00000000,
    "ONE": 0x3F800000,
    "TWO": 0x40000000,
    "INFINITY": 0x7F800000,
    "MINUS_INFINITY": 0xFF800000,
    "NAN": CANONICAL_NAN,
    "MIN_NORMAL": 0x00800000,  # 2**-126
    "TWO_23": 0x4B000000,  # 2**23
    # exp: below the first the result is +0, above the second +inf; |n| stays below 151.
    "EXP_MIN": 0xC2D00000,  # -104
    "EXP_MAX": 0x42B20000,  # 89
    "LOG2_E": 0x3FB8AA3B,  # 1 / ln 2
    # ln 2 = hi + lo. hi has 15 significant bits, so that n * hi is exact.
    "LN2_HI": 0x3F317200,  # 0.693145751953125
    "LN2_LO": 0x35BFBE8E,  # 1.4286068e-06
    # exp: r - r**2 * (P0 + P1 * r**2) = 2 - 2r / (e**r - 1), minimax on |r| <= 0.347.
    "EXP_P0": 0x3E2AAA8A,
    "EXP_P1": 0xBB354513,
    # log
    "LN2": 0x3F317218,
    # log: (2 atanh(s) - 2s) / s**3 = L0 + L1 * s**2 + L2 * s**4, minimax on |s| <= 3 - 2 * sqrt(2).
    "LOG_L0": 0x3F2AAABD,
    "LOG_L1": 0x3ECCAF68,
    "LOG_L2": 0x3E98F073,
    # tanh
    "TANH_MAX": 0x41200000,  # 10: the result is 1 from 9.02 on
    "TANH_SMALL": 0x3F400000,  # 0.75: below it no range reduction
    "TWO_LOG2_E": 0x4038AA3B,  # 2 / ln 2
    "HALF_LN2_HI": 0x3EB17200,  # the halves of LN2_HI and LN2_LO
    "HALF_LN2_LO": 0x353FBE8E,
    # tanh: (r * coth(r) - 1) / r**2 = Q0 + Q1 * r**2 + Q2 * r**4 + Q3 * r**6, minimax on |r| <= TANH_SMALL.
    "TANH_Q0": 0x3EAAAAA4,
    "TANH_Q1": 0xBCB606CE,
    "TANH_Q2": 0x3B09E97B,
    "TANH_Q3": 0xB94210FD,
    # erf
    "ERF_MAX": 0x40800000,  # 4: the result is 1 from 3.92 on
    "ERF_SMALL": 0x3F920000,  # 1.140625
}
"""Bit patterns of the f32 constants."""

LOG_SQRT_HALF: Final = 0x3F3504F3
"""Bits of sqrt(1/2): mantissas are brought into [sqrt(1/2), sqrt(2))."""

LOG_SQRT_HALF_SCALED: Final = 0x4AB504F3
"""The same plus 23 in the exponent field, for an input that was multiplied by 2**23."""

ERF_SMALL_COEFFICIENTS: Final[tuple[int, ...]] = (
    0xBE0375D5,
    0x3EC093A3,
    0xBDE71758,
    0x3CDC1101,
    0xBBAAEC0A,
    0x3A5CA7DD,
    0xB8E2CFE9,
    0x370E1608,
)
"""1 - erf(x) / x as a polynomial in x**2 on [0, ERF_SMALL], constant term first."""

ERF_LARGE_COEFFICIENTS: Final[tuple[int, ...]] = (
    0x3F80BA8D,
    0xBE9E7D7D,
    0xBD7E9A89,
    0xBD5371E1,
    0x3D88A8EE,
    0xBCB785E1,
    0x3B561036,
    0xB93E9E3F,
)
"""erfc(x) ** (1/4) as a polynomial in x on [ERF_SMALL, ERF_MAX], constant term first."""


class Primitives(Protocol):
    """The f32 and i32 operations that the sequences are written in. Values are arrays of one library."""

    def constant(self, bits: int) -> Any:
        """The f32 with these bits."""

    def add(self, a: Any, b: Any) -> Any:
        """f32 sum."""

    def sub(self, a: Any, b: Any) -> Any:
        """f32 difference."""

    def mul(self, a: Any, b: Any) -> Any:
        """f32 product."""

    def div(self, a: Any, b: Any) -> Any:
        """f32 quotient."""

    def rne(self, a: Any) -> Any:
        """f32 rounded to an integral value, ties to even."""

    def absolute(self, a: Any) -> Any:
        """f32 with the sign bit cleared."""

    def maximum(self, a: Any, b: Any) -> Any:
        """``a if a > b else b`` (see the module's notes)."""

    def minimum(self, a: Any, b: Any) -> Any:
        """``a if a < b else b`` (see the module's notes)."""

    def less(self, a: Any, b: Any) -> Any:
        """Condition a < b of f32, for select; false with a NaN."""

    def equal(self, a: Any, b: Any) -> Any:
        """Condition a == b of f32, for select; false with a NaN."""

    def select(self, condition: Any, a: Any, b: Any) -> Any:
        """f32 ``a`` where the condition holds, else ``b``."""

    def select_int(self, condition: Any, a: int, b: int) -> Any:
        """i32 constant ``a`` where the condition holds, else ``b``."""

    def to_int(self, a: Any) -> Any:
        """i32 from an integral f32 (see the module's notes)."""

    def to_float(self, a: Any) -> Any:
        """f32 nearest to an i32."""

    def bits(self, a: Any) -> Any:
        """i32 with the bits of an f32."""

    def from_bits(self, a: Any) -> Any:
        """f32 with the bits of an i32."""

    def add_int(self, a: Any, b: Any) -> Any:
        """i32 sum, wrapping; ``b`` may be a Python int."""

    def sub_int(self, a: Any, b: Any) -> Any:
        """i32 difference, wrapping; ``a`` may be a Python int."""

    def and_int(self, a: Any, b: int) -> Any:
        """i32 bitwise and with a constant."""

    def or_int(self, a: Any, b: Any) -> Any:
        """i32 bitwise or."""

    def shl(self, a: Any, count: int) -> Any:
        """i32 shifted left."""

    def sar(self, a: Any, count: int) -> Any:
        """i32 shifted right, the sign copied in."""

    def canonical(self, a: Any) -> Any:
        """f32 with every NaN replaced by 0x7fc00000."""


class _Constants:
    """CONSTANTS as values of one back end, made when asked for."""

    def __init__(self, o: Primitives) -> None:
        self._o = o

    def __getitem__(self, name: str) -> Any:
        return self._o.constant(CONSTANTS[name])


def exp(o: Primitives, x: Any) -> Any:
    """e**x: x = n ln 2 + r, e**r = 1 + (r + r c / (2 - c)), times 2**n in two steps so that it rounds once."""
    c = _Constants(o)
    b = o.minimum(c["EXP_MAX"], o.maximum(c["EXP_MIN"], x))
    n = o.rne(o.mul(b, c["LOG2_E"]))
    r = o.sub(o.sub(b, o.mul(n, c["LN2_HI"])), o.mul(n, c["LN2_LO"]))
    z = o.mul(r, r)
    q = o.sub(r, o.mul(o.add(o.mul(z, c["EXP_P1"]), c["EXP_P0"]), z))
    p = o.add(o.add(o.div(o.mul(r, q), o.sub(c["TWO"], q)), r), c["ONE"])
    # 2**n = 2**m * 2**(n - m): the first factor goes into the exponent field of p (p is near 1 and |m| <= 75, so
    # it stays normal), the second is multiplied, which rounds to a subnormal or overflows to an infinity.
    i = o.to_int(n)
    m = o.sar(i, 1)
    scaled = o.from_bits(o.add_int(o.bits(p), o.shl(m, 23)))
    factor = o.from_bits(o.shl(o.add_int(o.sub_int(i, m), 127), 23))
    return o.canonical(o.mul(scaled, factor))


def log(o: Primitives, x: Any) -> Any:
    """ln x: x = 2**k (1 + f), s = f / (2 + f), ln(1 + f) = f - s (f - R(s**2)), plus k ln 2."""
    c = _Constants(o)
    tiny = o.less(x, c["MIN_NORMAL"])  # also zero and negatives, which the last lines replace
    y = o.select(tiny, o.mul(x, c["TWO_23"]), x)
    i = o.sub_int(o.bits(y), o.select_int(tiny, LOG_SQRT_HALF_SCALED, LOG_SQRT_HALF))
    k = o.to_float(o.sar(i, 23))
    f = o.sub(o.from_bits(o.add_int(o.and_int(i, 0x007FFFFF), LOG_SQRT_HALF)), c["ONE"])
    s = o.div(f, o.add(f, c["TWO"]))
    z = o.mul(s, s)
    t = o.mul(o.add(o.mul(o.add(o.mul(z, c["LOG_L2"]), c["LOG_L1"]), z), c["LOG_L0"]), z)
    y = o.add(o.mul(k, c["LN2"]), o.sub(f, o.mul(s, o.sub(f, t))))
    y = o.select(o.less(x, c["INFINITY"]), y, x)
    y = o.select(o.less(c["ZERO"], x), y, o.select(o.equal(x, c["ZERO"]), c["MINUS_INFINITY"], c["NAN"]))
    return o.canonical(y)


def tanh(o: Primitives, x: Any) -> Any:
    """tanh x from D = r coth r: r - r (D - 1) / D when |x| is small, else 1 - 2 A / (A + B) with B / A = e**(2|x|).

    |x| = n (ln 2) / 2 + r; A = 2**-n (D - r), B = D + r; n = 0 and r = |x| when |x| is small.
    """
    c = _Constants(o)
    a = o.absolute(x)
    small = o.less(a, c["TANH_SMALL"])
    b = o.minimum(c["TANH_MAX"], a)
    n = o.select(small, c["ZERO"], o.rne(o.mul(b, c["TWO_LOG2_E"])))
    r = o.sub(o.sub(b, o.mul(n, c["HALF_LN2_HI"])), o.mul(n, c["HALF_LN2_LO"]))
    z = o.mul(r, r)
    w = o.add(o.mul(o.add(o.mul(z, c["TANH_Q3"]), c["TANH_Q2"]), z), c["TANH_Q1"])
    w = o.mul(o.add(o.mul(w, z), c["TANH_Q0"]), z)
    d = o.add(w, c["ONE"])
    u = o.mul(o.sub(d, r), o.from_bits(o.shl(o.sub_int(127, o.to_int(n)), 23)))
    v = o.div(o.select(small, w, u), o.select(small, d, o.add(o.add(d, r), u)))
    y = o.sub(o.select(small, r, c["ONE"]), o.mul(o.select(small, r, c["TWO"]), v))
    return o.canonical(_with_sign_of(o, y, x))


def erf(o: Primitives, x: Any) -> Any:
    """Error function: m - m v with m = |x| and v = P(x**2) when |x| is small, else m = 1 and v = P(|x|)**4.

    Both polynomials have degree 7, so one Horner loop with chosen coefficients serves both.
    """
    c = _Constants(o)
    a = o.absolute(x)
    b = o.minimum(c["ERF_MAX"], a)
    small = o.less(b, c["ERF_SMALL"])
    t = o.select(small, o.mul(b, b), b)
    pairs = list(zip(ERF_SMALL_COEFFICIENTS, ERF_LARGE_COEFFICIENTS, strict=True))
    coefficients = [o.select(small, o.constant(inner), o.constant(outer)) for inner, outer in pairs]
    p = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        p = o.add(o.mul(p, t), coefficient)
    p2 = o.mul(p, p)
    v = o.select(small, p, o.mul(p2, p2))
    m = o.select(small, b, c["ONE"])
    y = o.sub(m, o.mul(m, v))
    return o.canonical(_with_sign_of(o, y, x))


def _with_sign_of(o: Primitives, magnitude: Any, x: Any) -> Any:
    """The magnitude (not negative) with the sign bit of x."""
    return o.from_bits(o.or_int(o.bits(magnitude), o.and_int(o.bits(x), 0x80000000)))


def _signed(value: int) -> int:
    """The i32 with the bits of a u32."""
    return value - (1 << 32) if value >= 1 << 31 else value


class NumpyPrimitives:
    """The primitives on NumPy arrays of float32 and int32. NumPy's five arithmetic operations round correctly.

    A condition is an int32 of all ones or zeros, and select works on bits: ``where`` mispredicts and takes ten times
    as long.
    """

    def constant(self, bits: int) -> Any:
        return np.uint32(bits).view(np.float32)

    def add(self, a: Any, b: Any) -> Any:
        return a + b

    def sub(self, a: Any, b: Any) -> Any:
        return a - b

    def mul(self, a: Any, b: Any) -> Any:
        return a * b

    def div(self, a: Any, b: Any) -> Any:
        return a / b

    def rne(self, a: Any) -> Any:
        return np.rint(a)

    def absolute(self, a: Any) -> Any:
        return np.abs(a)

    def maximum(self, a: Any, b: Any) -> Any:
        return np.where(a > b, a, b)

    def minimum(self, a: Any, b: Any) -> Any:
        return np.where(a < b, a, b)

    def less(self, a: Any, b: Any) -> Any:
        return -(a < b).astype(np.int32)

    def equal(self, a: Any, b: Any) -> Any:
        return -(a == b).astype(np.int32)

    def select(self, condition: Any, a: Any, b: Any) -> Any:
        return self.from_bits(self.select_int(condition, self.bits(a), self.bits(b)))

    def select_int(self, condition: Any, a: Any, b: Any) -> Any:
        return ((a ^ b) & condition) ^ b

    def to_int(self, a: Any) -> Any:
        return a.astype(np.int32)

    def to_float(self, a: Any) -> Any:
        return a.astype(np.float32)

    def bits(self, a: Any) -> Any:
        return a.view(np.int32)

    def from_bits(self, a: Any) -> Any:
        return a.view(np.float32)

    def add_int(self, a: Any, b: Any) -> Any:
        return a + b

    def sub_int(self, a: Any, b: Any) -> Any:
        return a - b

    def and_int(self, a: Any, b: int) -> Any:
        return a & np.int32(_signed(b))

    def or_int(self, a: Any, b: Any) -> Any:
        return a | b

    def shl(self, a: Any, count: int) -> Any:
        return a << count

    def sar(self, a: Any, count: int) -> Any:
        return a >> count

    def canonical(self, a: Any) -> Any:
        return np.where(a == a, a, self.constant(CANONICAL_NAN))


class TorchPrimitives:
    """The primitives on torch tensors of float32 and int32, on one device.

    Only operations that torch rounds correctly at any thread count are used: no sqrt, no scalar divided by a
    tensor, no ``alpha``; constants are 0-dimensional tensors. Conditions are int32 masks, as in NumpyPrimitives.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = device

    def constant(self, bits: int) -> Any:
        return self._integer(_signed(bits)).view(torch.float32)

    def add(self, a: Any, b: Any) -> Any:
        return torch.add(a, b)

    def sub(self, a: Any, b: Any) -> Any:
        return torch.sub(a, b)

    def mul(self, a: Any, b: Any) -> Any:
        return torch.mul(a, b)

    def div(self, a: Any, b: Any) -> Any:
        return torch.div(a, b)

    def rne(self, a: Any) -> Any:
        return torch.round(a)

    def absolute(self, a: Any) -> Any:
        return torch.abs(a)

    def maximum(self, a: Any, b: Any) -> Any:
        return torch.maximum(a, b)

    def minimum(self, a: Any, b: Any) -> Any:
        return torch.minimum(a, b)

    def less(self, a: Any, b: Any) -> Any:
        return -torch.lt(a, b).to(torch.int32)

    def equal(self, a: Any, b: Any) -> Any:
        return -torch.eq(a, b).to(torch.int32)

    def select(self, condition: Any, a: Any, b: Any) -> Any:
        return self.from_bits(self.select_int(condition, self.bits(a), self.bits(b)))

    def select_int(self, condition: Any, a: Any, b: Any) -> Any:
        return ((a ^ b) & condition) ^ b

    def to_int(self, a: Any) -> Any:
        return a.to(torch.int32)

    def to_float(self, a: Any) -> Any:
        return a.to(torch.float32)

    def bits(self, a: Any) -> Any:
        return a.view(torch.int32)

    def from_bits(self, a: Any) -> Any:
        return a.view(torch.float32)

    def add_int(self, a: Any, b: Any) -> Any:
        return a + b

    def sub_int(self, a: Any, b: Any) -> Any:
        return a - b

    def and_int(self, a: Any, b: int) -> Any:
        return a & _signed(b)

    def or_int(self, a: Any, b: Any) -> Any:
        return a | b

    def shl(self, a: Any, count: int) -> Any:
        return a << count

    def sar(self, a: Any, count: int) -> Any:
        return a >> count

    def canonical(self, a: Any) -> Any:
        return torch.where(torch.eq(a, a), a, self.constant(CANONICAL_NAN))

    def _integer(self, value: int) -> torch.Tensor:
        return torch.tensor(value, dtype=torch.int32, device=self.device)


class CompiledTorchPrimitives(TorchPrimitives):
    """The same for a compiler, which makes good vector code of ``where`` and poor code of masks."""

    def less(self, a: Any, b: Any) -> Any:
        return torch.lt(a, b)

    def equal(self, a: Any, b: Any) -> Any:
        return torch.eq(a, b)

    def select(self, condition: Any, a: Any, b: Any) -> Any:
        return torch.where(condition, a, b)

    def select_int(self, condition: Any, a: int, b: int) -> Any:
        return torch.where(condition, self._integer(a), self._integer(b))


Sequence = Callable[[Primitives, Any], Any]

FUNCTIONS: Final[dict[str, Sequence]] = {"exp": exp, "log": log, "tanh": tanh, "erf": erf}
"""The four sequences by name."""


def _numpy(function: Sequence, x: np.ndarray) -> np.ndarray:
    x = np.asarray(x, dtype=np.float32)
    with np.errstate(all="ignore"):
        return np.asarray(function(NumpyPrimitives(), np.atleast_1d(x))).reshape(x.shape)


def _torch(function: Sequence, x: torch.Tensor) -> torch.Tensor:
    primitives = CompiledTorchPrimitives if torch.compiler.is_compiling() else TorchPrimitives
    return torch.as_tensor(function(primitives(x.device), x))


def exp_numpy(x: np.ndarray) -> np.ndarray:
    """e**x of a float32 array, any shape."""
    return _numpy(exp, x)


def log_numpy(x: np.ndarray) -> np.ndarray:
    """Natural logarithm of a float32 array, any shape; -inf at zeros, NaN below."""
    return _numpy(log, x)


def tanh_numpy(x: np.ndarray) -> np.ndarray:
    """Hyperbolic tangent of a float32 array, any shape."""
    return _numpy(tanh, x)


def erf_numpy(x: np.ndarray) -> np.ndarray:
    """Error function of a float32 array, any shape."""
    return _numpy(erf, x)


def exp_torch(x: torch.Tensor) -> torch.Tensor:
    """e**x of a float32 tensor, any shape and device."""
    return _torch(exp, x)


def log_torch(x: torch.Tensor) -> torch.Tensor:
    """Natural logarithm of a float32 tensor, any shape and device; -inf at zeros, NaN below."""
    return _torch(log, x)


def tanh_torch(x: torch.Tensor) -> torch.Tensor:
    """Hyperbolic tangent of a float32 tensor, any shape and device."""
    return _torch(tanh, x)


def erf_torch(x: torch.Tensor) -> torch.Tensor:
    """Error function of a float32 tensor, any shape and device."""
    return _torch(erf, x)
