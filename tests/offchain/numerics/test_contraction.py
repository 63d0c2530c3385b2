"""Block exponents, mantissas and the exact contraction, against exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from lockstep.numerics import contraction
from lockstep.numerics.dtypes import CANONICAL_NAN
from lockstep.numerics.float32 import bits_of
from tests.exact import SIGN, nearest_f32, value
from tests.strategies.values import EDGE_E16, HOSTILE_E16, f32_arrays

ANY_E16 = st.one_of(st.sampled_from(EDGE_E16 + HOSTILE_E16), st.integers(-140, 140))
MANTISSAS = st.one_of(
    st.sampled_from([-(1 << 14), 1 << 14]), st.integers(-(1 << 14), 1 << 14), st.integers(-(2**15), 2**15 - 1)
)


def f32(*bits: int) -> np.ndarray:
    return np.array(bits, np.uint32).view(np.float32)


def fractions(x: np.ndarray) -> list[Fraction | None]:
    """The numbers of a row, None for an infinity or NaN."""
    return [None if bits & 0x7F800000 == 0x7F800000 else value(bits) for bits in bits_of(x).tolist()]


def exact_log2(x: Fraction) -> int:
    """floor(log2(x)) of x > 0, by counting."""
    power = 0
    while x >= 2:
        x, power = x / 2, power + 1
    while x < 1:
        x, power = x * 2, power - 1
    return power


@given(f32_arrays(noisy=True), st.sampled_from([-113, -126]))
@example(f32(0, SIGN), -113)
@example(f32(0, SIGN), -126)
@example(f32(1), -126)  # a subnormal lies below every floor
@example(f32(0x007FFFFF), -126)
@example(f32(0x00800000), -126)
@example(f32(0x07000000), -113)  # 2**-113
@example(f32(0x06FFFFFF), -113)
@example(f32(0x7F7FFFFF), -113)
@example(f32(0x3F800000, 0x7F800000), -113)
@example(f32(0x7F800001), -126)
def test_exponent_is_the_floor_of_log2_of_the_largest(x: np.ndarray, floor: int) -> None:
    numbers = fractions(x)
    if None in numbers:
        expected = 255
    else:
        largest = max(abs(n) for n in numbers if n is not None)
        expected = floor if largest == 0 else max(exact_log2(largest), floor)
    result = contraction.exponent(x, floor)
    assert result.dtype == np.int16
    assert result.shape == ()
    assert int(result) == expected


def test_exponent_is_of_each_row() -> None:
    x = np.array([[[1, 2], [0, 0]], [[np.inf, 0], [-0.75, 0.5]]], np.float32)
    assert contraction.exponent(x, -113).tolist() == [[1, -113], [255, -1]]


@given(f32_arrays(high=8, noisy=True), ANY_E16)
@example(f32(0x3F800000), 0)  # 2**13
@example(f32(0x3FFFFFFF), 0)  # rounds up to 2**14
@example(f32(0x40000000), 0)  # clamped
@example(f32(0x7F7FFFFF), -113)  # far beyond the clamp
@example(f32(1), 127)
@example(f32(0x37800000), 0)  # 2**-16: three bits below the half of a unit
@example(f32(0x38000000), 0)  # 2**-15
@example(f32(0x38800000), 0)  # 2**-14: a tie, to zero
@example(f32(0x39400000), 0)  # 3 * 2**-14: a tie, to two
@example(f32(0x38800001), 0)
def test_quantize_is_the_rounded_product_clamped(x: np.ndarray, e: int) -> None:
    expected = []
    for number in fractions(x):
        if number is None or not -113 <= e <= 127:
            expected.append(0)
        else:
            expected.append(max(-(2**14), min(2**14, round(number * Fraction(2) ** (13 - e)))))
    result = contraction.quantize(x, np.int16(e))
    assert result.dtype == np.int16
    assert result.tolist() == expected


@given(f32_arrays())
def test_a_rows_own_exponent_uses_all_bits_of_the_mantissa(x: np.ndarray) -> None:
    e = contraction.exponent(x, -113)
    assume(int(e) not in (255, -113))
    largest = int(np.abs(contraction.quantize(x, e).astype(int)).max())
    assert 1 << 13 <= largest <= 1 << 14


def test_slices_are_int8_and_recombine_over_all_mantissas() -> None:
    m = np.arange(-(1 << 14), (1 << 14) + 1, dtype=np.int16)
    high, low = contraction.slices(m)
    assert (256 * high.astype(int) + low == m).all()
    for part in (high, low):
        assert part.min() >= -128
        assert part.max() <= 127


rows = st.integers(1, 12).flatmap(
    lambda k: st.tuples(*[st.lists(st.lists(MANTISSAS, min_size=k, max_size=k), min_size=1, max_size=3)] * 2)
)


@given(rows, st.lists(ANY_E16, min_size=6, max_size=6))
@example(([[0, 0]], [[1, 1]]), [0] * 6)
@example(([[1]], [[-1]]), [-113] * 6)  # underflows to -0
@example(([[1 << 14]], [[1 << 14]]), [127] * 6)  # overflows
@example(([[1, -1]], [[5, 5]]), [127] * 6)  # cancels to +0
@example(([[0]], [[0]]), [255] * 6)  # NaN even of zeros
@example(([[0]], [[0]]), [-114] * 6)
@example(([[0]], [[0]]), [128] * 6)
def test_matmul_is_the_exact_sum_rounded_once(operands: tuple[list, list], exponents: list[int]) -> None:
    a, b = operands
    ea, eb = exponents[: len(a)], exponents[3 : 3 + len(b)]
    result = contraction.matmul(
        np.array(a, np.int16), np.array(ea, np.int16), np.array(b, np.int16), np.array(eb, np.int16)
    )
    for i, row in enumerate(a):
        for j, column in enumerate(b):
            exact = sum(x * y for x, y in zip(row, column, strict=True)) * Fraction(2) ** (ea[i] + eb[j] - 26)
            expected = nearest_f32(exact)
            if exact < 0 and expected == 0:
                expected = SIGN
            if not (-113 <= ea[i] <= 127 and -113 <= eb[j] <= 127):
                expected = CANONICAL_NAN
            assert int(result[i, j].view(np.uint32)) == expected


@pytest.mark.parametrize("k", [16_384, 2**20])
@pytest.mark.parametrize("extreme", [1 << 14, -(1 << 14), -(1 << 15)])
def test_matmul_of_extremes_at_long_rows_is_exact(k: int, extreme: int) -> None:
    a, b = np.full((1, k), extreme, np.int16), np.full((2, k), extreme, np.int16)
    b[1, 0] += 1
    zero = np.zeros(2, np.int16)
    result = contraction.matmul(a, zero[:1], b, zero)
    exact = [Fraction(k * extreme**2 + more, 2**26) for more in (0, extreme)]
    assert result.view(np.uint32).tolist() == [[nearest_f32(n) for n in exact]]


def test_matmul_batches_over_leading_axes() -> None:
    rng = np.random.default_rng(1)
    ma, mb = (rng.integers(-100, 100, (2, 3, n, 5)).astype(np.int16) for n in (4, 6))
    ea, eb = (rng.integers(-5, 5, (2, 3, n)).astype(np.int16) for n in (4, 6))
    result = contraction.matmul(ma, ea, mb, eb)
    assert result.shape == (2, 3, 4, 6)
    assert result[1, 2].tobytes() == contraction.matmul(ma[1, 2], ea[1, 2], mb[1, 2], eb[1, 2]).tobytes()


@given(st.randoms(use_true_random=False), st.integers(2, 30))
def test_matmul_does_not_see_the_order_of_its_row(random: object, k: int) -> None:
    rng = np.random.default_rng(k)
    order = list(range(k))
    random.shuffle(order)  # type: ignore[attr-defined]
    ma, mb = (rng.integers(-(1 << 14), (1 << 14) + 1, (3, k)).astype(np.int16) for _ in range(2))
    e = np.array([-3, 0, 9], np.int16)
    assert contraction.matmul(ma, e, mb, e).tobytes() == contraction.matmul(ma[:, order], e, mb[:, order], e).tobytes()


def test_quantised_matmul_is_near_the_real_one() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((8, 300)).astype(np.float32), rng.standard_normal((7, 300)).astype(np.float32)
    ea, eb = contraction.exponent(a, -113), contraction.exponent(b, -113)
    result = contraction.matmul(contraction.quantize(a, ea), ea, contraction.quantize(b, eb), eb)
    error = np.abs(result - a.astype(np.float64) @ b.T.astype(np.float64)).max()
    assert error < 2e-3 * math.sqrt(300)
