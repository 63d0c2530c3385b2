"""Element types of tensors: codes, sizes and NumPy carriers.

One source for Python and Solidity: ``contracts/types/DType.sol`` is generated from this file.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

CANONICAL_NAN = 0x7FC00000
"""The only NaN an f32 may hold: every read and write of an f32 maps other NaNs to it."""


class DType(IntEnum):
    """Element type of a tensor. The value is its code in encodings and commitments."""

    F32 = 1
    """IEEE-754 binary32; NaN is always ``CANONICAL_NAN``; subnormals kept."""
    I32 = 2
    """Two's-complement 32-bit integer; arithmetic wraps; comparisons exist signed and unsigned."""
    M16 = 3
    """Mantissa in [-2**14, 2**14]: made by ``quantize`` only; never state nor constant."""
    E16 = 4
    """Block exponent in [-126, 127], or 255 (absorbing): made by ``exponent`` only; never state
    nor constant. A type of its own, so that where exponents come from is checked node by node."""
    U8 = 5
    """Unsigned byte: constants only (images, byte tokens)."""
    U16 = 6
    """Unsigned 16-bit: constants only (tokens)."""
    ROOT = 7
    """32-byte hash: the element type of a state's tensor of tensor roots."""


ITEMSIZE: dict[DType, int] = {
    DType.F32: 4,
    DType.I32: 4,
    DType.M16: 2,
    DType.E16: 2,
    DType.U8: 1,
    DType.U16: 2,
    DType.ROOT: 32,
}
"""Bytes an element takes in a commitment (little-endian; a root as it is)."""

NUMPY: dict[DType, np.dtype] = {
    DType.F32: np.dtype("<f4"),
    DType.I32: np.dtype("<i4"),
    DType.M16: np.dtype("<i2"),
    DType.E16: np.dtype("<i2"),
    DType.U8: np.dtype("u1"),
    DType.U16: np.dtype("<u2"),
    DType.ROOT: np.dtype("S32"),
}
"""NumPy dtype that carries each element type."""
