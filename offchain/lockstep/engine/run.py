"""Run steps of a program: the fast path, where only the new state and the metrics are kept."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Collection, Sequence
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor

from lockstep.engine.committed import bound
from lockstep.engine.errors import EngineError, NativeLimitError
from lockstep.engine.plan import Plan, check_memory, make_plan
from lockstep.engine.routes import from_numpy, own_input, run_node
from lockstep.numerics.dtypes import DType
from lockstep.numerics.routes.carriers import TORCH, canonical, denormals_are_on
from lockstep.program.graph import Input, Node, Program, TensorType
from lockstep.program.ops import InputKind, Op

log = logging.getLogger("lockstep.engine")

TensorLike = Tensor | np.ndarray


def as_carrier(value: TensorLike, kind: TensorType, what: str) -> Tensor:
    """The value as a contiguous tensor of this type, f32 NaNs canonical; ``EngineError`` if it is none."""
    tensor = from_numpy(value) if isinstance(value, np.ndarray) else value.detach()
    if tensor.dtype != TORCH[kind.dtype] or tuple(tensor.shape) != kind.shape:
        raise EngineError(
            f"{what} should be {kind.dtype.name.lower()} of shape {kind.shape}, "
            f"but is {str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}."
        )
    tensor = tensor.contiguous()
    return canonical(tensor) if kind.dtype is DType.F32 else tensor


def check_constants(program: Program, constants: Sequence[TensorLike]) -> list[Tensor]:
    """Constants as tensors, their number and types checked (their roots are the caller's business)."""
    if len(constants) != len(program.constants):
        raise EngineError(f"The program has {len(program.constants)} constants, and {len(constants)} were given.")
    pairs = zip(constants, program.constants, strict=True)
    return [as_carrier(value, entry.type, f"Constant {i}") for i, (value, entry) in enumerate(pairs)]


def check_state(program: Program, state: Sequence[TensorLike]) -> list[Tensor]:
    """State as tensors, their number and types checked; an empty one for a program that reads none."""
    if not state and not reads_state(program):
        return []
    if len(state) != len(program.state):
        raise EngineError(f"The program's state has {len(program.state)} tensors, and {len(state)} were given.")
    pairs = zip(state, program.state, strict=True)
    return [as_carrier(value, entry.type, f"State tensor {i}") for i, (value, entry) in enumerate(pairs)]


def check_committed(program: Program, committed: Sequence[TensorLike]) -> list[Tensor]:
    """What a program reads of its segment's end and draw (``committed_tensors``), checked; else nothing."""
    entries = bound(program).state[len(program.state) :]
    if len(committed) != len(entries):
        raise EngineError(
            f"The program reads {len(entries)} tensors of its segment's end and draw, and {len(committed)} were given."
        )
    pairs = zip(committed, entries, strict=True)
    return [as_carrier(value, entry.type, f"Committed tensor {i}") for i, (value, entry) in enumerate(pairs)]


def reads_state(program: Program) -> bool:
    """Whether any node reads the state before the step (an init program's do not)."""
    return any(source.kind is InputKind.STATE for node in program.nodes for source in node.inputs)


def assert_denormals() -> None:
    """Refuse to compute where subnormals are flushed to zero."""
    if not denormals_are_on():
        raise EngineError(
            "Subnormal numbers are flushed to zero in this process; call torch.set_flush_denormal(False) "
            "before running Lockstep (another library may have switched it on)."
        )


class Runner:
    """Runs steps of a program on the fastest route this process trusts; the bits are the same on each.

    ``constants`` hold one tensor or array an entry. ``threads`` counts for the native engine (default:
    torch's). ``native`` asks for the native engine (True), for torch alone (False), or leaves the choice
    (None: native where there is a compiler and its self-test passes). ``memory_limit`` in bytes; see
    ``check_memory``, which comes before anything is allocated. With ``processes`` above 1 that many share each
    step (``lockstep.engine.parallel``), ``threads`` each; ``close`` ends them. On another ``device`` than "cpu" torch
    runs, by routes tested there; the state stays there between steps.
    """

    _reads_committed = False
    """Whether the program reads its segment's end. Asking it at every step would hash all its nodes."""

    def __init__(
        self,
        program: Program,
        constants: Sequence[TensorLike],
        seed: int,
        *,
        threads: int | None = None,
        native: bool | None = None,
        memory_limit: int | None = None,
        processes: int = 1,
        device: str = "cpu",
    ) -> None:
        if device != "cpu" and (processes > 1 or native):
            raise EngineError(f"On {device} one process runs, with torch: processes and native=True are for the CPU.")
        whole = bound(program)
        if processes > 1 and whole is not program:
            raise EngineError("A program in tolerance mode is replayed by one process: leave --nproc out.")
        if processes > 1:
            from lockstep.engine.parallel.ranks import extra_memory

            check_memory(program, memory_limit, extra_memory(program, processes))
        else:
            check_memory(whole, memory_limit)
        assert_denormals()
        self.program = program
        self._reads_committed = whole is not program
        self.constants = check_constants(program, constants)
        self._types = [(TORCH[entry.dtype], torch.Size(entry.shape)) for entry in program.state]
        self._device = torch.device(device).type
        self._backend: Backend
        if device != "cpu":
            self._backend = TorchBackend(whole, self.constants, seed, device)
        elif processes > 1:
            from lockstep.engine.parallel.ranks import RanksBackend

            self._backend = RanksBackend(program, self.constants, seed, processes, threads, native is not False)
        elif native is not False and native_is_usable(whole):
            from lockstep.engine.native.runner import NativeBackend

            count = torch.get_num_threads() if threads is None else threads
            try:
                self._backend = NativeBackend(whole, self.constants, seed, count)
            except NativeLimitError as error:
                if native:
                    raise
                log.info("PyTorch runs this program: the native engine cannot hold it (%s)", error)
                self._backend = TorchBackend(whole, self.constants, seed)
        elif native:
            raise EngineError("The native engine cannot be used here; the log of lockstep.engine says why.")
        else:
            self._backend = TorchBackend(whole, self.constants, seed)

    @property
    def name(self) -> str:
        """What runs, for people: "torch", "native int8 AMX, 2 threads"."""
        return self._backend.name

    def step(
        self,
        state: Sequence[TensorLike],
        step: int,
        out: Sequence[Tensor] | None = None,
        committed: Sequence[TensorLike] = (),
    ) -> tuple[list[Tensor], list[float]]:
        """New state (contiguous tensors, f32 NaNs canonical) and metrics of global step ``step``.

        The given state is not changed. ``out`` are tensors the new state may be written into: of the
        state's types, contiguous, sharing no memory with ``state``; entries that do not change are
        passed on instead. ``committed`` is for a program that reads what its segment must end in
        (``lockstep.engine.committed``). ``EngineError`` where a state does not fit the program.
        """
        given = self._checked(state)
        if not self._reads_committed and not committed:
            return self._backend.step(given, step, out)
        behind = check_committed(self.program, committed)
        after, metrics = self._backend.step([*given, *behind], step, None if out is None else [*out, *behind])
        return after[: len(given)], metrics

    def profile(self, state: Sequence[TensorLike], step: int = 0, repeat: int = 20) -> list[tuple[str, float]]:
        """Where a step's time goes: least seconds over ``repeat`` runs of each node or native instruction, by name.

        A name begins with the op; a native instruction may be many elementwise nodes at once ("fused 3..9 x7").
        """
        return self._backend.profile(self._checked(state), step, repeat)

    def _checked(self, state: Sequence[TensorLike]) -> Sequence[Tensor]:
        """As ``check_state``, quickly where nothing is wrong. NaNs need not be canonical inside a step."""
        if len(state) == len(self._types):
            for tensor, (dtype, shape) in zip(state, self._types, strict=True):
                if not isinstance(tensor, Tensor) or tensor.dtype != dtype or tensor.shape != shape:
                    break
                if not tensor.is_contiguous() or tensor.requires_grad or tensor.device.type != self._device:
                    break
            else:
                return cast(Sequence[Tensor], state)
        return check_state(self.program, state)

    def close(self) -> None:
        """End the processes that share the work, if there are any; no step is possible after that."""
        self._backend.close()

    def empty_state(self) -> list[Tensor]:
        """Tensors of the state's types, for ``out``."""
        return [torch.empty(entry.shape, dtype=TORCH[entry.dtype]) for entry in self.program.state]


class Backend(Protocol):
    """What a runner runs on."""

    name: str

    def step(
        self, state: Sequence[Tensor], step: int, out: Sequence[Tensor] | None
    ) -> tuple[list[Tensor], list[float]]:
        """As ``Runner.step``, with a state that has been checked."""

    def profile(self, state: Sequence[Tensor], step: int, repeat: int) -> list[tuple[str, float]]:
        """As ``Runner.profile``."""

    def close(self) -> None:
        """As ``Runner.close``."""


def native_is_usable(program: Program) -> bool:
    """Whether the native engine is there, allowed, and right about every op of the program."""
    from lockstep.engine.native.library import load
    from lockstep.engine.native.selftest import passes

    return load() is not None and all(passes(op) for op in {node.op for node in program.nodes} - {Op.STATE})


class TorchBackend:
    """Steps with torch operations, node by node, each value dropped after its last reader."""

    def __init__(self, program: Program, constants: Sequence[Tensor], seed: int, device: str = "cpu") -> None:
        self.name = "torch" if device == "cpu" else f"torch on {device}"
        self.program = program
        self.plan: Plan = make_plan(program)
        self.seed = seed
        self.device = device
        self.constants = [tensor.to(device) for tensor in constants]
        self._literals: dict[tuple[InputKind, int], Tensor] = {}
        self._static: dict[int, Tensor] = {}
        for index in self.plan.static:
            self._static[index] = self._value(program.nodes[index], self._static, (), 0)

    def _value(self, node: Node, values: dict[int, Tensor], state: Sequence[Tensor], step: int) -> Tensor:
        return run_node(node, self._inputs(node, values, state, step), self.seed, self.device)

    def _inputs(self, node: Node, values: dict[int, Tensor], state: Sequence[Tensor], step: int) -> list[Tensor]:
        inputs = []
        for source in node.inputs:
            match source.kind:
                case InputKind.NODE:
                    inputs.append(values[source.value])
                case InputKind.STATE:
                    inputs.append(state[source.value])
                case InputKind.CONST:
                    inputs.append(self.constants[source.value])
                case _:
                    inputs.append(self._own(node, source, step))
        return inputs

    def _own(self, node: Node, source: Input, step: int) -> Tensor:
        key = (source.kind, source.value)
        found = self._literals.get(key)
        if found is None:
            found = own_input(node, source, step, self.seed, self.device)
            assert found is not None
            if source.kind is not InputKind.STEP:
                self._literals[key] = found
        return found

    def step(
        self, state: Sequence[Tensor], step: int, out: Sequence[Tensor] | None
    ) -> tuple[list[Tensor], list[float]]:
        """As ``Runner.step``; ``out`` is not needed."""
        program = self.program
        before = [tensor.to(self.device) for tensor in state]
        values = dict(self._static)
        for index in self.plan.dynamic:
            self._advance(index, values, before, step)
        after = []
        pairs = zip(program.nodes[-1].inputs, program.state, strict=True)
        for position, (source, entry) in enumerate(pairs):
            match source.kind:
                case InputKind.NODE:
                    after.append(as_carrier(values[source.value], entry.type, f"New state tensor {position}"))
                case InputKind.STATE:
                    after.append(before[source.value])
                case _:
                    after.append(self.constants[source.value])
        return after, [float(values[index]) for index in program.metrics]

    def _advance(self, index: int, values: dict[int, Tensor], state: Sequence[Tensor], step: int) -> None:
        """One node's value; those that nobody reads any more are dropped."""
        values[index] = self._value(self.program.nodes[index], values, state, step)
        self._drop(index, values)

    def _drop(self, index: int, values: dict[int, Tensor]) -> None:
        """Let the values go whose last reader is node ``index``."""
        for done in self.plan.release.get(index, ()):
            del values[done]

    def values(self, state: Sequence[Tensor], step: int, wanted: Collection[int]) -> dict[int, Tensor]:
        """The values of some nodes at a step, all of them kept."""
        values, kept = dict(self._static), {index: self._static[index] for index in wanted if index in self._static}
        for index in self.plan.dynamic:
            self._advance(index, values, state, step)
            if index in wanted:
                kept[index] = values[index]
        return kept

    def profile(self, state: Sequence[Tensor], step: int, repeat: int) -> list[tuple[str, float]]:
        """As ``Runner.profile``."""
        names = [f"{self.program.nodes[index].op.name.lower()} {index}" for index in self.plan.dynamic]
        least = [math.inf] * len(names)
        for _ in range(repeat):
            values = dict(self._static)
            for place, index in enumerate(self.plan.dynamic):
                begun = time.perf_counter()
                self._advance(index, values, state, step)
                least[place] = min(least[place], time.perf_counter() - begun)
        return list(zip(names, least, strict=True))

    def close(self) -> None:
        """As ``Runner.close``: there is nothing to end."""
