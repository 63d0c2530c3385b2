"""scikit-learn's handwritten digits: 1,797 images of 8x8 pixels with 17 grey levels, inside its wheel.

E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits" (UCI Machine Learning Repository, 1998).
"""

from __future__ import annotations

from lockstep.data.packaged import packaged_table
from lockstep.data.splits import split_rows
from lockstep.program.selection import Dataset

TRAIN, TEST = 1437, 360
SIDE = 8
GREY_LEVELS = 16


def digits(*, flat: bool = True) -> tuple[Dataset, Dataset]:
    """Training and test set: 1,437 and 360 samples, the same on every machine.

    Inputs are uint8 [N, 64] (``flat``) or [N, 1, 8, 8] and reach the model as values from 0 to 1; targets
    are uint8 [N].
    """
    table = packaged_table("sklearn", "datasets/data/digits.csv.gz", (TRAIN + TEST, SIDE * SIDE + 1))
    pixels, classes = table[:, :-1], table[:, -1]
    if not flat:
        pixels = pixels.reshape(-1, 1, SIDE, SIDE)
    train, test = split_rows(len(pixels), TRAIN, TEST)
    scale = 1.0 / GREY_LEVELS
    return Dataset(pixels[train], classes[train], scale), Dataset(pixels[test], classes[test], scale)
