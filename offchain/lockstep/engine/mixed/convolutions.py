"""Contractions that are convolutions: windows on an image, seen through a view, under one kernel.

The view shows element (p, q, i, j) of a tensor of images for row (p, u, v) and term (q, r, s) of an operand, where i =
o + a u + b r and j likewise: a convolution of stride a and dilation b of images p with channels q. In the gradient by
the weights rows are the kernel's places and terms the batch and the output's places: the same formula, and a kernel as
large as the output, for which PyTorch has a function of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from lockstep.engine.mixed.kernels import is_reshape
from lockstep.program.graph import Input, Node, Program, View
from lockstep.program.ops import InputKind, Op

MIN_PLACES = 32
"""Places of an image from which the gradient by the weights is not quicker as one product of the windows themselves."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of an image under windows: steps of rows and terms along it, how many, margins before and after."""

    stride: int
    dilation: int
    rows: int
    terms: int
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Convolution:
    """A contraction as a convolution of the quantised node ``images``, which windows show, by the operand ``kernel``.

    ``slot`` says which operand has the windows, ``source`` is the images' shape [count, rows, columns]; ``samples`` and
    ``channels`` divide the count, channels outermost where ``channels_first``.
    """

    images: int
    kernel: int
    slot: int
    source: tuple[int, int, int]
    samples: int
    channels: int
    channels_first: bool
    axes: tuple[Axis, Axis]

    @property
    def is_kernel_gradient(self) -> bool:
        """Whether the kernel is larger than what comes out, so that it is the output of another convolution."""
        return math.prod(axis.terms for axis in self.axes) > math.prod(axis.rows for axis in self.axes)

    def run(self, images: Tensor, kernel: Tensor) -> Tensor:
        """f32 [M, N]: the contraction, of the floats of the images and of the other operand [J, channels * terms]."""
        rows, columns = self.axes
        _, height, width = self.source
        # A convolution of bfloat16 tensors would round its results, too.
        images, kernel = images.float(), kernel.float()
        if self.channels_first:
            x = images.reshape(self.channels, self.samples, height, width).transpose(0, 1)
        else:
            x = images.reshape(self.samples, self.channels, height, width)
        w = kernel.reshape(-1, self.channels, rows.terms, columns.terms)
        turned = [2 + i for i, axis in enumerate(self.axes) if axis.dilation < 0]
        if turned:
            w = w.flip(turned)
        margins = [axis.before for axis in self.axes]
        if any(axis.before != axis.after or axis.before < 0 for axis in self.axes):
            x = pad(x, (columns.before, columns.after, rows.before, rows.after))
            margins = [0, 0]
        stride = [axis.stride for axis in self.axes]
        dilation = [abs(axis.dilation) for axis in self.axes]
        if self.is_kernel_gradient:
            y = _kernel_gradient(x, w, stride, dilation, margins, (rows.rows, columns.rows))
        else:
            y = conv2d(x, w, None, stride, margins, dilation)
        if self.slot == 0:
            return y.permute(0, 2, 3, 1).reshape(-1, y.shape[1])
        return y.transpose(0, 1).reshape(y.shape[1], -1)


def _kernel_gradient(
    x: Tensor, w: Tensor, stride: list[int], dilation: list[int], margins: list[int], size: tuple[int, int]
) -> Tensor:
    """f32 [P, J, ..size] of x [P, Q, ..] and w [J, Q, ..]: as the convolution, by way of a gradient."""
    like = x.new_empty((w.shape[0], x.shape[0], *size))
    x, w = x.transpose(0, 1), w.transpose(0, 1)
    # Steps of the windows are the gradient's dilation, and the other way round.
    gradient = torch.ops.aten.convolution_backward(
        w, x, like, None, dilation, margins, stride, False, [0, 0], 1, [False, True, False]
    )
    found: Tensor = gradient[1]
    return found.transpose(0, 1)


def find_convolution(program: Program, node: Node) -> Convolution | None:
    """A contraction of floats as a convolution, if it is one without groups whose windows go beyond the image.

    Where no window does, the view does not say any more what a row of the image is, and the product stays one.
    """
    if len(node.shape) != 2:
        return None
    for slot in (0, 2):
        found = _windows(program, node.inputs[slot], slot, node.inputs[2 - slot].value)
        if found is not None:
            return found
    return None


def _windows(program: Program, operand: Input, slot: int, kernel: int) -> Convolution | None:
    flat = _view(program, operand)
    windows = None if flat is None else _view(program, flat.inputs[0])
    if flat is None or windows is None or windows.inputs[0].kind is not InputKind.NODE:
        return None
    attrs, images = windows.attrs, windows.inputs[0].value
    assert isinstance(attrs, View)
    if program.nodes[images].op is not Op.QUANTIZE or len(windows.shape) != 7 or windows.shape[0] != 1 or attrs.fill:
        return None
    if not _keeps_order(flat) or flat.shape != (math.prod(windows.shape[1:4]), math.prod(windows.shape[4:])):
        return None
    if len(attrs.src_shape) != 3 or attrs.offset[0] != 0:
        return None
    _, samples, _, _, channels, _, _ = windows.shape
    count, height, width = attrs.src_shape
    between = [_step(attrs, axis, 0, windows.shape) for axis in (1, 4)]
    axes = [_axis(attrs, windows.shape, at, extent) for at, extent in ((0, height), (1, width))]
    rows, columns = axes
    if rows is None or columns is None or samples * channels != count:
        return None
    if between[0] in (channels, None) and between[1] in (1, None):
        first = False
    elif between[0] in (1, None) and between[1] in (samples, None):
        first = True
    else:
        return None
    found = Convolution(images, kernel, slot, (count, height, width), samples, channels, first, (rows, columns))
    small = rows.terms * columns.terms < MIN_PLACES
    # A kernel turned about is the gradient by an image; that by the weights never turns.
    turned = rows.dilation < 0 or columns.dilation < 0
    return None if found.is_kernel_gradient and (small or turned) else found


def _step(attrs: View, axis: int, source: int, shape: tuple[int, ...]) -> int | None:
    """By how much an output axis moves along a source axis: 0 if along another one; None where it has one element."""
    if shape[axis] == 1:
        return None
    target, stride = attrs.mapping[axis]
    return stride if target == source else 0


def _axis(attrs: View, shape: tuple[int, ...], at: int, extent: int) -> Axis | None:
    """Windows along one axis of the image; None where rows or terms do not move along it, or rows move backwards."""
    rows, terms = shape[2 + at], shape[5 + at]
    steps = [_step(attrs, 2 + at, 1 + at, shape), _step(attrs, 5 + at, 1 + at, shape)]
    stride, dilation = (1 if step is None else step for step in steps)
    if stride <= 0 or dilation == 0:
        return None
    low = attrs.offset[1 + at] + min(0, dilation * (terms - 1))
    high = attrs.offset[1 + at] + max(0, dilation * (terms - 1)) + stride * (rows - 1)
    return Axis(stride, dilation, rows, terms, -low, high - extent + 1)


def _keeps_order(node: Node) -> bool:
    assert isinstance(node.attrs, View)
    return is_reshape(node.attrs, node.shape)


def _view(program: Program, source: Input) -> Node | None:
    if source.kind is not InputKind.NODE:
        return None
    node = program.nodes[source.value]
    return node if node.op is Op.VIEW else None
