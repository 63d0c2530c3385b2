"""What an f32 is, in integers: canonical NaN, exact parts, one rounding, the total order.

Everything the exact ops need of binary32 is here, said with integers:

- an f32 is its 32 bits, of which NaN has only ``CANONICAL_NAN``;
- a finite one is ``significand * 2**exponent`` with integers (``parts``);
- ``round_f32`` is the one way back, from an exact ``integer * 2**exponent`` to the nearest f32;
- ``order_key`` is the order of maxima and sorts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lockstep.numerics.dtypes import CANONICAL_NAN

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I16 = npt.NDArray[np.int16]
I64 = npt.NDArray[np.int64]
U32 = npt.NDArray[np.uint32]

SIGN = 0x80000000
INFINITY = 0x7F800000
MANTISSA_BITS = 23
LOWEST_EXPONENT = -149
"""The smallest f32 above zero is 2**-149; every finite f32 is a multiple of it."""


def bits_of(x: F32) -> U32:
    """Bits of an f32 array of any shape, NaNs canonical: how every op reads."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32).reshape(np.shape(x))
    nan = (bits & np.uint32(~SIGN & 0xFFFFFFFF)) > np.uint32(INFINITY)
    return np.where(nan, np.uint32(CANONICAL_NAN), bits)


def from_bits(bits: npt.NDArray[np.integer]) -> F32:
    """f32 array with these bits (taken modulo 2**32), NaNs canonical: how every op writes."""
    words = np.asarray(bits).astype(np.int64) & 0xFFFFFFFF
    nan = (words & 0x7FFFFFFF) > INFINITY
    return np.where(nan, CANONICAL_NAN, words).astype(np.uint32).view(np.float32)


def canonical(x: F32) -> F32:
    """The array with every NaN as ``CANONICAL_NAN``; any shape."""
    return from_bits(bits_of(x))


def is_finite(x: F32) -> npt.NDArray[np.bool_]:
    """True where neither infinite nor NaN."""
    return np.asarray((bits_of(x) & np.uint32(INFINITY)) != np.uint32(INFINITY))


def parts(x: F32) -> tuple[I64, I64]:
    """Exact integers (significand, exponent) with ``x == significand * 2**exponent``.

    ``|significand| < 2**24`` and ``-149 <= exponent <= 104``; a subnormal has exponent -149, a zero
    of either sign significand 0. Meaningless where x is not finite (callers exclude that first).
    """
    bits = bits_of(x).astype(np.int64)
    biased = (bits >> MANTISSA_BITS) & 0xFF
    fraction = bits & ((1 << MANTISSA_BITS) - 1)
    significand = np.where(biased == 0, fraction, fraction + (1 << MANTISSA_BITS))
    exponent = np.where(biased == 0, LOWEST_EXPONENT, biased + LOWEST_EXPONENT - 1)
    return np.where(bits & SIGN, -significand, significand), exponent


def round_f32(integer: int, exponent: int) -> int:
    """Bits of the f32 nearest to ``integer * 2**exponent``, ties to even: the only rounding of a sum.

    A zero is +0; anything else keeps its sign, even where it underflows to zero; from
    ``(2 - 2**-24) * 2**127`` up it is an infinity. Both arguments are unbounded integers.

    The last place of the result is worth ``2**place``: 24 significant bits, but never below 2**-149.
    With m the magnitude in units of the last place, rounded, the bits are ``m + ((place + 149) << 23)``,
    subnormals, carries into the next binade and overflow included.
    """
    magnitude = abs(integer)
    if magnitude == 0:
        return 0
    place = max(magnitude.bit_length() + exponent - 24, LOWEST_EXPONENT)
    shift = place - exponent
    if shift <= 0:
        units = magnitude << -shift
    else:
        units, rest = magnitude >> shift, magnitude & ((1 << shift) - 1)
        half = 1 << (shift - 1)
        units += rest > half or (rest == half and units & 1)
    bits = min(units + ((place - LOWEST_EXPONENT) << MANTISSA_BITS), INFINITY)
    return bits | (SIGN if integer < 0 else 0)


def round_f32_array(integers: I64, exponents: I64 | int) -> F32:
    """``round_f32`` element by element; shapes broadcast together, the result has the joint shape."""
    integers, exponents = np.broadcast_arrays(integers, exponents)
    flat = zip(integers.ravel().tolist(), exponents.ravel().tolist(), strict=True)
    bits = np.fromiter((round_f32(n, e) for n, e in flat), np.uint32, integers.size)
    return bits.view(np.float32).reshape(integers.shape)


def scale_rne(significand: I64, shift: I64, limit: int) -> I64:
    """``clamp(rne(significand * 2**shift), +-limit)``, exactly, ties to even.

    ``|significand| < 2**24``, ``limit <= 2**34``; any shift. Shapes broadcast.
    """
    magnitude = np.abs(significand)
    # From 2**35 up the result is clamped anyhow, and below 2**-25 it is 0 anyhow: the caps keep int64 exact.
    up = magnitude << np.clip(shift, 0, 35)
    down = np.clip(-shift, 0, 26)
    units = up >> down
    rest = up - (units << down)
    half = (np.int64(1) << down) >> 1
    units = units + ((down > 0) & ((rest > half) | ((rest == half) & (units & 1 == 1))))
    return np.asarray(np.sign(significand) * np.minimum(units, limit))


def nan() -> F32:
    """The canonical NaN, of shape ()."""
    return from_bits(np.asarray(CANONICAL_NAN))


def order_key(x: F32) -> I64:
    """Key of the total order -inf < .. < -0 < +0 < .. < +inf < NaN, as signed 32-bit numbers in int64.

    ``key(b) = b ^ ((b >> 31) & 0x7fffffff)`` with an arithmetic shift, on canonical bits.
    """
    bits = bits_of(x).view(np.int32).astype(np.int64)
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)
