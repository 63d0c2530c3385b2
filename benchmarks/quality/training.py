"""One training in one arithmetic: the same weights to begin with, the same batches in the same order.

The float32 training reads its batches from a program that does nothing but the selection (rows, augmentation) of the
task's step, so both see the same pixels and tokens at every step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lockstep.engine.mixed.runner import MixedRunner
from lockstep.engine.run import Runner
from lockstep.engine.segment import initial_state, mean_metrics, run_segment
from lockstep.program import selection
from lockstep.program.builder import Builder, Built
from lockstep.program.capture import CapturedTask
from lockstep.program.optimisers import SGD, Adam, AdamW, Momentum, Optimiser
from lockstep.program.selection import Dataset
from lockstep.program.tracing import Loss

Metrics = dict[str, float]
EVALUATION_BATCH = 256


def exact(task: CapturedTask, seed: int, steps: int, threads: int) -> Metrics:
    """Train the captured task and measure it by its own evaluation program."""
    return _run(task, Runner(task.step, task.constants, seed, threads=threads), seed, steps, threads)


def native(task: CapturedTask, precision: str, seed: int, steps: int, threads: int) -> Metrics:
    """The same, trained in native floating point; measured exactly."""
    torch.set_num_threads(threads)
    return _run(task, MixedRunner(task.step, task.constants, seed, precision=precision), seed, steps, threads)


def _run(task: CapturedTask, runner: Runner, seed: int, steps: int, threads: int) -> Metrics:
    assert task.evaluate is not None
    state = run_segment(runner, initial_state(task.init, task.constants, seed), 0, steps).state
    judge = Runner(task.evaluate, task.evaluation_constants, seed, threads=threads)
    means = mean_metrics(judge, state, task.evaluation_steps)
    return dict(zip(task.step.names.metrics, means, strict=True))


def float32(
    task: CapturedTask, model: nn.Module, loss: Loss, optimiser: Optimiser, train: Dataset, test: Dataset,
    seed: int, steps: int, threads: int,
) -> Metrics:  # fmt: skip
    """Train ``model`` from the task's own start with ``torch.optim``, and measure it, all in float32."""
    torch.set_num_threads(threads)
    start = [tensor.numpy() for tensor in initial_state(task.init, task.constants, seed)]
    model.load_state_dict(task.state_dict(start), strict=False)
    model.train()
    made = torch_optimiser(optimiser, list(model.parameters()))
    batches = batch_program(train, task.batch_size)
    reader = Runner(batches.program, batches.constants, seed, threads=1)
    held: Sequence[Tensor] = reader.empty_state()
    for step in range(steps):
        held, _ = reader.step(held, step)
        for group in made.param_groups:
            group["lr"] = rate_at(optimiser, step)
        made.zero_grad()
        inputs, targets = (as_read(tensor) for tensor in held)
        loss(model(inputs), targets).backward()
        made.step()
    return measured(model, loss, test)


def as_read(values: Tensor) -> Tensor:
    """Integers as PyTorch wants tokens and classes."""
    return values if values.is_floating_point() else values.long()


def batch_program(data: Dataset, batch_size: int) -> Built:
    """A program whose new state is the batch of its step (inputs, targets), drawn at the sites of ``capture``."""
    b = Builder()
    inputs, targets = b.add_constant("inputs", data.inputs), b.add_constant("targets", data.targets)
    rows = selection.shuffled_rows(b, len(data), batch_size)
    x = selection.select(b, inputs, rows, data.scale, data.shift, data.augmentation)
    y = selection.select(b, targets, rows, None if data.targets.dtype != "float32" else 1.0, 0.0)
    for name, value in (("x", x), ("y", y)):
        b.add_state(name, value.dtype, value.shape)
    return b.finish([x, y])


def rate_at(optimiser: Optimiser, step: int) -> float:
    """The learning rate of a step."""
    rate = optimiser.lr  # type: ignore[attr-defined]
    return float(rate) if isinstance(rate, float | int) else float(rate.at(step))


def torch_optimiser(optimiser: Optimiser, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """PyTorch's own optimiser with the same settings; its rate is set before each step."""
    decay = optimiser.weight_decay  # type: ignore[attr-defined]
    match optimiser:
        case Adam():
            return torch.optim.Adam(parameters, 1.0, optimiser.betas, optimiser.eps, decay)
        case AdamW():
            return torch.optim.AdamW(parameters, 1.0, optimiser.betas, optimiser.eps, decay)
        case Momentum():
            return torch.optim.SGD(parameters, 1.0, optimiser.momentum, 0.0, decay, optimiser.nesterov)
        case SGD():
            return torch.optim.SGD(parameters, 1.0, weight_decay=decay)
    raise ValueError(f"There is no peer for {optimiser!r}.")


def measured(model: nn.Module, loss: Loss, test: Dataset) -> Metrics:
    """Mean loss over the test rows, and accuracy where the targets are classes."""
    model.eval()
    losses, right = [], 0
    with torch.no_grad():
        for begin in range(0, len(test), EVALUATION_BATCH):
            rows = slice(begin, begin + EVALUATION_BATCH)
            inputs, targets = torch.tensor(test.inputs[rows]), torch.tensor(test.targets[rows]).long()
            read = inputs.long() if test.scale is None else inputs.float() * test.scale + test.shift
            output = model(read)
            losses.append(float(loss(output, targets)) * len(targets))
            right += int((output.argmax(-1) == targets).sum()) if targets.ndim == 1 else 0
    found = {"loss": math.fsum(losses) / len(test)}
    return found | ({"accuracy": right / len(test)} if test.targets.ndim == 1 else {})
