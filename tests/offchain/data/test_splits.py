"""Parts share no row and are the same everywhere; scaling knows the training part only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.data import DataError, Dataset, Splits, normalised, split_rows, standardised


@given(st.lists(st.integers(1, 30), min_size=1, max_size=4), st.integers(0, 20), st.integers(0, 2**32))
def test_parts_are_disjoint_and_of_their_sizes(sizes: list[int], spare: int, seed: int) -> None:
    parts = split_rows(sum(sizes) + spare, *sizes, seed=seed)
    assert [len(part) for part in parts] == sizes
    rows = np.concatenate(parts).tolist()
    assert len(set(rows)) == len(rows)
    assert set(rows) <= set(range(sum(sizes) + spare))


def test_parts_are_known_and_depend_on_the_seed() -> None:
    assert [part.tolist() for part in split_rows(8, 4, 2)] == [[2, 4, 6, 5], [1, 7]]
    assert [part.tolist() for part in split_rows(8, 4, 2, seed=1)] != [[2, 4, 6, 5], [1, 7]]


@pytest.mark.parametrize("sizes", [(), (0,), (3, -1), (5, 6)], ids=str)
def test_sizes_that_do_not_fit_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="cannot be split"):
        split_rows(10, *sizes)


def splits_of(dtype: type, low: int = 3, high: int = 200) -> Splits:
    rng = np.random.default_rng(0)
    labels = np.zeros(50, np.uint8)
    parts = (rng.integers(low, high, (50, 4)).astype(dtype) for _ in range(3))
    return Splits(*(Dataset(part, labels, 1 / 7, 2.0) for part in parts))


def read(data: Dataset) -> np.ndarray:
    """What the model reads, without its rounding."""
    assert data.scale is not None
    return data.inputs.astype(np.float64) * data.scale + data.shift


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_standardised_training_part_has_mean_0_and_deviation_1(dtype: type) -> None:
    splits = standardised(splits_of(dtype))
    values = read(splits.train)
    assert abs(values.mean()) < 1e-12
    assert abs(values.std() - 1) < 1e-12
    assert all((part.scale, part.shift) == (splits.train.scale, splits.train.shift) for part in splits)
    assert abs(read(splits.test).mean()) > 1e-6  # the others have statistics of their own, which nobody looked at


def test_normalised_training_part_goes_from_0_to_1() -> None:
    values = read(normalised(splits_of(np.uint8)).train)
    assert (abs(values.min()), abs(values.max() - 1)) < (1e-12, 1e-12)


@pytest.mark.parametrize("rescale", [standardised, normalised])
def test_what_has_no_spread_or_no_scale_is_refused(rescale: Callable[[Splits], Splits]) -> None:
    with pytest.raises(DataError, match="spread over 0"):
        rescale(splits_of(np.uint8, 5, 6))
    tokens = Dataset(np.zeros((2, 3), np.uint8), np.zeros(2, np.uint8), scale=None)
    with pytest.raises(DataError, match="Tokens have no mean"):
        rescale(Splits(tokens, tokens, tokens))
