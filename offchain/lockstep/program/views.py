"""Algebra of ``view``: building, canonical form, composition. Pure functions of shapes and attributes.

A view is an affine map from output indices to source indices with a fill outside (``graph.View``). Two
views in a row are one view again when the map of the first can be written over the axes the second
reads, and no index that is fill after both would be an element after one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from lockstep.program.graph import Shape, View

_LIMIT = 2**31


def strides_of(shape: Shape) -> tuple[int, ...]:
    """Row-major strides, in elements."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def bounds(view: View, shape: Shape) -> list[tuple[int, int]]:
    """Lowest and highest index the view reaches along each source axis."""
    low, high = list(view.offset), list(view.offset)
    for extent, (axis, stride) in zip(shape, view.mapping, strict=True):
        if stride:
            low[axis] += min(0, stride * (extent - 1))
            high[axis] += max(0, stride * (extent - 1))
    return list(zip(low, high, strict=True))


def padded_axes(view: View, shape: Shape) -> set[int]:
    """Source axes along which some index falls outside, so that the fill appears."""
    reach = zip(bounds(view, shape), view.src_shape, strict=True)
    return {axis for axis, ((low, high), extent) in enumerate(reach) if low < 0 or high >= extent}


def reshape_view(shape: Shape) -> View:
    """The view that reads a source as ``shape`` and gives it as ``shape``."""
    return View(shape, (0,) * len(shape), tuple((axis, 1) for axis in range(len(shape))))


def expand_view(source: Shape, shape: Shape) -> View:
    """The view that widens ``source`` to ``shape``, aligned at the right, as PyTorch broadcasts.

    Raises ``ValueError`` where an extent is neither 1 nor the wanted one.
    """
    lead = len(shape) - len(source)
    if lead < 0 or any(have not in (1, want) for have, want in zip(source, shape[lead:], strict=True)):
        raise ValueError(f"Shape {list(source)} does not widen to {list(shape)}.")
    mapping = [(0, 0)] * lead + [(axis, int(extent != 1)) for axis, extent in enumerate(source)]
    src = source or (1,)
    return View(src, (0,) * len(src), tuple(mapping))


def permute_view(source: Shape, order: Sequence[int]) -> View:
    """The view whose output axis j is source axis ``order[j]``."""
    return View(source, (0,) * len(source), tuple((axis, 1) for axis in order))


def canonical(view: View, shape: Shape) -> View:
    """The one form of a view among those that mean the same, as far as merging source axes goes.

    Axes of extent 1 and expanded ones map to (0, 0); a source axis that is never left is merged into
    the axis before it (so that a view without padding is a source of one axis with strides); the fill
    is 0 where it never shows.
    """
    src, offset = list(view.src_shape) or [1], list(view.offset) or [0]
    mapping = [(0, 0) if extent == 1 or not m[1] else m for extent, m in zip(shape, view.mapping, strict=True)]
    padded = padded_axes(View(tuple(src), tuple(offset), tuple(mapping)), shape)
    inner = len(src) - 1
    while inner > 0:
        extent, outer = src[inner], inner - 1
        merged = [m if m[0] != outer else (outer, m[1] * extent) for m in mapping]
        merged = [(m[0] - 1, m[1]) if m[0] >= inner and m[1] else m for m in merged]
        start = offset[outer] * extent + offset[inner]
        fits = all(abs(m[1]) < _LIMIT for m in merged) and abs(start) < _LIMIT
        if inner not in padded and fits:
            src[outer : inner + 1] = [src[outer] * extent]
            offset[outer : inner + 1] = [start]
        elif src[outer] == 1 and outer not in padded:
            del src[outer], offset[outer]
            merged = [(m[0] - 1, m[1]) if m[0] >= inner and m[1] else m for m in mapping]
        else:
            inner -= 1
            continue
        mapping = merged
        padded = {axis - (axis >= inner) for axis in padded}
        inner -= 1
    return View(tuple(src), tuple(offset), tuple(mapping), view.fill if padded else 0)


def is_contiguous(view: View, shape: Shape) -> bool:
    """Whether a canonical view gives its source's elements in their own order: a reshape."""
    if len(view.src_shape) != 1 or any(view.offset) or math.prod(shape) != view.src_shape[0]:
        return False
    wanted = zip(shape, strides_of(shape), strict=True)
    return all(
        m == ((0, stride) if extent > 1 else (0, 0)) for m, (extent, stride) in zip(view.mapping, wanted, strict=True)
    )


