"""Gradient clipping around any optimiser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lockstep.program.builder import Builder
from lockstep.program.emitter import Value
from lockstep.program.graph import Shape
from lockstep.program.ops import MAX_CONCAT
from lockstep.program.optimisers.base import Optimiser, Result, Slot, Update
from lockstep.program.optimisers.schedules import check_numbers

_GUARD = 1e-6
"""What ``torch.nn.utils.clip_grad_norm_`` adds to the norm it divides by."""


@dataclass(frozen=True, slots=True)
class ClipNorm:
    """``optimiser`` on gradients scaled so that their norm, of all parameters together, is at most ``norm``.

    Every gradient times ``min(1, norm / (|g| + 1e-6))``, as ``torch.nn.utils.clip_grad_norm_``. Each tensor's squares
    are summed exactly and rounded once, then the tensors' sums are. A norm that is NaN makes every gradient NaN.
    """

    optimiser: Optimiser
    norm: float

    def __post_init__(self) -> None:
        check_numbers({"norm": self.norm})

    def slots(self, shapes: Mapping[str, Shape]) -> list[Slot]:
        """The optimiser's."""
        return self.optimiser.slots(shapes)

    def emit(self, b: Builder, update: Update) -> Result:
        """The optimiser's, on clipped gradients."""
        gradients = {name: update.gradients[name] for name in update.parameters}
        squares = [b.sum_axes(b.mul(g, g), range(len(g.shape))) for g in gradients.values()]
        norm = b.sqrt(_total(b, squares))
        factor = b.minimum(1.0, b.div(self.norm, b.add(norm, _GUARD)))
        clipped = {name: b.mul(g, b.expand(factor, g.shape)) for name, g in gradients.items()}
        return self.optimiser.emit(b, replace(update, gradients=clipped))


@dataclass(frozen=True, slots=True)
class ClipValue:
    """``optimiser`` on gradients clamped to [-bound, bound], as ``torch.nn.utils.clip_grad_value_``; NaN stays NaN."""

    optimiser: Optimiser
    bound: float

    def __post_init__(self) -> None:
        check_numbers({"bound": self.bound})

    def slots(self, shapes: Mapping[str, Shape]) -> list[Slot]:
        """The optimiser's."""
        return self.optimiser.slots(shapes)

    def emit(self, b: Builder, update: Update) -> Result:
        """The optimiser's, on clamped gradients."""
        # The second operand of max and min is what a NaN gives: it must be the gradient.
        clipped = {
            name: b.minimum(self.bound, b.maximum(-self.bound, update.gradients[name])) for name in update.parameters
        }
        return self.optimiser.emit(b, replace(update, gradients=clipped))


def _total(b: Builder, scalars: Sequence[Value]) -> Value:
    """Sum of f32 scalars, in levels of as many as one concat joins: each an exact sum, rounded once."""
    while len(scalars) > 1:
        scalars = [
            b.sum_rows(b.concat([b.reshape(x, (1,)) for x in scalars[start : start + MAX_CONCAT]]))
            for start in range(0, len(scalars), MAX_CONCAT)
        ]
    return scalars[0]
