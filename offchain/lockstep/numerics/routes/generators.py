"""Counter-based randomness on torch tensors, vectorised in int64 words."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lockstep.numerics.threefry import (
    PARITY,
    ROTATIONS,
    ROUNDS,
    SHUFFLE_KEY_COUNTER,
    SHUFFLE_ROUNDS,
    WORD,
    draw_key,
    threefry2x32,
)

Word = int | Tensor


def _threefry(key: tuple[int, int], c0: Word, c1: Word) -> tuple[Word, Word]:
    k0, k1 = key
    schedule = (k0, k1, PARITY ^ k0 ^ k1)
    x0, x1 = (c0 + k0) & WORD, (c1 + k1) & WORD
    for r in range(ROUNDS):
        x0 = (x0 + x1) & WORD
        turn = ROTATIONS[r % 8]
        x1 = (((x1 << turn) | (x1 >> (32 - turn))) & WORD) ^ x0
        if r % 4 == 3:
            injection = r // 4 + 1
            x0 = (x0 + schedule[injection % 3]) & WORD
            x1 = (x1 + schedule[(injection + 1) % 3] + injection) & WORD
    return x0, x1


def _wrap(words: Tensor) -> Tensor:
    """Words in [0, 2**32) as i32."""
    return (words - ((words >> 31) << 32)).int()


def iota(shape: Sequence[int], device: torch.device | str = "cpu") -> Tensor:
    """i32 of this shape: each element's row-major number."""
    return torch.arange(math.prod(shape), dtype=torch.int32, device=device).reshape(tuple(shape))


def random_bits(
    seed: int, counter: int, site: int, shape: Sequence[int], device: torch.device | str = "cpu", first: int = 0
) -> Tensor:
    """i32 of this shape: element n is word ``n & 1`` of ``TF(key = k', ctr = (n >> 1, 0))``, n from an even one on."""
    count = math.prod(shape)
    pairs = torch.arange(first // 2, (first + count + 1) // 2, dtype=torch.int64, device=device)
    x0, x1 = _threefry(draw_key(seed, counter, site), pairs, torch.zeros_like(pairs))
    assert isinstance(x0, Tensor)
    assert isinstance(x1, Tensor)
    return _wrap(torch.stack((x0, x1), dim=1).reshape(-1)[:count]).reshape(tuple(shape))


def shuffle(index: Tensor, seed: int, counter: int, n: int, site: int) -> Tensor:
    """Image of each i32 index under swap-or-not on 0..n-1; 0 for one outside (unsigned)."""
    start = index.long() & WORD
    if n == 0:
        return torch.zeros_like(index)
    key = draw_key(seed, counter, site)
    inside = start < n
    x = torch.where(inside, start, 0)
    pivots = _pivots(key, n)
    bits = _swap_bits(key, n).to(index.device) if n <= _TABLE_LIMIT else None
    for r, pivot in enumerate(pivots):
        partner = torch.where(x > pivot, pivot + n - x, pivot - x)
        big = torch.maximum(x, partner)
        swap = bits[r][big] if bits is not None else _odd(_threefry(key, r, big)[0])
        x = torch.where(swap, partner, x)
    return _wrap(torch.where(inside, x, 0))


_TABLE_LIMIT = 1 << 15
"""Largest n for which a permutation's swaps are computed at once and kept: a batch asks again every step."""


def _odd(word: Word) -> Tensor:
    assert isinstance(word, Tensor)
    return (word & 1) == 1


@functools.lru_cache(maxsize=8)
def _pivots(key: tuple[int, int], n: int) -> tuple[int, ...]:
    """K of each round."""
    return tuple(int(threefry2x32(key, (r, SHUFFLE_KEY_COUNTER))[0]) % n for r in range(SHUFFLE_ROUNDS))


@functools.lru_cache(maxsize=4)
def _swap_bits(key: tuple[int, int], n: int) -> Tensor:
    """Bool [rounds, n]: whether a pair whose larger member is this swaps in a round."""
    rounds = torch.arange(SHUFFLE_ROUNDS, dtype=torch.int64).unsqueeze(1)
    return _odd(_threefry(key, rounds.expand(-1, n), torch.arange(n, dtype=torch.int64).expand(SHUFFLE_ROUNDS, n))[0])
