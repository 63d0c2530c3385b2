"""Products that a program computes in two parts because mantissas are short; floats are not, so one part has it all.

``Builder.quantized_parts`` quantises what quantising lost, and ``Builder.matmul_parts`` adds the product of that. A
float operand has lost nothing: the first product is the sum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from lockstep.numerics.dtypes import DType
from lockstep.numerics.routes import movement
from lockstep.program.graph import Attrs, Input, Node, Program, View
from lockstep.program.ops import EXPONENT_FLOOR_QUANTIZE, QUANTIZE_BITS, InputKind, Op

_BIAS = 127 - (QUANTIZE_BITS - 1)
_MANTISSA_BITS = 23


def residual_sums(program: Program) -> dict[int, Input]:
    """Sums of a product and the product of its residual part: node -> the input that is the first of the two.

    Only where nothing else reads what the residual is made of, so that the mantissas themselves need not be computed.
    """
    found: dict[int, tuple[Input, Input]] = {}
    for index, node in enumerate(program.nodes):
        kept = _kept_of(program, node) if node.op is Op.ADD else None
        if kept is not None:
            found[index] = node.inputs[0], kept
    while True:
        passed = {index: first for index, (first, _) in found.items()}
        alive = _alive(program, passed)
        cast = {program.nodes[index].inputs[0] for index in alive if program.nodes[index].op is Op.CAST}
        if not any(kept in cast for _, kept in found.values()):
            return passed
        found = {index: (first, kept) for index, (first, kept) in found.items() if kept not in cast}


def _alive(program: Program, passed: Mapping[int, Input]) -> set[int]:
    """The nodes that the new state or a metric needs where the nodes of ``passed`` are what they are mapped to."""
    todo = [len(program.nodes) - 1, *program.metrics]
    alive: set[int] = set()
    while todo:
        index = todo.pop()
        if index not in alive:
            alive.add(index)
            reads = (passed[index],) if index in passed else program.nodes[index].inputs
            todo.extend(source.value for source in reads if source.kind is InputKind.NODE)
    return alive


def _kept_of(program: Program, node: Node) -> Input | None:
    """The quantised tensor whose residual part a sum adds the product of; None where it adds something else."""
    rest = _made_by(program, node.inputs[1], Op.MATMUL)
    first = node.inputs[0]
    while (earlier := _made_by(program, first, Op.ADD)) is not None:
        first = earlier.inputs[0]
    whole = _made_by(program, first, Op.MATMUL)
    if rest is None or whole is None:
        return None
    return next((kept for slot in (0, 2) if (kept := _of_rest(program, rest, whole, slot)) is not None), None)


def _of_rest(program: Program, rest: Node, whole: Node, slot: int) -> Input | None:
    """The quantised operand of ``whole``, where ``rest`` differs by having what quantising it lost."""
    other = 2 - slot
    if rest.inputs[other : other + 2] != whole.inputs[other : other + 2]:
        return None
    lost, moves = _quantised(program, rest.inputs[slot])
    kept, same_moves = _quantised(program, whole.inputs[slot])
    if lost is None or kept is None or moves != same_moves or not _is_loss(program, lost, kept):
        return None
    return kept


def _quantised(program: Program, source: Input) -> tuple[Input | None, list[tuple[Attrs, tuple[int, ...]]]]:
    """The quantised tensor behind views, and the views."""
    moves = []
    while (node := _made_by(program, source, Op.VIEW)) is not None:
        moves.append((node.attrs, node.shape))
        source = node.inputs[0]
    return (source if _made_by(program, source, Op.QUANTIZE) is not None else None), moves


def _is_loss(program: Program, lost: Input, kept: Input) -> bool:
    """Whether ``lost`` quantises ``x - f32(kept) 2^(E - 13)``, where ``kept`` quantises x under E."""
    rest, whole = program.nodes[lost.value], program.nodes[kept.value]
    difference = _made_by(program, rest.inputs[0], Op.SUB)
    if difference is None or difference.inputs[0] != whole.inputs[0]:
        return False
    product = _made_by(program, difference.inputs[1], Op.MUL)
    mantissas = product and _made_by(program, product.inputs[0], Op.CAST)
    return (
        product is not None
        and mantissas is not None
        and mantissas.inputs[0] == kept
        and _is_scale(program, product.inputs[1], whole.inputs[1], whole.shape)
    )


def _is_scale(program: Program, source: Input, exponents: Input, shape: tuple[int, ...]) -> bool:
    """Whether an input is ``2^(E - 13)`` of these exponents, widened over the rows."""
    wide = _made_by(program, source, Op.VIEW)
    power = wide and _made_by(program, wide.inputs[0], Op.BITCAST)
    shift = power and _made_by(program, power.inputs[0], Op.SHL)
    add = shift and _made_by(program, shift.inputs[0], Op.IADD)
    number = add and _made_by(program, add.inputs[0], Op.CAST)
    if wide is None or shift is None or add is None or number is None:
        return False
    own = _made_by(program, exponents, Op.EXPONENT)
    return (
        number.inputs == (exponents,)
        and number.dtype is DType.I32
        and add.inputs[1] == Input(InputKind.I32, _BIAS)
        and shift.attrs == (_MANTISSA_BITS,)
        and own is not None
        and own.attrs == (EXPONENT_FLOOR_QUANTIZE,)
        and _widens_rows(wide, shape)
    )


def _widens_rows(node: Node, shape: tuple[int, ...]) -> bool:
    """Whether a view repeats each of its source's elements along a new last axis."""
    attrs = node.attrs
    assert isinstance(attrs, View)
    if math.prod(attrs.src_shape) != math.prod(shape[:-1]):
        return False
    rows = torch.arange(math.prod(shape[:-1]), dtype=torch.int32)
    made = movement.view(rows, attrs.src_shape, attrs.offset, attrs.mapping, attrs.fill, node.shape)
    return bool((made == rows.reshape(*shape[:-1], 1)).all()) if node.shape == shape else False


def _made_by(program: Program, source: Input, op: Op) -> Node | None:
    """The node an input is, if it is of this op."""
    if source.kind is not InputKind.NODE:
        return None
    node = program.nodes[source.value]
    return node if node.op is op else None
