"""The one rounding, exact parts, scaling to integers, and the total order."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lockstep.numerics import float32
from lockstep.numerics.dtypes import CANONICAL_NAN
from tests.exact import INFINITY, LARGEST, SIGN, nearest_f32, value
from tests.strategies.values import EDGE_F32_BITS, NOISY_NAN_BITS, f32_arrays, f32_bits


def f32(*bits: int) -> np.ndarray:
    return np.array(bits, np.uint32).view(np.float32)


integers = st.one_of(st.integers(-(2**26), 2**26), st.integers(-(2**62), 2**62), st.integers(-(2**400), 2**400))


@given(integers, st.integers(-500, 300))
@example(0, 5)
@example(1, -150)  # half the least subnormal: ties to zero
@example(-1, -150)
@example(3, -150)  # ties to two
@example(2**24 + 1, 0)
@example(2**24 + 3, 0)
@example(2**25 - 1, 103)  # the first overflow: half a place above the largest
@example(2**25 - 1, -150)
@example(-(2**25 - 1), 103)
@example(2**24 - 1, -150)  # the border of subnormal and normal
@example(2**24 + 1, -150)
@example(1, 128)
@example(-1, -(10**4))
@example(1, 10**4)
def test_round_f32_is_the_nearest_by_search(n: int, exponent: int) -> None:
    exact = Fraction(n) * Fraction(2) ** exponent
    expected = nearest_f32(exact)
    if n < 0 and expected == 0:
        expected = SIGN  # an underflow keeps its sign
    assert float32.round_f32(n, exponent) == expected


@given(f32_bits())
def test_round_f32_of_an_f32_is_itself(bits: int) -> None:
    if bits & 0x7F800000 == INFINITY:
        return
    (significand,), (exponent,) = (part.tolist() for part in float32.parts(f32(bits)))
    assert Fraction(significand) * Fraction(2) ** exponent == value(bits)
    assert abs(significand) < 2**24
    assert -149 <= exponent <= 104
    assert float32.round_f32(significand, exponent) == (0 if bits == SIGN else bits)


@given(st.integers(0, LARGEST - 1), st.sampled_from([-1, 0, 1]), st.integers(0, 1))
def test_round_f32_around_a_tie_goes_to_even(bits: int, nudge: int, sign: int) -> None:
    middle = (value(bits) + value(bits + 1)) / 2
    n = (middle * 2**150).numerator * 2**50 // (middle * 2**150).denominator + nudge
    expected = bits + (bits & 1) if nudge == 0 else bits + (nudge > 0)
    assert float32.round_f32(-n if sign else n, -200) == expected | (SIGN if sign else 0)


def test_round_f32_array_is_elementwise_and_broadcasts() -> None:
    result = float32.round_f32_array(np.array([[1], [-3]]), np.array([0, -150, 200]))
    assert result.view(np.uint32).tolist() == [
        [0x3F800000, 0, INFINITY],
        [0xC0400000, SIGN | 2, SIGN | INFINITY],
    ]


@given(st.integers(-(2**24) + 1, 2**24 - 1), st.integers(-300, 300), st.sampled_from([2**14, 2**34]))
@example(1, -1, 2**14)
@example(3, -1, 2**14)
@example(2**24 - 1, -24, 2**14)
@example(2**24 - 1, -25, 2**14)
@example(2**23, -24, 2**14)
@example(1, 34, 2**34)
@example(1, 35, 2**34)
@example(-(2**24) + 1, 11, 2**34)
def test_scale_rne_is_the_rounded_fraction_clamped(significand: int, shift: int, limit: int) -> None:
    expected = max(-limit, min(limit, round(Fraction(significand) * Fraction(2) ** shift)))
    assert float32.scale_rne(np.array([significand]), np.array([shift]), limit).tolist() == [expected]


@pytest.mark.parametrize("bits", NOISY_NAN_BITS)
def test_every_nan_is_read_and_written_canonical(bits: int) -> None:
    assert float32.bits_of(f32(bits)).tolist() == [CANONICAL_NAN]
    assert float32.from_bits(np.array([bits])).view(np.uint32).tolist() == [CANONICAL_NAN]
    assert float32.canonical(f32(bits)).view(np.uint32).tolist() == [CANONICAL_NAN]


@given(f32_arrays())
def test_canonical_keeps_every_other_bit_pattern(x: np.ndarray) -> None:
    assert float32.canonical(x).tobytes() == x.tobytes()


def test_shapes_of_rank_zero_and_strided_arrays_are_kept() -> None:
    grid = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert float32.canonical(np.float32(1.5)).shape == ()
    assert float32.canonical(grid.T).tolist() == grid.T.tolist()
    assert float32.bits_of(grid[:, ::2]).shape == (3, 2)


def test_order_key_is_minus_infinity_to_nan() -> None:
    ascending = [0xFF800000, 0xFF7FFFFF, 0xBF800000, 0x80800000, 0x80000001, 0x80000000]
    ascending += [0, 1, 0x00800000, 0x3F800000, LARGEST, INFINITY, CANONICAL_NAN]
    keys = float32.order_key(f32(*ascending)).tolist()
    assert keys == sorted(set(keys))
    assert float32.order_key(f32(*NOISY_NAN_BITS)).tolist() == [CANONICAL_NAN] * len(NOISY_NAN_BITS)


@given(f32_bits(), f32_bits())
def test_order_key_agrees_with_the_order_of_numbers(a: int, b: int) -> None:
    x, y = f32(a)[0], f32(b)[0]
    key_a, key_b = float32.order_key(f32(a, b)).tolist()
    if x < y:
        assert key_a < key_b
    assert (key_a == key_b) == (a == b)


def test_edges_hold_what_they_are_for() -> None:
    edges = set(EDGE_F32_BITS)
    assert {0, SIGN, 1, 0x007FFFFF, 0x00800000, LARGEST, INFINITY, SIGN | INFINITY, CANONICAL_NAN} <= edges
