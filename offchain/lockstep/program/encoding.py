"""Canonical binary encoding of programs, and the hash a task names.

All integers are big-endian. One node::

    node  = op u8 | dtype u8 | rank u8 | extent u32 * rank | attrs | count u16 | input * count
    input = kind u8 | value u32

``attrs`` have the op's fixed layout (``ops.OP_TABLE``); two ops have layouts of their own::

    view   = src_rank u8 | src_extent u32 * src_rank | offset i32 * src_rank
             | (axis u8 | stride i32) * rank | fill u32
    concat = axis u8, and after the inputs each input's extent along it, u32 * count

The header opens entry by entry::

    state entry    = dtype u8 | frozen u8 | rank u8 | extent u32 * rank | chunks before u64
    constant entry = dtype u8 | rank u8 | extent u32 * rank | tensor root
    header = version u16 | node count u32 | nodes root | state count u32 | state root
             | state chunks u64 | constant count u32 | constants root | metric count u32
             | metrics root | work u64
    program hash = H(0x04 || header)

where each root is the tree over the encoded entries (32 zero bytes for an empty list), "chunks
before" counts the 1 KiB chunks of the non-frozen entries before this one, and state chunks those
of all. A file is ``b"LSP1" || header || entries``, each entry behind its length as u16.
Twin: ``contracts/commitments/ProgramLib.sol``.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lockstep.commitments import merkle
from lockstep.commitments.tensor import chunk_count
from lockstep.numerics.dtypes import DType
from lockstep.program.graph import (
    Concat,
    ConstantEntry,
    Input,
    Node,
    Program,
    Shape,
    StateEntry,
    View,
)
from lockstep.program.ops import (
    MAX_CONSTANTS,
    MAX_METRICS,
    MAX_NODES,
    MAX_RANK,
    MAX_STATE,
    OP_TABLE,
    VERSION,
    InputKind,
    Op,
)

MAGIC = b"LSP1"
HEADER = struct.Struct(">HI32sI32sQI32sI32sQ")
EMPTY_ROOT = bytes(32)
ATTR_LAYOUT = {"u8": ">B", "i16": ">h", "u32": ">I"}
"""How an attribute of each kind in ``OP_TABLE`` is packed."""


class EncodingError(ValueError):
    """Bytes that are not a program's canonical encoding; the message says where and why."""


def _shape(shape: Shape) -> bytes:
    return struct.pack(f">B{len(shape)}I", len(shape), *shape)


def encode_node(node: Node) -> bytes:
    """Bytes of one node (see the module's layout)."""
    out = bytearray((node.op, node.dtype))
    out += _shape(node.shape)
    attrs = node.attrs
    if isinstance(attrs, View):
        out += _shape(attrs.src_shape)
        out += struct.pack(f">{len(attrs.offset)}i", *attrs.offset)
        for axis, stride in attrs.mapping:
            out += struct.pack(">Bi", axis, stride)
        out += struct.pack(">I", attrs.fill)
    elif isinstance(attrs, Concat):
        out.append(attrs.axis)
    else:
        for (_, kind), value in zip(OP_TABLE[node.op].attrs, attrs, strict=True):
            out += struct.pack(ATTR_LAYOUT[kind], value)
    out += struct.pack(">H", len(node.inputs))
    for source in node.inputs:
        out += struct.pack(">BI", source.kind, source.value)
    if isinstance(attrs, Concat):
        out += struct.pack(f">{len(attrs.extents)}I", *attrs.extents)
    return bytes(out)


class _Reader:
    """Bounds-checked cursor over untrusted bytes."""

    def __init__(self, data: bytes, what: str) -> None:
        self.data, self.at, self.what = data, 0, what

    def take(self, layout: str) -> tuple[int, ...]:
        size = struct.calcsize(layout)
        if self.at + size > len(self.data):
            raise EncodingError(f"{self.what} ends too early: {size} bytes wanted at offset {self.at}.")
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += size
        return values

    def take_bytes(self, size: int) -> bytes:
        if self.at + size > len(self.data):
            raise EncodingError(f"{self.what} ends too early: {size} bytes wanted at offset {self.at}.")
        self.at += size
        return self.data[self.at - size : self.at]

    def shape(self) -> Shape:
        (rank,) = self.take(">B")
        if rank > MAX_RANK:
            raise EncodingError(f"{self.what} has rank {rank}; at most {MAX_RANK} is allowed.")
        return self.take(f">{rank}I")

    def dtype(self) -> DType:
        (code,) = self.take(">B")
        try:
            return DType(code)
        except ValueError:
            raise EncodingError(f"{self.what} has no known dtype: code {code}.") from None

    def end(self) -> None:
        if self.at != len(self.data):
            raise EncodingError(f"{self.what} has {len(self.data) - self.at} bytes too many.")


