"""The solver: accepts a task, trains it segment by segment, commits to its checkpoints, is paid when they hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from lockstep.agents.base import Agent
from lockstep.agents.checkpoints import CheckpointLog, CheckpointWriter
from lockstep.agents.replica import Replica, Tamper
from lockstep.agents.workload import WorkloadError
from lockstep.chain.amounts import amount_text
from lockstep.chain.errors import Reverted
from lockstep.chain.lockstep import PostedTask
from lockstep.chain.types import TaskState, TaskTerms
from lockstep.dispute import claims
from lockstep.engine.checkpoint import parse_checkpoint
from lockstep.storage.manifest import WorkManifest, put_manifest


class Solver(Agent):
    """Solves any open task it can (``only``: those it is given).

    Training resumes at the last stored checkpoint after a crash.
    """

    role = "solver"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._refused: set[int] = set()

    def tick(self) -> bool:
        """Accept, acknowledge, train and commit, or settle: the next thing that can be done."""
        acted = False
        for posted in self.tasks():
            acted |= self._advance(posted)
        return acted

    def _advance(self, posted: PostedTask) -> bool:
        task = posted.terms.id
        state = self.lockstep.state(task)
        mine = self.lockstep.solver(task) == self.address
        match state:
            case TaskState.OPEN if task not in self._refused:
                return self._accept(posted)
            case TaskState.ACCEPTED if mine:
                self._send(posted, "acknowledge", f"acknowledge task {task}")
                self.narrate(f"has programs and data of task {task}; its clock runs")
                return True
            case TaskState.SOLVING if mine:
                return self._solve(posted)
        return False

    def _send(self, posted: PostedTask, function: str, doing: str) -> None:
        self.lockstep.send(self.lockstep.market, function, posted.terms.abi(), doing=doing)

    def _accept(self, posted: PostedTask) -> bool:
        task, terms = posted.terms.id, posted.terms
        if terms.submitter == self.address or terms.accept_deadline < self.lockstep.now():
            return False
        try:
            self._check_window(terms)
            self.bench(posted)
        except WorkloadError as error:
            self._refused.add(task)
            self.narrate(f"refuses task {task}: {error}")
            return False
        deposit = self.lockstep.numbers(terms).solver_deposit
        self.lockstep.ensure_stake(deposit)
        try:
            self._send(posted, "accept", f"accept task {task}")
        except Reverted as error:
            if error.error != "WrongState":
                raise
            return False  # somebody else was first
        self.narrate(f"accepts task {task} and locks {amount_text(deposit)}")
        return True

    def _check_window(self, terms: TaskTerms) -> None:
        """Refuse a task that leaves no time for its work: its solver would lose the deposit."""
        work, rate = terms.step_work * terms.steps + terms.init_work, self.lockstep.parameters.work_rate
        if rate and terms.solve_window < work // rate:
            raise WorkloadError(
                f"it leaves {terms.solve_window:,} s for {work:,} units of work, and {rate:,} a second are counted on"
            )

    # Training

    def _log(self, task: int) -> CheckpointLog:
        return CheckpointLog(self.journal, self.scope(task))

    def _solve(self, posted: PostedTask) -> bool:
        task, terms = posted.terms.id, posted.terms
        segments = claims.last_segment(terms) + 1
        done, state = self._resume(posted)
        if done < segments:
            program = self.bench(posted).workload.step
            with CheckpointWriter(self.store, self._log(task), program, done) as writer:
                for segment in range(done, segments):
                    state = self._train_segment(posted, segment, state)
                    writer.put(state)
        self.bench(posted).close()
        return self._commit(posted)

    def _resume(self, posted: PostedTask) -> tuple[int, list[Tensor]]:
        """How many checkpoints there are, and the state at the last of them; nothing before the first."""
        task = posted.terms.id
        stored = self._log(task).read()
        if not stored:
            return 0, []
        root, name = stored[-1]
        self.narrate(f"goes on with task {task} at checkpoint {len(stored) - 1}")
        return len(stored), self.read_checkpoint(posted, name, bytes.fromhex(root))

    def read_checkpoint(self, posted: PostedTask, name: str, root: bytes) -> list[Tensor]:
        """State from a checkpoint artifact, held to its root."""
        workload = self.bench(posted).workload
        return parse_checkpoint(self.store.get_buffer(name, workload.checkpoint_limit), workload.step, root)

    def replica(self, posted: PostedTask, segment: int, start: Sequence[Tensor]) -> Replica:
        """This solver's run of a segment."""
        first = claims.first_step(posted.terms, segment)
        steps = claims.segment_steps(posted.terms, segment)
        return Replica(self.bench(posted), segment, start, first, steps, self.tamper(posted, segment))

    def tamper(self, posted: PostedTask, segment: int) -> Tamper | None:
        """What this solver changes in its run of a segment: nothing."""
        return None

    def _train_segment(self, posted: PostedTask, segment: int, state: Sequence[Tensor]) -> list[Tensor]:
        terms = posted.terms
        replica = self.replica(posted, segment, state)

        def on_step(step: int, after: Sequence[Tensor], metrics: Sequence[float]) -> None:
            note = f"loss {metrics[0]:.4f}" if metrics else ""
            self.progress.update(min(replica.first_step + step + (segment > 0), terms.steps), terms.steps, note)

        return replica.run(on_step)

    def _commit(self, posted: PostedTask) -> bool:
        task = posted.terms.id
        stored = self._log(task).read()
        roots = [bytes.fromhex(root) for root, _ in stored]
        work_root = claims.work_tree(roots).root
        uri = put_manifest(
            self.store, WorkManifest(roots=[root for root, _ in stored], checkpoints=[name for _, name in stored])
        )
        self.lockstep.send(
            self.lockstep.market,
            "commit",
            posted.terms.abi(),
            work_root,
            roots[-1],
            claims.final_proof(roots),
            uri,
            doing=f"commit the work of task {task}",
        )
        self.narrate(f"commits to {len(roots)} checkpoints of task {task}, root {work_root.hex()[:16]}")
        return True
