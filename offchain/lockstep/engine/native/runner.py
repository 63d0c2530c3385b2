"""A program's steps in the native engine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lockstep.engine.native.engine import NOTHING, NativeEngine, Stated
from lockstep.engine.native.library import describe
from lockstep.engine.plan import Plan, make_plan
from lockstep.numerics.routes.carriers import TORCH, canonical
from lockstep.program.graph import Input, Program
from lockstep.program.liveness import node_inputs
from lockstep.program.ops import InputKind


class NativeBackend:
    """What does not depend on state or step is computed once; the rest is one native call a step."""

    def __init__(
        self,
        program: Program,
        constants: Sequence[Tensor],
        seed: int,
        threads: int,
        carried: frozenset[int] = frozenset(),
    ) -> None:
        self.program = program
        self.constants = list(constants)
        self.name = f"native {describe()}, {threads} thread{'s' if threads > 1 else ''}"
        plan: Plan = make_plan(program)
        sources = program.nodes[-1].inputs
        self._positions = [i for i, source in enumerate(sources) if source.kind is InputKind.NODE]
        self._passed = [(i, source) for i, source in enumerate(sources) if source.kind is not InputKind.NODE]
        self._entries = [(entry.shape, TORCH[entry.dtype]) for entry in program.state]
        outputs = [*(sources[i] for i in self._positions), *(Input(InputKind.NODE, m) for m in program.metrics)]
        frontier = self._frontier(plan, {source.value for source in outputs})
        given: dict[int, Tensor] = {}
        if frontier:
            inputs = [Input(InputKind.NODE, index) for index in frontier]
            once = NativeEngine(program, inputs, constants, seed, threads)
            given = dict(zip(frontier, once.run([], 0), strict=True))
        self.engine = NativeEngine(program, outputs, constants, seed, threads, given, carried=carried)

    def _frontier(self, plan: Plan, outputs: set[int]) -> list[int]:
        """Static nodes that a step reads."""
        static = set(plan.static)
        read = {source for index in plan.dynamic for source in node_inputs(self.program.nodes[index])}
        return sorted(static & (read | outputs))

    def step(
        self, state: Sequence[Tensor], step: int, out: Sequence[Tensor] | None, stated: Stated = NOTHING
    ) -> tuple[list[Tensor], list[float]]:
        """As ``Runner.step``, with a state that has been checked; ``stated`` as for ``NativeEngine.run``."""
        after = list(out) if out is not None else [torch.empty(shape, dtype=dtype) for shape, dtype in self._entries]
        metrics = [torch.empty(()) for _ in self.program.metrics]
        self.engine.run(state, step, [*(after[i] for i in self._positions), *metrics], stated)
        for position, source in self._passed:
            after[position] = state[source.value] if source.kind is InputKind.STATE else self.constants[source.value]
            if after[position].dtype == torch.float32:
                after[position] = canonical(after[position])
        return after, [value.item() for value in metrics]

    def profile(self, state: Sequence[Tensor], step: int, repeat: int) -> list[tuple[str, float]]:
        """As ``Runner.profile``."""
        return self.engine.profile(state, step, repeat)

    def close(self) -> None:
        """As ``Runner.close``: there is nothing to end."""
