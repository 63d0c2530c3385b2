"""ATen's pooling and its backward passes."""

from __future__ import annotations

from collections.abc import Sequence

from lockstep.numerics.dtypes import DType
from lockstep.program.emitter import Value
from lockstep.program.graph import Shape, View
from lockstep.program.lowering.convolution import Geometry
from lockstep.program.lowering.indexing import put_add, take
from lockstep.program.lowering.registry import Context, lowers

F32 = DType.F32
_MINUS_INFINITY = 0xFF800000


def _both(numbers: Sequence[int], default: tuple[int, int]) -> tuple[int, int]:
    if not numbers:
        return default
    return (int(numbers[0]), int(numbers[-1]))


def _geometry(
    c: Context,
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    out: Sequence[int],
) -> Geometry:
    if len(x.shape) != 4:
        raise c.refuse("carried for images of shape [N, C, H, W]")
    window = _both(kernel, (1, 1))
    every, h, w = x.shape[0] * x.shape[1], x.shape[2], x.shape[3]
    return Geometry(
        every, 1, 1, 1, (h, w), window, (int(out[-2]), int(out[-1])), _both(stride, window),
        _both(padding, (0, 0)), _both(dilation, (1, 1)),
    )  # fmt: skip


def _windows(c: Context, x: Value, g: Geometry, fill: int) -> Value:
    """[images, rows, columns, taps] of an image seen through its windows."""
    (sh, sw), (ph, pw), (dh, dw) = g.stride, g.padding, g.dilation
    seen = View((g.samples, *g.image), (0, -ph, -pw), ((0, 1), (1, sh), (2, sw), (1, dh), (2, dw)), fill)
    return c.b.reshape(c.b.view(x, seen, (g.samples, *g.out, *g.kernel)), (g.samples, *g.out, g.taps))


