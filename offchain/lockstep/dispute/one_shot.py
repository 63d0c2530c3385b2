"""One-shot proofs: from a published trace that lies to the one transaction that convicts its claimant.

The trace (every node's tensor of every step) is compared with this party's own run; the first difference is the path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from lockstep.commitments import merkle
from lockstep.commitments.tensor import CHUNK_BYTES, TensorCommitment
from lockstep.dispute.evidence import Evidence
from lockstep.dispute.leaf_proof import LeafProof, build_leaf_proof, count_blocks
from lockstep.dispute.moves import Call, Tuple
from lockstep.dispute.player import first_difference, first_element
from lockstep.engine.trace import trace_tree
from lockstep.numerics.dtypes import ITEMSIZE


class Trace(Protocol):
    """A published trace as its claimant states it; ``lockstep.engine.trace.TraceReader`` is one."""

    def node_roots(self, step: int) -> Sequence[bytes]:
        """Tensor root of every node of a step."""

    def node(self, step: int, index: int) -> TensorCommitment:
        """A node's stated tensor."""


class TraceMismatchError(Exception):
    """A published trace is not what its claim commits to: only the interactive dispute can convict."""


class RowTooLongError(Exception):
    """The lie is in an element whose row one leaf does not carry: only the interactive dispute can convict."""


@dataclass(frozen=True, slots=True)
class TracePath:
    """The path from a trace root to a chunk; see ``IDisputeGame.TracePath``."""

    step: int
    step_root: bytes
    previous_step_root: bytes
    trace_proof: tuple[bytes, ...]
    previous_state: bytes
    previous_proof: tuple[bytes, ...]
    node: int
    tensor_proof: tuple[bytes, ...]
    node_proof: tuple[bytes, ...]
    chunk: bytes
    chunk_proof: tuple[bytes, ...]

    def abi(self) -> tuple[Any, ...]:
        """The values in ABI order."""
        return (
            self.step,
            self.step_root,
            self.previous_step_root,
            list(self.trace_proof),
            self.previous_state,
            list(self.previous_proof),
            self.node,
            list(self.tensor_proof),
            list(self.node_proof),
            self.chunk,
            list(self.chunk_proof),
        )


@dataclass(frozen=True, slots=True)
class OneShot:
    """The whole dispute as one call; not a move, because there is no dispute to make it in."""

    function: ClassVar[str] = "oneShot"
    path: TracePath
    leaf: LeafProof

    def call(self, terms: Tuple, ref: Tuple, challenger: int, body: Tuple) -> Call:
        """(function, arguments); ``ref`` is the claim under attack, ``challenger`` the index of the caller's own."""
        return self.function, (terms, ref, challenger, body, self.path.abi(), self.leaf.abi())


def find_one_shot(trace: Trace, trace_root: bytes, evidence: Evidence) -> OneShot:
    """The proof that a published trace is false.

    Raises:
        NothingToContestError: the trace agrees with this party's own run
        TraceMismatchError: the trace published is not the one committed to, or a tensor in it is not its root's
        RowTooLongError: the first false element is one of a row that no transaction carries

    """
    trees = [_step_tree(trace.node_roots(step)) for step in range(evidence.steps)]
    whole = trace_tree([tree.root for tree in trees])
    if whole.root != trace_root:
        raise TraceMismatchError("The published trace does not have the root its claim commits to.")
    step = first_difference([evidence.step_tree(s).root for s in range(evidence.steps)], [t.root for t in trees])
    tree = trees[step]
    node = first_difference(evidence.step_tree(step).levels[0], tree.levels[0])
    if count_blocks(evidence, step, node) > 1:
        raise RowTooLongError(f"Rows of node {node} are opened block by block, in a dispute.")
    tensor = trace.node(step, node)
    if tensor.root != trace.node_roots(step)[node]:
        raise TraceMismatchError(f"The trace's tensor of node {node} in step {step} is not what its root says.")
    own = evidence.node(step, node)
    chunk = first_difference(own.tree.levels[0], tensor.tree.levels[0])
    itemsize = ITEMSIZE[tensor.dtype]
    element = chunk * (CHUNK_BYTES // itemsize) + first_element(own.chunk(chunk), tensor.chunk(chunk), itemsize)

    def prove_leaf(index: int) -> list[bytes]:
        return tree.inclusion_proof(index)

    before = trees[step - 1] if step else None
    commitment = evidence.program_commitment
    path = TracePath(
        step,
        tree.root,
        before.root if before else bytes(32),
        tuple(whole.prove(max(step - 1, 0), step + 1)),
        evidence.previous_root(step) if before else bytes(32),
        tuple(before.inclusion_proof(before.size - 1)) if before else (),
        node,
        tuple(prove_leaf(node)),
        tuple(commitment.nodes.inclusion_proof(node)),
        tensor.chunk(chunk),
        tuple(tensor.tree.inclusion_proof(chunk)),
    )
    return OneShot(path, build_leaf_proof(evidence, step, node, element, prove_leaf))


def _step_tree(node_roots: Sequence[bytes]) -> merkle.Tree:
    return merkle.Tree([merkle.hash_leaf(root) for root in node_roots])
