"""One party's run of one segment: what it claims, and what it can show for it in a dispute.

An honest party runs the program. A ``Tamper`` replaces the value of chosen nodes at chosen steps and goes on from
there: how a party that lies about its work is played, consistently down to the last chunk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from torch import Tensor

from lockstep.agents.workload import Workload
from lockstep.engine.checkpoint import state_root
from lockstep.engine.errors import LostRankError
from lockstep.engine.freivalds import CheckedRunner
from lockstep.engine.run import Runner
from lockstep.engine.sums import Summing, carried_nodes
from lockstep.engine.trace import StepOpening, open_step
from lockstep.numerics.dtypes import ITEMSIZE

Tamper = Mapping[int, Mapping[int, Callable[[Tensor], Tensor]]]
"""Step within the segment -> node -> what becomes of its honest value."""

OnStep = Callable[[int, Sequence[Tensor], Sequence[float]], None]
"""Called with (step within the segment, state after it, metrics)."""

Shortcut = Callable[[Sequence[Tensor], int, int], tuple[list[Tensor], list[float]] | None]
"""Called with (state, step within the segment, global step): state and metrics after the step, None for no shortcut."""

KEPT_BYTES = 512 << 20
"""States of a task's segments are kept in memory up to this many bytes in all, and recomputed beyond."""


class Workbench:
    """A task's workload with its runners, made once and shared by all segments.

    ``processes`` share each step of training; ``close`` ends them.
    """

    def __init__(self, workload: Workload, seed: int, memory_limit: int | None = None, processes: int = 1) -> None:
        self.workload = workload
        self.seed = seed
        self.memory_limit = memory_limit
        self.processes = processes
        self.seconds = 0.0
        """Time spent computing steps so far."""
        self._kept: dict[Replica, int] = {}

    def keep(self, replica: Replica, size: int) -> bool:
        """Whether a replica may keep ``size`` bytes of states; others forget theirs for it, the oldest first."""
        self._kept.pop(replica, None)
        if size > KEPT_BYTES:
            return False
        while sum(self._kept.values()) + size > KEPT_BYTES:
            oldest = next(iter(self._kept))
            del self._kept[oldest]
            oldest.forget()
        self._kept[replica] = size
        return True

    @cached_property
    def step_runner(self) -> Runner:
        """Runner of the step program."""
        workload = self.workload
        return Runner(
            workload.step, workload.constants, self.seed, memory_limit=self.memory_limit, processes=self.processes
        )

    @cached_property
    def init_runner(self) -> Runner:
        """Runner of the init program."""
        return Runner(self.workload.program(0), self.workload.init_constants, self.seed, memory_limit=self.memory_limit)

    def close(self) -> None:
        """End the processes that share the work, if there are any; a later step starts new ones."""
        runner = self.__dict__.pop("step_runner", None)
        if runner is not None:
            runner.close()

    @cached_property
    def carried(self) -> tuple[int, ...]:
        """Contractions of the step program whose sums a solver may publish."""
        return carried_nodes(self.workload.step)

    @cached_property
    def checked_runner(self) -> CheckedRunner:
        """Runner of the step program on published sums."""
        workload = self.workload
        return CheckedRunner(workload.step, workload.constants, self.seed, self.carried, memory_limit=self.memory_limit)

    @cached_property
    def summing(self) -> Summing:
        """What computes the sums that a solver publishes."""
        workload = self.workload
        return Summing(workload.step, workload.constants, self.seed, self.carried, memory_limit=self.memory_limit)

    def runner(self, segment: int) -> Runner:
        """Runner of a segment's program."""
        return self.init_runner if segment == 0 else self.step_runner

    def open(
        self,
        segment: int,
        state: Sequence[Tensor],
        step: int,
        overrides: Mapping[int, Tensor] | None = None,
        committed: Sequence[Tensor] = (),
    ) -> StepOpening:
        """Everything global step ``step`` of a segment computes from ``state``; the rest as for ``open_step``."""
        workload = self.workload
        return open_step(
            workload.program(segment),
            workload.constants_of(segment),
            self.seed,
            state,
            step,
            overrides=overrides,
            memory_limit=self.memory_limit,
            committed=committed,
        )


