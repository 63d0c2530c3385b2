"""A solver's duty to its data: whoever demands a piece of it on chain is answered in time."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lockstep.agents import pieces
from lockstep.agents.base import Agent
from lockstep.agents.checkpoints import CheckpointLog
from lockstep.agents.workload import WorkloadError
from lockstep.chain.errors import Reverted
from lockstep.chain.lockstep import PostedDemand, PostedTask
from lockstep.chain.types import DemandState, PieceKind, TaskState
from lockstep.engine.checkpoint import parse_checkpoint
from lockstep.engine.errors import EngineError
from lockstep.storage.store import StorageError

LATE_ERRORS = frozenset({"WrongDemand", "DemandOverdue"})
"""Refusals that mean: somebody else answered, or time was called."""


class Answerer(Agent):
    """Answers demands for data of the tasks this account solved, from the solver's store and journal.

    It shares that journal, and so its lock: one process runs both. The fee pays for the gas; silence costs the deposit.
    """

    role = "solver"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._state: tuple[str, list[Tensor]] | None = None

    def tick(self) -> bool:
        """Answer what is open."""
        acted = False
        for posted in self.tasks():
            task = posted.terms.id
            if self.lockstep.solver(task) != self.address or self.lockstep.state(task) is not TaskState.AUDITING:
                continue
            for demand in self.lockstep.demands(task):
                acted |= self._answer(posted, demand)
        return acted

    def release(self, task: int) -> None:
        """Give back the memory that a finished task took."""
        super().release(task)
        self._state = None

    def answers(self, posted: PostedTask, demand: PostedDemand) -> bool:
        """Whether this solver answers a demand now; an honest one does at once."""
        return True

    def _answer(self, posted: PostedTask, demand: PostedDemand) -> bool:
        if demand.answer is not None or self.lockstep.demand(demand.id).state != DemandState.OPEN:
            return False
        if self.lockstep.now() > demand.deadline or not self.answers(posted, demand):
            return False
        task, segment = posted.terms.id, demand.piece.segment
        try:
            function, arguments = self._compose(posted, demand)
        except (WorkloadError, StorageError, EngineError) as error:
            self.complain(f"cannot answer a demand for data of segment {segment} of task {task}: {error}")
            return False
        try:
            self.lockstep.send(self.lockstep.data_demands, function, *arguments, doing="answer a demand for data")
        except Reverted as error:
            if error.error not in LATE_ERRORS:
                raise
            return False
        kind = PieceKind(demand.piece.kind).name.lower()
        self.narrate(f"answers a demand for {kind} of segment {segment} of task {task}")
        return True

    def _compose(self, posted: PostedTask, demand: PostedDemand) -> tuple[str, tuple[Any, ...]]:
        """Contract function and arguments of an answer."""
        piece = demand.piece
        stored = CheckpointLog(self.journal, self.scope(posted.terms.id)).read()
        if piece.segment >= len(stored):
            raise WorkloadError(f"The journal has {len(stored)} checkpoints of the task: it is not the solver's.")
        roots = [bytes.fromhex(root) for root, _ in stored]
        if piece.kind == PieceKind.LINK:
            return "answerLink", pieces.answer_link(demand, roots)
        workload = self.bench(posted).workload
        if piece.kind == PieceKind.ITEMS:
            return "answerItems", pieces.answer_items(demand, workload)
        if piece.kind == PieceKind.CONSTANT:
            return "answerChunks", pieces.answer_constant(demand, workload)
        _, name = stored[pieces.checkpoint_of(piece)]
        if self._state is None or self._state[0] != name:
            data = self.store.get_buffer(name, workload.checkpoint_limit)
            self._state = name, parse_checkpoint(data, workload.step)
        return "answerChunks", pieces.answer_state(demand, workload, self._state[1], roots)
