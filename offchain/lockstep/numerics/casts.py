"""Casts of the reference: between f32, i32 and the small integer types, and bit casts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lockstep.numerics.float32 import F32, I32, bits_of, from_bits, is_finite, parts, round_f32_array

I32_MIN, I32_MAX = -(2**31), 2**31 - 1


def f32_to_i32(x: F32) -> I32:
    """Truncated toward zero, saturated to [-2**31, 2**31 - 1]; NaN gives 0, infinities saturate."""
    significand, exponent = parts(x)
    magnitude = np.abs(significand)
    # |x| >= 2**31 wherever a non-zero significand has exponent 31 or more: 32 saturates as well as 104.
    whole = np.where(exponent >= 0, magnitude << np.clip(exponent, 0, 32), magnitude >> np.clip(-exponent, 0, 24))
    clamped = np.clip(np.sign(significand) * whole, I32_MIN, I32_MAX)
    infinite = np.where(np.isnan(x), 0, np.where(np.signbit(x), I32_MIN, I32_MAX))
    return np.where(is_finite(x), clamped, infinite).astype(np.int32)


def integer_to_f32(x: npt.NDArray[np.integer]) -> F32:
    """i32, m16, u8 or u16 to the nearest f32, ties to even; 0 gives +0."""
    return round_f32_array(np.asarray(x).astype(np.int64), 0)


def integer_to_i32(x: npt.NDArray[np.integer]) -> I32:
    """m16, e16, u8 or u16 to i32, exactly."""
    return np.asarray(x).astype(np.int32)


def f32_bits(x: F32) -> I32:
    """The 32 bits of an f32 as i32; every NaN gives 0x7fc00000."""
    return bits_of(x).view(np.int32)


def f32_from_bits(x: I32) -> F32:
    """The f32 with these bits; every NaN becomes 0x7fc00000, so the round trip is not the identity."""
    return from_bits(x)
