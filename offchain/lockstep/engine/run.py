"""Run steps of a program: the fast path, where only the new state and the metrics are kept."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from lockstep.engine.errors import EngineError
from lockstep.engine.plan import Plan, check_memory, make_plan
from lockstep.engine.routes import from_numpy, own_input, run_node
from lockstep.numerics.dtypes import DType
from lockstep.numerics.routes.carriers import TORCH, canonical, denormals_are_on
from lockstep.program.graph import Node, Program, TensorType
from lockstep.program.ops import InputKind

TensorLike = Tensor | np.ndarray


def as_carrier(value: TensorLike, kind: TensorType, what: str) -> Tensor:
    """The value as a contiguous tensor of this type, f32 NaNs canonical; ``EngineError`` if it is none."""
    tensor = from_numpy(value) if isinstance(value, np.ndarray) else value.detach()
    if tensor.dtype != TORCH[kind.dtype] or tuple(tensor.shape) != kind.shape:
        raise EngineError(
            f"{what} should be {kind.dtype.name.lower()} of shape {kind.shape}, "
            f"but is {str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}."
        )
    tensor = tensor.contiguous()
    return canonical(tensor) if kind.dtype is DType.F32 else tensor


def check_constants(program: Program, constants: Sequence[TensorLike]) -> list[Tensor]:
    """Constants as tensors, their number and types checked (their roots are the caller's business)."""
    if len(constants) != len(program.constants):
        raise EngineError(f"The program has {len(program.constants)} constants, and {len(constants)} were given.")
    pairs = zip(constants, program.constants, strict=True)
    return [as_carrier(value, entry.type, f"Constant {i}") for i, (value, entry) in enumerate(pairs)]


def check_state(program: Program, state: Sequence[TensorLike]) -> list[Tensor]:
    """State as tensors, their number and types checked; an empty one for a program that reads none."""
    if not state and not reads_state(program):
        return []
    if len(state) != len(program.state):
        raise EngineError(f"The program's state has {len(program.state)} tensors, and {len(state)} were given.")
    pairs = zip(state, program.state, strict=True)
    return [as_carrier(value, entry.type, f"State tensor {i}") for i, (value, entry) in enumerate(pairs)]


def reads_state(program: Program) -> bool:
    """Whether any node reads the state before the step (an init program's do not)."""
    return any(source.kind is InputKind.STATE for node in program.nodes for source in node.inputs)


def assert_denormals() -> None:
    """Refuse to compute where subnormals are flushed to zero."""
    if not denormals_are_on():
        raise EngineError(
            "Subnormal numbers are flushed to zero in this process; call torch.set_flush_denormal(False) "
            "before running Lockstep (another library may have switched it on)."
        )


class TorchRunner:
    """Steps of a program with torch operations, node by node.

    ``constants`` hold one tensor or array an entry. ``memory_limit`` in bytes; see ``check_memory``.
    """

    name = "torch"

    def __init__(
        self,
        program: Program,
        constants: Sequence[TensorLike],
        seed: int,
        *,
        memory_limit: int | None = None,
        device: str = "cpu",
    ) -> None:
        check_memory(program, memory_limit)
        assert_denormals()
        self.program = program
        self.plan: Plan = make_plan(program)
        self.seed = seed
        self.device = device
        self.constants = [tensor.to(device) for tensor in check_constants(program, constants)]
        self._literals: dict[tuple[InputKind, int], Tensor] = {}
        self._static: dict[int, Tensor] = {}
        for index in self.plan.static:
            self._static[index] = self._value(program.nodes[index], self._static, (), 0)

    def _value(self, node: Node, values: dict[int, Tensor], state: Sequence[Tensor], step: int) -> Tensor:
        inputs = []
        for source in node.inputs:
            match source.kind:
                case InputKind.NODE:
                    inputs.append(values[source.value])
                case InputKind.STATE:
                    inputs.append(state[source.value])
                case InputKind.CONST:
                    inputs.append(self.constants[source.value])
                case _:
                    inputs.append(self._own(node, source.kind, source.value, step))
        return run_node(node, inputs, self.seed, self.device)

    def _own(self, node: Node, kind: InputKind, value: int, step: int) -> Tensor:
        key = (kind, step if kind is InputKind.STEP else value)
        found = self._literals.get(key)
        if found is None:
            source = next(s for s in node.inputs if s.kind is kind and s.value == value)
            found = own_input(node, source, step, self.seed, self.device)
            assert found is not None
            if kind is not InputKind.STEP:
                self._literals[key] = found
        return found

    def step(self, state: Sequence[TensorLike], step: int) -> tuple[list[Tensor], list[float]]:
        """New state (contiguous tensors, f32 NaNs canonical) and metrics of global step ``step``.

        The given state is not changed. ``EngineError`` where it does not fit the program.
        """
        program = self.program
        before = [tensor.to(self.device) for tensor in check_state(program, state)]
        values = dict(self._static)
        for index in self.plan.dynamic:
            values[index] = self._value(program.nodes[index], values, before, step)
            for done in self.plan.release.get(index, ()):
                del values[done]
        last = program.nodes[-1]
        after = []
        for position, (source, entry) in enumerate(zip(last.inputs, program.state, strict=True)):
            match source.kind:
                case InputKind.NODE:
                    after.append(as_carrier(values[source.value], entry.type, f"New state tensor {position}"))
                case InputKind.STATE:
                    after.append(before[source.value])
                case InputKind.CONST:
                    after.append(self.constants[source.value])
                case _:
                    after.append(self._own(last, source.kind, source.value, step))
        return after, [metric_value(values[index]) for index in program.metrics]


def metric_value(value: Tensor) -> float:
    """A metric as a number for people."""
    number = float(value.reshape(-1)[0])
    return number if not math.isnan(number) else math.nan


Runner = TorchRunner
