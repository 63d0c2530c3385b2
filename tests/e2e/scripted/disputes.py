"""Verbs about disputes, which end by the clocks."""

from __future__ import annotations

from lockstep.chain.types import ClaimRef
from tests.e2e.scripted.scene import LAST, SEGMENT_STEPS, Scene, root_named


class Disputes(Scene):
    """What the sides of a dispute do, about the last segment."""

    def _ref(self, who: str) -> ClaimRef:
        chain, number = self.chain(who), self.task.terms.id
        found = self.seen.claims(number, LAST, self.seen.slot(number, LAST).round)
        return next(claim.ref for claim in found if claim.claimant == chain.client.address)

    def disputes(self, who: str, defender: str, about: str = "root") -> None:
        """Open a dispute against a party's claim about the last segment: its end root, or its digest's first entry."""
        chain, body = self.chain(who), self.bodies[defender, LAST]
        arguments = (self._ref(defender).abi(), self._ref(who).index, body.abi(), about == "digest", 0)
        chain.send(chain.game, "open", self.task.terms.abi(), *arguments, doing="open a dispute")

    def revealStates(self, who: str) -> None:  # noqa: N802
        """Answer the newest dispute with roots that nobody has computed, but for the last."""
        chain = self.chain(who)
        states = [root_named(f"{who} step", step) for step in range(SEGMENT_STEPS - 1)]
        states.append(self.bodies[who, LAST].end_root)
        chain.send(chain.game, "revealStates", self._newest, states, doing="reveal")

    def timeout(self, who: str) -> None:
        """Call time in the newest dispute."""
        chain = self.chain(who)
        chain.send(chain.game, "timeout", self._newest, doing="call time")

    def withdraw(self, who: str) -> None:
        """End the newest dispute because it is about nothing any more."""
        chain = self.chain(who)
        chain.send(chain.game, "withdraw", self._newest, doing="withdraw")

    @property
    def _newest(self) -> int:
        return self.seen.disputes(self.task.terms.id)[-1]
