"""How a tensor lies over the ranks: whole on each of them, or cut along one axis; and what a view makes of that."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lockstep.program.graph import Shape, View


@dataclass(frozen=True, slots=True)
class Sharded:
    """Cut along ``axis``: rank r holds the indices ``bounds[r]`` to ``bounds[r + 1] - 1``, perhaps none.

    ``bounds`` has one number more than there are ranks, begins with 0, ascends, and ends with the axis's extent.
    """

    axis: int
    bounds: tuple[int, ...]

    def start(self, rank: int) -> int:
        """First index that a rank holds."""
        return self.bounds[rank]

    def count(self, rank: int) -> int:
        """How many indices a rank holds."""
        return self.bounds[rank + 1] - self.bounds[rank]

    def local(self, shape: Shape, rank: int) -> Shape:
        """Shape of a rank's part of a tensor."""
        return (*shape[: self.axis], self.count(rank), *shape[self.axis + 1 :])

    def on(self, axis: int) -> Sharded:
        """The same cut of another axis, of the same extent."""
        return Sharded(axis, self.bounds)


Layout = Sharded | None
"""None: every rank has the whole tensor."""


def local_shape(shape: Shape, layout: Layout, rank: int) -> Shape:
    """Shape of what a rank has of a tensor."""
    return shape if layout is None else layout.local(shape, rank)


def even(axis: int, extent: int, ranks: int) -> Sharded:
    """An axis cut into parts whose sizes differ by one at most."""
    return Sharded(axis, tuple(extent * rank // ranks for rank in range(ranks + 1)))


def regrouped(layout: Sharded, shape: Shape, wanted: Shape) -> Layout:
    """Where the cut of ``shape`` lies when the same elements are read row-major as ``wanted``.

    None where the parts are no parts of one axis of ``wanted``.
    """
    outer, inner = math.prod(shape[: layout.axis]), math.prod(shape[layout.axis + 1 :])
    for axis, extent in enumerate(wanted):
        if extent == 1 or math.prod(wanted[:axis]) != outer:
            continue
        rest = math.prod(wanted[axis + 1 :])
        if any(bound * inner % rest for bound in layout.bounds):
            return None
        return Sharded(axis, tuple(bound * inner // rest for bound in layout.bounds))
    return None


def _aligned(view: View, shape: Shape, outer: int) -> View | None:
    """The same view over a source shape in which an axis has ``outer`` indices before it; None if there is none."""
    axis, before = 0, 1
    while axis < len(view.src_shape) and before * view.src_shape[axis] <= outer:
        before *= view.src_shape[axis]
        axis += 1
    if axis == len(view.src_shape):
        return None
    if before == outer:
        return view
    extent = view.src_shape[axis]
    if outer % before or extent % (outer // before):
        return None
    # Cut the axis in two: an index along it is inner * i + j, and j may never leave 0..inner - 1.
    inner = extent // (outer // before)
    start, low = divmod(view.offset[axis], inner)
    high = low
    mapping = []
    for (target, stride), count in zip(view.mapping, shape, strict=True):
        if target != axis or not stride:
            mapping.append((target + (target > axis), stride))
        elif stride % inner == 0:
            mapping.append((axis, stride // inner))
        else:
            mapping.append((axis + 1, stride))
            low += min(0, stride * (count - 1))
            high += max(0, stride * (count - 1))
    if low < 0 or high >= inner:
        return None
    src = (*view.src_shape[:axis], outer // before, inner, *view.src_shape[axis + 1 :])
    offset = (*view.offset[:axis], start, view.offset[axis] % inner, *view.offset[axis + 1 :])
    return View(src, offset, tuple(mapping), view.fill)


def _over_cut(view: View, shape: Shape, source: Shape, layout: Sharded) -> tuple[View, Sharded] | None:
    """The view over a source shape that has the cut along one axis, and the cut of that shape."""
    aligned = _aligned(view, shape, math.prod(source[: layout.axis]))
    inner = None if aligned is None else regrouped(layout, source, aligned.src_shape)
    return None if aligned is None or inner is None else (aligned, inner)


def through_view(view: View, shape: Shape, source: Shape, layout: Sharded) -> Layout:
    """The cut of a view's output [``shape``] for which every rank reads its own part of the source only.

    None where there is no such cut along one output axis. Output elements that are fill alone belong to the first or
    the last rank, which read them as fill, too.
    """
    found = _over_cut(view, shape, source, layout)
    if found is None:
        return None
    view, inner = found
    reading = [
        (stride, axis)
        for axis, ((target, stride), extent) in enumerate(zip(view.mapping, shape, strict=True))
        if target == inner.axis and stride and extent > 1
    ]
    if not reading:
        return None
    stride, axis = max(reading, key=lambda read: abs(read[0]))
    if stride < 0:
        return None
    # Output index o reads the source's indices low + stride * o to high + stride * o.
    low = high = view.offset[inner.axis]
    for other, at in reading:
        if at != axis:
            low += min(0, other * (shape[at] - 1))
            high += max(0, other * (shape[at] - 1))
    bounds = [0]
    for bound in inner.bounds[1:-1]:
        first = min(max(-((low - bound) // stride), 0), shape[axis])
        if first > 0 and high + stride * (first - 1) >= bound:
            return None
        bounds.append(max(first, bounds[-1]))
    out = Sharded(axis, (*bounds, shape[axis]))
    for rank in range(len(bounds)):
        if out.count(rank) and not inner.count(rank):
            return None  # fill on a rank that has nothing to read
    return out


def local_view(view: View, shape: Shape, source: Shape, cut: Layout, out: Layout, rank: int) -> tuple[View, Shape]:
    """A rank's part of a view: attributes over its part of the source, and the part's shape.

    ``cut`` is the source's layout and ``out`` the output's: what ``through_view`` made of it, or any where the
    source is whole.
    """
    if out is None:
        return view, shape
    inner = None
    if cut is not None:
        found = _over_cut(view, shape, source, cut)
        assert found is not None
        view, inner = found
    offset, src = list(view.offset), list(view.src_shape)
    axis, stride = view.mapping[out.axis]
    if src:
        offset[axis] += stride * out.start(rank)
    if inner is not None:
        src[inner.axis] = inner.count(rank)
        offset[inner.axis] -= inner.start(rank)
    return View(tuple(src), tuple(offset), view.mapping, view.fill), out.local(shape, rank)
