"""Hashes by the native library: many tensors' roots in one call, and the SHA-256 of the file they make beside them."""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lockstep.commitments.tensor import CHUNK_BYTES, tensor_header
from lockstep.engine.native.library import load, team
from lockstep.numerics.dtypes import ITEMSIZE, DType
from lockstep.numerics.routes.carriers import TORCH, canonical

Kind = tuple[torch.dtype, torch.Size, DType | None]
"""Dtype and shape of a tensor, and the element type where they do not say it (``DTYPES``)."""
DTYPES = {torch.float32: DType.F32, torch.int32: DType.I32, torch.uint8: DType.U8, torch.uint16: DType.U16}
SMALL = 64 * CHUNK_BYTES
"""Bytes below which one thread hashes."""


class _Tensors(ctypes.Structure):
    """``lockstep::Tensors``."""

    _fields_ = (
        ("count", ctypes.c_int64),
        ("data", ctypes.c_void_p),
        ("bytes", ctypes.c_void_p),
        ("floats", ctypes.c_void_p),
        ("heads", ctypes.c_void_p),
        ("head_ends", ctypes.c_void_p),
    )


class Listing:
    """What a call is told of a list of tensors, but for where they lie; made once for tensors of these kinds."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        """At least one kind; ``ValueError`` where a tensor has no elements."""
        dtypes = [DTYPES[carrier] if dtype is None else dtype for carrier, _, dtype in kinds]
        shapes = [
            shape[:-1] if dtype is DType.ROOT else shape for dtype, (_, shape, _) in zip(dtypes, kinds, strict=True)
        ]
        for dtype, (carrier, _, _) in zip(dtypes, kinds, strict=True):
            assert carrier is TORCH[dtype], "A tensor is in its dtype's carrier."
        sizes = [math.prod(shape) * ITEMSIZE[dtype] for dtype, shape in zip(dtypes, shapes, strict=True)]
        if not sizes or not all(sizes):
            raise ValueError("There is no root of no bytes.")
        heads = [b"\x02" + tensor_header(dtype, shape) for dtype, shape in zip(dtypes, shapes, strict=True)]
        heads.append(b"\x02" + tensor_header(DType.ROOT, (len(kinds),)))
        self.count = len(sizes)
        self.size = sum(sizes)
        self._bytes = np.array(sizes, np.int64)
        self._floats = np.array([dtype is DType.F32 for dtype in dtypes], np.uint8)
        self._heads = np.frombuffer(b"".join(heads), np.uint8)
        self._ends = np.cumsum([len(head) for head in heads], dtype=np.int64)
        self._fixed = [array.ctypes.data for array in (self._bytes, self._floats, self._heads, self._ends)]
        self._array = ctypes.c_void_p * self.count

    def at(self, tensors: Sequence[Tensor]) -> _Tensors:
        """With the tensors' places: contiguous, on the CPU, of the listing's kinds."""
        places = self._array(*[tensor.data_ptr() for tensor in tensors])
        return _Tensors(self.count, ctypes.cast(places, ctypes.c_void_p), *self._fixed)


@functools.lru_cache(maxsize=1024)
def listing(kinds: tuple[Kind, ...]) -> Listing:
    """The listing for tensors of these kinds."""
    return Listing(kinds)


class Roots:
    """Roots of some tensors, by one call when it is made.

    ``roots`` are the tensors' roots and then the root of the list of them, 32 bytes each; ``digest`` is the SHA-256 of
    ``head`` and the tensors' bytes where a head is given (one thread hashes then), ``tensors`` the tensors with
    canonical NaNs, which are what was hashed.
    """

    def __init__(self, tensors: Sequence[Tensor], kinds: tuple[Kind, ...], threads: int, head: bytes | None) -> None:
        library, what = load(), listing(kinds)
        assert library is not None, "Ask library.load() first."
        roots, odd = ctypes.create_string_buffer(32 * what.count + 32), ctypes.create_string_buffer(what.count)
        digest = ctypes.create_string_buffer(32)
        self.tensors = list(tensors)
        while True:
            told = ctypes.byref(what.at(self.tensors))
            if head is None:
                together = team(threads) if threads > 1 and what.size >= SMALL else None
                library.lockstep_roots(together, told, roots, odd)
            else:
                library.lockstep_file_roots(told, head, len(head), roots, odd, digest)
            if not any(odd.raw):
                break
            pairs = zip(self.tensors, odd.raw, strict=True)
            self.tensors = [canonical(tensor) if is_odd else tensor for tensor, is_odd in pairs]
            ctypes.memset(odd, 0, what.count)
        self.roots = roots.raw
        self.digest = digest.raw


def chunk_hashes(data: memoryview, threads: int) -> bytes:
    """Leaf hashes of the chunks, 32 bytes each."""
    library = load()
    assert library is not None, "Ask library.load() first."
    array = np.frombuffer(data, np.uint8)
    out = ctypes.create_string_buffer(32 * -(-len(array) // CHUNK_BYTES))
    together = team(threads) if threads > 1 and len(array) >= SMALL else None
    library.lockstep_chunk_hashes(together, array.ctypes.data, len(array), out)
    return out.raw
