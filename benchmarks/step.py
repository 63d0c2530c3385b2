"""Whole training steps, exact against eager torch float32: same model, optimiser, batch and data."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import torch
from torch import nn

from benchmarks.measure import Result, interleaved, ratio
from lockstep.data import digits
from lockstep.engine.parallel.ranks import torch_threads
from lockstep.engine.run import Runner
from lockstep.engine.segment import initial_state
from lockstep.models import CNN, MLP
from lockstep.program.capture import CapturedTask, capture
from lockstep.program.optimisers import Adam
from lockstep.program.tracing import Loss

SEED = 7
RATE = 1e-3


def models() -> dict[str, tuple[nn.Module, bool, int]]:
    """Name to (model, flat inputs, batch size)."""
    return {
        "mlp": (MLP(hidden=(128, 128)), True, 128),
        "cnn": (CNN(), False, 64),
    }


def steps(runner: Runner, state: list[torch.Tensor]) -> Callable[[], object]:
    """A call that does the runner's next step."""
    step = 0

    def call() -> object:
        nonlocal state, step
        state, metrics = runner.step(state, step)
        step += 1
        return metrics

    return call


def exact_step(task: CapturedTask, threads: int) -> tuple[Callable[[], object], str]:
    """A call that does the task's next step, and the name of what runs it."""
    runner = Runner(task.step, task.constants, SEED, threads=threads)
    state = initial_state(task.init, task.constants, SEED)
    buffers = (runner.empty_state(), runner.empty_state())
    step = 0

    def call() -> object:
        nonlocal state, step
        state, metrics = runner.step(state, step, buffers[step % 2])
        step += 1
        return metrics

    return call, runner.name


def eager_step(
    model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor, batch: int, loss: Loss | None = None
) -> Callable[[], object]:
    """A call that does an eager float32 step: a batch without replacement, forward, loss, backward, Adam."""
    model.train()
    loss = loss or nn.CrossEntropyLoss()
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
    order = torch.randperm(len(inputs))
    at = 0

    def call() -> object:
        nonlocal order, at
        if at + batch > len(inputs):
            order, at = torch.randperm(len(inputs)), 0
        rows = order[at : at + batch]
        at += batch
        optimiser.zero_grad()
        value = loss(model(inputs[rows]), targets[rows])
        value.backward()
        optimiser.step()
        return float(value.detach())

    return call


def measure(quick: bool = False) -> Iterator[Result]:
    """``step/MODEL`` at one thread, ``step/MODEL/2_threads`` at two."""
    for name, (model, flat, batch) in models().items():
        data = digits(flat=flat)[0]
        task = capture(model, nn.CrossEntropyLoss(), Adam(lr=RATE), data, batch_size=batch)
        inputs, targets = torch.from_numpy(data.inputs).float(), torch.from_numpy(data.targets).long()
        for threads in [1] + ([2] if (os.cpu_count() or 1) > 1 else []):
            exact, runner = exact_step(task, threads)
            with torch_threads(threads):
                peer_call = eager_step(model, inputs, targets, batch)
                ours, peer = interleaved(exact, peer_call, 0.5 if quick else 4.0)
            label = f"step/{name}" if threads == 1 else f"step/{name}/{threads}_threads"
            detail = f"batch {batch}, Adam, {len(task.step.nodes)} nodes; {runner}, against eager float32 torch"
            yield ratio(label, ours, peer, detail)
