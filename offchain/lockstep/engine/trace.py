"""Opening a step: every node's tensor root, and any node's chunks, on demand; one-shot traces.

A step's tree has the leaf ``H(0x00 || tensor root)`` for each node; a trace's tree has the leaf
``H(0x00 || root of the step's tree)`` for each step.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lockstep.commitments import merkle
from lockstep.commitments.tensor import TensorCommitment, commit_tensor
from lockstep.engine.committed import bound
from lockstep.engine.errors import EngineError
from lockstep.engine.hashing import commit, tensor_root
from lockstep.engine.plan import check_memory
from lockstep.engine.run import TensorLike, assert_denormals, check_committed, check_constants, check_state
from lockstep.engine.stream import NodeStream, Values, settled, stream_bytes, total_bytes
from lockstep.numerics.dtypes import ITEMSIZE, NUMPY, DType
from lockstep.program.graph import Input, Program
from lockstep.program.liveness import node_inputs
from lockstep.program.ops import InputKind

HELD_BYTES = 1 << 30
"""An opened step whose values take no more than this holds them all."""


def tracing_memory(program: Program) -> int:
    """Bytes of node values that opening a step takes beside the step itself."""
    total = total_bytes(program)
    return 2 * total if total <= HELD_BYTES else stream_bytes(program)


class StepOpening:
    """One opened step with the commitments a dispute reveals.

    ``node_roots[i]`` is node i's tensor root; ``tree`` is the step's tree. Where all values together take at most
    ``HELD_BYTES`` they are held. Else each was hashed as it was computed and dropped after its last reader, and what is
    asked for later is computed again, together with what its node reads: that comes next in a dispute.
    """

    def __init__(
        self,
        program: Program,
        stream: NodeStream,
        state: Sequence[Tensor],
        step: int,
        overrides: Values,
        committed: Sequence[Tensor] = (),
    ) -> None:
        self.program = program
        self.state, self.step, self.committed = list(state), step, list(committed)
        self.constants = stream.constants
        self._stream, self._overrides = stream, overrides
        self._holds = total_bytes(program) <= HELD_BYTES
        self._values: dict[int, Tensor] = {}
        self._commitments: dict[tuple[InputKind, int], TensorCommitment] = {}
        metrics: dict[int, float] = {}
        self.node_roots: list[bytes] = []
        nodes = self.program.nodes
        for index, value in stream.run([*self.state, *self.committed], step, overrides):
            self.node_roots.append(tensor_root(value, nodes[index].dtype))
            if index in self.program.metrics:
                metrics[index] = float(value.reshape(-1)[0])
            if self._holds:
                self._values[index] = value
        self.metrics = [metrics[index] for index in self.program.metrics]
        """The program's metrics at this step."""
        self._new_state = overrides.get(len(nodes) - 1, self._roots_of_state())
        self.node_roots.append(tensor_root(self._new_state, DType.ROOT))
        self.tree = merkle.Tree([merkle.hash_leaf(root) for root in self.node_roots])

    def _roots_of_state(self) -> Tensor:
        """The state node's value, uint8 [n, 32]: the roots of what it lists, most of them known already."""
        roots = []
        for source in self.program.nodes[-1].inputs:
            if source.kind is InputKind.NODE:
                roots.append(self.node_roots[source.value])
                continue
            tensor = self.tensor(source)
            assert tensor is not None, "A state is made of tensors."
            roots.append(tensor_root(tensor))
        return torch.from_numpy(np.frombuffer(b"".join(roots), np.uint8).reshape(len(roots), 32).copy())

    @property
    def root(self) -> bytes:
        """Root of the step's tree, 32 bytes."""
        return self.tree.root

    @property
    def state_root(self) -> bytes:
        """Root of the state after the step: the last node's tensor root."""
        return self.node_roots[-1]

    @property
    def state_after(self) -> list[Tensor]:
        """Tensors of the state after the step."""
        sources = self.program.nodes[-1].inputs
        nodes = {source.value for source in sources if source.kind is InputKind.NODE}
        made = self._some(nodes)
        after = []
        for source in sources:
            tensor = made[source.value] if source.kind is InputKind.NODE else self.tensor(source)
            assert tensor is not None, "A state is made of tensors."
            after.append(tensor)
        return after

    def values(self) -> Iterator[tuple[int, Tensor]]:
        """(node, value) of every node in order; the last, ``state``, is uint8 [n, 32]. Computed anew unless held."""
        yield from (
            self._values.items()
            if self._holds
            else self._stream.run([*self.state, *self.committed], self.step, self._overrides)
        )
        yield len(self.program.nodes) - 1, self._new_state

    def _some(self, nodes: Collection[int]) -> Values:
        if self._holds:
            return self._values
        return self._stream.some(nodes, [*self.state, *self.committed], self.step, self._overrides)

    def value(self, index: int) -> Tensor:
        """Node ``index``'s tensor in its carrier, contiguous, NaNs canonical."""
        if index == len(self.program.nodes) - 1:
            return self._new_state
        if index not in self._values:
            # What was asked for before goes: it is a node's group that is held, not all that ever was asked for.
            self._commitments.clear()
            self._values = {}
            self._values = dict(self._some({index, *node_inputs(self.program.nodes[index])}))
        return self._values[index]

    def tensor(self, source: Input) -> Tensor | None:
        """The tensor a NODE, STATE, CONST or COMMITTED input denotes; None for the other kinds."""
        match source.kind:
            case InputKind.COMMITTED:
                return self.committed[source.value]
            case InputKind.NODE:
                return self.value(source.value)
            case InputKind.STATE:
                return self.state[source.value]
            case InputKind.CONST:
                return self.constants[source.value]
            case _:
                return None

    def commitment(self, source: Input) -> TensorCommitment:
        """Chunk tree and bytes of what ``tensor`` gives, kept once made."""
        key = (source.kind, source.value)
        if key not in self._commitments:
            tensor = self.tensor(source)
            if tensor is None:
                raise EngineError(f"A {source.kind.name} input is not committed to.")
            dtype = self.program.nodes[source.value].dtype if source.kind is InputKind.NODE else None
            self._commitments[key] = commit(tensor, dtype)
        return self._commitments[key]

    def node(self, index: int) -> TensorCommitment:
        """Chunk tree and bytes of node ``index``'s tensor."""
        return self.commitment(Input(InputKind.NODE, index))

    def chunk(self, index: int, chunk: int) -> bytes:
        """Chunk ``chunk`` of node ``index``: 1024 bytes, fewer for the last."""
        return self.node(index).chunk(chunk)


