"""Data sets as constants of a program, and which of their rows a step reads.

Selection is part of the program: an epoch is a permutation of the rows that the seed and the epoch's
number choose, a step takes the next batch of it. So nobody but the task decides the order of the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lockstep.numerics.dtypes import DType
from lockstep.program.augmentation import Augmentation
from lockstep.program.builder import Builder
from lockstep.program.emitter import Value
from lockstep.program.infer import ProgramError

Array = npt.NDArray[Any]
_CARRIED = tuple(np.dtype(name) for name in ("float32", "int32", "uint8", "uint16"))


@dataclass(frozen=True, slots=True)
class Dataset:
    """Samples by row: ``inputs`` [N, ...] and ``targets`` [N, ...].

    Arrays are float32, int32, uint8 or uint16. Integer targets are classes. Inputs reach the model as
    ``float32(inputs) * scale + shift``; with ``scale`` None they reach it as integers (tokens).
    ``augmentation`` is what training does to the inputs first; evaluation reads them as they are.
    """

    inputs: Array
    targets: Array
    scale: float | None = 1.0
    shift: float = 0.0
    augmentation: Augmentation | None = None

    def __post_init__(self) -> None:
        for name, array in (("inputs", self.inputs), ("targets", self.targets)):
            if array.dtype not in _CARRIED:
                carried = ", ".join(str(dtype) for dtype in _CARRIED)
                raise ProgramError(f"The data set's {name} are {array.dtype}; constants are {carried}.")
            if array.ndim < 1 or array.size == 0:
                raise ProgramError(f"The data set's {name} have shape {array.shape}; they have rows, and elements.")
        if len(self.inputs) != len(self.targets):
            raise ProgramError(f"The data set has {len(self.inputs)} inputs and {len(self.targets)} targets.")
        if self.inputs.dtype == np.float32 and self.scale is None:
            raise ProgramError("Inputs of float32 have a scale; only integer inputs can go without.")

    def __len__(self) -> int:
        return len(self.inputs)


def shuffled_rows(b: Builder, rows: int, batch_size: int) -> Value:
    """i32 [batch]: the rows of the step's batch, without replacement within an epoch.

    An epoch has ``rows // batch_size`` steps and a permutation of its own; the rows left over at its end
    are others in every epoch.
    """
    steps = rows // batch_size
    epoch = b.udiv(b.step, steps)
    start = b.imul(b.umod(b.step, steps), batch_size)
    place = b.iadd(b.iota((batch_size,)), b.expand(start, (batch_size,)))
    return b.shuffle(place, rows, epoch)


def consecutive_rows(b: Builder, batch_size: int) -> Value:
    """i32 [batch]: the rows ``STEP * batch_size`` and on, in order."""
    start = b.imul(b.step, batch_size)
    return b.iadd(b.iota((batch_size,)), b.expand(start, (batch_size,)))


def select(
    b: Builder,
    table: Value,
    rows: Value,
    scale: float | None,
    shift: float,
    augmentation: Augmentation | None = None,
) -> Value:
    """The rows of a data-set constant as the model reads them: f32, or i32 with ``scale`` None."""
    chosen = b.gather(table, rows)
    if augmentation is not None:
        chosen = augmentation.emit(b, chosen)
    if scale is None:
        return b.cast(chosen, DType.I32)
    chosen = b.cast(chosen, DType.F32)
    chosen = b.mul(chosen, scale)
    return b.add(chosen, shift) if shift else chosen
