"""Steps opened without holding all their values: the same roots and values, in less memory."""

from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

from lockstep.engine import stream, trace
from lockstep.engine.segment import initial_state
from lockstep.engine.stream import NodeStream, stream_bytes, total_bytes
from lockstep.engine.trace import StepOpening, TraceReader, TraceWriter, open_step, tracing_memory
from lockstep.program.graph import Input
from lockstep.program.ops import InputKind
from tests.strategies import random_program_case
from tests.strategies.programs import ProgramCase
from tests.zoo import zoo_task

SEED = 0x57EA4


@pytest.fixture(params=["native", "torch"])
def route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run on the native engine where there is one, and on PyTorch."""
    if request.param == "torch":
        monkeypatch.setattr(stream, "native_is_usable", lambda program: False)


def streamed(monkeypatch: pytest.MonkeyPatch, stage: int = 256) -> None:
    monkeypatch.setattr(trace, "HELD_BYTES", 0)
    monkeypatch.setattr(stream, "STAGE_BYTES", stage)


def opened(case: ProgramCase, overrides: dict[int, torch.Tensor] | None = None) -> StepOpening:
    return open_step(case.program, case.constants, case.seed, case.state, case.step, overrides=overrides)


@pytest.mark.usefixtures("route")
def test_streamed_openings_are_the_held_ones(monkeypatch: pytest.MonkeyPatch, long: bool) -> None:
    rng = np.random.default_rng(5)
    cases = [random_program_case(rng) for _ in range(200 if long else 12)]
    held = [opened(case) for case in cases]
    streamed(monkeypatch)
    for case, wanted in zip(cases, held, strict=True):
        found = opened(case)
        assert found.node_roots == wanted.node_roots
        assert (found.root, found.state_root) == (wanted.root, wanted.state_root)
        assert np.array_equal(found.metrics, wanted.metrics, equal_nan=True)
        for index in rng.permutation(len(case.program.nodes))[:8]:
            assert found.node(int(index)).root == wanted.node_roots[index]
            for source in case.program.nodes[int(index)].inputs:
                if source.kind in (InputKind.NODE, InputKind.STATE, InputKind.CONST):
                    assert found.commitment(source).root == wanted.commitment(source).root
        for mine, theirs in zip(found.state_after, wanted.state_after, strict=True):
            assert torch.equal(mine.view(torch.int32), theirs.view(torch.int32))


@pytest.mark.usefixtures("route")
def test_streamed_lie_is_the_held_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    for _ in range(6):
        case = random_program_case(rng)
        index = int(rng.integers(0, len(case.program.nodes) - 1))
        wrong = opened(case).value(index).clone()
        wrong.reshape(-1).view(torch.uint8)[0] ^= 1
        held = opened(case, {index: wrong})
        with monkeypatch.context() as patch:
            streamed(patch)
            found = opened(case, {index: wrong})
            assert found.node_roots == held.node_roots
            assert found.node(index).root == held.node_roots[index]


def test_streamed_trace_is_the_held_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    case = random_program_case(np.random.default_rng(7))
    held, found = TraceWriter(tmp_path / "held"), TraceWriter(tmp_path / "streamed")
    held.add(opened(case))
    streamed(monkeypatch)
    found.add(opened(case))
    assert found.root == held.root
    for suffix in (".roots", ".data"):
        name = f"step-00000{suffix}"
        assert (tmp_path / "streamed" / name).read_bytes() == (tmp_path / "held" / name).read_bytes()
    last = len(case.program.nodes) - 1
    assert TraceReader(tmp_path / "streamed", case.program).node(0, last).root == opened(case).node_roots[last]


@pytest.mark.usefixtures("route")
def test_stream_drops_values_after_their_last_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    task = zoo_task("gpt-small")
    program = task.step
    monkeypatch.setattr(stream, "STAGE_BYTES", 1 << 18)
    state = initial_state(task.init, task.constants, SEED)
    constants = [torch.from_numpy(array) for array in task.constants]
    own = {tensor.untyped_storage().data_ptr() for tensor in (*state, *constants)}
    alive: list[weakref.ref[torch.Tensor]] = []
    most = 0
    for _, value in NodeStream(program, constants, SEED).run(state, 0, {}):
        alive.append(weakref.ref(value))
        del value
        found = [tensor for tensor in (ref() for ref in alive) if tensor is not None]
        alive = [weakref.ref(tensor) for tensor in found]
        storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in found}
        most = max(most, sum(size for place, size in storages.items() if place not in own))
        del found
    assert most <= stream_bytes(program) < total_bytes(program) / 2
    assert most > stream_bytes(program) / 8


def test_opening_holds_one_group_of_values_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    task = zoo_task("mlp")
    streamed(monkeypatch, 1 << 16)
    state = initial_state(task.init, task.constants, SEED)
    opening = open_step(task.step, task.constants, SEED, state, 0)
    product = next(i for i, node in enumerate(task.step.nodes) if len({*node.inputs}) == 4)
    first = weakref.ref(opening.value(product))
    for source in task.step.nodes[product].inputs:
        assert opening.commitment(source).root == opening.node_roots[source.value]
    assert first() is not None
    opening.commitment(Input(InputKind.NODE, len(task.step.nodes) - 2))
    assert first() is None


def test_tracing_memory_of_a_large_step_is_that_of_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    program = zoo_task("gpt-small").step
    assert tracing_memory(program) == 2 * total_bytes(program)
    streamed(monkeypatch, 1 << 18)
    assert tracing_memory(program) == stream_bytes(program)
