"""Runs of products that 32-bit sums hold: rows at the limit, and how long a run is said to be."""

from __future__ import annotations

import numpy as np
import pytest

from lockstep.engine.native import library
from lockstep.engine.native.engine import NativeEngine
from lockstep.engine.routes import from_numpy, same_bits
from lockstep.numerics.dtypes import DType
from lockstep.numerics.routes import contraction as torch_contraction
from lockstep.program.graph import ConstantEntry
from lockstep.program.ops import Op
from tests.offchain.engine.small_programs import Nodes, const, transpose
from tests.offchain.engine.test_native import assert_native_product

pytestmark = pytest.mark.skipif(
    library.load() is None or "VNNI" not in library.describe(), reason="Only AVX-512 VNNI sums runs in 32 bits here."
)

RUNS = (64, 32, 16, 8)
"""Lines (pairs of terms) of a run; below the last, three."""
LARGEST = 2**31 - 2**16
TOP = 16_384
EDGES = [(lines, 2**31 // (2 * lines * TOP)) for lines in RUNS]
"""Lines, and the number with which rows of ``TOP`` sum to 2**31 in a run of as many."""


def lines_between(left: np.ndarray, right: np.ndarray) -> int:
    """Lines that the sums of two blocks, i16 [16, n], take."""
    native = library.load()
    assert native is not None
    rows = [np.ascontiguousarray(x, np.int16) for x in (left, right)]
    assert all(x.shape == (16, left.shape[1]) for x in rows)
    return int(native.lockstep_lines_between(rows[0].ctypes.data, rows[1].ctypes.data, left.shape[1]))


def shorter(lines: int) -> int:
    """The next length of a run."""
    return dict(zip(RUNS, (*RUNS[1:], 3), strict=True))[lines]


def norm(rows: np.ndarray, lines: int) -> int:
    """The largest sum of squares of a row over a run."""
    squares = rows.astype(object) ** 2
    return max(squares[:, k : k + 2 * lines].sum(1).max() for k in range(0, rows.shape[1], 2 * lines))


@pytest.mark.parametrize(("lines", "edge"), EDGES)
@pytest.mark.parametrize("n", [256, 1_000, 1_024])
def test_run_lengths_at_the_limit(lines: int, edge: int, n: int) -> None:
    top = np.full((16, n), TOP)
    below, above = np.full((16, n), edge - 1), np.full((16, n), edge)
    assert lines_between(top, below) == lines_between(below, top) == lines
    assert lines_between(top, above) == shorter(lines)
    # One row of a block decides, and one run of a row.
    one = below.copy()
    one[5, 128:256] = edge
    assert lines_between(one, top) == shorter(lines)
    one[5, 128:256] = -edge
    assert lines_between(top, one) == shorter(lines)


def test_run_lengths_are_the_longest_that_the_norms_allow() -> None:
    rng = np.random.default_rng(3)
    seen = set()
    for _ in range(120):
        n = int(rng.integers(1, 400))
        left, right = (
            np.clip(np.rint(rng.standard_normal((16, n)) * 2.0 ** rng.uniform(6, 14)), -TOP, TOP).astype(np.int64)
            for _ in range(2)
        )
        wanted = [lines for lines in RUNS if norm(left, lines) * norm(right, lines) <= LARGEST**2]
        found = lines_between(left, right)
        # Norms are rounded up, by some millionths.
        if found != (wanted or [3])[0]:
            assert norm(left, wanted[0]) * norm(right, wanted[0]) > LARGEST**2 * (1 - 2e-5)
            assert found == shorter(wanted[0])
        seen.add(found)
    assert seen == {*RUNS, 3}


@pytest.mark.parametrize("k", [33, 64, 127, 129, 1_001, 1_024, 1_025, 2_500, 4_097])
@pytest.mark.parametrize(("lines", "edge"), EDGES)
def test_products_at_the_limit_of_a_run_equal_float64(lines: int, edge: int, k: int) -> None:
    rng = np.random.default_rng(k)
    left, right = np.full((37, k), TOP), np.full((35, k), edge - 1)
    right[3], right[17:19], right[20] = edge, -edge, edge + 1  # above in two of the tiles, and not in the third
    left[8:11] *= -1
    left[12, rng.random(k) < 0.5] = 0
    e = [rng.integers(-20, 21, len(x)).astype(np.int16) for x in (left, right)]
    assert_native_product([left.astype(np.int16), e[0], right.astype(np.int16), e[1]])
    assert_native_product([right.astype(np.int16), e[1], left.astype(np.int16), e[0]])


@pytest.mark.parametrize("k", [131_071, 131_073, 540_001])
def test_products_of_very_long_rows_at_their_limits_equal_float64(k: int) -> None:
    rng = np.random.default_rng(k)
    left, right = np.full((17, k), TOP, np.int16), np.full((3, k), TOP, np.int16)
    left[4], right[1] = -TOP, -TOP
    left[16] = rng.integers(-TOP, TOP + 1, k)
    e = [rng.integers(-20, 21, len(x)).astype(np.int16) for x in (left, right)]
    assert_native_product([left, e[0], right, e[1]])


@pytest.mark.parametrize("rows", [8, 16, 21, 37])
@pytest.mark.parametrize("k", [33, 70, 129, 1_025])
def test_products_of_rows_beside_each_other_equal_float64(rows: int, k: int) -> None:
    rng = np.random.default_rng(rows * k)
    columns = [rng.integers(-TOP, TOP + 1, (k, n)).astype(np.int16) for n in (rows, rows + 9)]
    columns[0][:, 2], columns[1][:, 3] = TOP, TOP
    exponents = [rng.integers(-20, 21, x.shape[1]).astype(np.int16) for x in columns]
    arrays = [columns[0], exponents[0], columns[1], exponents[1]]
    entries = [ConstantEntry(d, a.shape, bytes(32)) for d, a in zip([DType.M16, DType.E16] * 2, arrays, strict=True)]
    nodes = Nodes([], entries)
    turned = [transpose(nodes, const(index)) for index in (0, 2)]
    product = nodes.add(Op.MATMUL, turned[0], const(1), turned[1], const(3))
    program = nodes.finish([product], [])
    tensors = [from_numpy(a) for a in arrays]
    (found,) = NativeEngine(program, [product], tensors, 0, 1).run([], 0)
    expected = torch_contraction.matmul_float64(tensors[0].t(), tensors[1], tensors[2].t(), tensors[3])
    assert same_bits(found, expected.numpy(), DType.F32)
