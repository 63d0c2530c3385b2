"""What whoever claims does: replay a segment, state its end, and stand by it in disputes.

The verifier posts openly, whistleblowers (and a solver that defends itself) blind; from the moment a claim stands on
chain they all play alike: attack what differs and would stand before their own claim, answer every challenge.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from lockstep.agents.reader import Link, Reader
from lockstep.agents.replica import Replica, Shortcut, Tamper
from lockstep.agents.sums import find_sums, sums_key
from lockstep.agents.traces import open_trace, publish_trace
from lockstep.chain.errors import Reverted
from lockstep.chain.lockstep import PostedClaim, PostedTask
from lockstep.chain.types import ClaimBody, ClaimRef, Slot, SlotState
from lockstep.dispute import claims
from lockstep.dispute.digest import DigestKey, ReplayDigest, first_wrong_entry
from lockstep.dispute.evidence import Ending, Evidence
from lockstep.dispute.moves import Move, RevealParts
from lockstep.dispute.one_shot import RowTooLongError, TraceMismatchError, find_one_shot
from lockstep.dispute.player import NothingToContestError, challenger_move, defender_move
from lockstep.dispute.position import Position, defender_ref
from lockstep.dispute.transition import Outcome, Phase, Side
from lockstep.engine.checkpoint import state_root
from lockstep.engine.committed import reads_committed
from lockstep.engine.errors import EngineError
from lockstep.storage.store import StorageError

MOVES = {
    "revealStates": "reveals the state roots",
    "pickStep": "picks the first step that differs",
    "revealStep": "reveals the step's tree",
    "pickBlock": "picks a block of nodes",
    "revealNodes": "reveals a block of nodes",
    "pickNode": "picks the first node that differs",
    "revealChunks": "reveals the tensor's chunks",
    "pickChunk": "picks the first chunk that differs",
    "revealData": "reveals the chunk",
    "prove": "proves the leaf to the contract",
    "pickElement": "picks the first element that differs, of a long row",
    "revealParts": "reveals the parts of the row",
    "provePart": "proves a part of the row to the contract",
    "proveDigest": "proves the digest entry to the contract",
}
"""A line for each move, by contract function."""


LOST_ERRORS = frozenset({"LeafAgrees", "PartAgrees", "DigestAgrees"})
"""Refusals that mean: the contract computed what the defender had committed to."""
LATE_ERRORS = frozenset({"WrongPhase", "Moot", "ClockExpired"})
"""Refusals that mean: something else happened since the position was read."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A party's own run of a segment: what it ends in, and its digest."""

    replica: Replica
    start_root: bytes
    checkpoint_root: bytes
    end_root: bytes


