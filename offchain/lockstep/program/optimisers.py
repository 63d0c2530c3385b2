"""Optimisers written out in operations of the program, with their moments as state.

Bias corrections are state too: ``c`` with ``c' = c + (1 - beta)(1 - c)`` from 0 is ``1 - beta**t`` without
the cancellation a power of beta near 1 would bring.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lockstep.numerics.dtypes import DType
from lockstep.program.builder import Builder
from lockstep.program.emitter import Value
from lockstep.program.graph import Shape

F32 = DType.F32


@dataclass(frozen=True, slots=True)
class Slot:
    """A tensor of optimiser state, zero at step 0. ``parameter``: whose it is; empty for a shared scalar."""

    name: str
    parameter: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class Update:
    """What an optimiser's emission reads and gives: values by parameter or slot name."""

    parameters: Mapping[str, Value]
    gradients: Mapping[str, Value]
    slots: Mapping[str, Value]


Result = tuple[dict[str, Value], dict[str, Value]]
"""New parameters by name and new slots by name."""


def _blend(b: Builder, average: Value, new: Value, weight: float) -> Value:
    """``average + weight (new - average)``."""
    return b.add(average, b.mul(b.sub(new, average), weight))


def _checked(positive: Mapping[str, float], fractions: Mapping[str, float], natural: Mapping[str, float]) -> None:
    for name, value in positive.items():
        if not 0.0 < value < float("inf"):
            raise ValueError(f"{name} is {value}; it is positive.")
    for name, value in fractions.items():
        if not 0.0 <= value < 1.0:
            raise ValueError(f"{name} is {value}; it is at least 0 and below 1.")
    for name, value in natural.items():
        if not 0.0 <= value < float("inf"):
            raise ValueError(f"{name} is {value}; it is 0 or more.")


@dataclass(frozen=True, slots=True)
class SGD:
    """``p' = p - lr (g + weight_decay p)``, as ``torch.optim.SGD``."""

    lr: float
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _checked({"lr": self.lr}, {}, {"weight_decay": self.weight_decay})

    def slots(self, shapes: Mapping[str, Shape]) -> list[Slot]:
        """No state."""
        return []

    def emit(self, b: Builder, update: Update) -> Result:
        """New parameters."""
        new = {}
        for name, p in update.parameters.items():
            g = _decayed(b, update.gradients[name], p, self.weight_decay)
            new[name] = b.sub(p, b.mul(g, self.lr))
        return new, {}


@dataclass(frozen=True, slots=True)
class Momentum:
    """``v' = momentum v + g; p' = p - lr v'`` (Nesterov: ``p - lr (g + momentum v')``), as ``torch.optim.SGD``."""

    lr: float
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _checked({"lr": self.lr}, {"momentum": self.momentum}, {"weight_decay": self.weight_decay})

    def slots(self, shapes: Mapping[str, Shape]) -> list[Slot]:
        """One velocity a parameter."""
        return [Slot(f"velocity.{name}", name, shape) for name, shape in shapes.items()]

    def emit(self, b: Builder, update: Update) -> Result:
        """New parameters and velocities."""
        new, slots = {}, {}
        for name, p in update.parameters.items():
            g = _decayed(b, update.gradients[name], p, self.weight_decay)
            v = b.add(b.mul(update.slots[f"velocity.{name}"], self.momentum), g)
            slots[f"velocity.{name}"] = v
            direction = b.add(g, b.mul(v, self.momentum)) if self.nesterov else v
            new[name] = b.sub(p, b.mul(direction, self.lr))
        return new, slots


@dataclass(frozen=True, slots=True)
class Adam:
    """Adam (Kingma and Ba, 2015), as ``torch.optim.Adam``; ``weight_decay`` is added to the gradient."""

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        betas = {"betas[0]": self.betas[0], "betas[1]": self.betas[1]}
        _checked({"lr": self.lr, "eps": self.eps}, betas, {"weight_decay": self.weight_decay})

    def slots(self, shapes: Mapping[str, Shape]) -> list[Slot]:
        """Two bias corrections, and two moments a parameter."""
        return _adam_slots(shapes)

    def emit(self, b: Builder, update: Update) -> Result:
        """New parameters, moments and bias corrections."""

        def parameter(p: Value, g: Value) -> tuple[Value, Value]:
            return p, _decayed(b, g, p, self.weight_decay)

        return _adam(b, update, self.lr, self.betas, self.eps, parameter)


@dataclass(frozen=True, slots=True)
class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019), as ``torch.optim.AdamW``."""

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 1e-2

    def __post_init__(self) -> None:
        betas = {"betas[0]": self.betas[0], "betas[1]": self.betas[1]}
        _checked({"lr": self.lr, "eps": self.eps}, betas, {"weight_decay": self.weight_decay})

    def slots(self, shapes: Mapping[str, Shape]) -> list[Slot]:
        """Two bias corrections, and two moments a parameter."""
        return _adam_slots(shapes)

    def emit(self, b: Builder, update: Update) -> Result:
        """New parameters, moments and bias corrections."""

        def parameter(p: Value, g: Value) -> tuple[Value, Value]:
            return (b.mul(p, 1.0 - self.lr * self.weight_decay) if self.weight_decay else p), g

        return _adam(b, update, self.lr, self.betas, self.eps, parameter)


Optimiser = SGD | Momentum | Adam | AdamW


def _decayed(b: Builder, g: Value, p: Value, weight_decay: float) -> Value:
    return b.add(g, b.mul(p, weight_decay)) if weight_decay else g


def _adam_slots(shapes: Mapping[str, Shape]) -> list[Slot]:
    slots = [Slot("correction.first", "", ()), Slot("correction.second", "", ())]
    for name, shape in shapes.items():
        slots += [Slot(f"first.{name}", name, shape), Slot(f"second.{name}", name, shape)]
    return slots


def _adam(
    b: Builder,
    update: Update,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    parameter: Callable[[Value, Value], tuple[Value, Value]],
) -> Result:
    """``p - (lr r / c1) m / (sqrt(v) + eps r)`` with ``r = sqrt(c2)``: Adam's step, scalars gathered.

    c1 and c2 are the bias corrections; ``parameter`` gives the decayed parameter and gradient.
    """
    first, second = (1.0 - beta for beta in betas)
    slots = {
        name: _blend(b, update.slots[name], b.f32(1.0), weight)
        for name, weight in (("correction.first", first), ("correction.second", second))
    }
    root = b.sqrt(slots["correction.second"])
    rate = b.div(b.mul(root, lr), slots["correction.first"])
    tiny = b.mul(root, eps)
    new = {}
    for name, given in update.parameters.items():
        p, g = parameter(given, update.gradients[name])
        m = _blend(b, update.slots[f"first.{name}"], g, first)
        v = _blend(b, update.slots[f"second.{name}"], b.mul(g, g), second)
        slots |= {f"first.{name}": m, f"second.{name}": v}
        direction = b.div(m, b.add(b.sqrt(v), b.expand(tiny, p.shape)))
        new[name] = b.sub(p, b.mul(direction, b.expand(rate, p.shape)))
    return new, slots
