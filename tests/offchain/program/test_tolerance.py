"""Tolerance mode's rewrite: what it keeps of a program, whom it lets pass, and that every engine agrees on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import pytest
import torch
from torch import Tensor

from lockstep.engine.checkpoint import state_root
from lockstep.engine.committed import bound, committed_tensors, reads_committed
from lockstep.engine.errors import EngineError
from lockstep.engine.run import Runner, native_is_usable
from lockstep.engine.segment import Segment, initial_state, run_segment
from lockstep.engine.trace import open_step
from lockstep.numerics.dtypes import DType
from lockstep.program.builder import Builder
from lockstep.program.capture import CapturedTask
from lockstep.program.graph import Program
from lockstep.program.infer import ProgramError
from lockstep.program.ops import Op
from lockstep.program.reference import evaluate
from lockstep.program.spec import check_task_programs
from lockstep.program.tolerance import (
    Schedule,
    Tolerance,
    tolerant_init,
    tolerant_state,
    tolerant_step,
    tracked_entries,
)
from tests.zoo import zoo_task

SEED, STEPS, SEGMENT = 7, 10, 4
DRAW, OTHER_DRAW = bytes(range(32)), bytes(range(1, 33))
TOLERANCE = Tolerance(runs=4)
SCHEDULE = Schedule(0, STEPS, SEGMENT)
MODELS = ("mlp", "cnn", pytest.param("lstm", marks=pytest.mark.long), pytest.param("gpt-mini", marks=pytest.mark.long))


@dataclass(frozen=True)
class Case:
    """A model's first segment: where it starts, and where the exact program ends it."""

    task: CapturedTask
    step: Program
    init: Program
    start: list[Tensor]
    ended: list[Tensor]

    @cached_property
    def runner(self) -> Runner:
        return Runner(self.step, self.task.constants, SEED)

    @property
    def own(self) -> int:
        return len(self.task.step.state)

    def checkpoint(self, own: Sequence[Tensor]) -> list[Tensor]:
        return [*own, *(torch.zeros_like(value) for value in self.start[self.own :])]

    def replay(self, committed: Sequence[Tensor], draw: bytes = DRAW) -> Segment:
        return run_segment(self.runner, self.start, 0, SEGMENT, committed=committed_tensors(committed, draw))

    def passes(self, committed: Sequence[Tensor], draw: bytes = DRAW) -> bool:
        return self.replay(committed, draw).root == state_root(committed)

    def moved(self, share: float, generator: int = 1) -> list[Tensor]:
        """The exact end with each tracked tensor off by this share of its update, in a random direction."""
        made = torch.Generator().manual_seed(generator)
        own = list(self.ended)
        for index in tracked_entries(self.task.step):
            update = own[index] - self.start[index]
            noise = torch.randn(update.shape, generator=made)
            own[index] = own[index] + noise * (share * update.norm() / noise.norm().clamp(min=1e-30))
        return self.checkpoint(own)


@cache
def case(name: str) -> Case:
    task = zoo_task(name)
    step, init = tolerant_step(task.step, TOLERANCE, SCHEDULE), tolerant_init(task.init, TOLERANCE.runs)
    start = initial_state(init, task.constants, SEED)
    runner = Runner(task.step, task.constants, SEED)
    return Case(task, step, init, start, run_segment(runner, start[: len(task.step.state)], 0, SEGMENT).state)


# What it is


@pytest.mark.parametrize("name", MODELS)
def test_rewritten_programs_are_a_tasks(name: str) -> None:
    made = case(name)
    check_task_programs(made.init, made.step)
    assert made.step.state == tolerant_state(made.task.step, TOLERANCE.runs)
    assert reads_committed(made.step)
    assert not reads_committed(made.task.step)
    plain = initial_state(made.task.init, made.task.constants, SEED)
    assert all(torch.equal(a, b) for a, b in zip(plain, made.start, strict=False))
    assert not any(value.any() for value in made.start[made.own :])


@pytest.mark.parametrize("name", MODELS)
def test_exact_checkpoint_passes_and_its_replay_is_the_plain_one_before(name: str) -> None:
    made = case(name)
    states: list[list[Tensor]] = []
    wanted = made.checkpoint(made.ended)
    found = run_segment(
        made.runner,
        made.start,
        0,
        SEGMENT,
        lambda step, after, metrics: states.append([value.clone() for value in after]),
        committed_tensors(wanted, DRAW),
    )
    assert found.root == state_root(wanted)
    plain = Runner(made.task.step, made.task.constants, SEED)
    for count in range(1, SEGMENT):
        exact = run_segment(plain, made.start[: made.own], 0, count)
        assert all(torch.equal(a, b) for a, b in zip(exact.state, states[count - 1], strict=False))
        assert found.metrics[count - 1][: len(exact.metrics[0])] == exact.metrics[-1]


