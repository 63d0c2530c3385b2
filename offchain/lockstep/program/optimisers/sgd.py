"""Gradient descent, plain and with momentum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lockstep.program.builder import Builder
from lockstep.program.graph import Shape
from lockstep.program.optimisers.base import Result, Slot, Update, decayed, descend
from lockstep.program.optimisers.schedules import Rate, check_numbers, check_rate, emit_rate


@dataclass(frozen=True, slots=True)
class SGD:
    """``p' = p - lr (g + weight_decay p)``, as ``torch.optim.SGD``."""

    lr: Rate
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        check_rate("lr", self.lr)
        check_numbers({}, natural={"weight_decay": self.weight_decay})

    def slots(self, shapes: Mapping[str, Shape]) -> list[Slot]:
        """No state."""
        return []

    def emit(self, b: Builder, update: Update) -> Result:
        """New parameters."""
        rate = emit_rate(b, self.lr)
        new = {}
        for name, p in update.parameters.items():
            new[name] = descend(b, p, decayed(b, update.gradients[name], p, self.weight_decay), rate)
        return new, {}


@dataclass(frozen=True, slots=True)
class Momentum:
    """``v' = momentum v + g; p' = p - lr v'`` (Nesterov: ``p - lr (g + momentum v')``), as ``torch.optim.SGD``."""

    lr: Rate
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        check_rate("lr", self.lr)
        check_numbers({}, {"momentum": self.momentum}, {"weight_decay": self.weight_decay})

    def slots(self, shapes: Mapping[str, Shape]) -> list[Slot]:
        """One velocity a parameter."""
        return [Slot(f"velocity.{name}", name, shape) for name, shape in shapes.items()]

    def emit(self, b: Builder, update: Update) -> Result:
        """New parameters and velocities."""
        rate = emit_rate(b, self.lr)
        new, slots = {}, {}
        for name, p in update.parameters.items():
            g = decayed(b, update.gradients[name], p, self.weight_decay)
            v = b.add(b.mul(update.slots[f"velocity.{name}"], self.momentum), g)
            slots[f"velocity.{name}"] = v
            direction = b.add(g, b.mul(v, self.momentum)) if self.nesterov else v
            new[name] = descend(b, p, direction, rate)
        return new, slots
