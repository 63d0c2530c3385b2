"""Helpers of the capture tests: one step of a captured task against eager PyTorch, both in float64."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lockstep.program.capture import CapturedTask, capture
from lockstep.program.ops import Op
from lockstep.program.optimisers import SGD, Optimiser
from lockstep.program.selection import Dataset
from tests.offchain.program.float64_interpreter import run

Loss = Callable[[Tensor, Tensor], Tensor]
SEED = 0x0123456789ABCDEF


class Of(nn.Module):
    """A parameterised input to a function: gradients flow through it to a weight of the input's shape."""

    def __init__(self, function: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(shape) * 0.7 + 0.3)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x * self.weight)


def mean_square(output: Tensor, target: Tensor) -> Tensor:
    """A loss that gives every output another gradient; the target is not used."""
    return (output * output * output / 3 + output).mean()


def start_state(task: CapturedTask) -> list[np.ndarray[Any, Any]]:
    """State of step 0, in float64."""
    return run(task.init, [], task.constants, 0, SEED)[0]


def batch_of(task: CapturedTask, data: Dataset, values: list[np.ndarray[Any, Any]]) -> tuple[list[Tensor], Tensor]:
    """The batch a step read, as float64 and int64 tensors, from the values of the step's nodes."""
    rows = next(v for n, v in zip(task.step.nodes, values, strict=False) if n.op is Op.SHUFFLE)
    targets = data.targets[rows]
    x = []
    for column in data.rows(rows).columns:
        if column.scale is None:
            x.append(torch.from_numpy(column.values.astype(np.int64)))
        else:
            x.append(torch.from_numpy(column.values.astype(np.float64) * column.scale + column.shift))
    return x, torch.from_numpy(targets.astype(np.float64 if targets.dtype == np.float32 else np.int64))


def check_against_eager(
    model: nn.Module,
    loss: Loss,
    data: Dataset,
    *,
    optimiser: Optimiser | None = None,
    eager: Callable[[Any], torch.optim.Optimizer] | None = None,
    batch_size: int | None = None,
    steps: int = 1,
    tolerance: float = 1e-12,
    residual: Collection[str] | None = (),
) -> CapturedTask:
    """Capture, run some steps in float64, and hold loss, parameters and buffers to eager PyTorch.

    Without an optimiser: one step of gradient descent with rate 1, so that parameters differ by their gradients.
    """
    rule, rows = optimiser or SGD(lr=1.0), batch_size or len(data)
    task = capture(model, loss, rule, data, rows, draw=False, metrics={}, residual=residual)
    reference = copy.deepcopy(model).double().train()
    loss = copy.deepcopy(loss).double() if isinstance(loss, nn.Module) else loss
    step_eager = (eager or (lambda p: torch.optim.SGD(p, lr=1.0)))(reference.parameters())
    state = start_state(task)
    for step in range(steps):
        new, values = run(task.step, state, task.constants, step, SEED, task.step_literals)
        x, y = batch_of(task, data, values)
        value = loss(reference(*x), y)
        step_eager.zero_grad()
        value.backward()
        step_eager.step()
        assert abs(values[task.step.metrics[0]] - value.item()) <= tolerance * max(1.0, abs(value.item()))
        expected = dict(reference.named_parameters()) | dict(reference.named_buffers())
        for name, index in task.parameters.items():
            want = expected[name].detach().double().numpy()
            scale = max(1.0, float(np.abs(want).max()))
            np.testing.assert_allclose(new[index], want, rtol=0, atol=tolerance * scale, err_msg=name)
        state = new
    return task


def classification(shape: tuple[int, ...], classes: int = 5, rows: int = 6, seed: int = 0) -> Dataset:
    """Random inputs (f32) and classes."""
    rng = np.random.default_rng(seed)
    return Dataset(
        rng.standard_normal((rows, *shape)).astype(np.float32), rng.integers(0, classes, rows).astype(np.uint8)
    )


def regression(shape: tuple[int, ...], out: tuple[int, ...], rows: int = 6, seed: int = 0) -> Dataset:
    """Random inputs and targets (f32)."""
    rng = np.random.default_rng(seed)
    return Dataset(
        rng.standard_normal((rows, *shape)).astype(np.float32), rng.standard_normal((rows, *out)).astype(np.float32)
    )
