"""What whoever claims does: replay a segment, state its end, and stand by it in disputes.

The verifier posts openly, whistleblowers (and a solver that defends itself) blind; from the moment a claim stands on
chain they all play alike: attack what differs and would stand before their own claim, answer every challenge.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from lockstep.agents.base import Agent
from lockstep.agents.replica import Replica, Tamper
from lockstep.agents.workload import WorkloadError
from lockstep.chain.errors import Reverted
from lockstep.chain.lockstep import PostedClaim, PostedTask, Work
from lockstep.chain.types import ClaimBody, ClaimRef, Slot, SlotState
from lockstep.dispute import claims
from lockstep.dispute.digest import DigestKey, ReplayDigest, first_wrong_entry
from lockstep.dispute.evidence import Evidence
from lockstep.dispute.player import NothingToContestError, challenger_move, defender_move
from lockstep.dispute.position import Position, defender_ref
from lockstep.dispute.transition import Outcome, Phase, Side
from lockstep.engine.checkpoint import parse_checkpoint, state_root
from lockstep.engine.errors import EngineError
from lockstep.storage.manifest import WorkManifest, get_manifest
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
    "proveDigest": "proves the digest entry to the contract",
}
"""A line for each move, by contract function."""


class DataMissing(RuntimeError):
    """What the solver must publish is missing, damaged, or not what it committed to."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A party's own run of a segment: what it ends in, and its digest."""

    replica: Replica
    start_root: bytes
    checkpoint_root: bytes
    end_root: bytes
    checkpoints: Sequence[bytes]


