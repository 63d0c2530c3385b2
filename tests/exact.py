"""Roundings to f32 said a second way, for tests: by searching the f32s for the nearest, in fractions.

Slow and independent of the reference's integers: non-negative f32s are ordered as their bits are.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction

LARGEST = 0x7F7FFFFF
INFINITY = 0x7F800000
SIGN = 0x80000000
BEYOND = Fraction(2) ** 128
"""What an infinity counts as when the nearest is sought."""


def value(bits: int) -> Fraction:
    """The number that the bits of a finite f32 are."""
    magnitude = Fraction(struct.unpack("<f", struct.pack("<I", bits & ~SIGN))[0])
    return -magnitude if bits & SIGN else magnitude


def _nearest(below_or_at: Callable[[Fraction], bool]) -> int:
    """Bits of the non-negative f32 nearest to the number x for which ``below_or_at(v)`` is ``v <= x``."""
    low, high = 0, INFINITY
    while high - low > 1:
        middle = (low + high) // 2
        if below_or_at(value(middle)):
            low = middle
        else:
            high = middle
    above = BEYOND if high == INFINITY else value(high)
    half = (value(low) + above) / 2
    if not below_or_at(half):
        return low
    # at or above the half: exactly at it iff no smaller bound separates them, which the caller knows
    return high


def nearest_f32(x: Fraction, negative_zero: bool = False) -> int:
    """Bits of the f32 nearest to x, ties to even bits; ``negative_zero`` is the sign a zero x has."""
    if x == 0:
        return SIGN if negative_zero else 0
    magnitude, sign = abs(x), SIGN if x < 0 else 0
    bits = _nearest(lambda v: v <= magnitude)
    lower = bits - 1
    if bits and (value(lower) + (BEYOND if bits == INFINITY else value(bits))) / 2 == magnitude and lower % 2 == 0:
        bits = lower
    return bits | sign


def nearest_sqrt(x: Fraction) -> int:
    """Bits of the f32 nearest to the square root of x > 0; a tie cannot occur (half a place squared has 50 bits)."""
    return _nearest(lambda v: v * v <= x)
