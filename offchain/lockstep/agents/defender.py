"""A solver's defence: where somebody claims that its work is bad, it claims otherwise and disputes it."""

from __future__ import annotations

from collections.abc import Iterator

from lockstep.agents.whistleblower import Whistleblower
from lockstep.chain.lockstep import PostedTask
from lockstep.chain.types import Slot


class Defender(Whistleblower):
    """A whistleblower on the account's own work alone: who condemns it must beat the solver in a dispute.

    It shares the solver's journal, and so its lock: one process runs both.
    """

    role = "solver"

    def tasks(self) -> Iterator[PostedTask]:
        """The tasks this account solved."""
        return (posted for posted in super().tasks() if self.lockstep.solver(posted.terms.id) == self.address)

    def contests(self, posted: PostedTask, segment: int, slot: Slot) -> str | None:
        """Why a claim of one's own is needed; None where every claim passes the checkpoint, whatever its digest."""
        root = self.published(posted).roots[segment]
        if all(claim.body.end_root.hex() == root for claim in self.round_claims(posted, segment, slot)):
            return None
        return super().contests(posted, segment, slot)
