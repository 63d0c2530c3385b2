"""Tensor roots of many tensors at once: natively by all threads where the library is there, else by hashlib."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from lockstep.commitments import merkle
from lockstep.commitments.tensor import (
    CHUNK_BYTES,
    TensorCommitment,
    canonical_bytes,
    chunk_hashes,
    commit_tensor,
    root_from_tree,
)
from lockstep.engine.native.library import load, team
from lockstep.engine.routes import to_numpy
from lockstep.numerics.dtypes import DType

log = logging.getLogger("lockstep.engine")

_DTYPES = {
    torch.float32: DType.F32,
    torch.int32: DType.I32,
    torch.uint8: DType.U8,
    torch.uint16: DType.U16,
}
SMALL = 16 * CHUNK_BYTES
"""Bytes below which one thread hashes a tensor."""


def commit(tensor: Tensor, dtype: DType | None = None) -> TensorCommitment:
    """Commitment of a tensor in its carrier, chunk tree included; ``dtype`` is needed for int16 and roots."""
    kind = _DTYPES[tensor.dtype] if dtype is None else dtype
    array = to_numpy(tensor)
    if kind is DType.ROOT or array.nbytes < SMALL or not native_hashing():
        return commit_tensor(array, kind)
    data = canonical_bytes(array, kind)
    flat = _chunk_hashes(data).tobytes()
    return TensorCommitment(kind, array.shape, data, merkle.Tree([flat[i : i + 32] for i in range(0, len(flat), 32)]))


def tensor_root(tensor: Tensor, dtype: DType | None = None) -> bytes:
    """Root of a tensor in its carrier, 32 bytes; ``dtype`` as for ``commit``."""
    return hash_tensors([tensor], None if dtype is None else [dtype])[0]


def hash_tensors(tensors: Sequence[Tensor], dtypes: Sequence[DType] | None = None) -> list[bytes]:
    """Tensor root of each tensor; ``dtypes`` are needed where one is int16 (m16, e16) or a list of roots."""
    kinds = [_DTYPES[tensor.dtype] for tensor in tensors] if dtypes is None else dtypes
    tree_root = _native_roots() if native_hashing() else _tree_root_by_hashlib
    roots = []
    for tensor, kind in zip(tensors, kinds, strict=True):
        array = tensor.detach().cpu().contiguous().numpy()
        if kind is DType.ROOT:
            roots.append(commit_tensor(array, kind).root)
        else:
            roots.append(root_from_tree(kind, array.shape, tree_root(canonical_bytes(array, kind))))
    return roots


def _native_roots() -> Callable[[memoryview], bytes]:
    """Root of the tree over the chunks, natively; what calls have in common is looked up once."""
    library = load()
    assert library is not None
    alone, together = team(1), team(torch.get_num_threads())
    memory = bytearray()
    into = 0

    def tree_root(data: memoryview) -> bytes:
        nonlocal memory, into
        size = len(data)
        if size <= CHUNK_BYTES:
            return hashlib.sha256(b"\0" + data).digest()
        if 32 * (size // CHUNK_BYTES + 1) > len(memory):
            memory = bytearray(32 * (size // CHUNK_BYTES + 1))
            into = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        start = np.frombuffer(data, np.uint8).ctypes.data
        library.lockstep_tree_root(alone if size < SMALL else together, start, size, into)
        return bytes(memory[:32])

    return tree_root


def _chunk_hashes(data: memoryview) -> np.ndarray:
    """Leaf hashes of the chunks, uint8 [n, 32]."""
    library = load()
    assert library is not None
    array = np.frombuffer(data, np.uint8)
    out = np.empty((-(-len(array) // CHUNK_BYTES), 32), np.uint8)
    threads = 1 if len(array) < SMALL else torch.get_num_threads()
    library.lockstep_chunk_hashes(team(threads), array.ctypes.data, len(array), out.ctypes.data)
    return out


def _tree_root_by_hashlib(data: memoryview) -> bytes:
    return merkle.fold(chunk_hashes(data))


@functools.cache
def _hashes_agree() -> bool:
    """Whether the library's hashes are hashlib's, on every length of a last chunk that pads differently."""
    data = bytes(range(256)) * 24
    tree_root = _native_roots()
    for size in (1, 54, 55, 56, 63, 64, 118, 119, 120, 1023, 1024, 1025, 3000, 5 * 1024):
        wanted = [
            hashlib.sha256(b"\0" + data[i : i + CHUNK_BYTES][: size - i]).digest() for i in range(0, size, CHUNK_BYTES)
        ]
        found = _chunk_hashes(memoryview(data[:size]))
        if found.tobytes() != b"".join(wanted) or tree_root(memoryview(data[:size])) != merkle.fold(wanted):
            log.warning("The native SHA-256 differs from hashlib's; it is not used.")
            return False
    return True


def native_hashing() -> bool:
    """Whether hashes are computed by the native library."""
    return load() is not None and _hashes_agree()
