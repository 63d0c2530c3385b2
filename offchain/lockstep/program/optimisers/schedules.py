"""Learning rates as functions of STEP, computed inside the program.

A schedule is a description: ``Warmup(100, Cosine(1e-3, steps=900))``. A plain number is the constant one. Its steps
count from 0, the step of the first update, and one STEP is one update, with or without accumulation.

Each class gives its formula twice: ``at`` as a Python float, for people, and ``emit`` in operations of the program,
an f32 scalar within a few ulp of it. The scalars are computed from the step number anew in every step, never carried
in the state, so a run that starts at any checkpoint has the rate of its step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from lockstep.numerics.dtypes import DType
from lockstep.program.builder import Builder
from lockstep.program.emitter import Value

MAX_STEPS = 2**31 - 1
MAX_MILESTONES = 256


class Schedule(Protocol):
    """A learning rate for every step."""

    def at(self, step: int) -> float:
        """The rate of step ``step``, the first being 0, in float64."""

    def emit(self, b: Builder, step: Value) -> Value:
        """The rate as an f32 scalar, from the step number, an i32 scalar."""


Rate = float | Schedule
"""A constant learning rate, or one that follows the steps."""


def check_numbers(
    positive: Mapping[str, float],
    fractions: Mapping[str, float] | None = None,
    natural: Mapping[str, float] | None = None,
) -> None:
    """``ValueError`` with a sentence for a number that is not positive, not in [0, 1), or not 0 or more."""
    for name, value in positive.items():
        if not 0.0 < value < math.inf:
            raise ValueError(f"{name} is {value}; it is positive.")
    for name, value in (fractions or {}).items():
        if not 0.0 <= value < 1.0:
            raise ValueError(f"{name} is {value}; it is at least 0 and below 1.")
    for name, value in (natural or {}).items():
        if not 0.0 <= value < math.inf:
            raise ValueError(f"{name} is {value}; it is 0 or more.")


def check_rate(name: str, rate: Rate) -> None:
    """``ValueError`` for a constant rate that is not positive; a schedule has checked itself."""
    if isinstance(rate, int | float):
        check_numbers({name: rate})


def check_count(name: str, count: int) -> None:
    """``ValueError`` for a number of steps that is none, or more than a program can count."""
    if not 1 <= count <= MAX_STEPS:
        raise ValueError(f"{name} is {count}; it is a number of steps from 1 to {MAX_STEPS}.")


def emit_rate(b: Builder, rate: Rate, step: Value | None = None) -> Value:
    """A rate as an f32 scalar: a literal where it is constant."""
    if isinstance(rate, int | float):
        return b.f32(rate)
    return rate.emit(b, b.step if step is None else step)


def _rate_at(rate: Rate, step: int) -> float:
    return float(rate) if isinstance(rate, int | float) else rate.at(step)


def _remaining(b: Builder, step: Value, steps: int) -> Value:
    """``(steps - min(step, steps)) / steps``, f32: 1 at step 0, exactly 0 from step ``steps`` on."""
    left = b.select(b.ult(step, steps), b.isub(steps, step), 0)
    return b.div(b.cast(left, DType.F32), float(steps))


@dataclass(frozen=True, slots=True)
class Linear:
    """From ``start`` to ``end`` in ``steps`` equal steps, then ``end``; as ``torch.optim.lr_scheduler.LinearLR``."""

    start: float
    end: float
    steps: int

    def __post_init__(self) -> None:
        check_numbers({}, natural={"start": self.start, "end": self.end})
        check_count("steps", self.steps)

    def at(self, step: int) -> float:
        """``end + (start - end) (1 - step / steps)``."""
        return self.end + (self.start - self.end) * (1.0 - min(step, self.steps) / self.steps)

    def emit(self, b: Builder, step: Value) -> Value:
        """As ``at``; exactly ``end``, rounded, from step ``steps`` on."""
        return b.add(b.mul(_remaining(b, step, self.steps), self.start - self.end), self.end)


_SINE = tuple((-1.0) ** k * (math.pi / 2) ** (2 * k + 1) / math.factorial(2 * k + 1) for k in range(9))
"""Taylor's coefficients of sin(pi x / 2) in x, x^3 .. x^17: within 5e-14 of it on [0, 1]."""


def _sine_of_quarter_turns(b: Builder, x: Value) -> Value:
    """``sin(pi x / 2)`` for f32 ``x`` in [0, 1], by Horner's rule in x^2."""
    square = b.mul(x, x)
    total = b.f32(_SINE[-1])
    for coefficient in reversed(_SINE[:-1]):
        total = b.add(b.mul(total, square), coefficient)
    return b.mul(total, x)


