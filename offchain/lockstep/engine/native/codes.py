"""Codes shared with ``kernels/engine.cpp`` and ``kernels/elementwise.h``."""

from __future__ import annotations

from enum import IntEnum

from lockstep.numerics.dtypes import DType
from lockstep.program.ops import Op


class Code(IntEnum):
    """Instruction codes, in the order of ``decode`` in engine.cpp."""

    FUSED = 0
    QUANTIZE = 1
    CONTRACT = 2
    SUM = 3
    ORDER = 4
    SCATTER_ADD = 5
    MOVE = 6
    JOIN = 7
    GATHER = 8
    IOTA = 9
    RANDOM_BITS = 10
    SHUFFLE = 11
    FREIVALDS = 12
    TWO_PARTS = 13


class Part(IntEnum):
    """What a contraction that is checked reads and writes beside its operands, in the order of freivalds.h."""

    SUMS = 0
    """int64 [L, M, N]: the integer sums as stated."""
    RANDOM = 1
    """int64 [N]: residues modulo 2^61 - 1."""
    VERDICT = 2
    """int32 []: becomes 1 where the sums are false."""


_KERNELS = (  # noqa: SIM905
    "add sub mul div max min sqrt floor ceil rne trunc neg abs exp log tanh erf iadd isub imul udiv umod and or xor "
    "shl shr sar lt le eq ne ilt ile ieq ine ult ule select f32_to_i32 i32_to_f32 i16_to_f32 u8_to_f32 u16_to_f32 "
    "i16_to_i32 u8_to_i32 u16_to_i32 canonical copy32 copy16 copy8"
).split()
KERNEL: dict[str, int] = {name: index for index, name in enumerate(_KERNELS)}
"""Elementwise kernels, in the order of ``kKernels`` in elementwise.h."""

_CAST = {
    (DType.F32, DType.I32): "f32_to_i32",
    (DType.I32, DType.F32): "i32_to_f32",
    (DType.M16, DType.F32): "i16_to_f32",
    (DType.U8, DType.F32): "u8_to_f32",
    (DType.U16, DType.F32): "u16_to_f32",
    (DType.M16, DType.I32): "i16_to_i32",
    (DType.E16, DType.I32): "i16_to_i32",
    (DType.U8, DType.I32): "u8_to_i32",
    (DType.U16, DType.I32): "u16_to_i32",
}


def kernel_of(op: Op, source: DType, out: DType) -> int:
    """Kernel of an elementwise op; the types matter for casts only."""
    if op is Op.CAST:
        return KERNEL[_CAST[source, out]]
    if op is Op.BITCAST:  # NaN becomes canonical on the way to integers; either way is harmless
        return KERNEL["canonical"]
    return KERNEL[op.name.lower()]


def copy_kernel(dtype: DType) -> int:
    """Kernel that carries a value out: f32 with canonical NaNs, others as they are."""
    if dtype is DType.F32:
        return KERNEL["canonical"]
    return KERNEL["copy32" if dtype is DType.I32 else "copy8" if dtype in (DType.U8, DType.ROOT) else "copy16"]
