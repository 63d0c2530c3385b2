"""Tolerance mode on the chain: native training passes, shortcuts do not, whoever lies about a replay is convicted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lockstep.agents.base import Agent
from lockstep.agents.nearness import NativeTraining, tolerant
from lockstep.agents.replica import Tamper
from lockstep.agents.solver import Solver
from lockstep.agents.submitter import Submitter
from lockstep.agents.verifier import Verifier
from lockstep.agents.whistleblower import Whistleblower
from lockstep.agents.workload import Workload, captured_workload
from lockstep.chain.lockstep import PostedTask
from lockstep.chain.types import SlotState, TaskState
from lockstep.cli.demo.acts import make_verifier
from lockstep.cli.demo.stage import Stage, describe
from lockstep.data import digits
from lockstep.dispute import claims
from lockstep.models import MLP
from lockstep.program.capture import capture
from lockstep.program.fold import f32_bits
from lockstep.program.graph import Input
from lockstep.program.ops import InputKind, Op
from lockstep.program.optimisers import Adam
from lockstep.program.tolerance import Schedule, Tolerance, tracked_entries

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]

STEPS, SEGMENT_STEPS, SEGMENTS = 16, 8, 3
TOLERANCE = Tolerance(runs=4)


@cache
def workload() -> Workload:
    task = capture(MLP(hidden=(16,)), nn.CrossEntropyLoss(), Adam(lr=1e-3), digits(flat=True)[0], batch_size=64)
    return tolerant(captured_workload(task), TOLERANCE, Schedule(0, STEPS, SEGMENT_STEPS))


class NativeSolver(Solver):
    """Trains in another arithmetic."""

    def __init__(self, *arguments: Any, precision: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.precision = precision


class Stuffer(Solver):
    """Trains natively but for one segment, which it does not train: its end is its start."""

    def _train_segment(self, posted: PostedTask, segment: int, state: Sequence[Tensor]) -> list[Tensor]:
        return list(state) if segment == 2 else super()._train_segment(posted, segment, state)


class Interpolator(Solver):
    """Trains half of a segment's steps and goes on in a straight line."""

    def _train_segment(self, posted: PostedTask, segment: int, state: Sequence[Tensor]) -> list[Tensor]:
        if segment != 2:
            return super()._train_segment(posted, segment, state)
        training = NativeTraining(self.bench(posted).workload, posted.terms.seed)
        first, half = claims.first_step(posted.terms, segment), SEGMENT_STEPS // 2
        middle: Sequence[Tensor] = state
        for step in range(half):
            middle, _ = training.step(middle, first + step)
        ended = [
            2 * b - a if a.dtype == torch.float32 else b for a, b in zip(state[: len(middle)], middle, strict=True)
        ]
        return training.checkpoint(ended)


class OtherBatches(Solver):
    """Trains every step of a segment, on other batches than the program draws."""

    def _train_segment(self, posted: PostedTask, segment: int, state: Sequence[Tensor]) -> list[Tensor]:
        if segment != 2:
            return super()._train_segment(posted, segment, state)
        training = NativeTraining(self.bench(posted).workload, posted.terms.seed + 1)
        first = claims.first_step(posted.terms, segment)
        for step in range(SEGMENT_STEPS):
            state, _ = training.step(state, first + step)
        return training.checkpoint(state)


def play(
    stage: Stage,
    name: str,
    solver: type[Solver],
    options: dict[str, Any],
    verifier: type[Verifier] = Verifier,
    lie: dict[str, Any] | None = None,
) -> tuple[PostedTask, TaskState, Agent]:
    """One task in tolerance mode, all of it audited, to its end."""
    world = stage.world
    submitter = world.agent(Submitter, f"{name} submitter")
    posted = submitter.submit(workload(), stage.order(name, STEPS, SEGMENT_STEPS))
    task = posted.terms.id
    solving = world.agent(solver, f"{name} solver", [task], **options)
    drawn = make_verifier(stage, verifier, f"{name} verifier", posted, SEGMENTS, **(lie or {}))
    watcher = world.agent(Whistleblower, f"{name} whistleblower", [task])
    state = world.run(task, [solving, drawn, watcher])
    world.dismiss(drawn)
    return posted, state, solving


@pytest.mark.parametrize("precision", [pytest.param("exact", marks=pytest.mark.long), "f32", "bf16"])
def test_native_training_settles(stage: Stage, precision: str) -> None:
    posted, state, solver = play(stage, f"51 {precision}", NativeSolver, {"precision": precision})
    assert state is TaskState.SETTLED
    slots = [solver.lockstep.slot(posted.terms.id, segment) for segment in range(SEGMENTS)]
    assert [slot.state for slot in slots] == [SlotState.PASSED] * SEGMENTS


