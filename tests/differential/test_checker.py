"""The checker on chain gives the verdict of ``lockstep.program.spec`` on every node, valid or mutated."""

from __future__ import annotations

import numpy as np
import pytest

from lockstep.commitments.tensor import tensor_header
from lockstep.numerics.dtypes import DType
from lockstep.program import spec
from lockstep.program.encoding import EncodingError, decode_node, encode_node
from lockstep.program.graph import Input, Node, Program
from lockstep.program.infer import ProgramError, check_shape, check_site, infer
from lockstep.program.ops import DRAW_WORDS, ELEMENTWISE_FAMILIES, InputKind, Op
from tests.differential.harness import PROVEN, Check, ExecutorHarness
from tests.strategies.programs import random_program_case
from tests.strategies.values import Rng

pytestmark = pytest.mark.chain

PROGRAMS, LONG_PROGRAMS = 12, 400
MUTANTS = 12
"""Mutants a node."""


def header_of(program: Program, node: Node, slot: int) -> bytes:
    """Header of what an input denotes, empty where it denotes no tensor of the program."""
    source = node.inputs[slot]
    tables = {
        InputKind.NODE: program.nodes,
        InputKind.STATE: program.state,
        InputKind.CONST: program.constants,
        InputKind.COMMITTED: program.state,
    }
    if source == Input(InputKind.COMMITTED, len(program.state)):
        return tensor_header(DType.I32, (DRAW_WORDS,))
    if source.kind not in PROVEN or source.value >= len(tables[source.kind]):
        return b""
    given = tables[source.kind][source.value].type
    return tensor_header(given.dtype, given.shape)


def check_of(program: Program, data: bytes, index: int, init: bool) -> Check:
    """The chain's question about these bytes as node ``index``."""
    try:
        node = decode_node(data)
        headers = tuple(header_of(program, node, slot) for slot in range(len(node.inputs)))
    except EncodingError:
        headers = ()
    return Check(data, index, len(program.nodes), len(program.state), len(program.constants), init, headers)


def verdict(program: Program, data: bytes, index: int, init: bool) -> bool:
    """What ``spec`` says of these bytes as node ``index``; frozen entries and leaf bytes are judged elsewhere."""
    try:
        node = decode_node(data)
        changed = Program((*program.nodes[:index], node, *program.nodes[index + 1 :]), program.state, program.constants)
        check_shape(node.shape, "its output")
        for slot, source in enumerate(node.inputs):
            spec._check_input(changed, index, slot, source, init=init)
        shape = node.shape if node.op.family in ELEMENTWISE_FAMILIES else None
        types = [changed.input_type(source, shape) for source in node.inputs]
        if any(given.dtype.name == "ROOT" for given in types) or infer(node, types) != node.type:
            return False
        last = index == len(program.nodes) - 1
        if (node.op is Op.STATE) is not last or (last and len(node.inputs) != len(program.state)):
            return False
        check_site(node.op, node.attrs if isinstance(node.attrs, tuple) else (), init=init)
    except (EncodingError, ProgramError):
        return False
    return True


def mutate(rng: Rng, data: bytes) -> bytes:
    """A few bytes changed, most of them by one; sometimes cut or grown."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 3))):
        position = int(rng.integers(0, len(changed)))
        if rng.random() < 0.5:
            position = min(position, 10)  # op, dtype, rank, first extents
        step = int(rng.choice([1, 255, 2, 16, 128, int(rng.integers(1, 256))]))
        changed[position] = (changed[position] + step) % 256
    match rng.integers(0, 20):
        case 0:
            return bytes(changed[:-1])
        case 1:
            return bytes(changed) + b"\0"
    return bytes(changed)


def compare(executor: ExecutorHarness, programs: int, seed: int) -> tuple[int, int]:
    """Valid nodes and mutants of random programs; returns how many were valid and how many were not."""
    checks, wanted = [], []
    for number in range(programs):
        rng = np.random.default_rng([seed, number])
        init = number % 3 == 0
        program = random_program_case(rng, init=init).program
        for index, node in enumerate(program.nodes):
            data = encode_node(node)
            for mutant in (data, *(mutate(rng, data) for _ in range(MUTANTS))):
                checks.append(check_of(program, mutant, index, init))
                wanted.append(verdict(program, mutant, index, init))
            for other in (not init,):
                checks.append(check_of(program, data, index, other))
                wanted.append(verdict(program, data, index, other))
    valid, _ = executor.check(checks)
    for check, found, want in zip(checks, valid, wanted, strict=True):
        assert found == want, f"checker {found}, spec {want}: {check}"
    return sum(wanted), len(wanted) - sum(wanted)


def test_checker_agrees_with_spec(executor: ExecutorHarness) -> None:
    good, bad = compare(executor, PROGRAMS, 0)
    assert good > 50
    assert bad > 500


@pytest.mark.long
def test_checker_agrees_with_spec_on_many_more(executor: ExecutorHarness) -> None:
    for part in range(10):
        compare(executor, LONG_PROGRAMS // 10, 1 + part)
