"""Tasks that go on from where a settled one ended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lockstep.agents.answerer import Answerer
from lockstep.agents.replica import Tamper
from lockstep.agents.solver import Solver
from lockstep.agents.submitter import Order, Submitter
from lockstep.agents.verifier import Verifier
from lockstep.agents.whistleblower import Whistleblower
from lockstep.agents.workload import WorkloadError, load_workload, publish, read_start
from lockstep.chain.errors import ChainError
from lockstep.chain.lockstep import PostedTask
from lockstep.chain.options import TaskOptions
from lockstep.chain.types import PieceKind, TaskState
from lockstep.cli.demo.actors import NudgingSolver, next_float
from lockstep.cli.demo.acts import make_verifier
from lockstep.cli.demo.stage import PRICE, Stage, job
from lockstep.program.ops import InputKind
from lockstep.storage.store import ArtifactStore

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]

STEPS, SEGMENT, SEED = 8, 4, 2026


class SteppingVerifier(Verifier):
    """Is wrong about a value that STEP goes into, in the first segment."""

    def tamper(self, posted: PostedTask, segment: int) -> Tamper | None:
        """One more than it should be, in the segment's second step."""
        program = self.bench(posted).workload.step
        reads = [node for node in program.nodes if any(source.kind is InputKind.STEP for source in node.inputs)]
        return {1: {program.nodes.index(reads[0]): next_float}} if segment == 1 else None


def order(parent: int = 0, steps: int = STEPS) -> Order:
    return Order(steps, SEGMENT, audits=None, price=PRICE, seed=None if parent else SEED, parent=parent)


def submit(submitter: Submitter, parent: int = 0, steps: int = STEPS) -> PostedTask:
    workload = job("mlp").workload
    return submitter.submit(submitter.stack(workload, parent) if parent else workload, order(parent, steps))


def solve(stage: Stage, name: str, posted: PostedTask, kind: type[Solver] = Solver, **options: object) -> TaskState:
    """Solver and verifier of a task, to its end."""
    task = posted.terms.id
    solver = stage.world.agent(kind, f"{name} solver", [task], **options)
    verifier = make_verifier(stage, Verifier, f"{name} verifier", posted, 5)
    state = stage.world.run(task, [solver, verifier])
    stage.world.dismiss(verifier)
    return state


@pytest.fixture(scope="module")
def parent(stage: Stage) -> tuple[Submitter, PostedTask]:
    submitter = stage.world.agent(Submitter, "20 submitter")
    posted = submit(submitter)
    assert solve(stage, "20", posted) is TaskState.SETTLED
    return submitter, posted


def final_root(submitter: Submitter, posted: PostedTask) -> bytes:
    work = submitter.lockstep.work(posted.terms.id)
    assert work is not None
    return work.final_root


def test_two_stacked_tasks_end_where_one_long_task_does(stage: Stage, parent: tuple[Submitter, PostedTask]) -> None:
    submitter, first = parent
    second = submit(submitter, first.terms.id)
    assert second.terms.seed == SEED
    assert TaskOptions.unpack(second.terms.options) == TaskOptions(first.terms.id, STEPS)
    assert second.terms.init_program == final_root(submitter, first)
    assert solve(stage, "21", second) is TaskState.SETTLED
    assert 0 not in submitter.lockstep.drawn_segments(second.terms.id)
    whole = submit(submitter, steps=2 * STEPS)
    assert solve(stage, "22", whole) is TaskState.SETTLED
    assert final_root(submitter, second) == final_root(submitter, whole)
    third = submit(submitter, second.terms.id)
    assert TaskOptions.unpack(third.terms.options) == TaskOptions(second.terms.id, 2 * STEPS)


def test_dishonest_solver_of_a_stacked_task_is_convicted(stage: Stage, parent: tuple[Submitter, PostedTask]) -> None:
    submitter, first = parent
    posted = submit(submitter, first.terms.id)
    assert solve(stage, "23", posted, NudgingSolver, segment=1, step=2) is TaskState.REJECTED


def test_lie_about_the_step_number_is_convicted_in_a_dispute(
    stage: Stage, parent: tuple[Submitter, PostedTask]
) -> None:
    submitter, first = parent
    posted = submit(submitter, first.terms.id)
    task, world = posted.terms.id, stage.world
    liar = make_verifier(stage, SteppingVerifier, "24 verifier", posted, 5)
    watcher = world.agent(Whistleblower, "24 whistleblower", [task])
    solver = world.agent(Solver, "24 solver", [task])
    assert world.run(task, [solver, liar, watcher]) is TaskState.SETTLED
    claims = submitter.lockstep.claims(task, 1, 0)
    assert submitter.lockstep.claim(claims[0].ref).convicted
    world.dismiss(liar)


@pytest.mark.long
def test_all_of_a_stacked_task_can_be_had_from_the_chain(
    stage: Stage, parent: tuple[Submitter, PostedTask], tmp_path: Path
) -> None:
    submitter, first = parent
    posted = submit(submitter, first.terms.id)
    task, world = posted.terms.id, stage.world
    solver = world.agent(Solver, "25 solver", [task])
    answerer = Answerer(solver.lockstep, solver.store, solver.journal, narrate=solver.narrate, only=[task])
    verifier = make_verifier(stage, Verifier, "25 verifier", posted, 5)
    verifier.store, verifier.seeker.limit = ArtifactStore(str(tmp_path)), 10**30
    assert world.run(task, [solver, answerer, verifier]) is TaskState.SETTLED
    pieces = [demand.piece for demand in submitter.lockstep.demands(task)]
    assert {PieceKind(piece.kind) for piece in pieces} == set(PieceKind)
    assert {piece.segment for piece in pieces if piece.kind == PieceKind.STATE} == {1, 2}
    world.dismiss(verifier)


def test_task_is_stacked_on_settled_ones_with_the_same_state_only(
    stage: Stage, parent: tuple[Submitter, PostedTask]
) -> None:
    submitter, first = parent
    open_task = submit(submitter)
    with pytest.raises(ChainError, match="only a settled task"):
        submitter.stack(job("mlp").workload, open_task.terms.id)
    with pytest.raises(ChainError, match="other tensors"):
        submitter.stack(job("cnn").workload, first.terms.id)
    with pytest.raises(ChainError, match="parent"):
        submitter.offer(job("mlp").workload, replace(order(), first_step=3))
    submitter.cancel(open_task)


def test_start_that_is_not_the_parents_end_is_refused(stage: Stage, parent: tuple[Submitter, PostedTask]) -> None:
    submitter, first = parent
    stacked = submitter.stack(job("mlp").workload, first.terms.id)
    posted = submit(submitter, first.terms.id)
    start = submitter.store.put(b"no checkpoint")
    uri = publish(submitter.store, replace(stacked, start=start))
    workload = load_workload(submitter.store, posted.terms, uri)
    with pytest.raises(WorkloadError, match="starts from"):
        read_start(submitter.store, workload, posted.terms)
    with pytest.raises(WorkloadError, match="names no checkpoint"):
        load_workload(submitter.store, posted.terms, first.uri)
    submitter.cancel(posted)
