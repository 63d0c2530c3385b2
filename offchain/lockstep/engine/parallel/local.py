"""What one rank computes: a program's nodes in the shapes of the rank's parts, in stages, with an exchange after each.

A local program is made of the same nodes as a program, but is none that could be encoded: extents may be 0, and
``random_bits`` may have a second attribute in front, the number of its first element. Node numbers, stages and
exchanges are the same on every rank; only shapes, offsets and views differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lockstep.engine.parallel.layout import Layout, Sharded, local_shape, local_view
from lockstep.engine.parallel.sharding import LITERALS, Join, Placement
from lockstep.engine.plan import STATIC_LIMIT
from lockstep.numerics.dtypes import DType
from lockstep.program.graph import Input, Node, Program, Shape, TensorType, View
from lockstep.program.liveness import node_inputs, type_bytes
from lockstep.program.ops import InputKind, Op


@dataclass(frozen=True, slots=True)
class Exchange:
    """One value that the ranks make together: node ``part`` on each becomes node ``result`` on all of them."""

    join: Join
    part: int
    result: int
    layout: Layout
    """Of the part (GATHER)."""
    whole: TensorType
    """Type of the result."""


@dataclass(slots=True)
class Stage:
    """Nodes that need nothing but earlier stages, in order, and what is exchanged after them."""

    nodes: list[int] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LocalProgram:
    """A rank's nodes, in stages.

    ``program`` ends with the ``state`` node, which is in no stage; metrics are its own. ``raw`` nodes give exact sums
    before rounding, int64; ``received`` ones are results of exchanges; ``empty`` ones have no elements here.
    ``static`` ones need no state, step or exchange. ``absent`` ones are parts of an exchange that this rank has
    nothing for.
    """

    program: Program
    stages: list[Stage]
    raw: frozenset[int]
    received: frozenset[int]
    empty: frozenset[int]
    static: frozenset[int]
    absent: frozenset[int]


def localise(program: Program, placed: Mapping[int, Placement], rank: int) -> LocalProgram:
    """The local program of a rank, from the placement of the needed nodes (``sharding.place``)."""
    return _Localiser(program, placed, rank).run()


class _Localiser:
    def __init__(self, program: Program, placed: Mapping[int, Placement], rank: int) -> None:
        self.program, self.placed, self.rank = program, placed, rank
        self.nodes: list[Node] = []
        self.levels: list[int] = []
        self.stages: list[Stage] = [Stage()]
        self.raw: set[int] = set()
        self.received: set[int] = set()
        self.static: set[int] = set()
        self.kept = 0
        self.home: dict[int, int] = {}
        self.read: dict[tuple[Input, Layout], Input] = {}

    def run(self) -> LocalProgram:
        """All needed nodes, in order."""
        for index in sorted(self.placed):
            self._add_node(index)
        metrics = tuple(self._source(Input(InputKind.NODE, index), None).value for index in self.program.metrics)
        last = self.program.nodes[-1]
        inputs = tuple(self._source(source, None) for source in last.inputs)
        self.nodes.append(replace(last, inputs=inputs))
        local = replace(self.program, nodes=tuple(self.nodes), metrics=metrics)
        empty = frozenset(index for index, node in enumerate(self.nodes) if 0 in node.shape)
        parts = {exchange.part for stage in self.stages for exchange in stage.exchanges}
        absent = {part for part in parts if part in empty or not empty.isdisjoint(node_inputs(self.nodes[part]))}
        sets = (self.raw, self.received, empty, self.static, absent)
        return LocalProgram(local, self.stages, *map(frozenset, sets))

    # nodes and their stages

    def _put(self, node: Node) -> Input:
        """A node in the earliest stage that has all of its inputs."""
        level = max((self.levels[s.value] for s in node.inputs if s.kind is InputKind.NODE), default=0)
        changing = (InputKind.STATE, InputKind.STEP, InputKind.COMMITTED)
        fixed = all(s.value in self.static if s.kind is InputKind.NODE else s.kind not in changing for s in node.inputs)
        if fixed and self.kept + type_bytes(node.type) <= STATIC_LIMIT:
            self.kept += type_bytes(node.type)
            self.static.add(len(self.nodes))
        self.nodes.append(node)
        self.levels.append(level)
        self.stages[level].nodes.append(len(self.nodes) - 1)
        return Input(InputKind.NODE, len(self.nodes) - 1)

    def _exchange(self, join: Join, part: Input, layout: Layout, whole: TensorType) -> Input:
        """The node that all ranks have once the parts were exchanged."""
        level = self.levels[part.value]
        if level + 1 == len(self.stages):
            self.stages.append(Stage())
        result = len(self.nodes)
        self.nodes.append(Node(Op.VIEW, whole.dtype, whole.shape))
        self.levels.append(level + 1)
        self.received.add(result)
        self.stages[level].exchanges.append(Exchange(join, part.value, result, layout, whole))
        return Input(InputKind.NODE, result)

    def _add_node(self, index: int) -> None:
        node, placement = self.program.nodes[index], self.placed[index]
        if node.op is Op.STATE:
            return
        if node.op is Op.VIEW:
            made = self._view(node, placement)
        else:
            inputs = tuple(self._source(s, need) for s, need in zip(node.inputs, placement.needs, strict=True))
            if placement.join is Join.PICK:
                inputs = (inputs[0], self._renumbered(node.inputs[1], inputs[1], placement.needs[0]))
            made = self._numbered(node, inputs, placement.layout if placement.join is None else None)
        if placement.join is not None:
            if placement.join is Join.TOTAL:
                self.raw.add(made.value)
            made = self._exchange(placement.join, made, None, node.type)
            if placement.layout is not None:
                self.read[Input(InputKind.NODE, index), None] = made
                made = self._slice(made, node.type, placement.layout)
        self.home[index] = made.value

    # inputs

    def _source(self, source: Input, need: Layout) -> Input:
        """A local input that holds what a node needs of an input of the program."""
        if source.kind in (*LITERALS, InputKind.STEP) or (source.kind is not InputKind.NODE and need is None):
            return source
        key = (source, need)
        if key not in self.read:
            self.read[key] = self._made(source, need)
        return self.read[key]

    def _made(self, source: Input, need: Layout) -> Input:
        if source.kind is not InputKind.NODE:
            assert need is not None
            return self._slice(source, self.program.input_type(source), need)
        have, here = self.placed[source.value].layout, Input(InputKind.NODE, self.home[source.value])
        if have == need:
            return here
        kind = self.program.nodes[source.value].type
        if need is None:
            return self._exchange(Join.GATHER, here, have, kind)
        whole = here if have is None else self._source(source, None)
        return self._slice(whole, kind, need)

    def _slice(self, source: Input, kind: TensorType, part: Sharded) -> Input:
        """A part of a tensor that this rank has whole."""
        offset = tuple(part.start(self.rank) if axis == part.axis else 0 for axis in range(len(kind.shape)))
        view = View(kind.shape, offset, tuple((axis, 1) for axis in range(len(kind.shape))))
        return self._put(Node(Op.VIEW, kind.dtype, part.local(kind.shape, self.rank), (source,), view))

    def _renumbered(self, index: Input, here: Input, table: Layout) -> Input:
        """Indices of rows counted from the first row that this rank has; others wrap to where there is none."""
        assert table is not None
        shape = self.program.input_type(index).shape
        return self._put(Node(Op.ISUB, DType.I32, shape, (here, Input(InputKind.I32, table.start(self.rank)))))

    # nodes in parts

    def _view(self, node: Node, placement: Placement) -> Input:
        (source,), (cut,), attrs = node.inputs, placement.needs, node.attrs
        assert isinstance(attrs, View)
        shape = self.program.input_type(source).shape
        view, part = local_view(attrs, node.shape, shape, cut, placement.layout, self.rank)
        return self._put(Node(Op.VIEW, node.dtype, part, (self._source(source, cut),), view))

    def _numbered(self, node: Node, inputs: tuple[Input, ...], out: Layout) -> Input:
        """A node in its part. Where elements have numbers (``iota``, ``random_bits``), they keep those of the whole."""
        shape = local_shape(node.shape, out, self.rank)
        if node.op not in (Op.IOTA, Op.RANDOM_BITS) or out is None:
            return self._put(replace(node, shape=shape, inputs=inputs))
        if math.prod(node.shape[: out.axis]) != 1:
            whole = self._put(replace(node, inputs=inputs))
            return self._slice(whole, node.type, out)
        first = out.start(self.rank) * math.prod(node.shape[out.axis + 1 :])
        if node.op is Op.IOTA:
            here = self._put(replace(node, shape=shape))
            return self._put(Node(Op.IADD, DType.I32, shape, (here, Input(InputKind.I32, first))))
        return self._draw(node, inputs, shape, first)

    def _draw(self, node: Node, inputs: tuple[Input, ...], shape: Shape, first: int) -> Input:
        """Random bits from element ``first`` on: from an even one, since two elements share a draw."""
        assert isinstance(node.attrs, tuple)
        count = math.prod(shape)
        odd = first % 2
        drawn = self._put(replace(node, shape=(count + odd,), inputs=inputs, attrs=(first - odd, *node.attrs)))
        axes = [(0, math.prod(shape[axis + 1 :])) for axis in range(len(shape))]
        return self._put(Node(Op.VIEW, node.dtype, shape, (drawn,), View((count + odd,), (odd,), tuple(axes))))
