"""Every node's value of a step, in order, for those who hash or write them: a value is dropped after its last reader.

A step is cut into stages of neighbouring nodes. A stage is computed at once, from what earlier stages left; what is
held is a stage and the values that a later one reads. A single node's value is computed again when it is asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from lockstep.engine.errors import NativeLimitError
from lockstep.engine.native.arena import MARGIN
from lockstep.engine.native.engine import NativeEngine
from lockstep.engine.routes import input_value, run_node
from lockstep.engine.run import native_is_usable
from lockstep.numerics.dtypes import DType
from lockstep.numerics.routes.carriers import canonical
from lockstep.program.graph import Input, Program
from lockstep.program.liveness import node_inputs, type_bytes
from lockstep.program.ops import InputKind

STAGE_BYTES = 1 << 28
"""Bytes of the values of a stage, where its nodes are more than one."""

Values = Mapping[int, Tensor]
"""Node -> value in its carrier, contiguous, NaNs canonical."""


class NodeStream:
    """Computes node values of one program's steps; ``constants`` have been checked."""

    def __init__(self, program: Program, constants: Sequence[Tensor], seed: int) -> None:
        self.program, self.constants, self.seed = program, list(constants), seed
        self._stages = _stages(program)
        self._last = last_readers(program, range(len(program.nodes) - 1))
        self._native = native_is_usable(program)

    def run(self, state: Sequence[Tensor], step: int, overrides: Values) -> Iterator[tuple[int, Tensor]]:
        """(node, value) of every node but the last, in order. ``overrides`` stand in for what nodes compute."""
        alive: dict[int, Tensor] = {}
        for stage in self._stages:
            made = self._compute(stage, alive, state, step, overrides)
            yield from ((index, made[index]) for index in stage)
            alive |= made
            del made
            alive = {index: value for index, value in alive.items() if self._last[index] >= stage.stop}

    def some(self, wanted: Collection[int], state: Sequence[Tensor], step: int, overrides: Values) -> dict[int, Tensor]:
        """The values of some nodes, computed from the start of the step."""
        made = self._compute(sorted(wanted), {}, state, step, overrides)
        return {index: made[index] for index in wanted}

    def _compute(
        self, wanted: Iterable[int], alive: Values, state: Sequence[Tensor], step: int, overrides: Values
    ) -> dict[int, Tensor]:
        """The values of ``wanted``; those in ``alive`` and ``overrides`` are given."""
        wanted = list(wanted)
        given = {**alive, **{index: _with_margin(value) for index, value in overrides.items()}}
        made = {index: given[index] for index in wanted if index in given}
        missing = [index for index in wanted if index not in given]
        if self._native and missing:
            outputs = [Input(InputKind.NODE, index) for index in missing]
            try:
                engine = NativeEngine(self.program, outputs, self.constants, self.seed, torch.get_num_threads(), given)
                return made | dict(zip(missing, engine.run(state, step), strict=True))
            except NativeLimitError:
                pass  # PyTorch computes the same bits
        return made | self._by_torch(missing, given, state, step)

    def _by_torch(self, wanted: Sequence[int], given: Values, state: Sequence[Tensor], step: int) -> dict[int, Tensor]:
        """As ``_compute``, node by node."""
        nodes = self.program.nodes
        todo, needed = list(wanted), set[int]()
        while todo:
            index = todo.pop()
            if index not in needed and index not in given:
                needed.add(index)
                todo += node_inputs(nodes[index])
        last = last_readers(self.program, needed)
        values, kept = dict(given), set(wanted)
        for index in sorted(needed):
            node = nodes[index]
            inputs = [
                input_value(node, source, values, state, self.constants, step, self.seed) for source in node.inputs
            ]
            value = settled(run_node(node, inputs, self.seed), node.dtype)
            # A part of a larger tensor would keep all of it.
            values[index] = value if value.untyped_storage().nbytes() <= 2 * value.nbytes else value.clone()
            for source in {*node_inputs(node)} - kept:
                if last[source] == index and source in needed:
                    del values[source]
        return {index: values[index] for index in wanted}


def total_bytes(program: Program) -> int:
    """Bytes of all nodes' values together."""
    return sum(type_bytes(node.type) for node in program.nodes)


def stream_bytes(program: Program) -> int:
    """Bytes of values that a stream holds at most, the engine's working memory for a stage included."""
    sizes = [type_bytes(node.type) for node in program.nodes]
    last = last_readers(program, range(len(program.nodes) - 1))
    leaving: dict[int, int] = {}
    alive = peak = 0
    for stage in _stages(program):
        made = sum(sizes[index] for index in stage)
        peak = max(peak, alive + 2 * made)  # an engine's own memory is no more than what it makes
        for index in stage:
            leaving[last[index]] = leaving.get(last[index], 0) + sizes[index]
        alive += made - sum(leaving.pop(index, 0) for index in stage)
    return peak


def settled(value: Tensor, dtype: DType) -> Tensor:
    """The value as it is committed: contiguous, NaNs canonical."""
    value = value.contiguous()
    return canonical(value) if dtype is DType.F32 else value


def last_readers(program: Program, nodes: Collection[int]) -> dict[int, int]:
    """The last of ``nodes`` that reads each node; a node that none of them reads has itself."""
    last = {index: index for index in nodes}
    for index in sorted(nodes):
        for source in node_inputs(program.nodes[index]):
            last[source] = index
    return last


def _stages(program: Program) -> list[range]:
    """Runs of nodes (all but the last) of at most ``STAGE_BYTES``, or of one node."""
    stages: list[range] = []
    first = size = 0
    for index, node in enumerate(program.nodes[:-1]):
        more = type_bytes(node.type)
        if index > first and size + more > STAGE_BYTES:
            stages.append(range(first, index))
            first, size = index, 0
        size += more
    return [*stages, range(first, len(program.nodes) - 1)] if len(program.nodes) > 1 else []


def _with_margin(value: Tensor) -> Tensor:
    """A copy with a margin behind the data that vector code may read."""
    flat = torch.empty(value.numel() + MARGIN, dtype=value.dtype)[: value.numel()]
    return flat.copy_(value.reshape(-1)).view(value.shape)
