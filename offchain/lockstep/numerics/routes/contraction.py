"""Exponents, quantisation and the exact contraction on torch tensors.

Routes of the contraction: int8 slices through ``torch._int_mm`` (where it is right: x86 with VNNI,
ARM, CUDA) and float64 ``matmul``, whose every partial sum is an integer below 2**53.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lockstep.numerics.routes.carriers import bits

ABSORBING = 255
_MAGNITUDE = 0x7FFFFFFF
_INFINITY = 0x7F800000
_INT8_BLOCK = 65_536
"""Longest K whose slice products fit int32."""
_DOUBLE_BLOCK = 1 << 24
"""Longest K whose exact sum (at most 2**28 K) fits float64."""


def exponent(x: Tensor, floor: int) -> Tensor:
    """e16 of f32 rows: ``max(floor(log2 max|x|), floor)``, 255 where a row is not finite."""
    top = (bits(x) & _MAGNITUDE).amax(-1)
    value = ((top >> 23) - 127).clamp_min(floor)
    return torch.where(top >= _INFINITY, ABSORBING, value).short()


def power_of_two(e: Tensor) -> Tensor:
    """float64 ``2**e`` for integers in [-1022, 1023]."""
    return ((e.long() + 1023) << 52).view(torch.float64) if e.dim() else power_of_two(e.reshape(1)).reshape(())


def finite(x: Tensor) -> Tensor:
    """X with infinities and NaN replaced by 0."""
    return torch.nan_to_num(x, nan=0.0, posinf=0.0, neginf=0.0)


def quantize(x: Tensor, e: Tensor) -> Tensor:
    """m16 ``clamp(rne(x * 2**(13 - e)), +-2**14)``; 0 where e is outside [-113, 127] or x not finite.

    The f32 product is exact unless it overflows (clamped) or is subnormal (rounds to 0 either way).
    """
    wide = e.int()
    valid = (wide >= -113) & (wide <= 127)
    scale = ((13 + 127 - torch.where(valid, wide, 0)) << 23).view(torch.float32) if e.dim() else None
    if scale is None:
        return quantize(x.unsqueeze(0), e.reshape(1)).squeeze(0)
    scale = torch.where(valid, scale, 0.0)
    return (finite(x) * scale.unsqueeze(-1)).round_().clamp_(-16384.0, 16384.0).short()


def slices(m: Tensor) -> tuple[Tensor, Tensor]:
    """int8 ``h, l`` with ``m = 256 h + l``."""
    wide = m.int()
    high = (wide + 128) >> 8
    return high.to(torch.int8), (wide - (high << 8)).to(torch.int8)


def factors(e: Tensor, shift: int) -> Tensor:
    """float64 ``2**(e + shift)`` of e16, NaN where e is outside [-113, 127]."""
    valid = (e >= -113) & (e <= 127)
    return torch.where(valid, power_of_two(torch.where(valid, e.long(), 0) + shift), torch.nan)


def _scaled(total: Tensor, ea: Tensor, eb: Tensor) -> Tensor:
    """``round_f32(total * 2**(ea_i + eb_j - 26))`` of exact float64 sums; NaN for invalid exponents."""
    return ((total + 0.0) * (factors(ea, -26).unsqueeze(-1) * factors(eb, 0).unsqueeze(-2))).float()


def integer_sums_float64(ma: Tensor, mb: Tensor) -> Tensor:
    """Exact ``sum_k ma_ik mb_jk`` as float64, [..., M, N], by float64 products (K <= 2**24)."""
    if ma.shape[-1] > _DOUBLE_BLOCK:
        raise ValueError(f"A contraction over {ma.shape[-1]} terms is too long; at most {_DOUBLE_BLOCK}.")
    return torch.matmul(ma.double(), mb.double().transpose(-1, -2))


def _int8_products(ma: Tensor, mb: Tensor) -> Tensor:
    """Exact sums of one [M, K] x [N, K] product as float64, by four int8 products in one call."""
    m, n, k = ma.shape[0], mb.shape[0], ma.shape[1]
    cuda = ma.device.type == "cuda"
    rows = -m % 32 if cuda else 0
    pad_n, pad_k = (-n % 8, -k % 8) if cuda else (0, 1 if k == 1 else 0)
    if rows or pad_k:
        ma = torch.nn.functional.pad(ma, (0, pad_k, 0, rows))
    if pad_n or pad_k:
        mb = torch.nn.functional.pad(mb, (0, pad_k, 0, pad_n))
    left, right = torch.cat(slices(ma)), torch.cat(slices(mb))
    product = torch._int_mm(left, right.t())
    p, q = ma.shape[0], mb.shape[0]
    high, low = product[:p], product[p:]
    cross = (high[:, q:] + low[:, :q]).double()
    total = high[:, :q].double() * 65536.0 + cross * 256.0 + low[:, q:].double()
    return total[:m, :n]


def integer_sums_int8(ma: Tensor, mb: Tensor) -> Tensor:
    """Exact ``sum_k ma_ik mb_jk`` as float64, [..., M, N], by int8 slices; K in blocks of 65,536."""
    if ma.dim() > 2:
        lead = ma.shape[:-2]
        a, b = ma.reshape(-1, *ma.shape[-2:]), mb.reshape(-1, *mb.shape[-2:])
        return torch.stack([integer_sums_int8(p, q) for p, q in zip(a, b, strict=True)]).reshape(
            *lead, a.shape[1], b.shape[1]
        )
    total = _int8_products(ma[:, :_INT8_BLOCK], mb[:, :_INT8_BLOCK])
    for start in range(_INT8_BLOCK, ma.shape[1], _INT8_BLOCK):
        block = slice(start, start + _INT8_BLOCK)
        total = total + _int8_products(ma[:, block], mb[:, block])
    return total


def matmul_float64(ma: Tensor, ea: Tensor, mb: Tensor, eb: Tensor) -> Tensor:
    """f32 [..., M, N] of m16 [..., M, K] and [..., N, K] with e16 [..., M], [..., N]."""
    return _scaled(integer_sums_float64(ma, mb), ea, eb)


def matmul_int8(ma: Tensor, ea: Tensor, mb: Tensor, eb: Tensor) -> Tensor:
    """As ``matmul_float64``, by int8 slices."""
    return _scaled(integer_sums_int8(ma, mb), ea, eb)
