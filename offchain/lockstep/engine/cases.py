"""Edge cases an op's route must get right before this process uses it.

Each case is a node with its inputs; the expected value is the reference's. Small enough that a
process tests every route it uses in well under a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from lockstep.commitments.tensor import CHUNK_BYTES
from lockstep.numerics import contraction
from lockstep.numerics.dtypes import DType
from lockstep.program.graph import Attrs, Concat, Input, Node, View
from lockstep.program.ops import (
    ELEMENTWISE_FAMILIES,
    MAX_ROW,
    MAX_SORT_ROW,
    MAX_SUM_ROW,
    Family,
    InputKind,
    Op,
)

Array = npt.NDArray[np.generic]
Case = tuple[Node, list[Array]]

_F32_EDGES = [
    0x00000000, 0x00000001, 0x00000002, 0x00400000, 0x007FFFFF, 0x00800000, 0x00800001, 0x01000000,
    0x33800000, 0x33800001, 0x34000000, 0x3DCCCCCD, 0x3EFFFFFF, 0x3F000000, 0x3F000001, 0x3F7FFFFF,
    0x3F800000, 0x3F800001, 0x3FC00000, 0x40200000, 0x40490FDB, 0x42B17218, 0x42CFF1B5, 0x4B000001,
    0x4B800000, 0x4EFFFFFF, 0x4F000000, 0x4F7FFFFF, 0x5F000000, 0x7EFFFFFF, 0x7F000000, 0x7F7FFFFF,
    0x7F800000, 0x7FC00000, 0x7F800001,
]  # fmt: skip
_I32_EDGES = [0, 1, 2, 3, 7, 31, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x00FFFFFF, 0x01000001, 0x7FFFFFFF, 0x80000000]
_I32_EDGES += [0x80000001, 0xC0000000, 0xFFFF8000, 0xFFFFFFFE, 0xFFFFFFFF]


def f32_edges() -> npt.NDArray[np.float32]:
    """Edge values of both signs."""
    words = np.array(_F32_EDGES + [word | 0x80000000 for word in _F32_EDGES], np.uint32)
    return words.view(np.float32)


def i32_edges() -> npt.NDArray[np.int32]:
    """Edge values of i32, signed and unsigned."""
    return np.array(_I32_EDGES, np.uint32).view(np.int32)


def random_f32(rng: np.random.Generator, shape: Sequence[int]) -> npt.NDArray[np.float32]:
    """Uniform bits: every exponent, some infinities and NaNs."""
    return rng.integers(0, 2**32, tuple(shape), np.uint32).view(np.float32)


def _operand(rng: np.random.Generator, dtype: DType, count: int, turn: int) -> Array:
    """Edges against edges (the turn decides which varies fast), then random bits."""
    match dtype:
        case DType.F32:
            edges: Array = f32_edges()
        case DType.I32:
            edges = i32_edges()
        case DType.M16:
            edges = np.array([-16384, -16383, -8193, -1, 0, 1, 127, 128, 129, 8192, 16383, 16384], np.int16)
        case DType.E16:
            edges = np.array([-126, -113, -1, 0, 1, 127, 255], np.int16)
        case DType.U8:
            edges = np.arange(256, dtype=np.uint8)
        case _:
            edges = np.array([0, 1, 255, 256, 32767, 32768, 65535], np.uint16)
    n = len(edges)
    grid = np.repeat(edges, n) if turn == 0 else np.tile(edges, n)
    if turn == 2:
        grid = edges[(np.arange(n * n) * 7 + 3) % n]
    if dtype in (DType.F32, DType.I32):
        noise = rng.integers(0, 2**32, 512, np.uint32).view(edges.dtype)
        grid = np.concatenate([grid, noise])
    return np.resize(grid, count)


def _node(op: Op, dtype: DType, shape: Sequence[int], arity: int, attrs: Attrs = ()) -> Node:
    return Node(op, dtype, tuple(shape), tuple(Input(InputKind.NODE, i) for i in range(arity)), attrs)


def _elementwise(op: Op, rng: np.random.Generator) -> Iterator[Case]:
    signatures: list[tuple[list[DType], DType, Attrs]]
    f, i = DType.F32, DType.I32
    if op.family in (Family.FLOAT, Family.TRANSCENDENTAL):
        binary = op.family is Family.FLOAT and op < Op.SQRT
        signatures = [([f] * (2 if binary else 1), f, ())]
    elif op in (Op.SHL, Op.SHR, Op.SAR):
        signatures = [([i], i, (count,)) for count in (0, 1, 9, 31)]
    elif op.family is Family.INTEGER:
        signatures = [([i, i], i, ())]
    elif op is Op.SELECT:
        signatures = [([i, f, f], f, ()), ([i, i, i], i, ())]
    elif op.family is Family.COMPARE:
        signatures = [([f, f] if op < Op.ILT else [i, i], i, ())]
    elif op is Op.BITCAST:
        signatures = [([f], i, ()), ([i], f, ())]
    else:
        signatures = [([f], i, ()), ([i], f, ())]
        signatures += [([d], o, ()) for d in (DType.M16, DType.U8, DType.U16) for o in (f, i)]
        signatures.append(([DType.E16], i, ()))
    for inputs, out, attrs in signatures:
        count = 73 * 73 if len(inputs) > 1 else 1111
        full = [_operand(rng, dtype, count, turn) for turn, dtype in enumerate(inputs)]
        yield _node(op, out, (count,), len(inputs), attrs), full
        # Literals on either side, and a strided operand with an odd tail.
        for slot in range(len(inputs)):
            for at in (0, 1, 9, 20, 33, 70, 104) if len(inputs) > 1 else ():
                part = [x[:97].copy() for x in full]
                part[slot] = full[slot].reshape(-1)[at * 50 : at * 50 + 1].reshape(())
                yield _node(op, out, (97,), len(inputs), attrs), part
        strided = [np.ascontiguousarray(x[: 31 * 35].reshape(35, 31)).T for x in full]
        yield _node(op, out, (31, 35), len(inputs), attrs), strided


def _rows_f32(rng: np.random.Generator, rows: int, k: int) -> npt.NDArray[np.float32]:
    """Rows of every temper: ordinary, subnormal, wide range, zero, huge, ties, one not finite."""
    x = rng.standard_normal((rows, k)).astype(np.float32)
    for r in range(rows):
        match r % 8:
            case 1:
                x[r] *= np.float32(2.0**-130)
            case 2:
                x[r] = np.ldexp(x[r], rng.integers(-140, 100, k))
            case 3:
                x[r] = np.where(np.arange(k) % 2, np.float32(-0.0), np.float32(0.0))
            case 4:
                x[r] = np.float32(3.4e38) * np.sign(x[r])
            case 5:
                x[r] = rng.integers(-(2**15), 2**15, k) * np.float32(0.5)
                x[r, 0] = 8192.0
            case 6:
                x[r, k // 2] = (np.inf, -np.inf, np.nan)[(r // 8) % 3]
            case 7:
                x[r] = np.float32(1.9999999) * np.sign(x[r])
    return x


_ROW_SHAPES = ((17, 1), (16, 3), (24, 33), (8, 16_384), (8, 16_390))
_LONG_PRODUCT = 140_003
"""Terms of a product whose slices' sums do not fit 32 bits."""


