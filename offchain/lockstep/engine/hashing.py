"""Tensor roots of many tensors at once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from lockstep.commitments.tensor import TensorCommitment, commit_tensor, tensor_root
from lockstep.engine.routes import to_numpy
from lockstep.numerics.dtypes import DType

_DTYPES = {
    torch.float32: DType.F32,
    torch.int32: DType.I32,
    torch.uint8: DType.U8,
    torch.uint16: DType.U16,
}


def commit(tensor: Tensor, dtype: DType | None = None) -> TensorCommitment:
    """Commitment of a tensor in its carrier, chunk tree included; ``dtype`` is needed for int16 and roots."""
    kind = _DTYPES[tensor.dtype] if dtype is None else dtype
    return commit_tensor(to_numpy(tensor), kind)


def hash_tensors(tensors: Sequence[Tensor], dtypes: Sequence[DType] | None = None) -> list[bytes]:
    """Tensor root of each tensor; ``dtypes`` are needed where one is int16 (m16, e16) or a list of roots."""
    kinds = [_DTYPES[t.dtype] for t in tensors] if dtypes is None else list(dtypes)
    jobs = list(zip(tensors, kinds, strict=True))
    if len(jobs) < 2 or sum(t.numel() for t in tensors) < 1 << 16:
        return [tensor_root(to_numpy(t), kind) for t, kind in jobs]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda job: tensor_root(to_numpy(job[0]), job[1]), jobs))
