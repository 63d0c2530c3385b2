"""Canonical bytes of nodes and programs: round trips, and refusal of everything else with a sentence."""

from __future__ import annotations

import resource
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lockstep.commitments import merkle
from lockstep.numerics.dtypes import DType
from lockstep.program.encoding import (
    HEADER,
    MAGIC,
    EncodingError,
    ProgramCommitment,
    commit_program,
    decode_node,
    decode_program,
    encode_node,
    encode_state_entry,
)
from lockstep.program.graph import Concat, ConstantEntry, Input, Node, Program, StateEntry, View
from lockstep.program.ops import (
    MAX_CONSTANTS,
    MAX_METRICS,
    MAX_NODES,
    MAX_STATE,
    OP_TABLE,
    VERSION,
    InputKind,
    Op,
)
from tests.strategies import (
    ALL_OPS,
    ProgramCase,
    node_cases,
    per_op,
    program_cases,
    random_node_case,
    random_program_case,
)

DIMS = st.lists(st.integers(0, 2**32 - 1), max_size=8).map(tuple)
I32S = st.integers(-(2**31), 2**31 - 1)
U32S = st.integers(0, 2**32 - 1)
_RANGE = {"u8": st.integers(0, 255), "i16": st.integers(-(2**15), 2**15 - 1), "u32": U32S}


@st.composite
def any_nodes(draw: st.DrawFn) -> Node:
    """Any node that bytes can say, however absurd."""
    op = draw(st.sampled_from(Op))
    shape = draw(DIMS)
    inputs = draw(st.lists(st.builds(Input, st.sampled_from(InputKind), U32S), max_size=6))
    attrs: object
    if op is Op.VIEW:
        src = draw(DIMS)
        offset = tuple(draw(st.lists(I32S, min_size=len(src), max_size=len(src))))
        axes = st.tuples(st.integers(0, 255), I32S)
        attrs = View(src, offset, tuple(draw(st.lists(axes, min_size=len(shape), max_size=len(shape)))), draw(U32S))
    elif op is Op.CONCAT:
        attrs = Concat(draw(st.integers(0, 255)), tuple(draw(U32S) for _ in inputs))
    else:
        attrs = tuple(draw(_RANGE[kind]) for _, kind in OP_TABLE[op].attrs)
    return Node(op, draw(st.sampled_from(DType)), shape, tuple(inputs), attrs)  # type: ignore[arg-type]


def commitment(case: ProgramCase) -> ProgramCommitment:
    return commit_program(case.program, 7)


def example_file(seed: int = 3) -> bytes:
    return commitment(random_program_case(np.random.default_rng(seed), 6)).file_bytes()


def is_sentence(error: EncodingError) -> bool:
    text = str(error)
    return text[0].isupper() and text.endswith(".") and len(text) < 200


# Round trips


@given(any_nodes())
def test_any_node_survives_its_bytes(node: Node) -> None:
    assert decode_node(encode_node(node)) == node


@pytest.mark.parametrize("op", ALL_OPS, ids=lambda op: op.name.lower())
@per_op()
@given(seed=st.integers(0, 2**32 - 1))
def test_valid_nodes_survive_their_bytes(op: Op, seed: int) -> None:
    node = random_node_case(np.random.default_rng(seed), op).node
    assert decode_node(encode_node(node)) == node


@given(program_cases(nodes=8))
def test_programs_survive_their_files(case: ProgramCase) -> None:
    made = commitment(case)
    program, header = decode_program(made.file_bytes())
    assert program == case.program
    assert header == made.header
    assert commit_program(program, 7).hash == made.hash


def test_node_bytes_are_as_documented() -> None:
    node = Node(Op.EXPONENT, DType.E16, (3, 258), (Input(InputKind.STATE, 5),), (-113,))
    assert encode_node(node).hex() == "6004" + "02" + "00000003" + "00000102" + "ff8f" + "0001" + "01" + "00000005"
    view = View((6,), (-1,), ((0, 2), (0, -1)), 0x7FC00000)
    node = Node(Op.VIEW, DType.F32, (2, 3), (Input(InputKind.NODE, 1),), view)
    assert encode_node(node).hex() == (
        "8001" + "02" + "00000002" + "00000003" + "01" + "00000006" + "ffffffff"
        "00" + "00000002" + "00" + "ffffffff" + "7fc00000" + "0001" + "00" + "00000001"
    )
    node = Node(Op.CONCAT, DType.I32, (5,), (Input(InputKind.CONST, 0), Input(InputKind.STATE, 1)), Concat(0, (2, 3)))
    assert encode_node(node).hex() == (
        "8102" + "01" + "00000005" + "00" + "0002" + "02" + "00000000" + "01" + "00000001" + "00000002" + "00000003"
    )


def test_header_lists_versions_counts_roots_and_work() -> None:
    case = random_program_case(np.random.default_rng(1), 5)
    made = commitment(case)
    fields = HEADER.unpack(made.header)
    assert fields[0] == VERSION
    assert fields[1] == len(case.program.nodes)
    assert fields[2] == merkle.merkle_root(made.node_bytes)
    assert fields[3] == len(case.program.state)
    assert fields[4] == merkle.merkle_root(made.state_bytes)
    assert fields[6] == len(case.program.constants)
    assert fields[8] == len(case.program.metrics)
    assert fields[10] == 7