def _contraction(op: Op, rng: np.random.Generator) -> Iterator[Case]:
    if op is Op.EXPONENT:
        for rows, k in _ROW_SHAPES:
            for floor in (-113, -126):
                yield _node(op, DType.E16, (rows,), 1, (floor,)), [_rows_f32(rng, rows, k)]
        return
    if op is Op.QUANTIZE:
        for rows, k in _ROW_SHAPES[:3]:
            x = _rows_f32(rng, rows, k)
            e = contraction.exponent(x, -113)
            e[-2:] = (-126, 255)
            e[:2] -= 3
            yield _node(op, DType.M16, (rows, k), 2, (14,)), [x, e]
        return
    for lead, m, n, k in (
        ((), 1, 1, 1),
        ((), 5, 3, 1),
        ((), 33, 17, 7),
        ((), 48, 70, 65),
        ((3, 2), 5, 4, 9),
        ((), 3, 2, 16_384),
        ((), 3, 2, _LONG_PRODUCT),
    ):
        for kind in range(3):
            a, b = (
                np.array([16384, -16384, 16256, -16257, 8127], np.int16)[rng.integers(0, 5, (*lead, s, k))]
                for s in (m, n)
            )
            if kind == 0:
                a[...], b[...] = (16384, -16384) if k < _LONG_PRODUCT else (16256, 16256)
            elif kind == 1:
                a, b = (rng.integers(-16384, 16385, (*lead, s, k)).astype(np.int16) for s in (m, n))
            ea, eb = (rng.integers(-20, 20, (*lead, s)).astype(np.int16) for s in (m, n))
            if kind == 1 and m > 4:
                ea[..., :4], eb[..., :2] = (-113, 127, 255, -114), (-30, 90)
            yield _node(op, DType.F32, (*lead, m, n), 4), [a, ea, b, eb]


def _reduction(op: Op, rng: np.random.Generator) -> Iterator[Case]:
    longest = {Op.SORT: MAX_SORT_ROW, Op.ARGSORT: MAX_SORT_ROW, Op.SUM: MAX_SUM_ROW}.get(op, MAX_ROW)
    for rows, k in _ROW_SHAPES:
        k = min(k, longest)
        x = _rows_f32(rng, rows, k)
        match op:
            case Op.SUM:
                e = contraction.exponent(x, -126)
                e[-1] -= 3
                e[0] = 127
                yield _node(op, DType.F32, (rows,), 2), [x, e]
            case Op.SORT | Op.ARGSORT:
                yield _node(op, DType.F32 if op is Op.SORT else DType.I32, x.shape, 1), [np.round(x)]
            case Op.ARGMAX | Op.REDUCE_MAX:
                yield _node(op, DType.I32 if op is Op.ARGMAX else DType.F32, (rows,), 1), [x]
                yield _node(op, DType.I32 if op is Op.ARGMAX else DType.F32, (rows,), 1), [np.round(x) * 0]


