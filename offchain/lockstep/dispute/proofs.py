"""Checking what ends a dispute: a leaf, a digest entry, a trace.

Twin of the libraries ``LeafProver``, ``DigestProver`` and ``TraceProver`` in ``contracts/dispute``. A proof that does
not hold raises ``ValueError``: ``IllegalMoveError``, or what a tree or an encoding says of bytes that are none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lockstep.chain.types import ClaimBody
from lockstep.commitments import merkle
from lockstep.commitments.tensor import CHUNK_BYTES, chunk_count, root_from_tree
from lockstep.dispute.digest import DigestChunk, DigestKey
from lockstep.dispute.leaf_proof import ROOTS_PER_CHUNK, LeafProof, ReadProof
from lockstep.dispute.one_shot import OneShot
from lockstep.numerics.dtypes import ITEMSIZE, NUMPY, DType
from lockstep.program.encoding import HEADER, decode_node
from lockstep.program.graph import Node, Shape, TensorType
from lockstep.program.leaf import LeafRead
from lockstep.program.long_rows import (
    PART_BYTES,
    block_part,
    block_reads,
    block_size,
    combine,
    decode_parts,
    opening_reads,
    row_blocks,
)
from lockstep.program.ops import DRAW_WORDS, InputKind

Read = tuple[int, int, bytes, bytes]
"""(slot, start, tensor header, data): what the executor is given."""

Executor = Callable[[Node, int, int, int, Sequence[Read]], bytes]
"""(node, element, global step, seed, reads) -> the element's little-endian bytes.

It refuses an element whose row one leaf does not carry.
"""


class IllegalMoveError(ValueError):
    """A move the rules refuse; the message says why."""


def require(condition: bool, why: str) -> None:
    """Refuse a move unless the condition holds."""
    if not condition:
        raise IllegalMoveError(why)


@dataclass(frozen=True, slots=True)
class ProgramView:
    """What a program's header says."""

    hash: bytes
    node_count: int
    nodes_root: bytes
    state_count: int
    state_root: bytes
    state_chunks: int
    constant_count: int
    constants_root: bytes

    @classmethod
    def of(cls, header: bytes) -> ProgramView:
        """From an encoded header."""
        require(len(header) == HEADER.size, "The header has the wrong length.")
        _, nodes, nodes_root, states, state_root, chunks, constants, constants_root, *_ = HEADER.unpack(header)
        digest = hashlib.sha256(b"\x04" + header).digest()
        return cls(digest, nodes, nodes_root, states, state_root, chunks, constants, constants_root)

    def require_node(self, index: int, node: bytes, proof: Sequence[bytes]) -> None:
        """Refuse a node that is not the program's at ``index``."""
        root = merkle.root_from_inclusion(self.node_count, index, merkle.hash_leaf(node), proof)
        require(root == self.nodes_root, "The node is not the program's.")


@dataclass(frozen=True, slots=True)
class WorkPlace:
    """What a program may read of the solver's work and of the draw: COMMITTED inputs are held against it."""

    root: bytes
    segments: int
    segment: int
    beacon_value: bytes


@dataclass(frozen=True, slots=True)
class LeafPlace:
    """What a leaf's proofs are held against."""

    step_root: bytes
    previous_state: bytes
    chunk: int
    step: int
    seed: int
    work: WorkPlace


def parse_header(header: bytes) -> tuple[DType, Shape]:
    """Dtype and shape of a tensor header."""
    require(len(header) >= 2 and len(header) == 2 + 4 * header[1], "The tensor header has the wrong length.")
    require(header[0] in ITEMSIZE, "The tensor header has an unknown dtype.")
    shape = tuple(int.from_bytes(header[i : i + 4], "big") for i in range(2, len(header), 4))
    return DType(header[0]), shape


def root_in_state(state: bytes, count: int, index: int, roots: bytes, proof: Sequence[bytes]) -> bytes:
    """Root ``index`` of a state, from the chunk of roots that holds it."""
    require(index < count, "The state has no such tensor.")
    chunk = index // ROOTS_PER_CHUNK
    require(
        len(roots) == min(CHUNK_BYTES, 32 * count - chunk * CHUNK_BYTES), "The chunk of roots has the wrong length."
    )
    tree = merkle.root_from_inclusion(chunk_count(DType.ROOT, (count,)), chunk, merkle.hash_leaf(roots), proof)
    require(root_from_tree(DType.ROOT, (count,), tree) == state, "The roots are not the state's.")
    place = 32 * (index % ROOTS_PER_CHUNK)
    return roots[place : place + 32]


def require_false_leaf(
    leaf: LeafProof, program: ProgramView, place: LeafPlace, chunk: bytes, executor: Executor
) -> None:
    """Return when the executor makes another value than the defender's chunk holds."""
    node = decode_node(leaf.node)
    stated = _stated(leaf, node, place, chunk)
    reads = [_read(node, proof, program, place) for proof in leaf.reads]
    value = executor(node, leaf.element, place.step, place.seed, reads)
    require(value != stated, "The leaf agrees.")


