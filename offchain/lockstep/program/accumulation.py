"""Gradient accumulation: one batch, cut into micro-batches inside the step, gives one update.

The other way, a step for every micro-batch with the sum of gradients in the state and an update that a select lets
through at every k-th, would make checkpoints larger by a tensor for every parameter, run the optimiser k times for one
update, and make STEP count something else than updates. Here the state and the meaning of STEP are as without
accumulation, and only the program grows. Micro-batches run one after the other, so a step needs the memory of one; and
the rows of each contraction are one micro-batch long, which a limit on their length may ask for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from lockstep.program.builder import Builder
from lockstep.program.emitter import Value
from lockstep.program.infer import ProgramError

Key = tuple[str, str]
"""Kind and name of what a step gives, as ``tracing.Traced.outputs``."""

_MEANS = frozenset({"loss", "metric", "gradient"})


def check_settings(batch_size: int, accumulate: int, loss_scale: float) -> None:
    """``ProgramError`` for micro-batches that are not equal, or a scale whose division is not exact."""
    if accumulate < 1 or batch_size % accumulate:
        raise ProgramError(
            f"A batch of {batch_size} cut into {accumulate}: micro-batches are of equal size, so the batch is a"
            " multiple of their number."
        )
    if not 0.0 < loss_scale < math.inf or math.frexp(loss_scale)[0] != 0.5 or not 2.0**-64 <= loss_scale <= 2.0**64:
        raise ProgramError(
            f"A loss scale of {loss_scale}: it is a power of two from 2^-64 to 2^64, so that dividing by it is exact."
        )


def accumulated(
    b: Builder, rows: Value, count: int, one: Callable[[Value, Mapping[Key, Value]], Mapping[Key, Value]]
) -> dict[Key, Value]:
    """What a batch gives, from ``count`` equal parts of i32 ``rows`` [batch].

    ``one`` gives a micro-batch's outputs from its rows and the buffers that the one before it left. Loss, metrics and
    gradients are the means, added in order; buffers (batch norm's statistics) are the last's. Every micro-batch draws
    dropout of its own.
    """
    size = rows.shape[0] // count
    found: list[Mapping[Key, Value]] = []
    carried: dict[Key, Value] = {}
    for start in range(0, rows.shape[0], size):
        found.append(one(b.slice(rows, 0, start, size), carried))
        carried = {key: value for key, value in found[-1].items() if key[0] == "buffer"}
    return {
        key: _mean(b, [each[key] for each in found]) if key[0] in _MEANS else value for key, value in found[-1].items()
    }


def _mean(b: Builder, values: Sequence[Value]) -> Value:
    total = values[0]
    for value in values[1:]:
        total = b.add(total, value)
    return b.div(total, float(len(values)))
