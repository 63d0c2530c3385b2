"""A rank's steps in the native engine: one list of instructions a stage, sums exchanged as they are accumulated."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from lockstep.engine.native.arena import MARGIN
from lockstep.engine.native.engine import NativeEngine
from lockstep.engine.native.library import describe
from lockstep.engine.parallel.communicator import Communicator
from lockstep.engine.parallel.exchange import Exchanger
from lockstep.engine.parallel.local import Exchange, LocalProgram
from lockstep.engine.parallel.partial import exponent_slots, scaled
from lockstep.engine.parallel.sharding import Join
from lockstep.numerics.routes.carriers import TORCH, canonical
from lockstep.program.graph import Input, TensorType
from lockstep.program.liveness import node_inputs
from lockstep.program.ops import InputKind, Op

STATIC = -1
"""The stage of what is computed once."""


class NativeSteps:
    """Runs a local program natively. Values that a later stage reads have a place of their own from step to step."""

    def __init__(
        self, local: LocalProgram, constants: Sequence[Tensor], seed: int, group: Communicator, threads: int
    ) -> None:
        self.local, self.constants = local, list(constants)
        self.name = f"native {describe()}, {threads} thread{'s' if threads > 1 else ''} each"
        self.seconds: dict[str, float] = {}
        self._level = _levels(local)
        self._values: dict[int, Tensor] = {}
        self._engines: dict[int, tuple[NativeEngine, list[Tensor]]] = {}
        self._exchangers = [Exchanger(stage.exchanges, group) for stage in local.stages]
        outputs = self._outputs()
        for level in range(STATIC, len(local.stages)):
            self._prepare(level, outputs.get(level, []), constants, seed, threads)
        if STATIC in self._engines:
            engine, out = self._engines.pop(STATIC)
            engine.run([], 0, out)

    # before the first step

    def _outputs(self) -> dict[int, list[int]]:
        """Nodes by stage whose values an exchange, a later stage or the end of the step reads."""
        nodes = self.local.program.nodes
        wanted: dict[int, set[int]] = {}

        def want(index: int) -> None:
            if index not in self.local.received | self.local.empty | self.local.absent:
                wanted.setdefault(self._level[index], set()).add(index)

        for index in (*node_inputs(nodes[-1]), *self.local.program.metrics):
            want(index)
        for stage in self.local.stages:
            for exchange in stage.exchanges:
                want(exchange.part)
                for source in self._exponents(exchange):
                    want(source.value)
        for level in range(len(self.local.stages) - 1, STATIC - 1, -1):
            for index in self._read_by(level, wanted.get(level, set())):
                want(index)
        return {level: sorted(indices) for level, indices in wanted.items()}

    def _read_by(self, level: int, outputs: set[int]) -> set[int]:
        """What a stage reads of others to compute its outputs; views are not written out but read through again."""
        nodes = self.local.program.nodes
        todo = [source for index in outputs for source in node_inputs(nodes[index])]
        seen: set[int] = set()
        read: set[int] = set()
        while todo:
            index = todo.pop()
            if index in seen:
                continue
            seen.add(index)
            inside = self._level[index] == level and index not in self.local.received | self.local.empty
            if inside or (nodes[index].op is Op.VIEW and index not in self.local.received | self.local.empty):
                todo += node_inputs(nodes[index])
            else:
                read.add(index)
        return read

    def _exponents(self, exchange: Exchange) -> list[Input]:
        if exchange.join is not Join.TOTAL:
            return []
        node = self.local.program.nodes[exchange.part]
        return [node.inputs[slot] for slot in exponent_slots(node.op)]

    def _prepare(self, level: int, outputs: list[int], constants: Sequence[Tensor], seed: int, threads: int) -> None:
        """The engine of a stage and the places of its outputs; then those of what is exchanged after it."""
        if outputs:
            given = {index: self._place(index) for index in self._read_by(level, set(outputs))}
            sources = [Input(InputKind.NODE, index) for index in outputs]
            raw = self.local.raw.intersection(outputs)
            engine = NativeEngine(self.local.program, sources, constants, seed, threads, given, raw)
            slots = self._slots(level)
            made = engine.empty_outputs()
            out = [slots.get(index, tensor) for index, tensor in zip(outputs, made, strict=True)]
            self._values |= dict(zip(outputs, out, strict=True))
            self._engines[level] = engine, out

    def _place(self, index: int) -> Tensor:
        """Where a value is that a stage reads; that of an exchange gets its place here."""
        if index not in self._values:
            node = self.local.program.nodes[index]
            self._values[index] = _with_margin(node.type)
        return self._values[index]

    def _slots(self, level: int) -> dict[int, Tensor]:
        """Where a stage's sums are exchanged from."""
        if level == STATIC:
            return {}
        totals = self._exchangers[level].totals
        exchanges = self.local.stages[level].exchanges
        return {e.part: totals[n] for n, e in enumerate(exchanges) if e.join is Join.TOTAL}

    # steps

    def step(self, state: Sequence[Tensor], step: int) -> tuple[list[Tensor], list[float]]:
        """As ``RankSteps.step``."""
        for level, stage in enumerate(self.local.stages):
            begun = time.perf_counter()
            if level in self._engines:
                engine, out = self._engines[level]
                engine.run(state, step, out)
            met = time.perf_counter()
            self._exchange(level, stage.exchanges)
            joined = time.perf_counter()
            for what, spent in ((f"compute {level}", met - begun), (f"exchange {level}", joined - met)):
                self.seconds[what] = self.seconds.get(what, 0.0) + spent
        program = self.local.program
        after = [self._after(source, state) for source in program.nodes[-1].inputs]
        return after, [self._values[index].item() for index in program.metrics]

    def _exchange(self, level: int, exchanges: Sequence[Exchange]) -> None:
        parts = [None if e.part in self.local.absent else self._values[e.part] for e in exchanges]
        found = self._exchangers[level].run(parts)
        for exchange, value in zip(exchanges, found, strict=True):
            if exchange.join is Join.TOTAL:
                node = self.local.program.nodes[exchange.part]
                value = scaled(node.op, value, [self._values[s.value] for s in self._exponents(exchange)])
            self._place(exchange.result).copy_(value)  # which rounds sums, once

    def _after(self, source: Input, state: Sequence[Tensor]) -> Tensor:
        match source.kind:
            case InputKind.NODE:
                value = self._values[source.value].clone()
            case InputKind.STATE:
                value = state[source.value]
            case _:
                value = self.constants[source.value]
        received = source.kind is not InputKind.NODE or source.value in self.local.received
        return canonical(value) if received and value.dtype == torch.float32 else value


def _levels(local: LocalProgram) -> dict[int, int]:
    """The stage of each node; an exchange's result belongs to the stage after it."""
    levels: dict[int, int] = {}
    for level, stage in enumerate(local.stages):
        levels |= {index: STATIC if index in local.static else level for index in stage.nodes}
        levels |= {exchange.result: level + 1 for exchange in stage.exchanges}
    return levels


def _with_margin(kind: TensorType) -> Tensor:
    """A tensor with a margin behind the data that vector code may read."""
    return torch.empty(kind.elements + MARGIN, dtype=TORCH[kind.dtype])[: kind.elements].view(kind.shape)
