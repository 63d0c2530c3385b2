"""Work of one step, from the shapes alone: what a fee is quoted in and a header declares.

One table of integer weights: multiply-adds of contractions count 1 each, everything else counts its
elements times a weight that says about how many simple operations one element takes. The weights are
part of the protocol (``spec`` recomputes the declared work), so they change only with the version.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lockstep.program.graph import Node, Program, TensorType
from lockstep.program.ops import ELEMENTWISE_FAMILIES, Family, Op

WEIGHT: dict[Op, int] = {
    # output elements
    **{op: 1 for op in Op if op.family in ELEMENTWISE_FAMILIES},
    Op.DIV: 4,
    Op.SQRT: 4,
    Op.UDIV: 4,
    Op.UMOD: 4,
    **{op: 20 for op in Op if op.family is Family.TRANSCENDENTAL},
    Op.QUANTIZE: 4,
    Op.VIEW: 1,
    Op.CONCAT: 1,
    Op.GATHER: 1,
    Op.IOTA: 1,
    Op.RANDOM_BITS: 40,
    Op.SHUFFLE: 2000,
    Op.STATE: 1,
    # elements of the first input
    Op.EXPONENT: 1,
    Op.SUM: 4,
    Op.REDUCE_MAX: 1,
    Op.ARGMAX: 1,
    Op.SCATTER_ADD: 4,
    # elements of the first input times the bits of a row's length
    Op.SORT: 4,
    Op.ARGSORT: 4,
    # multiply-adds: output elements times the length of a row
    Op.MATMUL: 1,
}
"""Weight of each op; the groups say what it multiplies."""

_BY_INPUT = frozenset({Op.EXPONENT, Op.SUM, Op.REDUCE_MAX, Op.ARGMAX, Op.SCATTER_ADD})


def node_work(node: Node, types: Sequence[TensorType]) -> int:
    """Work of one node whose inputs have these types; an unbounded integer, so it cannot wrap."""
    weight = WEIGHT[node.op]
    if node.op is Op.MATMUL:
        return weight * math.prod(node.shape) * types[0].shape[-1]
    if node.op in (Op.SORT, Op.ARGSORT):
        return weight * types[0].elements * max(1, (types[0].shape[-1] - 1).bit_length())
    if node.op in _BY_INPUT:
        return weight * types[0].elements
    return weight * math.prod(node.shape)


def program_work(program: Program) -> int:
    """Work of one step of a program whose types are right (``spec.check_program`` says whether)."""
    total = 0
    for node in program.nodes:
        types = [program.input_type(source, node.shape) for source in node.inputs]
        total += node_work(node, types)
    return total
