"""What an optimiser is: its state, and the nodes that make new parameters from gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from lockstep.program.builder import Builder
from lockstep.program.emitter import Value
from lockstep.program.graph import Shape
from lockstep.program.optimisers.schedules import Rate, emit_rate

__all__ = ["Optimiser", "Rate", "Result", "Slot", "Update", "blend", "decayed", "descend"]


@dataclass(frozen=True, slots=True)
class Slot:
    """An f32 tensor of optimiser state, zero at step 0. ``parameter``: whose it is; empty for a shared scalar."""

    name: str
    parameter: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class Update:
    """What an optimiser's emission reads: f32 values by parameter or slot name, a gradient of its parameter's shape."""

    parameters: Mapping[str, Value]
    gradients: Mapping[str, Value]
    slots: Mapping[str, Value]


Result = tuple[dict[str, Value], dict[str, Value]]
"""New parameters by name and new slots by name."""


class Optimiser(Protocol):
    """An optimiser, or something around one that changes what it sees (clipping, groups)."""

    def slots(self, shapes: Mapping[str, Shape]) -> list[Slot]:
        """The state it needs for parameters of these shapes."""

    def emit(self, b: Builder, update: Update) -> Result:
        """Emit one update."""


def blend(b: Builder, average: Value, new: Value, weight: float) -> Value:
    """``average + weight (new - average)``."""
    return b.add(average, b.mul(b.sub(new, average), weight))


def decayed(b: Builder, g: Value, p: Value, weight_decay: float) -> Value:
    """The gradient with L2's: ``g + weight_decay p``."""
    return b.add(g, b.mul(p, weight_decay)) if weight_decay else g


def descend(b: Builder, p: Value, direction: Value, rate: Value, decay: tuple[float, Rate] | None = None) -> Value:
    """``p - rate direction``; with ``decay`` = (weight_decay, lr) less ``lr weight_decay p``, too: decoupled decay.

    Decay and direction are added before the one subtraction: as a factor ``1 - lr weight_decay`` of the parameter,
    itself rounded to a multiple of 2^-24, a small decay would be wrong by percents or vanish.
    """
    move = b.mul(direction, b.expand(rate, p.shape))
    if decay is not None and decay[0]:
        shrink = b.mul(emit_rate(b, decay[1]), decay[0])
        move = b.add(move, b.mul(p, b.expand(shrink, p.shape)))
    return b.sub(p, move)
