"""The slow interpreter: every op dispatched, inputs resolved, a step put together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.commitments.tensor import canonical_bytes, state_root, tensor_root
from lockstep.numerics.dtypes import CANONICAL_NAN, NUMPY, DType
from lockstep.program.encoding import commit_program, decode_node, decode_program, encode_node
from lockstep.program.graph import ConstantEntry, Input, Node, Program, StateEntry
from lockstep.program.ops import ELEMENTWISE_FAMILIES, InputKind, Op
from lockstep.program.reference import evaluate, evaluate_node
from lockstep.program.spec import check_program
from tests.strategies import ALL_OPS, ProgramCase, per_op, program_cases, random_node_case

F32, I32 = DType.F32, DType.I32
STEP, SEED = Input(InputKind.STEP), Input(InputKind.SEED)


def node(op: Op, dtype: DType, shape: tuple[int, ...], *inputs: Input, attrs: tuple[int, ...] = ()) -> Node:
    return Node(op, dtype, shape, inputs, attrs)


def at(i: int) -> Input:
    return Input(InputKind.NODE, i)


@pytest.mark.parametrize("op", ALL_OPS, ids=lambda op: op.name.lower())
@per_op()
@given(seed=st.integers(0, 2**32 - 1), hostile=st.booleans())
def test_every_op_has_a_value_of_its_type_whatever_its_inputs_hold(op: Op, seed: int, hostile: bool) -> None:
    case = random_node_case(np.random.default_rng(seed), op, hostile=hostile)
    value = case.value()
    if op is Op.STATE:
        assert value.shape == (*case.node.shape, 32)
        return
    assert value.shape == case.node.shape
    assert value.dtype == NUMPY[case.node.dtype]
    if case.node.dtype is F32:
        assert canonical_bytes(value, F32) == np.ascontiguousarray(value).tobytes()
    if case.node.dtype in (DType.M16, DType.E16) and not hostile:
        low, high = (-(2**14), 2**14) if case.node.dtype is DType.M16 else (-126, 255)
        assert low <= value.min()
        assert value.max() <= high


@pytest.mark.parametrize(
    "op", [op for op in ALL_OPS if op.family in ELEMENTWISE_FAMILIES], ids=lambda op: op.name.lower()
)
def test_elementwise_ops_do_not_see_neighbours(op: Op) -> None:
    for seed in range(20):
        case = random_node_case(np.random.default_rng(seed), op, hostile=True)
        whole = case.value().reshape(-1)
        for j in {0, whole.size // 2, whole.size - 1}:
            single = Node(op, case.node.dtype, (), case.node.inputs, case.node.attrs)
            arrays = [None if a is None else np.asarray(a.reshape(-1)[j]) for a in case.arrays]
            # SEED has a shape of its own
            if any(source.kind is InputKind.SEED for source in case.node.inputs):
                continue
            assert evaluate_node(single, arrays, case.step, case.seed).tobytes() == whole[j].tobytes()


def test_literals_fill_elementwise_operands_and_are_scalars_elsewhere() -> None:
    doubled = node(Op.MUL, F32, (2, 2), at(0), Input(InputKind.F32, 0x40000000))
    x = np.array([[1, 2], [3, -4]], np.float32)
    assert evaluate_node(doubled, [x, None], 0, 0).tolist() == [[2, 4], [6, -8]]
    row = node(Op.GATHER, F32, (2,), at(0), Input(InputKind.I32, 1))
    assert evaluate_node(row, [x, None], 0, 0).tolist() == [3, -4]
    assert evaluate_node(row, [x, "not looked at"], 0, 0).tolist() == [3, -4]  # type: ignore[list-item]


def test_literal_bits_are_kept_and_nan_is_canonical() -> None:
    minus_zero = node(Op.ABS, F32, (1,), Input(InputKind.F32, 0x80000000))
    assert evaluate_node(minus_zero, [None], 0, 0).view(np.uint32).tolist() == [0]
    word = node(Op.IADD, I32, (1,), Input(InputKind.I32, 0xFFFFFFFF), Input(InputKind.I32, 0x80000000))
    assert evaluate_node(word, [None, None], 0, 0).view(np.uint32).tolist() == [0x7FFFFFFF]
    noisy = node(Op.BITCAST, I32, (1,), Input(InputKind.F32, 0xFFC00001))
    assert evaluate_node(noisy, [None], 0, 0).tolist() == [CANONICAL_NAN]


def test_step_and_seed_are_i32_tensors() -> None:
    step = node(Op.IADD, I32, (), STEP, Input(InputKind.I32, 1))
    assert evaluate_node(step, [None, None], 41, 0).tolist() == 42
    seed = node(Op.IADD, I32, (2,), SEED, Input(InputKind.I32, 0))
    words = evaluate_node(seed, [None, None], 0, 0x89ABCDEF_01234567)
    assert words.view(np.uint32).tolist() == [0x01234567, 0x89ABCDEF]


def test_state_is_the_list_of_tensor_roots() -> None:
    a, b = np.arange(3, dtype=np.float32), np.array(7, np.int32)
    value = evaluate_node(node(Op.STATE, DType.ROOT, (2,), at(0), at(1)), [a, b], 0, 0)
    assert [bytes(row) for row in value] == [tensor_root(a, F32), tensor_root(b, I32)]


def test_evaluate_runs_a_step_of_gradient_descent() -> None:
    """w - 0.5 * row[step] with the row taken from a constant table, and a counter in the state."""
    table = np.array([[2, 4], [6, 8]], np.float32)
    program = Program(
        nodes=(
            node(Op.GATHER, F32, (2,), Input(InputKind.CONST, 0), STEP),
            node(Op.MUL, F32, (2,), at(0), Input(InputKind.F32, 0x3F000000)),
            node(Op.SUB, F32, (2,), Input(InputKind.STATE, 0), at(1)),
            node(Op.IADD, I32, (), Input(InputKind.STATE, 1), Input(InputKind.I32, 1)),
            node(Op.STATE, DType.ROOT, (3,), at(2), at(3), Input(InputKind.STATE, 2)),
        ),
        state=(StateEntry(F32, (2,)), StateEntry(I32, ()), StateEntry(F32, (1,), frozen=True)),
        constants=(ConstantEntry(F32, (2, 2), tensor_root(table, F32)),),
    )
    check_program(program)
    state = [np.array([10, 20], np.float32), np.array(5, np.int32), np.array([3], np.float32)]
    new_state, values = evaluate(program, state, [table], 1, 0)
    assert [x.tolist() for x in new_state] == [[7, 16], 6, [3]]
    assert values[0].tolist() == [6, 8]
    roots = [tensor_root(new_state[0], F32), tensor_root(new_state[1], I32), tensor_root(new_state[2], F32)]
    assert [bytes(row) for row in values[-1]] == roots
    assert tensor_root(values[-1], DType.ROOT) == state_root(roots)


@given(program_cases(nodes=8))
def test_a_random_program_is_valid_and_its_new_state_fits_its_entries(case: ProgramCase) -> None:
    check_program(case.program)
    new_state, values = evaluate(case.program, case.state, case.constants, case.step, case.seed)
    for entry, array in zip(case.program.state, new_state, strict=True):
        assert array.shape == entry.shape
        assert array.dtype == NUMPY[entry.dtype]
    assert len(values) == len(case.program.nodes)
    again, _ = evaluate(case.program, new_state, case.constants, case.step, case.seed)
    assert [a.shape for a in again] == [a.shape for a in new_state]


@given(program_cases(nodes=5, init=True))
def test_an_init_program_needs_no_state(case: ProgramCase) -> None:
    check_program(case.program, init=True)
    new_state, _ = evaluate(case.program, [], case.constants, 0, case.seed)
    assert len(new_state) == len(case.program.state)


@given(program_cases(nodes=6))
def test_a_program_means_the_same_after_encoding(case: ProgramCase) -> None:
    file = commit_program(case.program, check_program(case.program)).file_bytes()
    decoded, _ = decode_program(file)
    assert [decode_node(encode_node(n)) for n in case.program.nodes] == list(decoded.nodes)
    _, values = evaluate(case.program, case.state, case.constants, case.step, case.seed)
    _, again = evaluate(decoded, case.state, case.constants, case.step, case.seed)
    assert [v.tobytes() for v in values] == [v.tobytes() for v in again]


def test_a_nan_in_the_state_is_read_canonical() -> None:
    program = Program((node(Op.STATE, DType.ROOT, (1,), Input(InputKind.STATE, 0)),), (StateEntry(F32, (1,)),))
    noisy = np.array([0xFFC00001], np.uint32).view(np.float32)
    (new,), _ = evaluate(program, [noisy], [], 0, 0)
    assert new.view(np.uint32).tolist() == [CANONICAL_NAN]
