"""A rank's part of an exact sum, as integers before rounding, and the value once the ranks' integers are added.

Sums travel as int64, which holds them all: a contraction's are at most 2**30 times its 2**24 terms, those of a sum
2**34 times 16,384, of a scatter 2**34 times 2**23. So adding them is exact in any order, on any number of ranks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lockstep.engine.routes import (
    MATMUL_FLOAT64,
    MATMUL_INT8,
    TORCH_ROUTE,
    best_route,
    from_numpy,
    matmul_route,
    to_numpy,
)
from lockstep.numerics import rows as reference
from lockstep.numerics.routes import contraction, rows
from lockstep.numerics.routes.carriers import bits
from lockstep.program.graph import Node
from lockstep.program.ops import Op


def partial_sums(node: Node, inputs: Sequence[Tensor], device: str = "cpu") -> Tensor:
    """int64 sums of a ``matmul``, ``sum`` or ``scatter_add`` over this rank's terms, of the node's shape.

    By the route that passed its test for the op itself (``lockstep.engine.routes``), which is these sums, rounded.
    """
    return _sums(node, inputs, device).long()


def _sums(node: Node, inputs: Sequence[Tensor], device: str) -> Tensor:
    if node.op is Op.MATMUL:
        route = matmul_route(node.shape, inputs[0].shape[-1], device)
        if route is MATMUL_INT8:
            return contraction.integer_sums_int8(inputs[0], inputs[2])
        if route is MATMUL_FLOAT64:
            return contraction.integer_sums_float64(inputs[0], inputs[2])
    elif best_route(node.op, device) is TORCH_ROUTE:
        if node.op is Op.SUM:
            return rows.integer_sums(inputs[0], inputs[1])
        return rows.integer_scatters(inputs[0], inputs[1], inputs[2], node.shape[1])
    return reference_sums(node, [to_numpy(x) for x in inputs]).to(device)


def reference_sums(node: Node, inputs: Sequence[np.ndarray]) -> Tensor:
    """The sums of ``partial_sums`` by the reference's integers."""
    if node.op is Op.MATMUL:
        total = inputs[0].astype(np.int64) @ np.swapaxes(inputs[2].astype(np.int64), -1, -2)
    elif node.op is Op.SUM:
        total = reference.sum_terms(inputs[0], inputs[1]).sum(axis=-1)
    else:
        terms, index = reference.sum_terms(inputs[0], inputs[2]), inputs[1]
        total = np.zeros((len(terms), node.shape[1]), np.int64)
        inside = (index >= 0) & (index < node.shape[1])
        np.add.at(total.T, index[inside], terms[:, inside].T)
    return from_numpy(np.asarray(total, np.int64))


def exponent_slots(op: Op) -> tuple[int, ...]:
    """Inputs that hold the exponents a sum is rounded under."""
    return {Op.MATMUL: (1, 3), Op.SUM: (1,), Op.SCATTER_ADD: (2,)}[op]


def scaled(op: Op, total: Tensor, exponents: Sequence[Tensor]) -> Tensor:
    """float64: what the op's value is rounded from, given the exact int64 sum over all ranks.

    ``exponents`` are the op's inputs at ``exponent_slots``. The factors are powers of two, so nothing is rounded yet;
    the one rounding is the conversion to f32. NaN where an exponent is not valid.
    """
    exact = rows.sticky(total) if op is Op.SCATTER_ADD else total.double()
    if op is Op.MATMUL:
        left, right = contraction.factors(exponents[0], -26), contraction.factors(exponents[1], 0)
        return exact.mul_(left.unsqueeze(-1)).mul_(right.unsqueeze(-2))
    factor = rows.factors(exponents[0])
    return exact.mul_(factor if op is Op.SUM else factor.unsqueeze(-1))


def key_bits(value: Tensor) -> Tensor:
    """A tensor of any carrier as the integers of its bits, int64: what picked rows travel as."""
    if value.dtype == torch.float32:
        value = bits(value)
    return (value.view(torch.int16) if value.dtype == torch.uint16 else value).long()


def from_key_bits(total: Tensor, dtype: torch.dtype) -> Tensor:
    """The tensor of ``dtype`` whose bits these are."""
    if dtype == torch.float32:
        return total.int().view(torch.float32)
    return total.to(torch.int16).view(torch.uint16) if dtype == torch.uint16 else total.to(dtype)
