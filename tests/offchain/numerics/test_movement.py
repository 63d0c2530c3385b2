"""View, concat, gather, iota: affine re-indexing element by element, edges, every element type."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.numerics import movement
from lockstep.numerics.dtypes import CANONICAL_NAN, NUMPY, DType
from lockstep.program.graph import View
from lockstep.program.ops import Op
from tests.strategies import NodeCase, node_cases

GRID = np.arange(12, dtype=np.int32).reshape(3, 4)
CARRIED = (DType.F32, DType.I32, DType.M16, DType.E16, DType.U8, DType.U16)


def test_view_transposes() -> None:
    assert movement.view(GRID, (3, 4), (0, 0), ((1, 1), (0, 1)), (4, 3)).tolist() == GRID.T.tolist()


def test_view_reshapes_slices_and_flips() -> None:
    assert movement.view(GRID, (2, 6), (0, 5), ((0, 1), (1, -2)), (2, 3)).tolist() == [[5, 3, 1], [11, 9, 7]]


def test_view_expands_with_stride_zero() -> None:
    assert movement.view(GRID[0], (4,), (0,), ((0, 0), (0, 1)), (2, 4)).tolist() == [GRID[0].tolist()] * 2


def test_view_pads_with_the_fill() -> None:
    padded = movement.view(GRID[0], (4,), (-1,), ((0, 1),), (6,), fill=0xFFFFFFFF)
    assert padded.tolist() == [-1, 0, 1, 2, 3, -1]


def test_view_makes_windows_of_two_axes_on_one() -> None:
    windows = movement.view(np.arange(5, dtype=np.int16), (5,), (-1,), ((0, 2), (0, 1)), (3, 3), fill=7)
    assert windows.tolist() == [[7, 0, 1], [1, 2, 3], [3, 4, 7]]


def test_view_far_outside_is_all_fill() -> None:
    far = movement.view(GRID, (12,), (-(2**31),), ((0, 2**31 - 1), (0, -(2**31))), (2, 2), fill=9)
    assert far.tolist() == [[9, 9], [9, 9]]


@pytest.mark.parametrize("dtype", CARRIED)
def test_view_fill_has_the_low_bytes_of_its_bits(dtype: DType) -> None:
    x = np.zeros(1, NUMPY[dtype])
    filled = movement.view(x, (1,), (1,), ((0, 1),), (1,), fill=0x0C)
    assert filled.dtype == NUMPY[dtype]
    assert filled.view(np.uint8)[0] == 0x0C


def test_view_of_a_scalar_is_a_scalar() -> None:
    assert movement.view(np.float32(2.5), (), (), (), ()).tolist() == 2.5


@given(node_cases(Op.VIEW))
def test_view_copies_the_element_its_formula_names(case: NodeCase) -> None:
    view = case.node.attrs
    assert isinstance(view, View)
    source = movement.read(case.operand(0)).reshape(view.src_shape)
    result = case.value()
    fill = movement.element_from_bits(view.fill, source.dtype)
    for out in np.ndindex(*case.node.shape):
        at = list(view.offset)
        for o, (axis, stride) in zip(out, view.mapping, strict=True):
            at[axis] += stride * o
        inside = all(0 <= i < extent for i, extent in zip(at, view.src_shape, strict=True))
        expected = source[tuple(at)] if inside else fill
        assert result[out].tobytes() == expected.tobytes()


def test_concat_joins_along_an_axis() -> None:
    assert movement.concat([GRID, GRID[:, :1]], 1).tolist() == np.hstack([GRID, GRID[:, :1]]).tolist()


def test_gather_takes_rows_and_zero_bits_out_of_range() -> None:
    index = np.array([[2, -1], [3, 0]], np.int32)
    zero = [0] * 4
    assert movement.gather(GRID, index).tolist() == [[GRID[2].tolist(), zero], [zero, GRID[0].tolist()]]
    ones = np.full((2,), -1.0, np.float32)
    outside = movement.gather(ones, np.array([-(2**31), 2**31 - 1], np.int32))
    assert outside.view(np.uint32).tolist() == [0, 0]


def test_gather_by_a_scalar_index_drops_the_axis() -> None:
    assert movement.gather(GRID, np.array(1, np.int32)).tolist() == GRID[1].tolist()
    assert movement.gather(GRID[0], np.array(3, np.int32)).shape == ()


def test_movement_writes_nan_canonical() -> None:
    noisy = np.array([0xFFC00001], np.uint32).view(np.float32)
    moved = [
        movement.view(noisy, (1,), (0,), ((0, 1),), (1,)),
        movement.view(noisy, (1,), (1,), ((0, 1),), (1,), fill=0xFFC00001),
        movement.concat([noisy], 0),
        movement.gather(noisy, np.zeros(1, np.int32)),
    ]
    assert [x.view(np.uint32).tolist() for x in moved] == [[CANONICAL_NAN]] * 4


@given(st.lists(st.integers(1, 5), max_size=4))
def test_iota_numbers_elements_row_major(shape: list[int]) -> None:
    result = movement.iota(shape)
    assert result.dtype == np.int32
    assert result.shape == tuple(shape)
    assert result.reshape(-1).tolist() == list(range(result.size))
