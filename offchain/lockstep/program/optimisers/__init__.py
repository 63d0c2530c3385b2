"""Optimisers, schedules and gradient clipping written out in operations of the program.

One family a file; ``base`` says what an optimiser is. They compose::

    ClipNorm(Muon(Warmup(100, Cosine(0.02, steps=900)), others=AdamW(1e-3)), 1.0)

See ``docs/CAPTURE.md``.
"""

from __future__ import annotations

from lockstep.program.optimisers.adam import Adam, AdamW
from lockstep.program.optimisers.base import Optimiser, Rate, Result, Slot, Update
from lockstep.program.optimisers.clipping import ClipNorm, ClipValue
from lockstep.program.optimisers.groups import Groups
from lockstep.program.optimisers.lion import Lion
from lockstep.program.optimisers.muon import Muon
from lockstep.program.optimisers.schedules import Cosine, Linear, MultiStep, Schedule, StepDecay, Warmup
from lockstep.program.optimisers.sgd import SGD, Momentum

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "ClipNorm",
    "ClipValue",
    "Cosine",
    "Groups",
    "Linear",
    "Lion",
    "Momentum",
    "MultiStep",
    "Muon",
    "Optimiser",
    "Rate",
    "Result",
    "Schedule",
    "Slot",
    "StepDecay",
    "Update",
    "Warmup",
]
