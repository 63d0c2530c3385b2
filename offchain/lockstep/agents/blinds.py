"""Bonds of blind claims never opened: taken back where nobody had to open them, forfeited where they are late.

A forfeited bond goes to the treasury, whoever calls. So a call pays only who waits for the treasury's money.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lockstep.chain.errors import Reverted
from lockstep.chain.lockstep import Lockstep, PostedTask
from lockstep.chain.types import MALFORMED, ClaimBody, Slot, TaskState
from lockstep.dispute import claims

LOST_FORFEITS = frozenset({"BadBlind", "WrongWindow"})
"""Refusals that mean: somebody else forfeited it, or it is a block too early."""


@dataclass(frozen=True, slots=True)
class OpenBlind:
    """A blind claim whose bond is held: whose, its commitment (32 bytes), when it may be forfeited (timestamp)."""

    claimant: str
    commitment: bytes
    due: int


def open_blinds(lockstep: Lockstep) -> list[OpenBlind]:
    """Every blind claim that was placed and neither opened, taken back nor forfeited; those due first come first.

    A claim window may be extended by as much again as the longest; after that and the time to open, none is in time.
    """
    parameters, held = lockstep.parameters, lockstep.held_engagements()
    lasts = 2 * parameters.max_claim_window + parameters.unblind_window
    found = [
        OpenBlind(claimant, commitment, placed + lasts + 1)
        for (claimant, commitment), placed in lockstep.placed_blinds().items()
        if (lockstep.court.address, claims.blind_key(claimant, commitment)) in held
    ]
    return sorted(found, key=lambda blind: blind.due)


def forgotten(lockstep: Lockstep) -> list[OpenBlind]:
    """Those that anybody may have forfeited now."""
    now = lockstep.now()
    return [blind for blind in open_blinds(lockstep) if blind.due <= now]


def forfeit(lockstep: Lockstep, blinds: Sequence[OpenBlind]) -> int:
    """Have blind claims forfeited, many to a transaction; how many this account was the first to."""
    calls = [(blind.claimant, blind.commitment) for blind in blinds]
    if not calls:
        return 0
    try:
        lockstep.send_all("forfeitBlind", calls, doing="forfeit blind claims")
    except Reverted as error:
        if len(blinds) > 1:
            return sum(forfeit(lockstep, [blind]) for blind in blinds)
        if error.error not in LOST_FORFEITS:
            raise
        return 0
    return len(blinds)


def is_excused(lockstep: Lockstep, posted: PostedTask, slot: Slot, round_: int) -> bool:
    """Whether a blind claim about this round need not be opened: the task is void, or the segment's start malformed."""
    void = lockstep.state(posted.terms.id) is TaskState.VOID
    return slot.round == round_ and (void or slot.standing == MALFORMED)


def take_back(lockstep: Lockstep, posted: PostedTask, place: tuple[int, int], body: ClaimBody, salt: bytes) -> bool:
    """Take the bond of an excused blind claim about ``place`` (segment, round) back; False where the court refuses.

    It refuses what was placed outside the claim window, or was opened.
    """
    arguments = (posted.terms.abi(), *place, claims.body_hash(body), salt)
    try:
        lockstep.send(lockstep.court, "reclaimBlind", *arguments, doing="take a blind claim's bond back")
    except Reverted as error:
        if error.error not in ("BadBlind", "WrongSlot"):
            raise
        return False
    return True
