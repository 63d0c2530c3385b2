"""Two faults of ``decode_program``, both in the running totals of chunks that state entries carry.

A state of absurd shapes has more chunks than 64 bits count: ``struct.error`` reached the caller. And the totals in
the file were skipped over rather than compared, so many files decoded to one program.
"""

from __future__ import annotations

import struct

import pytest

from lockstep.commitments import merkle
from lockstep.numerics.dtypes import DType
from lockstep.program.encoding import HEADER, MAGIC, EncodingError, commit_program, decode_program, encode_node
from lockstep.program.graph import Input, Node, Program, StateEntry
from lockstep.program.ops import VERSION, InputKind, Op

STATE = Node(Op.STATE, DType.ROOT, (1,), (Input(InputKind.STATE, 0),))


def test_decode_program_of_a_state_beyond_64_bits_of_chunks_is_refused() -> None:
    node = encode_node(STATE)
    entry = bytes([DType.F32, 0, 8]) + b"\x7f" * 32 + bytes(8)
    roots = merkle.merkle_root([node]), merkle.merkle_root([entry])
    header = HEADER.pack(VERSION, 1, roots[0], 1, roots[1], 0, 0, bytes(32), 0, bytes(32), 0)
    with pytest.raises(EncodingError, match="too many for the 64 bits"):
        decode_program(MAGIC + header + b"".join(struct.pack(">H", len(e)) + e for e in (node, entry)))


def test_decode_program_of_a_file_with_wrong_running_totals_is_refused() -> None:
    data = bytearray(commit_program(Program((STATE,), (StateEntry(DType.F32, ()),)), 0).file_bytes())
    data[-1] ^= 1
    with pytest.raises(EncodingError, match="running totals"):
        decode_program(bytes(data))
