"""Tensor roots of many tensors at once: natively in one call where the library is there, else by hashlib."""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lockstep.commitments import merkle
from lockstep.commitments.tensor import TensorCommitment, canonical_bytes, commit_tensor, state_root
from lockstep.engine.native import hashes
from lockstep.engine.native.library import load
from lockstep.engine.routes import to_numpy
from lockstep.numerics.dtypes import DType
from lockstep.numerics.routes.carriers import canonical

log = logging.getLogger("lockstep.engine")


@dataclass(frozen=True, slots=True)
class Hashed:
    """Tensors with their roots; ``root`` is that of the list of roots: where the tensors are a state, the state's.

    ``tensors`` are what was hashed: contiguous, on the CPU, f32 NaNs canonical; the given ones where they were so.
    ``digest`` is the SHA-256 of a file of them, empty where none was asked for.
    """

    tensors: list[Tensor]
    roots: list[bytes]
    root: bytes
    digest: bytes = b""


def commit(tensor: Tensor, dtype: DType | None = None) -> TensorCommitment:
    """Commitment of a tensor in its carrier, chunk tree included; ``dtype`` is needed for int16 and roots."""
    kind = hashes.DTYPES[tensor.dtype] if dtype is None else dtype
    array = to_numpy(tensor)
    if kind is DType.ROOT or array.nbytes < hashes.SMALL or not native_hashing():
        return commit_tensor(array, kind)
    data = canonical_bytes(array, kind)
    flat = hashes.chunk_hashes(data, torch.get_num_threads())
    return TensorCommitment(kind, array.shape, data, merkle.Tree([flat[i : i + 32] for i in range(0, len(flat), 32)]))


def tensor_root(tensor: Tensor, dtype: DType | None = None) -> bytes:
    """Root of a tensor in its carrier, 32 bytes; ``dtype`` as for ``commit``."""
    return hash_tensors([tensor], None if dtype is None else [dtype]).roots[0]


def hash_tensors(
    tensors: Sequence[Tensor], dtypes: Sequence[DType] | None = None, *, head: bytes | None = None
) -> Hashed:
    """Roots of tensors, at least one; ``dtypes`` are needed where one is int16 (m16, e16) or a list of roots.

    With ``head``, by one thread, also the SHA-256 of the file of head and tensors.
    """
    plain = [_plain(tensor) for tensor in tensors]
    return _natively(plain, dtypes, head) if native_hashing() else _by_hashlib(plain, dtypes, head)


def _plain(tensor: Tensor) -> Tensor:
    return tensor if tensor.is_cpu and tensor.is_contiguous() else tensor.detach().cpu().contiguous()


def _natively(
    tensors: Sequence[Tensor], dtypes: Sequence[DType] | None, head: bytes | None, threads: int | None = None
) -> Hashed:
    given: Sequence[DType | None] = [None] * len(tensors) if dtypes is None else dtypes
    kinds = tuple([(tensor.dtype, tensor.shape, dtype) for tensor, dtype in zip(tensors, given, strict=True)])
    found = hashes.Roots(tensors, kinds, torch.get_num_threads() if threads is None else threads, head)
    roots = [found.roots[at : at + 32] for at in range(0, len(found.roots), 32)]
    return Hashed(found.tensors, roots[:-1], roots[-1], b"" if head is None else found.digest)


def _by_hashlib(tensors: Sequence[Tensor], dtypes: Sequence[DType] | None, head: bytes | None) -> Hashed:
    kinds = [hashes.DTYPES[tensor.dtype] for tensor in tensors] if dtypes is None else dtypes
    plain = [canonical(tensor) if tensor.dtype == torch.float32 else tensor for tensor in tensors]
    arrays = [tensor.detach().numpy() for tensor in plain]
    roots = [commit_tensor(array, kind).root for array, kind in zip(arrays, kinds, strict=True)]
    digest = b""
    if head is not None:
        file = hashlib.sha256(head)
        for array in arrays:
            file.update(array.reshape(-1).view(np.uint8))
        digest = file.digest()
    return Hashed(plain, roots, state_root(roots), digest)


_LENGTHS = (1, 13, 14, 15, 16, 29, 30, 31, 255, 256, 257, 272, 750, 1_280, 16_384, 16_385, 50_001)
"""Elements of four bytes: last chunks that pad differently, blocks of a file across tensors, trees of several limbs."""


@functools.cache
def _hashes_agree() -> bool:
    """Whether the library's hashes are hashlib's, alone, by several threads, and beside a file's."""
    words = np.arange(max(_LENGTHS), dtype=np.uint32) * np.uint32(2_654_435_761)
    tensors = [torch.from_numpy(words[:count].view(np.int32).copy()) for count in _LENGTHS]
    tensors[-1] = tensors[-1].view(torch.float32)  # some of these are NaNs
    wanted = _by_hashlib(tensors, None, b"head")
    last = wanted.tensors[-1].numpy()
    leaves = b"".join(commit_tensor(last, DType.F32).tree.levels[0])
    for threads, head in ((1, None), (2, None), (1, b"head")):
        found = _natively(tensors, None, head, threads)
        same = found.roots == wanted.roots and found.root == wanted.root
        if head is not None:
            same = same and found.digest == wanted.digest
        if not same or hashes.chunk_hashes(canonical_bytes(last, DType.F32), threads) != leaves:
            log.warning("The native SHA-256 differs from hashlib's; it is not used.")
            return False
    return True


def native_hashing() -> bool:
    """Whether hashes are computed by the native library."""
    return load() is not None and _hashes_agree()
