"""The quality table: what it says is what was trained, and its two trainings are the same one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.quality import table, training
from benchmarks.quality.jobs import JOBS
from lockstep.program.capture import capture
from lockstep.program.optimisers import SGD, Lion


def test_page_has_the_table_of_the_runs_on_disk() -> None:
    assert table.text(table.runs()) in table.PAGE.read_text()


def test_runs_are_of_present_settings_each_once() -> None:
    found = table.runs()
    assert max(Counter((run.name, run.arithmetic, run.seed) for run in found).values()) == 1
    assert all(run.settings == JOBS[run.name].settings for run in found)
    assert all(bool(run.program) is (run.arithmetic == "exact") for run in found)


def test_run_is_found_again_with_its_settings_and_not_with_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "RUNS", tmp_path / "quality.json")
    run = table.Run("mlp", "exact", 1, JOBS["mlp"].settings, {"accuracy": 0.5}, 1.0, "00")
    table.append(run)
    assert table.find("mlp", "exact", 1, run.settings) == run
    assert table.find("mlp", "float32", 1, run.settings) is None
    assert table.find("mlp", "exact", 1, replace(JOBS["mlp"], steps=1).settings) is None
    assert "mlp" not in table.text(table.runs())  # there is nothing to compare it with
    table.append(replace(run, arithmetic="float32", metrics={"accuracy": 0.25}, program=""))
    assert "| `mlp` | digits | 600, 64 | 1 | accuracy | 0.5000 | 0.2500 | +0.2500 |" in table.text(table.runs())
    table.append(replace(run, arithmetic="native f32", program=""))
    assert "native floating point" not in table.text(table.runs())
    table.append(replace(run, arithmetic="native bf16", metrics={"accuracy": 0.75}, program=""))
    assert "| `mlp` | 600, 64 | 1 | accuracy | 0.5000 | 0.5000 | 0.7500 |" in table.text(table.runs())


def test_both_trainings_of_a_job_end_alike(tmp_path: Path) -> None:
    job = JOBS["mlp"]
    torch.manual_seed(0)
    model, (train, test) = job.model(), job.data(tmp_path)
    task = capture(model, job.loss, job.optimiser, train, job.batch_size, evaluation=test)
    before = torch.get_num_threads()
    try:
        exact = training.exact(task, 5, 30, 1)
        other = training.exact(task, 6, 30, 1)
        native = training.native(task, "bf16", 5, 30, 1)
        float32 = training.float32(task, model, job.loss, job.optimiser, train, test, 5, 30, 1)
    finally:
        torch.set_num_threads(before)
    assert exact.keys() == float32.keys() == {"loss", "accuracy"}
    assert abs(exact["loss"] - float32["loss"]) < 1e-3 < abs(other["loss"] - float32["loss"])
    assert 0 < abs(native["loss"] - exact["loss"]) < 1e-2


def test_peer_of_an_optimiser_that_pytorch_has_not_is_refused() -> None:
    parameters = [torch.nn.Parameter(torch.zeros(2))]
    assert isinstance(training.torch_optimiser(SGD(0.1), parameters), torch.optim.SGD)
    with pytest.raises(ValueError, match="There is no peer for Lion"):
        training.torch_optimiser(Lion(0.1), parameters)