def open_row(leaf: LeafProof, program: ProgramView, place: LeafPlace, chunk: bytes) -> bytes:
    """What the parts of an element's row must combine to; see ``IRowExecutor.openRow``.

    From its lowest bit: the stated element (32), the number of blocks (32), the exponents (16 each).
    """
    node = decode_node(leaf.node)
    stated = _stated(leaf, node, place, chunk)
    reads = [_read(node, proof, program, place) for proof in leaf.reads]
    types = _types(node, reads)
    _require_reads(reads, opening_reads(node, leaf.element) if block_size(node.op) else [])
    blocks = row_blocks(node, types)
    require(blocks > 1, "One leaf carries the row.")
    packed = int.from_bytes(stated, "little") | blocks << 32
    for place_, (*_, data) in enumerate(reads[1:]):
        packed |= int.from_bytes(data, "little") << (64 + 16 * place_)
    return packed.to_bytes(32, "big")


def parts_combine(node: Node, claim: bytes, parts: bytes) -> bool:
    """Whether parts are as many as the row has blocks, and combine to the element stated."""
    packed = int.from_bytes(claim, "big")
    if len(parts) != PART_BYTES * (packed >> 32 & 0xFFFFFFFF):
        return False
    exponents = [int(np.uint16(packed >> shift & 0xFFFF).astype(np.int16)) for shift in (64, 80)]
    return int.from_bytes(combine(node, exponents, decode_parts(parts)), "little") == packed & 0xFFFFFFFF


def require_false_part(leaf: LeafProof, program: ProgramView, place: LeafPlace, block: int, stated: int) -> None:
    """Return when a block's part is another than the one stated."""
    node = decode_node(leaf.node)
    reads = [_read(node, proof, program, place) for proof in leaf.reads]
    types = _types(node, reads)
    _require_reads(reads, block_reads(node, leaf.element, block, types))
    runs = [np.frombuffer(data, NUMPY[parse_header(header)[0]]) for _, _, header, data in reads]
    require(block_part(node, leaf.element, block, runs) != stated, "The part agrees.")


def _types(node: Node, reads: Sequence[Read]) -> list[TensorType | None]:
    """Types of a node's inputs as far as reads show them; a row's is always the first."""
    types: list[TensorType | None] = [None] * len(node.inputs)
    for slot, _, header, _ in reads:
        types[slot] = TensorType(*parse_header(header))
    require(bool(types) and types[0] is not None and bool(types[0].shape), "The row's type is not shown.")
    return types


