"""The verifier: drawn by its stake, it replays segments and claims their ends openly."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from lockstep.agents.claimant import Claimant
from lockstep.agents.keeper import RACE_ERRORS
from lockstep.agents.reader import DataMissingError
from lockstep.agents.seeker import Seeker
from lockstep.agents.sums import KIND, sums_key
from lockstep.agents.task_secrets import SeedLostError, TaskSecrets
from lockstep.agents.workload import WorkloadError
from lockstep.chain.amounts import amount_text
from lockstep.chain.errors import Reverted
from lockstep.chain.lockstep import BATCH, Lockstep, PostedTask
from lockstep.chain.types import ClaimBody, Slot, SlotState, TaskState
from lockstep.engine.committed import reads_committed

BATCH_SECONDS = 20.0
"""A claim that is ready is not kept back longer for others to come."""

PATIENCE_SHARE = 4
"""A verifier that checks sums waits for them for this part of its claim window: a fourth."""

DRAW_ERRORS = RACE_ERRORS | {"NotDrawnVerifier", "NoVerifier", "Expired"}
"""Refusals that mean: the audits were drawn meanwhile, or stake has moved that the draw counts."""

Claim = tuple[int, tuple[Any, ...], list[bytes]]
"""Segment, body and checkpoint proof, as ``postClaim`` takes them."""


def retire(lockstep: Lockstep) -> int:
    """Give an account's notice, or take it out of the draws once that is over; see ``Verifier.retire``."""
    address = lockstep.client.address
    if not lockstep.weight(address):
        return 0
    end = lockstep.notice_end(address)
    if end > lockstep.now():
        return end
    lockstep.send(lockstep.court, "retireVerifier", doing="leave the draws" if end else "give notice as a verifier")
    return 0 if end else lockstep.notice_end(address)


