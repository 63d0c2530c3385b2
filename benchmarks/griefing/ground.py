"""A chain on which moves are played by hand: a task of the reference shape, and a call for each step of its life."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lockstep.chain import terms as arithmetic
from lockstep.chain.anvil import Anvil
from lockstep.chain.lockstep import Lockstep, PostedTask, TaskNumbers
from lockstep.chain.options import TaskOptions
from lockstep.chain.parameters import PUBLIC
from lockstep.chain.types import ClaimBody, TaskOffer
from lockstep.cli.demo.world import World
from lockstep.dispute import claims
from lockstep.dispute.digest import ENTRY_BYTES
from lockstep.economics.setting import reference_job
from lockstep.numerics.dtypes import DType
from lockstep.program.builder import Builder
from lockstep.program.encoding import ProgramCommitment, commit_program

PROFILE = replace(PUBLIC, parameters=replace(PUBLIC.parameters, forced_bps=0))
"""The public numbers but for forced errors: no move is about them, and every verifier would need a tree of secrets."""
PREPARING = frozenset({"drip", "approve", "deposit"})
"""Transactions that serve later tasks too."""
DAY = 24 * 3600


def root(*what: object) -> bytes:
    """Some checkpoint's root."""
    return hashlib.sha256(repr(what).encode()).digest()


def program(work: int, init: bool) -> ProgramCommitment:
    """A small program with one state entry, whatever work it says it takes."""
    b = Builder(init=init)
    if init:
        b.add_state("x", DType.I32, (4,))
        return commit_program(b.finish([b.iota((4,))]).program, work)
    x = b.add_state("x", DType.I32, (4,))
    return commit_program(b.finish([b.iadd(x, 1)]).program, work)


@dataclass
class Party:
    """An account; what it had, and what its transactions cost."""

    chain: Lockstep
    before: int = 0

    @property
    def address(self) -> str:
        return self.chain.client.address

    @property
    def lost(self) -> int:
        """Base units it has less than when it came."""
        return self.before - self.chain.worth(self.address)

    def gas(self, *kinds: str) -> int:
        """Gas of these kinds of transaction; of all but preparing ones where none is named."""
        used = self.chain.client.gas
        return sum(sum(units) for kind, units in used.items() if (kind in kinds if kinds else kind not in PREPARING))

    def market(self, function: str, *arguments: Any) -> None:
        self.chain.send(self.chain.market, function, *arguments, doing=function)

    def court(self, function: str, *arguments: Any) -> None:
        self.chain.send(self.chain.court, function, *arguments, doing=function)

    def game(self, function: str, *arguments: Any) -> None:
        self.chain.send(self.chain.game, function, *arguments, doing=function)


