"""Float ops against exact rational arithmetic; integer ops, comparisons and select against Python's."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lockstep.numerics import elementwise
from lockstep.numerics.dtypes import CANONICAL_NAN
from tests.exact import INFINITY, SIGN, nearest_f32, nearest_sqrt, value
from tests.strategies.values import EDGE_F32_BITS, EDGE_I32, f32_bits

NAN = CANONICAL_NAN
ONE, TWO = 0x3F800000, 0x40000000


def run(op: Callable[..., np.ndarray], *operands: int) -> int:
    """Bits of an op on single f32s given by their bits."""
    arrays = [np.array([bits], np.uint32).view(np.float32) for bits in operands]
    result = op(*arrays)
    assert result.dtype == np.float32
    return int(result.view(np.uint32)[0])


def is_nan(bits: int) -> bool:
    return bits & 0x7FFFFFFF > INFINITY


def is_finite(bits: int) -> bool:
    return bits & INFINITY != INFINITY


def expected_sum(a: int, b: int) -> int:
    if not (is_finite(a) and is_finite(b)):
        if is_nan(a) or is_nan(b) or (not is_finite(a) and not is_finite(b) and a != b):
            return NAN
        return b if is_finite(a) else a
    return nearest_f32(value(a) + value(b), negative_zero=a == SIGN and b == SIGN)


def expected_product(a: int, b: int) -> int:
    sign = (a ^ b) & SIGN
    if is_nan(a) or is_nan(b):
        return NAN
    if not (is_finite(a) and is_finite(b)):
        return NAN if not a & 0x7FFFFFFF or not b & 0x7FFFFFFF else sign | INFINITY
    return nearest_f32(value(a) * value(b)) & 0x7FFFFFFF | sign


def expected_quotient(a: int, b: int) -> int:
    sign = (a ^ b) & SIGN
    if is_nan(a) or is_nan(b) or (not is_finite(a) and not is_finite(b)):
        return NAN
    if not is_finite(a):
        return sign | INFINITY
    if not is_finite(b):
        return sign
    if not b & 0x7FFFFFFF:
        return NAN if not a & 0x7FFFFFFF else sign | INFINITY
    return nearest_f32(value(a) / value(b)) & 0x7FFFFFFF | sign


BINARY = {
    "add": (elementwise.add, expected_sum),
    "sub": (elementwise.sub, lambda a, b: expected_sum(a, b if is_nan(b) else b ^ SIGN)),
    "mul": (elementwise.mul, expected_product),
    "div": (elementwise.div, expected_quotient),
}


@pytest.mark.parametrize("name", BINARY)
@given(a=f32_bits(noisy=True), b=f32_bits(noisy=True))
@example(a=0x00800000, b=0x3F7FFFFF)  # largest normal times nearly one: the border of the subnormals
@example(a=0x00800001, b=0x00800000)
@example(a=0x00000001, b=0x3F000000)  # half the least subnormal
@example(a=0x00000003, b=0x3F000000)
@example(a=0x7F7FFFFF, b=0x73000000)  # half a place below the top
@example(a=0x7F7FFFFF, b=0x72FFFFFF)
def test_arithmetic_is_exact_rational_arithmetic_rounded_once(name: str, a: int, b: int) -> None:
    op, expected = BINARY[name]
    assert run(op, a, b) == expected(a, b)


@pytest.mark.parametrize("name", BINARY)
def test_arithmetic_on_all_pairs_of_edges(name: str) -> None:
    op, expected = BINARY[name]
    pairs = [(a, b) for a in EDGE_F32_BITS for b in EDGE_F32_BITS]
    left, right = (np.array(side, np.uint32).view(np.float32) for side in zip(*pairs, strict=True))
    assert op(left, right).view(np.uint32).tolist() == [expected(a, b) for a, b in pairs]


@given(f32_bits(noisy=True))
@example(0)
@example(SIGN)
@example(1)
@example(0x7F7FFFFF)
@example(INFINITY)
def test_sqrt_is_the_nearest_to_the_exact_root(a: int) -> None:
    if is_nan(a) or (a & SIGN and a != SIGN):
        expected = NAN
    elif not is_finite(a) or not a & 0x7FFFFFFF:
        expected = a
    else:
        expected = nearest_sqrt(value(a))
    assert run(elementwise.sqrt, a) == expected


ROUNDINGS: dict[str, tuple[Callable[..., np.ndarray], Callable[[Fraction], int]]] = {
    "floor": (elementwise.floor, math.floor),
    "ceil": (elementwise.ceil, math.ceil),
    "rne": (elementwise.rne, round),
    "trunc": (elementwise.trunc, math.trunc),
}


@pytest.mark.parametrize("name", ROUNDINGS)
@given(a=f32_bits(noisy=True))
@example(a=0x3F000000)
@example(a=0xBF000000)
@example(a=0x3FC00000)
@example(a=0x40200000)
@example(a=0x4AFFFFFF)
@example(a=0x80000001)
def test_rounding_to_integers_keeps_the_sign_of_zero(name: str, a: int) -> None:
    op, integer = ROUNDINGS[name]
    if is_nan(a):
        expected = NAN
    elif not is_finite(a):
        expected = a
    else:
        expected = nearest_f32(Fraction(integer(value(a)))) & 0x7FFFFFFF | a & SIGN
    assert run(op, a) == expected


@given(f32_bits(noisy=True))
def test_neg_and_abs_act_on_the_sign_bit_and_leave_nan(a: int) -> None:
    assert run(elementwise.neg, a) == (NAN if is_nan(a) else a ^ SIGN)
    assert run(elementwise.absolute, a) == (NAN if is_nan(a) else a & ~SIGN)


@given(f32_bits(noisy=True), f32_bits(noisy=True))
@example(NAN, ONE)
@example(ONE, NAN)
@example(0, SIGN)
@example(SIGN, 0)
def test_max_and_min_give_the_second_where_the_comparison_fails(a: int, b: int) -> None:
    greater = not is_nan(a) and not is_nan(b) and _number(a) > _number(b)
    less = not is_nan(a) and not is_nan(b) and _number(a) < _number(b)
    assert run(elementwise.maximum, a, b) == _canonical(a if greater else b)
    assert run(elementwise.minimum, a, b) == _canonical(a if less else b)


def _canonical(bits: int) -> int:
    return NAN if is_nan(bits) else bits


def _number(bits: int) -> Fraction:
    if is_finite(bits):
        return value(bits)
    return Fraction(-(2**200) if bits & SIGN else 2**200)


@given(f32_bits(noisy=True), f32_bits(noisy=True))
@example(0, SIGN)
@example(NAN, NAN)
def test_comparisons_are_of_numbers_and_false_with_nan(a: int, b: int) -> None:
    x, y = (np.array([bits], np.uint32).view(np.float32) for bits in (a, b))
    ordered = not is_nan(a) and not is_nan(b)
    number_a, number_b = (0, 0) if not ordered else (_number(a), _number(b))
    found = [int(op(x, y)[0]) for op in (elementwise.lt, elementwise.le, elementwise.eq, elementwise.ne)]
    equal = ordered and number_a == number_b
    assert found == [ordered and number_a < number_b, ordered and number_a <= number_b, equal, not equal]


words = st.one_of(st.sampled_from(EDGE_I32), st.integers(-(2**31), 2**31 - 1))


def _wrapped(n: int) -> int:
    return (n + 2**31) % 2**32 - 2**31


INTEGER: dict[str, tuple[Callable[..., np.ndarray], Callable[[int, int], int]]] = {
    "iadd": (elementwise.iadd, lambda a, b: a + b),
    "isub": (elementwise.isub, lambda a, b: a - b),
    "imul": (elementwise.imul, lambda a, b: a * b),
    "udiv": (elementwise.udiv, lambda a, b: (a % 2**32) // (b % 2**32) if b else 0),
    "umod": (elementwise.umod, lambda a, b: (a % 2**32) % (b % 2**32) if b else 0),
    "and": (elementwise.bit_and, lambda a, b: a & b),
    "or": (elementwise.bit_or, lambda a, b: a | b),
    "xor": (elementwise.bit_xor, lambda a, b: a ^ b),
    "ilt": (elementwise.ilt, lambda a, b: a < b),
    "ile": (elementwise.ile, lambda a, b: a <= b),
    "ieq": (elementwise.ieq, lambda a, b: a == b),
    "ine": (elementwise.ine, lambda a, b: a != b),
    "ult": (elementwise.ult, lambda a, b: a % 2**32 < b % 2**32),
    "ule": (elementwise.ule, lambda a, b: a % 2**32 <= b % 2**32),
}


@pytest.mark.parametrize("name", INTEGER)
@given(a=words, b=words)
@example(a=-(2**31), b=-1)
@example(a=-(2**31), b=-(2**31))
@example(a=5, b=0)
def test_integer_ops_are_pythons_modulo_two_to_the_32(name: str, a: int, b: int) -> None:
    op, expected = INTEGER[name]
    result = op(np.array([a], np.int32), np.array([b], np.int32))
    assert result.dtype == np.int32
    assert result.tolist() == [_wrapped(int(expected(a, b)))]


@given(words, st.integers(0, 31))
@example(-1, 31)
@example(-1, 0)
def test_shifts_are_logical_but_for_sar(a: int, count: int) -> None:
    x = np.array([a], np.int32)
    assert elementwise.shl(x, count).tolist() == [_wrapped(a << count)]
    assert elementwise.shr(x, count).tolist() == [_wrapped((a % 2**32) >> count)]
    assert elementwise.sar(x, count).tolist() == [a >> count]


def test_select_tests_for_nonzero_and_writes_nan_canonical() -> None:
    condition = np.array([0, 1, -1, -(2**31), 0], np.int32)
    a = np.array([1, 2, 0xFFC00001, 4, 5], np.uint32).view(np.float32)
    b = np.array([0x7F800001, 7, 8, 9, SIGN], np.uint32).view(np.float32)
    assert elementwise.select(condition, a, b).view(np.uint32).tolist() == [NAN, 2, NAN, 4, SIGN]
    integers = elementwise.select(condition, a.view(np.int32), b.view(np.int32))
    assert integers.dtype == np.int32
    assert integers.view(np.uint32).tolist() == [0x7F800001, 2, 0xFFC00001, 4, SIGN]
