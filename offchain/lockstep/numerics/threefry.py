"""Counter-based randomness: Threefry-2x32 with 20 rounds, ``random_bits`` and ``shuffle``.

Threefry: Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011), as in
the Random123 library. Swap-or-not: Hoang, Morris, Rogaway, "An Enciphering Scheme Based on a Card
Shuffle" (CRYPTO 2012). Words are uint32 values held in int64 or Python integers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lockstep.numerics.elementwise import unsigned, wrap
from lockstep.numerics.float32 import I32, I64

ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
PARITY = 0x1BD11BDA
"""Threefish's key schedule constant, low word: the third key word is PARITY ^ k0 ^ k1."""
ROUNDS = 20
WORD = 0xFFFFFFFF
SHUFFLE_ROUNDS = 24
SHUFFLE_KEY_COUNTER = 0xFFFFFFFF
"""Second counter word of a round's K: no element number, since n is at most 2**32 - 1."""

Words = tuple[I64, I64]


def threefry2x32(key: tuple[int | I64, int | I64], counter: tuple[int | I64, int | I64]) -> Words:
    """Two output words of Threefry-2x32-20 for a key and a counter of two words each.

    Words are in [0, 2**32); arrays broadcast. Every fourth round a key word is added to each word, and
    the injection's number to the second.
    """
    k0, k1 = (np.asarray(word, np.int64) for word in key)
    schedule = (k0, k1, PARITY ^ k0 ^ k1)
    x0 = (np.asarray(counter[0], np.int64) + k0) & WORD
    x1 = (np.asarray(counter[1], np.int64) + k1) & WORD
    for r in range(ROUNDS):
        x0 = (x0 + x1) & WORD
        turn = ROTATIONS[r % 8]
        x1 = ((x1 << turn) | (x1 >> (32 - turn))) & WORD
        x1 = x1 ^ x0
        if r % 4 == 3:
            injection = r // 4 + 1
            x0 = (x0 + schedule[injection % 3]) & WORD
            x1 = (x1 + schedule[(injection + 1) % 3] + injection) & WORD
    return x0, x1


def seed_words(seed: int) -> tuple[int, int]:
    """Low and high word of a 64-bit seed: the key every draw starts from, and the value of SEED."""
    return seed & WORD, (seed >> 32) & WORD


def draw_key(seed: int, counter: int, site: int) -> tuple[int, int]:
    """``k' = TF(key = seed words, ctr = (counter, site))``: the key of one draw at one site.

    ``counter`` is an i32 read as unsigned; ``site`` a u32.
    """
    x0, x1 = threefry2x32(seed_words(seed), (counter & WORD, site))
    return int(x0), int(x1)


def random_bits(seed: int, counter: int, site: int, shape: Sequence[int], first: int = 0) -> I32:
    """-> i32 ``shape``: element n (row-major) is word ``n & 1`` of ``TF(key = k', ctr = (n >> 1, 0))``.

    ``first`` is the number of the first element: 0, but for who draws a part of a tensor.
    """
    n = first + np.arange(math.prod(shape), dtype=np.int64)
    x0, x1 = threefry2x32(draw_key(seed, counter, site), (n >> 1, 0))
    return wrap(np.where(n & 1, x1, x0)).reshape(tuple(shape))


def shuffle(index: I32, seed: int, counter: int, n: int, site: int) -> I32:
    """i32 S -> i32 S: image of each index under a permutation of 0..n-1; 0 outside (unsigned).

    Swap-or-not, 24 rounds. In round r, with k' as for ``random_bits``:
    ``K = TF(key = k', ctr = (r, 0xffffffff)).word0 umod n``, ``partner = (K + n - x) mod n``,
    ``big = max(x, partner)``; x becomes its partner where ``TF(key = k', ctr = (r, big)).word0`` is odd.
    x and its partner share ``big``, hence the bit: each round is an involution, the whole a bijection.
    """
    start = unsigned(index)
    if n == 0:
        return np.zeros_like(wrap(start))
    key = draw_key(seed, counter, site)
    x = np.where(start < n, start, 0)
    for r in range(SHUFFLE_ROUNDS):
        pivot = int(threefry2x32(key, (r, SHUFFLE_KEY_COUNTER))[0]) % n
        partner = (pivot + n - x) % n
        word, _ = threefry2x32(key, (r, np.maximum(x, partner)))
        x = np.where(word & 1, partner, x)
    return wrap(np.where(start < n, x, 0))
