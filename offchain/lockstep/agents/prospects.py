"""What the tasks posted lately promise in each role, read from the chain (``agents/roles.py`` decides)."""

from __future__ import annotations

from dataclasses import dataclass, field

from lockstep.agents.backing import read_backings
from lockstep.agents.caution import Caution, misgiving
from lockstep.agents.outlook import RECENT_TASKS, Prices, Seen, counted_speed, read_outlook, read_seen
from lockstep.agents.reserve import task_reserve
from lockstep.agents.roles import Prospect
from lockstep.chain.lockstep import Lockstep, PostedTask
from lockstep.chain.terms import whole_work
from lockstep.chain.types import TaskState


@dataclass(frozen=True, slots=True)
class Means:
    """What whoever runs an account gives it to change roles with.

    Attributes:
        prices: what work costs it, and what must be left
        stake: what it would be weighed by as a verifier, base units; 0: it never verifies
        caution: what it asks of verifiers before it solves
        spare_fees: stake it would keep free as a solver, in fees of the task

    """

    prices: Prices = field(default_factory=Prices)
    stake: int = 0
    caution: Caution = field(default_factory=Caution)
    spare_fees: float = 0.0


def read_prospects(lockstep: Lockstep, means: Means, speed: float | None) -> list[Prospect]:
    """What the last tasks that this account did not post itself promise it, oldest first.

    ``speed`` as for ``read_outlook``. Tasks that were cancelled or void promise nothing, and are left out.
    """
    account = lockstep.client.address
    found: list[PostedTask] = []
    for posted in reversed(lockstep.tasks()):
        if len(found) == RECENT_TASKS:
            break
        is_dead = lockstep.state(posted.terms.id) in (TaskState.CANCELLED, TaskState.VOID)
        if posted.terms.submitter != account and not is_dead:
            found.append(posted)
    if not found:
        return []
    found.reverse()
    seen, solvers = read_seen(lockstep), _rival_solvers(lockstep, found)
    solvable = _would_solve(lockstep, found[-1], means)
    return [_prospect(lockstep, posted, means, speed, seen, solvers, solvable) for posted in found]


def _prospect(
    lockstep: Lockstep,
    posted: PostedTask,
    means: Means,
    speed: float | None,
    seen: Seen,
    solvers: int,
    solvable: bool,
) -> Prospect:
    terms, parameters, numbers = posted.terms, lockstep.parameters, lockstep.numbers(posted.terms)
    account, unit = lockstep.client.address, parameters.weight_unit
    # The parties of a task do not audit it, and neither does who has no stake for a claim.
    others = sum(weight for who, weight in lockstep.verifiers().items() if who not in (account, terms.submitter))
    need = numbers.claim_deposit + parameters.claim_bond
    carried = means.stake // need if _could_stake(lockstep, means.stake) else 0
    own = means.stake // unit if carried else 0
    work, rate = whole_work(terms), speed or counted_speed(lockstep)
    return Prospect(
        outlook=read_outlook(lockstep, posted, [], means.prices, speed, seen),
        claims=terms.audits,
        weight=own / (own + others) if own else 0.0,
        carried=carried,
        fee=numbers.fee,
        solving=means.prices.of_look(work, rate, numbers.fee),
        solvers=solvers,
        solvable=solvable,
    )


def _rival_solvers(lockstep: Lockstep, tasks: list[PostedTask]) -> int:
    """Accounts other than this one that solved some of these tasks."""
    return len({lockstep.solver(posted.terms.id) for posted in tasks} - {None, lockstep.client.address})


def _could_stake(lockstep: Lockstep, amount: int) -> bool:
    """Whether this account would have so much, once what it has locked is free."""
    account = lockstep.client.address
    return lockstep.can_stake(max(0, amount - lockstep.locked(account)))


def _would_solve(lockstep: Lockstep, posted: PostedTask, means: Means) -> bool:
    """Whether this account could lock what such a task takes, and would accept it as verifiers' stake is now."""
    numbers, account = lockstep.numbers(posted.terms), lockstep.client.address
    if not _could_stake(lockstep, numbers.solver_deposit + task_reserve(lockstep, posted, means.spare_fees)):
        return False
    need = numbers.claim_deposit + lockstep.parameters.claim_bond
    return not means.caution.verifiers or (
        misgiving(read_backings(lockstep, posted, account), need, posted.terms.audits, means.caution) is None
    )
