"""Rows of several blocks: the executor gives the reference's parts, and agrees on what parts combine to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from lockstep.program.encoding import encode_node
from lockstep.program.leaf import LeafRead
from lockstep.program.long_rows import (
    PART_BYTES,
    block_reads,
    block_size,
    combine,
    encode_parts,
    opening_reads,
    row_blocks,
)
from lockstep.program.ops import MAX_ROW_BLOCKS, MAX_SUM_ROW, Op
from tests.differential.harness import ExecutorHarness
from tests.strategies.long_rows import (
    LONG_OPS,
    element_bytes,
    exponents_of,
    part_of,
    parts_of,
    random_long_case,
    run_of,
)
from tests.strategies.nodes import NodeCase

pytestmark = pytest.mark.chain

CASES, LONG_CASES = 8, 400
LOG_GAS_A_BYTE = 8
by_op = pytest.mark.parametrize("op", LONG_OPS, ids=lambda op: op.name.lower())


def shown(harness: ExecutorHarness, case: NodeCase, reads: Sequence[LeafRead]) -> list[Any]:
    return [
        (read.slot, read.start, harness.header(case.types[read.slot]), run_of(case, read).tobytes()) for read in reads
    ]


def compare_parts(executor: ExecutorHarness, op: Op, count: int, seed: int) -> None:
    """Every block of an element of random rows, every second one over what only a liar would commit."""
    calls, wanted = [], []
    for number in range(count):
        rng = np.random.default_rng([seed, op, number])
        case = random_long_case(rng, op, hostile=number % 2 == 1)
        element = int(rng.integers(0, case.node.type.elements))
        for block in range(row_blocks(case.node, case.types)):
            reads = shown(executor, case, block_reads(case.node, element, block, case.types))
            calls.append((encode_node(case.node), element, block, reads))
            wanted.append(part_of(case, element, block))
    parts, _ = executor.blocks(calls)
    assert parts == wanted


def compare_combinations(executor: ExecutorHarness, op: Op, count: int, seed: int) -> None:
    """True parts, other parts and other elements: both say the same of whether they combine."""
    calls, wanted = [], []
    for number in range(count):
        rng = np.random.default_rng([seed, op, number])
        case = random_long_case(rng, op, hostile=number % 2 == 1)
        element = int(rng.integers(0, case.node.type.elements))
        exponents, truth = exponents_of(case, element), parts_of(case, element)
        opening = shown(executor, case, opening_reads(case.node, element))
        stated = element_bytes(case, element)
        for _ in range(4):
            parts = list(truth)
            for place in range(len(parts)):
                if rng.random() < 0.4:
                    edges = np.array([0, -1, 2**31, -(2**63), 2**63 - 1, int(rng.integers(-(2**62), 2**62))])
                    parts[place] = int(rng.choice(edges))
            made = combine(case.node, exponents, parts)
            flipped = bytes([made[0] ^ 1]) + made[1:]
            for claim in (stated, made, flipped):
                calls.append((encode_node(case.node), element, claim, opening, encode_parts(parts)))
                wanted.append(made == claim)
    holds, _ = executor.combinations(calls)
    assert holds == wanted
    assert {True, False} == set(wanted)


@by_op
def test_parts_of_random_blocks_are_the_references(executor: ExecutorHarness, op: Op) -> None:
    compare_parts(executor, op, CASES, 0)


@by_op
def test_random_parts_combine_alike(executor: ExecutorHarness, op: Op) -> None:
    compare_combinations(executor, op, CASES, 1)


@pytest.mark.long
@by_op
def test_many_more_parts_and_combinations_are_alike(executor: ExecutorHarness, op: Op) -> None:
    for part in range(10):
        compare_parts(executor, op, LONG_CASES // 10, 2 + part)
        compare_combinations(executor, op, LONG_CASES // 10, 20 + part)


@by_op
def test_parts_of_the_longest_row_combine_within_a_transaction(executor: ExecutorHarness, op: Op) -> None:
    """4,096 parts of 8 bytes are one reveal: its calldata at the floor, or calldata, log and the executor's work."""
    rng = np.random.default_rng(op)
    case = random_long_case(rng, op)
    opening = shown(executor, case, opening_reads(case.node, 0))
    # only the header says how long the row is
    slot, start, header, data = opening[0]
    size = block_size(op)
    assert size is not None
    blocks = MAX_SUM_ROW // size if op is Op.SUM else MAX_ROW_BLOCKS
    opening[0] = (slot, start, header[:-4] + (size * blocks).to_bytes(4, "big"), data)
    parts = [int(part) for part in rng.integers(-(2**40), 2**40, blocks)]
    stated = combine(case.node, exponents_of(case, 0), parts)
    holds, gas = executor.combinations([(encode_node(case.node), 0, stated, opening, encode_parts(parts))])
    assert holds == [True]
    calldata = PART_BYTES * blocks
    assert 21_000 + max(40 * calldata, (16 + LOG_GAS_A_BYTE) * calldata + gas[0]) < 1_500_000
    print(op.name.lower(), gas[0])
