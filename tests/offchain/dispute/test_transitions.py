"""The game in Python does what the table of transitions says: every move, in every phase, by everybody, early and late.

``tests/contracts/dispute/DisputeTransitions.sol`` holds the contract to the same cells.
"""

from __future__ import annotations

import copy
import dataclasses
import re
from typing import Any

import numpy as np
import pytest

from lockstep.commitments.merkle import Tree
from lockstep.dispute import claims
from lockstep.dispute.leaf_proof import build_leaf_proof, build_opening_proof
from lockstep.dispute.moves import Move, PickElement, PickStep, Prove
from lockstep.dispute.player import challenger_move
from lockstep.dispute.proofs import IllegalMoveError
from lockstep.dispute.transition import MOVES, TURNS, Phase, Side
from lockstep.program.long_rows import block_size
from lockstep.program.ops import Op
from tests.offchain.dispute.long_world import LyingMatch, long_world, lying_run
from tests.offchain.dispute.world import CHALLENGER, DEFENDER, Match, World, changed, ladder
from tests.transitions import TABLE, Cell, cells, state_of

STRANGER = "0x" + "5a" * 20
MOVERS = {"defender": DEFENDER, "challenger": CHALLENGER, "anybody": STRANGER}
BY_CLAIM = ("open", "oneShot")
"""Calls about a claim, not a dispute: the Python game has no caller for them."""
ROWS = [row for row in TABLE["dispute"]["rows"] if row != "None"]


def phase_of(state: str) -> Phase:
    """A phase by its name in the contracts."""
    return Phase[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", state).upper()]


def tampered(world: World, node: int, rng: np.random.Generator) -> Any:
    run = world.run()
    run.overrides[run.steps - 1] = lambda opening: {
        node: changed(opening.value(node), world.step.nodes[node].dtype, rng)
    }
    return run


def scene(row: str) -> tuple[Match, int]:
    """A match as the row needs it, its dispute open."""
    rng = np.random.default_rng(17)
    about = row.partition(", ")[2]
    if about == "long row" or state_of(row) in ("Parts", "ProvePart"):
        block = block_size(Op.MATMUL)
        assert block is not None
        world = long_world(Op.MATMUL, block + 3, rng)
        match: Match = LyingMatch(world, lying_run(world, Op.MATMUL, rng), world.run())
        return match, match.open()
    nodes, size = (66, 10) if not about or about == "digest" else (5, 10)
    if about == "chunks" or state_of(row) in ("Chunks", "PickChunk"):
        nodes, size = 5, 300
    program, state = ladder(nodes, [size], rng)
    world = World(program, state, steps=2, segment_steps=2)
    match = Match(world, tampered(world, nodes - 2, rng), world.run())
    if about != "digest":
        return match, match.open()
    key = claims.claim_key(match.refs[0])
    claim = match.game.claims[key]
    digest = bytes([claim.body.digest[0] ^ 1]) + claim.body.digest[1:]
    match.game.add_claim(dataclasses.replace(claim, body=dataclasses.replace(claim.body, digest=digest)))
    return match, match.open(0)


def played_to(row: str) -> tuple[Match, int]:
    match, number = scene(row)
    while Phase(match.game.dispute(number).phase) is not phase_of(state_of(row)):
        assert match.turn(number)
    return match, number


def move_of(match: Match, number: int, call: str) -> Move | None:
    """The move as well made as the position allows; None where it does not fit."""
    position = match.game.position(number)
    dispute = position.dispute
    phase = Phase(dispute.phase)
    if phase not in TURNS or call not in TURNS[phase].functions:
        return None
    if call == "pickStep" and dispute.digest:
        states = match.evidence[0].state_roots
        return PickStep(0, dispute.previous_state, states[0], tuple(Tree(states).prove(0, 1)))
    if position.side is Side.CHALLENGER:
        body = match.game.claims[claims.claim_key(match.refs[0])].body
        made = challenger_move(position, match.evidence[1], match.key(DEFENDER), body.digest)
        if made is not None and made.function == call:
            return made
    if call in ("prove", "pickElement"):
        tree = match.evidence[0].step_tree(dispute.step)
        build = build_leaf_proof if call == "prove" else build_opening_proof
        mine, theirs = (
            run.opening(dispute.step).value(dispute.node).reshape(-1) for run in (match.challenger, match.defender)
        )
        element = int((mine != theirs).nonzero()[0])
        leaf = build(match.evidence[1], dispute.step, dispute.node, element, lambda node: tree.prove(node, node + 1))
        assert position.data is not None
        return Prove(position.data, leaf) if call == "prove" else PickElement(position.data, leaf)
    return match.reveal(position) if position.side is Side.DEFENDER else None


def outcome(match: Match, number: int, call: str, mover: str, now: int, move: Move | None) -> str | None:
    """The phase after a call, or None where it is refused."""
    game = copy.copy(match.game)
    game.disputes = list(match.game.disputes)
    game.convicted = set(match.game.convicted)
    game._revealed = dict(match.game._revealed)
    try:
        if call == "timeout":
            game.timeout(number, now)
        elif call == "withdraw":
            game.withdraw(number)
        else:
            assert move is not None
            game.move(number, move, mover, now)
    except IllegalMoveError:
        return None
    return Phase(game.dispute(number).phase).name


@pytest.fixture(scope="module")
def moves() -> dict[str, Move]:
    """One move of each kind, for the phases in which it does not fit."""
    found: dict[str, Move] = {}
    for row in ROWS:
        if state_of(row) == "Resolved":
            continue
        match, number = played_to(row)
        for call in TURNS[phase_of(state_of(row))].functions:
            move = move_of(match, number, call)
            if move is not None:
                found.setdefault(call, move)
    assert set(found) == set(MOVES)
    return found


@pytest.mark.parametrize("row", ROWS)
def test_python_game_does_what_the_table_says(row: str, moves: dict[str, Move]) -> None:
    match, number = played_to(row)
    over = state_of(row) == "Resolved"
    deadline = match.now if over else match.game.deadline(number)
    told: list[Cell] = [cell for cell in cells("dispute") if cell.row == row and cell.move not in BY_CLAIM]
    made = {
        call: None if call in ("timeout", "withdraw") else move_of(match, number, call) or moves[call]
        for call in {cell.move for cell in told}
    }
    for cell in told:
        now = deadline + 1 if cell.late else deadline
        found = outcome(match, number, cell.move, MOVERS[cell.actor], now, made[cell.move])
        assert found == (phase_of(cell.outcome).name if cell.legal else None), cell
