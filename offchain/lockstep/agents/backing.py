"""Who has stake to verify a task, as the chain tells it."""

from __future__ import annotations

from lockstep.agents.caution import Backing
from lockstep.chain.lockstep import Lockstep, PostedTask
from lockstep.chain.parameters import Parameters

MOST_LOOKED_AT = 64
"""Registered accounts, the heaviest first, whose free stake is read: a crowd of small ones costs no more than this."""


def read_backings(lockstep: Lockstep, posted: PostedTask, solver: str) -> list[Backing]:
    """The heaviest registered verifiers that may be drawn for a task that ``solver`` would solve, and their free stake.

    At most ``MOST_LOOKED_AT`` accounts are read. Where verifiers need secrets, those without any for this task are
    left out, as the draw does.
    """
    parameters, task = lockstep.parameters, posted.terms.id
    drawn_by = last_draw(parameters, posted.terms.solve_window, lockstep.now())
    parties = {posted.terms.submitter, solver}
    weights = [(weight, account) for account, weight in lockstep.verifiers().items() if account not in parties]
    found = []
    for weight, account in sorted(weights, reverse=True)[:MOST_LOOKED_AT]:
        trees = lockstep.trees(account) if parameters.forced_bps else []
        if parameters.forced_bps and not any(tree.first_task <= task <= tree.last_task for tree in trees[-1:]):
            continue
        # A draw counts no more than the weight that was registered, and no more than is free.
        stake = min(lockstep.free_stake(account), weight * parameters.weight_unit)
        leaves = lockstep.notice_end(account) or lockstep.now() + parameters.withdrawal_delay
        found.append(Backing(account, stake, leaves > drawn_by))
    return found


def last_draw(parameters: Parameters, solve_window: int, now: int) -> int:
    """When a task accepted now has had every draw of verifiers that it may come to (timestamp), all windows used up.

    Of every round but the last a drawn verifier says nothing; longer rounds have somebody who answers. ``solve_window`` in
    seconds.
    """
    silent = parameters.claim_window + parameters.unblind_window + parameters.draw_window
    work = parameters.acknowledge_window + solve_window + parameters.draw_window
    return now + work + parameters.redraws * silent