def test_empty_lists_have_the_zero_root() -> None:
    program = Program(
        (Node(Op.STATE, DType.ROOT, (1,), (Input(InputKind.STATE, 0),)),), (StateEntry(DType.F32, (300,)),)
    )
    fields = HEADER.unpack(commit_program(program, 0).header)
    assert (fields[6], fields[7], fields[8], fields[9]) == (0, bytes(32), 0, bytes(32))
    assert fields[5] == 2  # 1,200 bytes are two chunks


def test_frozen_entries_count_no_chunks() -> None:
    state = (StateEntry(DType.F32, (300,), True), StateEntry(DType.F32, (300,)), StateEntry(DType.I32, (1,)))
    program = Program((Node(Op.IOTA, DType.I32, ()),), state)
    made = commit_program(program, 0)
    assert made.state_bytes == (
        encode_state_entry(state[0], 0),
        encode_state_entry(state[1], 0),
        encode_state_entry(state[2], 2),
    )
    assert made.state_chunks == 3


def test_hash_binds_every_part() -> None:
    program = random_program_case(np.random.default_rng(9), 4).program
    base = commit_program(program, 7).hash
    node = program.nodes[0]
    others = [
        commit_program(program, 8),
        commit_program(replace(program, nodes=(replace(node, shape=(*node.shape, 1)), *program.nodes[1:])), 7),
        commit_program(replace(program, state=(*program.state, StateEntry(DType.F32, ()))), 7),
        commit_program(replace(program, constants=(ConstantEntry(DType.U8, (), bytes(32)),)), 7),
        commit_program(replace(program, metrics=(*program.metrics, 1)), 7),
    ]
    assert len({base, *(other.hash for other in others)}) == 6


# Hostile bytes


def outcome(data: bytes, decode: Callable[[bytes], object]) -> object | None:
    """What the bytes decode to; None if they are refused with a sentence, the error if with less than that."""
    try:
        return decode(data)
    except EncodingError as error:
        return None if is_sentence(error) else error


@given(st.binary(max_size=120))
@example(b"")
@example(bytes([Op.STATE, DType.ROOT, 0, 0xFF, 0xFF]))
@example(bytes([Op.CONCAT, DType.F32, 0, 0, 0xFF, 0xFF]))
@example(bytes([Op.VIEW, DType.F32, 255]))
def test_bytes_are_refused_or_are_exactly_what_the_node_encodes_to(data: bytes) -> None:
    node = outcome(data, decode_node)
    if node is not None:
        assert isinstance(node, Node)
        assert encode_node(node) == data


@given(node_cases(), st.data())
def test_a_changed_node_is_refused_or_canonical(case: object, data: st.DataObject) -> None:
    raw = bytearray(encode_node(case.node))  # type: ignore[attr-defined]
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    node = outcome(bytes(raw), decode_node)
    if node is not None:
        assert encode_node(node) == bytes(raw)  # type: ignore[arg-type]


@given(node_cases())
def test_a_shortened_or_lengthened_node_is_refused(case: object) -> None:
    raw = encode_node(case.node)  # type: ignore[attr-defined]
    for stop in range(len(raw)):
        assert outcome(raw[:stop], decode_node) is None
    assert outcome(raw + b"\x00", decode_node) is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (bytes([0xFF]), "no known op: code 0xff"),
        (bytes([Op.IOTA, 0]), "no known dtype: code 0"),
        (bytes([Op.IOTA, 99]), "no known dtype: code 99"),
        (bytes([Op.IOTA, DType.I32, 9]), "rank 9; at most 8"),
        (bytes([Op.IOTA, DType.I32, 8]), "ends too early"),
        (bytes([Op.NEG, DType.F32, 0, 0, 1, 8, 0, 0, 0, 0]), "no known input kind: code 8"),
        (bytes([Op.IOTA, DType.I32, 0, 0, 0, 7]), "1 bytes too many"),
    ],
)
def test_a_node_is_refused_for_its_reason(data: bytes, message: str) -> None:
    with pytest.raises(EncodingError, match=message) as caught:
        decode_node(data, "Node 5")
    assert str(caught.value).startswith("Node 5 ")
    assert is_sentence(caught.value)


def test_a_file_cut_anywhere_is_refused() -> None:
    data = example_file()
    for stop in range(len(data)):
        assert outcome(data[:stop], decode_program) is None
    assert outcome(data + b"\x00", decode_program) is None


def test_a_file_with_any_byte_changed_is_refused_but_for_its_work() -> None:
    data = bytearray(example_file())
    work = range(len(MAGIC) + HEADER.size - 8, len(MAGIC) + HEADER.size)
    for at in range(len(data)):
        data[at] ^= 0x41
        assert (outcome(bytes(data), decode_program) is None) is (at not in work), f"byte {at}"
        data[at] ^= 0x41


