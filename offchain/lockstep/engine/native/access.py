"""How an instruction reads a value: an affine map over a row-major iteration space, with bounds.

Twin of ``kernels/access.h``. A view, or a chain of views and reshapes, becomes one access where the maps
compose; then nothing is copied to read through it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lockstep.engine.errors import NativeLimitError
from lockstep.program.graph import Shape, View
from lockstep.program.views import canonical, compose, is_contiguous, padded_axes, strides_of

MAX_DIMS = 10
MAX_BOUNDS = 8

Dim = tuple[int, int, tuple[int, ...]]
"""Extent, stride, and each bound's coefficient."""


@dataclass(frozen=True, slots=True)
class Access:
    """Element n lies at ``offset + sum(index * stride)``, unless a bound's coordinate leaves [0, limit)."""

    dims: tuple[Dim, ...]
    offset: int = 0
    bounds: tuple[tuple[int, int], ...] = ()
    fill: int = 0

    @property
    def count(self) -> int:
        """Elements of the iteration space."""
        return math.prod(extent for extent, _, _ in self.dims)

    @property
    def is_contiguous(self) -> bool:
        """Whether element n lies at offset + n."""
        dims = collapse(self.dims)
        return not self.bounds and (not dims or (len(dims) == 1 and dims[0][1] == 1))

    @property
    def run(self) -> int:
        """Elements in a row in memory (or all the same) before the next jump."""
        dims = collapse(self.dims)
        return dims[-1][0] if dims and dims[-1][1] in (0, 1) else 1


def collapse(dims: Sequence[Dim]) -> tuple[Dim, ...]:
    """Neighbouring axes that step alike joined; axes of extent 1 dropped."""
    out: list[Dim] = []
    for extent, stride, steps in dims:
        if extent == 1:
            continue
        if out:
            above, above_stride, above_steps = out[-1]
            if above_stride == stride * extent and all(
                a == s * extent for a, s in zip(above_steps, steps, strict=True)
            ):
                out[-1] = (above * extent, stride, steps)
                continue
        out.append((extent, stride, steps))
    return tuple(out)


def whole(shape: Shape) -> Access:
    """A tensor in its own order."""
    return Access(((math.prod(shape), 1, ()),))


def through(view: View, shape: Shape) -> Access:
    """A tensor read through a view."""
    view = canonical(view, shape)
    strides = strides_of(view.src_shape)
    padded = sorted(padded_axes(view, shape))
    dims = []
    for extent, (axis, stride) in zip(shape, view.mapping, strict=True):
        steps = tuple(stride if stride and axis == bound else 0 for bound in padded)
        dims.append((extent, stride * strides[axis] if stride else 0, steps))
    offset = sum(o * s for o, s in zip(view.offset, strides, strict=True))
    limits = tuple((view.offset[axis], view.src_shape[axis]) for axis in padded)
    return Access(tuple(dims), offset, limits, view.fill)


def chain(first: View, inner: Shape, second: View, shape: Shape) -> Access | None:
    """``first`` (to ``inner``) followed by ``second`` (to ``shape``) as one access; None if it is none."""
    if is_contiguous(canonical(second, shape), shape):
        return through(first, inner)
    one = compose(first, inner, second, shape)
    return through(one, shape) if one is not None else None


def split(access: Access, groups: Sequence[int]) -> list[list[Dim]] | None:
    """The axes cut into consecutive groups of these element counts; None where an axis does not divide."""
    dims = list(access.dims)
    out: list[list[Dim]] = []
    for size in reversed(groups):
        group: list[Dim] = []
        left = size
        while left > 1:
            if not dims:
                return None
            extent, stride, steps = dims.pop()
            if extent <= left:
                if left % extent:
                    return None
                group.insert(0, (extent, stride, steps))
                left //= extent
            else:
                if extent % left:
                    return None
                group.insert(0, (left, stride, steps))
                dims.append((extent // left, stride * left, tuple(s * left for s in steps)))
                left = 1
        out.insert(0, list(collapse(group)))
    if any(extent > 1 for extent, _, _ in dims):
        return None
    return out


def grouped(access: Access, groups: Sequence[int]) -> tuple[Access, list[int]] | None:
    """The access with its axes cut into groups, and the number of axes of each; None where that fails."""
    parts = split(access, groups)
    if parts is None:
        return None
    dims = tuple(dim for part in parts for dim in part)
    if len(dims) > MAX_DIMS:
        return None
    return replace(access, dims=dims), [len(part) for part in parts]


def words(access: Access, slot: int, size: int, *, keep: bool = False) -> list[int]:
    """Instruction words of an access; ``keep`` leaves the axes as they are (groups)."""
    dims = access.dims if keep else collapse(access.dims)
    if len(dims) > MAX_DIMS or len(access.bounds) > MAX_BOUNDS:
        raise NativeLimitError(f"An access has {len(dims)} axes and {len(access.bounds)} bounds.")
    out = [slot, size, access.offset, access.fill, len(dims)]
    for extent, stride, _ in dims:
        out += [extent, stride]
    out.append(len(access.bounds))
    for bound, (base, limit) in enumerate(access.bounds):
        out += [base, limit, *(steps[bound] for _, _, steps in dims)]
    return out
