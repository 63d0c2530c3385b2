"""Block quantisation and exact contraction: ``exponent``, ``quantize``, ``matmul``."""

from __future__ import annotations

import numpy as np

from lockstep.numerics.float32 import (
    F32,
    I16,
    I64,
    INFINITY,
    LOWEST_EXPONENT,
    MANTISSA_BITS,
    bits_of,
    is_finite,
    nan,
    parts,
    round_f32_array,
    scale_rne,
)

ABSORBING = 255
"""Exponent of a row that holds an infinity or a NaN."""
MANTISSA_LIMIT = 1 << 14
HIGHEST_EXPONENT = 127
LOWEST_QUANTIZE_EXPONENT = -113
"""Below this, 2**(13 - E) is no f32."""


def exponent(x: F32, floor: int) -> I16:
    """f32 [..., K] -> e16 [...]: block exponent of each row.

    ``max(floor(log2(max |x_i|)), floor)``; ``floor`` for a row of zeros; 255 where the row holds an
    infinity or a NaN. ``floor`` is -113 for ``quantize``, -126 for ``sum``.
    """
    largest = (bits_of(x) & np.uint32(0x7FFFFFFF)).max(axis=-1).astype(np.int64)
    biased = largest >> MANTISSA_BITS
    # A subnormal is its 23-bit fraction in units of 2**-149.
    subnormal = np.vectorize(lambda f: int(f).bit_length() - 1 + LOWEST_EXPONENT, otypes=[np.int64])(largest)
    log2 = np.where(biased == 0, subnormal, biased - 127)
    result = np.where(largest == 0, floor, np.maximum(log2, floor))
    return np.asarray(np.where(largest >= INFINITY, ABSORBING, result), np.int16)


def quantize(x: F32, e: I16) -> I16:
    """f32 [..., K], e16 [...] -> m16 [..., K]: mantissas under the rows' exponents.

    ``clamp(rne(x * 2**(13 - E)), +-2**14)`` on the exact product, ties to even; 0 where E is 255 or
    otherwise outside [-113, 127], or x is not finite.
    """
    row = np.asarray(e).astype(np.int64)[..., None]
    significand, power = parts(x)
    mantissa = scale_rne(significand, power + 13 - row, MANTISSA_LIMIT)
    usable = (row >= LOWEST_QUANTIZE_EXPONENT) & (row <= HIGHEST_EXPONENT)
    return np.where(usable & is_finite(x), mantissa, 0).astype(np.int16)


def slices(m: I16) -> tuple[I16, I16]:
    """The int8 slices (h, l) with ``m == 256 h + l``: ``h = (m + 128) >> 8``, ``l = m - 256 h``.

    For |m| <= 2**14 both lie in [-128, 127]. Not needed by the reference: engines multiply these.
    """
    wide = np.asarray(m).astype(np.int32)
    high = (wide + 128) >> 8
    return high.astype(np.int16), (wide - 256 * high).astype(np.int16)


def integer_sums(ma: I16, mb: I16) -> I64:
    """m16 [L, M, K], m16 [L, N, K] -> int64 [L, M, N]: the exact sums of a contraction.

    int64 holds them for any int16 operands with K <= 2**24.
    """
    total: I64 = np.asarray(ma).astype(np.int64) @ np.swapaxes(np.asarray(mb).astype(np.int64), -1, -2)
    return total


def round_sums(total: I64, ea: I16, eb: I16) -> F32:
    """int64 [L, M, N], e16 [L, M], e16 [L, N] -> f32 [L, M, N]: ``round_f32(total_ij * 2**(Ea_i + Eb_j - 26))``.

    NaN where either exponent is 255 or otherwise outside [-113, 127]; a zero sum is +0.
    """
    row = np.asarray(ea).astype(np.int64)[..., :, None]
    column = np.asarray(eb).astype(np.int64)[..., None, :]
    usable = np.ones(total.shape, bool)
    for e in (row, column):
        usable &= (e >= LOWEST_QUANTIZE_EXPONENT) & (e <= HIGHEST_EXPONENT)
    rounded = round_f32_array(total, row + column - 26)
    return np.where(usable, rounded, nan()).astype(np.float32)


def matmul(ma: I16, ea: I16, mb: I16, eb: I16) -> F32:
    """m16 [L, M, K], e16 [L, M], m16 [L, N, K], e16 [L, N] -> f32 [L, M, N]; L any leading axes.

    ``y_ij = round_f32((sum_k ma_ik * mb_jk) * 2**(Ea_i + Eb_j - 26))``: exact, rounded once.
    """
    return round_sums(integer_sums(ma, mb), ea, eb)
