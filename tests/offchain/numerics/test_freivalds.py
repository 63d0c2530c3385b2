"""The check of stated sums against Python's integers."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.numerics import freivalds
from lockstep.numerics.contraction import integer_sums
from lockstep.numerics.freivalds import LARGEST_SUM, LONGEST, PRIME, challenge, sums_hold

SHAPES = [((3, 5), (4, 5)), ((1, 1), (1, 1)), ((2, 3, 7), (2, 5, 7)), ((2, 3), (5000, 3)), ((2, 4099), (3, 4099))]


def mantissas(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(-(1 << 14), (1 << 14) + 1, shape).astype(np.int16)


@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_right_sums_pass_and_one_changed_by_one_does_not(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    ma, mb = mantissas(rng, left), mantissas(rng, right)
    sums = integer_sums(ma, mb)
    for turn in range(8):
        residues = challenge(bytes([turn]), 0, right[-2])
        assert sums_hold(ma, mb, sums, residues)
        place = tuple(int(rng.integers(extent)) for extent in sums.shape)
        for change in (1, -1):
            wrong = sums.copy()
            wrong[place] += change
            assert not sums_hold(ma, mb, wrong, residues)


def test_two_changes_that_cancel_in_their_sum_are_caught() -> None:
    rng = np.random.default_rng(2)
    ma, mb = mantissas(rng, (4, 9)), mantissas(rng, (6, 9))
    wrong = integer_sums(ma, mb)
    wrong[1, 2] += 1
    wrong[1, 3] -= 1
    wrong[2, 2] -= 1
    wrong[2, 3] += 1
    assert not sums_hold(ma, mb, wrong, challenge(b"", 0, 6))


@pytest.mark.parametrize("beyond", [PRIME, -PRIME, LARGEST_SUM, -LARGEST_SUM - 1, -(1 << 63), (1 << 63) - 1])
def test_sums_too_large_to_be_true_are_refused_even_where_they_are_right_modulo_the_prime(beyond: int) -> None:
    zero = np.zeros((2, 3), np.int16)
    sums = np.zeros((2, 2), np.int64)
    sums[1, 1] = beyond
    assert not sums_hold(zero, zero, sums, challenge(b"", 0, 2))


def test_longest_rows_of_largest_mantissas_pass() -> None:
    largest = np.full((1, LONGEST), -(1 << 14), np.int16)
    assert sums_hold(largest, largest, integer_sums(largest, largest), challenge(b"", 0, 1))
    longer = np.zeros((1, LONGEST + 1), np.int16)
    with pytest.raises(ValueError, match="too long"):
        sums_hold(longer, longer, np.zeros((1, 1), np.int64), challenge(b"", 0, 1))


@given(st.integers(0, 2**32))
def test_products_are_those_of_unbounded_integers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = (int(n) for n in rng.integers(1, 40, 2))
    m = rng.integers(-(1 << 15), 1 << 15, (rows, columns)).astype(np.int16)
    sums = rng.integers(-LARGEST_SUM, LARGEST_SUM, (rows, columns))
    residues = rng.integers(0, PRIME, columns, dtype=np.uint64)
    for product, matrix in ((freivalds._matrix_times, m), (freivalds._sums_times, sums)):
        wanted = [sum(int(a) * int(b) for a, b in zip(row, residues, strict=True)) % PRIME for row in matrix]
        assert product(matrix, residues).tolist() == wanted


def test_challenge_depends_on_everything_and_has_residues_only() -> None:
    drawn = challenge(b"entropy", 7, 1000)
    assert drawn.dtype == np.uint64
    assert (drawn < PRIME).all()
    assert len(set(drawn.tolist())) == 1000
    assert (challenge(b"entropy", 7, 10) == drawn[:10]).all()
    for other in (challenge(b"entropz", 7, 1000), challenge(b"entropy", 8, 1000), challenge(b"entropy\0", 7, 1000)):
        assert not (other == drawn).any()


def test_words_that_are_no_residue_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unlucky:
        """SHAKE-256 whose first words are all ones."""

        def __init__(self, data: bytes) -> None:
            self.real = hashlib.new("shake_256", data)

        def digest(self, count: int) -> bytes:
            return (b"\xff" * 80 + self.real.digest(count))[:count]

    monkeypatch.setattr(freivalds.hashlib, "shake_256", Unlucky)
    assert (challenge(b"", 0, 20) < PRIME).all()
