"""What a claim says about a segment, and the hashes and proofs it is posted with.

A task's segments: segment 0 is the init program (one step, STEP 0, start root 32 zero bytes); segment i >= 1 runs the
steps ``[(i - 1) k, min(i k, T))`` of the step program and ends at checkpoint C_i. A stacked task has no init program:
its C_0 is its parent's final root, and its segment 0 is never drawn. Twin of what ``docs/PROTOCOL.md``
says under "The task" and "Claims"; integers in hashes are in Solidity's ABI encoding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from lockstep.chain.options import TaskOptions
from lockstep.chain.types import ClaimBody, ClaimRef, TaskTerms
from lockstep.commitments import merkle

INIT_START_ROOT = bytes(32)
"""Start root of the init segment: there is no state before it."""
MAX_SEGMENT_STEPS = 64

_BODY = "(bytes32,bytes32,bytes32,bytes,bytes32,bytes32)"


def last_segment(terms: TaskTerms) -> int:
    """Number of the last segment, S; the task has S + 1 segments and as many checkpoints."""
    return -(-terms.steps // terms.segment_steps)


def segment_steps(terms: TaskTerms, segment: int) -> int:
    """Number of steps of a segment."""
    _check_segment(terms, segment)
    return 1 if segment == 0 else min(terms.segment_steps, terms.steps - (segment - 1) * terms.segment_steps)


def first_step(terms: TaskTerms, segment: int) -> int:
    """Global number of a segment's first step, the value of STEP in it; a stacked task's terms say where it begins."""
    _check_segment(terms, segment)
    if segment == 0:
        return 0
    return TaskOptions.unpack(terms.options).first_step + (segment - 1) * terms.segment_steps


def global_step(terms: TaskTerms, segment: int, step: int) -> int:
    """Global number of step ``step`` of a segment."""
    if not 0 <= step < segment_steps(terms, segment):
        raise ValueError(f"Segment {segment} has {segment_steps(terms, segment)} steps; {step} is not one of them.")
    return first_step(terms, segment) + step


def segment_program(terms: TaskTerms, segment: int) -> bytes:
    """Hash of the program a segment runs."""
    return terms.init_program if segment == 0 else terms.step_program


def segment_nodes(terms: TaskTerms, segment: int) -> int:
    """Number of nodes of the program a segment runs."""
    return terms.init_node_count if segment == 0 else terms.node_count


def segment_work(terms: TaskTerms, segment: int) -> int:
    """Units of work that replaying a segment takes."""
    return segment_steps(terms, segment) * (terms.init_work if segment == 0 else terms.step_work)


def _check_segment(terms: TaskTerms, segment: int) -> None:
    if not 0 <= segment <= last_segment(terms):
        raise ValueError(f"The task has the segments 0 to {last_segment(terms)}; {segment} is not one of them.")


def body_hash(body: ClaimBody) -> bytes:
    """What the court stores of a claim's body, 32 bytes."""
    return keccak(encode([_BODY], [body.abi()]))


def claim_key(ref: ClaimRef) -> bytes:
    """Key of a claim in the dispute game, 32 bytes."""
    return keccak(encode(["uint256", "uint32", "uint8", "uint16"], list(ref.abi())))


def assignment_id(task: int, segment: int, round_: int) -> bytes:
    """Name of a draw of a segment, 32 bytes: what a replay digest is made for."""
    return keccak(encode(["uint256", "uint32", "uint8"], [task, segment, round_]))


def blind_commitment(claimant: str, task: int, segment: int, round_: int, body: ClaimBody, salt: bytes) -> bytes:
    """What a blind claim shows before it is opened, 32 bytes."""
    types = ["address", "uint256", "uint32", "uint8", "bytes32", "bytes32"]
    return keccak(encode(types, [claimant, task, segment, round_, body_hash(body), salt]))


def blind_key(claimant: str, commitment: bytes) -> bytes:
    """Key of the engagement that holds a blind claim's bond in the vault, 32 bytes."""
    return keccak(encode(["string", "address", "bytes32"], ["blind", claimant, commitment]))


def engagement_key(task: int, segment: int, round_: int, claimant: str) -> bytes:
    """Key of a claimant's deposit and bond in the vault, among the court's, 32 bytes."""
    slot = keccak(encode(["uint256", "uint256"], [task, segment]))
    return keccak(slot + (round_ << 160 | int(claimant, 16)).to_bytes(32, "big"))


def redraw_key(task: int, segment: int, round_: int) -> bytes:
    """Beacon key of a segment's draw in a later round, 32 bytes; twin of ``CourtKeys.beaconKey``."""
    slot = keccak(encode(["uint256", "uint256"], [task, segment]))
    return keccak(encode(["bytes32", "uint256"], [slot, round_]))


def work_tree(checkpoints: Sequence[bytes]) -> merkle.Tree:
    """Tree over the checkpoint roots C_0 .. C_S (32 bytes each); its root is what the solver commits to."""
    return merkle.Tree([merkle.hash_leaf(root) for root in checkpoints])


def final_proof(checkpoints: Sequence[bytes]) -> list[bytes]:
    """Inclusion proof of the last checkpoint under the work root."""
    tree = work_tree(checkpoints)
    return merkle.inclusion_proof(tree.levels[0], tree.size - 1)


def start_proof(checkpoints: Sequence[bytes]) -> list[bytes]:
    """Inclusion proof of C_0 under the work root."""
    return merkle.inclusion_proof(work_tree(checkpoints).levels[0], 0)


def start_inclusion(terms: TaskTerms, segment: int, roots: Sequence[bytes], proof: Sequence[bytes]) -> list[bytes]:
    """Inclusion proof of the checkpoint a segment starts from, out of ``checkpoint_proof`` of its two ``roots``."""
    hashes = [merkle.hash_leaf(root) for root in roots]
    return merkle.inclusion_from_range(last_segment(terms) + 1, segment - 1, hashes, proof, segment - 1)


def end_inclusion(terms: TaskTerms, segment: int, roots: Sequence[bytes], proof: Sequence[bytes]) -> list[bytes]:
    """Inclusion proof of the checkpoint a segment must end in, out of ``checkpoint_proof`` of its ``roots``."""
    if segment == 0:
        return list(proof)
    hashes = [merkle.hash_leaf(root) for root in roots]
    return merkle.inclusion_from_range(last_segment(terms) + 1, segment - 1, hashes, proof, segment)


def checkpoint_proof(checkpoints: Sequence[bytes], segment: int) -> list[bytes]:
    """Range proof of a segment's start and end, C_{i-1} and C_i, under the work root; of C_0 alone for segment 0."""
    return work_tree(checkpoints).prove(max(segment - 1, 0), segment + 1)


def make_commitment(secret: bytes) -> bytes:
    """The 32 bytes every claim carries for forced errors: as yet only a hash nobody can tell from another."""
    return hashlib.sha256(b"\x06" + secret).digest()
