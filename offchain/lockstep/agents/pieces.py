"""Pieces of what a replay needs: how a task divides into them, what shows and answers each; twin of ``Pieces.sol``.

A piece is a run of 32 entries of a program's list, or of 32 KiB of a constant or of an entry of a checkpoint, or the
link: the roots of the checkpoints that a segment starts from and ends in, with their proof.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from eth_abi.abi import decode
from torch import Tensor

from lockstep.agents.workload import Workload
from lockstep.chain.lockstep import PostedDemand
from lockstep.chain.types import Piece, PieceKind, Place
from lockstep.commitments import merkle
from lockstep.commitments.tensor import CHUNK_BYTES, commit_roots, commit_tensor, tensor_header
from lockstep.dispute import claims
from lockstep.engine.checkpoint import tensor_roots
from lockstep.engine.routes import to_numpy
from lockstep.numerics.dtypes import ITEMSIZE
from lockstep.program.encoding import HEADER, MAGIC, ProgramCommitment, decode_constant_entry, decode_state_entry
from lockstep.program.graph import ConstantEntry, Program, StateEntry

RUN = 32
"""Entries or chunks of a piece."""
RUN_BYTES = RUN * CHUNK_BYTES
OVERHEAD = 1024
"""Bytes paid for beside the content."""
ITEM = 256
"""Bytes paid for an entry of a list."""
ROOTS = CHUNK_BYTES // 32
"""Roots in a chunk of a state's roots."""
_COUNTS = (1, 3, 6, 8)
"""Places of the lists' counts in a header; each is followed by the list's root."""

Entry = StateEntry | ConstantEntry


def link_piece(task: int, segment: int) -> Piece:
    """The piece with the roots a segment starts from and ends in."""
    return Piece(task, segment, PieceKind.LINK, False, 0, 0)


