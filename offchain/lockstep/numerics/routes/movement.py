"""``view``, ``concat`` and ``gather`` on torch tensors of any carrier type."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

Mapping = Sequence[tuple[int, int]]


def strides_of(shape: Sequence[int]) -> tuple[int, ...]:
    """Row-major strides in elements."""
    strides, step = [], 1
    for extent in reversed(shape):
        strides.append(step)
        step *= extent
    return tuple(reversed(strides))


def reach(
    src_shape: Sequence[int], offset: Sequence[int], mapping: Mapping, shape: Sequence[int]
) -> list[tuple[int, int]]:
    """Least and largest source index along each source axis, over all output indices."""
    low, high = list(offset), list(offset)
    for (axis, stride), extent in zip(mapping, shape, strict=True):
        if stride < 0:
            low[axis] += stride * (extent - 1)
        elif stride > 0:
            high[axis] += stride * (extent - 1)
    return list(zip(low, high, strict=True))


def _carrier_bits(x: Tensor) -> Tensor:
    """Same memory as a type that every torch op knows (u16 as int16)."""
    return x.view(torch.int16) if x.dtype == torch.uint16 else x


def _fill_value(dtype: torch.dtype, fill: int) -> Tensor:
    size = torch.empty((), dtype=dtype).element_size()
    raw = np.frombuffer((fill & 0xFFFFFFFF).to_bytes(4, "little")[:size], dtype=np.uint8).copy()
    return torch.from_numpy(raw).view(dtype).reshape(())


def view(
    x: Tensor, src_shape: Sequence[int], offset: Sequence[int], mapping: Mapping, fill: int, shape: Sequence[int]
) -> Tensor:
    """Affine re-indexing (``lockstep.program.graph.View``); a view of x's memory where one exists.

    Source axes that the index leaves are padded with the fill, axes run backwards are flipped, and
    the result is strided over that; where axes mix directions, or padding would cost more than the
    output, elements are gathered by index.
    """
    carrier = x.dtype
    x = _carrier_bits(x)
    src = x.reshape(tuple(src_shape)) if src_shape else x.reshape(1)
    bounds = reach(src_shape, offset, mapping, shape) if src_shape else [(0, 0)]
    if not src_shape:
        src_shape, offset, mapping = (1,), (0,), tuple((0, 0) for _ in shape)
    out: Tensor | None = None
    signs = [{s > 0 for a, s in mapping if a == axis and s} for axis in range(len(src_shape))]
    if all(len(s) < 2 for s in signs):
        out = _strided(src, offset, mapping, fill, shape, bounds, [s == {False} for s in signs])
    if out is None:
        out = _gathered(src, offset, mapping, fill, shape)
    return out.view(carrier) if out.dtype != carrier else out


def _strided(
    src: Tensor,
    offset: Sequence[int],
    mapping: Mapping,
    fill: int,
    shape: Sequence[int],
    bounds: Sequence[tuple[int, int]],
    backwards: Sequence[bool],
) -> Tensor | None:
    pad = [(max(0, -low), max(0, high - extent + 1)) for (low, high), extent in zip(bounds, src.shape, strict=True)]
    offset, extents = list(offset), list(src.shape)
    if any(before or after for before, after in pad):
        padded = [before + extent + after for extent, (before, after) in zip(extents, pad, strict=True)]
        if math.prod(padded) > 2 * math.prod(shape) + 2 * src.numel() + 4096:
            return None
        wide = _fill_value(src.dtype, fill).to(src.device).expand(padded).clone(memory_format=torch.contiguous_format)
        inner = wide
        for axis, (before, _) in enumerate(pad):
            inner = inner.narrow(axis, before, extents[axis])
        inner.copy_(src)
        src, extents = wide, padded
        offset = [o + before for o, (before, _) in zip(offset, pad, strict=True)]
    if any(backwards):
        axes = [axis for axis, back in enumerate(backwards) if back]
        src = src.flip(axes)
        offset = [extents[d] - 1 - o if backwards[d] else o for d, o in enumerate(offset)]
    src = src.contiguous()
    strides = strides_of(extents)
    start = sum(o * s for o, s in zip(offset, strides, strict=True))
    steps = [abs(stride) * strides[axis] for axis, stride in mapping]
    return src.as_strided(tuple(shape), steps, src.storage_offset() + start)


def _gathered(src: Tensor, offset: Sequence[int], mapping: Mapping, fill: int, shape: Sequence[int]) -> Tensor:
    device = src.device
    strides = strides_of(src.shape)
    linear: Tensor | int = 0
    inside: Tensor | None = None
    for axis, extent in enumerate(src.shape):
        index = torch.full((1,) * len(shape), offset[axis], dtype=torch.int64, device=device)
        for out_axis, (target, stride) in enumerate(mapping):
            if target == axis and stride:
                steps = torch.arange(shape[out_axis], dtype=torch.int64, device=device) * stride
                index = index + steps.reshape([-1 if a == out_axis else 1 for a in range(len(shape))])
        ok = (index >= 0) & (index < extent)
        inside = ok if inside is None else inside & ok
        linear = index.clamp(0, extent - 1) * strides[axis] + linear
    assert isinstance(linear, Tensor)
    assert inside is not None
    values = src.reshape(-1)[linear.expand(tuple(shape))]
    return torch.where(inside.expand(tuple(shape)), values, _fill_value(src.dtype, fill).to(device))


def concat(parts: Sequence[Tensor], axis: int) -> Tensor:
    """Parts joined along an axis."""
    return torch.cat([_carrier_bits(p) for p in parts], dim=axis).view(parts[0].dtype)


def gather(table: Tensor, index: Tensor) -> Tensor:
    """Rows of table [R, rest] by i32 index [I]: [I, rest]; zeros for an index outside 0..R-1."""
    rows = _carrier_bits(table)
    inside = (index >= 0) & (index < rows.shape[0])
    flat = torch.where(inside, index, 0).reshape(-1).long()
    taken = rows.index_select(0, flat).reshape((*index.shape, *rows.shape[1:]))
    mask = inside.reshape((*index.shape, *([1] * (rows.dim() - 1))))
    return torch.where(mask, taken, torch.zeros((), dtype=rows.dtype, device=rows.device)).view(table.dtype)
