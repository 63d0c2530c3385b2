"""The last move: a node's encoding, the element, and proofs of what it reads against the defender's commitments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lockstep.commitments import merkle
from lockstep.commitments.tensor import CHUNK_BYTES, TensorCommitment, tensor_header
from lockstep.dispute.evidence import Evidence
from lockstep.numerics.dtypes import ITEMSIZE, NUMPY
from lockstep.program.graph import Input, Node, Program, TensorType
from lockstep.program.leaf import PROVEN_KINDS, LeafRead, leaf_reads
from lockstep.program.long_rows import block_part, block_reads, opening_reads, row_blocks
from lockstep.program.ops import InputKind, Op
from lockstep.program.reference import own_input

ROOTS_PER_CHUNK = CHUNK_BYTES // 32

NodeProof = Callable[[int], Sequence[bytes]]
"""Inclusion proof of a node's leaf in the defender's tree of the step."""


@dataclass(frozen=True, slots=True)
class ReadProof:
    """Proof of one read; see ``IDisputeGame.ReadProof``."""

    slot: int
    start: int
    count: int
    header: bytes
    chunks: bytes
    chunk_proof: tuple[bytes, ...]
    root_proof: tuple[bytes, ...]
    entry: bytes

    def abi(self) -> tuple[Any, ...]:
        """The values in ABI order."""
        return (
            self.slot,
            self.start,
            self.count,
            self.header,
            self.chunks,
            list(self.chunk_proof),
            list(self.root_proof),
            self.entry,
        )


@dataclass(frozen=True, slots=True)
class LeafProof:
    """A leaf with what it reads; see ``IDisputeGame.LeafProof``."""

    header: bytes
    node: bytes
    element: int
    reads: tuple[ReadProof, ...]

    def abi(self) -> tuple[Any, ...]:
        """The values in ABI order."""
        return (self.header, self.node, self.element, [read.abi() for read in self.reads])


def chunk_range(itemsize: int, start: int, count: int) -> tuple[int, int]:
    """First and last-plus-one chunk that hold elements ``[start, start + count)``."""
    return start * itemsize // CHUNK_BYTES, -(-(start + count) * itemsize // CHUNK_BYTES)


def proven_types(program: Program, node: Node) -> list[TensorType | None]:
    """Type of each proven input of a node by slot, None for the other kinds."""
    return [program.input_type(source) if source.kind in PROVEN_KINDS else None for source in node.inputs]


def build_leaf_proof(evidence: Evidence, step: int, index: int, element: int, node_proof: NodeProof) -> LeafProof:
    """Proof of output ``element`` of node ``index`` in a step of the segment, whose row one leaf carries.

    The party's own data serve for what the leaf reads: before the first difference they are the defender's, too.
    """
    program = evidence.program(step)
    node = program.nodes[index]

    def gather_index(position: int) -> int:
        source = next(s for slot, s in enumerate(node.inputs) if slot == 1)
        own = own_input(node, source, evidence.global_step(step), evidence.seed)
        if own is not None:
            return int(np.broadcast_to(own, program.input_type(source).shape).reshape(-1)[position])
        return evidence.element(step, source, position)

    reads = leaf_reads(node, element, proven_types(program, node), gather_index)
    return _prove_reads(evidence, step, index, element, reads, node_proof)


def build_opening_proof(evidence: Evidence, step: int, index: int, element: int, node_proof: NodeProof) -> LeafProof:
    """As ``build_leaf_proof``, of what says how the parts of a longer row combine."""
    reads = opening_reads(evidence.program(step).nodes[index], element)
    return _prove_reads(evidence, step, index, element, reads, node_proof)


def build_block_proof(
    evidence: Evidence, step: int, index: int, element: int, block: int, node_proof: NodeProof
) -> LeafProof:
    """As ``build_leaf_proof``, of one block of a longer row."""
    program = evidence.program(step)
    node = program.nodes[index]
    reads = block_reads(node, element, block, proven_types(program, node))
    return _prove_reads(evidence, step, index, element, reads, node_proof)


def count_blocks(evidence: Evidence, step: int, index: int) -> int:
    """Blocks of a row of node ``index``: 1 where one leaf carries it, or the node has no rows."""
    program = evidence.program(step)
    node = program.nodes[index]
    return row_blocks(node, proven_types(program, node))


def row_parts(evidence: Evidence, step: int, index: int, element: int) -> list[int]:
    """The parts of an element's row by the party's own data."""
    program = evidence.program(step)
    node = program.nodes[index]
    types = proven_types(program, node)

    def run(read: LeafRead) -> Any:
        tensor = evidence.tensor(step, node.inputs[read.slot])
        itemsize = ITEMSIZE[tensor.dtype]
        data = tensor.data[read.start * itemsize : (read.start + read.length) * itemsize]
        return np.frombuffer(data, NUMPY[tensor.dtype])

    return [
        block_part(node, element, block, [run(read) for read in block_reads(node, element, block, types)])
        for block in range(row_blocks(node, types))
    ]


def _prove_reads(
    evidence: Evidence, step: int, index: int, element: int, reads: Sequence[LeafRead], node_proof: NodeProof
) -> LeafProof:
    commitment = evidence.program_commitment
    node = evidence.program(step).nodes[index]
    proofs = tuple(_prove_read(evidence, step, node, read, node_proof) for read in reads)
    return LeafProof(commitment.header, commitment.node_bytes[index], element, proofs)


def _prove_read(evidence: Evidence, step: int, node: Node, read: LeafRead, node_proof: NodeProof) -> ReadProof:
    source = node.inputs[read.slot]
    entry, root_proof = _prove_input(evidence, step, source, node_proof)
    tensor = evidence.tensor(step, source)
    if node.op is Op.STATE:
        return ReadProof(read.slot, 0, 0, b"", tensor.root, (), root_proof, entry)
    if not read.length:
        header = tensor_header(tensor.dtype, tensor.shape)
        return ReadProof(read.slot, 0, 0, header, tensor.tree.root, (), root_proof, entry)
    first, last = chunk_range(ITEMSIZE[tensor.dtype], read.start, read.length)
    return ReadProof(
        read.slot,
        read.start,
        read.length,
        tensor_header(tensor.dtype, tensor.shape),
        bytes(tensor.data[first * CHUNK_BYTES : last * CHUNK_BYTES]),
        tuple(tensor.tree.prove(first, last)),
        root_proof,
        entry,
    )


def _prove_input(
    evidence: Evidence, step: int, source: Input, node_proof: NodeProof
) -> tuple[bytes, tuple[bytes, ...]]:
    """(entry, root proof): where an input's tensor root comes from."""
    match source.kind:
        case InputKind.NODE:
            return b"", tuple(node_proof(source.value))
        case InputKind.STATE:
            return prove_root_in_state(evidence.state_before(step), source.value)
        case InputKind.CONST:
            commitment = evidence.program_commitment
            assert commitment.constants is not None, "A program with a CONST input has constants."
            proof = merkle.inclusion_proof(commitment.constants.levels[0], source.value)
            return commitment.constant_bytes[source.value], tuple(proof)
        case InputKind.COMMITTED if source.value == len(evidence.program(step).state):
            return b"", ()  # the draw's value is on chain
        case InputKind.COMMITTED:
            assert evidence.ending is not None, "Who replays such a program knows what the segment must end in."
            ending = evidence.ending
            roots, path = prove_root_in_state(evidence.committed_state, source.value)
            return roots + ending.root + bytes([len(ending.proof)]), (*ending.proof, *path)
    raise ValueError(f"A {source.kind.name} input is not proven.")


def prove_root_in_state(state: TensorCommitment, index: int) -> tuple[bytes, tuple[bytes, ...]]:
    """(chunk of roots, its inclusion proof) for root ``index`` of a state."""
    chunk = index // ROOTS_PER_CHUNK
    return state.chunk(chunk), tuple(merkle.inclusion_proof(state.tree.levels[0], chunk))
