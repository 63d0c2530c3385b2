"""Layouts in which a quantised tensor is written so that a contraction reads it in long runs.

Exact sums do not care in which order terms are added, so both operands of a contraction may be read in
another order of terms, or with zeros among them. Three cases, all found from the shapes of the accesses:

- images under windows as rows of a contraction over channels and taps (a convolution, or the gradient of its
  input): the images are written with margins of zeros and the channels innermost, so that a row of the
  contraction is a few runs;
- images under windows as rows over batch and places (the gradient of the weights): both operands are written
  on one grid of images with shared margins, where a tap is a shift, so that a row is one run;
- a plain rearrangement: written in the order in which it is read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lockstep.engine.native.access import Access, Dim, collapse

MAX_LENGTH = 32_768
"""Longest row of a contraction once zeros are among its terms: int32 accumulators hold twice that."""

MOST_ZEROS = 3
"""Times that zeros may lengthen a row. At stride 2 it would be four times, and windows read one by one are quicker."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where row r of a quantised tensor is written: ``lead + r * pitch + sum(index * stride)``.

    ``axes`` are (extent, stride) of a row's elements in their own order; ``zeros``: what lies between
    them must be 0; ``tail`` elements follow the last row.
    """

    pitch: int
    axes: tuple[tuple[int, int], ...]
    lead: int = 0
    tail: int = 0
    zeros: bool = False

    def elements(self, rows: int) -> int:
        """Elements of memory."""
        return self.lead + rows * self.pitch + self.tail

    def words(self) -> list[int]:
        """Instruction words."""
        out = [1, int(self.zeros), self.pitch, self.lead, self.tail, len(self.axes)]
        for extent, stride in self.axes:
            out += [extent, stride]
        return out


PLAIN = [0]
"""Words of no layout."""


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of a quantised tensor's memory: extent, stride, margins, and the bound that names it (-1: none)."""

    extent: int
    stride: int
    before: int = 0
    after: int = 0
    bound: int = -1

    @property
    def cell(self) -> int:
        """Extent with a margin shared by neighbours."""
        return self.extent + max(self.before, self.after)


@dataclass(frozen=True, slots=True)
class Operand:
    """An operand of a contraction read from a quantised tensor: row axes and term axes of its access."""

    access: Access
    rows: tuple[Dim, ...]
    terms: tuple[Dim, ...]

    @property
    def length(self) -> int:
        """Terms of a row."""
        return math.prod(extent for extent, _, _ in self.terms)


def _bound_of(dim: Dim) -> int | None:
    """The one bound an axis moves along, -1 for none, None for several."""
    moving = [b for b, step in enumerate(dim[2]) if step]
    return None if len(moving) > 1 else moving[0] if moving else -1