def _require_reads(reads: Sequence[Read], needed: Sequence[LeafRead]) -> None:
    """Refuse reads that are not exactly these."""
    given = []
    for slot, start, header, data in reads:
        given.append(LeafRead(slot, start, len(data) // ITEMSIZE[parse_header(header)[0]]))
    require(given == list(needed) and bool(given), "These are not the row's reads.")


def _stated(leaf: LeafProof, node: Node, place: LeafPlace, chunk: bytes) -> bytes:
    """The defender's bytes of the element, which must lie in the chunk."""
    itemsize = ITEMSIZE[node.dtype]
    offset = leaf.element * itemsize - place.chunk * CHUNK_BYTES
    require(0 <= offset <= len(chunk) - itemsize, "The element is not in the chunk.")
    return chunk[offset : offset + itemsize]


def _read(node: Node, proof: ReadProof, program: ProgramView, place: LeafPlace) -> Read:
    require(proof.slot < len(node.inputs), "The node has no such input.")
    source = node.inputs[proof.slot]
    root, data = _range(proof)
    match source.kind:
        case InputKind.NODE:
            found = merkle.root_from_inclusion(
                program.node_count, source.value, merkle.hash_leaf(root), proof.root_proof
            )
            require(found == place.step_root, "The input is not the step's.")
        case InputKind.STATE:
            arguments = (program.state_count, source.value, proof.entry, proof.root_proof)
            require(root_in_state(place.previous_state, *arguments) == root, "The input is not the state's.")
        case InputKind.COMMITTED:
            require(_committed_root(source.value, proof, program, place.work) == root, "The input is not the work's.")
        case InputKind.CONST:
            require(proof.entry[-32:] == root, "The input is not the constant.")
            leaf = merkle.hash_leaf(proof.entry)
            found = merkle.root_from_inclusion(program.constant_count, source.value, leaf, proof.root_proof)
            require(found == program.constants_root, "The constant is not the program's.")
        case _:
            raise IllegalMoveError(f"A {source.kind.name} input is not proven.")
    return proof.slot, proof.start, proof.header, data


def _committed_root(index: int, proof: ReadProof, program: ProgramView, work: WorkPlace) -> bytes:
    """Root of what COMMITTED denotes; see ``LeafProver._committedRoot``."""
    if index == program.state_count:
        return root_from_tree(DType.I32, (DRAW_WORDS,), merkle.hash_leaf(work.beacon_value))
    require(len(proof.entry) > 33, "The checkpoint is not shown.")
    roots, checkpoint, split = proof.entry[:-33], proof.entry[-33:-1], proof.entry[-1]
    leaf = merkle.hash_leaf(checkpoint)
    found = merkle.root_from_inclusion(work.segments, work.segment, leaf, proof.root_proof[:split])
    require(found == work.root, "The checkpoint is not the work's.")
    return root_in_state(checkpoint, program.state_count, index, roots, proof.root_proof[split:])


def _range(proof: ReadProof) -> tuple[bytes, bytes]:
    """(tensor root, data) of a read."""
    if proof.count == 0:
        require(len(proof.chunks) == 32 and not proof.chunk_proof, "A root is 32 bytes.")
        if not proof.header:
            return proof.chunks, proof.chunks
        return root_from_tree(*parse_header(proof.header), proof.chunks), b""
    dtype, shape = parse_header(proof.header)
    elements = int(np.prod(shape, dtype=object))
    require(proof.start + proof.count <= elements, "The elements are not in the tensor.")
    itemsize = ITEMSIZE[dtype]
    first = proof.start * itemsize // CHUNK_BYTES
    stop = min(-(-(proof.start + proof.count) * itemsize // CHUNK_BYTES) * CHUNK_BYTES, elements * itemsize)
    require(len(proof.chunks) == stop - first * CHUNK_BYTES, "The chunks have the wrong length.")
    hashes = [merkle.hash_leaf(proof.chunks[i : i + CHUNK_BYTES]) for i in range(0, len(proof.chunks), CHUNK_BYTES)]
    tree = merkle.root_from_range(chunk_count(dtype, shape), first, hashes, proof.chunk_proof)
    skip = proof.start * itemsize - first * CHUNK_BYTES
    return root_from_tree(dtype, shape, tree), proof.chunks[skip : skip + proof.count * itemsize]


def require_false_digest(
    chunks: Sequence[DigestChunk], program: ProgramView, key: DigestKey, step: int, state: bytes, stated: bytes
) -> None:
    """Return when the entry of ``step`` is another than ``stated``."""
    for n, proof in enumerate(chunks):
        found = merkle.root_from_inclusion(
            program.state_count, proof.index, merkle.hash_leaf(proof.entry), proof.entry_proof
        )
        require(found == program.state_root, "The state entry is not the program's.")
        dtype, shape = parse_header(proof.entry[:1] + proof.entry[2:-8])
        before, count = int.from_bytes(proof.entry[-8:], "big"), chunk_count(dtype, shape)
        position = key.position(step, n, program.state_chunks)
        require(not proof.entry[1] and before <= position < before + count, "The chunk is another.")
        chunk = position - before
        size = int(np.prod(shape, dtype=object)) * ITEMSIZE[dtype]
        require(len(proof.chunk) == min(CHUNK_BYTES, size - chunk * CHUNK_BYTES), "The chunk has the wrong length.")
        tree = merkle.root_from_inclusion(count, chunk, merkle.hash_leaf(proof.chunk), proof.chunk_proof)
        root = root_in_state(state, program.state_count, proof.index, proof.roots, proof.roots_proof)
        require(root_from_tree(dtype, shape, tree) == root, "The chunk is not the state's.")
    require(key.entry(step, [proof.chunk for proof in chunks]) != stated, "The digest entry agrees.")


def require_false_trace(
    proof: OneShot,
    program: ProgramView,
    body: ClaimBody,
    steps: int,
    first_step: int,
    seed: int,
    executor: Executor,
    work: WorkPlace,
) -> None:
    """Return when a leaf of the trace is false."""
    path, leaf, size = proof.path, proof.leaf, program.node_count
    require(path.step < steps, "The segment has no such step.")
    leaves = [merkle.hash_leaf(path.step_root)]
    if path.step:
        leaves.insert(0, merkle.hash_leaf(path.previous_step_root))
        last = merkle.root_from_inclusion(size, size - 1, merkle.hash_leaf(path.previous_state), path.previous_proof)
        require(last == path.previous_step_root, "The state before is not the trace's.")
    root = merkle.root_from_range(steps, max(path.step - 1, 0), leaves, path.trace_proof)
    require(root == body.trace_root, "The step is not the trace's.")
    program.require_node(path.node, leaf.node, path.node_proof)
    node = decode_node(leaf.node)
    chunk = leaf.element * ITEMSIZE[node.dtype] // CHUNK_BYTES
    size_bytes = node.type.elements * ITEMSIZE[node.dtype]
    require(len(path.chunk) == min(CHUNK_BYTES, size_bytes - chunk * CHUNK_BYTES), "The chunk has the wrong length.")
    tree = merkle.root_from_inclusion(
        chunk_count(node.dtype, node.shape), chunk, merkle.hash_leaf(path.chunk), path.chunk_proof
    )
    tensor_leaf = merkle.hash_leaf(root_from_tree(node.dtype, node.shape, tree))
    require(
        merkle.root_from_inclusion(size, path.node, tensor_leaf, path.tensor_proof) == path.step_root,
        "The tensor is not the step's.",
    )
    previous = path.previous_state if path.step else body.start_root
    place = LeafPlace(path.step_root, previous, chunk, first_step + path.step, seed, work)
    require_false_leaf(leaf, program, place, path.chunk, executor)
