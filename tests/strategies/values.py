"""Random tensors, in regimes rather than uniformly.

Edge values (subnormals, signed zeros, infinities, NaN, ties, bounds of casts), random bits, ordinary
numbers at a random scale, one giant among dwarfs, zeros, few distinct values.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from lockstep.numerics.dtypes import CANONICAL_NAN, ITEMSIZE, NUMPY, DType
from lockstep.numerics.float32 import F32, I16, I32, canonical
from lockstep.program.graph import Shape

Rng = np.random.Generator
Array = npt.NDArray[Any]

EDGE_F32_BITS = (
    *(0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x00000002, 0x007FFFFF, 0x807FFFFF),
    *(0x00800000, 0x80800000, 0x00800001, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F7FFFFE, 0x7F000000),
    *(0x7F800000, 0xFF800000, CANONICAL_NAN),
    *(0x3F800000, 0xBF800000, 0x3F000000, 0xBF000000, 0x3F7FFFFF, 0x3F800001, 0x3EFFFFFF, 0x3F000001),
    *(0x3FC00000, 0xBFC00000, 0x40200000, 0x40000000, 0x40490FDB, 0x42B17218, 0xC2CFF1B5),
    *(0x4AFFFFFF, 0x4B000000, 0x4B000001, 0x4B800000, 0xCB7FFFFF, 0x4EFFFFFF, 0x4F000000, 0xCF000000, 0xCF000001),
    *(0x46800000, 0x46800001, 0x467FFF00, 0x46FFFE00, 0x34000000, 0x33800000, 0x07000000, 0x06800000, 0x0B800000),
)
"""f32 bits worth meeting: zeros, subnormals and their border, largest, infinities, NaN, halves, bounds."""
NOISY_NAN_BITS = (0x7F800001, 0xFF800001, 0x7FFFFFFF, 0xFFC00000, 0xFFFFFFFF, 0x7FC00001)
"""NaNs that no honest tensor holds: reads make them canonical."""
EDGE_I32 = (
    *(0, 1, -1, 2, -2, 31, 32, 255, 2**24, 2**24 + 1, 2**25 + 1, -(2**24) - 1, 2**31 - 1, 2**31 - 64, 2**31 - 65),
    *(-(2**31), -(2**31) + 1, 2**30, -(2**30), 0x7F800000, 0x7F800001, CANONICAL_NAN, -0x400000, -0x800000),
)
EDGE_E16 = (-126, -125, -113, -114, -112, -13, -1, 0, 1, 13, 14, 100, 126, 127, 255)
HOSTILE_E16 = (-32768, -200, -127, 128, 129, 254, 256, 300, 32767)
EDGE_M16 = (0, 1, -1, 127, 128, -128, -129, 129, 8191, 8192, 16383, 16384, -16383, -16384)
HOSTILE_M16 = (-32768, 32767, 16385, -16385)
SCALES = (0, 0, 0, -140, -126, -60, -20, -3, 3, 20, 60, 120)
"""Binary exponents that ordinary numbers are scaled by."""


def f32_values(rng: Rng, shape: Shape, noisy: bool = False) -> F32:
    """f32 array in one of the regimes; ``noisy`` also has NaNs that are not canonical."""
    n = math.prod(shape)
    pool = np.array(EDGE_F32_BITS + (NOISY_NAN_BITS if noisy else ()), np.uint32)
    edges = rng.choice(pool, n).view(np.float32)
    with np.errstate(all="ignore"):
        # products of integers, not normals: the same bits on every machine
        product = rng.integers(-(2**26), 2**26, n) * rng.integers(1, 2**26, n)
        ordinary = np.ldexp(product.astype(np.float64), int(rng.choice(SCALES)) - 51).astype(np.float32)
    values: npt.NDArray[np.floating]
    match rng.integers(0, 9):
        case 0:
            values = edges
        case 1:
            values = rng.integers(0, 2**32, n, np.uint32).view(np.float32)
        case 2:
            values = np.where(rng.random(n) < 0.2, edges, ordinary)
        case 3:  # quarters: ties of roundings to integers
            values = rng.integers(-64, 65, n) / 4
        case 4:  # one giant among dwarfs
            values = ordinary
            with np.errstate(all="ignore"):
                values[rng.integers(0, n)] *= np.float32(2.0 ** int(rng.integers(5, 30)))
        case 5:
            values = np.where(rng.random(n) < rng.choice([0.9, 1.0]), 0, ordinary)
        case 6:  # few distinct values: equals for sorts, comparisons, maxima
            values = rng.choice(np.array([0.0, -0.0, 1.0, -1.0, 2.5]), n)
        case _:
            values = ordinary
    array = np.asarray(values, np.float32).reshape(shape)
    return array if noisy else canonical(array)


def i32_values(rng: Rng, shape: Shape) -> I32:
    """i32 array: edges, random bits, a mixture, or small numbers."""
    edges = rng.choice(np.array(EDGE_I32), shape)
    match rng.integers(0, 4):
        case 0:
            values = edges
        case 1:
            values = rng.integers(-(2**31), 2**31, shape)
        case 2:
            values = np.where(rng.random(shape) < 0.3, edges, rng.integers(-100, 100, shape))
        case _:
            values = rng.integers(-3, 10, shape)
    return np.asarray(values, np.int32).reshape(shape)


def e16_values(rng: Rng, shape: Shape, hostile: bool = False) -> I16:
    """Block exponents: what ``exponent`` can give; ``hostile`` adds numbers it cannot."""
    edges = rng.choice(np.array(EDGE_E16 + (HOSTILE_E16 if hostile else ())), shape)
    values = np.where(rng.random(shape) < 0.3, edges, rng.integers(-20, 20, shape))
    return np.asarray(values, np.int16).reshape(shape)


def m16_values(rng: Rng, shape: Shape, hostile: bool = False) -> I16:
    """Mantissas: what ``quantize`` can give; ``hostile`` adds numbers it cannot."""
    match rng.integers(0, 4):
        case 0:
            values = rng.choice(np.array(EDGE_M16 + (HOSTILE_M16 if hostile else ())), shape)
        case 1:  # all extreme: the largest sums
            values = np.full(shape, (1 << 14) * int(rng.choice([-1, 1])))
        case 2:
            values = rng.integers(-3, 4, shape)
        case _:
            values = rng.integers(-(1 << 14), (1 << 14) + 1, shape)
    return np.asarray(values, np.int16).reshape(shape)


def values_of(rng: Rng, dtype: DType, shape: Shape, hostile: bool = False) -> Array:
    """Array of any element type but ROOT; ``hostile``: what only a liar would commit, too."""
    match dtype:
        case DType.F32:
            return f32_values(rng, shape, noisy=hostile)
        case DType.I32:
            return i32_values(rng, shape)
        case DType.M16:
            return m16_values(rng, shape, hostile)
        case DType.E16:
            return e16_values(rng, shape, hostile)
        case _:
            drawn = rng.integers(0, 256 ** ITEMSIZE[dtype], shape)
            return np.asarray(drawn, NUMPY[dtype]).reshape(shape)


def random_shape(rng: Rng, elements: int, low: int = 0, high: int = 4) -> Shape:
    """Shape of rank ``low`` to ``high`` with at most ``elements`` elements; extents of 1 are common."""
    shape: list[int] = []
    for _ in range(int(rng.integers(low, high + 1))):
        room = max(elements // math.prod(shape), 1)
        shape.append(int(rng.integers(1, min(room, 12) + 1)))
    rng.shuffle(shape)
    return tuple(shape)


def factorised(rng: Rng, count: int, rank: int) -> Shape:
    """Shape of this rank (at least 1) with exactly ``count`` elements."""
    shape = [1] * rank
    left, prime = count, 2
    while left > 1:
        while left % prime:
            prime += 1
        shape[int(rng.integers(0, rank))] *= prime
        left //= prime
    return tuple(shape)


def f32_bits(noisy: bool = False) -> st.SearchStrategy[int]:
    """Bits of one f32: edges, any bits, and numbers near a power of two."""
    near = st.builds(
        lambda sign, biased, nudge: (sign << 31) | max(0, min((biased << 23) + nudge, 0x7F800000)),
        st.integers(0, 1),
        st.integers(0, 255),
        st.integers(-2, 2),
    )
    anything = st.integers(0, 2**32 - 1)
    if not noisy:
        anything = anything.map(lambda bits: CANONICAL_NAN if bits & 0x7FFFFFFF > 0x7F800000 else bits)
    edges = EDGE_F32_BITS + (NOISY_NAN_BITS if noisy else ())
    return st.one_of(st.sampled_from(edges), near, anything)


def f32_arrays(low: int = 1, high: int = 40, noisy: bool = False) -> st.SearchStrategy[F32]:
    """f32 vector of ``low`` to ``high`` elements, which shrinks element by element."""
    return st.lists(f32_bits(noisy), min_size=low, max_size=high).map(
        lambda bits: np.array(bits, np.uint32).view(np.float32)
    )
