"""What one step does to each parameter, and what quantising loses in each contraction: figures for people.

Nothing here is part of a program or of a commitment. A step is run node by node, so it takes longer than otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lockstep.engine.plan import check_memory
from lockstep.engine.run import TensorLike, TorchBackend, check_constants, check_state
from lockstep.numerics.dtypes import DType
from lockstep.program.graph import Input, Program
from lockstep.program.ops import InputKind, Op

LARGEST = 1 << 14
"""A saturated mantissa's magnitude."""
LOST_SHARE = 0.1
"""Share of non-zero entries quantised to zero from which an operand is warned of."""


@dataclass(frozen=True, slots=True)
class ParameterFigures:
    """One parameter at a step. Norms are Euclidean; ``gradient_norm`` is NaN where the program has no such node."""

    name: str
    weight_norm: float
    gradient_norm: float
    update_norm: float

    @property
    def update_ratio(self) -> float:
        """Size of the update to size of the weight before it; infinite for a weight of zeros that moves."""
        if self.weight_norm:
            return self.update_norm / self.weight_norm
        return math.inf if self.update_norm else 0.0


@dataclass(frozen=True, slots=True)
class OperandFigures:
    """One quantised operand of a contraction at a step; ``place`` is the user's source line.

    ``layer``: the layers, with commas between, whose parameters the contraction reads, or else those that other
    contractions of its line read; empty where there are none.
    ``lost``: share of its non-zero entries whose mantissa is 0. ``saturated``: share of its mantissas that are +-2^14.
    ``crest``: mean over its rows of largest magnitude to root mean square (rows of zeros left out). ``residual``: what
    was lost is contracted in turn.
    """

    node: int
    slot: int
    quantised: int
    place: str
    layer: str
    shape: tuple[int, ...]
    lost: float
    saturated: float
    crest: float
    residual: bool

    @property
    def is_warned_of(self) -> bool:
        """Whether much is lost that no residual contraction brings back."""
        return self.lost >= LOST_SHARE and not self.residual


@dataclass(frozen=True, slots=True)
class StepFigures:
    """All figures of a step, parameters in the state's order, operands in the program's; and the program's metrics."""

    step: int
    parameters: list[ParameterFigures]
    operands: list[OperandFigures]
    metrics: list[float]


def quantised_operands(program: Program) -> dict[tuple[int, int], int]:
    """(Contraction, input slot) -> the ``quantize`` node its mantissas come from through views; others are missing."""
    found = {}
    for index, node in enumerate(program.nodes):
        for slot in (0, 2) if node.op is Op.MATMUL else ():
            source = node.inputs[slot]
            while source.kind is InputKind.NODE and program.nodes[source.value].op is Op.VIEW:
                source = program.nodes[source.value].inputs[0]
            if source.kind is InputKind.NODE and program.nodes[source.value].op is Op.QUANTIZE:
                found[index, slot] = source.value
    return found


def quantising_figures(x: Tensor, m: Tensor) -> tuple[float, float, float]:
    """Lost share, saturated share and mean crest factor of f32 rows ``x`` [..., K] and their mantissas.

    Entries that are not finite, and rows that hold one, are left out of the crest factor.
    """
    wide = x.double()
    present = x != 0
    lost = ((m == 0) & present).sum().item() / max(1, int(present.sum()))
    saturated = (m.int().abs() == LARGEST).double().mean().item()
    root = wide.square().mean(-1).sqrt()
    usable = torch.isfinite(root) & (root > 0)
    crest = (wide.abs().amax(-1)[usable] / root[usable]).mean().item() if bool(usable.any()) else 0.0
    return lost, saturated, crest


def layers_of(program: Program) -> dict[int, set[str]]:
    """Contraction -> names of the layers whose parameters it reads, or else of its source line's."""
    read: dict[int, set[str]] = {}
    for index, node in enumerate(program.nodes):
        if node.op is Op.MATMUL:
            read[index] = {name for slot in (0, 2) if (name := _layer(program, node.inputs[slot]))}
    at_line: dict[str, set[str]] = {}
    for index, names in read.items():
        at_line.setdefault(program.names.nodes.get(index, ""), set()).update(names)
    return {index: names or at_line[program.names.nodes.get(index, "")] for index, names in read.items()}