class Tracer:
    """Opens steps of one program: what a run of ``open_step`` needs is prepared once.

    Memory is checked before anything is allocated: ``tracing_memory`` beside the step's own.
    """

    def __init__(
        self, program: Program, constants: Sequence[TensorLike], seed: int, *, memory_limit: int | None = None
    ) -> None:
        whole = bound(program)
        check_memory(whole, memory_limit, tracing_memory(program))
        assert_denormals()
        self.program = program
        self.stream = NodeStream(whole, check_constants(program, constants), seed)

    def open(
        self,
        state: Sequence[TensorLike],
        step: int,
        overrides: Mapping[int, Tensor] | None = None,
        committed: Sequence[TensorLike] = (),
    ) -> StepOpening:
        """Run one step and hash every node; the rest as for ``open_step``."""
        nodes = self.program.nodes
        given = {index: settled(value, nodes[index].dtype) for index, value in (overrides or {}).items()}
        behind = check_committed(self.program, committed)
        return StepOpening(self.program, self.stream, check_state(self.program, state), step, given, behind)


def open_step(
    program: Program,
    constants: Sequence[TensorLike],
    seed: int,
    state: Sequence[TensorLike],
    step: int,
    *,
    overrides: Mapping[int, Tensor] | None = None,
    memory_limit: int | None = None,
    committed: Sequence[TensorLike] = (),
) -> StepOpening:
    """Run one step and hash every node. ``Tracer`` is for more than one.

    ``overrides`` replaces nodes' values, and what follows is computed from them: how a test plays a
    party that lies about a node. ``committed`` as for ``Runner.step``. Memory is checked before anything is allocated.
    """
    return Tracer(program, constants, seed, memory_limit=memory_limit).open(state, step, overrides, committed)


