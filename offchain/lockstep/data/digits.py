"""scikit-learn's handwritten digits: 1,797 images of 8x8 pixels with 17 grey levels, inside its wheel.

E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits" (UCI Machine Learning Repository, 1998).
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from lockstep.program.selection import Dataset

TRAIN, TEST = 1437, 360
GREY_LEVELS = 16
_SPLIT_SEED = 0


def digits(*, flat: bool = True) -> tuple[Dataset, Dataset]:
    """Training and test set: 1,437 and 360 samples, the same on every machine.

    Inputs are uint8 [N, 64] (``flat``) or [N, 1, 8, 8] and reach the model as values from 0 to 1; targets
    are uint8 [N].
    """
    images, labels = load_digits(return_X_y=True)
    pixels, classes = images.astype(np.uint8), labels.astype(np.uint8)
    if not flat:
        pixels = pixels.reshape(-1, 1, 8, 8)
    # A permutation by sorting keys of our own generator: NumPy may change its shuffles, not SplitMix64.
    order = np.argsort(_keys(len(pixels)), kind="stable")
    train, test = order[:TRAIN], order[TRAIN : TRAIN + TEST]
    scale = 1.0 / GREY_LEVELS
    return Dataset(pixels[train], classes[train], scale), Dataset(pixels[test], classes[test], scale)


def _keys(count: int) -> np.ndarray:
    """SplitMix64 of 0..count-1 (Steele, Lea, Flood, 2014), uint64."""
    with np.errstate(over="ignore"):
        z = (np.arange(count, dtype=np.uint64) + np.uint64(_SPLIT_SEED + 1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