def _layer(program: Program, source: Input) -> str:
    while source.kind is InputKind.NODE and program.nodes[source.value].op in (Op.VIEW, Op.QUANTIZE):
        source = program.nodes[source.value].inputs[0]
    is_named = source.kind is InputKind.STATE and source.value < len(program.names.state)
    return program.names.state[source.value].rpartition(".")[0] if is_named else ""


class _Watching(TorchBackend):
    """The torch backend, with figures taken of some nodes as they pass."""

    def __init__(
        self, program: Program, constants: Sequence[Tensor], seed: int, quantised: set[int], gradients: set[int]
    ) -> None:
        self.quantised = quantised
        self.gradients = gradients
        self.lost: dict[int, tuple[float, float, float]] = {}
        self.norms: dict[int, float] = {}
        super().__init__(program, constants, seed)

    def _advance(self, index: int, values: dict[int, Tensor], state: Sequence[Tensor], step: int) -> None:
        node = self.program.nodes[index]
        x = self._inputs(node, values, state, step)[0] if index in self.quantised else None
        value = self._value(node, values, state, step)
        if x is not None:
            self.lost[index] = quantising_figures(x, value)
        if index in self.gradients:
            self.norms[index] = norm(value)
        values[index] = value
        self._drop(index, values)


def norm(x: Tensor) -> float:
    """Euclidean norm in float64."""
    return float(x.double().square().sum().sqrt())


class Inspector:
    """Takes figures of steps of one program.

    ``parameters`` maps a parameter's name to its state entry, ``gradients`` to the node of its gradient: what
    ``CapturedTask`` has. Values that do not depend on state or step are left out of the operands.
    """

    def __init__(
        self,
        program: Program,
        constants: Sequence[TensorLike],
        seed: int,
        parameters: Mapping[str, int],
        gradients: Mapping[str, int],
    ) -> None:
        check_memory(program)
        self.program = program
        self.parameters = {name: index for name, index in parameters.items() if program.state[index].dtype is DType.F32}
        self.gradients = dict(gradients)
        self.operands = quantised_operands(program)
        self._residual = self._with_residual()
        self._layers = layers_of(program)
        tensors = check_constants(program, constants)
        watched = set(self.operands.values()), set(self.gradients.values())
        self._backend = _Watching(program, tensors, seed, *watched)

    def _with_residual(self) -> set[int]:
        """Quantised nodes whose mantissas are read back as numbers: what they lost is contracted in turn."""
        casts = [node for node in self.program.nodes if node.op is Op.CAST and node.dtype is DType.F32]
        return {node.inputs[0].value for node in casts if node.inputs[0].kind is InputKind.NODE}

    def step(self, state: Sequence[TensorLike], step: int) -> tuple[list[Tensor], StepFigures]:
        """New state and figures of global step ``step``."""
        before, backend = check_state(self.program, state), self._backend
        backend.lost, backend.norms = {}, {}
        after, metrics = backend.step(before, step, None)
        parameters = []
        for name, index in self.parameters.items():
            gradient = backend.norms.get(self.gradients.get(name, -1), math.nan)
            moved = norm(after[index].double() - before[index].double())
            parameters.append(ParameterFigures(name, norm(before[index]), gradient, moved))
        operands = []
        for (node, slot), quantised in self.operands.items():
            if quantised not in backend.lost:
                continue
            shape = self.program.input_type(Input(InputKind.NODE, quantised)).shape
            place, residual = self.program.names.nodes.get(node, ""), quantised in self._residual
            layer, lost = ",".join(sorted(self._layers[node])), backend.lost[quantised]
            operands.append(OperandFigures(node, slot, quantised, place, layer, shape, *lost, residual))
        return after, StepFigures(step, parameters, operands, metrics)
