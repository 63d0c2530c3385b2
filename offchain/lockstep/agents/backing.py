"""Who has stake to verify a task, as the chain tells it."""

from __future__ import annotations

from lockstep.agents.caution import Backing
from lockstep.chain.lockstep import Lockstep, PostedTask
from lockstep.chain.terms import last_draw

MOST_LOOKED_AT = 64
"""Registered accounts, the heaviest first, whose free stake is read: a crowd of small ones costs no more than this."""


def read_backings(lockstep: Lockstep, posted: PostedTask, solver: str) -> list[Backing]:
    """The heaviest registered verifiers that may be drawn for a task that ``solver`` would solve, and their free stake.

    At most ``MOST_LOOKED_AT`` accounts are read. Where verifiers need secrets, those without any for this task are
    left out, as the draw does; and so is who has given notice that is over before the task's last draw.
    """
    parameters, task = lockstep.parameters, posted.terms.id
    now = lockstep.now()
    drawn_by = now + last_draw(parameters, posted.terms, posted.terms.solve_window)
    parties = {posted.terms.submitter, solver}
    weights = [(weight, account) for account, weight in lockstep.verifiers().items() if account not in parties]
    found = []
    for weight, account in sorted(weights, reverse=True)[:MOST_LOOKED_AT]:
        trees = lockstep.trees(account) if parameters.forced_bps else []
        if parameters.forced_bps and not any(tree.first_task <= task <= tree.last_task for tree in trees[-1:]):
            continue
        if 0 < lockstep.notice_end(account) <= drawn_by:
            continue  # it may leave, the work done and nobody else there to be drawn
        # A draw counts no more than the weight that was registered, and no more than is free.
        stake = min(lockstep.free_stake(account), weight * parameters.weight_unit)
        found.append(Backing(account, stake, now + parameters.withdrawal_delay > drawn_by))
    return found
