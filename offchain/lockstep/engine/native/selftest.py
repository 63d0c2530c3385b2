"""The native engine's ops against the reference's edge cases, once a process before their first use."""

from __future__ import annotations

import functools
import logging

import numpy as np
from torch import Tensor

from lockstep.engine.native.codes import Part
from lockstep.engine.native.engine import NativeEngine
from lockstep.engine.routes import SELF_TEST_SEED, expected_values, from_numpy, same_bits
from lockstep.numerics.contraction import integer_sums
from lockstep.numerics.dtypes import DType
from lockstep.numerics.freivalds import LONGEST, challenge
from lockstep.program.graph import ConstantEntry, Input, Node, Program
from lockstep.program.ops import ELEMENTWISE_FAMILIES, InputKind, Op

log = logging.getLogger("lockstep.engine")

THREADS = (1, 2)
_CARRIED = {"f4": DType.F32, "i4": DType.I32, "i2": DType.M16, "u1": DType.U8, "u2": DType.U16}
_EXPONENT_SLOTS = {Op.QUANTIZE: (1,), Op.SUM: (1,), Op.MATMUL: (1, 3), Op.SCATTER_ADD: (2,)}


def case_program(op: Op) -> tuple[Program, list[Tensor], list[np.ndarray]]:
    """All edge cases of an op as the nodes of one program; its constants, and the expected values."""
    nodes: list[Node] = []
    entries: list[ConstantEntry] = []
    constants: list[Tensor] = []
    wanted: list[np.ndarray] = []
    for (node, arrays), expected in expected_values(op):
        inputs = []
        for slot, array in enumerate(arrays):
            dtype = _CARRIED[array.dtype.str[1:]]
            if slot in _EXPONENT_SLOTS.get(op, ()):
                dtype = DType.E16
            if array.shape == () and op.family in ELEMENTWISE_FAMILIES:
                kind = InputKind.F32 if dtype is DType.F32 else InputKind.I32
                inputs.append(Input(kind, int(array.view(np.uint32))))
                continue
            entries.append(ConstantEntry(dtype, array.shape, bytes(32)))
            constants.append(from_numpy(np.ascontiguousarray(array)))
            inputs.append(Input(InputKind.CONST, len(entries) - 1))
        nodes.append(Node(node.op, node.dtype, node.shape, tuple(inputs), node.attrs))
        wanted.append(expected)
    return Program(tuple(nodes), (), tuple(entries)), constants, wanted


@functools.cache
def passes(op: Op) -> bool:
    """Whether the native engine gives the reference's bits on an op's edge cases, at one and two threads."""
    program, constants, wanted = case_program(op)
    outputs = [Input(InputKind.NODE, index) for index in range(len(program.nodes))]
    for threads in THREADS:
        found = NativeEngine(program, outputs, constants, SELF_TEST_SEED, threads).run([], 0)
        for value, expected, node in zip(found, wanted, program.nodes, strict=True):
            if not same_bits(value, expected, node.dtype):
                log.warning(
                    "The native route of %s differs from the reference; the native engine is not used.", op.name
                )
                return False
    return True


@functools.cache
def passes_freivalds() -> bool:
    """Whether the native check of stated sums passes right ones, rounds them rightly, and refuses false ones."""
    program, constants, values = case_program(Op.MATMUL)
    lengths = [program.input_type(node.inputs[0]).shape[-1] for node in program.nodes]
    carried = [index for index, length in enumerate(lengths) if length <= LONGEST]
    outputs = [Input(InputKind.NODE, index) for index in carried]
    wanted, dtypes = [values[index] for index in carried], [DType.F32] * len(carried)
    right: dict[tuple[int, int], np.ndarray] = {}
    for index in carried:
        node = program.nodes[index]
        ma, mb = (constants[node.inputs[slot].value].numpy() for slot in (0, 2))
        right[index, Part.SUMS] = integer_sums(ma, mb)
        right[index, Part.RANDOM] = challenge(b"self-test", index, node.shape[-1])
    for threads in THREADS:
        engine = NativeEngine(program, outputs, constants, SELF_TEST_SEED, threads, carried=frozenset(carried))
        for change in (0, 1):
            stated = {key: array + (change if key[1] == Part.SUMS else 0) for key, array in right.items()}
            stated |= {(index, Part.VERDICT): np.zeros((), np.int32) for index in carried}
            found = engine.run([], 0, stated=stated)
            judged = all(stated[index, Part.VERDICT] == change for index in carried)
            if judged and (change or all(map(same_bits, found, wanted, dtypes))):
                continue
            log.warning("The native check of stated sums differs from the reference; it is not used.")
            return False
    return True