class Claimant(Reader):
    """Replays segments and stands by what it says about them.

    ``publishes_trace``: whether its claims come with the trace of the run, which costs hashing everything and lets
    anybody convict a lie in one transaction. ``uses_sums``: whether it checks contractions by the sums that the solver
    published, where it did, and computes only the rest.
    """

    publishes_trace = False
    uses_sums = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._checked: dict[tuple[int, int], Checked] = {}
        self._gave_up: set[int] = set()

    def release(self, task: int) -> None:
        """Give back the memory that a finished task took."""
        super().release(task)
        self._checked = {key: checked for key, checked in self._checked.items() if key[0] != task}

    # Replaying

    def tamper(self, posted: PostedTask, segment: int) -> Tamper | None:
        """What this party changes in its run of a segment: nothing."""
        return None

    def check(self, posted: PostedTask, segment: int) -> Checked:
        """This party's own run of a segment, made once.

        Raises:
            DataMissingError: the solver's checkpoints cannot be had
            WorkloadError: the task's programs or data cannot be had or break the rules

        """
        key = (posted.terms.id, segment)
        known = self._checked.get(key)
        if known is not None and known.replica.committed and not self._is_current(posted, segment, known):
            del self._checked[key]  # another draw: such a program reads its value
        if key not in self._checked:
            link, start = self.link(posted, segment), self.start(posted, segment)
            first, steps = claims.first_step(posted.terms, segment), claims.segment_steps(posted.terms, segment)
            replica = Replica(
                self.bench(posted),
                segment,
                start,
                first,
                steps,
                self.tamper(posted, segment),
                self._shortcut(posted, segment, steps, link),
                self.committed(posted, segment),
            )
            self._checked[key] = Checked(
                replica,
                link.start,
                link.checkpoint,
                state_root(replica.run()),
            )
        return self._checked[key]

    def _is_current(self, posted: PostedTask, segment: int, checked: Checked) -> bool:
        """Whether a run read the value of the segment's present draw."""
        value = self.lockstep.slot(posted.terms.id, segment).beacon_value
        return checked.replica.committed[-1].numpy().tobytes() == value

    def _shortcut(self, posted: PostedTask, segment: int, steps: int, link: Link) -> Shortcut | None:
        """The check of the sums published for a segment."""
        if not self.uses_sums or segment == 0 or reads_committed(self.bench(posted).workload.step):
            return None
        task, key = posted.terms.id, sums_key(link.start, link.checkpoint)
        what = f"segment {segment} of task {task}"
        sums = find_sums(self.store, self.bench(posted), key, steps, what, self.narrate)
        if sums is None:
            return None
        self.narrate(f"checks {what} by the sums that were published")
        return sums.advance

    def digest(self, posted: PostedTask, segment: int, slot: Slot, claimant: str) -> bytes:
        """The replay digest that ``claimant`` should have posted, from this party's own run."""
        replica = self.check(posted, segment).replica
        key = DigestKey.of(slot.beacon_value, claimant, posted.terms.id, segment, slot.round)
        digest = ReplayDigest(key, self.bench(posted).workload.step.state)
        for step in range(replica.steps):
            digest.add(replica.state_after(step))
        return digest.value

    def body(self, posted: PostedTask, segment: int, slot: Slot) -> ClaimBody:
        """What this party says about a segment."""
        checked = self.check(posted, segment)
        return ClaimBody(
            checked.start_root,
            checked.checkpoint_root,
            checked.end_root,
            self.digest(posted, segment, slot, self.address),
            claims.make_commitment(self.secret(posted, segment, slot)),
            self.trace_root(posted, segment),
        )

    def secret(self, posted: PostedTask, segment: int, slot: Slot) -> bytes:
        """The secret behind a claim's commitment, kept in the journal."""
        scope, name = self.scope(posted.terms.id), f"secret/{segment}/{slot.round}"
        known = self.journal.get(scope, name)
        if known is None:
            known = secrets.token_hex(32)
            self.journal.put(scope, name, known)
        return bytes.fromhex(known)

    def trace_root(self, posted: PostedTask, segment: int) -> bytes:
        """Root of the trace this party publishes beside its claim; zero: it publishes none."""
        if not self.publishes_trace:
            return bytes(32)
        return publish_trace(self.store, self.check(posted, segment).replica)

    def evidence(self, posted: PostedTask, segment: int) -> Evidence:
        """What this party can show for its run."""
        checked, link = self.check(posted, segment), self.link(posted, segment)
        commitment = self.bench(posted).workload.commitment(segment)
        path = claims.end_inclusion(posted.terms, segment, (link.start, link.checkpoint), link.proof)
        ending = Ending(link.checkpoint, tuple(path))
        return Evidence(checked.replica, commitment, posted.terms.seed, checked.start_root, ending)

    # Claims

    def round_claims(self, posted: PostedTask, segment: int, slot: Slot) -> list[PostedClaim]:
        """Claims of the current round, in posting order (that in which they may stand)."""
        found = self.lockstep.claims(posted.terms.id, segment, slot.round)
        return sorted(found, key=lambda claim: (claim.order, claim.ref.index))

    def own_claim(self, posted: PostedTask, segment: int, slot: Slot) -> PostedClaim | None:
        """This party's claim in the current round."""
        mine = [claim for claim in self.round_claims(posted, segment, slot) if claim.claimant == self.address]
        return mine[0] if mine else None

    # Disputes

    def open_disputes(self, posted: PostedTask, segment: int, slot: Slot) -> bool:
        """Challenge every claim that differs from this party's run and would stand before its own claim."""
        task = posted.terms.id
        windows = self.lockstep.windows(task, segment)
        if not windows.unblind < self.lockstep.now() <= windows.open or slot.state != SlotState.DRAWN:
            return False
        own = self.own_claim(posted, segment, slot)
        if own is None:
            return False
        acted = False
        opened = self._opened_by_me(task, segment, slot.round)
        for claim in self.round_claims(posted, segment, slot):
            record = self.lockstep.claim(claim.ref)
            if claim.ref == own.ref or claim.ref.index in opened:
                continue
            if claim.body.end_root != own.body.end_root:
                if not record.convicted and (claim.order, claim.ref.index) < (own.order, own.ref.index):
                    acted |= self._challenge(posted, claim, own)
                continue
            step = None if record.digest_convicted else self.wrong_entry(posted, segment, slot, claim)
            if step is not None:
                acted |= self.open(posted, claim, own, step)
        return acted

    def _opened_by_me(self, task: int, segment: int, round_: int) -> set[int]:
        """Indices of the claims of a round that this party has challenged already."""
        found = set()
        for number in self.lockstep.disputes(task):
            dispute = self.lockstep.dispute(number)
            if (dispute.segment, dispute.round, dispute.challenger) == (segment, round_, self.address):
                found.add(dispute.defender_index)
        return found

    def wrong_entry(self, posted: PostedTask, segment: int, slot: Slot, claim: PostedClaim) -> int | None:
        """First step whose digest entry in a claim is not what its claimant would have from a replay."""
        return first_wrong_entry(self.digest(posted, segment, slot, claim.claimant), claim.body.digest)

    def _challenge(self, posted: PostedTask, claim: PostedClaim, own: PostedClaim) -> bool:
        """Open a dispute on the end root, or settle it at once where a trace was published."""
        return self.one_shot(posted, claim, own) or self.open(posted, claim, own)

    def open(self, posted: PostedTask, claim: PostedClaim, own: PostedClaim, digest_step: int | None = None) -> bool:
        """Open a dispute on a claim's end root, or on one of its digest entries."""
        self.lockstep.ensure_stake(self.lockstep.dispute_parameters.opening_bond, on_duty=True)
        self.lockstep.send(
            self.lockstep.game,
            "open",
            posted.terms.abi(),
            claim.ref.abi(),
            own.ref.index,
            claim.body.abi(),
            digest_step is not None,
            digest_step or 0,
            doing="open a dispute",
        )
        what = "the end root" if digest_step is None else f"digest entry {digest_step}"
        self.narrate(f"challenges {what} that {short(claim.claimant)} claims for segment {claim.ref.segment}")
        return True

    def one_shot(self, posted: PostedTask, claim: PostedClaim, own: PostedClaim) -> bool:
        """Convict a claim in one transaction by its published trace; False where it has none that shows the lie."""
        if claim.body.trace_root == bytes(32):
            return False
        segment = claim.ref.segment
        evidence = self.evidence(posted, segment)
        try:
            with open_trace(self.store, claim.body.trace_root, evidence) as trace:
                shot = find_one_shot(trace, claim.body.trace_root, evidence)
        except (TraceMismatchError, RowTooLongError, NothingToContestError, StorageError, EngineError) as error:
            self.complain(f"cannot use the trace of {short(claim.claimant)}: {error}")
            return False
        function, arguments = shot.call(posted.terms.abi(), claim.ref.abi(), own.ref.index, claim.body.abi())
        self.lockstep.send(self.lockstep.game, function, *arguments, doing="convict a claim by its trace")
        self.narrate(f"convicts {short(claim.claimant)} by its own trace, in one transaction")
        return True

    def play(self, posted: PostedTask) -> bool:
        """Make every move this party owes in the disputes of a task."""
        acted = False
        for number in self.lockstep.disputes(posted.terms.id):
            while number not in self._gave_up and self._move(posted, number):
                acted = True
        return acted

    def _move(self, posted: PostedTask, number: int) -> bool:
        dispute = self.lockstep.dispute(number)
        if dispute.outcome != Outcome.NONE or self.address not in (dispute.defender, dispute.challenger):
            return False
        if self.lockstep.is_moot(dispute):
            self.lockstep.send(self.lockstep.game, "withdraw", number, doing=f"withdraw dispute {number}")
            self.narrate(f"withdraws dispute {number}: it decides nothing any more")
            return True
        position = Position.read(dispute, self.lockstep.revealed)
        mine = Side.DEFENDER if dispute.defender == self.address else Side.CHALLENGER
        if position.side is not mine or not self.answers(posted, dispute.segment, mine):
            return False
        if self.lockstep.now() > self.lockstep.view(self.lockstep.game, "deadlineOf", number):
            return False
        body = self._body_of(defender_ref(dispute))
        try:
            if mine is Side.DEFENDER:
                move = self.reveal(position, self.evidence(posted, dispute.segment))
            else:
                slot = self.lockstep.slot(posted.terms.id, dispute.segment)
                key = DigestKey.of(slot.beacon_value, dispute.defender, posted.terms.id, dispute.segment, slot.round)
                move = challenger_move(position, self.evidence(posted, dispute.segment), key, body.digest)
        except NothingToContestError as error:
            self._gave_up.add(number)
            self.narrate(f"has nothing left to contest in dispute {number}: {error}")
            return False
        if move is None:
            return False
        function, arguments = move.call(number, posted.terms.abi(), body.abi())
        try:
            self.lockstep.send(self.lockstep.game, function, *arguments, doing=f"move in dispute {number}")
        except Reverted as error:
            if error.error in LOST_ERRORS:
                self._gave_up.add(number)
                self.narrate(f"is refuted by the contract in dispute {number}: its challenge cannot win")
            elif isinstance(move, RevealParts) and error.error == "DoesNotFold":
                self._gave_up.add(number)
                self.narrate(f"has no parts that make the element it claimed in dispute {number}")
            elif error.error not in LATE_ERRORS:
                raise
            return False
        self.narrate(f"{MOVES[function]}{_where(position.phase, number)}")
        return True

    def reveal(self, position: Position, evidence: Evidence) -> Move | None:
        """What this party shows as defender; an honest one what its run has."""
        return defender_move(position, evidence)

    def answers(self, posted: PostedTask, segment: int, side: Side) -> bool:
        """Whether this party makes its moves at all; an honest one does."""
        return True

    def _body_of(self, ref: ClaimRef) -> ClaimBody:
        for claim in self.lockstep.claims(ref.task, ref.segment, ref.round):
            if claim.ref == ref:
                return claim.body
        raise LookupError(f"No event shows claim {ref}; is the node behind?")


def short(address: str) -> str:
    """An account's first and last digits."""
    return f"{address[:6]}…{address[-4:]}"


def _where(phase: Phase, number: int) -> str:
    return f" (dispute {number})"