def _movement(op: Op, rng: np.random.Generator) -> Iterator[Case]:
    carriers: list[tuple[DType, Array, int]] = [
        (DType.F32, random_f32(rng, (6, 5, 4)), 0x7F800001),
        (DType.M16, rng.integers(-16384, 16385, (6, 5, 4)).astype(np.int16), 0xC000),
        (DType.U8, rng.integers(0, 256, (6, 5, 4)).astype(np.uint8), 0x80),
        (DType.U16, rng.integers(0, 65536, (6, 5, 4)).astype(np.uint16), 0x8000),
    ]
    for dtype, x, fill in carriers:
        if op is Op.GATHER:
            index = np.array([[0, 5, 6], [-1, 3, -(2**31)]], np.int32)
            yield _node(op, dtype, (2, 3, 5, 4), 2), [x, index]
            yield _node(op, dtype, (), 2), [np.ascontiguousarray(x[:, 0, 0]), np.array(5, np.int32)]
        elif op is Op.CONCAT:
            yield _node(op, dtype, (6, 9, 4), 2, Concat(1, (5, 4))), [x, np.ascontiguousarray(x[:, :4])]
        else:
            for src, offset, mapping, shape in _VIEWS:
                yield _node(op, dtype, shape, 1, View(src, offset, mapping, fill)), [x]


_VIEWS: tuple[tuple[tuple[int, ...], tuple[int, ...], tuple[tuple[int, int], ...], tuple[int, ...]], ...] = (
    ((6, 5, 4), (0, 0, 0), ((2, 1), (0, 1), (1, 1)), (4, 6, 5)),
    ((30, 4), (0, 0), ((0, 1), (0, 1), (1, 1)), (28, 3, 4)),
    ((6, 20), (0, -2), ((0, 1), (1, 2), (1, 1)), (6, 11, 3)),
    ((120,), (119,), ((0, -1),), (120,)),
    ((6, 20), (5, 3), ((0, -1), (0, 0), (1, 4)), (6, 3, 4)),
    ((10, 12), (0, 11), ((0, 1), (1, -2), (1, 1)), (10, 6, 3)),
    ((30, 4, 1), (0, -1, 0), ((0, 1), (1, 1), (2, 1)), (30, 6, 2)),
    ((12, 10), (-5, 20), ((0, 1), (1, 3)), (4, 4)),
    ((2, 60), (0, 0), (), ()),
    ((6, 5, 4), (0, 0, 0), ((0, 2), (1, 2), (2, 3)), (3, 3, 2)),
)


def _generated(op: Op, rng: np.random.Generator) -> Iterator[Case]:
    i = DType.I32
    if op is Op.IOTA:
        yield _node(op, i, (7, 5), 0), []
    elif op is Op.RANDOM_BITS:
        for counter, site, shape in ((0, 0, (5, 7)), (-3, 0x80000001, (1,)), (12345, 77, (64, 33))):
            yield _node(op, i, shape, 1, (site,)), [np.array(counter, np.int32)]
    elif op is Op.SHUFFLE:
        for n in (1, 2, 97, 2**32 - 1, 0):
            index = np.concatenate([np.arange(-2, 99, dtype=np.int32), i32_edges()])
            yield _node(op, i, index.shape, 2, (n, 5)), [index, np.array(3, np.int32)]
    elif op is Op.SCATTER_ADD:
        for channels, n in ((3, 1), (8, 65), (2, 8_192)):
            x = _rows_f32(rng, channels, n)
            index = rng.integers(-2, 9, n).astype(np.int32)
            yield _node(op, DType.F32, (channels, 7), 3), [x, index, contraction.exponent(x, -126)]
        # -(2**53 + 2**29 + 1): just beyond the middle of two f32s, where the float64 next to it is that middle
        many = np.full((1, 2**19 + 2), -2.0, np.float32)
        many[:, 5:7] = -(2.0**-4), -(2.0**-33)
        yield _node(op, DType.F32, (1, 1), 3), [many, np.zeros(many.shape[1], np.int32), np.zeros(1, np.int16)]
    else:
        state_shapes: tuple[tuple[int, ...], ...] = ((), (3,), (CHUNK_BYTES + 5,), (2, 64, 40))
        for extents in state_shapes:
            counts = rng.integers(0, 9, extents).astype(np.int32)
            yield _node(op, DType.ROOT, (2,), 2), [random_f32(rng, extents), np.asarray(counts)]


def cases(op: Op) -> Iterator[Case]:
    """Edge cases of an op, the same in every process."""
    with np.errstate(all="ignore"):
        yield from _cases(op, np.random.Generator(np.random.PCG64(op.value)))


def _cases(op: Op, rng: np.random.Generator) -> Iterator[Case]:
    if op.family in ELEMENTWISE_FAMILIES:
        yield from _elementwise(op, rng)
    elif op.family is Family.CONTRACTION:
        yield from _contraction(op, rng)
    elif op.family is Family.ROW:
        yield from _reduction(op, rng)
    elif op in (Op.VIEW, Op.CONCAT, Op.GATHER):
        yield from _movement(op, rng)
    else:
        yield from _generated(op, rng)