def test_perturbed_runs_stay_near_and_follow_the_draw() -> None:
    """They differ from the exact run by about what eight bits do, from each other, and with another draw."""
    made = case("mlp")
    runner, away = made.runner, committed_tensors(made.start, DRAW)
    other = committed_tensors(made.start, OTHER_DRAW)
    after, again = (run_segment(runner, made.start, 0, SEGMENT - 1, committed=c).state for c in (away, other))
    tracked = tracked_entries(made.task.step)
    weight = tracked[0]
    runs = [after[made.own + len(tracked) * (1 + run)] for run in range(TOLERANCE.runs)]
    update = float((after[weight] - made.start[weight]).norm())
    ratios = [float((run - after[weight]).norm()) / update for run in runs]
    assert all(2**-12 < ratio < 0.3 for ratio in ratios), ratios
    assert len({state_root([run]) for run in runs}) == TOLERANCE.runs
    assert torch.equal(after[weight], again[weight])
    assert not torch.equal(runs[0], again[made.own + len(tracked)])
    assert torch.equal(after[made.own], made.start[weight])


def test_fewer_bits_perturb_more() -> None:
    task = zoo_task("mlp")
    tracked = tracked_entries(task.step)
    distances = []
    for bits in (4, 8, 13):
        step = tolerant_step(task.step, Tolerance(runs=3, bits=bits), SCHEDULE)
        start = initial_state(tolerant_init(task.init, 3), task.constants, SEED)
        committed = committed_tensors(start, DRAW)
        after = run_segment(Runner(step, task.constants, SEED), start, 0, SEGMENT - 1, committed=committed).state
        runs = [after[len(task.step.state) + len(tracked) * (1 + run)] for run in range(3)]
        distances.append(sum(float((run - after[tracked[0]]).norm()) for run in runs))
    assert distances[0] > 2 * distances[1] > 4 * distances[2] > 0


def test_a_residual_is_of_the_rounded_operand() -> None:
    """What quantising lost is computed from the operand that was quantised, which keeps its own low bits so."""
    b = Builder()
    w = b.add_state("w", DType.F32, (4, 64))
    product = b.contract(w, w, residuals=(True, True))
    program = b.finish(
        [b.add(w, b.reshape(b.slice(b.reshape(b.expand(product, (16, 4, 4)), (256,)), 0, 0, 256), (4, 64)))]
    )
    step = tolerant_step(program.program, Tolerance(runs=1), Schedule(0, 1, 1))
    quantised = [node.inputs[0] for node in step.nodes if node.op is Op.QUANTIZE]
    splits = [node for node in step.nodes if node.op is Op.SUB]
    assert len(set(quantised)) == 4  # the operand and what was lost of it, exact and in one run
    assert len(splits) >= 4


# Whom it lets pass


@pytest.mark.parametrize("name", MODELS[:3])
def test_far_checkpoints_do_not_pass(name: str) -> None:
    made = case(name)
    assert not made.passes(made.checkpoint(made.start[: made.own]))
    assert not made.passes(made.moved(0.2))
    assert not made.passes(made.moved(1.0))


def test_near_in_every_tensor_passes_and_far_in_one_does_not() -> None:
    made = case("mlp")
    tracked = [i for i in tracked_entries(made.task.step) if made.task.step.state[i].type.elements > 64]
    near = list(made.ended)
    for index in tracked:
        near[index] = near[index] + 1e-3 * (near[index] - made.start[index])
    assert made.passes(made.checkpoint(near))
    for index in tracked:
        far = list(near)
        far[index] = far[index] + 3.0 * (far[index] - made.start[index])
        assert not made.passes(made.checkpoint(far)), index


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 3e38])
def test_what_is_no_distance_does_not_pass(value: float) -> None:
    made = case("mlp")
    own = [tensor.clone() for tensor in made.ended]
    own[tracked_entries(made.task.step)[0]].reshape(-1)[3] = value
    assert not made.passes(made.checkpoint(own))


def test_runs_without_numbers_let_nobody_pass() -> None:
    """A diverged model: every distance is a NaN, and a NaN is at most nothing."""
    made = case("mlp")
    start = [tensor.clone() for tensor in made.start]
    start[tracked_entries(made.task.step)[0]].fill_(float("nan"))
    runner = made.runner
    plain = Runner(made.task.step, made.task.constants, SEED)
    ended = run_segment(plain, start[: made.own], 0, SEGMENT).state
    other = [value + 1 if value.dtype == torch.float32 else value for value in ended]
    wanted = made.checkpoint(other)
    found = run_segment(runner, start, 0, SEGMENT, committed=committed_tensors(wanted, DRAW))
    assert found.metrics[-1][-1] == 0


def test_integers_are_not_near() -> None:
    task = zoo_task("mlp")
    b = Builder()
    count = b.add_state("count", DType.I32, ())
    weight = b.add_state("weight", DType.F32, (8,))
    program = b.finish([b.iadd(count, 1), b.add(weight, 1.0)]).program
    step = tolerant_step(program, Tolerance(runs=1, share=0.5), Schedule(0, 4, 2))
    start = [torch.tensor(5, dtype=torch.int32), torch.zeros(8), torch.zeros(8), torch.zeros(8)]
    for counted, passes in ((7, True), (6, False), (-7, False)):
        wanted = [torch.tensor(counted, dtype=torch.int32), torch.full((8,), 2.0), torch.zeros(8), torch.zeros(8)]
        committed = committed_tensors(wanted, DRAW)
        found = run_segment(Runner(step, [], SEED), start, 0, 2, committed=committed)
        assert (found.root == state_root(wanted)) is passes
    assert task is zoo_task("mlp")


