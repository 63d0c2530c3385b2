"""Convolution and its gradients: quantise the image once, see it through windows, contract exactly.

Every window shares its sample's exponent, so what the windows show are the image's own mantissas, and
an engine may compute the contraction as any exact integer convolution. The shape of the graph is always::

    exponent, quantize (image as [samples, rest])
    view    the windows, [groups, samples, rows, columns, channels, kernel rows, kernel columns]
    view    the same as [groups, samples * rows * columns, channels * kernel]
    matmul  with the weights as [groups, out channels, channels * kernel]

and the same for the gradient by the image (windows on the output's gradient, a contraction for each phase of
the stride) and by the weights (one exponent a channel, windows joined with the samples).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lockstep.program.emitter import Value
from lockstep.program.graph import Shape, View
from lockstep.program.lowering.registry import Context, lowers


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes of a two-dimensional convolution; pairs are (rows, columns)."""

    samples: int
    groups: int
    channels: int
    """Input channels a group."""
    filters: int
    """Output channels a group."""
    image: tuple[int, int]
    kernel: tuple[int, int]
    out: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    @property
    def taps(self) -> int:
        """Positions of the kernel."""
        return self.kernel[0] * self.kernel[1]

    @property
    def places(self) -> int:
        """Positions of the output."""
        return self.out[0] * self.out[1]

    @property
    def pixels(self) -> int:
        """Positions of the image."""
        return self.image[0] * self.image[1]


def _pair(numbers: Sequence[int]) -> tuple[int, int]:
    return (1, int(numbers[0])) if len(numbers) == 1 else (int(numbers[0]), int(numbers[1]))


