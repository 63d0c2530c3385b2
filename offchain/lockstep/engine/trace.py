"""Opening a step: every node's tensor root, and any node's chunks, on demand; one-shot traces.

A step's tree has the leaf ``H(0x00 || tensor root)`` for each node; a trace's tree has the leaf
``H(0x00 || root of the step's tree)`` for each step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lockstep.commitments import merkle
from lockstep.commitments.tensor import TensorCommitment, commit_tensor
from lockstep.engine.errors import EngineError
from lockstep.engine.hashing import commit, hash_tensors, tensor_root
from lockstep.engine.native.engine import NativeEngine
from lockstep.engine.plan import check_memory, type_bytes
from lockstep.engine.routes import own_input, run_node
from lockstep.engine.run import TensorLike, assert_denormals, check_constants, check_state, native_is_usable
from lockstep.numerics.dtypes import ITEMSIZE, NUMPY, DType
from lockstep.numerics.routes.carriers import canonical
from lockstep.program.graph import Input, Program
from lockstep.program.ops import InputKind


class StepOpening:
    """Everything one step computed, with the commitments a dispute reveals.

    ``values[i]`` is node i's tensor in its carrier (the last, ``state``: uint8 [n, 32]), contiguous,
    NaNs canonical. ``node_roots[i]`` is its tensor root; ``tree`` is the step's tree.
    """

    def __init__(
        self,
        program: Program,
        values: Sequence[Tensor],
        state: Sequence[Tensor],
        constants: Sequence[Tensor],
        step: int,
    ) -> None:
        self.program = program
        self.values = list(values)
        self.state = list(state)
        self.constants = list(constants)
        self.step = step
        self.node_roots = hash_tensors(self.values, [node.dtype for node in program.nodes[: len(values)]])
        if len(self.values) < len(program.nodes):
            self._close()
        self.tree = merkle.Tree([merkle.hash_leaf(root) for root in self.node_roots])
        self._commitments: dict[tuple[InputKind, int], TensorCommitment] = {}

    def _close(self) -> None:
        """The state node's value: the roots of what it lists, most of them known already."""
        roots = []
        for source in self.program.nodes[-1].inputs:
            tensor = self.tensor(source)
            assert tensor is not None, "A state is made of tensors."
            roots.append(self.node_roots[source.value] if source.kind is InputKind.NODE else tensor_root(tensor))
        value = torch.from_numpy(np.frombuffer(b"".join(roots), np.uint8).reshape(len(roots), 32).copy())
        self.values.append(value)
        self.node_roots.append(tensor_root(value, DType.ROOT))

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
        after = []
        for source in self.program.nodes[-1].inputs:
            tensor = self.tensor(source)
            assert tensor is not None, "A state is made of tensors."
            after.append(tensor)
        return after

    @property
    def metrics(self) -> list[float]:
        """The program's metrics at this step."""
        return [float(self.values[index].reshape(-1)[0]) for index in self.program.metrics]

    def tensor(self, source: Input) -> Tensor | None:
        """The tensor a NODE, STATE or CONST input denotes; None for the other kinds."""
        match source.kind:
            case InputKind.NODE:
                return self.values[source.value]
            case InputKind.STATE:
                return self.state[source.value]
            case InputKind.CONST:
                return self.constants[source.value]
            case _:
                return None

    def commitment(self, source: Input) -> TensorCommitment:
        """Chunk tree and bytes of a NODE, STATE or CONST input's tensor, kept once made."""
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

    Memory is checked before anything is allocated: a traced step keeps every node.
    """

    def __init__(
        self, program: Program, constants: Sequence[TensorLike], seed: int, *, memory_limit: int | None = None
    ) -> None:
        check_memory(program, memory_limit, extra=2 * sum(type_bytes(node.type) for node in program.nodes))
        assert_denormals()
        self.program = program
        self.seed = seed
        self.constants = check_constants(program, constants)
        self._native: NativeEngine | None = None
        if native_is_usable(program) and len(program.nodes) > 1:
            outputs = [Input(InputKind.NODE, index) for index in range(len(program.nodes) - 1)]
            self._native = NativeEngine(program, outputs, self.constants, seed, torch.get_num_threads())

    def open(
        self, state: Sequence[TensorLike], step: int, overrides: Mapping[int, Tensor] | None = None
    ) -> StepOpening:
        """Run one step with every node kept, and hash them all; ``overrides`` as for ``open_step``."""
        before = check_state(self.program, state)
        if self._native is not None and not overrides:
            return StepOpening(self.program, self._native.run(before, step), before, self.constants, step)
        values: list[Tensor] = []
        for index, node in enumerate(self.program.nodes[:-1]):
            if overrides and index in overrides:
                values.append(_settled(overrides[index], node.dtype))
                continue
            inputs = []
            for source in node.inputs:
                match source.kind:
                    case InputKind.NODE:
                        inputs.append(values[source.value])
                    case InputKind.STATE:
                        inputs.append(before[source.value])
                    case InputKind.CONST:
                        inputs.append(self.constants[source.value])
                    case _:
                        own = own_input(node, source, step, self.seed)
                        assert own is not None
                        inputs.append(own)
            values.append(_settled(run_node(node, inputs, self.seed), node.dtype))
        last = len(self.program.nodes) - 1
        if overrides and last in overrides:
            values.append(overrides[last].contiguous())
        return StepOpening(self.program, values, before, self.constants, step)


def open_step(
    program: Program,
    constants: Sequence[TensorLike],
    seed: int,
    state: Sequence[TensorLike],
    step: int,
    *,
    overrides: Mapping[int, Tensor] | None = None,
    memory_limit: int | None = None,
) -> StepOpening:
    """Run one step with every node kept, hash them all. ``Tracer`` is for more than one.

    ``overrides`` replaces nodes' values, and what follows is computed from them: how a test plays a
    party that lies about a node. Memory is checked before anything is allocated.
    """
    return Tracer(program, constants, seed, memory_limit=memory_limit).open(state, step, overrides)


def _settled(value: Tensor, dtype: DType) -> Tensor:
    """The value as it is committed: contiguous, NaNs canonical."""
    value = value.contiguous()
    return canonical(value) if dtype is DType.F32 else value


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
            for value in opening.values:
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
