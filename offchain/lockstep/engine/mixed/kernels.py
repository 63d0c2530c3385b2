"""One native function an op. Integers, random bits, orders and movement are the exact engine's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from lockstep.engine.routes import run_node
from lockstep.numerics.routes import elementwise, movement
from lockstep.program.graph import Node, View
from lockstep.program.ops import ELEMENTWISE_FAMILIES, InputKind, Op

Kernel = Callable[..., Tensor]
"""Tensors of a node's inputs -> its value."""

_FLOAT: dict[Op, Kernel] = {
    Op.ADD: torch.add,
    Op.SUB: torch.sub,
    Op.MUL: torch.mul,
    Op.DIV: torch.div,
    Op.MAX: torch.maximum,
    Op.MIN: torch.minimum,
    Op.SQRT: torch.sqrt,
    Op.FLOOR: torch.floor,
    Op.CEIL: torch.ceil,
    Op.RNE: torch.round,
    Op.TRUNC: torch.trunc,
    Op.NEG: torch.neg,
    Op.ABS: torch.abs,
    Op.EXP: torch.exp,
    Op.LOG: torch.log,
    Op.TANH: torch.tanh,
    Op.ERF: torch.erf,
}
_COMPARE: dict[Op, Kernel] = {
    Op.LT: torch.lt,
    Op.LE: torch.le,
    Op.EQ: torch.eq,
    Op.NE: torch.ne,
    Op.ILT: torch.lt,
    Op.ILE: torch.le,
    Op.IEQ: torch.eq,
    Op.INE: torch.ne,
}
_UNSIGNED: dict[Op, Kernel] = {Op.ULT: elementwise.ult, Op.ULE: elementwise.ule}


def native_kernel(node: Node, seed: int, device: str, *, flag: bool = False) -> Kernel:
    """The function of a node. ``flag``: a comparison that gives booleans instead of i32."""
    kernel = _kernel(node, seed, device, flag)
    whole = {InputKind.NODE, InputKind.STATE, InputKind.CONST}
    if node.op.family in ELEMENTWISE_FAMILIES and not any(source.kind in whole for source in node.inputs):
        return lambda *inputs: kernel(*inputs).expand(node.shape)  # literals come as scalars
    return kernel


def _kernel(node: Node, seed: int, device: str, flag: bool) -> Kernel:
    if node.op in _FLOAT:
        return _FLOAT[node.op]
    if flag:
        return _COMPARE[node.op] if node.op in _COMPARE else _truth(_UNSIGNED[node.op])
    if node.op is Op.SELECT:
        return _select
    if node.op is Op.REDUCE_MAX:
        return _largest
    if node.op is Op.ARGMAX:
        return _place_of_largest
    if isinstance(node.attrs, View):
        return view_kernel(node.attrs, node.shape)
    return lambda *inputs: run_node(node, inputs, seed, device)


def _truth(kernel: Kernel) -> Kernel:
    return lambda a, b: kernel(a, b).bool()


def _select(condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return torch.where(condition if condition.dtype == torch.bool else condition != 0, a, b)


def _largest(x: Tensor) -> Tensor:
    return x.amax(-1)


def _place_of_largest(x: Tensor) -> Tensor:
    return x.argmax(-1).int()  # the first of equals


def flag_cast(x: Tensor) -> Tensor:
    """Truth as f32 0 or 1."""
    return x.float()


def row_sum(x: Tensor) -> Tensor:
    """f32 sums of the rows of [..., K]."""
    return x.sum(-1)


def scatter_add(size: int) -> Kernel:
    """A function of x [C, N] and i32 index [N] that gives f32 [C, size]: sums of what shares an index."""

    def scatter(x: Tensor, index: Tensor) -> Tensor:
        # What an index outside 0..size-1 would add lands in a row that is cut off.
        place = torch.where((index >= 0) & (index < size), index, size)
        total = torch.zeros((size + 1, x.shape[0]), dtype=torch.float32, device=x.device)
        return total.index_add_(0, place, x.t())[:size].t()

    return scatter


def dequantised(mantissas: Tensor, exponents: Tensor) -> Tensor:
    """f32 ``m 2^(E - 13)`` of m16 [..., K] and e16 [...]; NaN where an exponent is outside [-113, 127]."""
    valid = (exponents >= -113) & (exponents <= 127)
    unit = torch.exp2(torch.where(valid, exponents, 0).double() - 13.0)
    return (mantissas.double() * torch.where(valid, unit, math.nan).unsqueeze(-1)).float()


def view_kernel(attrs: View, shape: tuple[int, ...]) -> Kernel:
    """A view, with what does not depend on the data worked out once."""
    backwards = [axis for axis, (_, stride) in enumerate(attrs.mapping) if stride < 0]
    if not backwards:
        return _forwards(attrs, shape)
    # Memory can be stepped through forwards only: each of these axes is read from its other end and then turned.
    offset, mapping = list(attrs.offset), list(attrs.mapping)
    for axis in backwards:
        source, stride = mapping[axis]
        offset[source] += stride * (shape[axis] - 1)
        mapping[axis] = (source, -stride)
    turned = _forwards(replace(attrs, offset=tuple(offset), mapping=tuple(mapping)), shape)
    return lambda x: turned(x).contiguous().flip(backwards)


def _forwards(attrs: View, shape: tuple[int, ...]) -> Kernel:
    """A view without negative strides."""
    source = attrs.src_shape or (1,)
    offset, mapping = (attrs.offset, attrs.mapping) if attrs.src_shape else ((0,), tuple((0, 0) for _ in shape))
    bounds = movement.reach(source, offset, mapping, shape)
    if not all(low >= 0 and high < extent for (low, high), extent in zip(bounds, source, strict=True)):
        return lambda x: movement.view(x, attrs.src_shape, attrs.offset, attrs.mapping, attrs.fill, shape)
    if is_reshape(attrs, shape):
        return lambda x: x.reshape(shape)
    strides = movement.strides_of(source)
    start = sum(o * s for o, s in zip(offset, strides, strict=True))
    steps = [stride * strides[axis] for axis, stride in mapping]

    def strided(x: Tensor) -> Tensor:
        whole = x.contiguous()
        return whole.as_strided(shape, steps, whole.storage_offset() + start)

    return strided


def is_reshape(attrs: View, shape: tuple[int, ...]) -> bool:
    """Whether a view keeps all elements in their order."""
    if math.prod(attrs.src_shape) != math.prod(shape) or any(attrs.offset):
        return False
    strides = movement.strides_of(attrs.src_shape or (1,))
    steps = [stride * strides[axis] for axis, stride in attrs.mapping]
    return all(a == b or extent == 1 for a, b, extent in zip(steps, movement.strides_of(shape), shape, strict=True))
