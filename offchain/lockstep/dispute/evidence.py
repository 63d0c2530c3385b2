"""What a party can show for its own run of a segment; everything is computed when it is asked for.

A player needs of its own run: the state roots, the tree over a step's node roots, any node's chunks, and the tensors
that a leaf reads. ``Evidence`` answers from a ``Run``: an honest party's, or one that lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from torch import Tensor

from lockstep.commitments import merkle
from lockstep.commitments.tensor import TensorCommitment, commit_roots
from lockstep.engine.checkpoint import tensor_roots
from lockstep.program.encoding import ProgramCommitment
from lockstep.program.graph import Input, Program
from lockstep.program.ops import InputKind


class Opening(Protocol):
    """Everything one step computed; ``lockstep.engine.trace.StepOpening`` is one."""

    @property
    def program(self) -> Program:
        """The segment's program."""

    @property
    def node_roots(self) -> Sequence[bytes]:
        """Tensor root of every node."""

    @property
    def tree(self) -> merkle.Tree:
        """The step's tree over them."""

    @property
    def state(self) -> Sequence[Tensor]:
        """State before the step; empty where the program reads none."""

    @property
    def committed(self) -> Sequence[Tensor]:
        """What the program reads of its segment's end, and the draw; empty where it reads none."""

    def tensor(self, source: Input) -> Tensor | None:
        """The tensor of a NODE, STATE, CONST or COMMITTED input."""

    def commitment(self, source: Input) -> TensorCommitment:
        """Its chunk tree and bytes."""


class Run(Protocol):
    """A party's run of a segment; ``lockstep.agents.replica.Replica`` is one."""

    @property
    def steps(self) -> int:
        """Steps of the segment."""

    @property
    def first_step(self) -> int:
        """Global number of the first."""

    @property
    def state_roots(self) -> Sequence[bytes]:
        """State root after each step."""

    def opening(self, step: int) -> Opening:
        """Everything step ``step`` of the segment (from 0) computed."""

    def state_after(self, step: int) -> Sequence[Tensor]:
        """State after step ``step``; -1: the start."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The checkpoint a segment must end in, and its inclusion proof under the work root."""

    root: bytes
    proof: tuple[bytes, ...]


class Evidence:
    """A run with its program's commitment, seed and start root, in the terms of the game.

    ``ending`` is needed where the program reads the checkpoint that the segment must end in.
    """

    def __init__(
        self, run: Run, commitment: ProgramCommitment, seed: int, start_root: bytes, ending: Ending | None = None
    ) -> None:
        self.ending = ending
        self.run = run
        self.program_commitment = commitment
        self.seed = seed
        self.start_root = start_root
        self._before: dict[int, TensorCommitment] = {}

    @property
    def steps(self) -> int:
        """Steps of the segment."""
        return self.run.steps

    @cached_property
    def state_roots(self) -> list[bytes]:
        """State root after each step; the last is the end root."""
        return list(self.run.state_roots)

    @property
    def end_root(self) -> bytes:
        """State root after the last step."""
        return self.state_roots[-1]

    def previous_root(self, step: int) -> bytes:
        """State root before a step: the start root for step 0."""
        return self.start_root if step == 0 else self.state_roots[step - 1]

    def opening(self, step: int) -> Opening:
        """Everything a step computed."""
        return self.run.opening(step)

    def program(self, step: int) -> Program:
        """The segment's program."""
        return self.opening(step).program

    def global_step(self, step: int) -> int:
        """Value of STEP in a step of the segment."""
        return self.run.first_step + step

    def step_tree(self, step: int) -> merkle.Tree:
        """Tree over a step's node roots."""
        return self.opening(step).tree

    def node(self, step: int, node: int) -> TensorCommitment:
        """Chunk tree and bytes of a node's tensor."""
        return self.tensor(step, Input(InputKind.NODE, node))

    def tensor(self, step: int, source: Input) -> TensorCommitment:
        """Chunk tree and bytes of a NODE, STATE, CONST or COMMITTED input's tensor."""
        return self.opening(step).commitment(source)

    def element(self, step: int, source: Input, element: int) -> int:
        """An element of an i32 tensor, as a signed number (a gather's index)."""
        tensor = self.opening(step).tensor(source)
        assert tensor is not None, "Only proven inputs have tensors."
        return int(tensor.reshape(-1)[element])

    def state_before(self, step: int) -> TensorCommitment:
        """The state before a step as the tensor of its tensors' roots."""
        if step not in self._before:
            self._before = {step: commit_roots(tensor_roots(list(self.opening(step).state)))}
        return self._before[step]

    @cached_property
    def committed_state(self) -> TensorCommitment:
        """The checkpoint that the segment must end in as the tensor of its tensors' roots."""
        return commit_roots(tensor_roots(list(self.opening(0).committed[:-1])))

    def state_after(self, step: int) -> Sequence[Tensor]:
        """State tensors after a step."""
        return self.run.state_after(step)