@given(st.binary(max_size=400))
def test_random_bytes_are_no_program(data: bytes) -> None:
    assert outcome(data, decode_program) is None
    assert outcome(MAGIC + data, decode_program) is None
    header = HEADER.pack(VERSION, 3, bytes(32), 2, bytes(32), 0, 1, bytes(32), 1, bytes(32), 0)
    assert outcome(MAGIC + header + data, decode_program) is None


def file_of(
    nodes: Sequence[bytes] = (),
    state: Sequence[bytes] = (),
    constants: Sequence[bytes] = (),
    metrics: Sequence[bytes] = (),
) -> bytes:
    """A file of raw entries under a header whose roots fit them."""

    def root(entries: Sequence[bytes]) -> bytes:
        return merkle.merkle_root(entries) if entries else bytes(32)

    header = HEADER.pack(
        *(VERSION, len(nodes), root(nodes), len(state), root(state), 0),
        *(len(constants), root(constants), len(metrics), root(metrics), 0),
    )
    entries = (*nodes, *state, *constants, *metrics)
    return MAGIC + header + b"".join(struct.pack(">H", len(entry)) + entry for entry in entries)


NODE = encode_node(Node(Op.STATE, DType.ROOT, (1,), (Input(InputKind.STATE, 0),)))
ENTRY = encode_state_entry(StateEntry(DType.F32, (), True), 0)


def test_a_hand_made_file_is_accepted() -> None:
    program, _ = decode_program(file_of([NODE], [ENTRY]))
    assert program.state == (StateEntry(DType.F32, (), True),)


HUGE_ENTRY = bytes([DType.F32, 0, 8]) + b"\xff" * 32 + bytes(8)
HUGE_NODE = bytes([Op.IOTA, DType.I32, 8]) + b"\xff" * 32 + bytes(2)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ends too early"),
        (b"LSP2" + bytes(HEADER.size), "does not begin with LSP1"),
        (MAGIC + HEADER.pack(2, *[0, bytes(32), 0, bytes(32), 0, 0, bytes(32), 0, bytes(32), 0]), "version 2"),
        (file_of([], [ENTRY]), "at least one node"),
        (file_of([NODE], []), "at least one"),
        (file_of([NODE], [bytes([DType.F32, 2, 0]) + bytes(8)]), "frozen flag 2"),
        (file_of([NODE], [bytes([DType.F32, 1, 0]) + bytes(7) + b"\x01"]), "does not match"),
        (file_of([NODE], [ENTRY + b"\x00"]), "bytes too many"),
        (file_of([NODE], [ENTRY], [bytes([DType.U8, 0]) + bytes(31)]), "ends too early"),
        (file_of([NODE], [ENTRY], [], [bytes(5)]), "bytes too many"),
        (file_of([b""], [ENTRY]), "Node 0 ends too early"),
    ],
)
def test_a_file_is_refused_for_its_reason(data: bytes, message: str) -> None:
    with pytest.raises(EncodingError, match=message) as caught:
        decode_program(data)
    assert is_sentence(caught.value)


@pytest.mark.parametrize("shape", [b"\xff" * 32, b"\x7f" * 32, b"\x00" * 32])
def test_absurd_shapes_of_state_are_refused_or_decoded_without_being_allocated(shape: bytes) -> None:
    entry = bytes([DType.F32, 0, 8]) + shape + bytes(8)
    outcome(file_of([HUGE_NODE, NODE], [entry]), decode_program)
    outcome(file_of([HUGE_NODE, NODE], [entry, entry]), decode_program)


@pytest.mark.parametrize(
    ("field", "limit", "word"),
    [(1, MAX_NODES, "nodes"), (3, MAX_STATE, "state"), (6, MAX_CONSTANTS, "constants"), (8, MAX_METRICS, "metrics")],
)
@pytest.mark.parametrize("beyond", [1, 2**32])
def test_counts_are_refused_before_anything_is_allocated(field: int, limit: int, word: str, beyond: int) -> None:
    fields: list[object] = [VERSION, 1, bytes(32), 1, bytes(32), 0, 0, bytes(32), 0, bytes(32), 0]
    fields[field] = min(limit + beyond, 2**32 - 1)
    with pytest.raises(EncodingError, match=word):
        decode_program(MAGIC + HEADER.pack(*fields))
    fields[field] = limit
    with pytest.raises(EncodingError, match="ends too early"):
        decode_program(MAGIC + HEADER.pack(*fields))


def test_hostile_counts_and_shapes_take_no_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome(file_of([HUGE_NODE, NODE], [HUGE_ENTRY]), decode_program)
    outcome(bytes([Op.STATE, DType.ROOT, 0, 0xFF, 0xFF]), decode_node)
    outcome(bytes([Op.CONCAT, DType.F32, 0, 0, 0xFF, 0xFF]), decode_node)
    for word in (1, 3, 6, 8):
        fields: list[object] = [VERSION, 1, bytes(32), 1, bytes(32), 0, 0, bytes(32), 0, bytes(32), 0]
        fields[word] = 2**32 - 1
        outcome(MAGIC + HEADER.pack(*fields), decode_program)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB
