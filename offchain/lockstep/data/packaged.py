"""Tables that lie as files inside installed packages, read without importing the packages.

Importing scikit-learn for its digits takes seconds (it imports SciPy, and pandas where that is installed); reading
its file takes milliseconds.
"""

from __future__ import annotations

import gzip
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lockstep.data.errors import DataError


def packaged_table(package: str, file: str, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """The uint8 table of this shape in a package's gzip-compressed file of comma-separated numbers.

    Raises:
        DataError: the package or the file is not there, or holds something else

    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise DataError(f"The package {package} is not installed; its {file} is needed. Run scripts/setup.")
    path = Path(spec.origin).parent / file
    try:
        # by way of float64: some files write whole numbers as 1.000000e+00
        table = np.loadtxt(gzip.decompress(path.read_bytes()).decode("ascii").splitlines(), delimiter=",", ndmin=2)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DataError(f"{path} cannot be read as a table: {error}.") from None
    if table.shape != shape or not ((table >= 0) & (table <= 255) & (table % 1 == 0)).all():
        raise DataError(f"{path} is no table of {shape[0]} rows of {shape[1]} bytes; another version was expected.")
    return table.astype(np.uint8)
