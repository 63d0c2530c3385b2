"""ATen's matrix products: ``contract`` on rows that run along the summed axis."""

from __future__ import annotations

from collections.abc import Sequence

from lockstep.program.emitter import Value
from lockstep.program.lowering.registry import Context, lowers


def product(c: Context, a: Value, b: Value) -> Value:
    """f32 ``a`` [L.., M, K], ``b`` [L.., K, N] -> [L.., M, N], with residual parts where they are needed."""
    columns = c.b.transpose(b)
    return c.b.contract(a, columns, residuals=(c.wants_residual(a), c.wants_residual(columns)))


@lowers("mm", "bmm")
def mm(c: Context, a: Value, b: Value) -> Value:
    """Matrix product, batched along leading axes."""
    return product(c, a, b)


@lowers("addmm", "baddbmm")
def addmm(c: Context, bias: Value, a: Value, b: Value, *, beta: float = 1, alpha: float = 1) -> Value:
    """``beta bias + alpha a b``."""
    result = product(c, a, b)
    if alpha != 1:
        result = c.b.mul(result, float(alpha))
    added = c.b.expand(bias, c.shape)
    return c.b.add(result, c.b.mul(added, float(beta)) if beta != 1 else added)


@lowers("mv")
def mv(c: Context, a: Value, b: Value) -> Value:
    """Matrix times vector."""
    return c.b.reshape(product(c, a, c.b.reshape(b, (b.shape[0], 1))), c.shape)


@lowers("dot", "vdot")
def dot(c: Context, a: Value, b: Value) -> Value:
    """Inner product of two vectors."""
    row, column = c.b.reshape(a, (1, a.shape[0])), c.b.reshape(b, (b.shape[0], 1))
    return c.b.reshape(product(c, row, column), ())


@lowers("_trilinear")
def trilinear(
    c: Context,
    x: Value,
    weight: Value,
    y: Value,
    expand_x: Sequence[int],
    expand_weight: Sequence[int],
    expand_y: Sequence[int],
    summed: Sequence[int],
    _unroll: int = 1,
) -> Value:
    """nn.Bilinear: products of three tensors, each widened along some axes, exact sums over others."""
    rank = len(x.shape) + len(expand_x)
    parts = []
    for value, axes in ((x, expand_x), (weight, expand_weight), (y, expand_y)):
        own = iter(value.shape)
        parts.append(c.b.reshape(value, tuple(1 if axis in axes else next(own) for axis in range(rank))))
    shape = tuple(max(extents) for extents in zip(*(part.shape for part in parts), strict=True))
    wide = [c.b.expand(part, shape) for part in parts]
    total = c.b.sum_axes(c.b.mul(c.b.mul(wide[0], wide[1]), wide[2]), summed)
    return c.b.reshape(total, c.shape)