class Verifier(Claimant):
    """Registers for draws, replays what it is drawn for, and claims its end openly."""

    role = "verifier"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.secrets = TaskSecrets(self.lockstep, self.journal)
        self.seeker = Seeker(self)
        self._sought = False

    def register(self, stake: int) -> None:
        """Stake, commit to secrets and enter the draws; notice that was given is void."""
        self.lockstep.ensure_stake(stake, on_duty=True)
        if self.secrets.is_due():
            self.secrets.commit()
        self.lockstep.send(self.lockstep.court, "registerVerifier", stake, doing="register as a verifier")
        self.narrate(f"registers with a stake of {amount_text(stake)}")

    def retire(self) -> int:
        """Give notice, or leave the draws once it is over; claims already drawn stay.

        Returns:
            until when it stays in the draws (timestamp); 0: it is out of them

        """
        end = retire(self.lockstep)
        self.narrate("gives notice that it will leave the draws" if end else "leaves the draws")
        return end

    def tick(self) -> bool:
        """Claim where drawn; play disputes."""
        acted = self._renew_secrets()
        for posted in self.tasks():
            acted |= self._open_secrets(posted)
            acted |= self._draw(posted)
            segments = self.lockstep.live_segments(posted.terms.id)
            slots = [self.lockstep.slot(posted.terms.id, segment) for segment in segments]
            if any(map(self._is_drawn, slots)) and self.exposes(posted):
                acted = True
                continue
            acted |= self._claim_all(posted, segments)
            for segment in segments:
                slot = self.lockstep.slot(posted.terms.id, segment)
                if self._is_drawn(slot) and self.own_claim(posted, segment, slot) is not None:
                    acted |= self.open_disputes(posted, segment, slot)
            acted |= self.play(posted)
        return acted

    def _renew_secrets(self) -> bool:
        """Commit to more secrets before those there are run out: without, the account is passed over in draws."""
        if not self.secrets.is_due() or not self.lockstep.view(self.lockstep.court, "weightOf", self.address):
            return False
        self.secrets.commit()
        self.narrate("commits to more secrets")
        return True

    def _open_secrets(self, posted: PostedTask) -> bool:
        """Open the secret of an ended task, whatever it says: not opened, it costs the deposit."""
        acted, task = False, posted.terms.id
        for claim in self.secrets.awaited(posted):
            if not self.opens(posted, claim.ref.segment):
                continue
            try:
                told = self.secrets.open(posted, claim)
            except SeedLostError as error:
                self.complain(f"cannot open its secret for task {task}: {error}")
                continue
            except Reverted as error:
                if error.error not in RACE_ERRORS:
                    raise
                continue  # whoever knows the secret may open it
            said = f"it was told to err in entry {told.step}" if told.errs else "it was not told to err"
            self.narrate(f"opens its secret for segment {claim.ref.segment} of task {task}: {said}")
            acted = True
        return acted

    def body(self, posted: PostedTask, segment: int, slot: Slot) -> ClaimBody:
        """What it claims: bound to its secret, with one wrong entry where that tells it to."""
        body = super().body(posted, segment, slot)
        if not self.secrets.are_needed:
            return body
        return self.secrets.bind(posted, segment, slot, body)

    def opens(self, posted: PostedTask, segment: int) -> bool:
        """Whether this verifier opens its secret; an honest one does."""
        return True

    def _is_drawn(self, slot: Slot) -> bool:
        return slot.state == SlotState.DRAWN and slot.verifier == self.address

    def _draw(self, posted: PostedTask) -> bool:
        """Draw a task's audits and claim a segment in one transaction, where this verifier will be drawn for one."""
        task = posted.terms.id
        if self.lockstep.state(task) is not TaskState.COMMITTED:
            return False
        coming = self.lockstep.coming_slots(posted)
        segment = next((each for each, slot in coming.items() if self._is_drawn(slot)), None)
        if segment is None or not self._replays_before(posted, coming[segment]):
            return False
        if self.exposes(posted):
            return True
        try:
            # What reads the draw's value is replayed once that is recorded.
            if reads_committed(self.bench(posted).workload.step):
                return False
            claim = self._prepare(posted, segment, coming[segment])
        except (DataMissingError, WorkloadError, SeedLostError):
            return False  # it is drawn, and can demand, as ever
        if claim is None:
            return False
        try:
            self.lockstep.send(
                self.lockstep.court, "drawAndClaim", posted.terms.abi(), *claim, doing=f"draw the audits of task {task}"
            )
        except Reverted as error:
            if error.error not in DRAW_ERRORS:
                self.complain(str(error))
            return (
                error.error == "WrongTaskState"
            )  # somebody else drew: it is to claim; or the draw comes out otherwise
        self.narrate(f"draws segments {', '.join(map(str, sorted(coming)))} of task {task}")
        self.narrate(f"{_verdict(claim)} segment {segment} of task {task}")
        return True

    def _replays_before(self, posted: PostedTask, slot: Slot) -> bool:
        """Whether a replay may come before the draw: a claim window from now ends before the draw's window does.

        Who checks by the solver's sums needs the draw first: they are made after it.
        """
        return not self.uses_sums and slot.claim_deadline <= self.lockstep.deadline(posted.terms.id)

    def _claim_all(self, posted: PostedTask, segments: Sequence[int]) -> bool:
        """Replay what is due and post the claims, many to a transaction where replaying is quick."""
        ready: list[Claim] = []
        self._sought, begun = False, time.monotonic()
        acted = False
        for segment in segments:
            claim = self._claim(posted, segment)
            if claim is not None:
                ready.append(claim)
            if len(ready) == BATCH or time.monotonic() - begun > BATCH_SECONDS:
                acted |= self._post(posted, ready)
                ready, begun = [], time.monotonic()
        return self._post(posted, ready) or acted or self._sought

    def _post(self, posted: PostedTask, ready: Sequence[Claim]) -> bool:
        terms = posted.terms.abi()
        try:
            self.lockstep.send_all("postClaim", [(terms, *claim) for claim in ready], doing="post claims")
        except Reverted as error:
            if len(ready) == 1:
                self.complain(str(error))
                return False
            # One of them is refused, and all with it: each for itself.
            return sum(self._post(posted, [claim]) for claim in ready) > 0
        for claim in ready:
            self.narrate(f"{_verdict(claim)} segment {claim[0]} of task {posted.terms.id}")
        return bool(ready)

    def _claim(self, posted: PostedTask, segment: int) -> Claim | None:
        """What to claim about a segment; None where there is nothing to claim now."""
        task = posted.terms.id
        slot = self.lockstep.slot(task, segment)
        if not self._is_drawn(slot) or self.own_claim(posted, segment, slot) is not None:
            return None
        if self._awaits_sums(posted, segment, slot):
            self.complain(f"waits for the sums of segment {segment} of task {task}")
            return None
        try:
            return self._prepare(posted, segment, slot)
        except SeedLostError as error:
            # A claim that is never opened costs deposit and bond, silence a miss.
            self.complain(f"does not claim about segment {segment} of task {task}: {error}")
        except (DataMissingError, WorkloadError) as error:
            self.complain(f"cannot replay segment {segment} of task {task}: {error}")
            self._sought |= self.convicts_start(posted, segment) or self.seeker.seek(posted, segment)
        return None

    def _prepare(self, posted: PostedTask, segment: int, slot: Slot) -> Claim | None:
        """The claim on a segment it is drawn for, by a replay; None where it makes none.

        Raises:
            SeedLostError: the secret that it would have to open is lost
            DataMissingError: the solver's checkpoints cannot be had
            WorkloadError: the task's programs or data cannot be had or break the rules

        """
        if self.lockstep.now() > slot.claim_deadline or not self.claims_at_all(posted, segment):
            return None
        if self.secrets.are_needed:
            self.secrets.in_force(posted.terms.id, segment, slot.round)  # before a replay that would be for nothing
        body = self.body(posted, segment, slot)
        return segment, body.abi(), self.link(posted, segment).proof

    def _awaits_sums(self, posted: PostedTask, segment: int, slot: Slot) -> bool:
        """Whether the solver may still publish the sums: they come after the draw, and are waited for so long."""
        if not self.uses_sums or segment == 0:
            return False
        window = self.lockstep.parameters.claim_window
        if self.lockstep.now() > slot.claim_deadline - window + window // PATIENCE_SHARE:
            return False
        try:
            link = self.link(posted, segment)
            carried = self.bench(posted).carried
        except (DataMissingError, WorkloadError):
            return False  # said where the replay needs them
        return bool(carried) and self.store.get_ref(KIND, sums_key(link.start, link.checkpoint)) is None

    def claims_at_all(self, posted: PostedTask, segment: int) -> bool:
        """Whether this verifier posts its claim; an honest one does."""
        return True


def _verdict(claim: Claim) -> str:
    _, body, _ = claim
    return "passes" if body[1] == body[2] else "condemns"