@dataclass(frozen=True, slots=True)
class Cosine:
    """Half a cosine from ``peak`` to ``floor`` in ``steps`` steps, then ``floor``.

    Loshchilov and Hutter, "SGDR" (2017), equation 5, without restarts; as ``CosineAnnealingLR`` up to its ``T_max``.
    """

    peak: float
    steps: int
    floor: float = 0.0

    def __post_init__(self) -> None:
        check_numbers({"peak": self.peak}, natural={"floor": self.floor})
        check_count("steps", self.steps)

    def at(self, step: int) -> float:
        """``floor + (peak - floor) (1 + cos(pi step / steps)) / 2``."""
        return (
            self.floor + (self.peak - self.floor) * (1.0 + math.cos(math.pi * min(step, self.steps) / self.steps)) / 2
        )

    def emit(self, b: Builder, step: Value) -> Value:
        """As ``at``, by ``(1 + cos(pi u)) / 2 = sin(pi (1 - u) / 2)^2``."""
        # Cosine is no op. A table of it, read by gather, would be a constant of as many elements as there are steps,
        # published and hashed with every task. The polynomial is some 20 nodes of one element whatever the length.
        # The square of a sine has no cancellation near the end, where the rate is small: all of it is accurate.
        sine = _sine_of_quarter_turns(b, _remaining(b, step, self.steps))
        return b.add(b.mul(b.mul(sine, sine), self.peak - self.floor), self.floor)


@dataclass(frozen=True, slots=True)
class StepDecay:
    """``lr factor^(step // every)``, as ``StepLR``; ``every=1`` is exponential decay."""

    lr: float
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        check_numbers({"lr": self.lr, "factor": self.factor})
        check_count("every", self.every)

    def at(self, step: int) -> float:
        """``lr factor^(step // every)``."""
        return float(self.lr * self.factor ** (step // self.every))

    def emit(self, b: Builder, step: Value) -> Value:
        """As ``at``, the power as ``exp(n log factor)``: relative error some ``n |log factor| 2^-24``."""
        count = b.cast(b.udiv(step, self.every), DType.F32)
        return b.mul(b.exp(b.mul(count, math.log(self.factor))), self.lr)


@dataclass(frozen=True, slots=True)
class MultiStep:
    """``lr`` times ``factor`` for every milestone reached (step >= milestone), as ``MultiStepLR``."""

    lr: float
    milestones: tuple[int, ...]
    factor: float = 0.1

    def __post_init__(self) -> None:
        check_numbers({"lr": self.lr, "factor": self.factor})
        if not 1 <= len(self.milestones) <= MAX_MILESTONES:
            raise ValueError(f"There are {len(self.milestones)} milestones; there are 1 to {MAX_MILESTONES}.")
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"milestones are {list(self.milestones)}; each is later than the one before.")
        for milestone in self.milestones:
            check_count("A milestone", milestone)

    def at(self, step: int) -> float:
        """``lr factor^(milestones <= step)``."""
        return float(self.lr * self.factor ** sum(step >= milestone for milestone in self.milestones))

    def emit(self, b: Builder, step: Value) -> Value:
        """As ``at``, rounded: each rate is a literal that one select puts in place."""
        rate = b.f32(self.lr)
        for count, milestone in enumerate(self.milestones, 1):
            rate = b.select(b.ult(step, milestone), rate, self.lr * self.factor**count)
        return rate


@dataclass(frozen=True, slots=True)
class Warmup:
    """Linear warm-up over ``steps`` steps to where ``then`` starts; then ``then``, its steps counted from there.

    The rate of step s < steps is ``then``'s first times ``(s + 1) / (steps + 1)``: never 0, so no step is wasted; as
    ``SequentialLR`` of ``LinearLR(start_factor=1 / (steps + 1), total_iters=steps)`` and ``then``.
    """

    steps: int
    then: Rate

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        check_rate("then", self.then)

    def at(self, step: int) -> float:
        """The ramp, then ``then.at(step - steps)``."""
        return _rate_at(self.then, max(0, step - self.steps)) * min(1.0, (step + 1) / (self.steps + 1))

    def emit(self, b: Builder, step: Value) -> Value:
        """As ``at``: ``then``'s rate times the ramp, which is exactly 1 after it."""
        warming = b.ult(step, self.steps)
        ramp = b.div(b.cast(b.iadd(step, 1), DType.F32), float(self.steps + 1))
        rate = emit_rate(b, self.then, b.select(warming, 0, b.isub(step, self.steps)))
        return b.mul(b.select(warming, ramp, 1.0), rate)
