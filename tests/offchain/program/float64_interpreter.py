"""Programs in plain float64: quantisation is nothing, contractions and sums are NumPy's.

What a program means apart from its rounding, to hold against eager PyTorch in float64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from lockstep.numerics import movement, threefry
from lockstep.numerics.dtypes import DType
from lockstep.program.graph import Concat, Input, Node, Program, View
from lockstep.program.ops import ELEMENTWISE_FAMILIES, InputKind, Op

Array = np.ndarray[Any, Any]

_FLOAT = {
    Op.ADD: np.add,
    Op.SUB: np.subtract,
    Op.MUL: np.multiply,
    Op.DIV: np.divide,
    Op.MAX: lambda a, b: np.where(a > b, a, b),
    Op.MIN: lambda a, b: np.where(a < b, a, b),
    Op.SQRT: np.sqrt,
    Op.FLOOR: np.floor,
    Op.CEIL: np.ceil,
    Op.RNE: np.rint,
    Op.TRUNC: np.trunc,
    Op.NEG: np.negative,
    Op.ABS: np.abs,
    Op.EXP: np.exp,
    Op.LOG: np.log,
    Op.TANH: np.tanh,
    Op.ERF: lambda x: torch.erf(torch.from_numpy(np.asarray(x))).numpy(),
    Op.SUM: lambda x, e: x.sum(-1),
    Op.MATMUL: lambda a, ea, b, eb: a @ np.swapaxes(b, -1, -2),
    Op.EXPONENT: lambda x: np.full(x.shape[:-1], 13, np.int64),
    Op.QUANTIZE: lambda x, e: x,
    Op.REDUCE_MAX: lambda x: x.max(-1),
    Op.ARGMAX: lambda x: x.argmax(-1),
    Op.SORT: lambda x: np.sort(x, -1),
    Op.ARGSORT: lambda x: np.argsort(x, -1, kind="stable"),
    Op.SELECT: lambda c, a, b: np.where(c != 0, a, b),
    Op.LT: np.less,
    Op.LE: np.less_equal,
    Op.EQ: np.equal,
    Op.NE: np.not_equal,
    Op.ILT: np.less,
    Op.ILE: np.less_equal,
    Op.IEQ: np.equal,
    Op.INE: np.not_equal,
    Op.ULT: lambda a, b: (a & 0xFFFFFFFF) < (b & 0xFFFFFFFF),
    Op.ULE: lambda a, b: (a & 0xFFFFFFFF) <= (b & 0xFFFFFFFF),
}
_INTEGER = {
    Op.IADD: lambda a, b: a + b,
    Op.ISUB: lambda a, b: a - b,
    Op.IMUL: lambda a, b: a * b,
    Op.UDIV: lambda a, b: (a & 0xFFFFFFFF) // (b & 0xFFFFFFFF),
    Op.UMOD: lambda a, b: (a & 0xFFFFFFFF) % (b & 0xFFFFFFFF),
    Op.AND: np.bitwise_and,
    Op.OR: np.bitwise_or,
    Op.XOR: np.bitwise_xor,
}


def _wrap(x: Array) -> Array:
    return (np.asarray(x) + 2**31) % 2**32 - 2**31


def _bits(value: int, dtype: DType) -> float:
    return float(np.uint32(value).view(np.float32)) if dtype is DType.F32 else value - (value >> 31 << 32)


def _compute(node: Node, x: Sequence[Array], seed: int) -> Array:
    op, attrs = node.op, node.attrs
    if op in _FLOAT:
        value = np.asarray(_FLOAT[op](*x))
        return value.astype(np.int64) if value.dtype == np.bool_ else value
    if op in _INTEGER:
        return _wrap(_INTEGER[op](*x))
    if isinstance(attrs, View):
        # the reference moves 32-bit patterns: move positions, then take the elements there
        positions = np.arange(x[0].size, dtype=np.int32)
        place = movement.view(positions, attrs.src_shape, attrs.offset, attrs.mapping, node.shape, 2**31)
        return np.where(place < 0, _bits(attrs.fill, node.dtype), x[0].reshape(-1)[np.maximum(place, 0)])
    if isinstance(attrs, Concat):
        return np.concatenate(x, attrs.axis)
    match op:
        case Op.SHL:
            return _wrap(x[0] << attrs[0])
        case Op.SHR:
            return _wrap((x[0] & 0xFFFFFFFF) >> attrs[0])
        case Op.SAR:
            return x[0] >> attrs[0]
        case Op.CAST if node.dtype is DType.I32:
            return x[0].astype(np.int64)
        case Op.CAST:
            return x[0].astype(np.float64)
        case Op.BITCAST if node.dtype is DType.F32:
            return x[0].astype(np.int32).view(np.float32).astype(np.float64)
        case Op.GATHER:
            inside = (x[1] >= 0) & (x[1] < x[0].shape[0])
            rows = x[0][np.where(inside, x[1], 0)]
            return np.where(inside.reshape(inside.shape + (1,) * (x[0].ndim - 1)), rows, 0)
        case Op.SCATTER_ADD:
            out = np.zeros(node.shape)
            inside = (x[1] >= 0) & (x[1] < node.shape[1])
            np.add.at(out, (slice(None), x[1][inside]), x[0][:, inside])
            return out
        case Op.IOTA:
            return movement.iota(node.shape).astype(np.int64)
        case Op.RANDOM_BITS:
            return threefry.random_bits(seed, int(x[0]), attrs[0], node.shape).astype(np.int64)
        case Op.SHUFFLE:
            return threefry.shuffle(x[0].astype(np.int32), seed, int(x[1]), attrs[0], attrs[1]).astype(np.int64)
    raise AssertionError(op.name)


def run(
    program: Program,
    state: Sequence[Array],
    constants: Sequence[Array],
    step: int,
    seed: int,
    literals: Mapping[tuple[int, int], float] | None = None,
) -> tuple[list[Array], list[Array]]:
    """New state and all node values of one step; ``literals`` as ``CapturedTask.step_literals``."""
    values: list[Array] = []
    exact = literals or {}

    def given(index: int, slot: int, node: Node, source: Input) -> Array:
        match source.kind:
            case InputKind.NODE:
                return values[source.value]
            case InputKind.STATE:
                return np.asarray(state[source.value])
            case InputKind.CONST:
                array = np.asarray(constants[source.value])
                return array.astype(np.float64 if array.dtype == np.float32 else np.int64)
            case InputKind.STEP:
                return np.asarray(step, np.int64)
            case InputKind.SEED:
                return np.array(threefry.seed_words(seed), np.uint32).view(np.int32).astype(np.int64)
        dtype = DType.F32 if source.kind is InputKind.F32 else DType.I32
        number = exact.get((index, slot), _bits(source.value, dtype))
        shape = node.shape if node.op.family in ELEMENTWISE_FAMILIES else ()
        return np.full(shape, number, np.float64 if dtype is DType.F32 else np.int64)

    with np.errstate(all="ignore"):
        for index, node in enumerate(program.nodes[:-1]):
            inputs = [given(index, slot, node, source) for slot, source in enumerate(node.inputs)]
            value = _compute(node, inputs, seed)
            assert value.shape == node.shape, (index, node, value.shape)
            values.append(value)
    last = program.nodes[-1]
    after = [given(len(program.nodes) - 1, slot, last, source) for slot, source in enumerate(last.inputs)]
    return after, values