def source_axes(operand: Operand, elements: int) -> list[Axis] | None:
    """Axes of the tensor behind an operand, outermost first, if the operand's axes tell them all."""
    axes: dict[tuple[int, int], Axis] = {}
    limits = operand.access.bounds
    strides = [0] * len(limits)
    low, high = [base for base, _ in limits], [base for base, _ in limits]
    offset = operand.access.offset
    for dim in (*operand.rows, *operand.terms):
        extent, stride, steps = dim
        bound = _bound_of(dim)
        if bound is None or (bound < 0 and stride <= 0):
            return None
        if bound < 0:
            if (stride, -1) in axes:
                return None
            axes[stride, -1] = Axis(extent, stride)
            continue
        step = steps[bound]
        if stride % step or strides[bound] not in (0, stride // step):
            return None
        strides[bound] = stride // step
        low[bound] += min(0, step * (extent - 1))
        high[bound] += max(0, step * (extent - 1))
    for bound, (base, limit) in enumerate(limits):
        if strides[bound] <= 0:
            return None
        offset -= base * strides[bound]
        axes[strides[bound], bound] = Axis(
            limit, strides[bound], max(0, -low[bound]), max(0, high[bound] - limit + 1), bound
        )
    ordered = sorted(axes.values(), key=lambda axis: -axis.stride)
    size = 1
    for axis in reversed(ordered):
        if axis.stride != size:
            return None
        size *= axis.extent
    return ordered if size == elements and offset == 0 else None


def row_axes(axes: Sequence[Axis], rows: int) -> int | None:
    """How many leading axes make the rows of the quantised tensor; None where they do not divide."""
    count, product = 0, 1
    while product < rows and count < len(axes):
        product *= axes[count].extent
        count += 1
    return count if product == rows else None


def _places(order: Sequence[Axis]) -> tuple[dict[tuple[int, int], int], int, int]:
    """New stride of each axis (by stride and bound) when stored in this order with margins; lead; total."""
    places: dict[tuple[int, int], int] = {}
    size, lead = 1, 0
    for axis in reversed(order):
        places[axis.stride, axis.bound] = size
        lead += axis.before * size
        size *= axis.cell
    return places, lead, size


def _moved(dims: Sequence[Dim], places: dict[tuple[int, int], int]) -> list[Dim]:
    out: list[Dim] = []
    for dim in dims:
        extent, stride, steps = dim
        bound = _bound_of(dim)
        assert bound is not None
        out.append((extent, places[stride, -1] if bound < 0 else steps[bound] * _bound_place(places, bound), ()))
    return out


def _bound_place(places: dict[tuple[int, int], int], bound: int) -> int:
    return next(place for (_, b), place in places.items() if b == bound)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """An operand over a layout: its access (rows then terms, no bounds), the layout, and the order of terms.

    ``order`` lists (term axis, reversed) outermost first: how the other operand's terms must be read.
    """

    rows: tuple[Dim, ...]
    terms: tuple[Dim, ...]
    offset: int
    layout: Layout
    order: tuple[tuple[int, bool], ...]


def _layout(
    axes: Sequence[Axis], rows: int, places: dict[tuple[int, int], int], lead: int, total: int, reach: int
) -> Layout | None:
    count = row_axes(axes, rows)
    if count is None:
        return None
    pitch = total // rows if rows else total
    # Rows must be outermost, whole and in order, each in a part of its own.
    size = total
    for axis in axes[:count]:
        size //= axis.cell
        if axis.before or axis.after or places[axis.stride, axis.bound] != size:
            return None
    inner = tuple((axis.extent, places[axis.stride, axis.bound]) for axis in axes[count:])
    margins = any(axis.before or axis.after for axis in axes)
    tail = lead + reach
    return Layout(pitch, inner or ((1, 1),), lead, tail, margins)


def along_channels(operand: Operand, rows: int, elements: int) -> Rewritten | None:
    """Term axes innermost, image axes with margins: rows of the contraction become runs."""
    axes = source_axes(operand, elements)
    if axes is None:
        return None
    inner = {(stride, -1) for extent, stride, steps in operand.terms if not any(steps)}
    outer = [axis for axis in axes if (axis.stride, axis.bound) not in inner]
    order = outer + [axis for axis in axes if (axis.stride, axis.bound) in inner]
    places, lead, total = _places(order)
    layout = _layout(axes, rows, places, lead, total, 64)
    if layout is None:
        return None
    offset = lead + sum(base * _bound_place(places, b) for b, (base, _) in enumerate(operand.access.bounds))
    terms = _moved(operand.terms, places)
    ordered = sorted(range(len(terms)), key=lambda d: -abs(terms[d][1]))
    turned: list[Dim] = []
    for d in ordered:
        extent, stride, steps = terms[d]
        if stride < 0:
            offset += stride * (extent - 1)
        turned.append((extent, abs(stride), steps))
    if len(layout.axes) > 8:
        return None
    return Rewritten(
        collapse(_moved(operand.rows, places)),
        collapse(turned),
        offset,
        layout,
        tuple((d, terms[d][1] < 0) for d in ordered),
    )


def along_places(
    windows: Operand, rows: int, elements: int, plain: Operand, plain_rows: int, plain_elements: int
) -> tuple[Rewritten, Rewritten] | None:
    """Both operands on one grid of images: a row under a tap is the images' row, shifted.

    ``windows`` is bounded and its terms run over batch and places; ``plain`` has the same terms, in order.
    """
    axes = source_axes(windows, elements)
    other = source_axes(plain, plain_elements)
    if axes is None or other is None or not windows.access.bounds or plain.access.bounds:
        return None
    kinds = [_bound_of(dim) for dim in windows.terms]
    free = {(dim[1], -1) for dim, kind in zip(windows.terms, kinds, strict=True) if kind == -1}
    image = [axis for axis in axes if axis.bound >= 0]
    order = (
        [axis for axis in axes if axis.bound < 0 and (axis.stride, -1) not in free]
        + [axis for axis in axes if axis.bound < 0 and (axis.stride, -1) in free]
        + image
    )
    if [kind for kind in kinds if kind != -1] != [axis.bound for axis in image] or any(k is None for k in kinds):
        return None
    places, lead, total = _places(order)
    terms = _moved(windows.terms, places)
    grid = math.prod(axis.cell for axis in order if axis.bound >= 0 or (axis.stride, -1) in free)
    steps = [stride for _, stride, _ in terms]
    if any(stride <= 0 for stride in steps) or grid > min(MAX_LENGTH, MOST_ZEROS * windows.length):
        return None
    reach = sum(axis.after * places[axis.stride, axis.bound] for axis in image)
    layout = _layout(axes, rows, places, lead, total, reach + grid // max(1, axes[0].extent) + 64)
    if layout is None or sum((extent - 1) * stride for extent, stride, _ in terms) >= grid:
        return None
    # The other operand: its terms in the same places.
    extents = [extent for extent, _, _ in windows.terms]
    split = _same_terms(plain.terms, extents)
    if split is None or row_axes(other, plain_rows) != 1 or other[0].extent != plain_rows:
        return None
    if sorted(split, key=lambda s: -s) != split or len(plain.rows) > 1:
        return None
    second = Layout(grid, tuple(zip(extents, steps, strict=True)), 0, 64, True)
    offset = lead + sum(base * _bound_place(places, b) for b, (base, _) in enumerate(windows.access.bounds))
    run: tuple[Dim, ...] = ((grid, 1, ()),)
    first = Rewritten(collapse(_moved(windows.rows, places)), run, offset, layout, ())
    return first, Rewritten(((plain_rows, grid, ()),), run, 0, second, ())


def _same_terms(dims: Sequence[Dim], extents: Sequence[int]) -> list[int] | None:
    """Strides of contiguous terms cut into these extents; None where they are not contiguous."""
    flat = collapse(dims)
    if len(flat) != 1 or flat[0][1] != 1 or flat[0][0] != math.prod(extents):
        return None
    return [math.prod(extents[d + 1 :]) for d in range(len(extents))]


def reordered(
    access: Access, parts: Sequence[Sequence[Dim]], order: Sequence[tuple[int, bool]]
) -> tuple[Access, list[Dim]]:
    """The other operand's access with its term axes (one list a term axis) in another order, some reversed."""
    dims: list[Dim] = []
    for d, turned in order:
        for extent, stride, steps in parts[d]:
            if turned:
                bounds = tuple(
                    (base + step * (extent - 1), limit)
                    for (base, limit), step in zip(access.bounds, steps, strict=True)
                )
                access = replace(access, offset=access.offset + stride * (extent - 1), bounds=bounds)
                dims.append((extent, -stride, tuple(-step for step in steps)))
            else:
                dims.append((extent, stride, steps))
    return access, list(collapse(dims))