class Ground:
    """One scene: its parties and its task. ``prefix`` keeps their accounts apart from other scenes'."""

    def __init__(self, world: World, prefix: str) -> None:
        self.world, self.prefix = world, prefix
        job = reference_job()
        self.plan, self.audits = job.plan, job.audits
        self.posted: PostedTask
        self.roots: list[bytes] = []

    # Parties and time

    def party(self, role: str) -> Party:
        chain = self.world.party(f"{self.prefix} {role}").lockstep
        return Party(chain, chain.worth(chain.client.address))

    def verifier(self, role: str, stake: int) -> Party:
        party = self.party(role)
        party.chain.ensure_stake(stake)
        party.court("registerVerifier", stake)
        self.world.anvil.mine()
        return party

    def dismiss(self, *parties: Party) -> None:
        """Take verifiers out of the draws: their notice, its time, and the end of it."""
        for party in parties:
            party.court("retireVerifier")
        self.wait(max(party.chain.notice_end(party.address) for party in parties))
        for party in parties:
            party.court("retireVerifier")

    @property
    def chain(self) -> Lockstep:
        return self.world.keeper_lockstep

    @property
    def numbers(self) -> TaskNumbers:
        return self.chain.numbers(self.posted.terms)

    @property
    def claim_lock(self) -> int:
        """Deposit and bond of a claim."""
        return self.numbers.claim_deposit + PROFILE.parameters.claim_bond

    @property
    def cost(self) -> int:
        """c."""
        return arithmetic.replay_cost(self.posted.terms)

    def wait(self, until: int) -> None:
        """Let a moment pass."""
        self.world.anvil.advance_time(max(1, until - self.world.anvil.now() + 1))

    def draw_blocks(self) -> None:
        self.world.anvil.mine(PROFILE.parameters.beacon_delay + 1)

    # A task

    def submit(
        self,
        submitter: Party,
        apply_window: int = 0,
        header_change: Any = lambda header: header,
        price: int | None = None,
        audits: int | None = None,
    ) -> None:
        plan, parameters, now = self.plan, PROFILE.parameters, self.world.anvil.now()
        plan = plan if price is None else replace(plan, price=price)
        audits = self.audits if audits is None else audits
        c = arithmetic.replay_cost(plan)
        offer = TaskOffer(
            step_header=header_change(program(plan.step_work, False).header),
            init_header=header_change(program(plan.init_work, True).header),
            seed=7,
            steps=plan.steps,
            segment_steps=plan.segment_steps,
            audits=audits,
            price=plan.price,
            wage=arithmetic.least_wage(parameters, c),
            levy=arithmetic.least_levy(parameters, c, audits),
            accept_deadline=now + DAY,
            solve_window=DAY,
            uri="sha256:" + "00" * 32,
            options=TaskOptions(apply_deadline=now + apply_window if apply_window else 0).pack(),
        )
        chain = submitter.chain
        chain.allow(chain.vault, chain.quote(offer).escrow)
        sent = chain.send(chain.market, "submit", offer.abi(), doing="submit")
        task = int(chain.client.decode(chain.market, "TaskSubmitted", sent)[0]["args"]["id"])
        self.posted = chain.task(task)

    @property
    def terms(self) -> tuple[Any, ...]:
        return self.posted.terms.abi()

    @property
    def task(self) -> int:
        return self.posted.terms.id

    def accept(self, solver: Party) -> None:
        solver.chain.ensure_stake(self.numbers.solver_deposit)
        solver.market("accept", self.terms)

    def commit(self, solver: Party) -> None:
        """Accept, acknowledge, and commit to roots."""
        self.accept(solver)
        solver.market("acknowledge", self.terms)
        self.publish(solver)

    def publish(self, solver: Party) -> None:
        """Commit to roots."""
        self.roots = [root("C", i) for i in range(claims.last_segment(self.posted.terms) + 1)]
        work, proof = claims.work_tree(self.roots).root, claims.final_proof(self.roots)
        solver.market("commit", self.terms, work, self.roots[-1], proof, "sha256:" + "00" * 32)
        self.posted = self.chain.task(self.task)

    def draw(self, caller: Party) -> Sequence[int]:
        """Draw the audits; the segments."""
        self.draw_blocks()
        caller.court("drawAudits", self.terms)
        return self.chain.drawn_segments(self.task)

    # Claims

    def body(self, segment: int, claimant: Party, end: bytes | None = None) -> ClaimBody:
        steps = claims.segment_steps(self.posted.terms, segment)
        start = claims.INIT_START_ROOT if segment == 0 else self.roots[segment - 1]
        digest = b"".join(root(claimant.address, i)[:ENTRY_BYTES] for i in range(steps))
        return ClaimBody(start, self.roots[segment], end or self.roots[segment], digest, root("secret"), bytes(32))

    def claim(self, verifier: Party, segment: int, end: bytes | None = None) -> None:
        proof = claims.checkpoint_proof(self.roots, segment)
        verifier.court("postClaim", self.terms, segment, self.body(segment, verifier, end).abi(), proof)

    def call_up(self, volunteer: Party, segment: int, end: bytes) -> None:
        """Condemn a segment that was not drawn."""
        volunteer.chain.ensure_stake(self.claim_lock)
        proof = claims.checkpoint_proof(self.roots, segment)
        volunteer.court("callUp", self.terms, segment, self.body(segment, volunteer, end).abi(), proof)

    def place(self, claimant: Party, segment: int, end: bytes | None = None) -> bytes:
        """Place a blind claim; its commitment."""
        claimant.chain.ensure_stake(PROFILE.parameters.blind_bond)
        body = self.body(segment, claimant, end)
        round_ = self.chain.slot(self.task, segment).round
        commitment = claims.blind_commitment(claimant.address, self.task, segment, round_, body, root("salt"))
        claimant.court("placeBlind", commitment)
        return commitment

    def unblind(self, claimant: Party, segment: int, end: bytes | None = None) -> None:
        """Open a blind claim, as soon as that may be."""
        self.wait(self.chain.windows(self.task, segment).claim)
        claimant.chain.ensure_stake(self.claim_lock)
        proof = claims.checkpoint_proof(self.roots, segment)
        body = self.body(segment, claimant, end).abi()
        claimant.court("unblind", self.terms, segment, body, proof, root("salt"))

    def challenge(self, challenger: Party, segment: int, accused: int) -> int:
        """Open a dispute about a claim's end root; its number."""
        self.wait(self.chain.windows(self.task, segment).unblind)
        challenger.chain.ensure_stake(PROFILE.disputes.opening_bond)
        found = self.chain.claims(self.task, segment, self.chain.slot(self.task, segment).round)
        own = next(claim for claim in found if claim.claimant == challenger.address)
        claim = next(each for each in found if each.ref.index == accused)
        challenger.game("open", self.terms, claim.ref.abi(), own.ref.index, claim.body.abi(), False, 0)
        return self.chain.disputes(self.task)[-1]

    def contest(self, challenger: Party, segment: int, end: bytes | None = None) -> int:
        """Claim a segment blindly against its first claim, and dispute that; the dispute's number."""
        self.place(challenger, segment, end)
        self.unblind(challenger, segment, end)
        return self.challenge(challenger, segment, 0)

    def clock_end(self, number: int) -> int:
        """When the clock of the side whose turn it is runs out."""
        return int(self.chain.view(self.chain.game, "deadlineOf", number))

    def time_out(self, caller: Party, number: int) -> None:
        """Let that clock run out, and call time."""
        self.wait(self.clock_end(number))
        caller.game("timeout", number)

    def finish(self, verifier: Party) -> int:
        """End a task that was contested; its verifier leaves the draws. When the task ended."""
        self.end(self.party("keeper"))
        ended = self.world.anvil.now()
        self.dismiss(verifier)
        return ended

    def end(self, caller: Party, contested: bool = True) -> None:
        """Settle the task once its windows are over, and judge every claim.

        ``contested`` False: with lone claims, which nobody can dispute, that is before the dispute windows.
        """
        for segment in self.chain.audited_segments(self.task):
            windows = self.chain.windows(self.task, segment)
            self.wait(windows.open if contested else windows.unblind)
        caller.market("settle", self.terms)
        for segment in self.chain.audited_segments(self.task):
            round_ = self.chain.slot(self.task, segment).round
            for claim in self.chain.claims(self.task, segment, round_):
                if not self.chain.claim(claim.ref).closed:
                    caller.court("closeClaim", self.terms, segment, round_, claim.ref.index)


def new_world(node: Anvil, folder: Path) -> World:
    """A deployment with the public numbers."""
    return World(node, folder, PROFILE)
