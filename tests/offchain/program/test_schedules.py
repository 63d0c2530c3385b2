"""Schedules: every step's rate as the program computes it, against torch.optim.lr_scheduler and the formula."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from lockstep.numerics.dtypes import DType
from lockstep.program import reference
from lockstep.program.builder import Builder, Built
from lockstep.program.optimisers import Cosine, Linear, MultiStep, Schedule, StepDecay, Warmup
from tests.offchain.program.float64_interpreter import run

LR = 0.3
F32_STEP = 2.0**-24

Eager = Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]


def warmed(steps: int, then: Eager) -> Eager:
    def make(optimiser: torch.optim.Optimizer) -> lr_scheduler.LRScheduler:
        ramp = lr_scheduler.LinearLR(optimiser, 1 / (steps + 1), total_iters=steps)
        return lr_scheduler.SequentialLR(optimiser, [ramp, then(optimiser)], [steps])

    return make


CASES: dict[str, tuple[Schedule, Eager, int]] = {
    "linear": (Linear(LR, LR / 10, 30), lambda o: lr_scheduler.LinearLR(o, 1.0, 0.1, 30), 40),
    "cosine": (Cosine(LR, 37), lambda o: lr_scheduler.CosineAnnealingLR(o, 37), 38),
    "cosine_to_a_floor": (Cosine(LR, 20, 0.05), lambda o: lr_scheduler.CosineAnnealingLR(o, 20, 0.05), 21),
    "step": (StepDecay(LR, 7, 0.3), lambda o: lr_scheduler.StepLR(o, 7, 0.3), 60),
    "exponential": (StepDecay(LR, 1, 0.9), lambda o: lr_scheduler.ExponentialLR(o, 0.9), 60),
    "multi_step": (MultiStep(LR, (3, 8, 9), 0.5), lambda o: lr_scheduler.MultiStepLR(o, [3, 8, 9], 0.5), 15),
    "warm_up": (Warmup(6, LR), warmed(6, lambda o: lr_scheduler.ConstantLR(o, 1.0)), 12),
    "warm_up_and_cosine": (Warmup(9, Cosine(LR, 25)), warmed(9, lambda o: lr_scheduler.CosineAnnealingLR(o, 25)), 35),
    "warm_up_and_steps": (Warmup(4, StepDecay(LR, 5)), warmed(4, lambda o: lr_scheduler.StepLR(o, 5)), 25),
}


def program(schedule: Schedule) -> Built:
    """A program whose state is the rate of its step."""
    b = Builder()
    b.add_state("rate", DType.F32, ())
    return b.finish([schedule.emit(b, b.step)])


def wide(built: Built, step: int) -> float:
    return float(run(built.program, [np.zeros(())], [], step, 0, built.literals)[0][0])


def exact(built: Built, step: int) -> float:
    return float(reference.evaluate(built.program, [np.zeros((), np.float32)], [], step, 0)[0][0])


@pytest.mark.filterwarnings("ignore:The epoch parameter")
@pytest.mark.parametrize("name", CASES)
def test_rates_are_pytorchs_and_the_formulas(name: str) -> None:
    schedule, eager, steps = CASES[name]
    built = program(schedule)
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], LR)
    scheduler = eager(optimiser)
    for step in range(steps):
        rate = optimiser.param_groups[0]["lr"]
        assert abs(wide(built, step) - rate) <= 1e-12 * LR, step
        assert abs(schedule.at(step) - rate) <= 1e-12 * LR, step
        optimiser.step()
        scheduler.step()


@pytest.mark.parametrize("name", CASES)
def test_rates_in_exact_arithmetic_are_within_a_few_ulp(name: str) -> None:
    schedule, _, steps = CASES[name]
    built = program(schedule)
    for step in range(steps):
        rate = schedule.at(step)
        power = abs(math.log(rate / LR)) if isinstance(schedule, StepDecay) else 0.0
        assert abs(exact(built, step) - rate) <= (8 + power) * F32_STEP * rate, step


@pytest.mark.parametrize(
    ("schedule", "rate"),
    [(Linear(LR, 0.1, 10), 0.1), (Linear(LR, 0.0, 10), 0.0), (Cosine(LR, 10), 0.0), (Cosine(LR, 10, 0.1), 0.1)],
)
def test_rate_stays_where_the_schedule_ends(schedule: Schedule, rate: float) -> None:
    built = program(schedule)
    for step in (10, 11, 2**31 - 1, 2**32 - 1):
        assert exact(built, step) == np.float32(rate)
        assert schedule.at(step) == rate


def test_cosine_near_its_end_is_accurate_relatively() -> None:
    steps = 1_000_000
    built = program(Cosine(LR, steps))
    for step in (steps - 1, steps - 10, steps - 1000):
        want = LR * math.sin(math.pi / 2 * (steps - step) / steps) ** 2
        assert abs(wide(built, step) / want - 1) < 1e-12
        assert abs(exact(built, step) / want - 1) < 8 * F32_STEP


def test_cosine_takes_no_more_nodes_for_more_steps() -> None:
    assert len(program(Cosine(LR, 10)).program.nodes) == len(program(Cosine(LR, 10**9)).program.nodes) < 32


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Cosine(0.1, 0), "steps is 0; it is a number of steps from 1"),
        (lambda: Cosine(0.1, 10, -0.1), "floor is -0.1; it is 0 or more"),
        (lambda: Warmup(5, 0.0), "then is 0.0; it is positive"),
        (lambda: MultiStep(0.1, (5, 5)), "each is later than the one before"),
        (lambda: MultiStep(0.1, ()), "There are 0 milestones"),
        (lambda: StepDecay(0.1, 5, 0.0), "factor is 0.0; it is positive"),
        (lambda: Linear(math.nan, 0.0, 5), "start is nan; it is 0 or more"),
    ],
)
def test_schedule_out_of_range_is_refused_with_a_sentence(make: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()
