"""Rows cut into blocks: what one block contributes to an element of its row, and what the blocks' parts make.

A part is a signed 64-bit number. An element of ``matmul``, ``sum`` or ``scatter_add`` is a function of the sum
of its row's parts, one of ``exponent``, ``reduce_max`` or ``argmax`` of the largest. Every content of a block has a
part; twin of ``contracts/executor/LongRows.sol``.
"""

from __future__ import annotations

import numpy as np

from lockstep.numerics.contraction import HIGHEST_EXPONENT, LOWEST_QUANTIZE_EXPONENT, exponent
from lockstep.numerics.float32 import F32, I16, I32, nan, order_key, round_f32
from lockstep.numerics.rows import LOWEST_SUM_EXPONENT, sum_terms

_WORD = 2**32 - 1
_NAN = int(nan().view(np.uint32))


def contract(a: I16, b: I16) -> int:
    """m16 [K], m16 [K]: the sum of products of a block of two rows."""
    return int(a.astype(np.int64) @ b.astype(np.int64))


def add(x: F32, e: int) -> int:
    """f32 [K]: the sum of a block's terms; 0 under an exponent that gives no number."""
    if not LOWEST_SUM_EXPONENT <= e <= HIGHEST_EXPONENT:
        return 0
    return int(sum_terms(x, np.asarray(e, np.int16)).sum())


def scatter(x: F32, index: I32, e: int, row: int) -> int:
    """f32 [N], i32 [N]: as ``add``, of the terms whose index is ``row``."""
    return add(x[index == row], e)


def block_exponent(x: F32, floor: int) -> int:
    """f32 [K]: the block's own exponent."""
    return int(exponent(x, floor))


def largest_key(x: F32) -> int:
    """f32 [K]: the largest key of the total order."""
    return int(order_key(x).max())


def largest_place(x: F32, start: int) -> int:
    """f32 [K]: the largest key times 2**32, plus 2**32 - 1 less the lowest index that has it.

    Indices count from the row's beginning; the block's is ``start``.
    """
    keys = order_key(x)
    at = int(keys.argmax())
    return (int(keys[at]) << 32) + _WORD - (start + at)


def contracted(total: int, ea: int, eb: int) -> int:
    """Bits of the ``matmul`` element that parts of this sum make."""
    if not all(LOWEST_QUANTIZE_EXPONENT <= e <= HIGHEST_EXPONENT for e in (ea, eb)):
        return _NAN
    return round_f32(total, ea + eb - 26)


def added(total: int, e: int) -> int:
    """Bits of the ``sum`` or ``scatter_add`` element that parts of this sum make."""
    return round_f32(total, e - 33) if LOWEST_SUM_EXPONENT <= e <= HIGHEST_EXPONENT else _NAN


def of_exponent(largest: int) -> int:
    """Bits of the ``exponent`` element whose largest part this is: the low 16 of any number."""
    return largest & 0xFFFF


def of_key(largest: int) -> int:
    """Bits of the ``reduce_max`` element whose largest part this is: those of the key in the low 32 of any number."""
    key = largest & _WORD
    return key ^ (0x7FFFFFFF if key >> 31 else 0)


def of_place(largest: int) -> int:
    """Bits of the ``argmax`` element whose largest part this is: the complement of the low 32 of any number."""
    return _WORD - (largest & _WORD)
