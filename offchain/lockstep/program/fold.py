"""Folding of nodes whose operands are all literals, where the result is plainly exact.

Only IEEE basic operations, wrapping integer arithmetic, comparisons, selects and bit casts: what one
NumPy scalar operation gives with certainty. Everything else stays a node.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence

import numpy as np

from lockstep.numerics.dtypes import CANONICAL_NAN, DType
from lockstep.program.ops import Op

Literal = tuple[int, float]
"""Bits of a literal, and the float64 an f32 literal stands for (for an i32 its value)."""

_FLOAT: dict[Op, Callable[[np.float32, np.float32], np.float32]] = {
    Op.ADD: operator.add,
    Op.SUB: operator.sub,
    Op.MUL: operator.mul,
    Op.DIV: operator.truediv,
    Op.MAX: lambda a, b: a if a > b else b,
    Op.MIN: lambda a, b: a if a < b else b,
}
_INTEGER: dict[Op, Callable[[int, int], int]] = {
    Op.IADD: operator.add,
    Op.ISUB: operator.sub,
    Op.IMUL: operator.mul,
    Op.UDIV: lambda a, b: a // b if b else 0,
    Op.UMOD: lambda a, b: a % b if b else 0,
    Op.AND: operator.and_,
    Op.OR: operator.or_,
    Op.XOR: operator.xor,
    Op.IEQ: lambda a, b: int(a == b),
    Op.INE: lambda a, b: int(a != b),
    Op.ULT: lambda a, b: int(a < b),
    Op.ULE: lambda a, b: int(a <= b),
}
_COMPARE: dict[Op, Callable[[np.float32, np.float32], bool]] = {
    Op.LT: operator.lt,
    Op.LE: operator.le,
    Op.EQ: operator.eq,
    Op.NE: operator.ne,
}


def f32_bits(value: float) -> int:
    """Bits of the f32 nearest to a float64; NaN canonical, overflow an infinity."""
    if math.isnan(value):
        return CANONICAL_NAN
    with np.errstate(over="ignore", under="ignore"):
        return int(np.float32(value).view(np.uint32))


def f32_value(bits: int) -> np.float32:
    """The f32 with these bits."""
    return np.uint32(bits).view(np.float32)


def is_power_of_two(bits: int) -> bool:
    """Whether the f32 is +-2**k with both it and its reciprocal normal, so that dividing is multiplying."""
    return bits & 0x7FFFFF == 0 and 1 <= (bits >> 23 & 0xFF) <= 253


def fold(op: Op, dtype: DType, literals: Sequence[Literal], count: int = 0) -> Literal | None:
    """The literal a node with literal operands is, None where it stays a node. ``count``: a shift's."""
    bits = [literal[0] for literal in literals]
    if op in _FLOAT or op in (Op.NEG, Op.ABS):
        exact = [literal[1] for literal in literals]
        values = [f32_value(b) for b in bits]
        with np.errstate(all="ignore"):
            if op in _FLOAT:
                value = _FLOAT[op](values[0], values[1])
                wide = float(_FLOAT[op](np.float64(exact[0]), np.float64(exact[1])))  # type: ignore[arg-type]
            else:
                value = -values[0] if op is Op.NEG else abs(values[0])
                wide = -exact[0] if op is Op.NEG else abs(exact[0])
        return f32_bits(float(value)), wide
    if op in _INTEGER:
        result = _INTEGER[op](bits[0], bits[1]) & 0xFFFFFFFF
        return result, float(result)
    if op in _COMPARE:
        result = int(_COMPARE[op](f32_value(bits[0]), f32_value(bits[1])))
        return result, float(result)
    match op:
        case Op.SELECT:
            return literals[1] if bits[0] else literals[2]
        case Op.SHL:
            result = bits[0] << count & 0xFFFFFFFF
            return result, float(result)
        case Op.SHR:
            return bits[0] >> count, float(bits[0] >> count)
        case Op.CAST if dtype is DType.F32:
            signed = bits[0] - (bits[0] >> 31 << 32)
            return f32_bits(float(signed)), float(signed)
        case Op.BITCAST if dtype is DType.F32:
            given = CANONICAL_NAN if bits[0] & 0x7FFFFFFF > 0x7F800000 else bits[0]
            return given, float(f32_value(given))
        case Op.BITCAST:
            return bits[0], float(bits[0])
    return None
