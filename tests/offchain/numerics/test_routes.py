"""Every torch route equals the reference bit for bit."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lockstep.engine import routes
from lockstep.numerics import contraction
from lockstep.numerics.dtypes import DType
from lockstep.program.graph import Input, Node
from lockstep.program.ops import ELEMENTWISE_FAMILIES, InputKind, Op
from lockstep.program.reference import evaluate_node
from tests.strategies import NodeCase, random_node_case

ROUTES = [(op, route) for op in Op for route in routes.candidates(op) if route is not routes.REFERENCE]
IDS = [f"{op.name.lower()}-{route.name}" for op, route in ROUTES]


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def route_inputs(case: NodeCase) -> list[torch.Tensor]:
    """A case's operands as the engine passes them: literals of shape ()."""
    inputs = []
    for source, array in zip(case.node.inputs, case.arrays, strict=True):
        own = routes.own_input(case.node, source, case.step, case.seed)
        inputs.append(own if own is not None else routes.from_numpy(np.asarray(array)))
    return inputs


@pytest.mark.parametrize(("op", "route"), ROUTES, ids=IDS)
def test_route_edge_cases_equal_reference(op: Op, route: routes.Route, threads: int) -> None:
    for (node, arrays), expected in routes.expected_values(op):
        inputs = [torch.from_numpy(x.copy(order="K")) for x in arrays]
        assert routes.same_bits(route.run(node, inputs, routes.SELF_TEST_SEED), expected, node.dtype), node


@pytest.mark.parametrize(("op", "route"), ROUTES, ids=IDS)
def test_route_random_nodes_equal_reference(op: Op, route: routes.Route, long: bool) -> None:
    rng = np.random.default_rng(op.value)
    for turn in range(4_000 if long else 60):
        case = random_node_case(rng, op, elements=(60, 300, 2_000)[turn % 3])
        value = route.run(case.node, route_inputs(case), case.seed)
        assert routes.same_bits(value, case.value(), case.node.dtype), (turn, case.node)


@pytest.mark.parametrize("op", [op for op in Op if op.family in ELEMENTWISE_FAMILIES], ids=lambda op: op.name.lower())
def test_route_many_random_bits_equal_reference(op: Op, threads: int, long: bool) -> None:
    """Enough elements for the vector and the threaded code, and a tail."""
    rng = np.random.default_rng(op.value + 1)
    for _ in range(10 if long else 1):
        case = random_node_case(rng, op, literals=False)
        count = 100_003
        arrays = []
        for given_type in case.types:
            assert given_type is not None
            width = {4: np.uint32, 2: np.uint16, 1: np.uint8}[np.dtype(routes.NUMPY[given_type.dtype]).itemsize]
            raw = rng.integers(0, np.iinfo(width).max, count, width, endpoint=True).view(routes.NUMPY[given_type.dtype])
            arrays.append(np.clip(raw, -126, 127) if given_type.dtype is DType.E16 else raw)
        node = Node(
            op, case.node.dtype, (count,), tuple(Input(InputKind.NODE, i) for i in range(len(arrays))), case.node.attrs
        )
        value = routes.run_node(node, [routes.from_numpy(x) for x in arrays], 0)
        assert routes.same_bits(value, evaluate_node(node, arrays, 0, 0), node.dtype)


MANTISSAS = [16384, -16384, 16256, -16257, 16383, 8127, -129, -128, 127, 128, 1, 0]


@pytest.mark.parametrize("route", routes.candidates(Op.MATMUL)[:-1], ids=lambda r: r.name)
@given(
    m=st.integers(1, 40),
    n=st.integers(1, 40),
    k=st.sampled_from([1, 2, 3, 4, 5, 31, 32, 33, 63, 64, 65, 255, 16_384]),
    seed=st.integers(0, 2**32 - 1),
    span=st.sampled_from([0, 3, 120]),
)
@settings(max_examples=25)
def test_matmul_extreme_slices_equal_reference(
    route: routes.Route, m: int, n: int, k: int, seed: int, span: int
) -> None:
    if k > 10_000:
        m, n = min(m, 3), min(n, 3)
    rng = np.random.default_rng(seed)
    a, b = (rng.choice(np.array(MANTISSAS, np.int16), (rows, k)) for rows in (m, n))
    ea, eb = (np.clip(rng.integers(-span, span + 1, rows), -113, 127).astype(np.int16) for rows in (m, n))
    node = Node(Op.MATMUL, DType.F32, (m, n), tuple(Input(InputKind.NODE, i) for i in range(4)))
    value = route.run(node, [routes.from_numpy(x) for x in (a, ea, b, eb)], 0)
    assert routes.same_bits(value, contraction.matmul(a, ea, b, eb), DType.F32)


def test_route_wrong_answer_is_left_out_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Saturating int16 pairs, as ``torch._int_mm`` on x86 without VNNI."""
    good = routes.MATMUL_INT8.run
    liar = routes.Route("saturating", lambda node, inputs, seed: good(node, inputs, seed).clamp_max(1e3))
    with caplog.at_level(logging.WARNING, logger="lockstep.engine"):
        assert not routes.passes(Op.MATMUL, liar)
    assert "The saturating route of MATMUL on cpu differs from the reference; it is not used." in caplog.text


def test_route_that_raises_is_left_out_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    def broken(node: Node, inputs: object, seed: int) -> torch.Tensor:
        raise RuntimeError("no such instruction")

    with caplog.at_level(logging.WARNING, logger="lockstep.engine"):
        assert not routes.passes(Op.ADD, routes.Route("broken", broken))
    assert "does not run (no such instruction)" in caplog.text


def test_reference_route_is_the_last_resort_of_every_op() -> None:
    for op in Op:
        assert routes.candidates(op)[-1] is routes.REFERENCE
        assert routes.passes(op, routes.REFERENCE)
