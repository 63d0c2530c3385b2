"""Programs that read the checkpoint their segment must end in, run as ones that read nothing but a state.

Tolerance mode compares a replay with what the solver committed to, inside the program: its COMMITTED inputs are the
entries of that checkpoint, and behind them the beacon value of the segment's draw. For the engines both are entries of
a longer state that pass through every step.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from lockstep.numerics.dtypes import DType
from lockstep.program.graph import Input, Program, StateEntry
from lockstep.program.ops import DRAW_WORDS, InputKind, Op


@functools.lru_cache(maxsize=32)
def reads_committed(program: Program) -> bool:
    """Whether any node reads the checkpoint that the segment must end in, or the draw."""
    return any(source.kind is InputKind.COMMITTED for node in program.nodes for source in node.inputs)


def bound(program: Program) -> Program:
    """The same nodes over a longer state: its own entries, the committed ones, the draw; itself where it reads none.

    Nodes keep their numbers, and all but the last (``state``) their values.
    """
    return _bound(program) if reads_committed(program) else program


@functools.lru_cache(maxsize=32)
def _bound(program: Program) -> Program:
    own = len(program.state)

    def moved(source: Input) -> Input:
        return Input(InputKind.STATE, own + source.value) if source.kind is InputKind.COMMITTED else source

    nodes = [replace(node, inputs=tuple(map(moved, node.inputs))) for node in program.nodes]
    behind = tuple(Input(InputKind.STATE, own + index) for index in range(own + 1))
    assert nodes[-1].op is Op.STATE, "The last node of a program is its state."
    nodes[-1] = replace(nodes[-1], shape=(2 * own + 1,), inputs=(*nodes[-1].inputs, *behind))
    entries = (
        *program.state,
        *(replace(entry, frozen=True) for entry in program.state),
        StateEntry(DType.I32, (DRAW_WORDS,), frozen=True),
    )
    return replace(program, nodes=tuple(nodes), state=entries)


def committed_tensors(checkpoint: Sequence[Tensor], beacon_value: bytes) -> list[Tensor]:
    """What a program may read of a segment's end and draw: the checkpoint's tensors, and the 32 bytes as i32 [8]."""
    return [*checkpoint, torch.frombuffer(bytearray(beacon_value), dtype=torch.int32)]
