"""The demo's acts end as told, and not a base unit is lost.

The scenes are data: ``lockstep.cli.demo.acts`` names parties, their one fault, and the expected end.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lockstep.cli.demo import report
from lockstep.cli.demo.acts import ACTS, Act
from lockstep.cli.demo.stage import Scene, Stage

pytestmark = [pytest.mark.chain, pytest.mark.timeout(1200)]

MOVES_LIMIT = 5


def played(stage: Stage, prefix: str) -> Scene:
    return next(scene for scene in stage.scenes if scene.name.startswith(prefix))


@pytest.mark.parametrize("act", ACTS, ids=lambda act: f"act_{act.number}")
def test_act_ends_as_told(stage: Stage, act: Act) -> None:
    before = len(stage.scenes)
    act.play(stage)
    scenes = stage.scenes[before:]
    assert scenes
    for scene in scenes:
        assert scene.outcome == scene.expected, scene.name
        assert scene.settled


def test_honest_models_learn_the_digits(stage: Stage) -> None:
    for prefix in ("1a", "1b"):
        accuracy = played(stage, prefix).accuracy
        assert accuracy is not None
        assert accuracy >= 0.95


def test_what_one_party_of_a_scene_loses_another_gains(stage: Stage) -> None:
    for scene in stage.scenes:
        assert sum(scene.balances_after.values()) == sum(scene.balances_before.values()), scene.name


def test_honest_scenes_pay_solver_and_verifier_and_nobody_else(stage: Stage) -> None:
    scene = played(stage, "1a")
    change = {name: scene.balances_after[name] - before for name, before in scene.balances_before.items()}
    assert change["1a solver"] > 0
    assert change["1a verifier"] > 0
    assert change["treasury"] > 0
    assert change["1a submitter"] < 0


@pytest.mark.parametrize("prefix", ["2a", "2b", "3a"])
def test_bad_work_costs_the_solver_its_deposit(stage: Stage, prefix: str) -> None:
    scene = played(stage, prefix)
    assert scene.balances_after[f"{prefix} solver"] < scene.balances_before[f"{prefix} solver"]


@pytest.mark.parametrize("prefix", ["3a", "3b", "4", "5a", "5b", "5c", "5d", "6d"])
def test_bad_verifier_pays_and_whistleblower_is_paid(stage: Stage, prefix: str) -> None:
    scene = played(stage, f"{prefix} ")
    verifier, whistleblower = f"{prefix} verifier", f"{prefix} whistleblower"
    assert scene.balances_after[verifier] < scene.balances_before[verifier]
    assert scene.balances_after[whistleblower] > scene.balances_before[whistleblower]


@pytest.mark.parametrize("prefix", ["3b", "4", "5a", "5c", "6a"])
def test_good_work_is_paid_whatever_others_claim(stage: Stage, prefix: str) -> None:
    scene = played(stage, f"{prefix} ")
    assert scene.balances_after[f"{prefix} solver"] > scene.balances_before[f"{prefix} solver"]


@pytest.mark.parametrize("prefix", ["3a", "4", "5a", "5c"])
def test_whole_dispute_takes_few_moves(stage: Stage, prefix: str) -> None:
    moves = played(stage, f"{prefix} ").moves
    assert 1 <= max(moves.values()) <= (MOVES_LIMIT if prefix != "5c" else MOVES_LIMIT + 2)


@pytest.mark.parametrize("prefix", ["5b", "5d"])
def test_published_trace_falls_to_one_transaction(stage: Stage, prefix: str) -> None:
    scene = played(stage, prefix)
    assert "oneShot" in scene.gas
    assert not any(kind.startswith(("reveal", "pick", "prove")) for kind in scene.gas)


def test_everybody_leaves_with_everything(stage: Stage, tmp_path: Path) -> None:
    error = stage.world.leave()
    assert error == 0
    report.write(tmp_path / "report.json", stage.scenes, error)
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["conservation_error"] == 0
    wanted = {"name", "settled", "expected", "outcome", "accuracy", "moves", "gas", "balances_before", "balances_after"}
    assert all(wanted <= set(scene) for scene in document["acts"])
