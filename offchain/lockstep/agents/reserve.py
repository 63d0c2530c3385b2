"""Stake a solver keeps free, so that it can answer whoever falsely condemns its work.

Until the first claim window is over anybody may call any segment up; each answer is a claim of the solver's own. With
four times a task's fee free, false calls lose more than they win (``docs/PROTOCOL.md``, "Segments that were not
drawn").
"""

from __future__ import annotations

from lockstep.chain.lockstep import Lockstep, PostedTask
from lockstep.chain.types import TaskState


def task_reserve(lockstep: Lockstep, posted: PostedTask, fees: float) -> int:
    """What is to stay free for one task, base units: ``fees`` times its fee, but enough for one answer; 0 for none.

    An answer locks a claim's deposit and bond, and a dispute's opening bond.
    """
    numbers = lockstep.numbers(posted.terms)
    answer = numbers.claim_deposit + lockstep.parameters.claim_bond + lockstep.dispute_parameters.opening_bond
    return max(round(fees * numbers.fee), answer) if fees else 0


def is_exposed(lockstep: Lockstep, task: int) -> bool:
    """Whether segments of a task that has a solver may still be called up, or will be."""
    state = lockstep.state(task)
    if state is TaskState.AUDITING:
        return lockstep.now() <= lockstep.deadline(task)
    return state in (TaskState.ACCEPTED, TaskState.SOLVING, TaskState.COMMITTED)


def reserved(lockstep: Lockstep, account: str, fees: float) -> int:
    """What is to stay free for all tasks that an account solves now, base units."""
    return sum(
        task_reserve(lockstep, posted, fees)
        for posted in lockstep.tasks()
        if lockstep.solver(posted.terms.id) == account and is_exposed(lockstep, posted.terms.id)
    )
