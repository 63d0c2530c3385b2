"""Exact sums, maxima and sorts along rows, and scatter_add."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lockstep.numerics import contraction, rows
from lockstep.numerics.dtypes import CANONICAL_NAN
from lockstep.numerics.float32 import bits_of, order_key
from tests.exact import SIGN, nearest_f32, value
from tests.strategies.values import EDGE_E16, HOSTILE_E16, f32_arrays, f32_values

ANY_E16 = st.one_of(st.sampled_from(EDGE_E16 + HOSTILE_E16), st.integers(-140, 140))


def f32(*bits: int) -> np.ndarray:
    return np.array(bits, np.uint32).view(np.float32)


def exact_sum(numbers: list[int], e: int) -> int:
    """Bits of the sum of f32s given by bits, under exponent e, by fractions."""
    if not -126 <= e <= 127:
        return CANONICAL_NAN
    total = 0
    for bits in numbers:
        if bits & 0x7F800000 != 0x7F800000:
            total += max(-(2**34), min(2**34, round(value(bits) * Fraction(2) ** (33 - e))))
    exact = total * Fraction(2) ** (e - 33)
    rounded = nearest_f32(exact)
    return SIGN if rounded == 0 and exact < 0 else rounded


@given(f32_arrays(noisy=True), ANY_E16)
@example(f32(0, SIGN), 0)  # zeros of any sign sum to +0
@example(f32(0x3F800000, 0xBF800000), 0)
@example(f32(0x80000001), -126)
@example(f32(0x80000001), 100)  # lost below a unit
@example(f32(0x7F7FFFFF, 0x7F7FFFFF), 127)  # overflows
@example(f32(0x7F800000, 0x3F800000), 0)  # an infinity under a dishonest exponent counts 0
@example(f32(0x2E800000), 0)  # 2**-34: a tie, to zero
@example(f32(0x2E800001), 0)
@example(f32(0x2F400000), 0)  # 3 * 2**-34: a tie, to two units
@example(f32(0x40800000), 0)  # clamped
def test_sum_is_the_exact_sum_of_rounded_terms_rounded_once(x: np.ndarray, e: int) -> None:
    result = rows.row_sum(x, np.int16(e))
    assert result.shape == ()
    assert int(result.view(np.uint32)) == exact_sum(bits_of(x).tolist(), e)


@given(f32_arrays())
def test_sum_under_its_own_exponent_is_the_true_sum_to_a_part_in_two_to_the_30(x: np.ndarray) -> None:
    e = contraction.exponent(x, -126)
    result = rows.row_sum(x, e)
    if int(e) == 255:
        assert int(result.view(np.uint32)) == CANONICAL_NAN
        return
    true = sum(value(bits) for bits in bits_of(x).tolist())
    if np.isinf(result):
        assert abs(true) >= (2 - Fraction(1, 2**24)) * Fraction(2) ** 127
        return
    unit = Fraction(2) ** (int(e) - 33)
    error = abs(value(int(result.view(np.uint32))) - true)
    assert error <= unit * len(x) / 2 + abs(true) / 2**24 + Fraction(1, 2**150)


@given(f32_arrays(), st.randoms(use_true_random=False), st.integers(1, 6))
def test_sum_does_not_see_order_or_sharding(x: np.ndarray, random: object, parts: int) -> None:
    e = contraction.exponent(x, -126)
    expected = rows.row_sum(x, e).tobytes()
    order = list(range(len(x)))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert rows.row_sum(x[order], e).tobytes() == expected
    shards = np.array_split(rows.sum_terms(x, e), parts)
    assert sum(int(shard.sum()) for shard in shards) == int(rows.sum_terms(x, e).sum())


@pytest.mark.parametrize("bits", [0x3FFFFFFF, 0xBFFFFFFF, 0x3F800001])
def test_sum_at_the_longest_row_is_exact(bits: int) -> None:
    x = np.full(16_384, f32(bits)[0])
    assert int(rows.row_sum(x, np.int16(0)).view(np.uint32)) == nearest_f32(16_384 * value(bits))


def test_sum_is_of_each_row_with_its_own_exponent() -> None:
    x = np.array([[1, 2, 3], [np.nan, 1, 1], [0, 0, 0]], np.float32)
    e = contraction.exponent(x, -126)
    assert rows.row_sum(x, e).view(np.uint32).tolist() == [0x40C00000, CANONICAL_NAN, 0]


@given(f32_arrays(noisy=True))
@example(f32(SIGN, 0))
@example(f32(0, SIGN))
@example(f32(0x7F800000, 0x7F800001))
@example(f32(0xFF800000))
def test_orders_follow_the_keys(x: np.ndarray) -> None:
    keys = order_key(x).tolist()
    largest = max(range(len(keys)), key=lambda i: (keys[i], -i))
    ascending = sorted(range(len(keys)), key=lambda i: (keys[i], i))
    assert int(rows.argmax(x)) == largest
    assert rows.argsort(x).tolist() == ascending
    assert int(rows.reduce_max(x).view(np.uint32)) == bits_of(x)[largest]
    assert rows.sort(x).view(np.uint32).tolist() == [bits_of(x)[i] for i in ascending]
    for result in (rows.argmax(x), rows.argsort(x)):
        assert result.dtype == np.int32


def test_orders_are_of_each_row() -> None:
    x = np.array([[[3, 1, 2]], [[-0.0, 0.0, -0.0]]], np.float32)
    assert rows.reduce_max(x).shape == (2, 1)
    assert rows.argmax(x).tolist() == [[0], [1]]
    assert rows.argsort(x).tolist() == [[[1, 2, 0]], [[0, 2, 1]]]
    assert np.signbit(rows.sort(x)[1, 0]).tolist() == [True, True, False]


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 5))
def test_scatter_add_is_a_sum_of_those_that_share_an_index(seed: int, n: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    x = f32_values(rng, (3, n), noisy=True)
    index = rng.choice([*range(size), -1, size, -(2**31), 2**31 - 1], n).astype(np.int32)
    e = np.array([int(contraction.exponent(x[0], -126)), rng.integers(-130, 131), 0], np.int16)
    result = rows.scatter_add(x, index, e, size)
    assert result.shape == (3, size)
    for c in range(3):
        for r in range(size):
            terms = [bits for bits, i in zip(bits_of(x[c]).tolist(), index.tolist(), strict=True) if i == r]
            assert int(result[c, r].view(np.uint32)) == exact_sum(terms, int(e[c]))


def test_scatter_add_gives_nan_in_a_row_without_a_usable_exponent_even_where_nothing_lands() -> None:
    x, index = np.ones((2, 1), np.float32), np.array([0], np.int32)
    result = rows.scatter_add(x, index, np.array([255, 0], np.int16), 2)
    assert result.view(np.uint32).tolist() == [[CANONICAL_NAN] * 2, [0x3F800000, 0]]
