"""Rows of several blocks: their parts make the reference's element, and a false element has a false part."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from lockstep.numerics.dtypes import DType
from lockstep.program.graph import Input, Node, TensorType
from lockstep.program.long_rows import (
    block_part,
    block_reads,
    block_size,
    combine,
    decode_parts,
    encode_parts,
    opening_reads,
    row_blocks,
)
from lockstep.program.ops import MAX_ROW_BLOCKS, MAX_SUM_ROW, ROW_BLOCK, SCATTER_BLOCK, InputKind, Op
from lockstep.program.spec import MAX_LEAF_BYTES, leaf_bytes
from tests.strategies.long_rows import LONG_OPS, element_bytes, exponents_of, parts_of, random_long_case

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts"))
import make_vectors_rows as vectors  # noqa: E402

by_op = pytest.mark.parametrize("op", LONG_OPS, ids=lambda op: op.name.lower())


@by_op
@pytest.mark.parametrize("hostile", [False, True])
def test_parts_of_any_content_make_the_references_element(op: Op, hostile: bool) -> None:
    for number in range(6):
        rng = np.random.default_rng([op, hostile, number])
        case = random_long_case(rng, op, hostile)
        for element in range(case.node.type.elements):
            parts = parts_of(case, element)
            assert combine(case.node, exponents_of(case, element), parts) == element_bytes(case, element)


@by_op
def test_parts_fit_64_bits_and_are_read_back(op: Op) -> None:
    case = random_long_case(np.random.default_rng(op), op, hostile=True)
    parts = parts_of(case, 0)
    assert decode_parts(encode_parts(parts)) == parts
    extremes = [-(2**63), 2**63 - 1, 0, -1]
    assert decode_parts(encode_parts(extremes)) == extremes
    assert encode_parts([1, -1]) == bytes(7) + b"\x01" + b"\xff" * 8


@by_op
def test_any_numbers_combine_to_an_element(op: Op) -> None:
    rng = np.random.default_rng([op, 9])
    case = random_long_case(rng, op)
    for _ in range(50):
        words = rng.integers(-(2**63), 2**63 - 1, 3, endpoint=True)
        exponents = [int(e) for e in rng.integers(-(2**15), 2**15, 2)]
        assert len(combine(case.node, exponents, [int(word) for word in words])) in (2, 4)


def test_blocks_cover_the_row_once() -> None:
    types = [TensorType(DType.F32, (3, 2 * ROW_BLOCK + 5))]
    node = Node(Op.ARGMAX, DType.I32, (3,), (Input(InputKind.NODE, 0),))
    runs = [block_reads(node, 2, block, types)[0] for block in range(row_blocks(node, types))]
    start = 2 * (2 * ROW_BLOCK + 5)
    assert [tuple(run) for run in runs] == [
        (0, start, ROW_BLOCK),
        (0, start + ROW_BLOCK, ROW_BLOCK),
        (0, start + 2 * ROW_BLOCK, 5),
    ]
    with pytest.raises(ValueError, match="no block 3"):
        block_reads(node, 2, 3, types)


def test_row_of_one_block_is_no_long_row() -> None:
    for op, size in ((Op.REDUCE_MAX, ROW_BLOCK), (Op.SCATTER_ADD, SCATTER_BLOCK)):
        node = Node(op, DType.F32, (1, 1), ())
        assert row_blocks(node, [TensorType(DType.F32, (1, size))]) == 1
        assert row_blocks(node, [TensorType(DType.F32, (1, size + 1))]) == 2
    assert block_size(Op.SORT) is None
    with pytest.raises(ValueError, match="no parts"):
        block_part(Node(Op.SORT, DType.F32, (1,), ()), 0, 0, [])
    with pytest.raises(ValueError, match="no parts"):
        combine(Node(Op.SORT, DType.F32, (1,), ()), [], [1])


@by_op
def test_block_at_the_longest_row_fits_a_transaction(op: Op) -> None:
    size = block_size(op)
    assert size is not None
    length = MAX_SUM_ROW if op is Op.SUM else size * MAX_ROW_BLOCKS
    wide = TensorType(DType.F32, (1, length))
    inputs = tuple(Input(InputKind.NODE, slot) for slot in range(4))
    match op:
        case Op.MATMUL:
            mantissas, exponents = TensorType(DType.M16, (1, length)), TensorType(DType.E16, (1,))
            node = Node(op, DType.F32, (1, 1), inputs)
            types = [mantissas, exponents, mantissas, exponents]
        case Op.SUM:
            node, types = Node(op, DType.F32, (1,), inputs[:2]), [wide, TensorType(DType.E16, (1,))]
        case Op.SCATTER_ADD:
            node = Node(op, DType.F32, (1, 3), inputs[:3])
            types = [wide, TensorType(DType.I32, (length,)), TensorType(DType.E16, (1,))]
        case Op.EXPONENT:
            node, types = Node(op, DType.E16, (1,), inputs[:1], (-113,)), [wide]
        case _:
            node, types = Node(op, DType.F32, (1,), inputs[:1]), [wide]
    assert row_blocks(node, types) == length // size
    assert leaf_bytes(node, types, 65_536) <= MAX_LEAF_BYTES


def test_argmax_takes_the_lowest_of_equals_over_all_blocks() -> None:
    x = np.zeros((1, 2 * ROW_BLOCK + 3), np.float32)
    x[0, [ROW_BLOCK + 7, ROW_BLOCK + 9, 2 * ROW_BLOCK + 1]] = 5.0
    node = Node(Op.ARGMAX, DType.I32, (1,), (Input(InputKind.NODE, 0),))
    blocks = [x[0, :ROW_BLOCK], x[0, ROW_BLOCK : 2 * ROW_BLOCK], x[0, 2 * ROW_BLOCK :]]
    parts = [block_part(node, 0, block, [run]) for block, run in enumerate(blocks)]
    assert int.from_bytes(combine(node, [], parts), "little") == ROW_BLOCK + 7


def test_committed_vectors_are_the_references() -> None:
    committed = json.loads((ROOT / vectors.PATH).read_text())["cases"]
    assert committed == vectors.vectors()
    assert {case["combines"] for case in committed} == {True, False}


@by_op
def test_opening_shows_the_rows_type_first(op: Op) -> None:
    case = random_long_case(np.random.default_rng(op), op)
    first, *exponents = opening_reads(case.node, case.node.type.elements - 1)
    assert tuple(first) == (0, 0, 0)
    assert [read.slot for read in exponents] == {Op.MATMUL: [1, 3], Op.SUM: [1], Op.SCATTER_ADD: [2]}.get(op, [])