class Claimant(Agent):
    """Replays segments and stands by what it says about them."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._checked: dict[tuple[int, int], Checked] = {}
        self._gave_up: set[int] = set()

    # Replaying

    def tamper(self, posted: PostedTask, segment: int) -> Tamper | None:
        """What this party changes in its run of a segment: nothing."""
        return None

    def _start(self, posted: PostedTask, work: Work, segment: int) -> tuple[list[Tensor], list[bytes]]:
        """State a segment starts from, and the solver's checkpoint roots, held to the work root."""
        try:
            manifest = get_manifest(self.store, work.uri, WorkManifest)
            roots = [bytes.fromhex(root) for root in manifest.roots]
            if len(roots) != claims.last_segment(posted.terms) + 1 or claims.work_tree(roots).root != work.root:
                raise DataMissing("The solver's manifest does not list the checkpoints it committed to.")
            if segment == 0:
                return [], roots
            if len(manifest.checkpoints) != len(roots):
                raise DataMissing("The solver's manifest does not name a file for each checkpoint.")
            workload = self.bench(posted).workload
            data = self.store.get(manifest.checkpoints[segment - 1])
            return parse_checkpoint(data, workload.step, roots[segment - 1]), roots
        except (StorageError, EngineError) as error:
            raise DataMissing(str(error)) from error

    def check(self, posted: PostedTask, segment: int) -> Checked:
        """This party's own run of a segment, made once.

        Raises:
            DataMissing: the solver's checkpoints cannot be had
            WorkloadError: the task's programs or data cannot be had or break the rules

        """
        key = (posted.terms.id, segment)
        if key not in self._checked:
            work = self.lockstep.work(posted.terms.id)
            if work is None:
                raise DataMissing(f"Task {posted.terms.id} has no committed work.")
            start, roots = self._start(posted, work, segment)
            first, steps = claims.first_step(posted.terms, segment), claims.segment_steps(posted.terms, segment)
            replica = Replica(self.bench(posted), segment, start, first, steps, self.tamper(posted, segment))
            self._checked[key] = Checked(
                replica,
                claims.INIT_START_ROOT if segment == 0 else roots[segment - 1],
                roots[segment],
                state_root(replica.run()),
                roots,
            )
        return self._checked[key]

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
        """Root of the trace this party publishes; zero: none."""
        return bytes(32)

    def evidence(self, posted: PostedTask, segment: int) -> Evidence:
        """What this party can show for its run."""
        checked = self.check(posted, segment)
        commitment = self.bench(posted).workload.commitment(segment)
        return Evidence(checked.replica, commitment, posted.terms.seed, checked.start_root)

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
        if not windows.unblind < self.lockstep.client.now() <= windows.open or slot.state != SlotState.DRAWN:
            return False
        own = self.own_claim(posted, segment, slot)
        if own is None:
            return False
        acted = False
        opened = self._opened_by_me(task, segment, slot.round)
        for claim in self.round_claims(posted, segment, slot):
            if claim.ref == own.ref or claim.ref.index in opened or self.lockstep.claim(claim.ref).convicted:
                continue
            if claim.body.end_root != own.body.end_root:
                if (claim.order, claim.ref.index) < (own.order, own.ref.index):
                    acted |= self._challenge(posted, segment, claim, own)
                continue
            if self._wrong_entry(posted, segment, slot, claim) is not None:
                acted |= self._challenge_digest(posted, segment, slot, claim, own)
        return acted

    def _opened_by_me(self, task: int, segment: int, round_: int) -> set[int]:
        """Indices of the claims of a round that this party has challenged already."""
        found = set()
        for number in self.lockstep.disputes(task):
            dispute = self.lockstep.dispute(number)
            if (dispute.segment, dispute.round, dispute.challenger) == (segment, round_, self.address):
                found.add(dispute.defender_index)
        return found

    def _wrong_entry(self, posted: PostedTask, segment: int, slot: Slot, claim: PostedClaim) -> int | None:
        return first_wrong_entry(self.digest(posted, segment, slot, claim.claimant), claim.body.digest)

    def _challenge(self, posted: PostedTask, segment: int, claim: PostedClaim, own: PostedClaim) -> bool:
        """Open a dispute on the end root, or settle it at once where a trace was published."""
        if self.one_shot(posted, segment, claim, own):
            return True
        return self.open(posted, claim, own)

    def open(self, posted: PostedTask, claim: PostedClaim, own: PostedClaim) -> bool:
        """Open a dispute on a claim's end root."""
        self.lockstep.ensure_stake(self.lockstep.dispute_parameters.opening_bond)
        arguments = (posted.terms.abi(), claim.ref.abi(), own.ref.index, claim.body.abi())
        self.lockstep.send(self.lockstep.game, "open", *arguments, doing="open a dispute")
        self.narrate(f"challenges the end root that {_short(claim.claimant)} claims for segment {claim.ref.segment}")
        return True

    def one_shot(self, posted: PostedTask, segment: int, claim: PostedClaim, own: PostedClaim) -> bool:
        """Convict a claim in one transaction by its published trace, if it has one that shows the lie."""
        return False

    def _challenge_digest(
        self, posted: PostedTask, segment: int, slot: Slot, claim: PostedClaim, own: PostedClaim
    ) -> bool:
        step = self._wrong_entry(posted, segment, slot, claim)
        assert step is not None
        self.lockstep.ensure_stake(self.lockstep.dispute_parameters.opening_bond)
        arguments = (posted.terms.abi(), claim.ref.abi(), own.ref.index, claim.body.abi(), step)
        self.lockstep.send(self.lockstep.game, "openDigest", *arguments, doing="open a dispute on a digest entry")
        self.narrate(f"challenges digest entry {step} of {_short(claim.claimant)} on segment {segment}")
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
        if self._moot(posted, dispute.segment, defender_ref(dispute)):
            self.lockstep.send(self.lockstep.game, "withdraw", number, doing=f"withdraw dispute {number}")
            self.narrate(f"withdraws dispute {number}: it decides nothing any more")
            return True
        position = Position.read(dispute, self.lockstep.revealed)
        mine = Side.DEFENDER if dispute.defender == self.address else Side.CHALLENGER
        if position.side is not mine or not self.answers(posted, dispute.segment, mine):
            return False
        if self.lockstep.client.now() > self.lockstep.view(self.lockstep.game, "deadlineOf", number):
            return False
        body = self._body_of(defender_ref(dispute))
        try:
            if mine is Side.DEFENDER:
                move = defender_move(position, self.evidence(posted, dispute.segment))
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
        self.lockstep.send(self.lockstep.game, function, *arguments, doing=f"move in dispute {number}")
        self.narrate(f"{MOVES[function]}{_where(position.phase, number)}")
        return True

    def answers(self, posted: PostedTask, segment: int, side: Side) -> bool:
        """Whether this party makes its moves at all; an honest one does."""
        return True

    def _moot(self, posted: PostedTask, segment: int, ref: ClaimRef) -> bool:
        state = self.lockstep.slot(posted.terms.id, segment).state
        return self.lockstep.claim(ref).convicted or state != SlotState.DRAWN

    def _body_of(self, ref: ClaimRef) -> ClaimBody:
        for claim in self.lockstep.claims(ref.task, ref.segment, ref.round):
            if claim.ref == ref:
                return claim.body
        raise LookupError(f"No event shows claim {ref}; is the node behind?")


def _short(address: str) -> str:
    return f"{address[:6]}…{address[-4:]}"


