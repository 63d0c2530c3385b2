"""The player against the Python game: liars lose wherever they lie, honest parties never do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockstep.chain.types import ClaimRef
from lockstep.commitments import merkle
from lockstep.dispute import claims
from lockstep.dispute.game import Claim
from lockstep.dispute.leaf_proof import build_leaf_proof
from lockstep.dispute.moves import PickBlock, PickChunk, PickNode, PickStep, Prove
from lockstep.dispute.player import NothingToContestError, challenger_move, defender_move, first_difference
from lockstep.dispute.proofs import IllegalMoveError
from lockstep.dispute.transition import Outcome, Phase, Side
from lockstep.engine.routes import from_numpy
from tests.offchain.dispute.world import (
    CHALLENGER,
    DEFENDER,
    LIES,
    Lie,
    Match,
    World,
    ladder,
    lie_about_value,
    random_world,
)
from tests.strategies import random_program_case

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=max(8, settings.default.max_examples // 4))
"""A match replays segments on both sides, which takes a while."""


def lying_match(seed: int, lie: Lie, segment: int = 1) -> Match:
    rng = np.random.default_rng(seed)
    world = random_world(rng)
    liar = world.run(segment)
    lie(rng, liar)
    return Match(world, liar, world.run(segment))


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
@few
@given(seed=seeds)
def test_challenge_of_a_lie_convicts(lie: Lie, seed: int) -> None:
    match = lying_match(seed, lie)
    assert match.play(match.open()) is Outcome.DEFENDER_CONVICTED


@few
@given(seed=seeds)
def test_challenge_of_a_lie_in_the_init_segment_convicts(seed: int) -> None:
    match = lying_match(seed, lie_about_value, segment=0)
    assert match.play(match.open()) is Outcome.DEFENDER_CONVICTED


@few
@given(seed=seeds)
def test_challenge_by_a_liar_of_an_honest_claim_fails(seed: int) -> None:
    match = lying_match(seed, lie_about_value)
    match.refs, match.evidence = match.refs, match.evidence[::-1]
    for ref, who, evidence in zip(match.refs, (DEFENDER, CHALLENGER), match.evidence, strict=True):
        match.game.add_claim(Claim(ref, who, match.body(evidence, who)))
    assert match.play(match.open()) is Outcome.CHALLENGE_FAILED


@few
@given(seed=seeds)
def test_random_legal_picks_against_an_honest_claim_fail(seed: int) -> None:
    """A challenger that does not follow any run, but picks whatever folds, can never convict an honest defender."""
    rng = np.random.default_rng(seed)
    world = random_world(rng)
    match = Match(world, world.run(), world.run())
    other = match.game.claims[claims.claim_key(match.refs[1])]
    object.__setattr__(other.body, "end_root", rng.bytes(32))
    number = match.open()
    while (phase := Phase(match.game.dispute(number).phase)) is not Phase.RESOLVED:
        position = match.game.position(number)
        if position.side is Side.DEFENDER:
            assert match.turn(number), "An honest defender always has a legal move."
            continue
        move = random_pick(match, number, rng)
        if phase is Phase.PROVE:
            with pytest.raises(IllegalMoveError, match="agrees"):
                match.game.move(number, move, CHALLENGER, match.now)
            match.now = match.game.deadline(number) + 1
            match.game.timeout(number, match.now)
        else:
            match.game.move(number, move, CHALLENGER, match.now)
    assert match.game.dispute(number).outcome == Outcome.CHALLENGE_FAILED


def random_pick(match: Match, number: int, rng: np.random.Generator):  # type: ignore[no-untyped-def]
    """Any move that folds."""
    position, evidence = match.game.position(number), match.evidence[0]
    dispute = position.dispute
    node_bytes = evidence.program_commitment.node_bytes
    match position.phase:
        case Phase.PICK_STEP:
            step = int(rng.integers(0, dispute.steps))
            states = position.states
            proof = merkle.prove_range(states, max(step - 1, 0), step + 1) if dispute.steps > 1 else []
            if step == 0 and dispute.steps > 1:
                proof = merkle.inclusion_proof(states, 0)
            return PickStep(step, evidence.previous_root(step), states[step], tuple(proof))
        case Phase.PICK_BLOCK:
            shown = position.tree[dispute.level]
            place = int(rng.integers(0, len(shown)))
            proof = merkle.inclusion_proof(shown, place)
            return PickBlock(dispute.index * 64 + place, shown[place], tuple(proof))
        case Phase.PICK_NODE:
            shown = position.tree[0]
            place = int(rng.integers(0, len(shown)))
            index = dispute.index * 64 + place
            commitment = evidence.program_commitment
            return PickNode(
                index,
                shown[place],
                tuple(merkle.inclusion_proof(shown, place)),
                commitment.header,
                node_bytes[index],
                tuple(merkle.inclusion_proof(commitment.nodes.levels[0], index)),
            )
        case Phase.PICK_CHUNK:
            place = int(rng.integers(0, len(position.chunks)))
            proof = merkle.inclusion_proof(position.chunks, place)
            index = dispute.index * 64 + place
            return PickChunk(node_bytes[dispute.node], index, position.chunks[place], tuple(proof))
    tensor = evidence.node(dispute.step, dispute.node)
    itemsize = len(tensor.data) // max(1, int(np.prod(tensor.shape)))
    element = dispute.index * (1024 // itemsize) + int(rng.integers(0, len(position.data or b"") // itemsize))
    tree = evidence.step_tree(dispute.step)
    leaf = build_leaf_proof(
        evidence, dispute.step, dispute.node, element, lambda i: merkle.inclusion_proof(tree.levels[0], i)
    )
    return Prove(position.data or b"", leaf)


@few
@given(seed=seeds)
def test_lies_about_any_op_convict(seed: int) -> None:
    """Random programs over the whole op set, so that every kind of leaf is proven."""
    rng = np.random.default_rng(seed)
    case = random_program_case(rng, 10)
    world = World(
        case.program,
        [from_numpy(np.asarray(array)) for array in case.state],
        [from_numpy(np.asarray(array)) for array in case.constants],
        steps=1,
        segment_steps=1,
        seed=case.seed,
    )
    liar = world.run()
    lie_about_value(rng, liar)
    match = Match(world, liar, world.run())
    if match.evidence[0].end_root == match.evidence[1].end_root:
        return  # the lie was lost on the way to the end: nobody was lied to
    assert match.play(match.open()) is Outcome.DEFENDER_CONVICTED
    assert match.moves[-1] == "prove"


def test_dispute_of_a_200_node_program_takes_five_moves_a_side() -> None:
    rng = np.random.default_rng(5)
    program, state = ladder(200, [1000], rng)
    world = World(program, state, steps=32, segment_steps=32)
    liar = world.run()
    lie_about_value(rng, liar)
    match = Match(world, liar, world.run())
    assert match.play(match.open()) is Outcome.DEFENDER_CONVICTED
    reveals = [move for move in match.moves if move.startswith("reveal")]
    assert reveals == ["revealStates", "revealStep", "revealNodes", "revealChunks", "revealData"]
    assert len(match.moves) == 10


def test_second_dispute_of_a_claim_needs_no_reveal() -> None:
    rng = np.random.default_rng(6)
    program, state = ladder(70, [300], rng)
    world = World(program, state)
    liar = world.run()
    lie_about_value(rng, liar)
    match = Match(world, liar, world.run())
    first, second = match.open(), match.open()
    assert match.play(first) is Outcome.DEFENDER_CONVICTED
    match.game.convicted.clear()  # as if the first had only been played up to the leaf
    match.moves.clear()
    assert match.play(second) is Outcome.DEFENDER_CONVICTED
    assert not [move for move in match.moves if move.startswith("reveal")]


def test_move_without_a_difference_is_none() -> None:
    rng = np.random.default_rng(7)
    program, state = ladder(5, [10], rng)
    world = World(program, state)
    match = Match(world, world.run(), world.run())
    with pytest.raises(IllegalMoveError, match="equal"):
        match.open()
    with pytest.raises(NothingToContestError):
        first_difference([b"a"], [b"a"])


def test_move_of_the_other_side_is_none() -> None:
    rng = np.random.default_rng(8)
    program, state = ladder(5, [10], rng)
    world = World(program, state)
    liar = world.run()
    lie_about_value(rng, liar)
    match = Match(world, liar, world.run())
    number = match.open()
    assert challenger_move(match.game.position(number), match.evidence[1]) is None
    assert match.turn(number)
    assert defender_move(match.game.position(number), match.evidence[0]) is None


def test_reveal_elsewhere_stops_the_clock_at_its_own_time() -> None:
    rng = np.random.default_rng(9)
    program, state = ladder(5, [10], rng)
    world = World(program, state)
    liar = world.run()
    lie_about_value(rng, liar)
    match = Match(world, liar, world.run())
    first, second = match.open(), match.open()
    match.now += 90
    assert match.turn(first)
    seen = match.game.dispute(second)
    assert Phase(seen.phase) is Phase.PICK_STEP
    assert seen.turn_start == match.now
    assert seen.defender_clock == match.rules.clock - 100


def test_reveal_elsewhere_after_the_deadline_saves_nobody() -> None:
    rng = np.random.default_rng(10)
    program, state = ladder(5, [10], rng)
    world = World(program, state)
    liar = world.run()
    lie_about_value(rng, liar)
    match = Match(world, liar, world.run())
    first = match.open()
    match.now = match.game.deadline(first)
    second = match.open()
    match.now += 1
    assert match.turn(second)
    assert Phase(match.game.dispute(first).phase) is Phase.STATES
    match.game.timeout(first, match.now)
    assert match.game.dispute(first).outcome == Outcome.DEFENDER_CONVICTED
    match.game.withdraw(second)
    assert match.game.dispute(second).outcome == Outcome.WITHDRAWN


def test_claim_ref_of_another_claim_has_other_paths() -> None:
    assert claims.claim_key(ClaimRef(1, 1, 0, 0)) != claims.claim_key(ClaimRef(1, 1, 0, 1))
