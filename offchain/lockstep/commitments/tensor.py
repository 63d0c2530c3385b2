"""Tensor roots: ``H(0x02 || dtype || rank || shape || tree over 1 KiB chunks)``.

Data is little-endian and row-major; the last chunk has exactly the remaining bytes; f32 NaNs are
canonical. Dtype and rank are one byte, extents four bytes big-endian. Twin of
``contracts/commitments/TensorLib.sol``.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lockstep.commitments import merkle
from lockstep.numerics.dtypes import CANONICAL_NAN, ITEMSIZE, NUMPY, DType

CHUNK_BYTES = 1024


def tensor_header(dtype: DType, shape: Sequence[int]) -> bytes:
    """``dtype || rank || shape``: 2 + 4 * rank bytes."""
    return bytes([dtype, len(shape)]) + b"".join(extent.to_bytes(4, "big") for extent in shape)


def root_from_tree(dtype: DType, shape: Sequence[int], tree_root: bytes) -> bytes:
    """Tensor root from its chunk tree's root, 32 bytes."""
    return hashlib.sha256(b"\x02" + tensor_header(dtype, shape) + tree_root).digest()


def chunk_count(dtype: DType, shape: Sequence[int]) -> int:
    """Number of 1 KiB chunks of a tensor, at least 1 (zero-size tensors do not exist)."""
    return -(-math.prod(shape) * ITEMSIZE[dtype] // CHUNK_BYTES)


def canonical_bytes(array: np.ndarray, dtype: DType) -> memoryview:
    """Committed bytes of an array: C order, little-endian, NaNs canonical. Copies only if needed."""
    array = np.ascontiguousarray(array, dtype=NUMPY[dtype]).reshape(-1)
    # The largest of an array with a NaN is NaN: one pass, and no copy.
    if dtype is DType.F32 and array.size and np.isnan(array.max()):
        array = np.where(np.isnan(array), np.uint32(CANONICAL_NAN), array.view(np.uint32)).view(np.float32)
    return memoryview(array.view(np.uint8)).cast("B")


def chunk_hashes(data: bytes | memoryview) -> list[bytes]:
    """Leaf hashes of the 1 KiB chunks of committed bytes."""
    sha256 = hashlib.sha256
    return [sha256(b"\x00" + data[i : i + CHUNK_BYTES]).digest() for i in range(0, len(data), CHUNK_BYTES)]


@dataclass(frozen=True, slots=True)
class TensorCommitment:
    """A tensor's committed bytes with its chunk tree, to reveal and prove from."""

    dtype: DType
    shape: tuple[int, ...]
    data: memoryview
    tree: merkle.Tree

    @property
    def root(self) -> bytes:
        """Tensor root, 32 bytes."""
        return root_from_tree(self.dtype, self.shape, self.tree.root)

    def chunk(self, index: int) -> bytes:
        """Chunk ``index``: 1024 bytes, fewer for the last."""
        return bytes(self.data[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES])


def commit_tensor(array: np.ndarray, dtype: DType, shape: Sequence[int] | None = None) -> TensorCommitment:
    """Commitment of an array (any shape with the right count; ``shape`` overrides its own).

    Hashing dominates; nothing but the bytes' view is kept beside the tree. Roots
    (``DType.ROOT``) come as a uint8 array of shape (n, 32).
    """
    if dtype is DType.ROOT:
        array = np.ascontiguousarray(array, dtype=np.uint8)
        out_shape = tuple(shape) if shape is not None else array.shape[:-1]
        data = memoryview(array.reshape(-1)).cast("B")
    else:
        out_shape = tuple(shape) if shape is not None else array.shape
        data = canonical_bytes(array, dtype)
    if len(data) != math.prod(out_shape) * ITEMSIZE[dtype] or not data:
        raise ValueError(f"{len(data)} bytes do not fill a {dtype.name} tensor of shape {out_shape}.")
    return TensorCommitment(dtype, out_shape, data, merkle.Tree(chunk_hashes(data)))


def tensor_root(array: np.ndarray, dtype: DType, shape: Sequence[int] | None = None) -> bytes:
    """Root of an array's tensor, 32 bytes; as ``commit_tensor(...).root``."""
    return commit_tensor(array, dtype, shape).root


def commit_roots(roots: Sequence[bytes]) -> TensorCommitment:
    """Commitment of a state: the tensor of its tensors' roots, dtype ROOT, shape (n,)."""
    return commit_tensor(np.frombuffer(b"".join(roots), np.uint8).reshape(len(roots), 32), DType.ROOT)


def state_root(roots: Sequence[bytes]) -> bytes:
    """Root of a state, a checkpoint, or a ``state`` node, 32 bytes."""
    return commit_roots(roots).root
