"""One lowered program in the native engine, with the tensors its pointers denote."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from lockstep.engine.errors import EngineError
from lockstep.engine.native.arena import MARGIN
from lockstep.engine.native.library import load, team
from lockstep.engine.native.lower import Lowered, lower
from lockstep.engine.routes import own_input
from lockstep.numerics.dtypes import DType
from lockstep.numerics.routes.carriers import TORCH
from lockstep.program.graph import Input, Node, Program, TensorType
from lockstep.program.ops import InputKind, Op

Stated = Mapping[tuple[int, int], np.ndarray]
"""(Node, ``codes.Part``) -> array."""
NOTHING: Stated = {}

_SCALAR = Node(Op.IOTA, DType.I32, ())


class NativeEngine:
    """Computes ``outputs`` (NODE inputs of a program) from a state, natively.

    ``constants`` and ``given`` (node index to value) are contiguous CPU tensors in their carriers; this
    keeps them alive. ``raw`` outputs are int64, the exact sums before rounding (``lower.Lowering``). ``carried`` are
    contractions whose sums each run is given. One call at a time runs; others wait.
    """

    def __init__(
        self,
        program: Program,
        outputs: Sequence[Input],
        constants: Sequence[Tensor],
        seed: int,
        threads: int,
        given: Mapping[int, Tensor] | None = None,
        raw: frozenset[int] = frozenset(),
        carried: frozenset[int] = frozenset(),
    ) -> None:
        library = load()
        assert library is not None, "Ask library.load() first."
        self._library = library
        self.program, self.outputs = program, list(outputs)
        self.types: list[TensorType] = [program.input_type(source) for source in outputs]
        self._raw = [source.kind is InputKind.NODE and source.value in raw for source in outputs]
        self.lowered: Lowered = lower(program, outputs, seed, given or {}, raw, carried)
        self._kept: list[Tensor] = []
        self._lock = threading.Lock()
        self._step = torch.zeros((), dtype=torch.int32)
        self._step_word = ctypes.c_int32.from_address(self._step.data_ptr())
        self._pointers = (ctypes.c_void_p * (len(self.lowered.externals) + 1))()
        self._state: list[tuple[int, int]] = []
        self._out: list[tuple[int, int]] = []
        self._stated: list[tuple[int, tuple[int, int]]] = []
        for at, (what, kind_or_position, value) in enumerate(self.lowered.externals):
            if what == "output":
                self._out.append((at, kind_or_position))
                continue
            if what == "carried":
                self._stated.append((at, (kind_or_position, value)))
                continue
            kind = InputKind(kind_or_position)
            if kind is InputKind.STATE:
                self._state.append((at, value))
                continue
            tensor = self._fixed(Input(kind, value), constants, seed, given or {})
            self._kept.append(tensor)
            self._pointers[at] = tensor.data_ptr()
        words = np.array(self.lowered.words, np.int64)
        slots = np.array(self.lowered.slots, np.int64)
        self._handle = library.lockstep_engine(
            words.ctypes.data, len(words), slots.ctypes.data, len(slots), self.lowered.arena_bytes, team(threads)
        )
        if not self._handle:
            raise EngineError(f"There are not {self.lowered.arena_bytes} bytes of memory for this program's values.")

    def _fixed(self, source: Input, constants: Sequence[Tensor], seed: int, given: Mapping[int, Tensor]) -> Tensor:
        match source.kind:
            case InputKind.NODE:
                return given[source.value]
            case InputKind.CONST:
                return constants[source.value].contiguous()
            case InputKind.STEP:
                return self._step
            case _:
                own = own_input(_SCALAR, source, 0, seed)
                assert own is not None
                return own.contiguous()

    def __del__(self) -> None:
        handle = getattr(self, "_handle", None)
        if handle:
            self._library.lockstep_engine_free(handle)

    def empty_outputs(self) -> list[Tensor]:
        """New tensors for the outputs, with a margin behind the data that vector code may read."""
        made = []
        for kind, raw in zip(self.types, self._raw, strict=True):
            flat = torch.empty(kind.elements + MARGIN, dtype=torch.int64 if raw else TORCH[kind.dtype])
            made.append(flat[: kind.elements].view(kind.shape))
        return made

    def _point(self, state: Sequence[Tensor], step: int, out: Sequence[Tensor], stated: Stated) -> object:
        pointers = self._pointers
        self._step_word.value = step
        for at, index in self._state:
            pointers[at] = state[index].data_ptr()
        for at, position in self._out:
            pointers[at] = out[position].data_ptr()
        for at, key in self._stated:
            pointers[at] = stated[key].ctypes.data
        return pointers

    def run(
        self, state: Sequence[Tensor], step: int, out: Sequence[Tensor] | None = None, stated: Stated = NOTHING
    ) -> list[Tensor]:
        """The outputs at a step; into ``out`` (contiguous, of the outputs' types, not the state) if given.

        ``stated`` has the ``Part``s of every carried contraction: contiguous, of the types that ``Part`` says.
        """
        result = self.empty_outputs() if out is None else list(out)
        with self._lock:
            self._library.lockstep_run(self._handle, self._point(state, step, result, stated))
        return result

    def profile(
        self, state: Sequence[Tensor], step: int, repeat: int = 20, stated: Stated = NOTHING
    ) -> list[tuple[str, float]]:
        """Least seconds of each instruction over some runs, with its name."""
        runs = np.zeros((repeat, len(self.lowered.names)))
        out = self.empty_outputs()
        with self._lock:
            for row in runs:
                pointer = self._point(state, step, out, stated)
                self._library.lockstep_profile(self._handle, pointer, ctypes.c_void_p(row.ctypes.data))
        return list(zip(self.lowered.names, runs.min(0).tolist(), strict=True))
