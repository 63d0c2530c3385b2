"""ATen's padding with the image's own elements: reflected or repeated at the borders, axis by axis.

What stands before and after an axis is a view of the axis; its gradient is added back where it came from.
"""

from __future__ import annotations

from collections.abc import Sequence

from lockstep.program.emitter import Value
from lockstep.program.lowering.registry import Context, lowers

REFLECTED, REPEATED = "reflected", "repeated"


def _border(c: Context, x: Value, axis: int, count: int, kind: str, *, end: bool) -> Value:
    """``count`` elements that stand before (or after) an axis."""
    extent = x.shape[axis]
    if kind == REFLECTED:
        return c.b.slice(x, axis, extent - 2 if end else count, count, -1)
    edge = c.b.slice(x, axis, extent - 1 if end else 0, 1)
    return c.b.expand(edge, (*x.shape[:axis], count, *x.shape[axis + 1 :]))


def _padded(c: Context, x: Value, pads: Sequence[int], kind: str) -> Value:
    if any(pad < 0 for pad in pads):
        raise c.refuse("negative padding is not carried", "Slice instead.")
    for at in range(len(pads) // 2):
        axis, (before, after) = len(x.shape) - 1 - at, pads[2 * at : 2 * at + 2]
        pieces = [_border(c, x, axis, before, kind, end=False)] if before else []
        pieces.append(x)
        if after:
            pieces.append(_border(c, x, axis, after, kind, end=True))
        x = c.b.concat([c.b.materialise(piece) for piece in pieces], axis)
    return x


def _added_back(c: Context, grad: Value, axis: int, before: int, after: int, kind: str) -> Value:
    """The gradient by an axis of what was padded: its own part plus its borders' where they came from."""
    b, extent = c.b, grad.shape[axis] - before - after
    total = b.slice(grad, axis, before, extent)
    for count, start, end in ((before, 0, False), (after, before + extent, True)):
        if not count:
            continue
        part = b.slice(grad, axis, start, count)
        if kind == REFLECTED:
            lead = extent - 1 - count if end else 1
            part = b.flip(part, axis)
        else:
            lead = extent - 1 if end else 0
            part = b.sum_axes(part, [axis], keepdim=True)
        total = b.add(total, b.pad(part, axis, lead, extent - lead - part.shape[axis]))
    return total


def _padded_backward(c: Context, grad: Value, pads: Sequence[int], kind: str) -> Value:
    for at in reversed(range(len(pads) // 2)):
        grad = _added_back(c, grad, len(grad.shape) - 1 - at, pads[2 * at], pads[2 * at + 1], kind)
    return grad


@lowers("reflection_pad1d", "reflection_pad2d")
def reflection_pad(c: Context, x: Value, pads: Sequence[int]) -> Value:
    """Borders mirrored about the outermost elements."""
    return _padded(c, x, pads, REFLECTED)


@lowers("reflection_pad1d_backward", "reflection_pad2d_backward")
def reflection_pad_backward(c: Context, grad: Value, _x: Value, pads: Sequence[int]) -> Value:
    """The borders' gradients added to the elements they mirror."""
    return _padded_backward(c, grad, pads, REFLECTED)


@lowers("replication_pad1d", "replication_pad2d")
def replication_pad(c: Context, x: Value, pads: Sequence[int]) -> Value:
    """Borders of the outermost elements repeated."""
    return _padded(c, x, pads, REPEATED)


@lowers("replication_pad1d_backward", "replication_pad2d_backward")
def replication_pad_backward(c: Context, grad: Value, _x: Value, pads: Sequence[int]) -> Value:
    """The borders' gradients added to the outermost elements."""
    return _padded_backward(c, grad, pads, REPEATED)
