"""Movement of elements: ``view``, ``concat``, ``gather``, ``iota``. Every dtype; bits are copied.

f32 inputs are canonical already wherever they come from (every write canonicalises), but a reference
reads as everything does: NaNs are canonicalised on the way in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lockstep.numerics.float32 import F32, I32, canonical, from_bits

Array = npt.NDArray[Any]


def read(x: Array) -> Array:
    """The array as every op reads it: f32 NaNs canonical, other dtypes as they are."""
    return canonical(x) if x.dtype == np.float32 else x


def element_from_bits(bits: int, dtype: np.dtype[np.generic]) -> Array:
    """0-dim array with these little-endian bits, as many as the dtype takes; f32 NaN canonical."""
    raw = np.frombuffer(bits.to_bytes(4, "little")[: dtype.itemsize], dtype).reshape(())
    return read(raw)


def view(
    x: Array,
    src_shape: Sequence[int],
    offset: Sequence[int],
    mapping: Sequence[tuple[int, int]],
    shape: Sequence[int],
    fill: int = 0,
) -> Array:
    """T (any shape) -> T ``shape``: affine re-indexing of the row-major source with a fill element.

    The source is read as ``src_shape`` (same element count). For output index o the source index along
    axis d is ``offset[d] + sum(stride_j * o_j for j with mapping[j] == (d, stride_j))``; where any axis
    falls outside ``[0, src_shape[d])`` the result is the element with the bits ``fill``.
    """
    flat = read(np.asarray(x)).reshape(-1)
    # int64 is the unbounded integer here: a valid view's reach is at most 2**40 along any axis.
    source = [np.full(tuple(shape), start, np.int64) for start in offset]
    for j, (axis, stride) in enumerate(mapping):
        if stride:  # stride 0 repeats, and is written with axis 0
            along = np.arange(shape[j], dtype=np.int64).reshape([-1 if k == j else 1 for k in range(len(shape))])
            source[axis] = source[axis] + stride * along
    inside = np.ones(tuple(shape), bool)
    position = np.zeros(tuple(shape), np.int64)
    for d, extent in enumerate(src_shape):
        inside &= (source[d] >= 0) & (source[d] < extent)
        position = position * extent + np.clip(source[d], 0, extent - 1)
    return np.where(inside, flat[position], element_from_bits(fill, flat.dtype)).astype(flat.dtype)


def concat(parts: Sequence[Array], axis: int) -> Array:
    """T ... -> T: joined along an axis; all other extents are equal."""
    return np.concatenate([read(np.asarray(part)) for part in parts], axis=axis)


def gather(table: Array, index: I32) -> Array:
    """T [R, rest], i32 I -> T [I, rest]: row ``index`` (signed) of the table; all-zero bits out of range."""
    table = read(np.asarray(table))
    index = np.asarray(index).astype(np.int64)
    inside = (index >= 0) & (index < table.shape[0])
    rows = table[np.where(inside, index, 0)]
    inside = inside.reshape(inside.shape + (1,) * (table.ndim - 1))
    return np.where(inside, rows, np.zeros((), table.dtype)).astype(table.dtype)


def iota(shape: Sequence[int]) -> I32:
    """-> i32 ``shape``: each element's row-major number."""
    return np.arange(math.prod(shape), dtype=np.int64).astype(np.int32).reshape(tuple(shape))


def filled(bits: int, shape: Sequence[int], dtype: np.dtype[np.generic]) -> F32 | I32:
    """An f32 or i32 literal spread over ``shape``: every element has these 32 bits, NaN canonical."""
    words = np.full(tuple(shape), bits, np.uint32)
    return from_bits(words) if dtype == np.float32 else words.view(np.int32)
