"""What the whistleblower's strategy goes by, read from the chain: rivals, false claims, a look's reward and cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lockstep.agents.entry import Outlook
from lockstep.chain import terms as arithmetic
from lockstep.chain.lockstep import Lockstep, PostedTask
from lockstep.chain.types import TaskState
from lockstep.dispute import claims

RECENT_TASKS = 16
"""Tasks whose audits were drawn last: who claimed since, and what became of their claims, is recent."""
HOUR = 3600


@dataclass(frozen=True, slots=True)
class Prices:
    """What whoever runs a whistleblower says of it; token base units.

    Attributes:
        least: what must be left of 10^6 units of work to take part
        cost: what 10^6 units of work cost; None: the task's own price, unless ``hour`` is given
        hour: what an hour of the machine costs, which its measured speed turns into a cost of work

    """

    least: int = 0
    cost: int | None = None
    hour: int | None = None

    def of_look(self, work: int, speed: float, replay_cost: int) -> float:
        """Cost of a look of so much work, base units; ``speed`` in units of work a second."""
        if self.cost is not None:
            return self.cost * work / arithmetic.PRICE_UNIT
        return replay_cost if self.hour is None else self.hour * work / speed / HOUR


@dataclass(frozen=True, slots=True)
class Seen:
    """What recent tasks say of all: live whistleblowers, claims judged, and those of them that were false."""

    rivals: int
    judged: int
    false: int


def read_seen(lockstep: Lockstep) -> Seen:
    """What the tasks drawn last say."""
    recent = lockstep.audited()[-RECENT_TASKS:]
    return Seen(_rivals(lockstep, recent), *_judged(lockstep, [task for task, _ in recent]))


def counted_speed(lockstep: Lockstep) -> float:
    """Units of work a second that the deployment counts on: what stands in for a speed that was not measured."""
    return max(1, lockstep.parameters.work_rate)


def look_work(posted: PostedTask) -> int:
    """Units of work that replaying a task's dearest segment takes."""
    terms = posted.terms
    return max(min(terms.steps, terms.segment_steps) * terms.step_work, terms.init_work)


def read_outlook(
    lockstep: Lockstep,
    posted: PostedTask,
    others: Sequence[PostedTask],
    prices: Prices,
    speed: float | None,
    seen: Seen | None = None,
) -> Outlook:
    """What looking at a task's claims promises now.

    ``others`` are all tasks this account looks at, ``speed`` what it replays in a second (None: not measured yet; the
    deployment's ``work_rate`` stands in where an hour's price must be turned into that of work). ``seen`` is
    ``read_seen`` where that was read already.
    """
    parameters, numbers = lockstep.parameters, lockstep.numbers(posted.terms)
    cost, work = arithmetic.replay_cost(posted.terms), look_work(posted)
    seen = seen or read_seen(lockstep)
    shares = (numbers.solver_deposit + numbers.claim_deposit) * parameters.finder_bps // arithmetic.WHOLE_BPS
    return Outlook(
        rivals=seen.rivals,
        judged=seen.judged,
        false=seen.false,
        forced=parameters.forced_bps * parameters.jackpot_multiple * cost / arithmetic.WHOLE_BPS,
        found=shares + parameters.claim_bond // 2,
        wage=posted.terms.wage,
        work=work,
        cost=prices.of_look(work, speed or counted_speed(lockstep), cost),
        least=prices.least * work / arithmetic.PRICE_UNIT,
        room=_room(lockstep, others, speed),
    )


def _rivals(lockstep: Lockstep, recent: Sequence[tuple[int, int]]) -> int:
    """Live whistleblowers: who placed blind claims since the first of the recent draws.

    A solver that defends its own work is none. Who looked and found nothing leaves no trace, and is not counted.
    """
    if not recent:
        return 0
    own = {lockstep.client.address, *(lockstep.solver(task) for task, _ in recent)}
    return len(lockstep.blind_claimants(recent[0][1]) - own)


def _judged(lockstep: Lockstep, tasks: Sequence[int]) -> tuple[int, int]:
    """(judged, convicted) claims of drawn verifiers; those that were told to err, and did, are left out."""
    judged = false = 0
    for task in tasks:
        if not lockstep.state(task).terminal:
            continue
        told = {(error.segment, error.round) for error in lockstep.forced_errors(task)}
        for segment in lockstep.drawn_segments(task):
            for round_ in range(lockstep.slot(task, segment).round + 1):
                for claim in lockstep.claims(task, segment, round_):
                    if claim.ref.index == 0 and (segment, round_) not in told:
                        record = lockstep.claim(claim.ref)
                        judged += 1
                        false += record.convicted or record.digest_convicted
    return judged, false


def _room(lockstep: Lockstep, tasks: Sequence[PostedTask], speed: float | None) -> float:
    """Share of the open claims that can be replayed while a claim window lasts."""
    if speed is None:
        return 1.0
    work = sum(
        claims.segment_work(posted.terms, segment)
        for posted in tasks
        if lockstep.state(posted.terms.id) is TaskState.AUDITING
        for segment in lockstep.drawn_segments(posted.terms.id)
    )
    return speed * lockstep.parameters.claim_window / work if work else 1.0
