"""Data sets as constants of a program, and which of their rows a step reads.

Selection is part of the program: an epoch is a permutation of the rows that the seed and the epoch's
number choose, a step takes the next batch of it. So nobody but the task decides the order of the data.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
class Column:
    """One more input of the model, by row: ``values`` [N, ...], with ``scale`` and ``shift`` as in ``Dataset``."""

    values: Array
    scale: float | None = 1.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        _check("inputs", self.values, self.scale)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Samples by row: ``inputs`` [N, ...] and ``targets`` [N, ...].

    Arrays are float32, int32, uint8 or uint16. Integer targets are classes. Inputs reach the model as
    ``float32(inputs) * scale + shift``; with ``scale`` None they reach it as integers (tokens).
    ``augmentation`` is what training does to the inputs first; evaluation reads them as they are.
    ``further`` are inputs of the model after the first: ``forward(inputs, *further)``.
    """

    inputs: Array
    targets: Array
    scale: float | None = 1.0
    shift: float = 0.0
    augmentation: Augmentation | None = None
    further: tuple[Column, ...] = ()

    def __post_init__(self) -> None:
        _check("inputs", self.inputs, self.scale)
        _check("targets", self.targets, 1.0)
        if len(self.inputs) != len(self.targets):
            raise ProgramError(f"The data set has {len(self.inputs)} inputs and {len(self.targets)} targets.")
        for column in self.further:
            if len(column.values) != len(self.targets):
                raise ProgramError(
                    f"The data set has {len(column.values)} rows of a further input and {len(self.targets)} targets."
                )

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def columns(self) -> tuple[Column, ...]:
        """All inputs of the model, in the order of its arguments."""
        return (Column(self.inputs, self.scale, self.shift), *self.further)

    def rows(self, index: Any) -> Dataset:
        """The samples with these row numbers (anything that indexes an array), read in the same way."""
        further = tuple(replace(column, values=column.values[index]) for column in self.further)
        return replace(self, inputs=self.inputs[index], targets=self.targets[index], further=further)


def _check(name: str, array: Array, scale: float | None) -> None:
    """``ProgramError`` for an array that cannot be a constant, or cannot be read as it is to be."""
    if array.dtype not in _CARRIED:
        carried = ", ".join(str(dtype) for dtype in _CARRIED)
        raise ProgramError(f"The data set's {name} are {array.dtype}; constants are {carried}.")
    if array.ndim < 1 or array.size == 0:
        raise ProgramError(f"The data set's {name} have shape {array.shape}; they have rows, and elements.")
    if array.dtype == np.float32 and scale is None:
        raise ProgramError("Inputs of float32 have a scale; only integer inputs can go without.")


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
