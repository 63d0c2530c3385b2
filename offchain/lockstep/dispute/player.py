"""The player: which move comes next, as a pure function of the game's state and a party's own run.

The challenger always picks the first difference, because what a leaf reads is taken from the defender's own
commitments: everything before the first difference is common ground. The defender reveals what its run has.
"""

from __future__ import annotations

from collections.abc import Sequence

from lockstep.commitments import merkle
from lockstep.commitments.tensor import CHUNK_BYTES
from lockstep.dispute.digest import DigestKey, ReplayDigest, entry_at, prove_entry
from lockstep.dispute.evidence import Evidence
from lockstep.dispute.leaf_proof import (
    build_block_proof,
    build_leaf_proof,
    build_opening_proof,
    count_blocks,
    row_parts,
)
from lockstep.dispute.moves import (
    Move,
    PickBlock,
    PickChunk,
    PickElement,
    PickNode,
    PickStep,
    Prove,
    ProveDigest,
    ProvePart,
    RevealChunks,
    RevealData,
    RevealNodes,
    RevealParts,
    RevealStates,
    RevealStep,
)
from lockstep.dispute.position import Position
from lockstep.dispute.transition import Phase, Side
from lockstep.numerics.dtypes import ITEMSIZE
from lockstep.program.long_rows import PART_BYTES, encode_parts


class NothingToContestError(Exception):
    """The defender's reveals agree with the challenger's own run: there is no move that could win."""


def first_difference(mine: Sequence[bytes], shown: Sequence[bytes]) -> int:
    """Place of the first difference.

    Raises:
        NothingToContestError: there is none

    """
    for place, (own, other) in enumerate(zip(mine, shown, strict=True)):
        if own != other:
            return place
    raise NothingToContestError("What the defender revealed agrees with this party's own run.")


def defender_move(position: Position, evidence: Evidence) -> Move | None:
    """The reveal a dispute waits for, from the defender's own run; None when it is not the defender's turn."""
    dispute = position.dispute
    if position.side is not Side.DEFENDER:
        return None
    if position.phase is Phase.STATES:
        return RevealStates(tuple(evidence.state_roots))
    tree = evidence.step_tree(dispute.step)
    if position.phase is Phase.STEP:
        last_proof = merkle.inclusion_proof(tree.levels[0], tree.size - 1)
        return RevealStep(tuple(tree.children(dispute.level + 1, 0)), tuple(last_proof))
    if position.phase is Phase.NODES:
        return RevealNodes(tuple(tree.children(dispute.level + 1, dispute.index)))
    node = evidence.program_commitment.node_bytes[dispute.node]
    if position.phase is Phase.PARTS:
        return RevealParts(node, encode_parts(row_parts(evidence, dispute.step, dispute.node, dispute.index)))
    tensor = evidence.node(dispute.step, dispute.node)
    if position.phase is Phase.CHUNKS:
        return RevealChunks(node, tuple(tensor.tree.children(dispute.level + 1, dispute.index)))
    return RevealData(node, tensor.chunk(dispute.index))


def challenger_move(
    position: Position, evidence: Evidence, key: DigestKey | None = None, claimed_digest: bytes = b""
) -> Move | None:
    """The pick or proof that a challenger owes; None when it is not its turn.

    A dispute about a digest entry also needs the defender's ``key`` and the digest it claimed.

    Raises:
        NothingToContestError: the defender's claim agrees with this party's run

    """
    if position.side is not Side.CHALLENGER:
        return None
    match position.phase:
        case Phase.PICK_STEP:
            return _pick_step(position, evidence, key, claimed_digest)
        case Phase.PICK_BLOCK:
            return _pick_block(position, evidence)
        case Phase.PICK_NODE:
            return _pick_node(position, evidence)
        case Phase.PICK_CHUNK:
            return _pick_chunk(position, evidence)
        case Phase.PROVE_PART:
            return _prove_part(position, evidence)
        case _:
            return _prove(position, evidence)


def _pick_step(position: Position, evidence: Evidence, key: DigestKey | None, claimed_digest: bytes) -> Move:
    dispute, states = position.dispute, position.states
    limit = dispute.digest_step + 1 if dispute.digest else dispute.steps
    own = evidence.state_roots
    if dispute.digest and own[limit - 1] == states[limit - 1]:
        return _prove_digest(position, evidence, key, claimed_digest)
    step = first_difference(own[:limit], states[:limit])
    previous = evidence.previous_root(step)
    if dispute.steps == 1:
        proof: list[bytes] = []
    elif step == 0:
        proof = merkle.inclusion_proof(states, 0)
    else:
        proof = merkle.prove_range(states, step - 1, step + 1)
    return PickStep(step, previous, states[step], tuple(proof))


