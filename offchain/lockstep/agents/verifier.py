"""The verifier: drawn by its stake, it replays segments and claims their ends openly."""

from __future__ import annotations

from lockstep.agents.claimant import Claimant, DataMissingError, checkpoint_roots
from lockstep.agents.workload import WorkloadError
from lockstep.chain.amounts import amount_text
from lockstep.chain.lockstep import PostedTask
from lockstep.chain.types import SlotState
from lockstep.dispute import claims


class Verifier(Claimant):
    """Registers for draws, replays what it is drawn for, and claims its end openly."""

    role = "verifier"

    def register(self, stake: int) -> None:
        """Stake and enter the draws."""
        self.lockstep.ensure_stake(stake)
        self.lockstep.send(self.lockstep.court, "registerVerifier", doing="register as a verifier")
        self.narrate(f"registers with a stake of {amount_text(stake)}")

    def retire(self) -> None:
        """Leave the draws; claims already drawn stay."""
        self.lockstep.send(self.lockstep.court, "retireVerifier", doing="retire as a verifier")

    def tick(self) -> bool:
        """Claim where drawn; play disputes."""
        acted = False
        for posted in self.tasks():
            for segment in self.lockstep.live_segments(posted.terms.id):
                acted |= self._advance(posted, segment)
            acted |= self.play(posted)
        return acted

    def _advance(self, posted: PostedTask, segment: int) -> bool:
        task = posted.terms.id
        slot = self.lockstep.slot(task, segment)
        if slot.state != SlotState.DRAWN or slot.verifier != self.address:
            return False
        if self.own_claim(posted, segment, slot) is not None:
            return self.open_disputes(posted, segment, slot)
        if self.lockstep.client.now() > slot.claim_deadline or not self.claims_at_all(posted, segment):
            return False
        try:
            body = self.body(posted, segment, slot)
            proof = claims.checkpoint_proof(checkpoint_roots(self.published(posted)), segment)
        except (DataMissingError, WorkloadError) as error:
            self.complain(f"cannot replay segment {segment} of task {task}: {error}")
            return False
        self.lockstep.send(
            self.lockstep.court, "postClaim", posted.terms.abi(), segment, body.abi(), proof, doing="post a claim"
        )
        verdict = "passes" if body.end_root == body.checkpoint_root else "condemns"
        self.narrate(f"{verdict} segment {segment} of task {task}")
        return True

    def claims_at_all(self, posted: PostedTask, segment: int) -> bool:
        """Whether this verifier posts its claim; an honest one does."""
        return True