class TraceWriter:
    """Writes a segment's trace into a folder: a file of node roots and one of tensors for each step.

    ``step-00000.roots`` holds 32 bytes a node, ``step-00000.data`` every node's committed bytes in
    order; their sizes follow from the program, so a reader checks them before it reads.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.step_roots: list[bytes] = []

    def add(self, opening: StepOpening) -> None:
        """Append the next step's opening."""
        stem = self.folder / f"step-{len(self.step_roots):05d}"
        stem.with_suffix(".roots").write_bytes(b"".join(opening.node_roots))
        with stem.with_suffix(".data").open("wb") as file:
            for _, value in opening.values():
                file.write(memoryview(value.numpy().reshape(-1).view(np.uint8)).cast("B"))
        self.step_roots.append(opening.root)

    @property
    def root(self) -> bytes:
        """Trace root of the steps added so far (at least one), 32 bytes."""
        return trace_tree(self.step_roots).root


def trace_tree(step_roots: Sequence[bytes]) -> merkle.Tree:
    """Tree of a trace over the roots of its steps' trees."""
    return merkle.Tree([merkle.hash_leaf(root) for root in step_roots])


class TraceReader:
    """Reads a trace written by ``TraceWriter``, perhaps by a stranger: sizes are checked, roots recomputed."""

    def __init__(self, folder: Path | str, program: Program) -> None:
        self.folder = Path(folder)
        self.program = program
        self.offsets = [0]
        for node in program.nodes:
            self.offsets.append(self.offsets[-1] + node.type.elements * ITEMSIZE[node.dtype])

    def _read(self, step: int, suffix: str, size: int, start: int, count: int) -> bytes:
        path = self.folder / f"step-{step:05d}{suffix}"
        try:
            if path.stat().st_size != size:
                raise EngineError(f"{path.name} has {path.stat().st_size} bytes where the program gives {size}.")
            with path.open("rb") as file:
                file.seek(start)
                return file.read(count)
        except OSError as error:
            raise EngineError(f"The trace's {path.name} cannot be read: {error.strerror}.") from error

    def node_roots(self, step: int) -> list[bytes]:
        """Node roots of the trace's step ``step`` (from 0), as stated."""
        size = 32 * len(self.program.nodes)
        data = self._read(step, ".roots", size, 0, size)
        return [data[i : i + 32] for i in range(0, size, 32)]

    def step_tree(self, step: int) -> merkle.Tree:
        """Tree of a step over its stated node roots."""
        return merkle.Tree([merkle.hash_leaf(root) for root in self.node_roots(step)])

    def tree(self, steps: int) -> merkle.Tree:
        """Tree of the whole trace of ``steps`` steps."""
        return trace_tree([self.step_tree(step).root for step in range(steps)])

    def node(self, step: int, index: int) -> TensorCommitment:
        """Commitment of a node's stated tensor; compare its root with the stated node root."""
        node = self.program.nodes[index]
        start, stop = self.offsets[index], self.offsets[index + 1]
        data = self._read(step, ".data", self.offsets[-1], start, stop - start)
        if node.dtype is DType.ROOT:
            return commit_tensor(np.frombuffer(data, np.uint8).reshape(-1, 32), DType.ROOT)
        return commit_tensor(np.frombuffer(data, NUMPY[node.dtype]).reshape(node.shape), node.dtype)
