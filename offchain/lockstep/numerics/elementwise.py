"""Elementwise ops of the reference: float, integer, comparison, select.

Operands have one shape; nothing broadcasts. f32 results are IEEE-754 binary32, round to nearest even,
subnormals kept, NaN canonical on every read and write. NumPy's float32 add, subtract, multiply, divide
and sqrt are one IEEE operation each (no contraction); the tests hold them to exact rational arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from lockstep.numerics.float32 import F32, I32, SIGN, bits_of, canonical, from_bits

MAGNITUDE = 0x7FFFFFFF


def _binary(op: Callable[[F32, F32], F32], a: F32, b: F32) -> F32:
    with np.errstate(all="ignore"):
        return canonical(np.asarray(op(canonical(a), canonical(b)), np.float32))


def _unary(op: Callable[[F32], F32], a: F32) -> F32:
    with np.errstate(all="ignore"):
        return canonical(np.asarray(op(canonical(a)), np.float32))


def add(a: F32, b: F32) -> F32:
    """``a + b``."""
    return _binary(np.add, a, b)


def sub(a: F32, b: F32) -> F32:
    """``a - b``."""
    return _binary(np.subtract, a, b)


def mul(a: F32, b: F32) -> F32:
    """``a * b``."""
    return _binary(np.multiply, a, b)


def div(a: F32, b: F32) -> F32:
    """``a / b``: x / 0 is an infinity of the joint sign, 0 / 0 NaN."""
    return _binary(np.divide, a, b)


def maximum(a: F32, b: F32) -> F32:
    """``a if a > b else b``: b where either is NaN or both are equal, so max(+0, -0) is -0."""
    return canonical(np.where(np.asarray(a) > np.asarray(b), a, b))


def minimum(a: F32, b: F32) -> F32:
    """``a if a < b else b``: b where either is NaN or both are equal, so min(-0, +0) is +0."""
    return canonical(np.where(np.asarray(a) < np.asarray(b), a, b))


def sqrt(a: F32) -> F32:
    """Square root; NaN below zero; sqrt(-0) is -0."""
    return _unary(np.sqrt, a)


def floor(a: F32) -> F32:
    """Largest integer not above a; the sign of a zero result is a's."""
    return _unary(np.floor, a)


def ceil(a: F32) -> F32:
    """Smallest integer not below a; the sign of a zero result is a's."""
    return _unary(np.ceil, a)


def rne(a: F32) -> F32:
    """Nearest integer, ties to even; the sign of a zero result is a's."""
    return _unary(np.rint, a)


def trunc(a: F32) -> F32:
    """Integer part; the sign of a zero result is a's."""
    return _unary(np.trunc, a)


def neg(a: F32) -> F32:
    """The sign bit flipped; NaN stays the canonical NaN."""
    return from_bits(bits_of(a) ^ np.uint32(SIGN))


def absolute(a: F32) -> F32:
    """The sign bit cleared; NaN stays the canonical NaN."""
    return from_bits(bits_of(a) & np.uint32(MAGNITUDE))


def unsigned(a: I32) -> npt.NDArray[np.int64]:
    """The 32 bits as a number in [0, 2**32), in int64."""
    return np.asarray(a).astype(np.int64) & 0xFFFFFFFF


def wrap(a: npt.NDArray[np.int64]) -> I32:
    """An integer modulo 2**32, as i32."""
    return (np.asarray(a) & 0xFFFFFFFF).astype(np.uint32).view(np.int32)


def iadd(a: I32, b: I32) -> I32:
    """``a + b`` modulo 2**32."""
    return wrap(unsigned(a) + unsigned(b))


def isub(a: I32, b: I32) -> I32:
    """``a - b`` modulo 2**32."""
    return wrap(unsigned(a) - unsigned(b))


def imul(a: I32, b: I32) -> I32:
    """``a * b`` modulo 2**32: signed operands' product is below 2**63, so int64 holds it."""
    return wrap(np.asarray(a).astype(np.int64) * np.asarray(b).astype(np.int64))


def udiv(a: I32, b: I32) -> I32:
    """Unsigned quotient; 0 for a zero divisor."""
    divisor = unsigned(b)
    return wrap(np.where(divisor == 0, 0, unsigned(a) // np.maximum(divisor, 1)))


def umod(a: I32, b: I32) -> I32:
    """Unsigned remainder; 0 for a zero divisor."""
    divisor = unsigned(b)
    return wrap(np.where(divisor == 0, 0, unsigned(a) % np.maximum(divisor, 1)))


def bit_and(a: I32, b: I32) -> I32:
    """Bitwise and."""
    return wrap(unsigned(a) & unsigned(b))


def bit_or(a: I32, b: I32) -> I32:
    """Bitwise or."""
    return wrap(unsigned(a) | unsigned(b))


def bit_xor(a: I32, b: I32) -> I32:
    """Bitwise exclusive or."""
    return wrap(unsigned(a) ^ unsigned(b))


def shl(a: I32, count: int) -> I32:
    """Shift left by ``count`` in 0..31, zeros in."""
    return wrap(unsigned(a) << count)


def shr(a: I32, count: int) -> I32:
    """Shift right by ``count`` in 0..31, zeros in."""
    return wrap(unsigned(a) >> count)


def sar(a: I32, count: int) -> I32:
    """Shift right by ``count`` in 0..31, copies of the sign in."""
    return wrap(np.asarray(a).astype(np.int64) >> count)


def _flag(truth: npt.NDArray[np.bool_]) -> I32:
    return np.asarray(truth).astype(np.int32)


def lt(a: F32, b: F32) -> I32:
    """1 where a < b, else 0 (0 with NaN; -0 equals +0)."""
    return _flag(np.asarray(a) < np.asarray(b))


def le(a: F32, b: F32) -> I32:
    """1 where a <= b, else 0 (0 with NaN)."""
    return _flag(np.asarray(a) <= np.asarray(b))


def eq(a: F32, b: F32) -> I32:
    """1 where a == b, else 0 (0 with NaN)."""
    return _flag(np.asarray(a) == np.asarray(b))


def ne(a: F32, b: F32) -> I32:
    """1 where a != b, else 0 (1 with NaN)."""
    return _flag(np.asarray(a) != np.asarray(b))


def ilt(a: I32, b: I32) -> I32:
    """1 where a < b as signed numbers."""
    return _flag(np.asarray(a) < np.asarray(b))


def ile(a: I32, b: I32) -> I32:
    """1 where a <= b as signed numbers."""
    return _flag(np.asarray(a) <= np.asarray(b))


def ieq(a: I32, b: I32) -> I32:
    """1 where the bits are equal."""
    return _flag(np.asarray(a) == np.asarray(b))


def ine(a: I32, b: I32) -> I32:
    """1 where the bits differ."""
    return _flag(np.asarray(a) != np.asarray(b))


def ult(a: I32, b: I32) -> I32:
    """1 where a < b as unsigned numbers."""
    return _flag(unsigned(a) < unsigned(b))


def ule(a: I32, b: I32) -> I32:
    """1 where a <= b as unsigned numbers."""
    return _flag(unsigned(a) <= unsigned(b))


def select(condition: I32, a: npt.NDArray[np.generic], b: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """a where the i32 condition is not 0, else b; a and b both f32 (NaN canonical) or both i32."""
    chosen = np.where(np.asarray(condition) != 0, a, b)
    return canonical(chosen) if chosen.dtype == np.float32 else chosen