def test_what_is_added_to_a_checkpoint_may_only_be_zero() -> None:
    made = case("mlp")
    wanted = made.checkpoint(made.ended)
    wanted[made.own] = wanted[made.own] + 1
    assert not made.passes(wanted)


# Segments


@pytest.mark.parametrize(("first", "steps", "length"), [(0, 10, 4), (64, 10, 4), (3, 5, 5), (0, 3, 1)])
def test_segments_begin_and_end_where_the_task_says(first: int, steps: int, length: int) -> None:
    """Also the last, shorter one, and those of a task that goes on from another's end."""
    b = Builder()
    weight = b.add_state("weight", DType.F32, (3,))
    program = b.finish([b.add(weight, b.expand(b.cast(b.step, DType.F32), (3,)))]).program
    step = tolerant_step(program, Tolerance(runs=1), Schedule(first, steps, length))
    runner, value = Runner(step, [], SEED), 10.0
    for begin in range(0, steps, length):
        count = min(length, steps - begin)
        ended = value + sum(range(first + begin, first + begin + count))
        for wanted, passes in ((ended, True), (ended + 1e3, False)):
            state = [torch.full((3,), value), torch.zeros(3), torch.zeros(3)]
            end = [torch.full((3,), wanted), torch.zeros(3), torch.zeros(3)]
            found = run_segment(runner, state, first + begin, count, committed=committed_tensors(end, DRAW))
            assert (found.root == state_root(end)) is passes
            assert torch.equal(found.state[0], torch.full((3,), ended if not passes else wanted))
        value = ended


# Engines


def test_reference_torch_and_native_agree_on_every_bit() -> None:
    made = case("mlp")
    committed = committed_tensors(made.moved(0.01), DRAW)
    arrays = [value.numpy() for value in committed]
    runners = [Runner(made.step, made.task.constants, SEED, native=False)]
    if native_is_usable(bound(made.step)):
        runners.append(Runner(made.step, made.task.constants, SEED, native=True))
    state: list[np.ndarray] = [value.numpy() for value in made.start]
    for step in (0, SEGMENT - 1):
        wanted, _ = evaluate(made.step, state, made.task.constants, step, SEED, arrays)
        roots = {state_root([torch.from_numpy(np.array(value)) for value in wanted])}
        roots |= {
            state_root(runner.step([torch.from_numpy(value.copy()) for value in state], step, committed=committed)[0])
            for runner in runners
        }
        assert len(roots) == 1
        state = [np.array(value) for value in wanted]


def test_an_opened_step_is_the_step() -> None:
    made = case("mlp")
    committed = committed_tensors(made.checkpoint(made.ended), DRAW)
    runner = made.runner
    after, metrics = runner.step(made.start, SEGMENT - 1, committed=committed)
    opened = open_step(made.step, made.task.constants, SEED, made.start, SEGMENT - 1, committed=committed)
    assert opened.state_root == state_root(after)
    assert opened.metrics == metrics
    assert len(opened.node_roots) == len(made.step.nodes)
    assert [state_root([value]) for value in opened.state_after] == [state_root([value]) for value in after]


def test_engine_refuses_what_it_cannot_bind() -> None:
    made = case("mlp")
    runner = made.runner
    committed = committed_tensors(made.start, DRAW)
    for wrong in ((), committed[:-1], committed[1:], [*committed[:-1], torch.zeros(7, dtype=torch.int32)]):
        with pytest.raises(EngineError):
            runner.step(made.start, 0, committed=wrong)
    with pytest.raises(EngineError, match="one process"):
        Runner(made.step, made.task.constants, SEED, processes=2)
    with pytest.raises(EngineError, match="reads 0 tensors"):
        Runner(made.task.step, made.task.constants, SEED).step(made.start[: made.own], 0, committed=committed)


# What it refuses


@pytest.mark.parametrize(
    "wrong",
    [
        {"runs": 0},
        {"runs": 65},
        {"bits": 1},
        {"bits": 17},
        {"multiple": 0.5},
        {"multiple": 2e3},
        {"share": 0.0},
        {"share": 0.6},
    ],
)
def test_tolerances_out_of_bounds_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ProgramError):
        Tolerance(**wrong)  # type: ignore[arg-type]


def test_programs_it_cannot_serve_are_refused() -> None:
    with pytest.raises(ProgramError, match="already"):
        tolerant_step(case("mlp").step, TOLERANCE, SCHEDULE)
    b = Builder()
    count = b.add_state("count", DType.I32, ())
    with pytest.raises(ProgramError, match="nothing of it could be near"):
        tolerant_step(b.finish([b.iadd(count, 1)]).program, TOLERANCE, SCHEDULE)
