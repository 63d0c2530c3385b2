"""ATen's matrix products: ``contract`` on rows that run along the summed axis."""

from __future__ import annotations

from lockstep.program.emitter import Value
from lockstep.program.lowering.registry import Context, lowers
from lockstep.program.ops import MAX_ROW


def product(c: Context, a: Value, b: Value) -> Value:
    """f32 ``a`` [L.., M, K], ``b`` [L.., K, N] -> [L.., M, N], with residual parts where they were asked for."""
    if a.shape[-1] > MAX_ROW:
        raise c.refuse(
            f"a product over {a.shape[-1]} elements; one leaf can carry {MAX_ROW}",
            "Use a smaller batch or fewer features.",
        )
    columns = c.b.transpose(b)
    if c.wants_residual(b):
        return c.b.transpose(c.b.contract(columns, a, residual=True))
    return c.b.contract(a, columns, residual=c.wants_residual(a))


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


@lowers("dot")
def dot(c: Context, a: Value, b: Value) -> Value:
    """Inner product of two vectors."""
    row, column = c.b.reshape(a, (1, a.shape[0])), c.b.reshape(b, (b.shape[0], 1))
    return c.b.reshape(product(c, row, column), ())