def _where(phase: Phase, number: int) -> str:
    return f" (dispute {number})"


class Verifier(Claimant):
    """Registers for draws, replays what it is drawn for, and claims its end openly."""

    role = "verifier"

    def register(self, stake: int) -> None:
        """Stake and enter the draws."""
        self.lockstep.ensure_stake(stake)
        self.lockstep.send(self.lockstep.court, "registerVerifier", doing="register as a verifier")
        self.narrate(f"registers with a stake of {stake}")

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
            proof = claims.checkpoint_proof(self.check(posted, segment).checkpoints, segment)
        except (DataMissing, WorkloadError) as error:
            self.narrate(f"cannot replay segment {segment} of task {task}: {error}")
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


class Whistleblower(Claimant):
    """Replays what verifiers claim; finds it another end, or a digest nobody computed, it claims blindly and disputes."""

    role = "whistleblower"

    def tick(self) -> bool:
        """Look at every claim made; claim, unblind, dispute."""
        acted = False
        for posted in self.tasks():
            for segment in self.lockstep.live_segments(posted.terms.id):
                acted |= self._advance(posted, segment)
            acted |= self.play(posted)
        return acted

    def _advance(self, posted: PostedTask, segment: int) -> bool:
        slot = self.lockstep.slot(posted.terms.id, segment)
        if slot.state != SlotState.DRAWN:
            return False
        now = self.lockstep.client.now()
        windows = self.lockstep.windows(posted.terms.id, segment)
        if now <= windows.claim:
            return self._place(posted, segment, slot)
        if now <= windows.unblind:
            return self._unblind(posted, segment, slot)
        return self.open_disputes(posted, segment, slot)

    def contests(self, posted: PostedTask, segment: int, slot: Slot) -> str | None:
        """Why this segment deserves a claim of one's own: what is wrong with a claim on it; None if nothing is."""
        checked = self.check(posted, segment)
        for claim in self.round_claims(posted, segment, slot):
            if claim.claimant == self.address:
                return None
            if claim.body.end_root != checked.end_root:
                return f"segment {segment} ends otherwise than {_short(claim.claimant)} claims"
            if self._wrong_entry(posted, segment, slot, claim) is not None:
                return f"{_short(claim.claimant)} did not replay segment {segment}: its digest is wrong"
        return None

    def _blind_name(self, segment: int, slot: Slot) -> str:
        return f"blind/{segment}/{slot.round}"

    def _place(self, posted: PostedTask, segment: int, slot: Slot) -> bool:
        scope, name = self.scope(posted.terms.id), self._blind_name(segment, slot)
        if self.journal.get(scope, name) is not None:
            return False
        try:
            why = self.contests(posted, segment, slot)
            if why is None:
                return False
            body = self.body(posted, segment, slot)
        except (DataMissing, WorkloadError) as error:
            self.narrate(f"cannot replay segment {segment} of task {posted.terms.id}: {error}")
            return False
        return self.place(posted, segment, slot, body, why)

    def place(self, posted: PostedTask, segment: int, slot: Slot, body: ClaimBody, why: str) -> bool:
        """Place a blind claim; salt and body are in the journal before anything is sent."""
        task, salt = posted.terms.id, secrets.token_bytes(32)
        commitment = claims.blind_commitment(self.address, task, segment, slot.round, body, salt)
        self.lockstep.ensure_stake(self.lockstep.parameters.blind_bond)
        record = {
            "salt": salt.hex(),
            "body": [part.hex() for part in body.abi()],
            "commitment": commitment.hex(),
        }
        self.journal.put(self.scope(task), self._blind_name(segment, slot), record)
        self.lockstep.send(self.lockstep.court, "placeBlind", commitment, doing="place a blind claim")
        self.narrate(f"places a blind claim: {why}")
        return True

    def _unblind(self, posted: PostedTask, segment: int, slot: Slot) -> bool:
        task = posted.terms.id
        record = self.journal.get(self.scope(task), self._blind_name(segment, slot))
        if record is None or self.own_claim(posted, segment, slot) is not None:
            return False
        body = ClaimBody(*(bytes.fromhex(part) for part in record["body"]))
        numbers = self.lockstep.numbers(posted.terms)
        self.lockstep.ensure_stake(numbers.claim_deposit + self.lockstep.parameters.claim_bond)
        checkpoints = self.check(posted, segment).checkpoints
        arguments = (
            posted.terms.abi(),
            segment,
            body.abi(),
            claims.checkpoint_proof(checkpoints, segment),
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
