"""The zoo's names on the command line: every job is built and learns from its own data; the small ones are captured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from lockstep.cli.errors import CommandError
from lockstep.cli.main import app
from lockstep.cli.sources import captured_task
from lockstep.cli.zoo import PRESETS
from lockstep.data import Dataset

ZOO_TABLE = (Path(__file__).resolve().parents[3] / "docs" / "MODELS.md").read_text().partition("## Data")[0]
DOCUMENTED = dict(re.findall(r"^\| `([a-z0-9-]+)` \| [^|]* \| ([0-9,]+) \|", ZOO_TABLE, re.MULTILINE))
"""Parameters by name."""
CAPTURED = ("mlp", "cnn", "cnn-batch-norm", "cnn-fashion", "attention", "gpt-small", "bert-small", "lstm", "resnet18")
FULL_SIZE = ("gpt-mini", "bert-tiny")
"""Built by the tests of their models; here only their data would be new."""


def batch(data: Dataset, rows: int) -> tuple[Tensor, Tensor]:
    inputs = torch.from_numpy(data.inputs[:rows].astype("float32" if data.scale is not None else "int64"))
    targets = torch.from_numpy(data.targets[:rows].astype("int64"))
    return (inputs * data.scale + data.shift if data.scale is not None else inputs), targets


@pytest.mark.parametrize("name", [name for name in PRESETS if name not in FULL_SIZE])
def test_job_is_built_and_its_model_reads_its_data(name: str) -> None:
    torch.manual_seed(0)
    preset = PRESETS[name]
    job = preset.build()
    assert isinstance(job.model, nn.Module)
    assert f"{sum(parameter.numel() for parameter in job.model.parameters()):,}" == DOCUMENTED[name]
    assert job.train.inputs.shape[1:] == job.evaluation.inputs.shape[1:]
    x, y = batch(job.evaluation, 2)
    loss = job.loss(job.model(x), y)
    assert loss.shape == ()
    assert bool(loss.isfinite())
    assert preset.batch_size <= len(job.train)
    assert job.evaluation.augmentation is None


@pytest.mark.parametrize("name", CAPTURED)
def test_job_is_captured(name: str) -> None:
    task = captured_task(name)
    assert task.batch_size == PRESETS[name].batch_size
    assert task.evaluate is not None
    assert captured_task("mlp", 5).batch_size == 5


def test_name_that_is_nothing_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(CommandError, match=r"the zoo \(mlp, cnn, .*\) nor FILE\.py:FUNCTION"):
        captured_task("resnet")


@pytest.mark.parametrize("command", ["submit", "quote"])
def test_help_lists_every_name(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "120"}).output
    assert all(f"{name}: {preset.summary}" in shown for name, preset in PRESETS.items())


def test_document_lists_every_name_and_no_other() -> None:
    assert list(DOCUMENTED) == list(PRESETS)