class Replica:
    """A run of ``steps`` steps from ``start`` (empty for the init segment), the first with STEP = ``first_step``.

    ``committed`` is for a program that reads what its segment must end in (``lockstep.engine.committed``).
    """

    def __init__(
        self,
        bench: Workbench,
        segment: int,
        start: Sequence[Tensor],
        first_step: int,
        steps: int,
        tamper: Tamper | None = None,
        shortcut: Shortcut | None = None,
        committed: Sequence[Tensor] = (),
    ) -> None:
        self.committed = list(committed)
        self.bench = bench
        self.segment = segment
        self.start = list(start)
        self.first_step = first_step
        self.steps = steps
        self.tamper = tamper or {}
        self.shortcut = shortcut
        state_bytes = sum(entry.type.elements * ITEMSIZE[entry.dtype] for entry in bench.workload.step.state)
        self._bytes = state_bytes * steps
        self._states: dict[int, list[Tensor]] = {}
        self._openings: dict[int, StepOpening] = {}

    def _advance(self, state: Sequence[Tensor], step: int) -> tuple[list[Tensor], Sequence[float]]:
        started = time.perf_counter()
        try:
            return self._compute(state, step)
        finally:
            self.bench.seconds += time.perf_counter() - started

    def _compute(self, state: Sequence[Tensor], step: int) -> tuple[list[Tensor], Sequence[float]]:
        if step in self.tamper:
            opening = self._tampered(state, step)
            return opening.state_after, opening.metrics
        if self.shortcut is not None:
            found = self.shortcut(state, step, self.first_step + step)
            if found is not None:
                return found
        try:
            return self.bench.runner(self.segment).step(state, self.first_step + step, committed=self.committed)
        except LostRankError:
            self.bench.close()  # so that the next attempt starts with new processes
            raise

    def _tampered(self, state: Sequence[Tensor], step: int) -> StepOpening:
        honest = self._open(state, step)
        overrides = {node: change(honest.value(node).clone()) for node, change in self.tamper[step].items()}
        return self._open(state, step, overrides)

    def _open(self, state: Sequence[Tensor], step: int, overrides: Mapping[int, Tensor] | None = None) -> StepOpening:
        return self.bench.open(self.segment, state, self.first_step + step, overrides, self.committed)

    def run(self, on_step: OnStep | None = None) -> list[Tensor]:
        """Run the segment, and return its end state."""
        state, keeps = self.start, self.bench.keep(self, self._bytes)
        for step in range(self.steps):
            state, metrics = self._advance(state, step)
            if keeps:
                self._states[step] = list(state)  # a step makes new tensors, and nothing here writes into them
            if on_step is not None:
                on_step(step, state, metrics)
        return state

    def forget(self) -> None:
        """Give back the memory of states, which can be computed again."""
        self._states.clear()
        self._openings.clear()

    def state_after(self, step: int) -> list[Tensor]:
        """State after a step of the segment; step -1 is the start."""
        if step < 0:
            return self.start
        if step not in self._states and self.bench.keep(self, self._bytes):
            self.run()
        if step not in self._states:
            # Too large to keep them all: on from the last one asked for, so that asking in order costs one run.
            known = max((index for index in self._states if index < step), default=-1)
            state = self._states[known] if known >= 0 else self.start
            for index in range(known + 1, step + 1):
                state, _ = self._advance(state, index)
            self._states = {step: list(state)}
        return self._states[step]

    @cached_property
    def state_roots(self) -> list[bytes]:
        """State root after each step."""
        roots: list[bytes] = []
        self.run(lambda step, state, metrics: roots.append(state_root(state)))
        return roots

    def opening(self, step: int) -> StepOpening:
        """Everything a step of the segment computed; the last one asked for is kept."""
        if step not in self._openings:
            state = self.state_after(step - 1)
            if step in self.tamper:
                opening = self._tampered(state, step)
            else:
                opening = self._open(state, step)
            self._openings = {step: opening}
        return self._openings[step]
