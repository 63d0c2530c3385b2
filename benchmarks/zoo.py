"""Training steps of the zoo's models, exact against eager torch float32: same model, loss, batch, data; Adam in both.

Augmentation is left out on both sides: PyTorch has none of its own. The two largest presets take minutes a run and are
measured by name only: ``python -m benchmarks zoo`` with ``LOCKSTEP_BENCH=gpt-mini,bert-tiny``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from benchmarks.measure import Result, interleaved, ratio
from benchmarks.step import RATE, eager_step, exact_step
from lockstep.cli.zoo import PRESETS, Job
from lockstep.data import Dataset
from lockstep.engine.parallel.ranks import torch_threads
from lockstep.program.capture import CapturedTask, capture
from lockstep.program.optimisers import Adam

MODELS = ("cnn-batch-norm", "attention", "lstm", "gpt-small", "bert-small", "resnet18")


def tensors(data: Dataset) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets as eager torch wants them: f32 scaled, or int64 tokens; int64 classes."""
    targets = torch.from_numpy(data.targets).long()
    if data.scale is None:
        return torch.from_numpy(data.inputs).long(), targets
    return torch.from_numpy(data.inputs).float() * data.scale + data.shift, targets


def chosen(models: Sequence[str]) -> Sequence[str]:
    """The models named by ``LOCKSTEP_BENCH``, else these."""
    named = os.environ.get("LOCKSTEP_BENCH", "")
    return named.split(",") if named else models


def plain_job(name: str) -> Job:
    """A preset's job without its augmentation, with Adam: what eager torch can do, too."""
    job = PRESETS[name].build()
    return job._replace(train=replace(job.train, augmentation=None), optimiser=Adam(lr=RATE))


def captured_job(name: str, job: Job) -> CapturedTask:
    """A job as a task, with as many samples a step as the preset has."""
    return capture(job.model, job.loss, job.optimiser, job.train, PRESETS[name].batch_size)


def measure(quick: bool = False) -> Iterator[Result]:
    """``step/MODEL`` at one thread."""
    for name in chosen(MODELS):
        job = plain_job(name)
        task = captured_job(name, job)
        exact, runner = exact_step(task, 1)
        with torch_threads(1):
            eager = eager_step(job.model, *tensors(job.train), task.batch_size, job.loss)
            ours, peer = interleaved(exact, eager, 0.5 if quick else 4.0)
        detail = f"batch {task.batch_size}, Adam, {len(task.step.nodes)} nodes; {runner}, against eager float32 torch"
        yield ratio(f"step/{name}", ours, peer, detail)
