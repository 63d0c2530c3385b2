"""Verbs about claims: draws, claims in the open and blind, secrets."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from lockstep.chain.types import ClaimBody, SlotState
from lockstep.dispute import claims, forced
from tests.e2e.scripted.scene import LAST, SALT, Scene, root_named


class Claims(Scene):
    """What verifiers and whistleblowers do."""

    def enrol(self, who: str) -> None:
        """Register as a verifier."""
        chain = self.chain(who)
        if self.seen.parameters.forced_bps:
            self.secrets[who] = forced.SecretTree(hashlib.sha256(who.encode()).digest())
            chain.send(chain.court, "commitSecrets", self.secrets[who].root, doing="commit to secrets")
        chain.send(chain.court, "registerVerifier", chain.free_stake(chain.client.address), doing="register")

    def registerVerifier(self, who: str) -> None:  # noqa: N802
        """Register without secrets."""
        chain = self.chain(who)
        chain.send(chain.court, "registerVerifier", chain.free_stake(chain.client.address), doing="register")

    def redraw(self, who: str) -> None:
        """Have other verifiers drawn wherever one is due."""
        chain, number = self.chain(who), self.task.terms.id
        for segment in self.seen.drawn_segments(number):
            if self.seen.slot(number, segment).state == SlotState.REDRAWING:
                chain.send(chain.court, "redraw", self.task.terms.abi(), segment, doing="redraw")

    def finalize(self, who: str) -> None:
        """Decide every segment that is open."""
        chain, number = self.chain(who), self.task.terms.id
        for segment in self.seen.drawn_segments(number):
            if self.seen.slot(number, segment).state == SlotState.DRAWN:
                chain.send(chain.court, "finalize", self.task.terms.abi(), segment, 10, doing="finalize")

    def _body(self, who: str, segment: int, end: str) -> ClaimBody:
        start = claims.INIT_START_ROOT if segment == 0 else self.checkpoints[segment - 1]
        digest = hashlib.sha256(f"{who} {segment}".encode()).digest()[:8] * claims.segment_steps(
            self.task.terms, segment
        )
        ends = self.checkpoints[segment] if end == "committed" else root_named(end, segment)
        return ClaimBody(start, self.checkpoints[segment], ends, digest)

    def postClaim(self, who: str, end: str = "right", *segments: str) -> None:  # noqa: N802
        """Claim segments, all if none are named: right, as committed, or something else for the last one."""
        chain = self.chain(who)
        for segment in [int(segment) for segment in segments] or range(LAST + 1):
            body = self._body(who, segment, end if segment == LAST else "right")
            if who in self.secrets:
                body = self._told(who, segment, body)
            self.bodies[who, segment] = body
            proof = claims.checkpoint_proof(self.checkpoints, segment)
            chain.send(chain.court, "postClaim", self.task.terms.abi(), segment, body.abi(), proof, doing="claim")

    def _told(self, who: str, segment: int, body: ClaimBody) -> ClaimBody:
        """The claim as its secret says: with a wrong entry."""
        number = self.task.terms.id
        secret, assignment = self.secrets[who].secret(number), claims.assignment_id(number, segment, 0)
        value, steps = self.seen.beacon_value(number, segment, 0), claims.segment_steps(self.task.terms, segment)
        errs, step = forced.told(secret, value, assignment, steps, self.seen.parameters.forced_bps)
        assert errs, "In these scenarios everybody is told to err."
        right = body.digest[:8]
        digest = forced.replace_entry(body.digest, step, forced.forced_entry(secret, assignment))
        return replace(body, digest=digest, commitment=forced.commitment_of(secret, assignment, right))

    def openSecret(self, who: str, whose: str = "verifier") -> None:  # noqa: N802
        """Open a verifier's secret for every claim it made."""
        chain, number = self.chain(who), self.task.terms.id
        for (claimant, segment), body in list(self.bodies.items()):
            if claimant != whose:
                continue
            right = self._body(whose, segment, "right").digest[:8]
            opening = forced.opening((segment, 0), (0, self.secrets[whose]), number, right, [body])
            chain.send(chain.court, "openSecret", self.task.terms.abi(), opening, doing="open a secret")

    def placeBlind(self, who: str, end: str = "right") -> None:  # noqa: N802
        """Place a blind claim about the last segment."""
        chain, number = self.chain(who), self.task.terms.id
        round_ = self.seen.slot(number, LAST).round
        body = self.bodies[who, LAST] = self._body(who, LAST, end)
        commitment = claims.blind_commitment(chain.client.address, number, LAST, round_, body, SALT)
        chain.send(chain.court, "placeBlind", commitment, doing="place")

    def unblind(self, who: str) -> None:
        """Open it."""
        chain, proof = self.chain(who), claims.checkpoint_proof(self.checkpoints, LAST)
        arguments = (self.task.terms.abi(), LAST, self.bodies[who, LAST].abi(), proof, SALT)
        chain.send(chain.court, "unblind", *arguments, doing="unblind")

    def reclaimBlind(self, who: str) -> None:  # noqa: N802
        """Take its bond back."""
        chain, body = self.chain(who), self.bodies[who, LAST]
        arguments = (self.task.terms.abi(), LAST, 0, claims.body_hash(body), SALT)
        chain.send(chain.court, "reclaimBlind", *arguments, doing="reclaim")

    def forfeitBlind(self, who: str, whose: str) -> None:  # noqa: N802
        """Have a forgotten one forfeited."""
        chain, owner = self.chain(who), self.chain(whose).client.address
        commitment = claims.blind_commitment(owner, self.task.terms.id, LAST, 0, self.bodies[whose, LAST], SALT)
        chain.send(chain.court, "forfeitBlind", owner, commitment, doing="forfeit")