def _unmerged(view: View, shape: Shape) -> View | None:
    """A canonical view that permutes and flips its source, with one source axis an output axis; else None."""
    if len(view.src_shape) != 1:
        return None
    axes = [axis for axis, extent in enumerate(shape) if extent > 1]
    axes.sort(key=lambda axis: -abs(view.mapping[axis][1]))
    src = tuple(shape[axis] for axis in axes)
    if math.prod(src) != view.src_shape[0] or not src:
        return None
    strides = strides_of(src)
    if any(abs(view.mapping[axis][1]) != stride for axis, stride in zip(axes, strides, strict=True)):
        return None
    mapping, offset = [(0, 0)] * len(shape), []
    for at, axis in enumerate(axes):
        forward = view.mapping[axis][1] > 0
        mapping[axis] = (at, 1 if forward else -1)
        offset.append(0 if forward else shape[axis] - 1)
    if sum(start * stride for start, stride in zip(offset, strides, strict=True)) != view.offset[0]:
        return None
    return View(src, tuple(offset), tuple(mapping), view.fill)


def _refine(shape: Shape, wanted: Shape) -> list[int] | None:
    """Extents, outermost first, that both shapes are products of neighbours of; None if there are none."""
    ends = {math.prod(s[axis:]) for s in (shape, wanted) for axis in range(len(s) + 1)}
    cuts = sorted(ends)
    if any(high % low for low, high in pairwise(cuts)):
        return None
    return [high // low for low, high in pairwise(cuts)][::-1]


def rewrite(view: View, shape: Shape, wanted: Shape) -> View | None:
    """The view ``view`` of shape ``shape`` followed by a reshape to ``wanted``, as one view; None if it is none."""
    if shape == wanted:
        return view
    parts = _refine(shape, wanted)
    if parts is None:
        return None
    split: list[tuple[int, int]] = []
    at = len(parts)
    for extent, (axis, stride) in zip(reversed(shape), reversed(view.mapping), strict=True):
        inside = 1
        while inside < extent:
            at -= 1
            split.insert(0, (axis, stride * inside))
            inside *= parts[at]
    joined: list[tuple[int, int]] = []
    at = len(parts)
    for extent in reversed(wanted):
        first, inside = (0, 0), 1
        while inside < extent:
            at -= 1
            axis, stride = split[at]
            if inside == 1:
                first = (axis, stride)
            elif stride != first[1] * inside or (stride and axis != first[0]):
                return None
            inside *= parts[at]
        joined.insert(0, first)
    return View(view.src_shape, view.offset, tuple(joined), view.fill)


def _keeps_padding(first: View, inner: Shape, second: View, shape: Shape) -> bool:
    """Whether every index outside ``inner`` that the second view reaches is outside the first's source too."""
    for axis in padded_axes(second, shape):
        source, stride = first.mapping[axis]
        others = [m for a, m in enumerate(first.mapping) if a != axis and inner[a] > 1 and m[1] and m[0] == source]
        if not stride or others:
            return False
        before = first.offset[source] - stride
        after = first.offset[source] + stride * inner[axis]
        low, high = min(before, after), max(before, after)
        if low >= 0 or high < first.src_shape[source]:
            return False
    return True


def _forms(view: View, shape: Shape, wanted: Shape) -> Iterator[View]:
    """Ways to write a view with output shape ``wanted`` (same elements in the same order)."""
    for form in (canonical(view, shape), view, _unmerged(canonical(view, shape), shape)):
        written = rewrite(form, shape, wanted) if form is not None else None
        if written is not None:
            yield written


def compose(first: View, inner: Shape, second: View, shape: Shape) -> View | None:
    """One view equal to ``first`` (to ``inner``) followed by ``second`` (to ``shape``); None if there is none."""
    if is_contiguous(canonical(first, inner), inner):
        return canonical(second, shape)
    for form in _forms(first, inner, second.src_shape):
        read = second.src_shape
        fill = form.fill
        if padded_axes(second, shape):
            if padded_axes(form, read) and form.fill != second.fill:
                continue
            if not _keeps_padding(form, read, second, shape):
                continue
            fill = second.fill
        offset = list(form.offset)
        for (axis, stride), start in zip(form.mapping, second.offset, strict=True):
            offset[axis] += stride * start
        mapping = []
        for axis, stride in second.mapping:
            source, own = form.mapping[axis] if stride else (0, 0)
            mapping.append((source, own * stride) if own * stride else (0, 0))
        result = View(form.src_shape, tuple(offset), tuple(mapping), fill)
        if all(abs(x) < _LIMIT for x in (*offset, *(stride for _, stride in mapping))):
            return canonical(result, shape)
    return None
