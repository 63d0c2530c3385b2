"""Exact sums, maxima and orders along the last axis, on torch tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from lockstep.numerics.routes.carriers import bits
from lockstep.numerics.routes.contraction import finite, power_of_two

_CLAMP = 2.0**34


def _terms(x: Tensor, e: Tensor) -> Tensor:
    """float64 integers ``clamp(rne(x * 2**(33 - e)), +-2**34)``; any for an e that is not valid."""
    safe = torch.where(_valid(e), e.long(), 0)
    return finite(x).double().mul_(power_of_two(33 - safe).unsqueeze(-1)).round_().clamp_(-_CLAMP, _CLAMP)


def _valid(e: Tensor) -> Tensor:
    return (e >= -126) & (e <= 127)


def factors(e: Tensor) -> Tensor:
    """float64 ``2**(e - 33)`` of e16, NaN where e is not valid."""
    valid = _valid(e)
    return torch.where(valid, power_of_two(torch.where(valid, e.long(), 0) - 33), torch.nan)


def integer_sums(x: Tensor, e: Tensor) -> Tensor:
    """Exact sums of rows' terms as float64: integers of at most 2**34, so few that float64 adds them exactly."""
    if x.shape[-1] > 1 << 18:
        raise ValueError(f"A sum over {x.shape[-1]} terms is too long; at most {1 << 18}.")
    return _terms(x, e).sum(-1)


def exact_sum(x: Tensor, e: Tensor) -> Tensor:
    """f32 sums of rows."""
    return ((integer_sums(x, e) + 0.0) * factors(e)).float()


def integer_scatters(x: Tensor, index: Tensor, e: Tensor, size: int) -> Tensor:
    """Exact sums of terms that share an index as int64 [C, size], of x [C, N], index i32 [N], e e16 [C]."""
    inside = (index >= 0) & (index < size)
    terms = torch.where(inside, _terms(x, e), 0.0).long()
    total = torch.zeros((x.shape[0], size), dtype=torch.int64, device=x.device)
    return total.scatter_add_(1, torch.where(inside, index, 0).long().expand(x.shape), terms)


def scatter_add(x: Tensor, index: Tensor, e: Tensor, size: int) -> Tensor:
    """f32 [C, size] of x [C, N], index i32 [N], e e16 [C]: sums of entries that share an index, N <= 2**23."""
    return (sticky(integer_scatters(x, index, e, size)) * factors(e).unsqueeze(-1)).float()


def sticky(total: Tensor) -> Tensor:
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
