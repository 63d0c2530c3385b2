"""How many moves a dispute takes, from the sizes of a program alone."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.dispute import MOVES_LIMIT, STEPS, gpt2_small
from lockstep.dispute.length import dispute_phases, longest_dispute, moves_a_side
from lockstep.dispute.transition import TURNS, Outcome
from lockstep.program.ops import ROW_BLOCK, Op
from tests.offchain.dispute.long_world import LyingMatch, long_world, lying_run, node_of
from tests.offchain.dispute.world import Match, lie_about_value, random_world


def assert_as_counted(match: Match) -> None:
    number = match.open()
    assert match.play(number) is Outcome.DEFENDER_CONVICTED
    node = match.game.dispute(number).node
    phases = dispute_phases(match.world.step, node, match.world.terms.steps)
    assert len(match.moves) == len(phases)
    for made, phase in zip(match.moves, phases, strict=True):
        assert made in TURNS[phase].functions
    assert moves_a_side(phases) <= longest_dispute(match.world.step, match.world.terms.steps)[0]


@pytest.mark.parametrize("seed", range(6))
def test_dispute_takes_the_moves_that_the_program_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    world = random_world(rng)
    liar = world.run()
    lie_about_value(rng, liar)
    assert_as_counted(Match(world, liar, world.run()))


@pytest.mark.parametrize("op", [Op.MATMUL, Op.SUM], ids=lambda op: op.name.lower())
def test_long_row_takes_a_move_more_a_side(op: Op) -> None:
    rng = np.random.default_rng(1)
    world = long_world(op, ROW_BLOCK + 7, rng)
    match = LyingMatch(world, lying_run(world, op, rng), world.run())
    assert_as_counted(match)
    short = long_world(op, 100, rng)
    longer, shorter = (moves_a_side(dispute_phases(each.step, node_of(each, op), 1)) for each in (world, short))
    assert longer == shorter + 1


def test_dispute_about_gpt2_small_takes_at_most_eight_moves_a_side() -> None:
    program = gpt2_small().step
    most, _ = longest_dispute(program, STEPS)
    assert sum(entry.type.elements for entry in program.state) > 3 * 124_000_000
    assert most == MOVES_LIMIT
