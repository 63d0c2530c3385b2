"""The dispute benchmark's runs, which are stated and not computed, on a smaller program."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.dispute import CASES, STEPS, Case, play
from lockstep.cli.demo.stage import Stage
from lockstep.dispute.length import dispute_phases, moves_a_side
from tests.e2e.test_zoo_disputes import workload_of

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]


@pytest.mark.parametrize(
    ("model", "case"),
    [
        ("mlp", CASES[0]),
        # No row of the smaller program has several blocks.
        *(pytest.param("gpt-mini", case, marks=pytest.mark.long) for case in CASES if not case.blocks),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_stated_lie_is_convicted_in_the_moves_its_program_says(stage: Stage, model: str, case: Case) -> None:
    workload = workload_of(model)
    played = play(stage.world, workload, replace(case, name=f"15 {model} {case.name}"))
    if case.traced:
        assert len(played.gas["oneShot"]) == 1
        return
    moves = moves_a_side(dispute_phases(workload.step, case.node(workload.step), STEPS))
    assert (played.reveals, played.picks) == (moves, moves)
