"""Casts between f32 and the integer types, and bit casts."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lockstep.numerics import casts
from lockstep.numerics.dtypes import CANONICAL_NAN
from tests.exact import INFINITY, SIGN, nearest_f32, value
from tests.strategies.values import EDGE_I32, f32_bits


def f32(*bits: int) -> np.ndarray:
    return np.array(bits, np.uint32).view(np.float32)


@given(f32_bits(noisy=True))
@example(0x4EFFFFFF)  # largest f32 below 2**31
@example(0x4F000000)  # 2**31: saturates
@example(0xCF000000)  # -2**31: exact
@example(0xCF000001)
@example(0xBF7FFFFF)
@example(SIGN | INFINITY)
def test_f32_to_i32_truncates_and_saturates(bits: int) -> None:
    if bits & 0x7FFFFFFF > INFINITY:
        expected = 0
    elif bits & INFINITY == INFINITY:
        expected = -(2**31) if bits & SIGN else 2**31 - 1
    else:
        expected = max(-(2**31), min(math.trunc(value(bits)), 2**31 - 1))
    result = casts.f32_to_i32(f32(bits))
    assert result.dtype == np.int32
    assert result.tolist() == [expected]


@given(st.one_of(st.sampled_from(EDGE_I32), st.integers(-(2**31), 2**31 - 1)))
@example(2**24 + 1)
@example(2**24 + 3)
@example(2**31 - 64)  # a tie
@example(-(2**31))
def test_i32_to_f32_is_the_nearest(n: int) -> None:
    result = casts.integer_to_f32(np.array([n], np.int32))
    assert result.view(np.uint32).tolist() == [nearest_f32(Fraction(n))]


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.uint16])
def test_small_integers_cast_exactly_both_ways(dtype: type[np.integer]) -> None:
    info = np.iinfo(dtype)
    x = np.arange(info.min, info.max + 1).astype(dtype)
    assert casts.integer_to_f32(x).tolist() == [float(n) for n in range(info.min, info.max + 1)]
    assert casts.integer_to_i32(x).dtype == np.int32
    assert casts.integer_to_i32(x).tolist() == list(range(info.min, info.max + 1))
    assert not np.signbit(casts.integer_to_f32(np.zeros(1, dtype))).any()


@given(st.integers(0, 2**32 - 1))
@example(0xFFC00001)
@example(0x7F800001)
@example(0x7F800000)
@example(SIGN)
def test_bit_casts_keep_all_bits_but_those_of_nan(bits: int) -> None:
    expected = CANONICAL_NAN if bits & 0x7FFFFFFF > INFINITY else bits
    word = np.array([bits], np.uint32).view(np.int32)
    assert casts.f32_from_bits(word).view(np.uint32).tolist() == [expected]
    assert casts.f32_bits(f32(bits)).view(np.uint32).tolist() == [expected]
    assert casts.f32_bits(casts.f32_from_bits(word)).view(np.uint32).tolist() == [expected]