def item_pieces(task: int, segment: int, header: bytes, *, init: bool) -> list[Piece]:
    """Pieces of a whole program, from its header."""
    fields = HEADER.unpack(header)
    return [
        Piece(task, segment, PieceKind.ITEMS, init, index, run)
        for index, place in enumerate(_COUNTS)
        for run in range(-(-fields[place] // RUN))
    ]


def constant_pieces(task: int, segment: int, program: Program, index: int, *, init: bool) -> list[Piece]:
    """Pieces of one constant of a program."""
    runs = range(-(-byte_length(program.constants[index]) // RUN_BYTES))
    return [Piece(task, segment, PieceKind.CONSTANT, init, index, run) for run in runs]


def state_pieces(task: int, segment: int, program: Program, kind: PieceKind = PieceKind.STATE) -> list[Piece]:
    """Pieces of the checkpoint a segment starts from (COMMITTED: must end in), of the step program's shape."""
    return [
        Piece(task, segment, kind, False, index, run)
        for index, entry in enumerate(program.state)
        for run in range(-(-byte_length(entry) // RUN_BYTES))
    ]


def byte_length(entry: Entry) -> int:
    """Bytes of an entry's tensor."""
    return entry.type.elements * ITEMSIZE[entry.dtype]


def paid_length(piece: Piece, place: Place, entry: Entry | None) -> int:
    """Bytes that a demand for a piece pays for; ``entry`` is the tensor's, None for a link and items."""
    if piece.kind == PieceKind.LINK:
        return OVERHEAD
    if entry is not None:
        return min(RUN_BYTES, byte_length(entry) - piece.run * RUN_BYTES) + OVERHEAD
    fields = HEADER.unpack(place.header)
    size: int = fields[_COUNTS[piece.index]]
    first, end = _run(piece, size)
    last = 5 * fields[_COUNTS[1]] if piece.index == 0 and end == size else 0
    return (end - first) * ITEM + int(last) + OVERHEAD


# Whole objects from answers


def program_file(header: bytes, answers: Sequence[bytes]) -> bytes:
    """A program's file from the answers for all of its pieces, in the order of ``item_pieces``."""
    items = [item for data in answers for item in decode(["bytes[]"], data)[0]]
    return MAGIC + header + b"".join(struct.pack(">H", len(item)) + item for item in items)


def read_link(data: bytes) -> tuple[bytes, bytes, list[bytes]]:
    """Start, checkpoint and their proof under the work root, as a link's answer has them."""
    start, checkpoint, proof = decode(["bytes32", "bytes32", "bytes32[]"], data)
    return start, checkpoint, list(proof)


# Demands and answers


def place_of(piece: Piece, made: ProgramCommitment) -> Place:
    """What shows that a piece exists, by the commitment of its program; a link needs nothing shown."""
    match piece.kind:
        case PieceKind.LINK:
            return Place()
        case PieceKind.ITEMS:
            return Place(made.header)
        case PieceKind.STATE | PieceKind.COMMITTED:
            return Place(made.header, made.state_bytes[piece.index], tuple(made.state.inclusion_proof(piece.index)))
    assert made.constants is not None
    return Place(made.header, made.constant_bytes[piece.index], tuple(made.constants.inclusion_proof(piece.index)))


def answer_link(demand: PostedDemand, roots: Sequence[bytes]) -> tuple[Any, ...]:
    """Arguments of ``answerLink``, from the task's checkpoint roots."""
    segment = demand.piece.segment
    start = claims.INIT_START_ROOT if segment == 0 else roots[segment - 1]
    return (*_head(demand), start, roots[segment], claims.checkpoint_proof(roots, segment))


def answer_items(demand: PostedDemand, workload: Workload) -> tuple[Any, ...]:
    """Arguments of ``answerItems``."""
    piece = demand.piece
    made = workload.init_commitment if piece.init else workload.step_commitment
    assert made is not None, "No init program of a stacked task can be demanded."
    items = (made.node_bytes, made.state_bytes, made.constant_bytes, made.metric_bytes)[piece.index]
    first, end = _run(piece, len(items))
    return (*_head(demand), items[first:end], merkle.prove_range([*map(merkle.hash_leaf, items)], first, end))


def answer_constant(demand: PostedDemand, workload: Workload) -> tuple[Any, ...]:
    """Arguments of ``answerChunks`` for chunks of a constant."""
    piece = demand.piece
    program = workload.init if piece.init else workload.step
    assert program is not None, "No init program of a stacked task can be demanded."
    values = (workload.init_constants if piece.init else workload.constants)[piece.index]
    entry = program.constants[piece.index]
    return (*_head(demand), _chunks(piece, entry, values), (bytes(32), [], b"", []))


def checkpoint_of(piece: Piece) -> int:
    """Number of the checkpoint that a piece of a state belongs to."""
    return piece.segment if piece.kind == PieceKind.COMMITTED else piece.segment - 1


def answer_state(demand: PostedDemand, workload: Workload, state: Sequence[Tensor], roots: Sequence[bytes]) -> Any:
    """Arguments of ``answerChunks`` for chunks of checkpoint ``checkpoint_of(piece)``."""
    piece = demand.piece
    entry, tree = workload.step.state[piece.index], claims.work_tree(roots)
    rows = commit_roots(tensor_roots(state))
    chunk = piece.index // ROOTS
    path = (
        roots[checkpoint_of(piece)],
        tree.inclusion_proof(checkpoint_of(piece)),
        rows.chunk(chunk),
        rows.tree.inclusion_proof(chunk),
    )
    return (*_head(demand), _chunks(piece, entry, to_numpy(state[piece.index])), path)


def _head(demand: PostedDemand) -> tuple[Any, ...]:
    return demand.piece.abi(), demand.subject.abi()


def _chunks(piece: Piece, entry: Entry, values: np.ndarray) -> tuple[bytes, bytes, list[bytes]]:
    """Header, bytes and proof of a run of a tensor's chunks."""
    made = commit_tensor(values, entry.dtype, entry.shape)
    first, end = _run(piece, made.tree.size)
    data = bytes(made.data[first * CHUNK_BYTES : end * CHUNK_BYTES])
    return tensor_header(entry.dtype, entry.shape), data, made.tree.prove(first, end)


def _run(piece: Piece, size: int) -> tuple[int, int]:
    """First and behind the last of a piece's entries or chunks, of ``size``."""
    return piece.run * RUN, min(size, piece.run * RUN + RUN)


def entry_of(piece: Piece, made: ProgramCommitment) -> Entry:
    """The entry of a piece of a constant or a state, from its program's commitment."""
    if piece.kind in (PieceKind.STATE, PieceKind.COMMITTED):
        return decode_state_entry(made.state_bytes[piece.index])[0]
    return decode_constant_entry(made.constant_bytes[piece.index])
