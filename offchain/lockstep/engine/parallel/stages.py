"""A rank's steps with torch operations, node by node: a stage, an exchange, the next stage."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from lockstep.engine.parallel.communicator import Communicator
from lockstep.engine.parallel.exchange import Exchanger
from lockstep.engine.parallel.local import Exchange, LocalProgram, Stage
from lockstep.engine.parallel.partial import exponent_slots, partial_sums, scaled
from lockstep.engine.parallel.sharding import Join
from lockstep.engine.routes import input_value, run_node
from lockstep.numerics.routes.carriers import TORCH, canonical
from lockstep.program.graph import Input, Node
from lockstep.program.liveness import node_inputs


class RankSteps(Protocol):
    """What does one rank's share of a step, together with the other ranks."""

    name: str
    seconds: dict[str, float]
    """Time spent so far, by what it was spent on."""

    def step(self, state: Sequence[Tensor], step: int) -> tuple[list[Tensor], list[float]]:
        """The whole new state and the metrics, as ``Runner.step``."""


class TorchSteps:
    """Runs a local program with the torch routes, each value dropped after its last reader."""

    name = "torch"

    def __init__(self, local: LocalProgram, constants: Sequence[Tensor], seed: int, group: Communicator) -> None:
        self.local, self.group, self.seed, self.device = local, group, seed, group.device
        self.constants = [tensor.to(self.device) for tensor in constants]
        self.seconds: dict[str, float] = {}
        self._exchangers = [Exchanger(stage.exchanges, group) for stage in local.stages]
        self._release = self._last_readers()
        self._static: dict[int, Tensor] = {}
        for stage in local.stages:
            for index in stage.nodes:
                if index in local.static - local.absent:
                    self._static[index] = self._value(index, self._static, (), 0)

    def _last_readers(self) -> list[dict[int, list[int]]]:
        """Stage by stage, the values to drop after a node; -1 is the exchange."""
        local = self.local
        last: dict[int, tuple[int, int]] = {}
        for at, stage in enumerate(local.stages):
            for index in stage.nodes:
                if index not in local.static:
                    last[index] = (at, index)
                    last |= dict.fromkeys(node_inputs(local.program.nodes[index]), (at, index))
            for exchange in stage.exchanges:
                last |= dict.fromkeys((exchange.part, *self._rounded_under(exchange)), (at, -1))
                last[exchange.result] = (at, -1)
        kept = {*local.static, *local.program.metrics, *node_inputs(local.program.nodes[-1])}
        release: list[dict[int, list[int]]] = [{} for _ in local.stages]
        for source, (at, reader) in last.items():
            if source not in kept:
                release[at].setdefault(reader, []).append(source)
        return release

    def _rounded_under(self, exchange: Exchange) -> list[int]:
        if exchange.join is not Join.TOTAL:
            return []
        return node_inputs(self.local.program.nodes[exchange.part])

    def _input(
        self, node: Node, source: Input, values: Mapping[int, Tensor], state: Sequence[Tensor], step: int
    ) -> Tensor:
        return input_value(node, source, values, state, self.constants, step, self.seed, self.device)

    def _value(self, index: int, values: Mapping[int, Tensor], state: Sequence[Tensor], step: int) -> Tensor:
        node = self.local.program.nodes[index]
        if index in self.local.empty:
            return torch.empty(node.shape, dtype=TORCH[node.dtype], device=self.device)
        inputs = [self._input(node, source, values, state, step) for source in node.inputs]
        if index not in self.local.raw:
            return run_node(node, inputs, self.seed, self.device)
        return partial_sums(node, inputs, self.device)

    def step(self, state: Sequence[Tensor], step: int) -> tuple[list[Tensor], list[float]]:
        """As ``RankSteps.step``."""
        before = [tensor.to(self.device) for tensor in state]
        values = dict(self._static)
        for at, stage in enumerate(self.local.stages):
            begun = time.perf_counter()
            for index in stage.nodes:
                if index not in self.local.static | self.local.absent:
                    values[index] = self._value(index, values, before, step)
                self._drop(at, index, values)
            self._exchange(at, stage, values, before, begun)
        program = self.local.program
        after = [self._input(program.nodes[-1], source, values, before, step) for source in program.nodes[-1].inputs]
        kept = [canonical(x.contiguous()) if x.dtype == torch.float32 else x.contiguous() for x in after]
        return [x.cpu() for x in kept], [float(values[index]) for index in program.metrics]

    def _drop(self, at: int, reader: int, values: dict[int, Tensor]) -> None:
        for done in self._release[at].get(reader, ()):
            values.pop(done, None)

    def _exchange(
        self, at: int, stage: Stage, values: dict[int, Tensor], state: Sequence[Tensor], begun: float
    ) -> None:
        met = time.perf_counter()
        parts = [None if e.part in self.local.absent else values[e.part] for e in stage.exchanges]
        found = self._exchangers[at].run(parts)
        joined = time.perf_counter()
        for exchange, value in zip(stage.exchanges, found, strict=True):
            if exchange.join is Join.TOTAL:
                node = self.local.program.nodes[exchange.part]
                sources = [node.inputs[slot] for slot in exponent_slots(node.op)]
                value = scaled(node.op, value, [self._input(node, s, values, state, 0) for s in sources]).float()
            values[exchange.result] = value
        self._drop(at, -1, values)
        for what, spent in ((f"compute {at}", met - begun), (f"exchange {at}", joined - met)):
            self.seconds[what] = self.seconds.get(what, 0.0) + spent
