"""Checkpoints that have not the program's shape: what the chain can be shown of one that was published.

The counterpart of ``contracts/audit/StartChecker.sol``, which judges. A checkpoint whose data nobody has is withheld,
and shown by demanding it; here are those whose data are there, hash to what was committed, and are no state that a
replay could start from: other tensors than the program's, or an f32 NaN that is not the canonical one.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np

from lockstep.commitments import merkle
from lockstep.commitments.tensor import (
    CHUNK_BYTES,
    TensorCommitment,
    chunk_hashes,
    commit_roots,
    tensor_header,
)
from lockstep.engine.checkpoint import HEADER_NESTING, nesting
from lockstep.numerics.dtypes import CANONICAL_NAN, ITEMSIZE, DType
from lockstep.program.encoding import ProgramCommitment
from lockstep.program.graph import Program

_DTYPES = {"F32": DType.F32, "I32": DType.I32}
_MAX_RANK = 8
_ROOTS_PER_CHUNK = CHUNK_BYTES // 32
_HEADER_LIMIT = 1 << 24
"""Bytes of a file's header that are read at most."""


class StartPart(IntEnum):
    """Where under a checkpoint's root a preimage belongs; twin of ``StartPart`` in ``IStartChecker.sol``."""

    STATE = 0
    STATE_TREE = 1
    ENTRY = 2
    ENTRY_TREE = 3


@dataclass(frozen=True, slots=True)
class MalformedStart:
    """An accusation; see ``MalformedStart`` in ``IStartChecker.sol``."""

    part: StartPart
    preimage: bytes
    header: bytes
    level: int = 0
    position: int = 0
    path: list[bytes] = field(default_factory=list)
    index: int = 0
    entry: bytes = b""
    entry_proof: list[bytes] = field(default_factory=list)
    roots: bytes = b""
    roots_proof: list[bytes] = field(default_factory=list)

    def abi(self) -> tuple[object, ...]:
        """The values in ABI order."""
        return (
            int(self.part),
            self.preimage,
            self.level,
            self.position,
            self.path,
            self.header,
            self.index,
            self.entry,
            self.entry_proof,
            self.roots,
            self.roots_proof,
        )


def find_malformed(
    data: bytes | memoryview, program: Program, commitment: ProgramCommitment, root: bytes
) -> MalformedStart | None:
    """What shows that the checkpoint of this root, whose file is ``data``, is no state of the program.

    None where it is one, or where the file says nothing about the root: it cannot be read, or hashes to something else.
    """
    try:
        tensors = _tensors_of(memoryview(data).cast("B"))
    except (ValueError, TypeError, KeyError, RecursionError, struct.error):
        return None
    state = commit_roots([tensor.root for tensor in tensors])
    if state.root != root:
        return None
    if len(tensors) != len(program.state):
        preimage = b"\x02" + tensor_header(DType.ROOT, (len(tensors),)) + state.tree.root
        return MalformedStart(StartPart.STATE, preimage, commitment.header)
    for index, (entry, tensor) in enumerate(zip(program.state, tensors, strict=True)):
        chunk = index // _ROOTS_PER_CHUNK
        found = MalformedStart(
            StartPart.ENTRY,
            b"\x02" + tensor_header(tensor.dtype, tensor.shape) + tensor.tree.root,
            commitment.header,
            index=index,
            entry=commitment.state_bytes[index],
            entry_proof=commitment.state.inclusion_proof(index),
            roots=state.chunk(chunk),
            roots_proof=state.tree.inclusion_proof(chunk),
        )
        if (entry.dtype, entry.shape) != (tensor.dtype, tensor.shape):
            return found
        odd = _odd_chunk(tensor)
        if odd is not None:
            preimage, path = b"\x00" + tensor.chunk(odd), tensor.tree.inclusion_proof(odd)
            return replace(found, part=StartPart.ENTRY_TREE, preimage=preimage, position=odd, path=path)
    return None


def _tensors_of(data: memoryview) -> list[TensorCommitment]:
    """The tensors named 0, 1, .. of a safetensors file, whatever their number, types and shapes; bytes as they are."""
    (length,) = struct.unpack("<Q", data[:8])
    if not 2 <= length <= min(len(data) - 8, _HEADER_LIMIT):
        raise ValueError("a header that the file does not hold")
    text, body = bytes(data[8 : 8 + length]), data[8 + length :]
    if nesting(text) > HEADER_NESTING:
        raise ValueError("a header that is nested too deep")
    table = json.loads(text)
    tensors = []
    for index in range(len(table)):
        found = table[str(index)]
        shape, (start, stop) = tuple(found["shape"]), found["data_offsets"]
        kind = _DTYPES[found["dtype"]]
        if len(shape) > _MAX_RANK or not all(type(extent) is int and 0 < extent < 2**32 for extent in shape):
            raise ValueError("a shape that no tensor has")
        if not 0 <= start <= stop <= len(body) or stop - start != math.prod(shape) * ITEMSIZE[kind]:
            raise ValueError("a tensor that does not fill its place")
        part = body[start:stop]
        tensors.append(TensorCommitment(kind, shape, part, merkle.Tree(chunk_hashes(part))))
    if not tensors:
        raise ValueError("no tensors")
    return tensors


def _odd_chunk(tensor: TensorCommitment) -> int | None:
    """First chunk of an f32 tensor with a NaN that is not the canonical one."""
    if tensor.dtype is not DType.F32:
        return None
    bits = np.frombuffer(tensor.data, np.uint32)
    odd = np.flatnonzero((bits & 0x7FFFFFFF > 0x7F800000) & (bits != CANONICAL_NAN))
    return int(odd[0]) * 4 // CHUNK_BYTES if odd.size else None
