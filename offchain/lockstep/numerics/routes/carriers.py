"""Torch carriers of the element types, canonical NaNs, and the check that denormals are on."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lockstep.numerics.dtypes import CANONICAL_NAN, NUMPY, DType

TORCH: dict[DType, torch.dtype] = {
    DType.F32: torch.float32,
    DType.I32: torch.int32,
    DType.M16: torch.int16,
    DType.E16: torch.int16,
    DType.U8: torch.uint8,
    DType.U16: torch.uint16,
    DType.ROOT: torch.uint8,
}
"""Torch dtype that carries each element type (a root: one more axis, of 32 bytes)."""


def canonical(x: Tensor) -> Tensor:
    """f32 with every NaN replaced by the canonical one; the tensor itself where there is none."""
    if x.device.type == "cpu" and not (x.numel() and bool(torch.isnan(x.amax()))):  # a NaN is carried through
        return x
    nan = torch.isnan(x)
    return torch.where(
        nan, torch.full((), CANONICAL_NAN, dtype=torch.int32, device=x.device), x.view(torch.int32)
    ).view(torch.float32)


def bits(x: Tensor) -> Tensor:
    """Canonical bits of an f32 tensor, i32."""
    return canonical(x).view(torch.int32) if x.dim() else canonical(x.reshape(1)).view(torch.int32).reshape(())


def literal(dtype: DType, value: int, device: torch.device | str = "cpu") -> Tensor:
    """0-dim tensor with these 32 bits, f32 or i32."""
    array = np.array([value & 0xFFFFFFFF], dtype=np.uint32).view(NUMPY[dtype])
    return torch.from_numpy(array).to(device).reshape(())


def denormals_are_on(threads_reach: int = 1 << 17) -> bool:
    """Whether float32 and float64 subnormals survive multiplication, addition and conversion here.

    Long enough a tensor that torch's intra-operation threads all take part.
    """
    tiny = torch.full((threads_reach,), 1, dtype=torch.int32).view(torch.float32)
    one = torch.ones((), dtype=torch.float32)
    kept = (tiny * one).view(torch.int32).eq(1).all() & (tiny + tiny).view(torch.int32).eq(2).all()
    narrowed = torch.full((threads_reach,), 2.0**-149, dtype=torch.float64).float().view(torch.int32).eq(1).all()
    return bool(kept & narrowed)
