"""A verifier's secrets: trees of them in its journal, what they tell it, and their opening.

The seed of a tree is in the journal before its root is sent. A lost seed costs a deposit for each claim made under it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from lockstep.agents.journal import Journal
from lockstep.chain.lockstep import Lockstep, PostedClaim, PostedTask, PostedTree
from lockstep.chain.types import MALFORMED, ClaimBody, Slot, SlotState, TaskState
from lockstep.dispute import claims, forced
from lockstep.dispute.digest import ENTRY_BYTES, entry_at
from lockstep.dispute.forced import SecretTree

SPARE_TASKS = 2**11
"""A tree that serves for fewer tasks to come is followed by the next."""


class SeedLostError(RuntimeError):
    """The journal does not have the seed of a tree that is on chain."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a secret says about an assignment."""

    errs: bool
    step: int
    secret: bytes
    assignment: bytes


class TaskSecrets:
    """One account's secrets on a deployment."""

    def __init__(self, lockstep: Lockstep, journal: Journal) -> None:
        self.lockstep = lockstep
        self.journal = journal
        self._scope = f"{lockstep.deployment.identity}/secrets"
        self._trees: dict[bytes, SecretTree] = {}

    @property
    def are_needed(self) -> bool:
        """Whether this deployment has forced errors."""
        return self.lockstep.parameters.forced_bps != 0

    def is_due(self) -> bool:
        """Whether the account needs a first or another tree."""
        trees = self.lockstep.trees(self.lockstep.client.address)
        return self.are_needed and (not trees or trees[-1].last_task - self.lockstep.task_count() < SPARE_TASKS)

    def is_known(self) -> bool:
        """Whether the journal has the seed of the newest tree; True where there is no tree."""
        trees = self.lockstep.trees(self.lockstep.client.address)
        return not trees or self.journal.get(self._scope, trees[-1].root.hex()) is not None

    def commit(self) -> None:
        """Commit to another tree, for draws decided from now on."""
        tree = SecretTree(secrets.token_bytes(32))
        self.journal.put(self._scope, tree.root.hex(), tree.seed.hex())
        self._trees[tree.root] = tree
        self.lockstep.send(self.lockstep.court, "commitSecrets", tree.root, doing="commit to secrets")

    def in_force(self, task: int, segment: int, round_: int) -> tuple[int, SecretTree]:
        """Number and secrets of the tree that counts for a draw.

        Raises:
            SeedLostError: its seed is not in the journal, or there was none

        """
        at_block = self._deciding_block(task, segment, round_)
        found: list[PostedTree] = [
            tree for tree in self.lockstep.trees(self.lockstep.client.address) if tree.block <= at_block
        ]
        if not found:
            raise SeedLostError("This account had committed to no secrets before the draw.")
        root = found[-1].root
        if root not in self._trees:
            seed = self.journal.get(self._scope, root.hex())
            if seed is None:
                raise SeedLostError(f"The journal has lost the seed of the secrets {root.hex()[:16]}….")
            self._trees[root] = SecretTree(bytes.fromhex(seed))
        return found[-1].number, self._trees[root]

    def _deciding_block(self, task: int, segment: int, round_: int) -> int:
        """Number of the last block whose weights and trees a segment's draw in a round counted."""
        chain = self.lockstep
        consumer, key = chain.market.address, task.to_bytes(32, "big")
        if round_:
            consumer, key = chain.court.address, claims.redraw_key(task, segment, round_)
        return int(chain.view(chain.beacon, "targetOf", consumer, key)) - 1

    def told(self, posted: PostedTask, segment: int, round_: int, value: bytes) -> Told:
        """What the account's secret says about an assignment, drawn by ``value``; ``SeedLostError`` if it is lost."""
        task = posted.terms.id
        _, tree = self.in_force(task, segment, round_)
        secret, assignment = tree.secret(task), claims.assignment_id(task, segment, round_)
        steps = claims.segment_steps(posted.terms, segment)
        return Told(
            *forced.told(secret, value, assignment, steps, self.lockstep.parameters.forced_bps), secret, assignment
        )

    def bind(self, posted: PostedTask, segment: int, slot: Slot, body: ClaimBody) -> ClaimBody:
        """A right body as the drawn verifier posts it: bound to its entry, which is made wrong where it is told to.

        The right entry goes into the journal first: it is needed to open the claim.
        """
        told = self.told(posted, segment, slot.round, slot.beacon_value)
        entry = entry_at(body.digest, told.step)
        self.journal.put(self._scope, _entry_name(posted.terms.id, segment, slot.round), entry.hex())
        body = replace(body, commitment=forced.commitment_of(told.secret, told.assignment, entry))
        if not told.errs:
            return body
        wrong = forced.forced_entry(told.secret, told.assignment)
        return replace(body, digest=forced.replace_entry(body.digest, told.step, wrong))

    def awaited(self, posted: PostedTask) -> list[PostedClaim]:
        """This account's claims on an ended task whose secrets are to be opened now."""
        task = posted.terms.id
        if not self.are_needed or self.lockstep.state(task) not in (
            TaskState.SETTLED,
            TaskState.REJECTED,
            TaskState.UNAVAILABLE,
        ):
            return []
        if self.lockstep.now() > self.lockstep.deadline(task):
            return []
        found = []
        for segment in self.lockstep.drawn_segments(task):
            slot = self.lockstep.slot(task, segment)
            if slot.state == SlotState.FAILED and slot.standing == MALFORMED:
                continue  # nobody's claim costs anything, and no secret is asked for
            for round_ in range(slot.round + 1):
                for claim in self.lockstep.claims(task, segment, round_):
                    own = claim.ref.index == 0 and claim.claimant == self.lockstep.client.address
                    if own and not self.lockstep.claim(claim.ref).closed:
                        found.append(claim)
        return found

    def open(self, posted: PostedTask, claim: PostedClaim) -> Told:
        """Open the secret for one claim; what it said. ``SeedLostError`` if it is lost."""
        ref = claim.ref
        value = self.lockstep.beacon_value(ref.task, ref.segment, ref.round)
        told = self.told(posted, ref.segment, ref.round, value)
        tree = self.in_force(ref.task, ref.segment, ref.round)
        entry = bytes.fromhex(
            self.journal.get(self._scope, _entry_name(ref.task, ref.segment, ref.round), "00" * ENTRY_BYTES)
        )
        body = [claim.body] if told.errs else []
        arguments = forced.opening((ref.segment, ref.round), tree, ref.task, entry, body)
        self.lockstep.send(self.lockstep.court, "openSecret", posted.terms.abi(), arguments, doing="open a secret")
        return told


def _entry_name(task: int, segment: int, round_: int) -> str:
    return f"entry/{task}/{segment}/{round_}"