@pytest.mark.parametrize("solver", [Stuffer, Interpolator, pytest.param(OtherBatches, marks=pytest.mark.long)])
def test_shortcuts_are_rejected(stage: Stage, solver: type[Solver]) -> None:
    posted, state, agent = play(stage, f"52 {solver.__name__}", solver, {})
    assert state is TaskState.REJECTED
    slots = [agent.lockstep.slot(posted.terms.id, segment) for segment in range(SEGMENTS)]
    assert [slot.state for slot in slots] == [SlotState.PASSED, SlotState.PASSED, SlotState.FAILED]


# Lies about a replay

Lie = dict[int, Callable[[Tensor], Tensor]]
"""Node -> what is said in the place of its value."""


class Poisoner(Solver):
    """Trains every step, and bends one small tensor: hardly anything of the whole update, too much of its own."""

    def _train_segment(self, posted: PostedTask, segment: int, state: Sequence[Tensor]) -> list[Tensor]:
        ended = super()._train_segment(posted, segment, state)
        if segment == 2:
            poisoned = poisoned_entry()
            ended[poisoned] = ended[poisoned] + 0.5 * (ended[poisoned] - state[poisoned])
        return ended


def poisoned_entry() -> int:
    """The last layer's bias."""
    native = workload().native
    assert native is not None
    shapes = [entry.shape for entry in native.state]
    return shapes.index((10,))


def node_of(value: Input) -> int:
    assert value.kind is InputKind.NODE
    return value.value


def verdict() -> int:
    """The node that says whether the end is near enough."""
    program = workload().step
    return node_of(program.nodes[program.metrics[-1]].inputs[0])


def passing_lies() -> dict[str, tuple[range, Lie]]:
    """Steps of the segment and nodes, by what a lie about them is about; each lets the poisoned end pass."""
    program = workload().step
    assert workload().native is not None
    place = tracked_entries(workload().native).index(poisoned_entry())  # type: ignore[arg-type]
    last, every = range(SEGMENT_STEPS - 1, SEGMENT_STEPS), range(SEGMENT_STEPS)
    farthest = [
        index
        for index, node in enumerate(program.nodes)
        if node.op is Op.REDUCE_MAX and program.nodes[node_of(node.inputs[0])].op is Op.CONCAT
    ][place]
    row = program.nodes[node_of(program.nodes[farthest].inputs[0])]
    distances = [node_of(program.nodes[node_of(source)].inputs[0]) for source in row.inputs]
    assert [program.nodes[index].op for index in distances] == [Op.SUM] * TOLERANCE.runs
    split = next(
        index
        for index, node in enumerate(program.nodes)
        if node.op is Op.SELECT and Input(InputKind.F32, f32_bits(2.0**16 + 1)) in node.inputs
    )
    return {
        "threshold": (last, {farthest: torch.ones_like}),
        "runs": (last, dict.fromkeys(distances, torch.ones_like)),
        "draw": (every, {split: lambda value: torch.full_like(value, 2.0**20 + 1)}),
        "verdict": (last, {verdict(): torch.ones_like}),
    }


def condemning_lies() -> dict[str, Lie]:
    """The same for lies in the last step that condemn good work."""
    nodes = enumerate(workload().step.nodes)
    ended = next(i for i, node in nodes if node.op is Op.SELECT and node.inputs[1].kind is InputKind.COMMITTED)
    return {"committed": {ended: lambda value: value + 1}, "verdict": {verdict(): torch.zeros_like}}


class Liar(Verifier):
    """Lies about nodes of a replay, consistently."""

    def __init__(self, *arguments: Any, steps: range, lie: Lie, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.lie = dict.fromkeys(steps, lie)

    def tamper(self, posted: PostedTask, segment: int) -> Tamper | None:
        return self.lie if segment == 2 else None


@pytest.mark.parametrize("about", ["committed", pytest.param("verdict", marks=pytest.mark.long)])
def test_who_condemns_near_work_by_a_lie_is_convicted(stage: Stage, about: str) -> None:
    """Also where the leaf reads what the solver committed to."""
    name, lie = f"53 {about}", {"steps": range(SEGMENT_STEPS - 1, SEGMENT_STEPS), "lie": condemning_lies()[about]}
    posted, state, _ = play(stage, name, NativeSolver, {"precision": "bf16"}, Liar, lie)
    assert describe(stage.world, posted.terms.id, state) == f"settled; {name} verifier convicted"


@pytest.mark.parametrize("about", [pytest.param("threshold", marks=pytest.mark.long), "runs", "draw", "verdict"])
def test_who_passes_far_work_by_a_lie_is_convicted(stage: Stage, about: str) -> None:
    """A threshold, the runs it comes from, what was drawn for them: whistleblowers overturn any of them."""
    steps, lie = passing_lies()[about]
    name = f"54 {about}"
    posted, state, _ = play(stage, name, Poisoner, {}, Liar, {"steps": steps, "lie": lie})
    # A lie about the draw changes the runs' states after every step: the replay digest shows it, too.
    assert describe(stage.world, posted.terms.id, state).startswith(f"rejected; {name} verifier convicted")
