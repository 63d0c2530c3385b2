"""Early stopping as a metric: the program says when training no longer helps; who trains decides what to do.

The protocol does not change: a task's steps are agreed and paid as before. The metric tells a submitter, from any
checkpoint, that the task could have been shorter, and how long to make the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lockstep.numerics.dtypes import DType
from lockstep.program.builder import Builder
from lockstep.program.emitter import Value

METRIC = "stop"
MAX_PATIENCE = 2**24
"""Steps without progress are counted in f32, which is exact up to here."""
_STALE = "stopping.stale"


@dataclass(frozen=True, slots=True)
class EarlyStopping:
    """The metric ``stop``: 1.0 once the running loss has not fallen for ``patience`` steps, then for ever; else 0.0.

    The running loss is the exponential moving average of the steps' losses, ``average = smoothing average + (1 -
    smoothing) loss`` over its bias correction ``1 - smoothing^t``. A step makes progress where it is below the least so
    far by more than ``min_delta``. A loss that is NaN makes no progress, ever after.
    """

    patience: int
    smoothing: float = 0.98
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.patience <= MAX_PATIENCE:
            raise ValueError(f"patience is {self.patience}; it is a number of steps from 1 to {MAX_PATIENCE}.")
        if not 0.0 <= self.smoothing < 1.0:
            raise ValueError(f"smoothing is {self.smoothing}; it is at least 0 and below 1.")
        if not 0.0 <= self.min_delta < float("inf"):
            raise ValueError(f"min_delta is {self.min_delta}; it is 0 or more.")

    @property
    def names(self) -> tuple[str, ...]:
        """State entries, all f32 scalars that start at 0."""
        return ("stopping.average", "stopping.correction", "stopping.best", _STALE)

    def add_state(self, b: Builder) -> dict[str, Value]:
        """Append the entries to a program's state; their values by name."""
        return {name: b.add_state(name, DType.F32, ()) for name in self.names}

    def emit(self, b: Builder, before: Mapping[str, Value], loss: Value) -> dict[str, Value]:
        """The entries after a step with this loss, f32 scalars by name."""
        average, correction, best, stale = (before[name] for name in self.names)
        weight = 1.0 - self.smoothing
        new_average = b.add(average, b.mul(b.sub(loss, average), weight))
        new_correction = b.add(correction, b.mul(b.sub(1.0, correction), weight))
        running = b.div(new_average, new_correction)
        # Before the first step there is no least loss yet. The correction says so, rather than STEP, which does not
        # start at 0 in a task that goes on from another's checkpoint.
        first = b.eq(correction, 0.0)
        better = b.bit_or(first, b.lt(running, b.sub(best, self.min_delta)))
        going = b.lt(stale, float(self.patience))
        progress = b.bit_and(better, going)
        after = b.select(progress, 0.0, b.select(going, b.add(stale, 1.0), stale))
        return dict(
            zip(self.names, (new_average, new_correction, b.select(progress, running, best), after), strict=True)
        )

    def metric(self, b: Builder, state: Mapping[str, Value]) -> Value:
        """``stop`` of a state: f32 scalar, 1.0 or 0.0."""
        return b.cast(b.le(float(self.patience), state[_STALE]), DType.F32)
