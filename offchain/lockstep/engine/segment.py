"""Run a segment: k consecutive steps from a state."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from lockstep.engine.checkpoint import state_root
from lockstep.engine.errors import EngineError
from lockstep.engine.run import Runner, TensorLike, check_state, reads_state
from lockstep.program.graph import Program

OnStep = Callable[[int, Sequence[Tensor], Sequence[float]], None]
"""Called after each step with (global step number, state after it, metrics). The tensors may be
reused once the call returns: copy what must last."""


@dataclass(frozen=True, slots=True)
class Segment:
    """The end of a segment: state after the last step, and each step's metrics."""

    first_step: int
    steps: int
    state: list[Tensor]
    metrics: list[list[float]]

    @property
    def root(self) -> bytes:
        """State root at the end of the segment, 32 bytes."""
        return state_root(self.state)


def run_segment(
    runner: Runner,
    state: Sequence[TensorLike],
    first_step: int,
    steps: int,
    on_step: OnStep | None = None,
    committed: Sequence[TensorLike] = (),
) -> Segment:
    """Run ``steps`` (>= 1) steps from ``state``, the first of them with STEP = ``first_step``.

    The given state is not changed. ``committed`` as for ``Runner.step``.
    """
    if steps < 1:
        raise EngineError(f"A segment has at least one step, not {steps}.")
    current: list[Tensor] = check_state(runner.program, state)
    metrics: list[list[float]] = []
    # Two states take turns, so that a step allocates nothing; the given one is never written to.
    buffers = (runner.empty_state(), runner.empty_state())
    for step in range(first_step, first_step + steps):
        current, values = runner.step(current, step, buffers[step % 2], committed)
        metrics.append(values)
        if on_step is not None:
            on_step(step, current, values)
    return Segment(first_step, steps, current, metrics)


def mean_metrics(runner: Runner, state: Sequence[TensorLike], steps: int) -> list[float]:
    """Means of an evaluation program's metrics over its steps, 0 to ``steps - 1``, of one state."""
    found = [runner.step(state, step)[1] for step in range(steps)]
    return [math.fsum(values) / steps for values in zip(*found, strict=True)]


def segment_state_roots(runner: Runner, state: Sequence[TensorLike], first_step: int, steps: int) -> list[bytes]:
    """State root after each of the segment's steps: what a segment claim's reveal shows."""
    roots: list[bytes] = []
    run_segment(runner, state, first_step, steps, lambda step, after, metrics: roots.append(state_root(after)))
    return roots


def initial_state(program: Program, constants: Sequence[TensorLike], seed: int) -> list[Tensor]:
    """State of step 0: one step of an init program, with STEP = 0 and no state before it."""
    if reads_state(program):
        raise EngineError("This is not an init program: it reads a state.")
    state, _ = Runner(program, constants, seed).step([], 0)
    return state
