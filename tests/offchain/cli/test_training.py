"""What the options of training choose, and what they refuse; no chain is needed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from lockstep.cli.errors import CommandError
from lockstep.cli.main import app
from lockstep.cli.sources import captured_task
from lockstep.cli.training import DEFAULT_RATES, Chosen, OptimiserName, ScheduleName, Training
from lockstep.program.encoding import commit_program
from lockstep.program.infer import ProgramError
from lockstep.program.ops import Op
from lockstep.program.optimisers import (
    SGD,
    Adam,
    AdamW,
    ClipNorm,
    ClipValue,
    Cosine,
    Linear,
    Lion,
    Momentum,
    MultiStep,
    Muon,
    Warmup,
)
from lockstep.program.stopping import EarlyStopping
from tests.offchain.cli.bench import TINY

LINEAR, COSINE, STEP = ScheduleName.LINEAR, ScheduleName.COSINE, ScheduleName.STEP
CAPTURED = (
    TINY + "\nfrom lockstep.program.capture import capture\n\ndef whole():\n    return capture(*build()[:4], 4)\n"
)

CHOICES: list[tuple[Training, Any]] = [
    (Training(), None),
    (Training(accumulate=2, patience=5), None),
    (Training(loss_scale=64.0, residual="head"), None),
    (Training(lr=0.01), Adam(0.01)),
    (Training(OptimiserName.SGD, weight_decay=0.1), SGD(0.3, 0.1)),
    (Training(OptimiserName.MOMENTUM), Momentum(0.1)),
    (Training(OptimiserName.NESTEROV), Momentum(0.1, nesterov=True)),
    (Training(OptimiserName.ADAMW), AdamW(3e-3, weight_decay=0.01)),
    (Training(OptimiserName.LION, weight_decay=0.1), Lion(1e-3, weight_decay=0.1)),
    (
        Training(OptimiserName.MUON, 0.02, 0.0),
        Muon(0.02, weight_decay=0.0, adjust="match_rms_adamw", others=AdamW(0.02, weight_decay=0.0)),
    ),
    (Training(OptimiserName.SGD, 0.1, schedule=LINEAR), SGD(Linear(0.1, 0.0, 320))),
    (Training(OptimiserName.SGD, 0.1, schedule=COSINE, floor=0.01), SGD(Cosine(0.1, 320, 0.01))),
    (Training(OptimiserName.SGD, 0.1, warmup=20), SGD(Warmup(20, 0.1))),
    (
        Training(OptimiserName.SGD, 0.1, schedule=STEP, warmup=20, decay_at="100, 200"),
        SGD(Warmup(20, MultiStep(0.1, (80, 180)))),
    ),
    (Training(OptimiserName.SGD, clip_norm=2.0, clip_value=0.5), ClipValue(ClipNorm(SGD(0.3), 2.0), 0.5)),
]


@pytest.mark.parametrize(("training", "optimiser"), CHOICES)
def test_options_choose_the_optimiser(training: Training, optimiser: Any) -> None:
    chosen = training.chosen(320)
    assert chosen.optimiser == optimiser
    assert chosen.accumulate == training.accumulate
    assert chosen.early_stopping == (EarlyStopping(5) if training.patience else None)


def test_every_optimiser_has_a_default_rate() -> None:
    assert set(DEFAULT_RATES) == set(OptimiserName)
    assert all(Training(name).chosen(10).optimiser is not None for name in OptimiserName)


@pytest.mark.parametrize(
    ("training", "sentence"),
    [
        (Training(lr=0.0), "--lr is 0.0; it is positive"),
        (Training(lr=float("nan")), "--lr is nan"),
        (Training(warmup=320), "--warmup 320 leaves none of 320 steps"),
        (Training(floor=0.1), "--floor is where --schedule linear or cosine ends"),
        (Training(schedule=STEP), "--decay-at and --schedule step go together"),
        (Training(decay_at="5"), "--decay-at and --schedule step go together"),
        (Training(schedule=STEP, decay_at="5,"), "step numbers with commas between"),
        (Training(schedule=STEP, decay_at="5", warmup=5), "after the warm-up"),
        (Training(schedule=STEP, decay_at="9,5"), "each is later than the one before"),
        (Training(clip_norm=-1.0), "norm is -1.0; it is positive"),
        (Training(residual="a,"), "--residual 'a,': names of layers with commas between, or none"),
        (Training(weight_decay=-1.0), "weight_decay is -1.0; it is 0 or more"),
    ],
)
def test_options_that_do_not_fit_are_a_usage_error(training: Training, sentence: str) -> None:
    with pytest.raises(typer.BadParameter, match=sentence):
        training.chosen(320)


def test_zoo_without_options_is_what_it_always_was() -> None:
    plain, default = captured_task("mlp", 64), captured_task("mlp", 64, Training(OptimiserName.ADAM, 3e-3).chosen(320))
    assert commit_program(plain.step, 0).hash == commit_program(default.step, 0).hash


def test_function_with_its_own_optimiser_takes_accumulation_and_patience_alone(tmp_path: Path) -> None:
    file = tmp_path / "train_settings.py"
    file.write_text(CAPTURED)
    task = captured_task(f"{file}:build", 4, Chosen(accumulate=2, early_stopping=EarlyStopping(3)))
    assert task.names.metrics[-1] == "stop"
    with pytest.raises(CommandError, match="returns its own optimiser; change it there"):
        captured_task(f"{file}:build", 4, Training(lr=0.1).chosen(10))
    with pytest.raises(CommandError, match="returns a captured task; say how it is trained there"):
        captured_task(f"{file}:whole", 4, Chosen(accumulate=2))


def test_loss_scale_residual_and_recompute_become_part_of_the_program(tmp_path: Path) -> None:
    plain = len(captured_task("mlp").step.nodes)
    assert len(captured_task("mlp", None, Training(loss_scale=64.0).chosen(1)).step.nodes) > plain
    named = captured_task("mlp", None, Training(residual="layers.1, layers.3").chosen(1))
    assert Counter(node.op for node in named.step.nodes)[Op.MATMUL] == 3 * 5
    assert captured_task("gpt-small", None, Training(residual="none").chosen(1)).step != captured_task("gpt-small").step
    assert Training(recompute=3).chosen(1).recompute == 3 << 20
    whole, parts = (captured_task("attention", None, Training(recompute=mib).chosen(1)).step for mib in (None, 1))
    assert len(parts.nodes) > len(whole.nodes)
    refused = CliRunner().invoke(app, ["program", "show", "mlp", "--loss-scale", "3"])
    assert refused.exit_code == 1
    assert "it is a power of two" in refused.stderr
    file = tmp_path / "train_scaled.py"
    file.write_text(CAPTURED)
    with pytest.raises(ProgramError, match="No layer is called 'head'"):
        captured_task(f"{file}:build", 4, Training(residual="head").chosen(1))


def test_program_show_takes_the_options() -> None:
    shown = CliRunner().invoke(
        app, ["program", "show", "mlp", "--no-text", "--optimiser", "lion", "--schedule", "cosine", "--warmup", "9"]
    )
    assert shown.exit_code == 0, shown.output
    refused = CliRunner().invoke(app, ["program", "show", "1", "--optimiser", "lion"])
    assert refused.exit_code == 1
    assert "says already how it is trained" in refused.stderr
