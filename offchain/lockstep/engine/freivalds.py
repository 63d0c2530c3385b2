"""Steps whose contractions somebody else did: their stated sums are checked and rounded, everything else is computed.

So the state after the step is this party's own, but for a chance below 2^-60: whoever states false sums cannot know the
residues that they meet, which are drawn from fresh randomness once the sums are fixed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lockstep.engine.errors import NativeLimitError
from lockstep.engine.native.codes import Part
from lockstep.engine.native.runner import NativeBackend
from lockstep.engine.native.selftest import passes_freivalds
from lockstep.engine.plan import check_memory
from lockstep.engine.routes import from_numpy, to_numpy
from lockstep.engine.run import (
    TensorLike,
    TorchBackend,
    assert_denormals,
    check_constants,
    check_state,
    native_is_usable,
)
from lockstep.engine.sums import FalseSumsError
from lockstep.numerics.contraction import round_sums
from lockstep.numerics.float32 import I64
from lockstep.numerics.freivalds import challenge, sums_hold
from lockstep.program.graph import Program


class _CheckedTorch(TorchBackend):
    """The torch backend with some contractions' results taken from stated sums, after the check of the reference."""

    def __init__(self, program: Program, constants: Sequence[Tensor], seed: int) -> None:
        super().__init__(program, constants, seed)
        self.stated: dict[int, I64] = {}
        self.entropy = b""

    def _advance(self, index: int, values: dict[int, Tensor], state: Sequence[Tensor], step: int) -> None:
        if index not in self.stated:
            super()._advance(index, values, state, step)
            return
        node, sums = self.program.nodes[index], self.stated[index]
        ma, ea, mb, eb = (to_numpy(x) for x in self._inputs(node, values, state, step))
        if not sums_hold(ma, mb, sums, challenge(self.entropy, index, node.shape[-1])):
            raise FalseSumsError(self.program, index)
        values[index] = from_numpy(round_sums(sums, ea, eb))
        self._drop(index, values)


class CheckedRunner:
    """Runs steps of a program on stated sums of its ``carried`` contractions; the rest it computes itself.

    ``carried`` are dynamic contractions, as ``carried_nodes`` finds them. Other arguments as for ``Runner``.
    """

    def __init__(
        self,
        program: Program,
        constants: Sequence[TensorLike],
        seed: int,
        carried: Sequence[int],
        *,
        threads: int | None = None,
        native: bool | None = None,
        memory_limit: int | None = None,
    ) -> None:
        self.program = program
        self.carried = tuple(carried)
        check_memory(program, memory_limit)
        assert_denormals()
        tensors = check_constants(program, constants)
        self._native: NativeBackend | None = None
        if native is not False and native_is_usable(program) and passes_freivalds():
            count = torch.get_num_threads() if threads is None else threads
            try:
                self._native = NativeBackend(program, tensors, seed, count, frozenset(self.carried))
            except NativeLimitError:
                if native:
                    raise
        self._torch = _CheckedTorch(program, tensors, seed) if self._native is None else None

    @property
    def is_native(self) -> bool:
        """Whether the native engine runs this."""
        return self._native is not None

    def step(
        self, state: Sequence[TensorLike], step: int, sums: Sequence[I64], entropy: bytes
    ) -> tuple[list[Tensor], list[float]]:
        """New state and metrics of global step ``step``, as ``Runner.step`` has them.

        ``sums`` are int64 [..., M, N], one a carried contraction. ``entropy`` must be unknown to whoever stated them
        until they are fixed.

        Raises:
            FalseSumsError: some are not the sums of their contraction; it names the first

        """
        before = check_state(self.program, state)
        pairs = list(zip(self.carried, sums, strict=True))
        for index, array in pairs:
            assert array.dtype == np.int64, "Sums are int64."
            assert array.shape == self.program.nodes[index].shape, "Sums have the contraction's shape."
        if self._torch is not None:
            self._torch.stated, self._torch.entropy = dict(pairs), entropy
            return self._torch.step(before, step, None)
        assert self._native is not None
        stated = self._stated(pairs, entropy)
        result = self._native.step(before, step, None, stated)
        for index in self.carried:
            if stated[index, Part.VERDICT].any():
                raise FalseSumsError(self.program, index)
        return result

    def _stated(self, pairs: Sequence[tuple[int, I64]], entropy: bytes) -> dict[tuple[int, int], np.ndarray]:
        stated: dict[tuple[int, int], np.ndarray] = {}
        for index, array in pairs:
            columns = self.program.nodes[index].shape[-1]
            stated[index, Part.SUMS] = np.ascontiguousarray(array)
            stated[index, Part.RANDOM] = challenge(entropy, index, columns)
            stated[index, Part.VERDICT] = np.zeros((), np.int32)
        return stated

    def profile(
        self, state: Sequence[TensorLike], step: int, sums: Sequence[I64], repeat: int
    ) -> list[tuple[str, float]]:
        """As ``Runner.profile``; only of the native engine."""
        assert self._native is not None, "Only the native engine is profiled."
        stated = self._stated(list(zip(self.carried, sums, strict=True)), b"profile")
        return self._native.engine.profile(check_state(self.program, state), step, repeat, stated)
