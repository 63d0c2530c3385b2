"""Groups of elementwise nodes: which may run in one pass, and their bytecode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lockstep.engine.native.access import Access, words
from lockstep.engine.native.codes import Code, copy_kernel, kernel_of
from lockstep.numerics.dtypes import ITEMSIZE
from lockstep.program.graph import Input
from lockstep.program.ops import InputKind, Op

if TYPE_CHECKING:
    from lockstep.engine.native.lower import Lowering

MAX_STEPS = 160
TILE_BYTES = 24 << 10
"""Registers of a group fit the first-level cache together."""

Step = tuple[int, int, tuple[int, int, int], int, int, int]
"""Kernel, register out, registers in, immediate, slot written or -1, element bytes there."""


@dataclass(slots=True)
class Group:
    """Bytecode of one pass over ``count`` elements."""

    count: int
    registers: int = 0
    literals: list[tuple[int, int]] = field(default_factory=list)
    loads: list[tuple[int, list[int]]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    plain: int = 0
    """Registers that are memory itself, not tiles."""

    def register(self) -> int:
        """A register of its own."""
        self.registers += 1
        return self.registers - 1

    def load(self, access_words: list[int], access: Access) -> int:
        """A register that holds what an access reads."""
        reg = self.register()
        self.loads.append((reg, access_words))
        self.plain += access.is_contiguous
        return reg

    def words(self) -> list[int]:
        """Instruction words."""
        tiles = max(1, self.registers - self.plain)
        tile = max(128, min(2048, TILE_BYTES // (4 * tiles) // 64 * 64))
        out = [self.count, self.registers, tile, len(self.literals)]
        for reg, bits in self.literals:
            out += [reg, bits]
        out.append(len(self.loads))
        for reg, access in self.loads:
            out += [reg, *access]
        out.append(len(self.steps))
        for kernel, reg, inputs, immediate, slot, size in self.steps:
            out += [kernel, reg, *inputs, immediate, slot, size]
        return out


def same_order(low: Lowering, source: Input) -> int | None:
    """The elementwise node an input is, element by element in order (perhaps under another shape)."""
    base, access = low.resolve(source)
    if low.computed(base) and low.is_elementwise(base.value) and access.is_contiguous and access.offset == 0:
        whole = low.node(base.value).type.elements
        return base.value if access.count == whole else None
    return None


def split_levels(low: Lowering, closure: Iterable[int]) -> list[list[int]]:
    """Groups of the closure in an order that respects what they read.

    Connected nodes of one element count share a group, unless one reads another through a rearrangement:
    then it comes at a later level.
    """
    members = sorted(closure)
    inside = set(members)
    parent = {index: index for index in members}

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    level: dict[int, int] = {}
    reads: list[tuple[int, int, int]] = []  # reader, what it reads, levels between them
    for index in members:
        node, mine = low.node(index), 0
        for source in node.inputs:
            if not low.computed(source):
                continue
            peer = same_order(low, source)
            if peer is not None and peer in inside and low.node(peer).type.elements == node.type.elements:
                parent[root(index)] = root(peer)
                reads.append((index, peer, 0))
                mine = max(mine, level[peer])
                continue
            base, _ = low.resolve(source)
            if low.computed(base) and base.value in inside:
                reads.append((index, base.value, 1))
                mine = max(mine, level[base.value] + 1)
        level[index] = mine
    # As late as its readers allow: then it is not written in one pass to be read in the next.
    latest: dict[int, int] = {}
    for reader, read, apart in sorted(reads, reverse=True):
        level[reader] = max(level[reader], latest.get(reader, 0))
        latest[read] = min(latest.get(read, level[reader] - apart), level[reader] - apart)
    for index, most in latest.items():
        level[index] = max(level[index], most)
    found: dict[tuple[int, int], list[int]] = {}
    for index in members:
        found.setdefault((level[index], root(index)), []).append(index)
    groups: list[list[int]] = []
    for key in sorted(found, key=lambda k: (k[0], found[k][0])):
        group = found[key]
        groups += [group[i : i + MAX_STEPS] for i in range(0, len(group), MAX_STEPS)]
    return groups


def _stays_inside(low: Lowering, index: int, group: set[int]) -> bool:
    """Whether every reader of a node is in the group and reads it in order."""
    for reader in low.readers[index]:
        if low.node(reader).op is Op.VIEW:
            if reader in low.written or reader in low.wanted or not _view_stays(low, reader, group):
                return False
        elif reader not in group:
            return False
    return True


def _view_stays(low: Lowering, view: int, group: set[int]) -> bool:
    if same_order(low, Input(InputKind.NODE, view)) is None:
        return False
    return view not in low.wanted and _stays_inside(low, view, group)


def emit_group(low: Lowering, members: Sequence[int]) -> None:
    """Append one instruction for the members, in program order."""
    inside = set(members)
    count = low.node(members[0]).type.elements
    last: dict[int, int] = {}
    for index in members:
        for source in low.node(index).inputs:
            peer = same_order(low, source) if low.computed(source) else None
            if peer in inside:
                assert peer is not None
                last[peer] = index
    # What the loads read must be in its slot before this instruction's number is known.
    for index in members:
        for source in low.node(index).inputs:
            if source.kind not in (InputKind.F32, InputKind.I32):
                base, _ = low.resolve(source)
                if not (low.computed(base) and base.value in inside):
                    low.need(base)
    group = Group(count)
    literals: dict[int, int] = {}
    loads: dict[tuple[int, ...], int] = {}
    whole: dict[int, int] = {}  # register: slot that it reads from end to end
    written: dict[int, int] = {}  # slot: step
    held: dict[int, int] = {}
    free: list[int] = []
    for index in members:
        node = low.node(index)
        registers = []
        for source in node.inputs:
            if source.kind in (InputKind.F32, InputKind.I32):
                if source.value not in literals:
                    literals[source.value] = group.register()
                    group.literals.append((literals[source.value], source.value))
                registers.append(literals[source.value])
                continue
            peer = same_order(low, source) if low.computed(source) else None
            if peer is not None and peer in inside:
                registers.append(held[peer])
                continue
            base, access = low.resolve(source)
            kind = low.program.input_type(base)
            place = low.read(low.slot(base))
            made = words(access, place, ITEMSIZE[kind.dtype])
            if tuple(made) not in loads:
                loads[tuple(made)] = group.load(made, access)
                if access.is_contiguous and kind.elements == count and low.slots[place].size:
                    whole[loads[tuple(made)]] = place
            registers.append(loads[tuple(made)])
        for source in set(node.inputs):
            peer = same_order(low, source) if low.computed(source) else None
            if peer is not None and peer in inside and last[peer] == index and peer in held:
                free.append(held.pop(peer))
        slot = -1
        if not _stays_inside(low, index, inside):
            slot = low.put(index)
        out = group.register() if slot >= 0 or not free else free.pop()
        group.plain += slot >= 0
        source_dtype = low.program.input_type(node.inputs[0]).dtype
        kernel = kernel_of(node.op, source_dtype, node.dtype)
        immediate = node.attrs[0] if isinstance(node.attrs, tuple) and node.attrs else 0
        first, second, third = [*registers, 0, 0, 0][:3]
        group.steps.append((kernel, out, (first, second, third), immediate, slot, ITEMSIZE[node.dtype]))
        held[index] = out
        if slot >= 0:
            written[slot] = len(group.steps) - 1
        low.done.add(index)
        for position in low.wanted.pop(index, ()):
            target = low.external(("output", position, 0))
            size = ITEMSIZE[node.dtype]
            group.steps.append((copy_kernel(node.dtype), group.register(), (out, 0, 0), 0, target, size))
            group.plain += 1
        if index not in last and slot < 0:
            free.append(held.pop(index))
    low.heirs += _heirs(low, group, whole, written)
    low.add(Code.FUSED, group.words(), count * len(group.steps), f"fused {members[0]}..{members[-1]} x{len(members)}")


def _heirs(low: Lowering, group: Group, whole: Mapping[int, int], written: Mapping[int, int]) -> list[tuple[int, int]]:
    """Pairs (slot read, slot written): tile by tile, the second's elements are written after the first's were read."""
    readers = {reg: step for step, (_, _, inputs, *_) in enumerate(group.steps) for reg in inputs}
    places = [place for _, (place, *_) in group.loads]
    found = []
    for reg, old in whole.items():
        for new, step in written.items():
            if low.slots[old].size == low.slots[new].size and readers[reg] <= step and places.count(old) == 1:
                found.append((old, new))
    return found
