"""Runs of a segment that state what they like: what a dispute needs of a step too large to be computed 64 times.

The court never learns more of a step than the path to one element. So a run may state any root for every other tensor;
only the disputed node and what it reads have values here. All trees, proofs and moves have the size of the real step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from lockstep.agents.workload import Workload
from lockstep.commitments import merkle
from lockstep.commitments.tensor import TensorCommitment, commit_tensor
from lockstep.dispute.leaf_proof import proven_types
from lockstep.numerics.dtypes import ITEMSIZE, NUMPY, DType
from lockstep.program.graph import Input, Program, TensorType
from lockstep.program.long_rows import block_part, block_reads, block_size, combine, opening_reads, row_blocks
from lockstep.program.ops import InputKind

EXPONENT = -7
"""Every shared exponent stated: any in the range of the arithmetic does."""


def stated_root(*what: object) -> bytes:
    """A root of a tensor nobody will ask for."""
    return hashlib.sha256(repr(what).encode()).digest()


def stated_values(kind: TensorType, rng: np.random.Generator) -> np.ndarray:
    """Random content of a tensor: calldata of zeros would be cheaper than any that was trained."""
    if kind.dtype is DType.E16:
        return np.full(kind.shape, EXPONENT, np.int16)
    if kind.dtype is DType.M16:
        return rng.integers(-(2**13), 2**13, kind.shape, np.int16)
    if kind.dtype is DType.I32:
        return rng.integers(0, 2, kind.shape, np.int32)
    return rng.standard_normal(kind.shape, np.float32)


@dataclass(frozen=True, slots=True)
class Place:
    """Where two runs part: an element of a node in a step of the segment."""

    step: int
    node: int
    element: int


@dataclass
class Stated:
    """The disputed node of a program and its inputs, with values; the element as the arithmetic has it.

    ``parts`` are the parts of the element's row where one leaf does not carry it.
    """

    workload: Workload
    place: Place
    inputs: dict[int, TensorCommitment] = field(init=False)
    value: TensorCommitment = field(init=False)
    element: bytes = field(init=False)

    def __post_init__(self) -> None:
        program, place = self.workload.step, self.place
        node, rng = program.nodes[place.node], np.random.default_rng(place.node)
        arrays: dict[int, np.ndarray] = {}
        for source, kind in zip(node.inputs, proven_types(program, node), strict=True):
            assert kind is not None
            assert source.kind is InputKind.NODE, "Only nodes are stated."
            arrays.setdefault(source.value, stated_values(kind, rng))
        self.inputs = {index: commit_tensor(array, program.nodes[index].dtype) for index, array in arrays.items()}
        self.element = self._compute(program, [arrays[source.value] for source in node.inputs])
        content = stated_values(node.type, rng)
        content.reshape(-1)[place.element] = np.frombuffer(self.element, NUMPY[node.dtype])[0]
        self.value = commit_tensor(content, node.dtype)

    def _compute(self, program: Program, arrays: Sequence[np.ndarray]) -> bytes:
        """The disputed element by the reference, from its row alone."""
        node, at = program.nodes[self.place.node], self.place.element
        types = proven_types(program, node)

        def run(slot: int, start: int, length: int) -> np.ndarray:
            return arrays[slot].reshape(-1)[start : start + length]

        assert block_size(node.op), f"Nothing states an element of {node.op.name}."
        parts = [
            block_part(node, at, block, [run(*read) for read in block_reads(node, at, block, types)])
            for block in range(row_blocks(node, types))
        ]
        exponents = [int(run(*read)[0]) for read in opening_reads(node, at) if read.length]
        return combine(node, exponents, parts)

    def lie(self) -> TensorCommitment:
        """The node's tensor with the disputed element's lowest bit flipped."""
        dtype, at = self.value.dtype, self.place.element
        changed = np.frombuffer(self.value.data, NUMPY[dtype]).copy()
        bits = changed.view(np.uint8)
        bits[at * ITEMSIZE[dtype]] ^= 1
        return commit_tensor(changed, dtype, self.value.shape)


class StatedOpening:
    """What a run states of one step; as ``lockstep.engine.trace.StepOpening``."""

    def __init__(self, program: Program, node_roots: list[bytes], known: dict[int, TensorCommitment]) -> None:
        self.program = program
        self.node_roots = node_roots
        self.tree = merkle.Tree([merkle.hash_leaf(root) for root in node_roots])
        self.state: Sequence[Tensor] = ()
        self.known = known

    def tensor(self, source: Input) -> Tensor | None:
        raise LookupError(f"Nothing but roots is stated of {source}.")

    def commitment(self, source: Input) -> TensorCommitment:
        assert source.kind is InputKind.NODE
        return self.known[source.value]

    @property
    def root(self) -> bytes:
        return self.tree.root


class StatedRun:
    """A run of a segment; as ``lockstep.agents.replica.Replica``. It lies from ``stated.place`` on, or not."""

    def __init__(self, stated: Stated, steps: int, first_step: int, lies: bool) -> None:
        self.stated = stated
        self.steps = steps
        self.first_step = first_step
        value = stated.lie() if lies else stated.value
        self._known = {**stated.inputs, stated.place.node: value}
        self._lies = lies
        self._openings: dict[int, StatedOpening] = {}

    def _root(self, step: int, index: int) -> bytes:
        """Tensor root of a node of a step; those behind the first difference differ too."""
        place = self.stated.place
        if step == place.step and index in self._known:
            return self._known[index].root
        return stated_root(step, index, self._lies and (step, index) > (place.step, place.node))

    def node_roots(self, step: int) -> list[bytes]:
        """Tensor root of every node of a step."""
        return [self._root(step, index) for index in range(len(self.stated.workload.step.nodes))]

    def opening(self, step: int) -> StatedOpening:
        if step not in self._openings:
            known = self._known if step == self.stated.place.step else {}
            self._openings[step] = StatedOpening(self.stated.workload.step, self.node_roots(step), known)
        return self._openings[step]

    @property
    def state_roots(self) -> list[bytes]:
        last = len(self.stated.workload.step.nodes) - 1
        return [self._root(step, last) for step in range(self.steps)]

    def state_after(self, step: int) -> Sequence[Tensor]:
        raise LookupError(f"The state after step {step} is a root here.")
