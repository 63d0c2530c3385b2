"""``lockstep sweep``: folds, ranking, what is kept, and the command itself on models that train in a moment."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from torch import nn
from typer.testing import CliRunner

from lockstep.cli.errors import CommandError
from lockstep.cli.main import app
from lockstep.cli.sweeping import Point, Try, folds, load, points, ranking
from lockstep.cli.zoo import Job
from lockstep.program.augmentation import Augmentation
from lockstep.program.optimisers import SGD
from lockstep.program.selection import Dataset
from tests.offchain.cli.bench import TINY


def sweep(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["sweep", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def job(rows: int) -> Job:
    data = Dataset(np.arange(rows, dtype=np.float32)[:, None], np.arange(rows, dtype=np.int32))
    return Job(nn.Linear(1, 2), nn.CrossEntropyLoss(), SGD(0.1), data, data)


@pytest.mark.parametrize(("rows", "count", "held"), [(10, 3, 3), (12, 3, 4), (200, 3, 64), (257, 2, 128), (5, 5, 1)])
def test_every_fold_holds_other_rows_out_and_trains_on_all_others(rows: int, count: int, held: int) -> None:
    cut = list(folds(job(rows), count))
    assert len(cut) == count
    seen: list[int] = []
    for part in cut:
        assert part.evaluation is not None
        assert len(part.evaluation) == held
        train, out = part.train.targets.tolist(), part.evaluation.targets.tolist()
        assert sorted(train + out) == list(range(rows))
        assert part.train.inputs[:, 0].tolist() == train
        seen += out
    assert len(set(seen)) == len(seen)


def test_folds_are_measured_as_they_are_and_trained_augmented() -> None:
    data = Dataset(np.zeros((6, 1, 2, 2), np.float32), np.zeros(6, np.int32), 0.5, 1.0, Augmentation(flip=True))
    (part, *_) = folds(job(6)._replace(train=data), 3)
    assert part.evaluation is not None
    assert part.evaluation.augmentation is None
    assert part.train.augmentation == data.augmentation
    assert (part.evaluation.scale, part.evaluation.shift) == (0.5, 1.0)


def test_more_folds_than_samples_are_refused() -> None:
    with pytest.raises(CommandError, match="2 training samples cannot be cut into 3 folds"):
        list(folds(job(2), 3))


def test_points_are_all_combinations_once() -> None:
    made = points(["a", "b"], ["adam"], [0.1, 0.2, 0.1], None, None)
    assert made == [Point(s, "adam", r) for s in ("a", "b") for r in (0.1, 0.2)]
    assert made[0].label == "a adam lr 0.1"


def tried(source: str, *values: float, metric: str = "loss") -> list[Try]:
    return [Try(Point(source), i, 0, 1, "", {metric: value}, 0.0) for i, value in enumerate(values)]


def test_ranking_has_the_lowest_loss_or_the_highest_accuracy_first_and_nan_last() -> None:
    tries = [
        *tried("nan", math.nan, 1.0),
        *tried("infinite", math.inf, -math.inf),
        *tried("a", 1.0, 3.0),
        *tried("b", 0.5, 0.5),
    ]
    assert [standing.point.source for standing in ranking(tries, "loss")] == ["b", "a", "nan", "infinite"]
    assert ranking(tries, "loss")[1].mean == 2.0
    assert ranking(tries, "loss")[1].spread == pytest.approx(math.sqrt(2))
    tries = [*tried("a", 0.5, metric="accuracy"), *tried("b", 0.7, metric="accuracy")]
    assert [standing.point.source for standing in ranking(tries, "accuracy")] == ["b", "a"]
    with pytest.raises(CommandError, match="There is no metric 'f1'; there are accuracy"):
        ranking(tries, "f1")


def test_sweep_ranks_resumes_and_draws(tmp_path: Path) -> None:
    out, plot = tmp_path / "sweep.json", tmp_path / "sweep.svg"
    first = sweep("mlp", "--lr", "1e-3,3e-2", "--folds", 2, "--steps", 12, "--out", out)
    tries = load(out)
    assert len(tries) == 4
    assert [line.split()[0:3] for line in first.stdout.splitlines()[2:]] == [
        ["mlp", "lr", "0.03"],
        ["mlp", "lr", "0.001"],
    ]
    kept = out.read_text()
    out.write_text(json.dumps({"tries": json.loads(kept)["tries"][:3]}))
    again = sweep("mlp", "--lr", "1e-3,3e-2", "--folds", 2, "--steps", 12, "--out", out, "--plot", plot)
    assert again.stderr.count("as before") == 3
    assert [t.metrics for t in load(out)] == [t.metrics for t in tries]
    assert plot.read_text().count("<svg") == 1
    other = sweep("mlp", "--lr", "1e-3", "--folds", 2, "--steps", 13, "--out", out, "--metric", "loss")
    assert "as before" not in other.stderr
    assert len(load(out)) == 6


def test_sweep_over_architectures_and_batch_sizes_draws_a_point_each(tmp_path: Path) -> None:
    file = tmp_path / "train_swept.py"
    file.write_text(TINY)
    plot = tmp_path / "sweep.png"
    shown = sweep(
        "mlp", f"{file}:build", "--batch-size", "2,3", "--folds", 2, "--steps", 2, "--plot", plot, "--metric", "loss"
    )
    assert shown.stdout.count("batch 2") == shown.stdout.count("batch 3") == 2
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (("--lr", "fast"), 2, "could not convert string to float: 'fast'"),
        (("--lr", "-1"), 2, "--lr is -1.0; it is positive"),
        (("--optimiser", "adam,sdg"), 2, "'sdg' is not a valid OptimiserName"),
        (("--batch-size", "0"), 2, "'0' is no number of samples"),
        (("--plot", "sweep.gif"), 2, "ends in none of .png, .svg, .pdf"),
        (("--folds", "1"), 2, "should be greater than or equal to 2"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_anything_is_trained(
    options: tuple[Any, ...], code: int, sentence: str
) -> None:
    refused = sweep("mlp", *options, code=code)
    assert sentence in " ".join(refused.stderr.replace("│", " ").split())


def test_function_keeps_its_own_optimiser(tmp_path: Path) -> None:
    file = tmp_path / "train_own.py"
    file.write_text(TINY)
    refused = sweep("mlp", f"{file}:build", "--lr", "0.1", "--folds", 2, code=1)
    assert "returns its own optimiser" in refused.stderr


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"tries": [{}]}', '{"tries": [{"point": {"lr": 1}}]}', "[" * 9999]
)
def test_file_that_is_no_sweep_is_refused_and_left_alone(tmp_path: Path, content: str) -> None:
    out = tmp_path / "other.json"
    out.write_text(content)
    refused = sweep("mlp", "--out", out, code=1)
    assert "is no file of a sweep" in refused.stderr
    assert out.read_text() == content
