"""Disputes about elements whose row one leaf does not carry: a lie is proven in the block it hides in."""

from __future__ import annotations

import numpy as np
import pytest

from lockstep.commitments import merkle
from lockstep.dispute.evidence import Evidence
from lockstep.dispute.game import Claim
from lockstep.dispute.leaf_proof import NodeProof, build_block_proof, build_leaf_proof, build_opening_proof, row_parts
from lockstep.dispute.moves import PickElement, Prove, ProvePart, RevealParts
from lockstep.dispute.one_shot import RowTooLongError, find_one_shot
from lockstep.dispute.player import NothingToContestError, challenger_move
from lockstep.dispute.proofs import IllegalMoveError
from lockstep.dispute.transition import Outcome, Phase
from lockstep.program.long_rows import block_size, encode_parts
from lockstep.program.ops import Op
from tests.offchain.dispute.long_world import LyingMatch, long_world, lying_run, node_of
from tests.offchain.dispute.world import CHALLENGER, DEFENDER, Match, TestRun
from tests.strategies.long_rows import LONG_OPS

by_op = pytest.mark.parametrize("op", LONG_OPS, ids=lambda op: op.name.lower())


def rows_of(op: Op) -> int:
    size = block_size(op)
    assert size is not None
    return 2 * size + 3


def lying_match(op: Op, seed: int, kind: type[Match] = LyingMatch) -> Match:
    rng = np.random.default_rng([op, seed])
    world = long_world(op, rows_of(op), rng)
    return kind(world, lying_run(world, op, rng), world.run())


def honest_match(op: Op, seed: int) -> Match:
    match = lying_match(op, seed, Match)
    match.evidence = match.evidence[::-1]
    for ref, who, evidence in zip(match.refs, (DEFENDER, CHALLENGER), match.evidence, strict=True):
        match.game.add_claim(Claim(ref, who, match.body(evidence, who)))
    return match


def node_proofs(evidence: Evidence) -> NodeProof:
    """Inclusion proofs in the step's tree over its nodes."""
    leaves = evidence.step_tree(0).levels[0]
    return lambda node: merkle.inclusion_proof(leaves, node)


def play_to(match: Match, number: int, phase: Phase) -> None:
    while Phase(match.game.dispute(number).phase) is not phase:
        assert match.turn(number)


@pytest.mark.parametrize(("op", "hidden"), list(zip(LONG_OPS, (0, 1, 2, 0, 1, 2), strict=True)))
def test_challenge_of_a_lie_in_a_long_row_convicts_by_a_part(op: Op, hidden: int) -> None:
    match = lying_match(op, hidden)
    assert isinstance(match, LyingMatch)
    match.hidden = hidden
    assert match.play(match.open()) is Outcome.DEFENDER_CONVICTED
    assert match.moves[-3:] == ["pickElement", "revealParts", "provePart"]


@by_op
def test_liar_with_true_parts_has_no_move(op: Op) -> None:
    match = lying_match(op, 5, Match)
    assert match.play(match.open()) is Outcome.DEFENDER_CONVICTED
    assert match.moves[-1] == "pickElement"


@by_op
def test_challenge_of_an_honest_long_row_fails_at_every_block(op: Op) -> None:
    match = honest_match(op, 7)
    number = match.open()
    play_to(match, number, Phase.PROVE_PART)
    position, evidence = match.game.position(number), match.evidence[0]
    dispute = position.dispute
    assert position.data is not None
    for block in range(3):
        leaf = build_block_proof(evidence, 0, dispute.node, dispute.index, block, node_proofs(evidence))
        with pytest.raises(IllegalMoveError, match="agrees"):
            match.game.move(number, ProvePart(block, position.data, leaf), CHALLENGER, match.now)
    with pytest.raises(NothingToContestError):
        challenger_move(position, match.evidence[1])
    match.now = match.game.deadline(number) + 1
    match.game.timeout(number, match.now)
    assert match.game.dispute(number).outcome == Outcome.CHALLENGE_FAILED


@by_op
def test_leaf_of_a_long_row_is_refused_as_one(op: Op) -> None:
    match = lying_match(op, 8)
    number = match.open()
    play_to(match, number, Phase.PROVE)
    position, evidence = match.game.position(number), match.evidence[1]
    node = node_of(match.world, op)
    leaf = build_leaf_proof(evidence, 0, node, 0, node_proofs(match.evidence[0]))
    with pytest.raises(IllegalMoveError, match="does not carry"):
        match.game.move(number, Prove(position.data or b"", leaf), CHALLENGER, match.now)


def test_element_whose_row_one_leaf_carries_is_not_opened() -> None:
    rng = np.random.default_rng(9)
    world = long_world(Op.REDUCE_MAX, 100, rng)
    match = Match(world, lying_run(world, Op.REDUCE_MAX, rng), world.run())
    number = match.open()
    play_to(match, number, Phase.PROVE)
    position, evidence = match.game.position(number), match.evidence[1]
    node = node_of(world, Op.REDUCE_MAX)
    leaf = build_opening_proof(evidence, 0, node, 0, node_proofs(match.evidence[0]))
    with pytest.raises(IllegalMoveError, match="carries"):
        match.game.move(number, PickElement(position.data or b"", leaf), CHALLENGER, match.now)
    assert match.play(number) is Outcome.DEFENDER_CONVICTED
    assert match.moves[-1] == "prove"


@by_op
def test_parts_of_another_number_or_by_a_stranger_are_refused(op: Op) -> None:
    match = honest_match(op, 10)
    number = match.open()
    play_to(match, number, Phase.PARTS)
    evidence, dispute = match.evidence[0], match.game.dispute(number)
    node = evidence.program_commitment.node_bytes[dispute.node]
    truth = row_parts(evidence, 0, dispute.node, dispute.index)
    for parts in (truth[:-1], [*truth, 0], []):
        with pytest.raises(IllegalMoveError, match="do not make"):
            match.game.move(number, RevealParts(node, encode_parts(parts)), DEFENDER, match.now)
    with pytest.raises(IllegalMoveError, match="not this side"):
        match.game.move(number, RevealParts(node, encode_parts(truth)), CHALLENGER, match.now)


class PublishedTrace:
    """A run's trace as a verifier would publish it."""

    def __init__(self, run: TestRun) -> None:
        self.run = run

    def node_roots(self, step: int) -> list[bytes]:
        return list(self.run.opening(step).node_roots)

    def node(self, step: int, index: int):  # type: ignore[no-untyped-def]
        return self.run.opening(step).node(index)


def test_one_shot_of_a_long_row_is_left_to_the_dispute() -> None:
    match = lying_match(Op.ARGMAX, 11)
    body = match.body(match.evidence[0], DEFENDER)
    with pytest.raises(RowTooLongError, match="block by block"):
        find_one_shot(PublishedTrace(match.defender), body.trace_root, match.evidence[1])


def test_second_dispute_of_a_long_row_needs_no_reveal() -> None:
    match = lying_match(Op.MATMUL, 12)
    first, second = match.open(), match.open()
    assert match.play(first) is Outcome.DEFENDER_CONVICTED
    match.game.convicted.clear()  # as if the first had only been played up to the part
    match.moves.clear()
    assert match.play(second) is Outcome.DEFENDER_CONVICTED
    assert match.moves[-2:] == ["pickElement", "provePart"]
    assert not [move for move in match.moves if move.startswith("reveal")]
