"""Whether a task's audit can be relied on: what a solver asks of the verifiers' stake before it accepts; pure.

Work that nobody can be drawn to verify is not paid, and a drawn account that says nothing delays it. What is asked for:
enough accounts, no single one with nearly all of the stake, and stake for every audit that cannot leave before the
draws are over, for notice takes longer. Where a task takes longer than notice, there must be stake for every audit
though all but one of as many accounts as are asked for leave, the heaviest ones. Accounts are free, so several may be
one hand: whom the solver knows it may name, and their stake is enough by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lockstep.chain.amounts import amount_text

SPARE_FEES = 4.0
"""Stake a solver keeps free to answer false calls, in fees of the task (``agents/reserve.py``)."""


@dataclass(frozen=True, slots=True)
class Backing:
    """A registered verifier that may be drawn for a task; free stake in base units, at most what it is weighed by.

    ``stays``: notice takes so long that it cannot leave before the task's segments are drawn, however often.
    """

    account: str
    stake: int
    stays: bool = False


@dataclass(frozen=True, slots=True)
class Caution:
    """What a solver asks of the verifiers' stake before it accepts.

    Attributes:
        verifiers: accounts, other than the task's parties, that can verify a segment; one fewer may leave, the
            heaviest, and the others must have stake for every audit; 0: nothing is asked for
        largest: most of the stake looked at that one account may have, a share
        trusted: accounts that the solver knows to stay; with stake for every audit they are enough

    """

    verifiers: int = 2
    largest: float = 0.9
    trusted: frozenset[str] = frozenset()


def capacity(backings: Sequence[Backing], need: int) -> int:
    """Claims that the accounts can stand for at once; each takes ``need`` base units of one account's stake."""
    return sum(backing.stake // need for backing in backings) if need else len(backings)


def misgiving(backings: Sequence[Backing], need: int, audits: int, caution: Caution) -> str | None:
    """Why an audit of ``audits`` segments cannot be relied on, a clause for people; None if it can.

    ``need``: deposit and bond of a claim, base units.
    """
    if not caution.verifiers:
        return None
    if capacity([backing for backing in backings if backing.account in caution.trusted], need) >= audits:
        return None
    able = sorted((backing for backing in backings if backing.stake >= need), key=lambda each: -each.stake)
    if len(able) < caution.verifiers:
        return (
            f"registered verifiers other than its parties with the {amount_text(need)} of free stake that a claim "
            f"takes: {len(able)}, and {caution.verifiers} are asked for; where nobody is drawn, the work is not paid"
        )
    total = sum(backing.stake for backing in backings)
    if caution.verifiers > 1 and able[0].stake > caution.largest * total:
        return (
            f"{able[0].account} has {100 * able[0].stake / total:.0f} % of the verifiers' free stake, more than the "
            f"{100 * caution.largest:.0f} % that one account may have: its silence could leave the work unpaid"
        )
    leaving = 0 if all(backing.stays for backing in able) else caution.verifiers - 1
    left = capacity(able[leaving:], need)
    if left < audits:
        who = f"without the heaviest ({leaving})" if leaving else "all together"
        return (
            f"{who}, {able[0].account} among them, the registered verifiers have free stake for {left} of its {audits} "
            "audits; where nobody is drawn, the work is not paid"
        )
    return None
