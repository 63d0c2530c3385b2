"""Elementwise ops on torch tensors, exact on every device (why each form: docs/NUMERICS.md).

Operands have the output's shape or shape () (literals). Integer ops go through int64 and wrap on
the way back; nothing relies on signed overflow, fused multiply-add or reciprocals.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lockstep.numerics.routes.carriers import bits, canonical

_LOW = 0xFFFFFFFF
_SIGN = 1 << 31


def add(a: Tensor, b: Tensor) -> Tensor:
    """f32 a + b."""
    return torch.add(a, b)


def sub(a: Tensor, b: Tensor) -> Tensor:
    """f32 a - b."""
    return torch.sub(a, b)


def mul(a: Tensor, b: Tensor) -> Tensor:
    """f32 a * b."""
    return torch.mul(a, b)


def div(a: Tensor, b: Tensor) -> Tensor:
    """f32 a / b; in float64 where a scalar operand might be turned into a reciprocal."""
    if a.dim() == 0 or b.dim() == 0 or a.device.type != "cpu":
        return (a.double() / b.double()).float()
    return torch.div(a, b)


def maximum(a: Tensor, b: Tensor) -> Tensor:
    """F32 ``a if a > b else b``."""
    return torch.where(a > b, a, b)


def minimum(a: Tensor, b: Tensor) -> Tensor:
    """F32 ``a if a < b else b``."""
    return torch.where(a < b, a, b)


def sqrt(a: Tensor) -> Tensor:
    """f32 square root: torch's float32 one is off by one ulp, so in float64 and rounded."""
    return a.double().sqrt().float()


def _unsigned(a: Tensor) -> Tensor:
    return a.long() & _LOW


def _wrap(a: Tensor) -> Tensor:
    """int64 to i32 modulo 2**32."""
    return (((a + _SIGN) & _LOW) - _SIGN).int()


def iadd(a: Tensor, b: Tensor) -> Tensor:
    """i32 a + b, wrapping."""
    return _wrap(a.long() + b.long())


def isub(a: Tensor, b: Tensor) -> Tensor:
    """i32 a - b, wrapping."""
    return _wrap(a.long() - b.long())


def imul(a: Tensor, b: Tensor) -> Tensor:
    """i32 a * b, wrapping (a signed 32 x 32 product fits 63 bits)."""
    return _wrap(a.long() * b.long())


def udiv(a: Tensor, b: Tensor) -> Tensor:
    """Unsigned quotient, 0 for a zero divisor."""
    divisor = _unsigned(b)
    zero = divisor == 0
    return _wrap(torch.where(zero, 0, torch.div(_unsigned(a), torch.where(zero, 1, divisor), rounding_mode="floor")))


def umod(a: Tensor, b: Tensor) -> Tensor:
    """Unsigned remainder, 0 for a zero divisor."""
    divisor = _unsigned(b)
    zero = divisor == 0
    return _wrap(torch.where(zero, 0, torch.remainder(_unsigned(a), torch.where(zero, 1, divisor))))


def shl(a: Tensor, count: int) -> Tensor:
    """I32 shifted left by 0..31."""
    return _wrap((a.long() & _LOW) << count)


def shr(a: Tensor, count: int) -> Tensor:
    """I32 shifted right by 0..31, zeros in."""
    return _wrap(_unsigned(a) >> count)


def sar(a: Tensor, count: int) -> Tensor:
    """I32 shifted right by 0..31, sign in."""
    return (a.long() >> count).int()


def flag(a: Tensor) -> Tensor:
    """Bool to i32 0 / 1."""
    return a.int()


def lt(a: Tensor, b: Tensor) -> Tensor:
    """f32 a < b (0 with NaN)."""
    return flag(a < b)


def le(a: Tensor, b: Tensor) -> Tensor:
    """f32 a <= b (0 with NaN)."""
    return flag(a <= b)


def eq(a: Tensor, b: Tensor) -> Tensor:
    """f32 a == b (0 with NaN)."""
    return flag(a == b)


def ne(a: Tensor, b: Tensor) -> Tensor:
    """f32 a != b (1 with NaN)."""
    return flag(a != b)


def ult(a: Tensor, b: Tensor) -> Tensor:
    """Unsigned a < b."""
    return flag(_unsigned(a) < _unsigned(b))


def ule(a: Tensor, b: Tensor) -> Tensor:
    """Unsigned a <= b."""
    return flag(_unsigned(a) <= _unsigned(b))


def select(condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """A where the i32 condition is not 0, else b."""
    return torch.where(condition != 0, a, b)


def f32_to_i32(a: Tensor) -> Tensor:
    """Truncate, saturate, NaN to 0."""
    wide = torch.where(torch.isnan(a), 0.0, a.double())
    return wide.clamp(-(2.0**31), 2.0**31 - 1.0).trunc().int()


def to_f32(a: Tensor) -> Tensor:
    """i32, m16, u8 or u16 to f32, nearest even (exact below 2**24)."""
    return a.double().float() if a.dtype == torch.int32 else to_i32(a).float()


def to_i32(a: Tensor) -> Tensor:
    """m16, e16, u8 or u16 to i32."""
    if a.dtype == torch.uint16:
        return a.view(torch.int16).int() & 0xFFFF
    return a.int()


def f32_bits(a: Tensor) -> Tensor:
    """Canonical bits of f32, as i32."""
    return bits(a)


def bits_f32(a: Tensor) -> Tensor:
    """i32 read as f32, NaN canonical."""
    return canonical(a.contiguous().view(torch.float32))
