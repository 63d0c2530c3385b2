"""Tolerance mode's side of agents: making a task of it, and training for one natively.

A replay in tolerance mode runs the rewritten program (``lockstep.program.tolerance``). A solver runs the one it was
made from, in whatever arithmetic is near enough, and appends to each state the zeros that checkpoints have there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from lockstep.agents.workload import Workload, WorkloadError
from lockstep.chain.options import TaskOptions
from lockstep.chain.types import TaskTerms
from lockstep.engine.committed import reads_committed
from lockstep.engine.mixed.runner import MixedRunner
from lockstep.engine.run import Runner
from lockstep.numerics.routes.carriers import TORCH, canonical
from lockstep.program.encoding import commit_program
from lockstep.program.infer import ProgramError
from lockstep.program.spec import check_program
from lockstep.program.tolerance import Schedule, Tolerance, tolerant_init, tolerant_step
from lockstep.program.work import program_work

EXACT = "exact"
"""Training by the exact engine: near to itself, bit for bit."""


def tolerant(workload: Workload, tolerance: Tolerance, schedule: Schedule) -> Workload:
    """The same work, its checkpoints held to a replay by distance.

    Raises:
        WorkloadError: the program that a replay runs would break the rules, by its size for one

    """
    try:
        step = tolerant_step(workload.step, tolerance, schedule)
        check_program(step)
    except ProgramError as error:
        raise WorkloadError(
            f"The program cannot be replayed in tolerance mode with {tolerance.runs} perturbed runs: {error}"
        ) from error
    init = None if workload.init is None else tolerant_init(workload.init, tolerance.runs)
    return replace(
        workload,
        step=step,
        step_commitment=commit_program(step, program_work(step)),
        init=init,
        init_commitment=None if init is None else commit_program(init, program_work(init)),
        native=workload.step,
        tolerance=tolerance,
    )


def schedule_of(terms: TaskTerms) -> Schedule:
    """A posted task's segments."""
    return Schedule(TaskOptions.unpack(terms.options).first_step, terms.steps, terms.segment_steps)


def require_native(workload: Workload, terms: TaskTerms) -> None:
    """Refuse a task in tolerance mode whose replay is not made from the program that it says a solver trains by.

    Raises:
        WorkloadError: nobody could know what its checkpoints are compared with

    """
    if not reads_committed(workload.step):
        return
    if workload.native is None or workload.tolerance is None:
        raise WorkloadError("its program reads the solver's checkpoints, and what to train by was not published")
    made = tolerant_step(workload.native, workload.tolerance, schedule_of(terms))
    if commit_program(made, program_work(made)).hash != terms.step_program:
        raise WorkloadError("its program reads the solver's checkpoints, and does not compare them with a replay")


class NativeTraining:
    """Steps of a task's native program, on states of the rewritten one."""

    def __init__(
        self,
        workload: Workload,
        seed: int,
        precision: str = EXACT,
        device: str = "cpu",
        memory_limit: int | None = None,
    ) -> None:
        """``precision`` and ``device`` as for ``MixedRunner``, or "exact". ``require_native`` comes first."""
        assert workload.native is not None, "Only a task in tolerance mode is trained natively."
        self._own = workload.own_state
        self._added = [torch.zeros(entry.shape, dtype=TORCH[entry.dtype]) for entry in workload.step.state[self._own :]]
        arguments = (workload.native, workload.constants, seed)
        self.runner: Runner
        if precision == EXACT:
            self.runner = Runner(*arguments, memory_limit=memory_limit, device=device)
        else:
            self.runner = MixedRunner(*arguments, precision=precision, device=device, memory_limit=memory_limit)

    def step(self, state: Sequence[Tensor], step: int) -> tuple[list[Tensor], list[float]]:
        """As ``Runner.step``; the state stays where the runner has it."""
        return self.runner.step(state[: self._own], step)

    def checkpoint(self, state: Sequence[Tensor]) -> list[Tensor]:
        """A state as the checkpoint it makes: on the CPU, NaNs canonical, and the zeros behind it."""
        own = [value.detach().cpu().contiguous() for value in state[: self._own]]
        return [*(canonical(value) if value.dtype == torch.float32 else value for value in own), *self._added]
