"""``MixedRunner``: steps of a program in native floating point, behind the interface of the exact ``Runner``."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lockstep.engine.mixed.assembly import COUNTER, Call, Key, assemble, node_of
from lockstep.engine.mixed.kernels import Kernel
from lockstep.engine.mixed.precision import Arithmetic
from lockstep.engine.plan import check_memory, make_plan
from lockstep.engine.routes import own_input
from lockstep.engine.run import Runner, TensorLike, as_carrier, assert_denormals, check_constants
from lockstep.numerics.routes.carriers import TORCH
from lockstep.program.graph import Input, Program
from lockstep.program.ops import InputKind


class MixedRunner(Runner):
    """Runs steps of a program in native floating point: close to the exact steps, not the same bits anywhere.

    What is f32 in the program is float32 here, and contractions read their operands in ``precision``: "f32", "bf16",
    on CUDA "tf32", and for measuring "perturbed" (``noise`` chooses which; see ``Arithmetic``). Exponents and mantissas
    are computed only where something other than a contraction or a sum reads them. Integers that hang on no float are
    the exact run's, so batches and dropout are the same. Results may depend on the device, libraries and threads.

    ``EngineError`` for a precision that is not known or not there on ``device``; otherwise as ``Runner``.
    """

    def __init__(
        self,
        program: Program,
        constants: Sequence[TensorLike],
        seed: int,
        *,
        precision: str = "f32",
        device: str = "cpu",
        noise: int = 0,
        memory_limit: int | None = None,
    ) -> None:
        arithmetic = Arithmetic(precision, device, noise)
        # A float operand takes twice the mantissas' bytes.
        check_memory(program, memory_limit, make_plan(program).peak_bytes)
        assert_denormals()
        self.program = program
        self.constants = check_constants(program, constants)
        self._types = [(TORCH[entry.dtype], torch.Size(entry.shape)) for entry in program.state]
        self._device = torch.device(device).type
        self._backend = MixedBackend(program, self.constants, seed, arithmetic, device)


class MixedBackend:
    """The calls of an assembled program, made one after the other; a value goes after its last reader."""

    def __init__(
        self, program: Program, constants: Sequence[Tensor], seed: int, arithmetic: Arithmetic, device: str
    ) -> None:
        self.name = f"torch {arithmetic.precision} on {device}, not reproducible"
        self.program, self.device, self.arithmetic = program, device, arithmetic
        self._number = 0
        assembly = assemble(program, arithmetic, seed, device, lambda: self._number)
        self._places: dict[Key, int] = {}
        self._once = [self._line(call) for call in assembly.once]
        self._every = [self._line(call) for call in assembly.every]
        self._state = [self._place(key) for key in assembly.state]
        self._metrics = [self._place(key) for key in assembly.metrics]
        made = [node_of(call.key) for call in assembly.every]
        self._names = [f"{program.nodes[node].op.name.lower()} {node}" for node in made]
        self._given = [self._place(Input(InputKind.STATE, entry)) for entry in range(len(program.state))]
        self._step, self._counter = self._place(Input(InputKind.STEP)), self._place(COUNTER)
        self._lasting: list[Tensor | None] = [None] * len(self._places)
        for key, place in self._places.items():
            if isinstance(key, Input) and key.kind is InputKind.CONST:
                self._lasting[place] = constants[key.value].to(device)
            elif isinstance(key, Input) and key.kind in (InputKind.F32, InputKind.I32, InputKind.SEED):
                self._lasting[place] = own_input(program.nodes[-1], key, 0, seed, device)
        with torch.no_grad(), arithmetic.active():
            for line in self._once:
                _make(line, self._lasting)

    def _place(self, key: Key) -> int:
        """Where a value is kept."""
        return self._places.setdefault(key, len(self._places))

    def _line(self, call: Call) -> Line:
        reads, last = (tuple(self._place(key) for key in keys) for keys in (call.reads, call.last))
        return Line(call.run, self._place(call.key), reads, last)

    def _begin(self, state: Sequence[Tensor], step: int) -> list[Tensor | None]:
        self._number = step
        values = list(self._lasting)
        values[self._step] = torch.tensor(step, dtype=torch.int32, device=self.device)
        values[self._counter] = torch.tensor(step, dtype=torch.int32)
        for place, tensor in zip(self._given, state, strict=False):  # an init program is given none
            values[place] = tensor.to(self.device)
        return values

    @torch.no_grad()
    def step(
        self, state: Sequence[Tensor], step: int, out: Sequence[Tensor] | None
    ) -> tuple[list[Tensor], list[float]]:
        """As ``Runner.step``; ``out`` is not needed. What is new shares no memory with anything else."""
        values = self._begin(state, step)
        used = {value.untyped_storage().data_ptr() for value in values if value is not None}
        with self.arithmetic.active():
            for line in self._every:
                _make(line, values)
        after = []
        for place, given, entry in zip(self._state, self._given, self.program.state, strict=True):
            value = values[place]
            assert value is not None
            if place != given:
                value = _alone(as_carrier(value, entry.type, "A new state tensor"), used)
            after.append(value)
        return after, [float(value) for value in (values[place] for place in self._metrics) if value is not None]

    @torch.no_grad()
    def profile(self, state: Sequence[Tensor], step: int, repeat: int) -> list[tuple[str, float]]:
        """As ``Runner.profile``: one entry a call."""
        least = [math.inf] * len(self._every)
        for _ in range(repeat):
            values = self._begin(state, step)
            with self.arithmetic.active():
                for place, line in enumerate(self._every):
                    begun = time.perf_counter()
                    _make(line, values)
                    least[place] = min(least[place], time.perf_counter() - begun)
        return list(zip(self._names, least, strict=True))

    def close(self) -> None:
        """As ``Runner.close``: there is nothing to end."""


class Line(NamedTuple):
    """A call with places for keys."""

    run: Kernel
    place: int
    reads: tuple[int, ...]
    last: tuple[int, ...]


def _make(line: Line, values: list[Tensor | None]) -> None:
    """One value; those that nobody reads any more are dropped."""
    run, place, reads, last = line
    values[place] = run(*[values[read] for read in reads])
    for done in last:
        values[done] = None


def _alone(tensor: Tensor, used: set[int]) -> Tensor:
    """The tensor in memory of its own, of no more than its size, which is noted in ``used``."""
    storage = tensor.untyped_storage()
    if storage.data_ptr() in used or storage.nbytes() > tensor.nbytes:
        tensor = tensor.clone()
    used.add(tensor.untyped_storage().data_ptr())
    return tensor