def decode_node(data: bytes, what: str = "The node") -> Node:
    """Node from its bytes; ``EncodingError`` for anything ``encode_node`` could not have written."""
    reader = _Reader(data, what)
    (code,) = reader.take(">B")
    try:
        op = Op(code)
    except ValueError:
        raise EncodingError(f"{what} has no known op: code {code:#04x}.") from None
    dtype = reader.dtype()
    shape = reader.shape()
    attrs: tuple[int, ...] | View | Concat
    axis = 0
    if op is Op.VIEW:
        src_shape = reader.shape()
        offset = reader.take(f">{len(src_shape)}i")
        mapping = tuple((a, s) for a, s in (reader.take(">Bi") for _ in shape))
        attrs = View(src_shape, offset, mapping, reader.take(">I")[0])
    elif op is Op.CONCAT:
        (axis,) = reader.take(">B")
        attrs = ()
    else:
        attrs = tuple(reader.take(ATTR_LAYOUT[kind])[0] for _, kind in OP_TABLE[op].attrs)
    (count,) = reader.take(">H")
    inputs = []
    for _ in range(count):
        kind, value = reader.take(">BI")
        try:
            inputs.append(Input(InputKind(kind), value))
        except ValueError:
            raise EncodingError(f"{what} has no known input kind: code {kind}.") from None
    if op is Op.CONCAT:
        attrs = Concat(axis, reader.take(f">{count}I"))
    reader.end()
    return Node(op, dtype, shape, tuple(inputs), attrs)


def encode_state_entry(entry: StateEntry, chunks_before: int) -> bytes:
    """Bytes of one state entry."""
    return bytes([entry.dtype, entry.frozen]) + _shape(entry.shape) + struct.pack(">Q", chunks_before)


def encode_constant_entry(entry: ConstantEntry) -> bytes:
    """Bytes of one constant entry."""
    return bytes([entry.dtype]) + _shape(entry.shape) + entry.root


def sampled_chunks(entry: StateEntry) -> int:
    """Chunks of a state entry that replay digests may sample: none of a frozen one."""
    return 0 if entry.frozen else chunk_count(entry.dtype, entry.shape)


def state_entries(state: Sequence[StateEntry]) -> tuple[list[bytes], int]:
    """Encoded state entries with their running totals, and the total of non-frozen chunks.

    ``EncodingError`` where the total needs more than 64 bits: ``encode_state_entry`` could not write it.
    """
    encoded, chunks = [], 0
    for entry in state:
        encoded.append(encode_state_entry(entry, chunks))
        chunks += sampled_chunks(entry)
        if chunks >= 2**64:
            raise EncodingError("The state's chunks are too many for the 64 bits that count them.")
    return encoded, chunks


def _tree(entries: Iterable[bytes]) -> merkle.Tree | None:
    hashes = [merkle.hash_leaf(entry) for entry in entries]
    return merkle.Tree(hashes) if hashes else None


@dataclass(frozen=True, slots=True)
class ProgramCommitment:
    """A program's encoded parts with their trees, to prove entries from."""

    node_bytes: tuple[bytes, ...]
    state_bytes: tuple[bytes, ...]
    constant_bytes: tuple[bytes, ...]
    metric_bytes: tuple[bytes, ...]
    state_chunks: int
    work: int
    nodes: merkle.Tree
    state: merkle.Tree
    constants: merkle.Tree | None
    metrics: merkle.Tree | None

    @property
    def header(self) -> bytes:
        """Encoded header."""
        return HEADER.pack(
            VERSION,
            len(self.node_bytes),
            self.nodes.root,
            len(self.state_bytes),
            self.state.root,
            self.state_chunks,
            len(self.constant_bytes),
            self.constants.root if self.constants else EMPTY_ROOT,
            len(self.metric_bytes),
            self.metrics.root if self.metrics else EMPTY_ROOT,
            self.work,
        )

    @property
    def hash(self) -> bytes:
        """Program hash, 32 bytes: ``H(0x04 || header)``."""
        return hash_header(self.header)

    def file_bytes(self) -> bytes:
        """The program as a file: magic, header, entries behind their lengths."""
        entries = (*self.node_bytes, *self.state_bytes, *self.constant_bytes, *self.metric_bytes)
        return MAGIC + self.header + b"".join(struct.pack(">H", len(e)) + e for e in entries)


