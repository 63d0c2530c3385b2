"""From a program to native instructions: what is fused, what is copied, and where every value lies.

Elementwise nodes wait until something needs their value and are then emitted as groups: all connected nodes
of one element count that may run in one pass over memory. Views are read through, not written out, wherever
their map composes. An exponent is computed together with the quantisation or sum that uses it. Values live in
one arena by their first and last use.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lockstep.engine.native.access import Access, chain, grouped, through, whole, words
from lockstep.engine.native.arena import place
from lockstep.engine.native.codes import Code, copy_kernel
from lockstep.engine.native.groups import Group, emit_group, split_levels
from lockstep.engine.native.products import Products
from lockstep.engine.native.residuals import find_residual
from lockstep.engine.native.windows import PLAIN
from lockstep.numerics.dtypes import ITEMSIZE
from lockstep.program.graph import Concat, Input, Node, Program, Shape, View
from lockstep.program.ops import ELEMENTWISE_FAMILIES, EXPONENT_FLOOR_SUM, InputKind, Op
from lockstep.program.views import compose

ORDER_SLOTS = (Op.REDUCE_MAX, Op.ARGMAX, Op.SORT, Op.ARGSORT)
SHORT_ROW = 16
"""Rows of at most this many elements are reduced many at a time (kernels/reduce.h)."""
CANONICAL_OPS = frozenset({Op.MATMUL, Op.SUM, Op.SCATTER_ADD, Op.REDUCE_MAX, Op.SORT, Op.ARGMAX, Op.ARGSORT})
"""Ops whose instructions write canonical NaNs only, so that they may write an output themselves."""
SERIAL_WORK = 12_000
"""Work (simple operations) below which an instruction is not worth waking other threads for."""

Key = tuple[str, int, int]
"""What an external pointer is: ("input", kind, value), ("output", position, 0) or ("carried", node, ``Part``)."""


@dataclass(slots=True)
class Slot:
    """A tensor's place: bytes, and the instructions that first write and last read it; or an external."""

    size: int
    first: int = -1
    last: int = -1
    external: int = -1


@dataclass(slots=True)
class Lowered:
    """Words for the native engine, its slots (arena offset, or -1 - external), and what the externals are."""

    words: list[int]
    slots: list[int]
    arena_bytes: int
    externals: list[Key]
    names: list[str] = field(default_factory=list)


