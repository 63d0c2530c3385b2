"""Random programs cut at random places: every rank has the reference's bits, whatever the cuts are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lockstep.engine.native import library
from lockstep.engine.parallel.layout import Sharded
from lockstep.engine.parallel.sharding import Join, needs_of_part, place
from lockstep.engine.plan import make_plan
from lockstep.engine.routes import from_numpy, same_bits
from lockstep.numerics.dtypes import NUMPY, DType
from lockstep.program.graph import Input, Node, Program, StateEntry
from lockstep.program.ops import InputKind, Op
from lockstep.program.reference import evaluate
from lockstep.program.views import reshape_view
from tests.offchain.engine.ranks import ROUTES, run_ranks
from tests.strategies import random_program_case
from tests.strategies.programs import ProgramCase
from tests.strategies.values import Rng

ROUTE_NAMES = ["torch", pytest.param("native", marks=pytest.mark.skipif(library.load() is None, reason="no compiler"))]


def with_all_values(case: ProgramCase) -> ProgramCase:
    """The program with every tensor it reads as a node, which can be cut, and every node's value as new state."""
    nodes: list[Node] = []
    home: dict[Input, Input] = {}

    def put(node: Node) -> Input:
        nodes.append(node)
        return Input(InputKind.NODE, len(nodes) - 1)

    def read(source: Input) -> Input:
        if source.kind in (InputKind.STATE, InputKind.CONST) and source not in home:
            kind = case.program.input_type(source)
            home[source] = put(Node(Op.VIEW, kind.dtype, kind.shape, (source,), reshape_view(kind.shape)))
        return home.get(source, source)

    for index, node in enumerate(case.program.nodes[:-1]):
        home[Input(InputKind.NODE, index)] = put(replace(node, inputs=tuple(read(s) for s in node.inputs)))
    outputs = []
    for index, node in list(enumerate(nodes)):
        value = Input(InputKind.NODE, index)
        if node.dtype not in (DType.F32, DType.I32):
            value = put(Node(Op.CAST, DType.I32, node.shape, (value,)))
        outputs.append(value)
    entries = [StateEntry(nodes[value.value].dtype, nodes[value.value].shape) for value in outputs]
    before = [np.zeros(entry.shape, NUMPY[entry.dtype]) for entry in entries]
    kept = [Input(InputKind.STATE, index) for index in range(len(case.state))]
    put(Node(Op.STATE, DType.ROOT, (len(kept) + len(entries),), (*kept, *outputs)))
    metrics = tuple(home[Input(InputKind.NODE, index)].value for index in case.program.metrics)
    program = Program(tuple(nodes), (*case.program.state, *entries), case.program.constants, metrics)
    return replace(case, program=program, state=(*case.state, *before))


def random_cuts(rng: Rng, program: Program, ranks: int) -> dict[int, Sharded]:
    """Some nodes that can be made in parts, along any axis, in parts of any size, perhaps none."""
    cuts: dict[int, Sharded] = {}
    plan = make_plan(program)
    for index in (*plan.static, *plan.dynamic):
        node = program.nodes[index]
        if node.shape and rng.random() < 0.4:
            axis = int(rng.integers(0, len(node.shape)))
            inner = sorted(int(x) for x in rng.integers(0, node.shape[axis] + 1, ranks - 1))
            cut = Sharded(axis, (0, *inner, node.shape[axis]))
            if needs_of_part(program, node, cut) is not None:
                cuts[index] = cut
    return cuts


def check(case: ProgramCase, ranks: int, route: str, cuts: dict[int, Sharded]) -> None:
    expected, values = evaluate(case.program, case.state, case.constants, case.step, case.seed)
    state, constants = ([from_numpy(x) for x in arrays] for arrays in (case.state, case.constants))
    found = run_ranks(case.program, constants, case.seed, state, ranks, [ROUTES[route]], (case.step,), cuts)
    for after, metrics in found:
        for tensor, wanted, entry in zip(after, expected, case.program.state, strict=True):
            assert same_bits(tensor, wanted, entry.dtype)
        assert np.array_equal(metrics[0], [values[i] for i in case.program.metrics], equal_nan=True)


@pytest.mark.parametrize("route", ROUTE_NAMES)
def test_random_programs_cut_anywhere_equal_the_reference(route: str, long: bool) -> None:
    rng = np.random.default_rng(23)
    joins: set[Join] = set()
    for number in range(1_000 if long else 40):
        case = with_all_values(random_program_case(rng, 8))
        ranks = 2 + number % 3
        cuts = random_cuts(rng, case.program, ranks)
        check(case, ranks, route, cuts)
        joins |= {placement.join for placement in place(case.program, cuts).values() if placement.join is not None}
    assert joins >= {Join.EXPONENT, Join.TOTAL, Join.LARGEST, Join.PICK}