def commit_program(program: Program, work: int) -> ProgramCommitment:
    """Encode a program and build its trees; ``work`` as counted by ``lockstep.program.work``."""
    node_bytes = tuple(encode_node(node) for node in program.nodes)
    state_bytes, chunks = state_entries(program.state)
    constant_bytes = tuple(encode_constant_entry(entry) for entry in program.constants)
    metric_bytes = tuple(struct.pack(">I", index) for index in program.metrics)
    nodes, state = _tree(node_bytes), _tree(state_bytes)
    if nodes is None or state is None:
        raise EncodingError("A program has at least one node and one state entry.")
    return ProgramCommitment(
        node_bytes,
        tuple(state_bytes),
        constant_bytes,
        metric_bytes,
        chunks,
        work,
        nodes,
        state,
        _tree(constant_bytes),
        _tree(metric_bytes),
    )


Entries = tuple[list[bytes], list[bytes], list[bytes], list[bytes]]
"""Encoded nodes, state entries, constants, metrics."""


def hash_header(header: bytes) -> bytes:
    """Program hash of an encoded header, 32 bytes: ``H(0x04 || header)``."""
    return hashlib.sha256(b"\x04" + header).digest()


def split_file(data: bytes) -> tuple[bytes, Entries]:
    """Header and encoded entries of a program file; what they say is not looked at, but for how many there are.

    ``EncodingError`` where the bytes are not so divided. Sizes are checked before anything is allocated.
    """
    reader = _Reader(data, "The program file")
    if reader.take_bytes(len(MAGIC)) != MAGIC:
        raise EncodingError(f"This is not a program file: it does not begin with {MAGIC.decode()}.")
    header = reader.take_bytes(HEADER.size)
    version, nodes, _, states, _, _, constants, _, metrics, _, _ = HEADER.unpack(header)
    if version != VERSION:
        raise EncodingError(f"Program version {version} is not known; this build reads {VERSION}.")
    counts = (
        (nodes, MAX_NODES, "nodes"),
        (states, MAX_STATE, "state entries"),
        (constants, MAX_CONSTANTS, "constants"),
        (metrics, MAX_METRICS, "metrics"),
    )
    for count, limit, what in counts:
        if count > limit:
            raise EncodingError(f"The program has {count} {what}; at most {limit} are allowed.")
    parts = [[reader.take_bytes(reader.take(">H")[0]) for _ in range(count)] for count, _, _ in counts]
    reader.end()
    return header, (parts[0], parts[1], parts[2], parts[3])


def decode_state_entry(data: bytes, what: str = "The state entry") -> tuple[StateEntry, int]:
    """State entry from its bytes, and the chunks before it."""
    item = _Reader(data, what)
    dtype, (frozen,) = item.dtype(), item.take(">B")
    if frozen > 1:
        raise EncodingError(f"{what} has frozen flag {frozen}; it is 0 or 1.")
    entry = StateEntry(dtype, item.shape(), bool(frozen))
    (before,) = item.take(">Q")
    item.end()
    return entry, before


def decode_constant_entry(data: bytes, what: str = "The constant") -> ConstantEntry:
    """Constant entry from its bytes."""
    item = _Reader(data, what)
    entry = ConstantEntry(item.dtype(), item.shape(), item.take_bytes(32))
    item.end()
    return entry


def _decode_metric(data: bytes, what: str) -> int:
    item = _Reader(data, what)
    (index,) = item.take(">I")
    item.end()
    return index


def decode_program(data: bytes) -> tuple[Program, bytes]:
    """Program and header from a file's bytes.

    Sizes are checked before anything is allocated. The header must be the one the entries give,
    except for ``work``, which ``spec.check_program`` compares. ``EncodingError`` says what is wrong.
    """
    header, (nodes, state, constants, metrics) = split_file(data)
    program = Program(
        tuple(decode_node(entry, f"Node {i}") for i, entry in enumerate(nodes)),
        tuple(decode_state_entry(entry, f"State entry {i}")[0] for i, entry in enumerate(state)),
        tuple(decode_constant_entry(entry, f"Constant {i}") for i, entry in enumerate(constants)),
        tuple(_decode_metric(entry, f"Metric {i}") for i, entry in enumerate(metrics)),
    )
    made = commit_program(program, HEADER.unpack(header)[-1])
    if made.header != header:
        raise EncodingError("The program's header does not match its entries.")
    if made.file_bytes() != data:
        raise EncodingError("The program file's state entries do not hold the running totals of their chunks.")
    return program, header
