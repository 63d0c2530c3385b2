"""Reductions and orders along the last axis, and ``scatter_add``: all exact, so in any order.

Maxima, sorts and their indices use one total order on canonical bits (``float32.order_key``).
"""

from __future__ import annotations

import numpy as np

from lockstep.numerics.contraction import HIGHEST_EXPONENT
from lockstep.numerics.float32 import (
    F32,
    I16,
    I32,
    I64,
    canonical,
    is_finite,
    nan,
    order_key,
    parts,
    round_f32_array,
    scale_rne,
)

SUM_LIMIT = 1 << 34
LOWEST_SUM_EXPONENT = -126


def sum_terms(x: F32, e: I16) -> I64:
    """f32 [..., K], e16 [...] -> int64 [..., K]: what a sum adds.

    ``clamp(rne(x_i * 2**(33 - E)), +-2**34)``, ties to even; 0 where x_i is not finite (the row's
    honest exponent is 255 there, so the sum is NaN anyhow).
    """
    row = np.asarray(e).astype(np.int64)[..., None]
    significand, power = parts(x)
    return np.where(is_finite(x), scale_rne(significand, power + 33 - row, SUM_LIMIT), 0)


def _rounded(total: I64, e: I64) -> F32:
    usable = (e >= LOWEST_SUM_EXPONENT) & (e <= HIGHEST_EXPONENT)
    return np.where(usable, round_f32_array(total, e - 33), nan()).astype(np.float32)


def row_sum(x: F32, e: I16) -> F32:
    """f32 [..., K], e16 [...] -> f32 [...]: exact integer sum of ``sum_terms``, rounded once.

    ``round_f32(sum * 2**(E - 33))``; NaN where E is 255 or otherwise outside [-126, 127]. K <= 16,384
    keeps every partial sum of any order below 2**48.
    """
    return _rounded(sum_terms(x, e).sum(axis=-1), np.asarray(e).astype(np.int64))


def scatter_add(x: F32, index: I32, e: I16, rows: int) -> F32:
    """f32 [C, N], i32 [N], e16 [C] -> f32 [C, rows]: entry (c, r) sums x[c, n] over index[n] == r.

    As ``row_sum`` under E[c]: +0 where nothing lands, NaN in the whole row where E[c] is unusable. An
    index outside 0..rows-1 (signed) adds nothing. N <= 2**23 keeps every partial sum of any order below 2**57.
    """
    terms = sum_terms(x, e)
    total = np.zeros((terms.shape[0], rows), np.int64)
    places = np.asarray(index)
    inside = (places >= 0) & (places < rows)
    np.add.at(total.T, places[inside], terms[:, inside].T)
    return _rounded(total, np.asarray(e).astype(np.int64)[:, None])


def reduce_max(x: F32) -> F32:
    """f32 [..., K] -> f32 [...]: the element with the largest key: NaN above +inf, +0 above -0."""
    return np.take_along_axis(canonical(x), argmax(x)[..., None], axis=-1)[..., 0]


def argmax(x: F32) -> I32:
    """f32 [..., K] -> i32 [...]: lowest index of the largest key."""
    return np.asarray(order_key(x).argmax(axis=-1), np.int32)


def sort(x: F32) -> F32:
    """f32 [..., K] -> f32 [..., K]: ascending keys."""
    return np.take_along_axis(canonical(x), argsort(x), axis=-1)


def argsort(x: F32) -> I32:
    """f32 [..., K] -> i32 [..., K]: indices of the ascending keys, equals in their order."""
    return np.asarray(order_key(x).argsort(axis=-1, kind="stable"), np.int32)
