"""Exact sums, maxima and orders along the last axis, on torch tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from lockstep.numerics.routes.carriers import bits
from lockstep.numerics.routes.contraction import _finite, power_of_two

_CLAMP = 2.0**34


def _mantissas(x: Tensor, e: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """float64 integers ``clamp(rne(x * 2**(33 - e)), +-2**34)``, ``2**(e - 33)``, and e's validity."""
    wide = e.long()
    valid = (wide >= -126) & (wide <= 127)
    safe = torch.where(valid, wide, 0)
    scaled = _finite(x).double().mul_(power_of_two(33 - safe).unsqueeze(-1)).round_().clamp_(-_CLAMP, _CLAMP)
    return scaled, power_of_two(safe - 33), valid


def _rounded(total: Tensor, scale: Tensor, valid: Tensor) -> Tensor:
    return torch.where(valid, (total + 0.0) * scale, torch.nan).float()


def exact_sum(x: Tensor, e: Tensor) -> Tensor:
    """f32 sums of rows: integers of at most 2**34, at most 16,384 of them, so float64 adds exactly."""
    if x.shape[-1] > 1 << 18:
        raise ValueError(f"A sum over {x.shape[-1]} terms is too long; at most {1 << 18}.")
    scaled, scale, valid = _mantissas(x, e)
    return _rounded(scaled.sum(-1), scale, valid)


def scatter_add(x: Tensor, index: Tensor, e: Tensor, size: int) -> Tensor:
    """f32 [C, size] of x [C, N], index i32 [N], e e16 [C]: sums of entries that share an index, N <= 2**23."""
    scaled, scale, valid = _mantissas(x, e)
    inside = (index >= 0) & (index < size)
    terms = torch.where(inside, scaled, 0.0).long()
    total = torch.zeros((x.shape[0], size), dtype=torch.int64, device=x.device)
    total.scatter_add_(1, torch.where(inside, index, 0).long().expand(x.shape), terms)
    return _rounded(_sticky(total), scale.unsqueeze(-1), valid.unsqueeze(-1))


def _sticky(total: Tensor) -> Tensor:
    """float64 of int64 sums up to 2**62 that rounds to the same f32: beyond 2**53 what is cut off leaves it odd."""
    odd = ((total >> 9) | (total & 511).ne(0)) << 9
    return torch.where(total.abs() <= 1 << 53, total, odd).double()


def keys(x: Tensor) -> Tensor:
    """i32 keys of the total order: -inf < ... < -0 < +0 < ... < +inf < NaN."""
    b = bits(x)
    return b ^ ((b >> 31) & 0x7FFFFFFF)


def from_keys(k: Tensor) -> Tensor:
    """f32 whose keys these are (the map is its own inverse)."""
    b = k ^ ((k >> 31) & 0x7FFFFFFF)
    return b.view(torch.float32) if b.dim() else b.reshape(1).view(torch.float32).reshape(())


def reduce_max(x: Tensor) -> Tensor:
    """f32 of the largest key in each row."""
    return from_keys(keys(x).amax(-1))


def argmax(x: Tensor) -> Tensor:
    """i32 lowest index of the largest key in each row."""
    k = keys(x)
    here = torch.arange(k.shape[-1], dtype=torch.int32, device=x.device)
    return torch.where(k == k.amax(-1, keepdim=True), here, k.shape[-1]).amin(-1).int()


def sort(x: Tensor) -> Tensor:
    """f32 rows with ascending keys."""
    return from_keys(torch.sort(keys(x), dim=-1, stable=True).values)


def argsort(x: Tensor) -> Tensor:
    """i32 indices that sort each row by key, stable."""
    return torch.sort(keys(x), dim=-1, stable=True).indices.int()
