"""IDX files, the format of MNIST and its relatives: big-endian sizes, then bytes, under gzip.

Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits": two zero bytes, the element type, the
rank, a 32-bit size an axis, the elements in row-major order.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lockstep.data.errors import DataError

_UNSIGNED_BYTE = 0x08


def read_idx(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """The uint8 array in a gzip-compressed IDX file, which must have exactly this shape.

    Never more is decompressed than an array of that shape has.

    Raises:
        DataError: the file is missing, no IDX file of bytes, of another shape, too short, too long or damaged

    """
    header = struct.pack(f">BBBB{len(shape)}I", 0, 0, _UNSIGNED_BYTE, len(shape), *shape)
    count = math.prod(shape)
    try:
        with gzip.open(path) as file:
            found = file.read(len(header))
            if found != header:
                raise DataError(f"{path} does not begin as an IDX file of {_sizes(shape)} bytes: {_described(found)}.")
            data = file.read(count)
            rest = file.read(1)
    except FileNotFoundError:
        raise DataError(f"There is no file {path}.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read as gzip: {error}.") from None
    if len(data) < count or rest:
        extent = f"only {len(data)} of" if len(data) < count else "more than"
        raise DataError(f"{path} has {extent} the {count} bytes that {_sizes(shape)} elements take.")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _described(header: bytes) -> str:
    """What the first bytes of a file say about it."""
    if len(header) < 4 or header[:2] != b"\0\0":
        return f"it begins with {header[:4].hex(' ') or 'nothing'}"
    if header[2] != _UNSIGNED_BYTE:
        return f"its elements are of type 0x{header[2]:02x}, not bytes"
    sizes = [int.from_bytes(header[at : at + 4], "big") for at in range(4, len(header), 4)]
    return f"it has rank {header[3]} and begins with the sizes {', '.join(map(str, sizes))}"
