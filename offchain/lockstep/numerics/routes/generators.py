"""Counter-based randomness on torch tensors, vectorised in int64 words."""

from __future__ import annotations

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


def random_bits(seed: int, counter: int, site: int, shape: Sequence[int], device: torch.device | str = "cpu") -> Tensor:
    """i32 of this shape: element n is word ``n & 1`` of ``TF(key = k', ctr = (n >> 1, 0))``."""
    count = math.prod(shape)
    pairs = torch.arange((count + 1) // 2, dtype=torch.int64, device=device)
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
    for r in range(SHUFFLE_ROUNDS):
        pivot = int(threefry2x32(key, (r, SHUFFLE_KEY_COUNTER))[0]) % n
        partner = (pivot + n - x) % n
        word, _ = _threefry(key, r, torch.maximum(x, partner))
        assert isinstance(word, Tensor)
        x = torch.where((word & 1) == 1, partner, x)
    return _wrap(torch.where(inside, x, 0))
