"""Training, validation and test parts, the same on every machine, and statistics of the training part."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lockstep.data.errors import DataError
from lockstep.program.selection import Dataset

Array = npt.NDArray[Any]


class Splits(NamedTuple):
    """Three data sets that share no sample."""

    train: Dataset
    validation: Dataset
    test: Dataset


def split_rows(rows: int, *sizes: int, seed: int = 0) -> list[Array]:
    """Row numbers of parts of these sizes: disjoint, from one permutation of ``0 .. rows - 1`` that the seed chooses.

    Raises:
        DataError: there are fewer rows than the parts need, or a part is empty

    """
    if min(sizes, default=0) < 1 or sum(sizes) > rows:
        raise DataError(f"{rows} rows cannot be split into parts of {', '.join(map(str, sizes))}.")
    # A permutation by sorting keys of our own generator: NumPy may change its shuffles, not SplitMix64.
    order = np.argsort(splitmix64(rows, seed), kind="stable")
    ends = np.cumsum(sizes)
    return [order[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def splitmix64(count: int, seed: int = 0) -> npt.NDArray[np.uint64]:
    """SplitMix64 (Steele, Lea, Flood, 2014) of the counters ``seed + 1 .. seed + count``, uint64 [count]."""
    with np.errstate(over="ignore"):
        z = (np.arange(count, dtype=np.uint64) + np.uint64(seed + 1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def normalised(splits: Splits) -> Splits:
    """The same samples, read by the model as 0 to 1 from the least to the greatest value of the training part."""
    values = splits.train.inputs
    low, high = float(values.min()), float(values.max())
    return _rescaled(splits, low, high - low)


def standardised(splits: Splits) -> Splits:
    """The same samples, read by the model with mean 0 and standard deviation 1 over the training part's elements."""
    mean, deviation = _moments(splits.train.inputs)
    return _rescaled(splits, mean, deviation)


def _rescaled(splits: Splits, origin: float, unit: float) -> Splits:
    """Stored values are read as ``(value - origin) / unit``."""
    if any(part.scale is None for part in splits):
        raise DataError("Tokens have no mean and no range; only data with a scale can be rescaled.")
    if not unit > 0 or not math.isfinite(unit):
        raise DataError(f"The training part's values spread over {unit:g}; they cannot be rescaled.")
    return Splits(*(replace(part, scale=1.0 / unit, shift=-origin / unit) for part in splits))


def _moments(values: Array) -> tuple[float, float]:
    """Mean and standard deviation (of the population), from exact sums: the same on every machine."""
    if values.dtype in (np.uint8, np.uint16):
        counts = [int(count) for count in np.bincount(values.reshape(-1))]
        total = sum(value * count for value, count in enumerate(counts))
        squares = sum(value * value * count for value, count in enumerate(counts))
        variance = (values.size * squares - total * total) / values.size**2
        return total / values.size, math.sqrt(variance)
    listed = values.astype(np.float64).reshape(-1).tolist()
    mean = math.fsum(listed) / len(listed)
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in listed) / len(listed))