def _prove_digest(position: Position, evidence: Evidence, key: DigestKey | None, claimed_digest: bytes) -> Move:
    if key is None:
        raise ValueError("A dispute about a digest entry needs the defender's digest key.")
    dispute, states = position.dispute, position.states
    step = dispute.digest_step
    digest = ReplayDigest(key, evidence.program(step).state)
    state = evidence.state_after(step)
    if digest.entry(step, state) == entry_at(claimed_digest, step):
        raise NothingToContestError(f"The digest entry of step {step} is right.")
    proof = merkle.inclusion_proof(states, step) if dispute.steps > 1 else []
    chunks = prove_entry(digest, evidence.program_commitment, step, state)
    return ProveDigest(states[step], tuple(proof), evidence.program_commitment.header, chunks)


def _own_children(tree: merkle.Tree, level: int, index: int) -> list[bytes]:
    """This party's hashes of ``level`` under subtree ``index`` one level up."""
    return tree.children(level + 1, index)


def _pick_block(position: Position, evidence: Evidence) -> Move:
    dispute = position.dispute
    shown = position.tree[dispute.level]
    place = first_difference(_own_children(evidence.step_tree(dispute.step), dispute.level, dispute.index), shown)
    proof = merkle.inclusion_proof(shown, place)
    return PickBlock(dispute.index * merkle.WIDTH + place, shown[place], tuple(proof))


def _pick_node(position: Position, evidence: Evidence) -> Move:
    dispute = position.dispute
    shown = position.tree[0]
    place = first_difference(_own_children(evidence.step_tree(dispute.step), 0, dispute.index), shown)
    index = dispute.index * merkle.WIDTH + place
    commitment = evidence.program_commitment
    return PickNode(
        index,
        shown[place],
        tuple(merkle.inclusion_proof(shown, place)),
        commitment.header,
        commitment.node_bytes[index],
        tuple(merkle.inclusion_proof(commitment.nodes.levels[0], index)),
    )


def _pick_chunk(position: Position, evidence: Evidence) -> Move:
    dispute = position.dispute
    tree = evidence.node(dispute.step, dispute.node).tree
    place = first_difference(_own_children(tree, dispute.level, dispute.index), position.chunks)
    return PickChunk(
        evidence.program_commitment.node_bytes[dispute.node],
        dispute.index * merkle.WIDTH + place,
        position.chunks[place],
        tuple(merkle.inclusion_proof(position.chunks, place)),
    )


def first_element(mine: bytes, shown: bytes, itemsize: int) -> int:
    """Place of the first element that differs in two chunks of equal length."""
    size = range(0, len(mine), itemsize)
    return first_difference([mine[i : i + itemsize] for i in size], [shown[i : i + itemsize] for i in size])


def _prove(position: Position, evidence: Evidence) -> Move:
    dispute = position.dispute
    assert position.data is not None
    tensor = evidence.node(dispute.step, dispute.node)
    itemsize = ITEMSIZE[tensor.dtype]
    place = first_element(tensor.chunk(dispute.index), position.data, itemsize)
    element = dispute.index * (CHUNK_BYTES // itemsize) + place

    def node_proof(node: int) -> list[bytes]:
        return prove_node(position, evidence, node)

    at = (evidence, dispute.step, dispute.node, element)
    if count_blocks(*at[:3]) > 1:
        return PickElement(position.data, build_opening_proof(*at, node_proof))
    return Prove(position.data, build_leaf_proof(*at, node_proof))


def _prove_part(position: Position, evidence: Evidence) -> Move:
    dispute = position.dispute
    assert position.data is not None
    at = (evidence, dispute.step, dispute.node, dispute.index)
    block = first_element(encode_parts(row_parts(*at)), position.data, PART_BYTES)
    leaf = build_block_proof(*at, block, lambda node: prove_node(position, evidence, node))
    return ProvePart(block, position.data, leaf)


def prove_node(position: Position, evidence: Evidence, node: int) -> list[bytes]:
    """Inclusion proof of an earlier node's leaf in the defender's tree, from the reveals and this party's own tree."""
    dispute = position.dispute
    tree = evidence.step_tree(dispute.step)
    proof: list[bytes] = []
    for level in range(merkle.height(tree.size)):
        parent = node >> merkle.WIDTH_BITS
        on_the_way = dispute.node >> (merkle.WIDTH_BITS * (level + 1))
        # Subtrees before the one on the way to the disputed node are the same on both sides.
        hashes = position.tree[level] if parent == on_the_way else _own_children(tree, level, parent)
        proof += merkle.inclusion_proof(hashes, node % merkle.WIDTH)
        node = parent
    return proof
