"""Contractions: how their operands are laid out and read, and where their results go."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lockstep.engine.native.access import MAX_DIMS, Access, Dim, collapse, grouped, split, words
from lockstep.engine.native.codes import Code, Part
from lockstep.engine.native.windows import Layout, Operand, Rewritten, along_channels, along_places, reordered
from lockstep.numerics.dtypes import ITEMSIZE
from lockstep.program.graph import Input
from lockstep.program.ops import InputKind, Op

if TYPE_CHECKING:
    from lockstep.engine.native.lower import Lowering

MAX_OUT_AXES = 6

Read = tuple[Input, Access, list[int]]
"""Tensor, access with axes in groups (batch, rows, terms), axes a group."""


class Products:
    """Decides, before anything is emitted, which quantised tensors are written for one contraction alone.

    A tensor that several contractions read is quantised once more for each that wants a layout: that is cheaper than
    to read windows from the common one.
    """

    def __init__(self, low: Lowering) -> None:
        self.low = low
        self.layouts: dict[int, Layout] = {}
        self.copies: dict[tuple[int, int], Layout] = {}
        self.reads: dict[tuple[int, int], Read] = {}
        for index in low.live:
            if low.node(index).op is Op.MATMUL:
                self._plan(index)
        self.unread = {base for base in {self.reads[key][0].value for key in self.copies} if not self._is_read(base)}
        """Quantised nodes that are read through copies only."""

    def _is_read(self, base: int) -> bool:
        """Whether anything reads a quantised node itself, directly or through views."""
        if base in self.low.wanted:
            return True
        for reader in self.low.readers[base]:
            if self.low.node(reader).op is Op.VIEW:
                if self._is_read(reader):
                    return True
                continue
            slots = [slot for slot, source in enumerate(self.low.node(reader).inputs) if source.value == base]
            if any((reader, slot) not in self.copies for slot in slots):
                return True
        return False

    def _sizes(self, mantissas: Input) -> tuple[int, int, int]:
        """Batch, rows and terms of an operand."""
        *lead, rows, length = self.low.program.input_type(mantissas).shape
        return math.prod(lead), rows, length

    def _alone(self, index: int, reader: int) -> bool:
        """Whether a node's value is read by one contraction only, directly or through views."""
        low = self.low
        if index in low.wanted:
            return False
        (*others, only) = low.readers[index] or [-1]
        if others or only < 0:
            return False
        return only == reader or (low.node(only).op is Op.VIEW and self._alone(only, reader))

    def _operand(self, index: int, slot: int) -> tuple[int, Operand, Access] | None:
        """An operand read from a quantised tensor of its own: the tensor's node, row and term axes."""
        low = self.low
        source = low.node(index).inputs[slot]
        if not low.computed(source):
            return None
        base, access = source, None
        if low.node(source.value).op is Op.VIEW:
            base = low.base_of(source.value)[0]
            if not low.computed(base) or low.node(base.value).op is not Op.QUANTIZE:
                return None
        if low.node(base.value).op is not Op.QUANTIZE:
            return None
        access = low.resolve(source)[1]
        batch, rows, length = self._sizes(source)
        parts = split(access, (batch, rows, length))
        if batch != 1 or parts is None:
            return None
        return base.value, Operand(access, tuple(parts[1]), tuple(parts[2])), access

    def _plan(self, index: int) -> None:
        found = [self._operand(index, slot) for slot in (0, 2)]
        for side in (0, 1):
            mine, other = found[side], found[1 - side]
            if mine is None or mine[0] in self.layouts:
                continue
            base, operand, access = mine
            if not access.bounds and len(operand.terms) < 2 and all(stride == 1 for _, stride, _ in operand.terms):
                continue
            if self._is_gradient(operand):
                if other is not None and other[0] not in self.layouts and other[0] != base:
                    self._plan_places(index, side, mine, other)
                return
            if self._plan_channels(index, side, base, operand):
                return

    def _is_gradient(self, operand: Operand) -> bool:
        """Whether the windows' places are terms (else they are rows)."""
        places = [math.prod(e for e, _, steps in dims if any(steps)) for dims in (operand.rows, operand.terms)]
        return places[1] > places[0]

    def _shape(self, base: int) -> tuple[int, int]:
        node = self.low.node(base)
        return math.prod(node.shape[:-1]), node.type.elements

    def _plan_channels(self, index: int, side: int, base: int, operand: Operand) -> bool:
        low = self.low
        made = along_channels(operand, *self._shape(base))
        if made is None:
            return False
        source = low.node(index).inputs[2 - 2 * side]
        if low.computed(source) and low.node(source.value).op is Op.VIEW:
            found = low.base_of(source.value)[0]
            if low.computed(found) and low.node(found.value).op is Op.VIEW:
                return False
        other_base, other = low.resolve(source)
        _, rows, _ = self._sizes(source)
        parts = split(other, (1, rows, *(extent for extent, _, _ in operand.terms)))
        if parts is None:
            return False
        moved, terms = reordered(other, parts[2:], made.order)
        dims = (*parts[1], *terms)
        if len(dims) > MAX_DIMS or len(made.rows) + len(made.terms) > MAX_DIMS:
            return False
        self._lay_out(index, 2 * side, base, made)
        self.reads[index, 2 - 2 * side] = (other_base, replace(moved, dims=dims), [0, len(parts[1]), len(terms)])
        return True

    def _plan_places(
        self, index: int, side: int, mine: tuple[int, Operand, Access], other: tuple[int, Operand, Access]
    ) -> None:
        made = along_places(mine[1], *self._shape(mine[0]), other[1], *self._shape(other[0]))
        if made is None:
            return
        for base, slot, part in ((mine[0], 2 * side, made[0]), (other[0], 2 - 2 * side, made[1])):
            self._lay_out(index, slot, base, part)

    def _lay_out(self, index: int, slot: int, base: int, made: Rewritten) -> None:
        """Note the layout in which an operand is written, for all or as a copy of its own."""
        if self._alone(base, index):
            self.layouts[base] = made.layout
        else:
            self.copies[index, slot] = made.layout
        access = Access((*made.rows, *made.terms), made.offset)
        self.reads[index, slot] = Input(InputKind.NODE, base), access, [0, len(made.rows), len(made.terms)]

    # emission

    def emit(self, index: int) -> None:
        """Append the contraction."""
        low = self.low
        node = low.node(index)
        for slot in (0, 2):
            if (index, slot) not in self.reads and low.computed(node.inputs[slot]):
                cut = grouped(low.resolve(node.inputs[slot])[1], self._sizes(node.inputs[slot]))
                if cut is None:
                    low.write_view(node.inputs[slot].value)
        copies = {slot: self._copy(index, slot) for slot in (0, 2) if (index, slot) in self.copies}
        body: list[int] = []
        for slot in (0, 2):
            source = node.inputs[slot]
            if (index, slot) in self.reads:
                base, access, ranks = self.reads[index, slot]
                low.need(base)
                place = copies[slot] if slot in copies else low.slot(base)
                made = words(access, low.read(place), ITEMSIZE[node.dtype] // 2, keep=True)
            else:
                made, ranks = low.operand(source, self._sizes(source))
            body += [*made, *ranks[:2], *low.operand(node.inputs[slot + 1])[0]]
        _, _, length = self._sizes(node.inputs[0])
        work = node.type.elements * length // 8
        target, axes = self._target(index)
        low.done.add(index)
        low.written.add(target)
        out: list[int] = []
        for part in axes:
            out.append(len(part))
            for extent, stride, _ in part:
                out += [extent, stride]
        if index in low.carried:
            stated = [low.read(low.external(("carried", index, part))) for part in Part]
            low.add(Code.FREIVALDS, [*body, low.put(target), *out, *stated], work, f"freivalds {index}")
        else:
            low.add(Code.CONTRACT, [*body, low.put(target), *out, index in low.raw], work, f"matmul {index}")
        low.deliver(target)

    def _copy(self, index: int, slot: int) -> int:
        """Quantise an operand once more, in the layout of this contraction; its slot."""
        low, layout = self.low, self.copies[index, slot]
        base = self.reads[index, slot][0].value
        node = low.node(base)
        body = [*low.rows(node.inputs[0]), 0, 1, *low.operand(node.inputs[1])[0], -1]
        made = low.new_slot(layout.elements(math.prod(node.shape[:-1])) * ITEMSIZE[node.dtype])
        low.add(Code.QUANTIZE, [*body, made, *layout.words()], 2 * node.type.elements, f"quantize {base} again")
        return made

    def _target(self, index: int) -> tuple[int, Sequence[Sequence[Dim]]]:
        """The node whose value is written, the result or its one rearrangement, and where its axes lie."""
        low = self.low
        node = low.node(index)
        *lead, rows, columns = node.shape
        groups = (math.prod(lead), rows, columns)
        if index not in low.wanted and len(low.readers[index]) == 1:
            (reader,) = low.readers[index]
            if low.node(reader).op is Op.VIEW and reader not in low.written:
                parts = self._rearranged(index, reader, groups)
                if parts is not None:
                    return reader, parts
        plain = split(Access(((node.type.elements, 1, ()),)), groups)
        assert plain is not None
        return index, plain

    def _rearranged(self, index: int, reader: int, groups: Sequence[int]) -> list[list[Dim]] | None:
        """Axes of the result by where the reader, a permutation of it, puts them; None if it is none."""
        _, access = self.low.resolve(Input(InputKind.NODE, reader))
        dims = collapse(access.dims)
        if access.bounds or access.offset or access.count != self.low.node(index).type.elements:
            return None
        placed: list[tuple[int, int, int]] = []
        step = access.count
        for extent, stride, _ in dims:
            step //= extent
            placed.append((stride, extent, step))
        placed.sort(reverse=True)
        size = 1
        for stride, extent, _ in reversed(placed):
            if stride != size:
                return None
            size *= extent
        parts = split(Access(tuple((extent, at, ()) for _, extent, at in placed)), groups)
        if parts is None or any(len(part) > MAX_OUT_AXES for part in parts):
            return None
        return parts
