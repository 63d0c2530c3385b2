"""What an element reads: enough to determine it, in the order of the documentation, and in range."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.numerics.dtypes import DType
from lockstep.program.graph import Concat, Input, Node, TensorType, View
from lockstep.program.leaf import PROVEN_KINDS, LeafRead, leaf_reads
from lockstep.program.ops import InputKind, Op
from lockstep.program.reference import evaluate_node
from tests.strategies import ALL_OPS, per_op, random_node_case
from tests.strategies.nodes import elements_of
from tests.strategies.values import values_of

F32, I32, M16, E16 = DType.F32, DType.I32, DType.M16, DType.E16


def no_index(_: int) -> int:
    raise AssertionError("Only a gather asks for its index.")


def reads(
    op: Op,
    dtype: DType,
    shape: tuple[int, ...],
    element: int,
    types: list[tuple[DType, tuple[int, ...]]],
    attrs: object = (),
) -> list[tuple[int, int, int]]:
    inputs = tuple(Input(InputKind.NODE, slot) for slot in range(len(types)))
    node = Node(op, dtype, shape, inputs, attrs)  # type: ignore[arg-type]
    return [tuple(read) for read in leaf_reads(node, element, [TensorType(*t) for t in types], no_index)]


@pytest.mark.parametrize("op", ALL_OPS, ids=lambda op: op.name.lower())
@per_op()
@given(seed=st.integers(0, 2**32 - 1))
def test_the_element_is_determined_by_its_reads(op: Op, seed: int) -> None:
    """Whatever else the inputs hold, the element keeps its value."""
    rng = np.random.default_rng(seed)
    case = random_node_case(rng, op, hostile=True)
    value = case.value()
    for element in elements_of(rng, case.node, 3):
        runs = leaf_reads(case.node, element, case.types, case.index)
        other: list[np.ndarray | None] = []
        for slot, (array, given_type) in enumerate(zip(case.arrays, case.types, strict=True)):
            if array is None or given_type is None:
                other.append(None)
                continue
            changed = values_of(rng, given_type.dtype, given_type.shape, hostile=True).reshape(-1).copy()
            for run in runs:
                if run.slot == slot:
                    # the root of a whole tensor for a state node, else a run of elements
                    length = array.size if op is Op.STATE else run.length
                    changed[run.start : run.start + length] = array.reshape(-1)[run.start : run.start + length]
            other.append(changed.reshape(array.shape))
        again = evaluate_node(case.node, other, case.step, case.seed)
        width = 32 if op is Op.STATE else 1
        here = slice(element * width, (element + 1) * width)
        assert again.reshape(-1)[here].tobytes() == value.reshape(-1)[here].tobytes()


@pytest.mark.parametrize("op", ALL_OPS, ids=lambda op: op.name.lower())
@per_op()
@given(seed=st.integers(0, 2**32 - 1))
def test_reads_are_in_range_and_of_inputs_that_need_proof(op: Op, seed: int) -> None:
    rng = np.random.default_rng(seed)
    case = random_node_case(rng, op)
    for element in elements_of(rng, case.node, 4):
        runs = leaf_reads(case.node, element, case.types, case.index)
        slots = [run.slot for run in runs]
        assert slots == sorted(slots, key=lambda slot: (op is Op.GATHER and slot == 0, slot))
        assert len(set(slots)) == len(slots)
        for run in runs:
            assert case.node.inputs[run.slot].kind in PROVEN_KINDS
            given_type = case.types[run.slot]
            assert given_type is not None
            assert 0 <= run.start < run.start + run.length <= given_type.elements


@pytest.mark.parametrize("element", [-1, 6])
def test_an_element_outside_the_node_is_refused_with_a_sentence(element: int) -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 3\) has no element"):
        reads(Op.NEG, F32, (2, 3), element, [(F32, (2, 3))])


def test_elementwise_reads_its_own_place_of_each_operand() -> None:
    assert reads(Op.SELECT, F32, (2, 3), 4, [(I32, (2, 3)), (F32, (2, 3)), (F32, (2, 3))]) == [
        (0, 4, 1),
        (1, 4, 1),
        (2, 4, 1),
    ]


def test_row_ops_read_their_row() -> None:
    x = (F32, (2, 3, 5))
    for op in (Op.EXPONENT, Op.REDUCE_MAX, Op.ARGMAX):
        assert reads(op, F32, (2, 3), 4, [x], (0,)) == [(0, 20, 5)]
    assert reads(Op.SUM, F32, (2, 3), 4, [x, (E16, (2, 3))]) == [(0, 20, 5), (1, 4, 1)]
    assert reads(Op.QUANTIZE, M16, (2, 3, 5), 23, [x, (E16, (2, 3))], (14,)) == [(0, 23, 1), (1, 4, 1)]
    for op in (Op.SORT, Op.ARGSORT):
        assert reads(op, F32, (2, 3, 5), 23, [x]) == [(0, 20, 5)]


def test_matmul_reads_a_row_and_an_exponent_of_each_operand() -> None:
    types = [(M16, (2, 3, 7)), (E16, (2, 3)), (M16, (2, 5, 7)), (E16, (2, 5))]
    # batch 1, row 2, column 4
    assert reads(Op.MATMUL, F32, (2, 3, 5), 29, types) == [(0, 35, 7), (1, 5, 1), (2, 63, 7), (3, 9, 1)]
    assert reads(Op.MATMUL, F32, (2, 3, 5), 6, types) == [(0, 7, 7), (1, 1, 1), (2, 7, 7), (3, 1, 1)]


def test_scatter_add_reads_its_row_all_indices_and_its_exponent() -> None:
    types = [(F32, (2, 9)), (I32, (9,)), (E16, (2,))]
    assert reads(Op.SCATTER_ADD, F32, (2, 4), 5, types) == [(0, 9, 9), (1, 0, 9), (2, 1, 1)]


def test_view_reads_one_element_or_none() -> None:
    pad = View((3,), (-1,), ((0, 1),))
    assert reads(Op.VIEW, F32, (5,), 1, [(F32, (3,))], pad) == [(0, 0, 1)]
    assert reads(Op.VIEW, F32, (5,), 3, [(F32, (3,))], pad) == [(0, 2, 1)]
    assert reads(Op.VIEW, F32, (5,), 4, [(F32, (3,))], pad) == []


def test_concat_reads_one_element_of_one_input() -> None:
    types = [(F32, (2, 1)), (F32, (2, 3))]
    found = [reads(Op.CONCAT, F32, (2, 4), j, types, Concat(1, (1, 3))) for j in range(8)]
    assert found == [[(0, 0, 1)], *[[(1, i, 1)] for i in range(3)], [(0, 1, 1)], *[[(1, i, 1)] for i in range(3, 6)]]


@pytest.mark.parametrize(
    ("index", "expected"), [(2, [(0, 25, 1)]), (0, [(0, 1, 1)]), (3, [(0, 0, 1)]), (-1, [(0, 0, 1)])]
)
def test_gather_reads_the_index_first_and_element_0_of_the_table_where_it_is_out_of_range(
    index: int, expected: list[tuple[int, int, int]]
) -> None:
    types = [TensorType(F32, (3, 4, 3)), TensorType(I32, (5,))]
    node = Node(Op.GATHER, F32, (5, 4, 3), (Input(InputKind.NODE, 0), Input(InputKind.NODE, 1)))
    asked: list[int] = []

    def load(position: int) -> int:
        asked.append(position)
        return index

    assert [tuple(r) for r in leaf_reads(node, 49, types, load)] == [(1, 4, 1), *expected]
    assert asked == [4]


def test_gather_by_step_proves_only_the_table() -> None:
    node = Node(Op.GATHER, F32, (4,), (Input(InputKind.CONST, 0), Input(InputKind.STEP)))
    assert leaf_reads(node, 3, [TensorType(F32, (9, 4)), None], lambda _: 2) == [LeafRead(0, 11, 1)]


def test_generators_and_state() -> None:
    assert reads(Op.IOTA, I32, (4,), 3, []) == []
    assert reads(Op.RANDOM_BITS, I32, (4,), 3, [(I32, ())], (0,)) == [(0, 0, 1)]
    assert reads(Op.SHUFFLE, I32, (4,), 3, [(I32, (4,)), (I32, ())], (9, 0)) == [(0, 3, 1), (1, 0, 1)]
    assert reads(Op.STATE, DType.ROOT, (3,), 2, [(F32, ()), (I32, (5,)), (F32, (2,))]) == [(2, 0, 1)]


def test_literals_are_never_read() -> None:
    node = Node(Op.ADD, F32, (4,), (Input(InputKind.STATE, 0), Input(InputKind.F32, 0)))
    assert leaf_reads(node, 3, [TensorType(F32, (4,)), None], no_index) == [LeafRead(0, 3, 1)]
