"""Training steps of the zoo's models, exact against eager torch float32: same model, loss, batch, data; Adam in both.

Augmentation is left out on both sides: PyTorch has none of its own. The two largest presets take minutes a run and are
measured by name only: ``python -m benchmarks zoo`` with ``LOCKSTEP_BENCH=gpt-mini,bert-tiny``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import torch

from benchmarks.measure import Result, interleaved, ratio, torch_threads
from benchmarks.step import RATE, eager_step, exact_step
from lockstep.cli.zoo import PRESETS
from lockstep.data import Dataset
from lockstep.program.capture import capture
from lockstep.program.optimisers import Adam

MODELS = ("cnn-batch-norm", "attention", "lstm", "gpt-small", "bert-small", "resnet18")


def tensors(data: Dataset) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets as eager torch wants them: f32 scaled, or int64 tokens; int64 classes."""
    targets = torch.from_numpy(data.targets).long()
    if data.scale is None:
        return torch.from_numpy(data.inputs).long(), targets
    return torch.from_numpy(data.inputs).float() * data.scale + data.shift, targets


def measure(quick: bool = False) -> Iterator[Result]:
    """``step/MODEL`` at one thread."""
    named = os.environ.get("LOCKSTEP_BENCH", "")
    for name in named.split(",") if named else MODELS:
        preset = PRESETS[name]
        job = preset.build()
        data = replace(job.train, augmentation=None)
        task = capture(job.model, job.loss, Adam(lr=RATE), data, batch_size=preset.batch_size)
        exact, runner = exact_step(task, 1)
        with torch_threads(1):
            eager = eager_step(job.model, *tensors(data), preset.batch_size, job.loss)
            ours, peer = interleaved(exact, eager, 0.5 if quick else 4.0)
        detail = f"batch {preset.batch_size}, Adam, {len(task.step.nodes)} nodes; {runner}, against eager float32 torch"
        yield ratio(f"step/{name}", ours, peer, detail)
