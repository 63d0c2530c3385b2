"""The executor refuses every reads but those a leaf needs, and decodes nothing but nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lockstep.program.ops import Op
from tests.differential.harness import ExecutorHarness
from tests.strategies.nodes import ALL_OPS, random_node_case

pytestmark = pytest.mark.chain

Reads = list[Any]


def _first(change: Callable[[Any], Any]) -> Callable[[Reads], Reads]:
    return lambda reads: [change(reads[0]), *reads[1:]]


FALSIFICATIONS: dict[str, Callable[[Reads], Reads]] = {
    "one missing": lambda reads: reads[:-1],
    "one twice": lambda reads: [*reads, reads[-1]],
    "another slot": _first(lambda r: (r[0] + 1, *r[1:])),
    "another start": _first(lambda r: (r[0], r[1] + 1, *r[2:])),
    "a byte more": _first(lambda r: (*r[:3], r[3] + b"\0")),
    "a byte less": _first(lambda r: (*r[:3], r[3][:-1])),
    "another dtype": _first(lambda r: (*r[:2], bytes([(r[2] or b"\0")[0] % 7 + 1]) + (r[2] or b"\0")[1:], r[3])),
    "no header": _first(lambda r: (*r[:2], b"", r[3])),
}


@pytest.mark.parametrize("op", ALL_OPS, ids=lambda op: op.name.lower())
def test_other_reads_are_refused(executor: ExecutorHarness, op: Op) -> None:
    calls, names = [], []
    for number in range(20):
        rng = np.random.default_rng([3, op, number])
        case = random_node_case(rng, op, elements=12, literals=False)
        element = int(rng.integers(0, case.node.type.elements))
        if not executor.leaf(case, element)[4]:
            continue
        for name, change in FALSIFICATIONS.items():
            if op is Op.STATE and name == "no header":  # it has none
                continue
            calls.append(executor.leaf(case, element, change))
            names.append((name, case.node))
    values, _ = executor.leaves(calls, refuse=False)
    accepted = [name for name, value in zip(names, values, strict=True) if not value.startswith(b"revert")]
    # Casts take their operand's dtype from its header, which the caller has proven.
    assert not [a for a in accepted if not (op is Op.CAST and a[0] == "another dtype")]


@pytest.mark.parametrize("op", ALL_OPS, ids=lambda op: op.name.lower())
def test_an_element_behind_the_last_is_refused(executor: ExecutorHarness, op: Op) -> None:
    case = random_node_case(np.random.default_rng([4, op]), op, elements=12)
    leaf = executor.leaf(case, 0)
    behind = (leaf[0], case.node.type.elements, *leaf[2:])
    assert executor.leaves([behind], refuse=False)[0][0].startswith(b"revert")


def test_bytes_that_are_no_node_are_refused(executor: ExecutorHarness) -> None:
    rng = np.random.default_rng(5)
    calls = []
    for number in range(300):
        case = random_node_case(rng, ALL_OPS[number % len(ALL_OPS)], elements=12)
        leaf = executor.leaf(case, 0)
        calls += [(leaf[0][:-1], *leaf[1:]), (leaf[0] + b"\0", *leaf[1:]), (b"\x77" + leaf[0][1:], *leaf[1:])]
    values, _ = executor.leaves(calls, refuse=False)
    assert all(value.startswith(b"revert") for value in values)
