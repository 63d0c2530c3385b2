"""Adam, with weight decay in the gradient or decoupled from it.

Bias corrections are state too: ``c`` with ``c' = c + (1 - beta)(1 - c)`` from 0 is ``1 - beta**t`` without
the cancellation a power of beta near 1 would bring.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lockstep.program.builder import Builder
from lockstep.program.graph import Shape
from lockstep.program.optimisers.base import Result, Slot, Update, blend, decayed, descend
from lockstep.program.optimisers.schedules import Rate, check_numbers, check_rate, emit_rate


@dataclass(frozen=True, slots=True)
class Adam:
    """Adam (Kingma and Ba, 2015), as ``torch.optim.Adam``; ``weight_decay`` is added to the gradient."""

    lr: Rate = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _check(self)

    def slots(self, shapes: Mapping[str, Shape]) -> list[Slot]:
        """Two bias corrections, and two moments a parameter."""
        return _slots(shapes)

    def emit(self, b: Builder, update: Update) -> Result:
        """New parameters, moments and bias corrections."""
        return _emit(self, b, update, self.weight_decay, 0.0)


@dataclass(frozen=True, slots=True)
class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019), as ``torch.optim.AdamW``."""

    lr: Rate = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 1e-2

    def __post_init__(self) -> None:
        _check(self)

    def slots(self, shapes: Mapping[str, Shape]) -> list[Slot]:
        """Two bias corrections, and two moments a parameter."""
        return _slots(shapes)

    def emit(self, b: Builder, update: Update) -> Result:
        """New parameters, moments and bias corrections."""
        return _emit(self, b, update, 0.0, self.weight_decay)


def _check(settings: Adam | AdamW) -> None:
    check_rate("lr", settings.lr)
    betas = {f"betas[{i}]": beta for i, beta in enumerate(settings.betas)}
    check_numbers({"eps": settings.eps}, betas, {"weight_decay": settings.weight_decay})


def _slots(shapes: Mapping[str, Shape]) -> list[Slot]:
    slots = [Slot("correction.first", "", ()), Slot("correction.second", "", ())]
    for name, shape in shapes.items():
        slots += [Slot(f"first.{name}", name, shape), Slot(f"second.{name}", name, shape)]
    return slots


def _emit(settings: Adam | AdamW, b: Builder, update: Update, l2: float, decoupled: float) -> Result:
    """``p - (lr r / c1) m / (sqrt(v) + eps r)`` with ``r = sqrt(c2)``: Adam's step, scalars gathered.

    c1 and c2 are the bias corrections.
    """
    first, second = (1.0 - beta for beta in settings.betas)
    slots = {
        name: blend(b, update.slots[name], b.f32(1.0), weight)
        for name, weight in (("correction.first", first), ("correction.second", second))
    }
    root = b.sqrt(slots["correction.second"])
    rate = b.div(b.mul(root, emit_rate(b, settings.lr)), slots["correction.first"])
    tiny = b.mul(root, settings.eps)
    new = {}
    for name, p in update.parameters.items():
        g = decayed(b, update.gradients[name], p, l2)
        m = blend(b, update.slots[f"first.{name}"], g, first)
        v = blend(b, update.slots[f"second.{name}"], b.mul(g, g), second)
        slots |= {f"first.{name}": m, f"second.{name}": v}
        direction = b.div(m, b.add(b.sqrt(v), b.expand(tiny, p.shape)))
        new[name] = descend(b, p, direction, rate, (decoupled, settings.lr))
    return new, slots
