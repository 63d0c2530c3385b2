"""Every job of the zoo, trained: gradients in float64, and chained exact steps, against eager PyTorch in float64."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from benchmarks.quality import training
from lockstep.cli.zoo import PRESETS, Job
from lockstep.data import Dataset
from lockstep.engine.run import Runner
from lockstep.engine.segment import initial_state, run_segment
from lockstep.program.capture import CapturedTask, capture
from lockstep.program.optimisers import Adam, AdamW, Momentum, Optimiser
from tests.offchain.program.capturing import SEED, check_against_eager

MINUTES = ("lstm", "resnet18", "gpt-mini", "bert-tiny")
"""Presets whose step in NumPy's float64 takes long; small ones of their kind are in test_models_captured."""
STEPS = 8


def job_of(name: str) -> Job:
    torch.manual_seed(6)
    job = PRESETS[name].build()
    return job._replace(train=replace(job.train, augmentation=None))


def first_rows(data: Dataset, rows: int) -> Dataset:
    return replace(data, inputs=data.inputs[:rows], targets=data.targets[:rows])


LONG = (pytest.mark.long, pytest.mark.timeout(3600))


@pytest.mark.parametrize("name", [pytest.param(name, marks=LONG if name in MINUTES else ()) for name in PRESETS])
def test_gradients_of_every_preset_are_float64s_to_1e12(name: str) -> None:
    job = job_of(name)
    check_against_eager(job.model, job.loss, first_rows(job.train, 2), tolerance=1e-12)


def moved(task: CapturedTask, job: Job, optimiser: Optimiser, *, dtype: torch.dtype) -> list[torch.Tensor]:
    """Trained parameters after ``STEPS`` steps of eager PyTorch from the task's start, over the task's batches."""
    model = copy.deepcopy(job.model).to(dtype).train()
    start = [tensor.numpy() for tensor in initial_state(task.init, task.constants, SEED)]
    model.load_state_dict(task.state_dict(start), strict=False)
    made = training.torch_optimiser(optimiser, list(model.parameters()))
    batches = training.batch_program(job.train, task.batch_size)
    reader = Runner(batches.program, batches.constants, SEED)
    held = reader.empty_state()
    for step in range(STEPS):
        held, _ = reader.step(held, step)
        for group in made.param_groups:
            group["lr"] = training.rate_at(optimiser, step)
        inputs, targets = (training.as_read(tensor) for tensor in held)
        made.zero_grad()
        job.loss(model(inputs.to(dtype) if inputs.is_floating_point() else inputs), targets).backward()
        made.step()
    return [parameter.detach().double() for parameter in model.parameters()]


def distances(name: str, optimiser: Optimiser) -> tuple[float, float]:
    """How far exact and float32 training end from float64's, over how far that went from the start."""
    job = job_of(name)
    task = capture(job.model, job.loss, optimiser, job.train, PRESETS[name].batch_size)
    begin = initial_state(task.init, task.constants, SEED)
    end = run_segment(Runner(task.step, task.constants, SEED), begin, 0, STEPS).state
    names = [n for n, _ in job.model.named_parameters()]
    start, exact = ([state[task.parameters[n]].double() for n in names] for state in (begin, end))
    wide, narrow = (moved(task, job, optimiser, dtype=dtype) for dtype in (torch.float64, torch.float32))
    return distance(exact, wide) / distance(start, wide), distance(narrow, wide) / distance(start, wide)


def distance(a: list[torch.Tensor], b: list[torch.Tensor]) -> float:
    return float(torch.cat([(x - y).flatten() for x, y in zip(a, b, strict=True)]).norm())


@pytest.mark.parametrize("name", ["mlp", "cnn", "cnn-batch-norm", "attention"])
def test_chained_steps_in_float64_are_eager_pytorchs(name: str) -> None:
    """By momentum: Adam makes a step of the whole rate out of a gradient that is zero but for its rounding."""
    job, rule = job_of(name), Momentum(0.05, nesterov=True, weight_decay=0.01)

    def eager(parameters: object) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, 0.05, 0.9, weight_decay=0.01, nesterov=True)  # type: ignore[call-overload, no-any-return]

    rows = first_rows(job.train, 6)
    check_against_eager(job.model, job.loss, rows, optimiser=rule, eager=eager, batch_size=2, steps=3, tolerance=1e-11)


SMOOTH, BENT = 1e-3, 5e-2
"""Bounds of what exact training may be off after 8 steps, in parts of the way.

An operand keeps 14 bits below its row's largest entry, so a product is right to some 1e-4, and eight steps of a smooth
model by momentum to 1e-3. ReLU and the maximum of a pool switch where two values are nearly equal, and Adam divides by
the gradient's own size, so there single parameters go another way: to 5e-2 of the whole.
"""
CHAINED: dict[tuple[str, Optimiser], float] = {
    ("attention", Momentum(0.05, nesterov=True)): SMOOTH,
    ("attention", AdamW(1e-3)): BENT,
    ("mlp", Momentum(0.05)): SMOOTH,
    ("mlp", Adam(1e-3)): BENT,
    ("cnn", Momentum(0.05, weight_decay=0.01)): BENT,
    ("cnn", Adam(1e-3)): BENT,
}


@pytest.mark.parametrize(("name", "optimiser"), CHAINED)
def test_chained_exact_steps_end_where_torch_optim_does(name: str, optimiser: Optimiser) -> None:
    exact, narrow = distances(name, optimiser)
    assert narrow < 1e-3  # the peer itself: the same start, batches and rates
    assert exact < CHAINED[name, optimiser]


@pytest.mark.long
@pytest.mark.parametrize("name", ["gpt-small", "bert-small", "lstm"])
def test_chained_exact_steps_of_larger_models_end_where_torch_optim_does(name: str) -> None:
    exact, narrow = distances(name, Momentum(0.05))
    assert narrow < SMOOTH
    assert exact < SMOOTH
