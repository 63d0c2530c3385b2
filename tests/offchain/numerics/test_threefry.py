"""Threefry's known answers, the draws made from it, and the shuffle's bijection."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lockstep.numerics import threefry

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "threefry.json").read_text())
SEEDS = st.integers(0, 2**64 - 1)
SITES = st.integers(0, 2**32 - 1)
COUNTERS = st.integers(-(2**31), 2**31 - 1)


def words(texts: list[str]) -> tuple[int, int]:
    first, second = (int(text, 16) for text in texts)
    return first, second


@pytest.mark.parametrize("case", VECTORS["cases"])
def test_threefry_gives_random123s_known_answers(case: dict[str, list[str]]) -> None:
    output = threefry.threefry2x32(words(case["key"]), words(case["counter"]))
    assert tuple(int(word) for word in output) == words(case["output"])


@given(SEEDS, COUNTERS, SITES, st.lists(st.integers(1, 6), max_size=3))
def test_random_bits_are_the_words_of_successive_counters(seed: int, counter: int, site: int, shape: list[int]) -> None:
    key = tuple(int(w) for w in threefry.threefry2x32((seed % 2**32, seed >> 32), (counter % 2**32, site)))
    bits = threefry.random_bits(seed, counter, site, shape)
    assert bits.dtype == np.int32
    assert bits.shape == tuple(shape)
    for n, word in enumerate(bits.reshape(-1).view(np.uint32).tolist()):
        assert word == int(threefry.threefry2x32((key[0], key[1]), (n >> 1, 0))[n & 1])


def test_random_bits_differ_by_seed_counter_and_site() -> None:
    draws = [(1, 0, 0), (2, 0, 0), (1 << 32, 0, 0), (1, 1, 0), (1, 0, 1)]
    assert len({threefry.random_bits(*draw, (4,)).tobytes() for draw in draws}) == len(draws)


def test_random_bits_are_even() -> None:
    bits = threefry.random_bits(7, 0, 0, (20_000,)).view(np.uint8)
    ones = np.unpackbits(bits.reshape(-1, 4), axis=1).mean(axis=0)
    assert np.abs(ones - 0.5).max() < 0.02


@given(st.integers(1, 300), SEEDS, COUNTERS, SITES)
@example(1, 0, 0, 0)
@example(2, 0, 0, 0)
def test_shuffle_is_a_bijection(n: int, seed: int, counter: int, site: int) -> None:
    image = threefry.shuffle(np.arange(n, dtype=np.int32), seed, counter, n, site)
    assert sorted(image.tolist()) == list(range(n))


@pytest.mark.parametrize("n", [2**31 - 1, 2**31, 2**32 - 1])
def test_shuffle_of_a_huge_range_stays_inside_and_injective(n: int) -> None:
    index = np.array([0, 1, n // 2, n - 2, n - 1], np.int64).astype(np.uint32).view(np.int32)
    image = threefry.shuffle(index, 3, 4, n, 5).view(np.uint32).tolist()
    assert len(set(image)) == len(image)
    assert max(image) < n


@given(st.integers(1, 2**32 - 1), SEEDS)
def test_shuffle_gives_zero_outside_its_range(n: int, seed: int) -> None:
    outside = np.array([n, 2**32 - 1], np.uint64).astype(np.uint32).view(np.int32)
    assert threefry.shuffle(outside, seed, 0, n, 0).tolist() == [0, 0]


@given(st.integers(1, 50), SEEDS, COUNTERS, SITES)
def test_shuffle_is_the_swap_or_not_of_its_definition(n: int, seed: int, counter: int, site: int) -> None:
    def word(key: tuple[int, int], first: int, second: int) -> int:
        return int(threefry.threefry2x32(key, (first, second))[0])

    key0, key1 = threefry.threefry2x32((seed % 2**32, seed >> 32), (counter % 2**32, site))
    key = int(key0), int(key1)
    for start in {0, n // 2, n - 1}:
        x = start
        for r in range(24):
            partner = (word(key, r, 0xFFFFFFFF) % n + n - x) % n
            if word(key, r, max(x, partner)) & 1:
                x = partner
        assert threefry.shuffle(np.array(start, np.int32), seed, counter, n, site).tolist() == x


def test_shuffle_spreads_over_the_permutations_of_four() -> None:
    counts: dict[tuple[int, ...], int] = {}
    for counter in range(300):
        image = tuple(threefry.shuffle(np.arange(4, dtype=np.int32), 11, counter, 4, 1).tolist())
        counts[image] = counts.get(image, 0) + 1
    assert len(counts) == 24
    assert max(counts.values()) < 40


def test_shuffle_takes_another_order_each_epoch() -> None:
    orders = {threefry.shuffle(np.arange(100, dtype=np.int32), 1, epoch, 100, 2).tobytes() for epoch in range(5)}
    assert len(orders) == 5
