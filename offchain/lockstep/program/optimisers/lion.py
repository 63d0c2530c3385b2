"""Lion: the sign of a momentum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lockstep.numerics.dtypes import DType
from lockstep.program.builder import Builder
from lockstep.program.graph import Shape
from lockstep.program.optimisers.base import Result, Slot, Update, blend, descend
from lockstep.program.optimisers.schedules import Rate, check_numbers, check_rate, emit_rate


@dataclass(frozen=True, slots=True)
class Lion:
    """Lion (Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023, algorithm 2).

    ``c = betas[0] m + (1 - betas[0]) g; p' = p - lr (sign(c) + weight_decay p); m' = betas[1] m + (1 - betas[1]) g``.
    Every element moves by the whole rate, so the rate is three to ten times below Adam's; weight decay is decoupled.
    """

    lr: Rate = 1e-4
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        check_rate("lr", self.lr)
        betas = {f"betas[{i}]": beta for i, beta in enumerate(self.betas)}
        check_numbers({}, betas, {"weight_decay": self.weight_decay})

    def slots(self, shapes: Mapping[str, Shape]) -> list[Slot]:
        """One momentum a parameter."""
        return [Slot(f"momentum.{name}", name, shape) for name, shape in shapes.items()]

    def emit(self, b: Builder, update: Update) -> Result:
        """New parameters and momenta."""
        rate = emit_rate(b, self.lr)
        new, slots = {}, {}
        for name, p in update.parameters.items():
            g, m = update.gradients[name], update.slots[f"momentum.{name}"]
            c = blend(b, m, g, 1.0 - self.betas[0])
            sign = b.cast(b.isub(b.lt(0.0, c), b.lt(c, 0.0)), DType.F32)
            new[name] = descend(b, p, sign, rate, (self.weight_decay, self.lr))
            slots[f"momentum.{name}"] = blend(b, m, g, 1.0 - self.betas[1])
        return new, slots
