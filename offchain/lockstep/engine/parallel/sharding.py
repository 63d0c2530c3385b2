"""Which nodes of a program are cut over the ranks, which are joined from parts, and which every rank computes whole.

A pure function of the program. Cuts begin at seeds, the gathers of a batch's rows, and follow the data through every
op that can work on parts by itself. Where a row is cut that an op reduces, each rank reduces its part and the parts are
joined exactly: maxima (of which exponents are made) by a maximum, sums as integers, before their one rounding. An op
that can do neither reads its input whole, gathered from all ranks. Then what is still whole but only ever read in
equal parts (the indices of the batch, random bits, tables widened to the batch) is made in parts, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from lockstep.engine.parallel.layout import Layout, Sharded, even, regrouped, through_view
from lockstep.engine.plan import make_plan
from lockstep.program.graph import Concat, Node, Program, Shape, View
from lockstep.program.liveness import type_bytes
from lockstep.program.ops import ELEMENTWISE_FAMILIES, InputKind, Op

LITERALS = (InputKind.F32, InputKind.I32)


class Join(Enum):
    """How the ranks' parts become a value that all of them have."""

    EXPONENT = auto()
    """The largest of the parts' block exponents."""
    LARGEST = auto()
    """The largest in the total order."""
    TOTAL = auto()
    """Exact integer sums, added, then rounded once."""
    PICK = auto()
    """Rows of a table that is cut: the one rank that has a row gives its bits, the others zeros."""
    GATHER = auto()
    """The parts themselves, one behind the other."""


@dataclass(frozen=True, slots=True)
class Placement:
    """How a node's value lies, how each of its inputs is read, and how parts are joined.

    A joined value is on every rank; where it has a ``layout`` all the same, what follows goes on in parts.
    """

    layout: Layout
    needs: tuple[Layout, ...]
    join: Join | None = None


def batch_gathers(program: Program, ranks: int) -> dict[int, Sharded]:
    """Where cuts begin: gathers from a constant by at least as many STEP-derived indices as there are ranks."""
    found: dict[int, Sharded] = {}
    for index in make_plan(program).dynamic:
        node = program.nodes[index]
        if node.op is Op.GATHER and node.inputs[0].kind is InputKind.CONST:
            rows = program.input_type(node.inputs[1]).shape
            if rows and rows[0] >= ranks:
                found[index] = even(0, rows[0], ranks)
    return found


def place(program: Program, seeds: Mapping[int, Sharded]) -> dict[int, Placement]:
    """Placement of every node that the state or a metric needs, the state node's included."""
    plan = make_plan(program)
    last = len(program.nodes) - 1
    order = [*sorted((*plan.static, *plan.dynamic)), last]
    placed: dict[int, Placement] = {}
    for index in order:
        placed[index] = _forward(program, index, placed, seeds.get(index))
    _divide_whole(program, order, placed)
    return placed


def _forward(program: Program, index: int, placed: Mapping[int, Placement], seed: Sharded | None) -> Placement:
    """A node's placement from those of its inputs: the one that moves the fewest bytes."""
    node = program.nodes[index]
    if seed is not None:
        needs = needs_of_part(program, node, seed)
        assert needs is not None, f"Node {index} cannot be made in parts along axis {seed.axis}."
        return Placement(seed, needs)
    layouts = [placed[s.value].layout if s.kind is InputKind.NODE else None for s in node.inputs]
    best, least = Placement(None, (None,) * len(node.inputs)), -1
    for slot, layout in enumerate(layouts):
        found = None if layout is None else _follow(program, node, slot, layouts)
        if found is None:
            continue
        moved = 8 * node.type.elements if found.join is not None else 0
        for source, have, need in zip(node.inputs, layouts, found.needs, strict=True):
            if have is not None and have != need:
                moved += type_bytes(program.input_type(source))
        if least < 0 or moved < least:
            best, least = found, moved
    return best


def _part(program: Program, node: Node, layout: Sharded) -> Placement | None:
    needs = needs_of_part(program, node, layout)
    return None if needs is None else Placement(layout, needs)


