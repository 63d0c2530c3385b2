"""What breaks the rules in a stranger's program, in the form the chain can be shown.

The counterpart of ``contracts/market/ProgramFaults.sol``, which judges. What needs the whole program at once is not
shown there: its total work, metrics, random sites that occur twice.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from lockstep.commitments.merkle import fold, hash_leaf, inclusion_proof
from lockstep.program import encoding
from lockstep.program.encoding import EncodingError
from lockstep.program.graph import ConstantEntry, Node, Program, StateEntry
from lockstep.program.infer import ProgramError
from lockstep.program.ops import OP_TABLE, InputKind, Op
from lockstep.program.spec import check_constant, check_node, check_state_entry


class FaultKind(IntEnum):
    """What is wrong; twin of ``FaultKind`` in ``IProgramFaults.sol``."""

    NODE = 0
    LAST_NODE = 1
    STATE_INPUT = 2
    STATE_ENTRY = 3
    STATE_TOTALS = 4
    STATE_END = 5
    CONSTANT = 6


@dataclass(frozen=True, slots=True)
class ProgramFault:
    """An accusation; see ``ProgramFault`` in ``IProgramFaults.sol`` for what ``entries`` are by kind."""

    kind: FaultKind
    init: bool
    header: bytes
    index: int
    entries: tuple[bytes, ...]
    proofs: tuple[tuple[bytes, ...], ...]

    def abi(self) -> tuple[object, ...]:
        """The values in ABI order."""
        return (int(self.kind), self.init, self.header, self.index, self.entries, self.proofs)


@dataclass(frozen=True, slots=True)
class _Entries:
    """One list of a program: its encoded entries, and the hashes of the leaves they are."""

    encoded: tuple[bytes, ...]
    hashes: tuple[bytes, ...]

    @classmethod
    def of(cls, encoded: Sequence[bytes]) -> _Entries:
        return cls(tuple(encoded), tuple(hash_leaf(entry) for entry in encoded))

    @property
    def root(self) -> bytes:
        return fold(self.hashes) if self.hashes else encoding.EMPTY_ROOT

    def __len__(self) -> int:
        return len(self.encoded)


class Suspect:
    """A program file that may break any rule but one: its header is the one a task names.

    ``EncodingError`` where it is not, or where the file is not divided into entries.
    """

    def __init__(self, data: bytes, program_hash: bytes, *, init: bool) -> None:
        self.header, (nodes, state, constants, _) = encoding.split_file(data)
        if encoding.hash_header(self.header) != program_hash:
            raise EncodingError("This is not the program that the task names.")
        self.init = init
        self._nodes, self._state, self._constants = (_Entries.of(part) for part in (nodes, state, constants))
        fields = encoding.HEADER.unpack(self.header)
        self._state_chunks = fields[5]
        if (fields[2], fields[4], fields[7]) != (self._nodes.root, self._state.root, self._constants.root):
            raise EncodingError("The program's entries are not those of its header.")

    def faults(self) -> Iterator[ProgramFault]:
        """Accusations, the first of which the chain confirms decides; none where it can be shown nothing."""
        state, constants = list[StateEntry](), list[ConstantEntry]()
        fault = self._read_state(state) or self._read_constants(constants)
        if fault is not None:
            yield fault
            return
        nodes: list[Node] = []
        for index, data in enumerate(self._nodes.encoded):
            try:
                nodes.append(encoding.decode_node(data))
            except EncodingError:
                yield self._node_fault(index)
                return
        program = Program(tuple(nodes), tuple(state), tuple(constants))
        for index in range(len(nodes)):
            try:
                check_node(program, index, init=self.init)
            except ProgramError:
                yield self._node_fault(index)
                if index == len(nodes) - 1:
                    yield from self._last_node_faults()
                return

    # Lists

    def _read_state(self, found: list[StateEntry]) -> ProgramFault | None:
        """Collect the state entries, up to one that is at fault."""
        total = 0
        for index, data in enumerate(self._state.encoded):
            try:
                entry, before = encoding.decode_state_entry(data)
                check_state_entry(entry)
            except (EncodingError, ProgramError):
                return self._fault(FaultKind.STATE_ENTRY, index, [(self._state, index)])
            if before != total:
                shown = [(self._state, at) for at in (index, index - 1) if at >= 0]
                return self._fault(FaultKind.STATE_TOTALS, index, shown)
            found.append(entry)
            total += encoding.sampled_chunks(entry)
        if total != self._state_chunks:
            last = len(found) - 1
            return self._fault(FaultKind.STATE_END, last, [(self._state, last)])
        return None

    def _read_constants(self, found: list[ConstantEntry]) -> ProgramFault | None:
        """Collect the constant entries, up to one that is at fault."""
        for index, data in enumerate(self._constants.encoded):
            try:
                found.append(encoding.decode_constant_entry(data))
                check_constant(found[-1])
            except (EncodingError, ProgramError):
                return self._fault(FaultKind.CONSTANT, index, [(self._constants, index)])
        return None

    # Nodes

    def _node_fault(self, index: int) -> ProgramFault:
        inputs = [self._denoted(kind, value) for kind, value in _raw_inputs(self._nodes.encoded[index])]
        return self._fault(FaultKind.NODE, index, [(self._nodes, index), *inputs])

    def _last_node_faults(self) -> Iterator[ProgramFault]:
        last = len(self._nodes) - 1
        yield self._fault(FaultKind.LAST_NODE, last, [(self._nodes, last)])
        for slot, (kind, value) in enumerate(_raw_inputs(self._nodes.encoded[last])[: len(self._state)]):
            shown = [(self._nodes, last), self._denoted(kind, value), (self._state, slot)]
            yield self._fault(FaultKind.STATE_INPUT, slot, shown)

    def _denoted(self, kind: int, value: int) -> tuple[_Entries, int] | None:
        """The entry an input denotes, None where it denotes none."""
        part = {
            InputKind.NODE: self._nodes,
            InputKind.STATE: self._state,
            InputKind.CONST: self._constants,
            InputKind.COMMITTED: self._state,
        }.get(kind)  # type: ignore[call-overload]
        return (part, value) if part is not None and value < len(part) else None

    def _fault(self, kind: FaultKind, index: int, shown: Sequence[tuple[_Entries, int] | None]) -> ProgramFault:
        entries, proofs = list[bytes](), list[tuple[bytes, ...]]()
        for place in shown:
            if place is None:
                entries.append(b"")
                proofs.append(())
                continue
            part, at = place
            entries.append(part.encoded[at])
            proofs.append(tuple(inclusion_proof(part.hashes, at)))
        return ProgramFault(kind, self.init, self.header, index, tuple(entries), tuple(proofs))


def _raw_inputs(data: bytes) -> list[tuple[int, int]]:
    """(kind, value) of an encoded node's inputs, whatever else is wrong with it; none where they cannot be found."""
    try:
        op, rank = Op(data[0]), data[2]
        at = 3 + 4 * rank
        if op is Op.VIEW:
            at += 1 + 8 * data[at] + 5 * rank + 4
        elif op is Op.CONCAT:
            at += 1
        else:
            at += sum(struct.calcsize(encoding.ATTR_LAYOUT[kind]) for _, kind in OP_TABLE[op].attrs)
        (count,) = struct.unpack_from(">H", data, at)
        return [struct.unpack_from(">BI", data, at + 2 + 5 * slot) for slot in range(count)]
    except (ValueError, IndexError, struct.error):
        return []
