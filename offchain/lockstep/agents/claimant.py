"""What whoever claims does: state the end of a segment that it has replayed, and stand by it in disputes.

The verifier posts openly, whistleblowers (and a solver that defends itself) blind; from the moment a claim stands on
chain they all play alike: attack what differs and would stand before their own claim, answer every challenge.
"""

from __future__ import annotations

from typing import Any

from lockstep.agents.replayer import Replayer
from lockstep.agents.traces import open_trace
from lockstep.chain.errors import Reverted
from lockstep.chain.lockstep import PostedClaim, PostedTask
from lockstep.chain.types import ClaimBody, ClaimRef, Slot, SlotState
from lockstep.dispute.digest import DigestKey, first_wrong_entry
from lockstep.dispute.evidence import Evidence
from lockstep.dispute.moves import Move, RevealParts
from lockstep.dispute.one_shot import RowTooLongError, TraceMismatchError, find_one_shot
from lockstep.dispute.player import NothingToContestError, challenger_move, defender_move
from lockstep.dispute.position import Position, defender_ref
from lockstep.dispute.transition import Outcome, Phase, Side
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


class Claimant(Replayer):
    """Replays segments and stands by what it says about them."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._gave_up: set[int] = set()

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