def geometry(
    c: Context,
    image: Shape,
    weight: Shape,
    out: Shape,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Geometry:
    """Sizes of the convolution that takes ``image`` to ``out``; one-dimensional ones are images of one row."""
    rank = len(image) - 2
    if rank not in (1, 2):
        raise c.refuse(f"{rank}-dimensional convolution is not carried", "nn.Conv1d and nn.Conv2d are.")
    flat = (1,) if rank == 1 else ()
    pads = (0, int(padding[0])) if rank == 1 else _pair(padding)
    return Geometry(
        image[0], groups, image[1] // groups, weight[0] // groups, _pair((*flat, *image[2:])),
        _pair((*flat, *weight[2:])), _pair((*flat, *out[2:])), _pair(stride), pads, _pair(dilation),
    )  # fmt: skip


def _grouped(g: Geometry, shape: Shape) -> Shape:
    """A shape with the leading axis of groups, which is left out where there is one group."""
    return shape if g.groups == 1 else (g.groups, *shape)


def _flat(c: Context, x: Value, g: Geometry, last: int) -> Value:
    """The windows' axes joined into rows: [groups.., everything else, last]."""
    count = 1
    for extent in x.shape:
        count *= extent
    return c.b.reshape(x, _grouped(g, (count // g.groups // last, last)))


def _expanded(c: Context, e: Value, g: Geometry, places: int) -> Value:
    """Exponents [samples] as those of the rows [groups.., samples * places]."""
    lead = (g.groups, g.samples, places)
    wide = c.b.view(e, View(e.shape, (0,), ((0, 0), (0, 1), (0, 0))), lead)
    return c.b.reshape(wide, _grouped(g, (g.samples * places,)))


def _thinned(c: Context, x: Value, g: Geometry) -> tuple[Value, Geometry]:
    """The pixels that windows of one pixel see, as an image of its own; others as they are."""
    if g.kernel != (1, 1) or g.padding != (0, 0) or g.stride == (1, 1):
        return x, g
    shape = (g.samples, g.groups * g.channels, *g.image)
    every = View(shape, (0,) * 4, ((0, 1), (1, 1), (2, g.stride[0]), (3, g.stride[1])))
    thin = c.b.view(c.b.reshape(x, shape), every, (*shape[:2], *g.out))
    return thin, replace(g, image=g.out, stride=(1, 1), dilation=(1, 1))


def forward(c: Context, x: Value, weight: Value, g: Geometry) -> Value:
    """f32 [samples, groups * filters, rows, columns]: the convolution without its bias."""
    x, g = _thinned(c, x, g)
    b, length = c.b, g.channels * g.taps
    image = b.quantized_parts(b.reshape(x, (g.samples, g.groups * g.channels * g.pixels)), residual=c.is_precise)
    (h, w), (sh, sw), (ph, pw), (dh, dw) = g.image, g.stride, g.padding, g.dilation
    windows = View(
        (g.samples, g.groups, g.channels, h, w),
        (0, 0, 0, -ph, -pw),
        ((1, 1), (0, 1), (3, sh), (4, sw), (2, 1), (3, dh), (4, dw)),
    )
    shape = (g.groups, g.samples, *g.out, g.channels, *g.kernel)
    seen = [(b.view(m, windows, shape), e) for m, e in image]
    kernels = b.quantized_parts(b.reshape(weight, _grouped(g, (g.filters, length))), residual=c.is_precise)
    y = b.matmul_parts([(_flat(c, m, g, length), _expanded(c, e, g, g.places)) for m, e in seen], kernels)
    y = b.permute(b.reshape(y, (g.groups, g.samples, g.places, g.filters)), (1, 0, 3, 2))
    return b.reshape(y, (g.samples, g.groups * g.filters, *g.out))


def input_gradient(c: Context, grad: Value, weight: Value, g: Geometry) -> Value:
    """f32 [samples, groups * channels, image]: each pixel the sum over the windows that saw it.

    A stride leaves pixels that only some of the kernel's positions reach. Pixels are taken together by their place
    between two windows (a phase), so that nothing is multiplied by the zeros that the stride would put into ``grad``.
    """
    if all(k <= s and d == 1 for k, s, d in zip(g.kernel, g.stride, g.dilation, strict=True)) and g.stride != (1, 1):
        return _disjoint(c, grad, weight, g)
    b = c.b
    gradient = b.quantized_parts(b.reshape(grad, (g.samples, g.groups * g.filters * g.places)), residual=c.is_precise)
    by_channel = b.permute(b.reshape(weight, (g.groups, g.filters, g.channels, g.taps)), (0, 2, 1, 3))
    flat = b.reshape(by_channel, _grouped(g, (g.channels, g.filters * g.taps)))
    kernels = b.quantized_parts(flat, residual=c.is_precise)
    phases = [Phase.of(g, at) for at in itertools.product(*map(range, g.stride))]
    (ph, pw), (sh, sw), images = phases[0].extents, g.stride, g.samples * g.groups * g.channels
    wide = [_expanded(c, e, g, ph * pw) for _, e in gradient]
    parts = []
    for phase in phases:
        if not phase.taps:
            parts.append(b.f32(0.0, (1, images * ph * pw)))
            continue
        length = g.filters * phase.taps
        windows = View(
            (g.samples, g.groups, g.filters, *g.out),
            (0, 0, 0, *phase.offset),
            ((1, 1), (0, 1), (3, 1), (4, 1), (2, 1), (3, phase.back[0]), (4, phase.back[1])),
        )
        shape = (g.groups, g.samples, ph, pw, g.filters, *phase.counts)
        seen = [b.view(m, windows, shape) for m, _ in gradient]
        chosen = View(
            (g.groups * g.channels * g.filters, *g.kernel),
            (0, *phase.first),
            ((0, 1), (1, phase.every[0]), (2, phase.every[1])),
        )
        reaching = (g.groups * g.channels * g.filters, *phase.counts)
        some = [(b.reshape(b.view(m, chosen, reaching), _grouped(g, (g.channels, length))), e) for m, e in kernels]
        part = b.matmul_parts([(_flat(c, m, g, length), e) for m, e in zip(seen, wide, strict=True)], some)
        part = b.permute(b.reshape(part, (g.groups, g.samples, ph * pw, g.channels)), (1, 0, 3, 2))
        parts.append(b.reshape(part, (1, images * ph * pw)))
    every = b.concat(parts, 0)
    order = View((sh, sw, images, ph, pw), (0,) * 5, ((2, 1), (3, 1), (0, 1), (4, 1), (1, 1)))
    x = b.reshape(b.view(every, order, (images, ph, sh, pw, sw)), (g.samples, images // g.samples, ph * sh, pw * sw))
    return _trimmed(c, x, g, (0, 0))


@dataclass(frozen=True, slots=True)
class Phase:
    """The pixels Y = stride * i + at of an image and the kernel positions that reach them; pairs are (rows, columns).

    Position k reaches Y from the window o = (Y + padding - k * dilation) / stride, where that is whole: for k =
    first + every * u, from o = i + offset + back * u.
    """

    extents: tuple[int, int]
    """How many i there are: as many in every phase, the last ones perhaps beyond the image."""
    counts: tuple[int, int]
    first: tuple[int, int]
    every: tuple[int, int]
    offset: tuple[int, int]
    back: tuple[int, int]

    @property
    def taps(self) -> int:
        """Positions of the kernel that reach these pixels."""
        return self.counts[0] * self.counts[1]

    @classmethod
    def of(cls, g: Geometry, at: Sequence[int]) -> Phase:
        """The phase of pixels at this place between two windows."""
        axes = []
        for a, size, k, s, p, d in zip(at, g.image, g.kernel, g.stride, g.padding, g.dilation, strict=True):
            every = s // math.gcd(s, d)
            reaching = [tap for tap in range(k) if (a + p - tap * d) % s == 0]
            first = reaching[0] if reaching else 0
            axes.append((-(-size // s), len(reaching), first, every, (a + p - first * d) // s, -every * d // s))
        rows, columns = axes
        return cls(*zip(rows, columns, strict=True))


def _trimmed(c: Context, x: Value, g: Geometry, offset: tuple[int, int]) -> Value:
    """The image's part of [samples, channels, rows, columns] from ``offset`` on, zeros beyond what there is."""
    cut = View(x.shape, (0, 0, *offset), tuple((axis, 1) for axis in range(4)))
    return c.b.view(x, cut, (*x.shape[:2], *g.image))


def _disjoint(c: Context, grad: Value, weight: Value, g: Geometry) -> Value:
    """The same where windows do not overlap: every product is a pixel, and pixels between windows are 0."""
    b, (sh, sw) = c.b, g.stride
    rows = b.reshape(grad, (g.samples, g.groups, g.filters, g.places))
    rows = b.reshape(b.permute(rows, (1, 0, 3, 2)), _grouped(g, (g.samples * g.places, g.filters)))
    columns = b.permute(b.reshape(weight, (g.groups, g.filters, g.channels * g.taps)), (0, 2, 1))
    both = (c.is_precise, c.is_precise)
    x = b.contract(rows, b.reshape(columns, _grouped(g, (g.channels * g.taps, g.filters))), residuals=both)
    parts = View(
        (g.groups, g.samples, *g.out, g.channels, *g.kernel), (0,) * 7,
        tuple((axis, 1) for axis in (1, 0, 4, 2, 5, 3, 6)),
    )  # fmt: skip
    (h, w) = g.out
    x = b.view(x, parts, (g.samples, g.groups, g.channels, h, sh, w, sw))
    return _trimmed(c, b.reshape(x, (g.samples, g.groups * g.channels, h * sh, w * sw)), g, g.padding)


def weight_gradient(c: Context, grad: Value, x: Value, g: Geometry) -> Value:
    """f32 [groups * filters, channels, kernel]: each weight the sum over samples and places."""
    x, g = _thinned(c, x, g)
    b, length = c.b, g.samples * g.places
    channels = g.groups * g.channels
    by_filter = b.rows(b.reshape(grad, (g.samples, g.groups * g.filters, g.places)), (0, 2))
    gradient = b.quantized_parts(b.reshape(by_filter, _grouped(g, (g.filters, length))), residual=c.is_precise)
    image = b.quantized_parts(b.rows(b.reshape(x, (g.samples, channels, g.pixels)), (0, 2)), residual=c.is_precise)
    (h, w), (sh, sw), (ph, pw), (dh, dw) = g.image, g.stride, g.padding, g.dilation
    windows = View(
        (g.groups, g.channels, g.samples, h, w),
        (0, 0, 0, -ph, -pw),
        ((0, 1), (1, 1), (3, dh), (4, dw), (2, 1), (3, sh), (4, sw)),
    )
    shape, wide = (g.groups, g.channels, *g.kernel, g.samples, *g.out), _grouped(g, (g.channels * g.taps,))
    seen = [(b.view(m, windows, shape), b.reshape(b.expand_rows(e, g.taps), wide)) for m, e in image]
    dw_flat = b.matmul_parts(gradient, [(_flat(c, m, g, length), e) for m, e in seen])
    return b.reshape(dw_flat, (g.groups * g.filters, g.channels, *g.kernel))


def per_channel(c: Context, x: Value, shape: Shape) -> Value:
    """A vector of channels widened to [samples, channels, ...]."""
    return c.b.view(x, View(x.shape, (0,), ((0, 0), (0, 1), *((0, 0),) * (len(shape) - 2))), shape)


@lowers("convolution")
def convolution(
    c: Context,
    x: Value,
    weight: Value,
    bias: Value | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    _output_padding: Sequence[int],
    groups: int,
) -> Value:
    """nn.Conv1d, nn.Conv2d and their transposed kinds: strides, paddings, dilations, groups.

    A transposed convolution is the gradient by the image of the convolution that takes its output to its input.
    """
    image, out = (c.shape, x.shape) if transposed else (x.shape, c.shape)
    g = geometry(c, image, weight.shape, out, stride, padding, dilation, groups)
    y = input_gradient(c, x, weight, g) if transposed else forward(c, x, weight, g)
    y = c.b.reshape(y, c.shape)
    return y if bias is None else c.b.add(y, per_channel(c, bias, y.shape))


@lowers("convolution_backward")
def convolution_backward(
    c: Context,
    grad: Value,
    x: Value,
    weight: Value,
    _bias_sizes: Sequence[int] | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    _output_padding: Sequence[int],
    groups: int,
    mask: Sequence[bool],
) -> tuple[Value | None, Value | None, Value | None]:
    """Gradients by image, weight and bias, as far as they are asked for."""
    image, out = (grad, x) if transposed else (x, grad)
    g = geometry(c, image.shape, weight.shape, out.shape, stride, padding, dilation, groups)
    dx = dw = None
    if mask[0]:
        by_image = forward(c, grad, weight, g) if transposed else input_gradient(c, grad, weight, g)
        dx = c.b.reshape(by_image, x.shape)
    if mask[1]:
        dw = c.b.reshape(weight_gradient(c, out, image, g), weight.shape)
    axes = [axis for axis in range(len(grad.shape)) if axis != 1]
    return dx, dw, c.b.sum_axes(grad, axes) if mask[2] else None
