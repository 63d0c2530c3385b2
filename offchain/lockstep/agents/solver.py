"""The solver: accepts a task, trains it segment by segment, commits to its checkpoints, is paid when they hold."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from lockstep.agents.backing import read_backings
from lockstep.agents.base import Agent
from lockstep.agents.caution import Caution, misgiving
from lockstep.agents.checkpoints import CheckpointLog, CheckpointWriter
from lockstep.agents.lots import collect, winnings
from lockstep.agents.nearness import EXACT, NativeTraining, require_native
from lockstep.agents.replica import OnStep, Replica, Tamper
from lockstep.agents.reserve import reserved, task_reserve
from lockstep.agents.workload import WorkloadError, read_start
from lockstep.chain.amounts import amount_text
from lockstep.chain.errors import Reverted
from lockstep.chain.lockstep import PostedTask
from lockstep.chain.options import TaskOptions
from lockstep.chain.selection import solve_window
from lockstep.chain.terms import whole_work
from lockstep.chain.types import Declaration, TaskState, TaskTerms
from lockstep.dispute import claims
from lockstep.engine.checkpoint import parse_checkpoint
from lockstep.engine.committed import reads_committed
from lockstep.storage.manifest import WorkManifest, put_manifest


class Solver(Agent):
    """Solves any open task it can (``only``: those it is given).

    Training resumes at the last stored checkpoint after a crash. Where solvers are drawn it applies with the least
    stake there is and ``declared``, which it is held to.
    """

    role = "solver"
    takes_new = True
    """Whether it begins anything; what it has begun it ends."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.declared = Declaration(families=0, memory_mib=0, rate=0)
        self.precision, self.device = EXACT, "cpu"
        """Arithmetic of tasks in tolerance mode, as for ``NativeTraining``; others are trained exactly."""
        self.caution = Caution(verifiers=0)
        """What it asks of the verifiers' stake before it accepts: nothing, unless told."""
        self.spare_fees = 0.0
        """Stake it keeps free to answer false calls, in fees of each task it solves: none, unless told."""
        self._training: tuple[int, NativeTraining] | None = None
        self._refused: set[int] = set()
        self._collected: set[int] = set()

    def tick(self) -> bool:
        """Accept (programs and data were read before), train and commit, or settle: the next thing that can be done."""
        acted = False
        for posted in self.tasks():
            acted |= self._advance(posted)
        return acted

    def _advance(self, posted: PostedTask) -> bool:
        task = posted.terms.id
        state = self.lockstep.state(task)
        mine = self.lockstep.solver(task) == self.address
        drawn = TaskOptions.unpack(posted.terms.options).apply_deadline != 0
        if drawn and (state is not TaskState.OPEN or self.lockstep.is_draw_over(posted)) and self._release(posted):
            return True
        match state:
            case TaskState.OPEN if task in self._refused or not self.takes_new:
                return False
            case TaskState.OPEN if drawn and not self.lockstep.is_draw_over(posted):
                return self._apply(posted)
            case TaskState.OPEN:
                return self._accept(posted)
            case TaskState.ACCEPTED if mine:
                self._send(posted, "acknowledge", f"acknowledge task {task}")
                self.narrate(f"has programs and data of task {task}; its clock runs")
                return True
            case TaskState.SOLVING if mine:
                return self._solve(posted)
            case TaskState.SETTLED if mine and task not in self._collected:
                return self._collect(posted)
        return False

    def _send(self, posted: PostedTask, function: str, doing: str) -> None:
        self.lockstep.send(self.lockstep.market, function, posted.terms.abi(), doing=doing)

    def _accept(self, posted: PostedTask) -> bool:
        task, terms = posted.terms.id, posted.terms
        if terms.submitter == self.address or terms.accept_deadline < self.lockstep.now():
            return False
        deposit = self.lockstep.numbers(terms).solver_deposit
        if not self._is_backed(posted) or not self._affords(posted, deposit):
            return False
        if not self._can_solve(posted, terms.solve_window):
            return False
        self.lockstep.ensure_stake(deposit + self._spare(posted))
        try:
            self._send(posted, "acceptAndAcknowledge", f"accept task {task}")
        except Reverted as error:
            if error.error != "WrongState":
                raise
            return False  # somebody else was first
        self.narrate(
            f"accepts task {task} and locks {amount_text(deposit)}; it has programs and data, and its clock runs"
        )
        return True

    def _load(self, posted: PostedTask) -> None:
        """Programs, data and start of a task: what acknowledging it says that one has."""
        workload = self.bench(posted).workload
        require_native(workload, posted.terms)
        if workload.start is not None:
            read_start(self.store, workload, posted.terms)

    def _apply(self, posted: PostedTask) -> bool:
        """Apply for a task whose solver is drawn, once, in time."""
        task, terms = posted.terms.id, posted.terms
        late = TaskOptions.unpack(terms.options).apply_deadline < self.lockstep.now()
        if terms.submitter == self.address or late or self.lockstep.application(task, self.address):
            return False
        stake = self.lockstep.numbers(terms).solver_deposit
        if not self._is_backed(posted) or not self._affords(posted, stake):
            return False
        if not self._can_solve(posted, solve_window(terms, self.declared.rate)):
            return False
        self.lockstep.ensure_stake(stake + self._spare(posted))
        market, arguments = self.lockstep.market, (terms.abi(), stake, self.declared.abi())
        try:
            self.lockstep.send(market, "applyToSolve", *arguments, doing=f"apply for task {task}")
        except Reverted as error:
            if error.error not in ("DeadlinePassed", "WrongState"):
                raise
            return False  # a moment too late
        self.narrate(f"applies for task {task} and locks {amount_text(stake)}")
        return True

    def _release(self, posted: PostedTask) -> bool:
        """Take back the stake of an application that was not drawn."""
        task = posted.terms.id
        if not self.lockstep.application(task, self.address):
            return False
        market, arguments = self.lockstep.market, (posted.terms.abi(), self.address)
        try:
            self.lockstep.send(market, "releaseApplication", *arguments, doing=f"take back the stake for task {task}")
        except Reverted as error:
            if error.error != "NoApplication":
                raise
            return False  # somebody did it for this account
        self.narrate(f"was not drawn for task {task}, and takes its stake back")
        return True

    def _is_backed(self, posted: PostedTask) -> bool:
        """Whether verifiers have stake that can be relied on to audit a task; says why not. It may be so later."""
        if not self.caution.verifiers:
            return True
        task, parameters = posted.terms.id, self.lockstep.parameters
        need = self.lockstep.numbers(posted.terms).claim_deposit + parameters.claim_bond
        backings = read_backings(self.lockstep, posted, self.address)
        why = misgiving(backings, need, posted.terms.audits, self.caution)
        if why is not None:
            self.complain(f"does not accept task {task} yet: {why}. Lower what is asked for: --min-verifiers")
        return why is None

    def _spare(self, posted: PostedTask) -> int:
        """Stake to be free beside a task's deposit, for it and for the others that this account solves."""
        others = reserved(self.lockstep, self.address, self.spare_fees)
        return others + task_reserve(self.lockstep, posted, self.spare_fees)

    def _affords(self, posted: PostedTask, deposit: int) -> bool:
        """Whether there is stake to answer false calls beside the deposit; says so where there is not."""
        spare = self._spare(posted)
        if not spare or self.lockstep.can_stake(deposit + spare) or not self.lockstep.can_stake(deposit):
            return True  # where not even the deposit can be had, that is said when it is asked for
        self.complain(
            f"does not accept task {posted.terms.id}: beside its deposit of {amount_text(deposit)}, "
            f"{amount_text(spare)} are to be free to answer who calls good segments up falsely, and there is less. "
            "Fund the account, or keep less: --spare"
        )
        return False

    def _can_solve(self, posted: PostedTask, window: int) -> bool:
        """Whether programs, data and start can be had, and ``window`` seconds are enough; says why not, once."""
        task = posted.terms.id
        try:
            self._check_window(posted.terms, window)
            self._load(posted)
        except WorkloadError as error:
            self._refused.add(task)
            self.narrate(f"refuses task {task}: {error}")
            return False
        return True

    def _check_window(self, terms: TaskTerms, window: int) -> None:
        """Refuse a task that leaves no time for its work: its solver would lose the deposit."""
        work, rate = whole_work(terms), self.lockstep.parameters.work_rate
        if rate and window < work // rate:
            raise WorkloadError(
                f"it leaves {window:,} s for {work:,} units of work, and {rate:,} a second are counted on"
            )

    def _collect(self, posted: PostedTask) -> bool:
        """Collect what audited segments of a settled task won, once."""
        self._collected.add(posted.terms.id)
        try:
            won = [each for each in winnings(self.lockstep, self.store, posted) if collect(self.lockstep, each)]
        except WorkloadError as error:
            self.complain(f"cannot collect what it won: {error}")
            return False
        for each in won:
            self.narrate(f"wins {amount_text(each.bonus)} for segment {each.segment} of task {each.terms.id}")
        return bool(won)

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
        """How many checkpoints there are, and the state at the last of them; nothing before the first.

        A task that starts from another's end has its first checkpoint from the beginning.
        """
        task, workload = posted.terms.id, self.bench(posted).workload
        stored = self._log(task).read()
        if not stored and workload.start is not None:
            state = read_start(self.store, workload, posted.terms)
            self._log(task).add(0, [(posted.terms.init_program.hex(), workload.start)])
            return 1, state
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

        def on_step(step: int, after: Sequence[Tensor], metrics: Sequence[float]) -> None:
            note = f"loss {metrics[0]:.4f}" if metrics else ""
            done = (segment - 1) * terms.segment_steps + step + 1 if segment else 0
            self.progress.update(done, terms.steps, note)

        if segment and reads_committed(self.bench(posted).workload.step):
            return self._train_natively(posted, segment, state, on_step)
        return self.replica(posted, segment, state).run(on_step)

    def _train_natively(
        self, posted: PostedTask, segment: int, state: Sequence[Tensor], on_step: OnStep
    ) -> list[Tensor]:
        """A segment of a task in tolerance mode, whose end need only be near that of a replay."""
        task, bench = posted.terms.id, self.bench(posted)
        if self._training is None or self._training[0] != task:
            native = NativeTraining(bench.workload, posted.terms.seed, self.precision, self.device, self.memory_limit)
            self._training = task, native
            self.narrate(f"trains task {task} natively: {native.runner.name}")
        training, begun = self._training[1], time.perf_counter()
        first = claims.first_step(posted.terms, segment)
        for step in range(claims.segment_steps(posted.terms, segment)):
            state, metrics = training.step(state, first + step)
            on_step(step, state, metrics)
        bench.seconds += time.perf_counter() - begun
        return training.checkpoint(state)

    def release(self, task: int) -> None:
        """Give back the memory that a finished task took."""
        super().release(task)
        if self._training is not None and self._training[0] == task:
            self._training = None

    def _commit(self, posted: PostedTask) -> bool:
        task = posted.terms.id
        stored = self._log(task).read()
        roots = [bytes.fromhex(root) for root, _ in stored]
        work_root = claims.work_tree(roots).root
        uri = put_manifest(
            self.store, WorkManifest(roots=[root for root, _ in stored], checkpoints=[name for _, name in stored])
        )
        is_stacked = self.bench(posted).workload.start is not None
        self.lockstep.send(
            self.lockstep.market,
            "commitStacked" if is_stacked else "commit",
            posted.terms.abi(),
            work_root,
            roots[-1],
            claims.final_proof(roots),
            *([claims.start_proof(roots)] if is_stacked else []),
            uri,
            doing=f"commit the work of task {task}",
        )
        self.narrate(f"commits to {len(roots)} checkpoints of task {task}, root {work_root.hex()[:16]}")
        return True
