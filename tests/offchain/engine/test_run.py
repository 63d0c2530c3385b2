"""Runner, traced interpreter and reference agree on state, metrics and roots."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lockstep.commitments import merkle
from lockstep.commitments.tensor import tensor_root
from lockstep.engine.checkpoint import state_root, tensor_roots
from lockstep.engine.errors import EngineError, MemoryLimitError
from lockstep.engine.plan import estimate_memory, make_plan
from lockstep.engine.routes import same_bits
from lockstep.engine.run import Runner
from lockstep.engine.segment import initial_state, run_segment, segment_state_roots
from lockstep.engine.trace import TraceReader, TraceWriter, open_step
from lockstep.program.ops import InputKind
from lockstep.program.reference import evaluate
from lockstep.program.spec import check_program
from tests.offchain.engine.small_programs import tiny_regression, tiny_state
from tests.strategies import random_program_case

SEED = 0x1234_5678_9ABC_DEF0


def test_runner_tiny_training_follows_reference() -> None:
    program, constants = tiny_regression()
    check_program(program)
    runner = Runner(program, constants, SEED)
    expected: list[np.ndarray] = list(tiny_state())
    state = list(tiny_state())
    for step in range(4):
        expected, values = evaluate(program, expected, constants, step, SEED)
        state, metrics = runner.step(state, step)
        for found, wanted, entry in zip(state, expected, program.state, strict=True):
            assert same_bits(found, wanted, entry.dtype)
        assert metrics == [float(values[program.metrics[0]])]


def test_random_programs_runner_and_trace_equal_reference(long: bool) -> None:
    rng = np.random.default_rng(11)
    for _ in range(1_500 if long else 60):
        case = random_program_case(rng)
        expected, values = evaluate(case.program, case.state, case.constants, case.step, case.seed)
        state, metrics = Runner(case.program, case.constants, case.seed).step(case.state, case.step)
        opening = open_step(case.program, case.constants, case.seed, case.state, case.step)
        for found, wanted, entry in zip(state, expected, case.program.state, strict=True):
            assert same_bits(found, wanted, entry.dtype)
        for index, (node, wanted) in enumerate(zip(case.program.nodes, values, strict=True)):
            assert same_bits(opening.value(index), wanted, node.dtype), (index, node)
        assert np.array_equal(metrics, [values[i] for i in case.program.metrics], equal_nan=True)
        assert opening.state_root == state_root(state)


def test_opening_commits_to_every_node() -> None:
    program, constants = tiny_regression()
    opening = open_step(program, constants, SEED, tiny_state(), 3)
    _, values = evaluate(program, tiny_state(), constants, 3, SEED)
    for index, (node, value) in enumerate(zip(program.nodes, values, strict=True)):
        assert opening.node_roots[index] == tensor_root(value, node.dtype)
        assert opening.node(index).root == opening.node_roots[index]
    assert opening.root == merkle.merkle_root(opening.node_roots)
    assert opening.chunk(0, 0) == values[0].tobytes()
    gathered = next(node for node in program.nodes if any(s.kind is InputKind.CONST for s in node.inputs))
    assert opening.commitment(gathered.inputs[0]).root == program.constants[0].root


def test_opening_with_an_override_lies_from_there_on() -> None:
    program, constants = tiny_regression()
    honest = open_step(program, constants, SEED, tiny_state(), 0)
    index = program.nodes[-1].inputs[0].value
    wrong = honest.value(index).clone()
    wrong.view(torch.uint8).view(-1)[0] ^= 1
    lying = open_step(program, constants, SEED, tiny_state(), 0, overrides={index: wrong})
    differing = [i for i, (a, b) in enumerate(zip(honest.node_roots, lying.node_roots, strict=True)) if a != b]
    assert differing[0] == index
    assert lying.state_root != honest.state_root


def test_segment_roots_are_those_of_its_steps() -> None:
    program, constants = tiny_regression()
    runner = Runner(program, constants, SEED)
    seen: list[int] = []
    segment = run_segment(runner, tiny_state(), 5, 3, lambda step, state, metrics: seen.append(step))
    assert seen == [5, 6, 7]
    roots = segment_state_roots(runner, tiny_state(), 5, 3)
    assert roots[-1] == segment.root
    opening = open_step(program, constants, SEED, tiny_state(), 5)
    assert opening.state_root == roots[0]
    assert tensor_roots(opening.state_after) == tensor_roots(runner.step(tiny_state(), 5)[0])
    assert len(segment.metrics) == 3


def test_trace_written_and_read_back_has_the_same_roots(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("trace")
    program, constants = tiny_regression()
    writer, state, openings = TraceWriter(folder), list(tiny_state()), []
    for step in range(3):
        openings.append(open_step(program, constants, SEED, state, step))
        writer.add(openings[-1])
        state = openings[-1].state_after
    assert writer.root == merkle.merkle_root([opening.root for opening in openings])
    reader = TraceReader(folder, program)
    assert reader.tree(3).root == writer.root
    for index in (0, 7, len(program.nodes) - 1):
        assert reader.node(1, index).root == openings[1].node_roots[index]
    (folder / "step-00001.data").write_bytes(b"short")
    with pytest.raises(EngineError, match=r"step-00001\.data has 5 bytes where the program gives"):
        reader.node(1, 0)
    with pytest.raises(EngineError, match=r"step-00009\.roots cannot be read"):
        reader.node_roots(9)


def test_plan_drops_dead_nodes_and_runs_constant_ones_once() -> None:
    program, _ = tiny_regression()
    plan = make_plan(program)
    assert 0 in plan.static
    assert len(plan.static) + len(plan.dynamic) <= len(program.nodes) - 1
    released = [node for nodes in plan.release.values() for node in nodes]
    assert len(released) == len(set(released))


def test_runner_memory_over_the_limit_is_refused_before_allocation() -> None:
    program, constants = tiny_regression()
    need = estimate_memory(program)
    with pytest.raises(MemoryLimitError, match=r"A step of this program needs up to .* are allowed"):
        Runner(program, constants, SEED, memory_limit=need - 1)
    Runner(program, constants, SEED, memory_limit=need)
    with pytest.raises(MemoryLimitError):
        open_step(program, constants, SEED, tiny_state(), 0, memory_limit=need)


def test_runner_wrong_state_or_constants_are_refused_with_a_sentence() -> None:
    program, constants = tiny_regression()
    with pytest.raises(EngineError, match="The program has 2 constants, and 1 were given"):
        Runner(program, constants[:1], SEED)
    with pytest.raises(EngineError, match=r"Constant 0 should be f32 of shape \(40, 7\), but is int32"):
        Runner(program, [constants[0].astype(np.int32), constants[1]], SEED)
    runner = Runner(program, constants, SEED)
    with pytest.raises(EngineError, match="state has 2 tensors, and 1 were given"):
        runner.step(tiny_state()[:1], 0)
    with pytest.raises(EngineError, match="State tensor 1 should be f32 of shape"):
        runner.step([tiny_state()[0], tiny_state()[0]], 0)
    with pytest.raises(EngineError, match="at least one step"):
        run_segment(runner, tiny_state(), 0, 0)
    with pytest.raises(EngineError, match="not an init program"):
        initial_state(program, constants, SEED)


def test_runner_flushed_denormals_are_refused() -> None:
    program, constants = tiny_regression()
    if not torch.set_flush_denormal(True):
        pytest.skip("This processor cannot flush denormals.")
    try:
        with pytest.raises(EngineError, match="Subnormal numbers are flushed"):
            Runner(program, constants, SEED)
    finally:
        torch.set_flush_denormal(False)


def test_init_program_makes_the_first_state() -> None:
    rng = np.random.default_rng(3)
    case = random_program_case(rng, init=True)
    expected, _ = evaluate(case.program, [], case.constants, 0, case.seed)
    state = initial_state(case.program, case.constants, case.seed)
    for found, wanted, entry in zip(state, expected, case.program.state, strict=True):
        assert same_bits(found, wanted, entry.dtype)