class Lowering:
    """Lowers the nodes that ``outputs`` need.

    ``given`` nodes are externals, computed elsewhere; the integer sums of ``carried`` contractions are, too: they are
    checked and rounded, not computed. ``raw`` nodes (``matmul``, ``sum``, ``scatter_add``; outputs once each, read by
    nobody) are written as the exact int64 sums that their values are rounded from.
    """

    def __init__(
        self,
        program: Program,
        outputs: Sequence[Input],
        seed: int,
        given: frozenset[int] = frozenset(),
        raw: frozenset[int] = frozenset(),
        carried: frozenset[int] = frozenset(),
    ) -> None:
        self.program, self.outputs, self.seed, self.given = program, list(outputs), seed, given
        self.raw, self.carried = raw, carried
        self.instructions: list[list[int]] = []
        self.names: list[str] = []
        self.slots: list[Slot] = []
        self.heirs: list[tuple[int, int]] = []
        """Pairs of slots of one size: what is written to the second may be written over the first, read no more."""
        self.externals: list[Key] = []
        self.slot_of: dict[Input, int] = {}
        self.done: set[int] = set()
        self.written: set[int] = set()
        self.live = self._live()
        self.readers = self._readers()
        self.wanted: dict[int, list[int]] = {}
        for position, source in enumerate(self.outputs):
            if source.kind is InputKind.NODE:
                self.wanted.setdefault(source.value, []).append(position)
        self._views: dict[int, tuple[Input, View, Shape]] = {}
        self.products = Products(self)

    # the graph

    def node(self, index: int) -> Node:
        """Node by index."""
        return self.program.nodes[index]

    def computed(self, source: Input) -> bool:
        """Whether an input is a node this lowering computes."""
        return source.kind is InputKind.NODE and source.value not in self.given

    def is_elementwise(self, index: int) -> bool:
        """Whether a node joins groups."""
        return self.node(index).op.family in ELEMENTWISE_FAMILIES

    def _live(self) -> list[int]:
        todo = [s.value for s in self.outputs if self.computed(s)]
        live: set[int] = set()
        while todo:
            index = todo.pop()
            if index not in live:
                live.add(index)
                todo += [s.value for s in self.node(index).inputs if self.computed(s)]
        return sorted(live)

    def _readers(self) -> dict[int, list[int]]:
        readers: dict[int, list[int]] = {index: [] for index in self.live}
        for index in self.live:
            for source in self.node(index).inputs:
                if self.computed(source):
                    readers[source.value].append(index)
        return readers

    # where values are

    def new_slot(self, size: int) -> int:
        """A place in the arena for ``size`` bytes, written by the next instruction."""
        self.slots.append(Slot(size, len(self.instructions)))
        return len(self.slots) - 1

    def external(self, key: Key) -> int:
        """Slot of an external pointer."""
        self.slots.append(Slot(0, external=len(self.externals)))
        self.externals.append(key)
        return len(self.slots) - 1

    def slot(self, source: Input) -> int:
        """Slot that holds a node's value or an external input."""
        if source not in self.slot_of:
            assert not self.computed(source), f"Node {source.value} is read before it is written."
            self.slot_of[source] = self.external(("input", source.kind.value, source.value))
        return self.slot_of[source]

    def put(self, index: int) -> int:
        """A new slot for a node's value."""
        node = self.node(index)
        if index in self.wanted and node.op in CANONICAL_OPS:
            made = self.external(("output", self.wanted[index].pop(0), 0))
            self.slot_of[Input(InputKind.NODE, index)] = made
            self.done.add(index)
            return made
        layout = self.products.layouts.get(index)
        elements = node.type.elements if layout is None else layout.elements(math.prod(node.shape[:-1]))
        made = self.new_slot(elements * ITEMSIZE[node.dtype])
        self.slot_of[Input(InputKind.NODE, index)] = made
        self.done.add(index)
        return made

    def add(self, code: Code, body: list[int], work: int, name: str) -> None:
        """Append an instruction."""
        self.instructions.append([code, int(work < SERIAL_WORK), *body])
        self.names.append(name)

    def read(self, slot: int) -> int:
        """The slot, noted as read by the next instruction."""
        self.slots[slot].last = max(self.slots[slot].last, len(self.instructions))
        return slot

    # reading through views

    def base_of(self, index: int) -> tuple[Input, View, Shape]:
        """The tensor a view node reads in the end, and the one view that leads there."""
        if index not in self._views:
            node = self.node(index)
            assert isinstance(node.attrs, View)
            source = node.inputs[0]
            found = (source, node.attrs, node.shape)
            if self.computed(source) and self.node(source.value).op is Op.VIEW and source.value not in self.written:
                base, first, inner = self.base_of(source.value)
                if chain(first, inner, node.attrs, node.shape) is not None:
                    one = compose(first, inner, node.attrs, node.shape)
                    found = (base, first, inner) if one is None else (base, one, node.shape)
            self._views[index] = found
        return self._views[index]

    def resolve(self, source: Input) -> tuple[Input, Access]:
        """What an input's elements are read from, and how."""
        if self.computed(source) and self.node(source.value).op is Op.VIEW and source.value not in self.written:
            base, view, shape = self.base_of(source.value)
            if base.kind is InputKind.NODE and self.computed(base) and self.node(base.value).op is Op.VIEW:
                self.write_view(base.value)
            return base, through(view, shape)
        return source, whole(self.program.input_type(source).shape)

    def write_view(self, index: int) -> None:
        """Write a view out, once."""
        if index in self.written:
            return
        base, access = self.resolve(Input(InputKind.NODE, index))
        self.need(base)
        size = ITEMSIZE[self.node(index).dtype]
        body = [*words(access, self.read(self.slot(base)), size), access.count]
        self.written.add(index)
        self.add_value(Code.MOVE, index, body, access.count)

    def need(self, source: Input) -> None:
        """Make sure a tensor is in its slot (or will be: heavy nodes are emitted in order)."""
        if self.computed(source) and source.value not in self.done and self.is_elementwise(source.value):
            self.emit_elementwise([source.value])

    def operand(self, source: Input, groups: Sequence[int] | None = None) -> tuple[list[int], list[int]]:
        """Words of an access to an input (whose axes are cut into ``groups``, if given), and axes a group."""
        base, access = self.resolve(source)
        ranks: list[int] = []
        if groups is not None:
            cut = grouped(access, groups)
            if cut is None:
                self.write_view(source.value)
                base, access = self.resolve(source)
                cut = grouped(access, groups)
                assert cut is not None
            access, ranks = cut
        self.need(base)
        size = ITEMSIZE[self.program.input_type(base).dtype]
        return words(access, self.read(self.slot(base)), size, keep=groups is not None), ranks

    def rows(self, source: Input) -> list[int]:
        """Words of a reader of rows (the last axis)."""
        shape = self.program.input_type(source).shape
        return [*self.operand(source)[0], math.prod(shape[:-1]), shape[-1]]

    # emission

    def add_value(self, code: Code, index: int, body: list[int], work: int, more: Sequence[int] = ()) -> None:
        """An instruction whose last word is the slot of node ``index``'s value."""
        self.add(code, [*body, self.put(index), *more], work, f"{self.node(index).op.name.lower()} {index}")
        self.deliver(index)

    def deliver(self, index: int) -> None:
        """Copy a node's value to the outputs that want it."""
        for position in self.wanted.pop(index, ()):
            self._copy_out(Input(InputKind.NODE, index), position)

    def _copy_out(self, source: Input, position: int) -> None:
        base, access = self.resolve(source)
        self.need(base)
        dtype = self.program.input_type(base).dtype
        out = self.external(("output", position, 0))
        group = Group(access.count)
        group.load(words(access, self.read(self.slot(base)), ITEMSIZE[dtype]), access)
        group.steps.append((copy_kernel(dtype), 1, (0, 0, 0), 0, out, ITEMSIZE[dtype]))
        group.registers = 2
        self.add(Code.FUSED, group.words(), access.count, f"output {position}")

    def emit_elementwise(self, indices: Sequence[int]) -> None:
        """Emit pending elementwise nodes and everything pending that they need."""
        reads: dict[int, list[int]] = {}
        todo = list(indices)
        while todo:
            index = todo.pop()
            if index in reads or index in self.done:
                continue
            bases = [self.resolve(source)[0] for source in self.node(index).inputs if self.computed(source)]
            reads[index] = [base.value for base in bases if self.computed(base) and self.is_elementwise(base.value)]
            todo += reads[index]
        # Scalars first: who reads one, spread over a tensor, then needs no pass of its own after the scalar's. Else an
        # optimiser's passes wait for each other, and what is between them is held for all parameters at once.
        scalars: set[int] = set()
        for index in sorted(reads):
            if self.node(index).type.elements == 1 and scalars.issuperset(set(reads[index]) - self.done):
                scalars.add(index)
        for part in (scalars, set(reads) - scalars):
            for members in split_levels(self, part):
                emit_group(self, members)

    def lower(self) -> Lowered:
        """Everything, in program order."""
        for index in self.live:
            if index in self.done or index in self.products.unread:
                continue
            if self.is_elementwise(index) or self.node(index).op is Op.VIEW:
                continue
            self._emit(index)
        pending = [index for index in self.live if self.is_elementwise(index) and index not in self.done]
        wanted = [index for index in pending if index in self.wanted]
        self.emit_elementwise(wanted)
        for position, source in enumerate(self.outputs):
            if source.kind is not InputKind.NODE or position in self.wanted.get(source.value, ()):
                self._copy_out(source, position)
        arena_bytes, offsets = place([(s.size, s.first, s.last) for s in self.slots], self.heirs)
        slots = [-1 - s.external if s.external >= 0 else at for s, at in zip(self.slots, offsets, strict=True)]
        flat = [word for instruction in self.instructions for word in instruction]
        return Lowered(flat, slots, arena_bytes, self.externals, self.names)

    def _emit(self, index: int) -> None:
        node = self.node(index)
        inputs, shape, count = node.inputs, node.shape, node.type.elements
        self._prepare(node)
        match node.op:
            case Op.EXPONENT:
                self._exponent(index)
            case Op.QUANTIZE:
                body = [*self.rows(inputs[0]), 0, 1, *self.operand(inputs[1])[0], -1]
                self.add_value(Code.QUANTIZE, index, body, 2 * count, self.layout_words(index))
            case Op.SUM:
                body = [*self.rows(inputs[0]), 1, *self.operand(inputs[1])[0]]
                work = 2 * self.program.input_type(inputs[0]).elements
                self.add_value(Code.SUM, index, body, work, [index in self.raw])
            case Op.MATMUL:
                self.products.emit(index)
            case Op.REDUCE_MAX | Op.ARGMAX | Op.SORT | Op.ARGSORT:
                self._order(index)
            case Op.SCATTER_ADD:
                body = [*self.rows(inputs[0]), *self.operand(inputs[1])[0], *self.operand(inputs[2])[0], shape[1]]
                work = 8 * self.program.input_type(inputs[0]).elements
                self.add_value(Code.SCATTER_ADD, index, body, work, [index in self.raw])
            case Op.CONCAT:
                self._concat(index)
            case Op.GATHER:
                table = self.program.input_type(inputs[0]).shape
                rest = math.prod(table[1:])
                body = [*self.operand(inputs[0])[0], *self.operand(inputs[1])[0], table[0], rest, count // rest]
                self.add_value(Code.GATHER, index, body, count)
            case Op.IOTA:
                self.add_value(Code.IOTA, index, [count], count)
            case Op.RANDOM_BITS:
                assert isinstance(node.attrs, tuple)
                # Who draws a part of a tensor has the number of its first element in front (engine/parallel).
                first = node.attrs[0] if len(node.attrs) > 1 else 0
                body = [*self._draw(node.attrs, inputs[0]), first, count]
                self.add_value(Code.RANDOM_BITS, index, body, 8 * count)
            case Op.SHUFFLE:
                assert isinstance(node.attrs, tuple)
                body = [*self._draw(node.attrs, inputs[1]), node.attrs[0], *self.operand(inputs[0])[0], count]
                self.add_value(Code.SHUFFLE, index, body, 300 * count)
            case _:
                raise AssertionError(f"{node.op.name} has no native instruction.")

    def _prepare(self, node: Node) -> None:
        """Emit all that a node's operands need, so that nothing comes between its reads and itself."""
        for source in node.inputs:
            self.need(self.resolve(source)[0])

    def _draw(self, attrs: object, counter: Input) -> list[int]:
        assert isinstance(attrs, tuple)
        return [self.seed & 0xFFFFFFFF, (self.seed >> 32) & 0xFFFFFFFF, attrs[-1], *self.operand(counter)[0]]

    def _exponent(self, index: int) -> None:
        """An exponent, together with the sum or quantisation of the same rows."""
        node = self.node(index)
        source, (floor,) = node.inputs[0], node.attrs if isinstance(node.attrs, tuple) else (0,)
        elements = self.program.input_type(source).elements
        same = (source, Input(InputKind.NODE, index))
        partners = [r for r in self.readers[index] if self.node(r).inputs == same]
        sums = [r for r in partners if self.node(r).op is Op.SUM]
        rows = self.rows(source)
        others = [r for r in self.readers[index] if r not in sums[:1]]
        if sums and not others and floor == EXPONENT_FLOOR_SUM and index not in self.wanted:
            self.done.add(index)
            self.add_value(Code.SUM, sums[0], [*rows, 0], 3 * elements, [0])
            return
        twice = find_residual(self, index)
        if twice is not None:
            members = (index, twice.mantissas, twice.rest, twice.rest_mantissas)
            self.add(Code.TWO_PARTS, [*rows, *map(self.put, members)], 8 * elements, f"exponents {index}")
            for member in members:
                self.deliver(member)
            return
        kept = [r for r in partners if self.node(r).op is Op.QUANTIZE and r not in self.products.unread]
        mantissas = kept[0] if kept else None
        e_slot = self.put(index)
        m_slot = self.put(mantissas) if mantissas is not None else -1
        body = [*rows, floor, 0, e_slot, m_slot, *self.layout_words(mantissas)]
        self.add(Code.QUANTIZE, body, 3 * elements, f"exponent {index}")
        self.deliver(index)
        if mantissas is not None:
            self.deliver(mantissas)

    def layout_words(self, index: int | None) -> list[int]:
        """Words of the layout of a quantised node."""
        layout = self.products.layouts.get(index) if index is not None else None
        return PLAIN if layout is None else layout.words()

    def _order(self, index: int) -> None:
        """A maximum, its index or both, or a sort."""
        node = self.node(index)
        shape = self.program.input_type(node.inputs[0]).shape
        base, access = self.resolve(node.inputs[0])
        rows = self.rows(node.inputs[0])
        cut = grouped(access, (math.prod(shape[:-1]), shape[-1]))
        columns = rows[: len(rows) - 2]
        if cut is not None:
            split_access, ranks = cut
            dims = (*split_access.dims[ranks[0] :], *split_access.dims[: ranks[0]])
            columns = words(replace(split_access, dims=dims), self.read(self.slot(base)), 4)
        elif shape[-1] <= SHORT_ROW:
            self.write_view(node.inputs[0].value)
            return self._order(index)
        kinds = (Op.REDUCE_MAX, Op.ARGMAX)
        together = [index]
        if node.op in kinds and node.inputs[0].kind is InputKind.NODE and self.computed(node.inputs[0]):
            peers = [r for r in self.readers[node.inputs[0].value] if self.node(r).op in kinds and r not in self.done]
            together = [peers[0], *(p for p in peers[1:] if self.node(p).op is not self.node(peers[0]).op)]
            together = together if index in together else [index]
        slots = [-1] * 4
        for member in together:
            slots[ORDER_SLOTS.index(self.node(member).op)] = self.put(member)
        self.add(Code.ORDER, [*rows, *columns, *slots], 4 * math.prod(shape), f"{node.op.name.lower()} {index}")
        for member in together:
            self.deliver(member)
        return None

    def _concat(self, index: int) -> None:
        node = self.node(index)
        attrs = node.attrs
        assert isinstance(attrs, Concat)
        outer, inner = math.prod(node.shape[: attrs.axis]), math.prod(node.shape[attrs.axis + 1 :])
        pitch = node.shape[attrs.axis] * inner
        parts = [self.operand(source)[0] for source in node.inputs]
        slot, at = self.put(index), 0
        for access, extent in zip(parts, attrs.extents, strict=True):
            self.read(access[0])
            length = extent * inner
            self.add(Code.JOIN, [*access, outer, length, pitch, at, slot], outer * length, f"concat {index}")
            self.read(slot)
            at += length
        self.deliver(index)


def lower(
    program: Program,
    outputs: Sequence[Input],
    seed: int,
    given: Mapping[int, object] | frozenset[int] = frozenset(),
    raw: frozenset[int] = frozenset(),
    carried: frozenset[int] = frozenset(),
) -> Lowered:
    """Native instructions that compute ``outputs`` (NODE, STATE or CONST inputs of the program)."""
    return Lowering(program, outputs, seed, frozenset(given), raw, carried).lower()
