"""Known answers of every op, one element a case: what the on-chain executor is held to.

    scripts/make_vectors_ops.py    write tests/vectors/ops/<op>.json

``scripts/generate.py`` calls ``files``; tests/offchain/program/test_vectors_ops.py reads the files back. A case::

    {"node":    encoded node,
     "element": row-major index into the node's output,
     "step":    global step number,
     "seed":    the task's seed, a 64-bit number,
     "reads":   [{"slot", "start", "header", "data"}] as IOpExecutor.Read: tensor header and little-endian elements;
                for a state node an empty header and the tensor root,
     "value":   little-endian element that the reference gives}

Bytes and the seed are hexadecimal behind 0x. Edge cases come first, random nodes after them. Operands hold what a
liar could commit, too: exponents and mantissas out of range, NaNs that are not canonical.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lockstep.commitments.tensor import tensor_header, tensor_root
from lockstep.numerics.dtypes import CANONICAL_NAN, NUMPY, DType
from lockstep.program.encoding import encode_node
from lockstep.program.graph import Attrs, Concat, Input, Node, Shape, TensorType, View
from lockstep.program.leaf import leaf_reads
from lockstep.program.ops import InputKind, Op

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests.strategies import NodeCase, random_node_case  # noqa: E402
from tests.strategies.nodes import FLOAT_BINARY, FLOAT_COMPARE, SHIFTS  # noqa: E402

Array = npt.NDArray[Any]
Operand = tuple[DType, Array] | Input
"""A tensor that is proven, or an input that needs no proof."""
F32, I32, M16, E16, U8, U16 = (DType.F32, DType.I32, DType.M16, DType.E16, DType.U8, DType.U16)
NAN, INF, SIGN = CANONICAL_NAN, 0x7F800000, 0x80000000
LARGEST, NORMAL, ONE, HALF, TWO = 0x7F7FFFFF, 0x00800000, 0x3F800000, 0x3F000000, 0x40000000
NOISY = 0xFFC00001
RANDOM_CASES = 5
SEED = 0x0123456789ABCDEF

PAIRS = (
    *((ONE, ONE), (ONE, 0x33800000), (ONE, 0x33800001), (0x3F800001, 0x33800000), (0x4B800000, ONE)),
    *((LARGEST, LARGEST), (LARGEST, 0x73000000), (LARGEST, 0x72FFFFFF), (INF, SIGN | INF), (INF, 0), (INF, INF)),
    *((0, 0), (0, SIGN), (SIGN, 0), (SIGN, SIGN), (NOISY, ONE), (ONE, NOISY), (1, 1), (1, SIGN | 1), (1, HALF)),
    *((3, HALF), (NORMAL, SIGN | 1), (NORMAL, 0x3F7FFFFF), (NORMAL, NORMAL), (ONE, 3), (ONE, 0x40400000)),
    *((0x40490FDB, 0xC02DF854), (0xBFC00000, 0x34000000), (1, LARGEST), (LARGEST, 1), (0x00FFFFFF, TWO)),
)
"""Operand bits of two-operand float ops: ties, overflow, underflow, zeros, NaN, subnormals."""
SINGLES = (
    *(0, SIGN, 1, SIGN | 1, 0x007FFFFF, NORMAL, ONE, SIGN | ONE, HALF, SIGN | HALF, 0x3FC00000, 0xBFC00000, 0x40200000),
    *(0x3EFFFFFF, 0x4AFFFFFF, 0x4B000001, 0x4EFFFFFF, 0x4F000000, 0xCF000000, LARGEST, SIGN | LARGEST),
    *(INF, SIGN | INF, NAN, NOISY, 0x40490FDB, 0xC02DF854, TWO, 0x42B17218, 0xC2CFF1B5),
)
"""Operand bits of one-operand float ops: halves, bounds of casts, zeros, NaN, subnormals."""
WORDS = (0, 1, -1, 2**31 - 1, -(2**31), 2**24 + 1, -(2**24) - 3, 2**31 - 64, 0x7F800001, -0x3FFFFF, 12345)
WORD_PAIRS = (
    *((0, 0), (1, -1), (-1, 1), (2**31 - 1, 1), (-(2**31), -1), (-(2**31), -(2**31)), (7, 0), (-7, 2)),
    *((65537, 65537), (123456789, -987654321), (-1, -1)),
)
ROUNDINGS = tuple(Op(code) for code in range(Op.SQRT, Op.ERF + 1) if code in set(Op))


def f32(*bits: int) -> Array:
    """f32 vector with these bits, NaNs as they are."""
    return np.array(bits, np.uint32).view(np.float32)


def i32(*values: int) -> Array:
    """i32 vector."""
    return np.array(values, np.int64).astype(np.int32)


def i16(*values: int) -> Array:
    """Carrier of m16 and e16."""
    return np.array(values, np.int16)


def case(
    op: Op,
    dtype: DType,
    shape: Shape,
    operands: Sequence[Operand],
    attrs: Attrs = (),
    step: int = 0,
    seed: int = SEED,
) -> NodeCase:
    """A node with its operands: a tensor each, or an input that needs none."""
    inputs: list[Input] = []
    arrays: list[Array | None] = []
    types: list[TensorType | None] = []
    for operand in operands:
        if isinstance(operand, Input):
            inputs.append(operand)
            arrays.append(None)
            types.append(None)
        else:
            inputs.append(Input(InputKind.NODE, len(inputs)))
            arrays.append(operand[1])
            types.append(TensorType(operand[0], operand[1].shape))
    return NodeCase(Node(op, dtype, shape, tuple(inputs), attrs), tuple(arrays), tuple(types), step, seed)


def whole(made: NodeCase, count: int = 64) -> Iterator[tuple[NodeCase, int]]:
    """A case with its elements, at most ``count`` of them, evenly spread."""
    total = made.node.type.elements
    for i in range(min(total, count)):
        yield made, i * total // min(total, count)


def elementwise(
    op: Op, dtype: DType, *operands: tuple[DType, Array], attrs: Attrs = ()
) -> Iterator[tuple[NodeCase, int]]:
    """Every element of an elementwise node over vectors."""
    yield from whole(case(op, dtype, operands[0][1].shape, operands, attrs))


def pairs(op: Op) -> Iterator[tuple[NodeCase, int]]:
    """A two-operand op over the pairs of its family."""
    if op in FLOAT_BINARY or op in FLOAT_COMPARE:
        left, right = (f32(*side) for side in zip(*PAIRS, strict=True))
        yield from elementwise(op, F32 if op in FLOAT_BINARY else I32, (F32, left), (F32, right))
    else:
        left, right = (i32(*side) for side in zip(*WORD_PAIRS, strict=True))
        yield from elementwise(op, I32, (I32, left), (I32, right))


def select() -> Iterator[tuple[NodeCase, int]]:
    """Both element types, NaNs that are not canonical, conditions with a single bit."""
    condition = i32(0, 1, -1, -(2**31), 0, 256)
    a, b = f32(1, 2, NOISY, 4, 5, SIGN), f32(NOISY, 7, 8, 9, SIGN, NOISY)
    yield from elementwise(Op.SELECT, F32, (I32, condition), (F32, a), (F32, b))
    yield from elementwise(Op.SELECT, I32, (I32, condition), (I32, a.view(np.int32)), (I32, b.view(np.int32)))
    literals = [Input(InputKind.F32, ONE), Input(InputKind.F32, NAN)]
    yield from whole(case(Op.SELECT, F32, (2,), [Input(InputKind.SEED), *literals], seed=1 << 32))


def casts() -> Iterator[tuple[NodeCase, int]]:
    """Every pair of types."""
    yield from elementwise(Op.CAST, I32, (F32, f32(*SINGLES)))
    yield from elementwise(Op.CAST, F32, (I32, i32(*WORDS)))
    for dtype in (I32, F32):
        yield from elementwise(Op.CAST, dtype, (M16, i16(-(2**14), -1, 0, 2**14, -(2**15))))
        yield from elementwise(Op.CAST, dtype, (U8, np.array([0, 1, 255], np.uint8)))
        yield from elementwise(Op.CAST, dtype, (U16, np.array([0, 256, 65535], np.uint16)))
    yield from elementwise(Op.CAST, I32, (E16, i16(-126, 0, 127, 255, -(2**15))))
    yield from whole(case(Op.CAST, F32, (1,), [Input(InputKind.I32, 2**31 - 1)]))


def exponents() -> Iterator[tuple[NodeCase, int]]:
    """Zero rows, subnormal rows, the borders of both floors, rows that absorb, a long row."""
    rows = [
        *((0, SIGN, 0), (1, 0, SIGN | 2), (0x007FFFFF, 0, 0), (NORMAL, 1, 0), (0x07000000, 0, 0), (0x06FFFFFF, 0, 0)),
        *(
            (ONE, SIGN | TWO, HALF),
            (0x3FFFFFFF, 0, 0),
            (LARGEST, 0, 1),
            (INF, 0, 0),
            (ONE, NOISY, 0),
            (0, 0, SIGN | INF),
        ),
    ]
    x = np.stack([f32(*row) for row in rows])
    for floor in (-113, -126):
        yield from whole(case(Op.EXPONENT, E16, (len(rows),), [(F32, x)], (floor,)))
    yield case(Op.EXPONENT, E16, (2,), [(F32, _long(2, 1000))], (-126,)), 1


def _long(rows: int, length: int, seed: int = 7) -> Array:
    """Ordinary numbers of many magnitudes, as f32."""
    rng = np.random.default_rng(seed)
    mantissa = rng.integers(-(2**23), 2**23, (rows, length)).astype(np.float32)
    return np.ldexp(mantissa, rng.integers(-40, -10, (rows, length)))


def quantizes() -> Iterator[tuple[NodeCase, int]]:
    """Ties, clamps, subnormals, exponents at and beyond their range."""
    bits = [ONE, 0x3FFFFFFF, TWO, 0x38000000, 0x38800000, 0x38800001, 0x39400000, 0xB9400000, LARGEST, INF, NOISY, 1]
    yield from whole(case(Op.QUANTIZE, M16, (1, len(bits)), [(F32, f32(*bits)[None]), (E16, i16(0))], (14,)))
    es = (-32768, -114, -113, -14, 127, 128, 254, 255, 256)
    x = np.stack([f32(1, 0x7F7FFFFF, 0x38800000)] * len(es))
    yield from whole(case(Op.QUANTIZE, M16, x.shape, [(F32, x), (E16, i16(*es))], (14,)))
    x = f32(0x00400000, 0x80400000, 0x00600000, LARGEST)[:, None]
    yield from whole(case(Op.QUANTIZE, M16, x.shape, [(F32, x), (E16, i16(-113, -113, -113, 127))], (14,)))


def matmuls() -> Iterator[tuple[NodeCase, int]]:
    """Zero sums, signs of underflow, overflow, ties of the rounding, unusable exponents, extremes, a long row."""
    a = np.stack([i16(1, 0), i16(-1, 0), i16(1, -1), i16(2**14, 2**14), i16(0, 0), i16(-(2**15), 2**15 - 1)])
    b = np.stack([i16(1, 1), i16(2**14, 2**14), i16(-(2**15), -(2**15)), i16(4097, 4096)])
    for ea, eb in ((0, 0), (-113, -113), (127, 127), (127, -126), (-62, -62), (255, 0), (0, 128), (-114, 20)):
        operands = [(M16, a), (E16, np.full(6, ea, np.int16)), (M16, b), (E16, np.full(4, eb, np.int16))]
        yield from whole(case(Op.MATMUL, F32, (6, 4), operands), 24 if ea == 0 == eb else 6)
    rng = np.random.default_rng(3)
    for low, length in ((-(2**14), 2048), (2**14, 2047), (-(2**15), 100)):
        ma, mb = (rng.integers(low, 2**14 + 1, (3, n, length)).astype(np.int16) for n in (2, 3))
        es = [rng.integers(-20, 20, (3, n)).astype(np.int16) for n in (2, 3)]
        yield case(Op.MATMUL, F32, (3, 2, 3), [(M16, ma), (E16, es[0]), (M16, mb), (E16, es[1])]), 11


def sums() -> Iterator[tuple[NodeCase, int]]:
    """Cancellation, ties of terms and of the result, clamps, dishonest exponents, a long row."""
    rows = (
        *((0, SIGN, 0), (ONE, SIGN | ONE, 0), (0x2E800000, 0, 0), (0x2E800001, 0, 0), (0x2F400000, 0, 0)),
        *(
            (0xAF400000, 0, 0),
            (0x40800000, ONE, 0),
            (INF, ONE, NOISY),
            (ONE, 0x33800000, 0),
            (ONE, 0x33800000, 0x2F000000),
        ),
    )
    x = np.stack([f32(*row) for row in rows])
    yield from whole(case(Op.SUM, F32, (len(rows),), [(F32, x), (E16, np.zeros(len(rows), np.int16))]))
    es = (-32768, -127, -126, 127, 128, 255)
    x = np.stack([f32(LARGEST, 1, 1)] * len(es))
    yield from whole(case(Op.SUM, F32, (len(es),), [(F32, x), (E16, i16(*es))]))
    x = np.stack([f32(1, SIGN | 2, 0), f32(LARGEST, LARGEST, 0), f32(SIGN | 1, 0, 0), f32(NORMAL, SIGN | 1, 0)])
    yield from whole(case(Op.SUM, F32, (4,), [(F32, x), (E16, i16(-126, 127, -126, -126))]))
    yield case(Op.SUM, F32, (2,), [(F32, _long(2, 1000)), (E16, i16(0, 12))]), 1


def orders(op: Op) -> Iterator[tuple[NodeCase, int]]:
    """Equals, zeros of both signs, NaNs of every kind, infinities, a long row."""
    rows = ((0, SIGN, 0, SIGN), (NAN, INF, NOISY, 0x7FFFFFFF), (SIGN | INF, LARGEST, SIGN | 1, 1), (ONE, ONE, TWO, TWO))
    x = np.stack([f32(*row) for row in rows])
    sorting = op in (Op.SORT, Op.ARGSORT)
    dtype = F32 if op in (Op.REDUCE_MAX, Op.SORT) else I32
    yield from whole(case(op, dtype, x.shape if sorting else x.shape[:-1], [(F32, x)]))
    long = np.repeat(_long(2, 100 if sorting else 500), 2, axis=1)
    yield from whole(case(op, dtype, long.shape if sorting else long.shape[:-1], [(F32, long)]), 2)


def views() -> Iterator[tuple[NodeCase, int]]:
    """Transpose, flip, slice, pad, windows, expansion, rank 8, offsets and strides at their bounds, every type."""
    grid = np.arange(12, dtype=np.int32).reshape(3, 4)
    window = View((1, 1, 3, 4), (0, 0, -1, -1), ((0, 1), (2, 1), (3, 2), (2, 1), (3, 1)), 0xFFFFFFFF)
    for view, shape in (
        (View((3, 4), (0, 0), ((1, 1), (0, 1))), (4, 3)),
        (View((2, 6), (1, 5), ((0, -1), (1, -2))), (2, 3)),
        (View((12,), (-2,), ((0, 1),), 7), (16,)),
        (window, (1, 3, 2, 3, 3)),
        (View((12,), (3,), ((0, 0), (0, 0))), (2, 3)),
        (View((12,), (-(2**31),), ((0, 2**31 - 1), (0, -(2**31))), 9), (3, 2)),
        (
            View((1, 2, 1, 3, 1, 2, 1, 1), (0,) * 8, tuple((d, 1) for d in (5, 4, 3, 2, 1, 0, 6, 7))),
            (2, 1, 3, 1, 2, 1, 1, 1),
        ),
    ):
        yield from whole(case(Op.VIEW, I32, shape, [(I32, grid)], view), 6)
    yield case(Op.VIEW, F32, (), [(F32, np.asarray(f32(NOISY)[0]))], View((), (), ())), 0
    yield case(Op.VIEW, F32, (2,), [(F32, f32(NOISY, ONE))], View((2,), (0,), ((0, 1),))), 0
    yield case(Op.VIEW, F32, (2,), [(F32, f32(1, 2))], View((2,), (1,), ((0, 1),), NAN)), 1
    yield case(Op.VIEW, F32, (3, 2), [Input(InputKind.F32, ONE)], View((1,), (0,), ((0, 0), (0, 0)))), 5
    yield case(Op.VIEW, I32, (2,), [Input(InputKind.SEED)], View((2,), (1,), ((0, -1),))), 0
    for dtype, fill in ((M16, 0xC000), (E16, 0xFF82), (U8, 0xFE), (U16, 0xFFFE)):
        x = np.arange(1, 4).astype(NUMPY[dtype])
        yield from whole(case(Op.VIEW, dtype, (3,), [(dtype, x)], View((3,), (-1,), ((0, 1),), fill)), 2)


def concats() -> Iterator[tuple[NodeCase, int]]:
    """Each axis, every element type, many inputs."""
    parts = [np.arange(n * 6, dtype=np.int32).reshape(2, n, 3) + 100 * n for n in (1, 4, 2)]
    yield from whole(case(Op.CONCAT, I32, (2, 7, 3), [(I32, p) for p in parts], Concat(1, (1, 4, 2))), 14)
    yield case(Op.CONCAT, F32, (3,), [(F32, f32(ONE)), (F32, f32(NOISY, 2))], Concat(0, (1, 2))), 1
    for dtype in (M16, E16, U8, U16):
        x = np.arange(1, 4).astype(NUMPY[dtype])
        yield case(Op.CONCAT, dtype, (6,), [(dtype, x), (dtype, x)], Concat(0, (3, 3))), 4
    yield from whole(case(Op.CONCAT, I32, (3,), [(I32, i32(7)), Input(InputKind.SEED)], Concat(0, (1, 2))))
    many = [(I32, i32(n)) for n in range(256)]
    yield case(Op.CONCAT, I32, (256,), many, Concat(0, (1,) * 256)), 255


def gathers() -> Iterator[tuple[NodeCase, int]]:
    """Indices at and beyond the ends, signs, literals, STEP and SEED as index, SEED as table, every element type."""
    table = np.arange(12, dtype=np.int32).reshape(3, 2, 2)
    index = i32(0, 2, 3, -1, 2**31 - 1, -(2**31))
    yield from whole(case(Op.GATHER, I32, (6, 2, 2), [(I32, table), (I32, index)]), 12)
    noisy = f32(ONE, NOISY)
    yield from whole(case(Op.GATHER, F32, (2, 2), [(F32, noisy), (I32, i32(0, 1, 2, 1).reshape(2, 2))]))
    for literal in (1, 3, 0xFFFFFFFF):
        yield case(Op.GATHER, I32, (2, 2), [(I32, table), Input(InputKind.I32, literal)]), 3
    for step in (2, 3):
        yield case(Op.GATHER, I32, (2, 2), [(I32, table), Input(InputKind.STEP)], step=step), 1
    yield from whole(case(Op.GATHER, I32, (2, 2, 2), [(I32, table), Input(InputKind.SEED)], seed=(1 << 32) | 7), 2)
    yield from whole(case(Op.GATHER, I32, (4,), [Input(InputKind.SEED), (I32, i32(1, 0, 2, -1))]))
    yield from whole(case(Op.GATHER, I32, (), [Input(InputKind.SEED), Input(InputKind.STEP)], step=1))
    for dtype in (M16, E16, U8, U16):
        x = np.arange(1, 4).astype(NUMPY[dtype])
        yield from whole(case(Op.GATHER, dtype, (2,), [(dtype, x), (I32, i32(2, 3))]))


def scatters() -> Iterator[tuple[NodeCase, int]]:
    """Empty rows, indices out of range, all on one, dishonest exponents, a long row."""
    x = np.stack([f32(ONE, TWO, 0x40400000, SIGN | ONE, 1), f32(INF, ONE, NOISY, 0x33800000, SIGN | 1)] * 2)
    index = i32(0, 2, -1, 0, 3)
    operands = [(F32, x), (I32, index), (E16, i16(1, 0, 255, -127))]
    yield from whole(case(Op.SCATTER_ADD, F32, (4, 3), operands))
    by_seed: list[Operand] = [(F32, f32(ONE, TWO)[None]), Input(InputKind.SEED), (E16, i16(1))]
    yield from whole(case(Op.SCATTER_ADD, F32, (1, 2), by_seed, seed=1))
    long = _long(2, 500)
    yield case(Op.SCATTER_ADD, F32, (2, 1), [(F32, long), (I32, i32(*([0] * 500))), (E16, i16(0, 12))]), 1
    spread = np.arange(500, dtype=np.int32) * 7919 % 5 - 1
    yield case(Op.SCATTER_ADD, F32, (2, 3), [(F32, long), (I32, spread), (E16, i16(0, 12))]), 5


def draws() -> Iterator[tuple[NodeCase, int]]:
    """Both words of a counter, far elements, every kind of counter, seeds and sites with high bits."""
    for site in (0, 2**31, 2**32 - 1):
        yield from whole(case(Op.RANDOM_BITS, I32, (3,), [Input(InputKind.STEP)], (site,), step=5))
    for seed in (0, 1, 1 << 32, 2**64 - 1):
        yield from whole(case(Op.RANDOM_BITS, I32, (2,), [Input(InputKind.I32, 0)], (1,), seed=seed))
    yield from whole(case(Op.RANDOM_BITS, I32, (70, 1001), [(I32, np.array(-1, np.int32))], (77,)), 4)


def shuffles() -> Iterator[tuple[NodeCase, int]]:
    """All of a small range and outside it, n at its bounds."""
    inside = i32(*range(7), 7, -1, -(2**31))
    yield from whole(case(Op.SHUFFLE, I32, (10,), [(I32, inside), Input(InputKind.STEP)], (7, 3), step=9))
    for n in (1, 2, 2**31 - 1, 2**31, 2**32 - 1):
        x = i32(0, n - 1, n)
        yield from whole(case(Op.SHUFFLE, I32, (3,), [(I32, x), (I32, np.array(-5, np.int32))], (n, 2**31)))
    yield case(Op.SHUFFLE, I32, (), [Input(InputKind.I32, 41), Input(InputKind.I32, 0)], (50_000, 0)), 0
    yield case(Op.SHUFFLE, I32, (), [Input(InputKind.STEP), Input(InputKind.I32, 1)], (50_000, 0), step=49_999), 0


def states() -> Iterator[tuple[NodeCase, int]]:
    """Scalars and tensors of both types."""
    operands = [(F32, np.asarray(np.float32(1))), (I32, i32(1, 2, 3)), (F32, _long(20, 30))]
    yield from whole(case(Op.STATE, DType.ROOT, (3,), operands))


def edges(op: Op) -> Iterator[tuple[NodeCase, int]]:
    """The edge cases of an op: (node, element)."""
    if op in ROUNDINGS:
        yield from elementwise(op, F32, (F32, f32(*SINGLES)))
    elif op in SHIFTS:
        for count in (0, 1, 31):
            yield from elementwise(op, I32, (I32, i32(*WORDS)), attrs=(count,))
    elif op is Op.BITCAST:
        yield from elementwise(op, I32, (F32, f32(*SINGLES)))
        yield from elementwise(op, F32, (I32, i32(*WORDS)))
    elif op is Op.IOTA:
        yield from whole(case(op, I32, (3, 40_000), []), 5)
    elif op in _EDGES:
        yield from _EDGES[op]()
    elif op in (Op.REDUCE_MAX, Op.ARGMAX, Op.SORT, Op.ARGSORT):
        yield from orders(op)
    else:
        yield from pairs(op)


_EDGES = {
    Op.SELECT: select,
    Op.CAST: casts,
    Op.EXPONENT: exponents,
    Op.QUANTIZE: quantizes,
    Op.MATMUL: matmuls,
    Op.SUM: sums,
    Op.VIEW: views,
    Op.CONCAT: concats,
    Op.GATHER: gathers,
    Op.SCATTER_ADD: scatters,
    Op.RANDOM_BITS: draws,
    Op.SHUFFLE: shuffles,
    Op.STATE: states,
}


def _hex(data: bytes | memoryview) -> str:
    return "0x" + bytes(data).hex()


def little_endian(array: Array, start: int, length: int) -> bytes:
    """Bytes of a run of elements of an array in its carrier, NaNs as they are."""
    flat = np.ascontiguousarray(array).reshape(-1)[start : start + length]
    return flat.astype(flat.dtype.newbyteorder("<")).tobytes()


def vector(made: NodeCase, element: int) -> dict[str, Any]:
    """One element of a node as a case of a file."""
    reads = []
    for slot, start, length in leaf_reads(made.node, element, made.types, made.index):
        array, given = made.arrays[slot], made.types[slot]
        assert array is not None
        assert given is not None
        if made.node.op is Op.STATE:
            header, data = b"", tensor_root(array, given.dtype)
        else:
            header, data = tensor_header(given.dtype, given.shape), little_endian(array, start, length)
        reads.append({"slot": slot, "start": start, "header": _hex(header), "data": _hex(data)})
    values = made.value()
    value = bytes(values[element]) if made.node.op is Op.STATE else little_endian(values, element, 1)
    return {
        "node": _hex(encode_node(made.node)),
        "element": element,
        "step": made.step,
        "seed": f"0x{made.seed:016x}",
        "reads": reads,
        "value": _hex(value),
    }


def op_vectors(op: Op) -> dict[str, Any]:
    """Edge cases of an op, then random ones."""
    cases = [vector(made, element) for made, element in edges(op)]
    for i in range(RANDOM_CASES):
        rng = np.random.default_rng([op, i])
        made = random_node_case(rng, op, elements=30, hostile=True)
        cases.append(vector(made, int(rng.integers(0, made.node.type.elements))))
    return {"op": op.name.lower(), "cases": cases}


def files() -> dict[str, str]:
    """Text of every file by its path from the root."""
    texts = {}
    for op in Op:
        found = op_vectors(op)
        lines = ",\n".join("  " + json.dumps(one, separators=(",", ":")) for one in found["cases"])
        texts[f"tests/vectors/ops/{found['op']}.json"] = f'{{"op": "{found["op"]}", "cases": [\n{lines}\n]}}\n'
    return texts


def main() -> None:
    """Write the files."""
    for path, text in files().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text)


if __name__ == "__main__":
    main()