def _folded(c: Context, parts: Value, g: Geometry) -> Value:
    """[images, image]: every pixel the sum of the window elements that saw it ([images, rows, columns, taps])."""
    b, (kh, kw), (sh, sw), (ph, pw), (dh, dw) = c.b, g.kernel, g.stride, g.padding, g.dilation
    (rows, columns), (h, w) = g.out, g.image
    if (kh, kw) == (sh, sw) and (ph, pw, dh, dw) == (0, 0, 1, 1):
        side_by_side = b.permute(b.reshape(parts, (g.samples, rows, columns, kh, kw)), (0, 1, 3, 2, 4))
        whole = b.reshape(side_by_side, (g.samples, rows * kh, columns * kw))
        return b.pad(b.pad(whole, 1, 0, h - rows * kh), 2, 0, w - columns * kw)
    # Put the window of place r at row r * s of a grid with room around, so that the window element k that
    # saw pixel y lies at row y + p - k * d: an index that never leaves the grid needs no fill.
    before = [-(-(d * (k - 1)) // s) for d, k, s in zip(g.dilation, g.kernel, g.stride, strict=True)]
    grid = [
        max(room + out, -(-(room * s + size + p) // s))
        for room, out, size, p, s in zip(before, g.out, g.image, g.padding, g.stride, strict=True)
    ]
    spread = View(
        (g.samples, rows, 1, columns, 1, g.taps),
        (0, -before[0], 0, -before[1], 0, 0),
        tuple((axis, 1) for axis in range(6)),
    )
    wide = b.view(parts, spread, (g.samples, grid[0], sh, grid[1], sw, g.taps))
    tall, broad = grid[0] * sh, grid[1] * sw
    row, column = broad * g.taps, g.taps
    start = (before[0] * sh + ph) * row + (before[1] * sw + pw) * column
    lookup = View(
        (g.samples * tall * broad * g.taps,),
        (start,),
        ((0, tall * row), (0, row), (0, column), (0, kw - dh * row), (0, 1 - dw * column)),
    )
    seen = b.view(wide, lookup, (g.samples, h, w, kh, kw))
    return b.sum_rows(b.reshape(seen, (g.samples, h, w, g.taps)))


@lowers("max_pool2d_with_indices")
def max_pool2d(
    c: Context,
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    ceil_mode: bool = False,
) -> tuple[Value, Value]:
    """Largest of each window, and its number within the window (not within the image, as ATen has it)."""
    for user in c.node.users:
        if user.args[1] == 1 and any("backward" not in str(reader.target) for reader in user.users):
            raise c.refuse("the winners' indices are not carried as values")
    out = tuple(int(extent) for extent in c.node.meta["val"][0].shape)
    rows = _windows(c, x, _geometry(c, x, kernel, stride, padding, dilation, out), _MINUS_INFINITY)
    return c.b.reshape(c.b.max_rows(rows), out), c.b.reshape(c.b.argmax_rows(rows), out)


@lowers("max_pool2d_with_indices_backward")
def max_pool2d_backward(
    c: Context,
    grad: Value,
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
    winners: Value,
) -> Value:
    """The gradient at each window's winner, summed where windows overlap."""
    g = _geometry(c, x, kernel, stride, padding, dilation, grad.shape)
    shape = (g.samples, *g.out, g.taps)
    flat = (g.samples, *g.out)
    number = c.b.expand(c.b.iota((g.taps,)), shape)
    won = c.b.ieq(c.b.expand_rows(c.b.reshape(winners, flat), g.taps), number)
    parts = c.b.select(won, c.b.expand_rows(c.b.reshape(grad, flat), g.taps), 0.0)
    return c.b.reshape(_folded(c, parts, g), x.shape)


def _counts(c: Context, g: Geometry, ceil_mode: bool, include_pad: bool) -> list[Value]:
    """i32 [rows] and [columns]: how many places of the image (or of its padding too) the windows cover."""
    b, made = c.b, []
    for out, size, k, s, p in zip(g.out, g.image, g.kernel, g.stride, g.padding, strict=True):
        start = b.isub(b.imul(b.iota((out,)), s), p)
        end = b.iadd(start, k)
        limit = size + p if include_pad else size
        end = b.select(b.ilt(end, limit), end, limit)
        start = start if include_pad else b.select(b.ilt(start, 0), 0, start)
        made.append(b.isub(end, start))
    return made


def _divisor(c: Context, g: Geometry, ceil_mode: bool, include_pad: bool, override: int | None) -> Value | float:
    """What a window's sum is divided by: one number, or [images, rows, columns] where windows differ."""
    if override:
        return float(override)
    if not ceil_mode and (include_pad or g.padding == (0, 0)):
        return float(g.taps)
    rows, columns = _counts(c, g, ceil_mode, include_pad)
    every = c.b.imul(c.b.expand_rows(rows, g.out[1]), c.b.expand(columns, g.out))
    return c.b.expand(c.b.cast(every, F32), (g.samples, *g.out))


@lowers("avg_pool2d")
def avg_pool2d(
    c: Context,
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    ceil_mode: bool = False,
    include_pad: bool = True,
    divisor: int | None = None,
) -> Value:
    """Mean of each window."""
    g = _geometry(c, x, kernel, stride, padding, (), c.shape)
    count = _divisor(c, g, ceil_mode, include_pad, divisor)
    return c.b.reshape(c.b.div(c.b.sum_rows(_windows(c, x, g, 0)), count), c.shape)


@lowers("avg_pool2d_backward")
def avg_pool2d_backward(
    c: Context,
    grad: Value,
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    include_pad: bool,
    divisor: int | None,
) -> Value:
    """An equal share of the gradient to every element of the window."""
    g = _geometry(c, x, kernel, stride, padding, (), grad.shape)
    share = c.b.div(c.b.reshape(grad, (g.samples, *g.out)), _divisor(c, g, ceil_mode, include_pad, divisor))
    return c.b.reshape(_folded(c, c.b.expand_rows(share, g.taps), g), x.shape)


def _adaptive(c: Context, extent: int, out: int) -> tuple[Value, Value]:
    """Windows that share an axis out: i32 [out, longest] of places (-1 past a window's end), f32 [out] lengths.

    Window o runs from ``floor(o extent / out)`` to ``ceil((o + 1) extent / out)``.
    """
    b = c.b
    longest = max(-(-(o + 1) * extent // out) - o * extent // out for o in range(out))
    start = b.udiv(b.imul(b.iota((out,)), extent), out)
    end = b.udiv(b.iadd(b.imul(b.iota((out,)), extent), extent + out - 1), out)
    place = b.iadd(b.expand_rows(start, longest), b.expand(b.iota((longest,)), (out, longest)))
    inside = b.ilt(place, b.expand_rows(end, longest))
    return b.select(inside, place, -1), b.cast(b.isub(end, start), F32)


def _along(c: Context, length: Value, axis: int, shape: Shape) -> Value:
    mapping = tuple((0, int(a == axis)) for a in range(len(shape)))
    return c.b.view(length, View(length.shape, (0,), mapping), shape)


@lowers("_adaptive_avg_pool2d")
def adaptive_avg_pool2d(c: Context, x: Value, out: Sequence[int]) -> Value:
    """Means of windows that share the image out, equal ones where the output divides the image."""
    if x.shape[-2] % int(out[0]) == 0 and x.shape[-1] % int(out[1]) == 0:
        return avg_pool2d(c, x, (x.shape[-2] // int(out[0]), x.shape[-1] // int(out[1])))
    for axis in (len(x.shape) - 2, len(x.shape) - 1):
        places, lengths = _adaptive(c, x.shape[axis], int(out[axis - len(x.shape)]))
        total = c.b.sum_axes(take(c, x, axis, places), [axis + 1])
        x = c.b.div(total, _along(c, lengths, axis, total.shape))
    return x


@lowers("_adaptive_avg_pool2d_backward")
def adaptive_avg_pool2d_backward(c: Context, grad: Value, x: Value) -> Value:
    """An equal share of the gradient to every element of the window."""
    if x.shape[-2] % grad.shape[-2] == 0 and x.shape[-1] % grad.shape[-1] == 0:
        kernel = (x.shape[-2] // grad.shape[-2], x.shape[-1] // grad.shape[-1])
        return avg_pool2d_backward(c, grad, x, kernel, (), (0, 0), False, True, None)
    for axis in (len(x.shape) - 1, len(x.shape) - 2):
        places, lengths = _adaptive(c, x.shape[axis], grad.shape[axis])
        share = c.b.div(grad, _along(c, lengths, axis, grad.shape))
        wide = c.b.reshape(share, (*share.shape[: axis + 1], 1, *share.shape[axis + 1 :]))
        wide = c.b.expand(wide, (*share.shape[: axis + 1], places.shape[1], *share.shape[axis + 1 :]))
        grad = put_add(c, wide, axis, places, x.shape[axis])
    return grad


@lowers("adaptive_max_pool2d")
def adaptive_max_pool2d(c: Context, x: Value, out: Sequence[int]) -> tuple[Value, Value]:
    """Largest of equal windows; the output divides the image."""
    if x.shape[-2] % int(out[0]) or x.shape[-1] % int(out[1]):
        raise c.refuse(f"carried where {list(out)} divides the image {list(x.shape[-2:])}", "Use nn.MaxPool2d.")
    return max_pool2d(c, x, (x.shape[-2] // int(out[0]), x.shape[-1] // int(out[1])))


@lowers("adaptive_max_pool2d_backward")
def adaptive_max_pool2d_backward(c: Context, grad: Value, x: Value, winners: Value) -> Value:
    """The gradient at each window's winner."""
    kernel = (x.shape[-2] // grad.shape[-2], x.shape[-1] // grad.shape[-1])
    return max_pool2d_backward(c, grad, x, kernel, (), (0, 0), (1, 1), False, winners)


# windows as values


def _unfolding(
    c: Context, x: Shape, kernel: Sequence[int], dilation: Sequence[int], padding: Sequence[int], stride: Sequence[int]
) -> Geometry:
    """Sizes of the windows nn.Unfold shows of an image [N, C, H, W]."""
    if len(x) != 4:
        raise c.refuse("carried for images of shape [N, C, H, W]")
    out = [
        (x[2 + i] + 2 * int(padding[i]) - int(dilation[i]) * (int(kernel[i]) - 1) - 1) // int(stride[i]) + 1
        for i in (0, 1)
    ]
    pairs = [_both(numbers, (1, 1)) for numbers in (kernel, out, stride, padding, dilation)]
    return Geometry(x[0] * x[1], 1, 1, 1, (x[2], x[3]), *pairs)


@lowers("im2col")
def im2col(
    c: Context, x: Value, kernel: Sequence[int], dilation: Sequence[int], padding: Sequence[int], stride: Sequence[int]
) -> Value:
    """nn.Unfold: the windows of an image as columns [N, C * taps, places]."""
    g = _unfolding(c, x.shape, kernel, dilation, padding, stride)
    return c.b.reshape(c.b.permute(_windows(c, x, g, 0), (0, 3, 1, 2)), c.shape)


@lowers("col2im")
def col2im(
    c: Context,
    x: Value,
    size: Sequence[int],
    kernel: Sequence[int],
    dilation: Sequence[int],
    padding: Sequence[int],
    stride: Sequence[int],
) -> Value:
    """nn.Fold: the exact sum of what the columns say of each place of an image."""
    g = _unfolding(c, c.shape, kernel, dilation, padding, stride)
    parts = c.b.permute(c.b.reshape(x, (g.samples, g.taps, *g.out)), (0, 2, 3, 1))
    return c.b.reshape(_folded(c, c.b.materialise(parts), g), c.shape)
