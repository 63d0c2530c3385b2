"""Integer sums of a step's contractions: which are worth stating, how they are computed, how they travel.

A file of sums is safetensors: one I64 tensor [..., M, N] a contraction, named by its node, in order and without gaps.
The whole header follows from the program, so a reader compares it byte for byte and parses nothing.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lockstep.engine.errors import EngineError
from lockstep.engine.native.engine import NativeEngine
from lockstep.engine.plan import check_memory, make_plan
from lockstep.engine.routes import MATMUL_INT8, from_numpy, matmul_route, to_numpy
from lockstep.engine.run import TensorLike, TorchBackend, check_constants, check_state, native_is_usable
from lockstep.numerics.contraction import integer_sums
from lockstep.numerics.float32 import I64
from lockstep.numerics.freivalds import LONGEST
from lockstep.numerics.routes.contraction import integer_sums_float64, integer_sums_int8
from lockstep.program.graph import Input, Program
from lockstep.program.liveness import type_bytes
from lockstep.program.ops import InputKind, Op

WORTH = 64
"""Multiply-adds that a contraction has for each element of its operands and result where checking is quicker."""
_WORD = 8


class FalseSumsError(EngineError):
    """Sums that are not those of a contraction; ``node`` says of which, the first in the program's order."""

    def __init__(self, program: Program, node: int) -> None:
        shape = ",".join(map(str, program.nodes[node].shape))
        super().__init__(f"The sums stated for node {node} (matmul f32[{shape}]) are false.")
        self.node = node


def carried_nodes(program: Program, worth: float = WORTH) -> tuple[int, ...]:
    """The contractions whose sums travel: those that depend on state or step, and are dearer to do than to check."""
    return tuple(index for index in make_plan(program).dynamic if _is_worth(program, index, worth))


def _is_worth(program: Program, index: int, worth: float) -> bool:
    node = program.nodes[index]
    if node.op is not Op.MATMUL:
        return False
    left, right = (program.input_type(node.inputs[slot]) for slot in (0, 2))
    length = left.shape[-1]
    return length <= LONGEST and node.type.elements * length >= worth * (
        left.elements + right.elements + node.type.elements
    )


def sums_bytes(program: Program, carried: Sequence[int]) -> int:
    """Bytes of a step's file of sums."""
    return len(_header(program, carried)) + _WORD * sum(program.nodes[index].type.elements for index in carried)


def _header(program: Program, carried: Sequence[int]) -> bytes:
    table: dict[str, dict[str, object]] = {}
    at = 0
    for index in carried:
        node = program.nodes[index]
        stop = at + _WORD * node.type.elements
        table[str(index)] = {"dtype": "I64", "shape": list(node.shape), "data_offsets": [at, stop]}
        at = stop
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _WORD)
    return struct.pack("<Q", len(text)) + text


def write_sums(path: Path, program: Program, carried: Sequence[int], sums: Iterator[Tensor]) -> None:
    """Write a step's sums (int64, contiguous, one a carried node) as they come, into a new file."""
    with path.open("xb") as file:
        file.write(_header(program, carried))
        for index, tensor in zip(carried, sums, strict=True):
            assert tensor.dtype is torch.int64, "Sums are int64."
            assert tuple(tensor.shape) == program.nodes[index].shape, "Sums have the contraction's shape."
            file.write(memoryview(tensor.contiguous().numpy().reshape(-1).view(np.uint8)).cast("B"))


def parse_sums(data: bytes | memoryview, program: Program, carried: Sequence[int]) -> list[I64]:
    """int64 arrays over a file's bytes, one a carried node; nothing is copied.

    ``EngineError`` where the file is not laid out as this program's sums are.
    """
    header, size = _header(program, carried), sums_bytes(program, carried)
    if len(data) != size:
        raise EngineError(f"The file of sums has {len(data)} bytes where this program's take {size}.")
    if bytes(data[: len(header)]) != header:
        raise EngineError("The file of sums does not begin with this program's header.")
    found, at = [], len(header)
    for index in carried:
        node = program.nodes[index]
        found.append(np.frombuffer(data, "<i8", node.type.elements, at).reshape(node.shape))
        at += _WORD * node.type.elements
    return found


def contraction_sums(program: Program, index: int, tensor: Callable[[Input], Tensor]) -> Tensor:
    """int64 [..., M, N]: the exact sums of node ``index``; ``tensor`` gives its operands."""
    node = program.nodes[index]
    left, right = tensor(node.inputs[0]), tensor(node.inputs[2])
    route = matmul_route(node.shape, left.shape[-1])
    if route is MATMUL_INT8:
        return integer_sums_int8(left, right).long()
    if route.name == "reference":
        return from_numpy(integer_sums(to_numpy(left), to_numpy(right)))
    return integer_sums_float64(left, right).long()


class Summing:
    """Computes the sums of a program's carried contractions, for whoever states them."""

    def __init__(
        self,
        program: Program,
        constants: Sequence[TensorLike],
        seed: int,
        carried: Sequence[int],
        *,
        memory_limit: int | None = None,
    ) -> None:
        self.program, self.carried = program, tuple(carried)
        slots = {program.nodes[index].inputs[slot] for index in carried for slot in (0, 2)}
        self._operands = sorted(slots, key=lambda source: source.value)
        largest = max((program.nodes[index].type.elements for index in carried), default=0)
        check_memory(program, memory_limit, sum(type_bytes(program.input_type(s)) for s in slots) + 8 * _WORD * largest)
        tensors = check_constants(program, constants)
        self._native: NativeEngine | None = None
        if native_is_usable(program) and self._operands:
            self._native = NativeEngine(program, self._operands, tensors, seed, torch.get_num_threads())
        else:
            self._torch = TorchBackend(program, tensors, seed)

    def run(self, state: Sequence[TensorLike], step: int) -> Iterator[Tensor]:
        """int64 [..., M, N] of each carried contraction at a step, in order, each computed when it is asked for."""
        before = check_state(self.program, state)
        values: Mapping[Input, Tensor]
        if self._native is not None:
            values = dict(zip(self._operands, self._native.run(before, step), strict=True))
        else:
            kept = self._torch.values(before, step, {source.value for source in self._operands})
            values = {Input(InputKind.NODE, index): value for index, value in kept.items()}
        for index in self.carried:
            yield contraction_sums(self.program, index, values.__getitem__)


def contraction_work(program: Program, indices: Sequence[int] | None = None) -> int:
    """Multiply-adds of some contractions of a program; without ``indices`` of all."""
    if indices is None:
        indices = [index for index, node in enumerate(program.nodes) if node.op is Op.MATMUL]
    nodes = [program.nodes[index] for index in indices]
    return sum(node.type.elements * program.input_type(node.inputs[0]).shape[-1] for node in nodes)
