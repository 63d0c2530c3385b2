"""The whistleblower: checks the verifiers, claims blindly where they are wrong, and disputes."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace
from typing import Any

from lockstep.agents.blinds import is_excused, take_back
from lockstep.agents.claimant import Claimant, short
from lockstep.agents.entry import Decision, decide
from lockstep.agents.outlook import Prices, read_outlook
from lockstep.agents.reader import DataMissingError
from lockstep.agents.replayer import Checked
from lockstep.agents.workload import WorkloadError
from lockstep.chain.errors import Reverted
from lockstep.chain.lockstep import PostedTask
from lockstep.chain.options import TaskOptions
from lockstep.chain.types import CALLED_ROUND, ClaimBody, Slot, SlotState
from lockstep.dispute import claims, forced
from lockstep.dispute.claims import blind_key

LOST_CALLS = frozenset({"WrongSlot", "WrongWindow", "WrongTaskState", "TooManyCalls"})
"""Refusals of a call that mean: somebody else called the segment up, or it is too late."""
BLIND = "blind/"
"""Journal's names of blind claims: segment and round follow."""
INSURANCE_SHARE = 10
"""The last tenth of a claim window is when a whistleblower no longer waits for the drawn verifier."""


class Whistleblower(Claimant):
    """Replays what verifiers claim; where it finds another end, or a made-up digest, it claims blindly and disputes.

    ``prices`` makes it look only where that pays, at a share of the claims drawn at random (``agents/entry.py``);
    None, the default of the class, at every one. ``undrawn`` is the share of the segments that were not drawn which it
    replays as well, to call up those that are bad.
    """

    role = "whistleblower"
    prices: Prices | None = None
    takes_new = True
    """Whether it begins anything; what it has begun it ends."""
    undrawn = 0.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._replayed = 0
        self._searched: set[tuple[int, int]] = set()

    @property
    def speed(self) -> float | None:
        """Units of work a second that it has replayed so far; None before the first."""
        return self._replayed / self.compute_seconds if self._replayed and self.compute_seconds else None

    def check(self, posted: PostedTask, segment: int) -> Checked:
        """As every claimant's; the work of a new replay is counted."""
        is_new = (posted.terms.id, segment) not in self._checked
        checked = super().check(posted, segment)
        self._replayed += is_new * claims.segment_work(posted.terms, segment)
        return checked

    def decide(self, posted: PostedTask, prices: Prices) -> Decision:
        """What the strategy says of a task's claims now."""
        return decide(read_outlook(self.lockstep, posted, self.lockstep.tasks(), prices, self.speed))

    def looks_at(self, posted: PostedTask, segment: int, slot: Slot) -> bool:
        """Whether this claim is one to look at; says why when that changes."""
        if self.prices is None or (posted.terms.id, segment) in self._checked:
            return True
        decision = self.decide(posted, self.prices)
        self.complain(f"about task {posted.terms.id}: {decision.sentence()}")
        return self._lot(posted.terms.id, segment, slot.round) < decision.chance

    def _lot(self, task: int, segment: int, round_: int) -> float:
        """A number in [0, 1) that stays the same for a claim, and that nobody else can know."""
        scope, name = self.lockstep.deployment.identity, "lots"
        salt = self.journal.get(scope, name)
        if salt is None:
            salt = secrets.token_hex(32)
            self.journal.put(scope, name, salt)
        drawn = hashlib.sha256(f"{salt}/{task}/{segment}/{round_}".encode()).digest()
        return int.from_bytes(drawn[:6], "big") / 2**48

    @property
    def insurance_seconds(self) -> int:
        """How long before the end of a claim window it no longer waits for the drawn verifier."""
        return self.lockstep.parameters.claim_window // INSURANCE_SHARE

    def tick(self) -> bool:
        """Look at every claim made; claim, unblind, dispute."""
        acted = False
        for posted in self.tasks():
            acted |= self._take_back(posted)
            segments = self.lockstep.live_segments(posted.terms.id)
            if segments and self.exposes(posted):
                acted = True
                continue
            for segment in segments:
                acted |= self._advance(posted, segment)
            acted |= self.play(posted)
            acted |= bool(segments) and self.takes_new and self.undrawn > 0 and self._search(posted)
        return acted

    # Segments that were not drawn

    def _search(self, posted: PostedTask) -> bool:
        """Replay one of the undrawn segments that are to be looked at, while it can still be called up."""
        task = posted.terms.id
        if self.lockstep.now() > self.lockstep.deadline(task):
            return False
        audited = self.lockstep.audited_segments(task)
        first = 1 if TaskOptions.unpack(posted.terms.options).parent else 0
        for segment in range(first, claims.last_segment(posted.terms) + 1):
            seen = segment in audited or (task, segment) in self._searched
            if seen or self._lot(task, segment, CALLED_ROUND) >= self.undrawn:
                continue
            if self._volunteer(posted, segment):
                return True
        return False

    def _volunteer(self, posted: PostedTask, segment: int) -> bool:
        """Replay an undrawn segment, and call it up if it does not end in the solver's checkpoint."""
        task = posted.terms.id
        try:
            checked = self.check(posted, segment)
            self._searched.add((task, segment))
            if checked.end_root == checked.checkpoint_root:
                del self._checked[task, segment]  # as large as its states, and needed no more
                return True
            proof = self.link(posted, segment).proof
        except (DataMissingError, WorkloadError) as error:
            self.complain(f"cannot replay segment {segment} of task {task}: {error}")
            return False
        numbers = self.lockstep.numbers(posted.terms)
        self.lockstep.ensure_stake(numbers.claim_deposit + self.lockstep.parameters.claim_bond)
        slot = replace(self.lockstep.slot(task, segment), round=CALLED_ROUND, beacon_value=self._task_value(task))
        body = self.body(posted, segment, slot).abi()
        arguments = (posted.terms.abi(), segment, body, proof)
        try:
            self.lockstep.send(self.lockstep.court, "callUp", *arguments, doing=f"call segment {segment} up")
        except Reverted as error:
            if error.error not in LOST_CALLS:
                raise
            return False  # somebody was first: from now on it is a segment with a claim
        self.narrate(f"calls up segment {segment} of task {task}, which does not end in the solver's checkpoint")
        return True

    def _task_value(self, task: int) -> bytes:
        """The value that drew a task's audits."""
        drawn = self.lockstep.drawn_segments(task)[0]
        return self.lockstep.beacon_value(task, drawn, 0)

    # Segments with claims

    def _advance(self, posted: PostedTask, segment: int) -> bool:
        slot = self.lockstep.slot(posted.terms.id, segment)
        if slot.state != SlotState.DRAWN:
            return False
        now = self.lockstep.now()
        windows = self.lockstep.windows(posted.terms.id, segment)
        if now <= windows.claim:
            return self._place(posted, segment, slot)
        if now <= windows.unblind:
            return self._unblind(posted, segment, slot)
        return self.open_disputes(posted, segment, slot)

    def contests(self, posted: PostedTask, segment: int, slot: Slot) -> str | None:
        """Why this segment deserves a claim of one's own; None if it does not.

        A bad checkpoint does, whatever others claim; so does a wrong claim. Where the drawn verifier waits until the
        last of the window, a claim is insurance against one that comes too late to be answered.
        """
        checked = self.check(posted, segment)
        posted_claims = self.round_claims(posted, segment, slot)
        if any(claim.claimant == self.address for claim in posted_claims):
            return None
        if checked.end_root != checked.checkpoint_root:
            return f"segment {segment} does not end in the solver's checkpoint"
        if not posted_claims and slot.claim_deadline - self.lockstep.now() < self.insurance_seconds:
            return f"nobody has claimed segment {segment}, and the window is nearly over"
        for claim in posted_claims:
            if claim.body.end_root != checked.end_root:
                return f"segment {segment} ends otherwise than {short(claim.claimant)} claims"
            if self.wrong_entry(posted, segment, slot, claim) is not None:
                return f"{short(claim.claimant)} did not replay segment {segment}: its digest is wrong"
        return None

    def body(self, posted: PostedTask, segment: int, slot: Slot) -> ClaimBody:
        """What it claims; it names the drawn verifier's wrong entry, if there is one, which pays if that was forced."""
        body = super().body(posted, segment, slot)
        for claim in self.round_claims(posted, segment, slot):
            if claim.ref.index != 0 or claim.body.end_root != body.end_root:
                continue
            step = self.wrong_entry(posted, segment, slot, claim)
            if step is not None:
                return replace(body, commitment=forced.naming(step))
        return body

    def _blind_name(self, segment: int, slot: Slot) -> str:
        return f"{BLIND}{segment}/{slot.round}"

    def _place(self, posted: PostedTask, segment: int, slot: Slot) -> bool:
        record = self.journal.get(self.scope(posted.terms.id), self._blind_name(segment, slot))
        if record is not None:
            return self._send_blind(bytes.fromhex(record["commitment"]))
        if not self.takes_new or not self.looks_at(posted, segment, slot):
            return False
        try:
            why = self.contests(posted, segment, slot)
            if why is None:
                return False
            body = self.body(posted, segment, slot)
        except (DataMissingError, WorkloadError) as error:
            self.complain(f"cannot replay segment {segment} of task {posted.terms.id}: {error}")
            return self.convicts_start(posted, segment)
        return self.place(posted, segment, slot, body, why)

    def place(self, posted: PostedTask, segment: int, slot: Slot, body: ClaimBody, why: str) -> bool:
        """Place a blind claim; salt and body are in the journal before anything is sent."""
        task, salt = posted.terms.id, secrets.token_bytes(32)
        commitment = claims.blind_commitment(self.address, task, segment, slot.round, body, salt)
        record = {
            "salt": salt.hex(),
            "body": [part.hex() for part in body.abi()],
            "commitment": commitment.hex(),
        }
        self.journal.put(self.scope(task), self._blind_name(segment, slot), record)
        self._send_blind(commitment)
        self.narrate(f"places a blind claim: {why}")
        return True

    def _send_blind(self, commitment: bytes) -> bool:
        """Have a written down claim on chain; whether it was not there yet (killed in between, or out of funds)."""
        if self.lockstep.is_placed(commitment):
            return False
        self.lockstep.ensure_stake(self.lockstep.parameters.blind_bond)
        self.lockstep.send(self.lockstep.court, "placeBlind", commitment, doing="place a blind claim")
        return True

    def _unblind(self, posted: PostedTask, segment: int, slot: Slot) -> bool:
        task = posted.terms.id
        record = self.journal.get(self.scope(task), self._blind_name(segment, slot))
        if record is None or self.own_claim(posted, segment, slot) is not None:
            return False
        body = _recorded_body(record)
        numbers = self.lockstep.numbers(posted.terms)
        self.lockstep.ensure_stake(numbers.claim_deposit + self.lockstep.parameters.claim_bond)
        arguments = (
            posted.terms.abi(),
            segment,
            body.abi(),
            self.link(posted, segment).proof,
            bytes.fromhex(record["salt"]),
        )
        try:
            self.lockstep.send(self.lockstep.court, "unblind", *arguments, doing="open a blind claim")
        except Reverted as error:
            if error.error != "BadBlind":
                raise
            # Killed between writing the journal and placing the claim: it was never on chain.
            self.journal.forget(self.scope(task), self._blind_name(segment, slot))
            return False
        self.narrate(f"opens its claim on segment {segment} of task {task}")
        return True

    def _take_back(self, posted: PostedTask) -> bool:
        """Take back the bonds of blind claims that nobody has to open any more."""
        acted, scope = False, self.scope(posted.terms.id)
        for name, record in self.journal.all(scope).items():
            if not name.startswith(BLIND):
                continue
            segment, round_ = map(int, name.removeprefix(BLIND).split("/"))
            slot = self.lockstep.slot(posted.terms.id, segment)
            if not is_excused(self.lockstep, posted, slot, round_):
                continue
            # Killed after this, it would find the bond gone: the vault's events say which are held.
            key = blind_key(self.address, bytes.fromhex(record["commitment"]))
            if (self.lockstep.court.address, key) in self.lockstep.held_engagements():
                salt = bytes.fromhex(record["salt"])
                if not take_back(self.lockstep, posted, (segment, round_), _recorded_body(record), salt):
                    self.complain(f"cannot take back its blind claim on segment {segment} of task {posted.terms.id}")
                    continue
                self.narrate(f"takes back its blind claim on segment {segment} of task {posted.terms.id}")
                acted = True
            self.journal.forget(scope, name)
        return acted


def _recorded_body(record: dict[str, Any]) -> ClaimBody:
    """The body of a blind claim as it was written down."""
    return ClaimBody(*(bytes.fromhex(part) for part in record["body"]))
