"""View algebra against the reference view: every rewriting means the same elements."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lockstep.numerics.movement import view as reference_view
from lockstep.program.graph import View
from lockstep.program.views import canonical, compose, expand_view, permute_view, reshape_view, rewrite

EXTENTS = (1, 1, 2, 3, 4, 6)
MAX_ELEMENTS = 200


def apply(view: View, shape: tuple[int, ...], x: np.ndarray) -> np.ndarray:
    return reference_view(x, view.src_shape, view.offset, view.mapping, shape, view.fill)


@st.composite
def shapes(draw: st.DrawFn, elements: int | None = None) -> tuple[int, ...]:
    """A small shape, of a given number of elements if any."""
    if elements is None:
        shape = draw(st.lists(st.sampled_from(EXTENTS), max_size=4).map(tuple))
        return shape if math.prod(shape) <= MAX_ELEMENTS else shape[:2]
    shape, left = [], elements
    while left > 1:
        divisor = draw(st.sampled_from([d for d in range(1, left + 1) if left % d == 0]))
        if divisor == 1 and len(shape) > 3:
            divisor = left
        shape.append(divisor)
        left //= divisor
    return tuple(shape)


@st.composite
def views(draw: st.DrawFn, elements: int) -> tuple[View, tuple[int, ...]]:
    """A view of a source of this many elements, and its output shape."""
    src = draw(shapes(elements)) or (1,)
    if draw(st.booleans()):
        order = draw(st.permutations(range(len(src))))
        view, shape = permute_view(src, order), tuple(src[axis] for axis in order)
        if draw(st.booleans()):
            return view, shape
        grow = [draw(st.integers(-1, 2)) for _ in shape]
        shape = tuple(max(1, extent + 2 * g) for extent, g in zip(shape, grow, strict=True))
        offset = [0] * len(src)
        for (axis, _), g in zip(view.mapping, grow, strict=True):
            offset[axis] = -g
        return View(src, tuple(offset), view.mapping, draw(st.integers(0, 1))), shape
    shape = draw(shapes())
    mapping = []
    for _ in shape:
        stride = draw(st.integers(-2, 2))
        mapping.append((draw(st.integers(0, len(src) - 1)), stride) if stride else (0, 0))
    offset = tuple(draw(st.integers(-1, extent)) for extent in src)
    return View(src, offset, tuple(mapping), draw(st.integers(0, 1))), shape


SOURCES = st.sampled_from([1, 2, 6, 8, 12, 24, 36])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_canonical_view_gives_the_same_elements(data: st.DataObject) -> None:
    elements = data.draw(SOURCES)
    view, shape = data.draw(views(elements))
    x = np.arange(10, 10 + elements, dtype=np.int32)
    form = canonical(view, shape)
    np.testing.assert_array_equal(apply(form, shape, x), apply(view, shape, x))
    assert canonical(form, shape) == form


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_composed_view_gives_what_two_views_give(data: st.DataObject) -> None:
    elements = data.draw(SOURCES)
    first, inner = data.draw(views(elements))
    second, shape = data.draw(views(math.prod(inner)))
    x = np.arange(10, 10 + elements, dtype=np.int32)
    one = compose(first, inner, second, shape)
    if one is not None:
        np.testing.assert_array_equal(apply(one, shape, x), apply(second, shape, apply(first, inner, x)))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_rewritten_view_gives_the_reshaped_elements(data: st.DataObject) -> None:
    elements = data.draw(SOURCES)
    view, shape = data.draw(views(elements))
    wanted = data.draw(shapes(math.prod(shape)))
    x = np.arange(10, 10 + elements, dtype=np.int32)
    form = rewrite(view, shape, wanted)
    if form is not None:
        np.testing.assert_array_equal(apply(form, wanted, x), apply(view, shape, x).reshape(wanted))


def test_transposes_and_reshapes_compose_to_one_view() -> None:
    transpose = permute_view((4, 6), (1, 0))
    assert compose(transpose, (6, 4), permute_view((6, 4), (1, 0)), (4, 6)) == canonical(reshape_view((4, 6)), (4, 6))
    split = compose(transpose, (6, 4), reshape_view((3, 2, 2, 2)), (3, 2, 2, 2))
    assert split is not None
    assert len(split.src_shape) == 1
    # a flattened transpose is not affine
    assert compose(transpose, (6, 4), reshape_view((24,)), (24,)) is None


def test_padding_after_a_transpose_composes_and_padding_after_a_slice_does_not() -> None:
    pad = View((6, 4), (-1, -1), ((0, 1), (1, 1)))
    assert compose(permute_view((4, 6), (1, 0)), (6, 4), pad, (8, 6)) is not None
    flip = View((4, 6), (0, 5), ((0, 1), (1, -1)))
    assert compose(flip, (4, 6), View((4, 6), (-1, 0), ((0, 1), (1, 1))), (5, 6)) is not None
    piece = View((8, 4), (1, 0), ((0, 1), (1, 1)))
    assert compose(piece, (6, 4), pad, (8, 6)) is None


def test_expand_view_widens_as_broadcasting_does() -> None:
    x = np.arange(3, dtype=np.int32).reshape(3, 1)
    view = expand_view((3, 1), (2, 3, 4))
    np.testing.assert_array_equal(apply(view, (2, 3, 4), x), np.broadcast_to(x, (2, 3, 4)))