def _follow(program: Program, node: Node, slot: int, layouts: Sequence[Layout]) -> Placement | None:
    """What the cut of input ``slot`` makes of a node; None where the op cannot work on such parts."""
    layout, op = layouts[slot], node.op
    assert layout is not None
    axis = layout.axis
    shape = program.input_type(node.inputs[slot]).shape
    last = axis == len(shape) - 1
    if op.family in ELEMENTWISE_FAMILIES:
        return _part(program, node, layout)
    match op:
        case Op.VIEW:
            assert isinstance(node.attrs, View)
            out = through_view(node.attrs, node.shape, shape, layout)
            return None if out is None else Placement(out, (layout,))
        case Op.EXPONENT if last:
            return Placement(None, (layout,), Join.EXPONENT)
        case Op.REDUCE_MAX if last:
            return Placement(None, (layout,), Join.LARGEST)
        case Op.SUM if slot == 0 and last:
            return Placement(None, (layout, None), Join.TOTAL)
        case Op.ARGMAX if last:
            return None
        case Op.MATMUL:
            return _follow_matmul(program, node, slot, layout)
        case Op.GATHER:
            rank = len(program.input_type(node.inputs[1]).shape)
            if slot == 0 and axis == 0:
                cut = layouts[1] or _cut_of_picked(program.input_type(node.inputs[1]).shape, shape[0], layout)
                return Placement(cut, (layout, None), Join.PICK)
            return _part(program, node, layout if slot else layout.on(axis - 1 + rank))
        case Op.SCATTER_ADD if (slot, axis) in ((0, 1), (1, 0)):
            return Placement(None, (layout.on(1), layout.on(0), None), Join.TOTAL)
        case Op.STATE:
            return None
        case _:
            return _part(program, node, layout)


def _cut_of_picked(index: Shape, rows: int, table: Sharded) -> Layout:
    """How what was picked from a table that is cut is cut again: with the table's own rows where it has as many."""
    if math.prod(index) == rows:
        return regrouped(table, (rows,), index)
    ranks = len(table.bounds) - 1
    return even(0, index[0], ranks) if index and index[0] >= ranks else None


def _follow_matmul(program: Program, node: Node, slot: int, layout: Sharded) -> Placement | None:
    rows = len(node.shape) - 2
    if layout.axis == rows + 1:
        return Placement(None, (layout, None, layout, None), Join.TOTAL)
    if layout.axis == rows and slot >= 2:
        return _part(program, node, layout.on(rows + 1))
    return _part(program, node, layout)


def needs_of_part(program: Program, node: Node, out: Sharded) -> tuple[Layout, ...] | None:
    """How each input is read to compute a node in the parts ``out``; None where that takes more than parts.

    A view's source is read whole.
    """
    axis, rank, op = out.axis, len(node.shape), node.op
    if op.family in ELEMENTWISE_FAMILIES:
        return tuple(None if source.kind in LITERALS else out for source in node.inputs)
    match op:
        case Op.EXPONENT | Op.REDUCE_MAX | Op.ARGMAX:
            return (out,)
        case Op.SUM:
            return (out, out)
        case Op.SORT | Op.ARGSORT:
            return (out,) if axis < rank - 1 else None
        case Op.QUANTIZE:
            return (out, out if axis < rank - 1 else None)
        case Op.MATMUL:
            if axis < rank - 2:
                return (out, out, out, out)
            rows = out.on(rank - 2)
            return (rows, rows, None, None) if axis == rank - 2 else (None, None, rows, rows)
        case Op.VIEW | Op.RANDOM_BITS:
            return (None,)
        case Op.CONCAT:
            assert isinstance(node.attrs, Concat)
            return (out,) * len(node.inputs) if axis != node.attrs.axis else None
        case Op.GATHER:
            index = len(program.input_type(node.inputs[1]).shape)
            return (None, out) if axis < index else (out.on(axis - index + 1), None)
        case Op.SCATTER_ADD:
            return (out, None, out) if axis == 0 else None
        case Op.IOTA:
            return ()
        case Op.SHUFFLE:
            return (out, None)
    return None


def _divide_whole(program: Program, order: Sequence[int], placed: dict[int, Placement]) -> None:
    """Nodes that every rank has whole, but that all readers read in the same parts, are computed in these."""
    wanted: dict[int, set[Layout]] = {index: {None} for index in program.metrics}
    for index in reversed(order):
        placement, needs = placed[index], None
        wishes = wanted.get(index, {None})
        (wish, *others) = wishes
        if placement.layout is None and placement.join is None and wish is not None and not others:
            needs = needs_of_part(program, program.nodes[index], wish)
        if needs is not None:
            placed[index] = placement = Placement(wish, needs)
        for source, need in zip(program.nodes[index].inputs, placement.needs, strict=True):
            if source.kind is InputKind.NODE:
                wanted.setdefault(source.value, set()).add(need)
