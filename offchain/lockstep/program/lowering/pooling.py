"""ATen's pooling and its backward passes."""

from __future__ import annotations

from collections.abc import Sequence

from lockstep.program.emitter import Value
from lockstep.program.graph import View
from lockstep.program.lowering.convolution import Geometry
from lockstep.program.lowering.registry import Context, lowers

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


def _divisor(c: Context, g: Geometry, ceil_mode: bool, include_pad: bool, override: int | None) -> float:
    if ceil_mode or (not include_pad and g.padding != (0, 0)):
        raise c.refuse("carried without ceil_mode and with count_include_pad")
    return float(override or g.taps)


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


@lowers("_adaptive_avg_pool2d")
def adaptive_avg_pool2d(c: Context, x: Value, out: Sequence[int]) -> Value:
    """Means of equal windows; the image is a multiple of the output in both directions."""
    if x.shape[-2] % int(out[0]) or x.shape[-1] % int(out[1]):
        raise c.refuse(f"carried where {list(out)} divides the image {list(x.shape[-2:])}")
    kernel = (x.shape[-2] // int(out[0]), x.shape[-1] // int(out[1]))
    return avg_pool2d(c, x, kernel)


@lowers("_adaptive_avg_pool2d_backward")
def adaptive_avg_pool2d_backward(c: Context, grad: Value, x: Value) -> Value:
    """An equal share of the gradient to every element of the window."""
    kernel = (x.shape[-2] // grad.shape[-2], x.shape[-1] // grad.shape[-1])
    return avg_pool2d_backward(c, grad, x, kernel, (), (0, 0), False, True, None)
