"""Plays a history line by line: each line is one transaction, a wait, or a transaction that must be refused.

No model is trained: checkpoints are hashes that stand for states, and disputes end by the clocks. Who makes the real
moves of a real run is tested elsewhere; here it is who may do what, when, and who pays. A line is

    WHO WHAT [ARGUMENTS] [-> ERROR]

``WHAT`` is one of ``VERBS``, or a function of the contracts that takes the task's terms alone.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

import pytest

from lockstep.chain.anvil import Anvil
from lockstep.chain.client import Client
from lockstep.chain.deployment import Deployment
from lockstep.chain.errors import Reverted
from lockstep.chain.lockstep import Lockstep, PostedTask
from lockstep.chain.parameters import TOKEN
from lockstep.chain.types import ClaimBody, ClaimRef, SlotState, TaskOffer
from lockstep.commitments.merkle import merkle_root
from lockstep.dispute import claims, forced
from lockstep.program import encoding
from lockstep.program.faults import FaultKind, ProgramFault

WALLET = 1_000_000 * TOKEN
ETHER = 10**18
WORK = 10**6
STEPS = SEGMENT_STEPS = 4
LAST = STEPS // SEGMENT_STEPS
"""The last segment; every segment is audited."""
NODE = b"no node"
SALT = bytes(32)


def header(work: int) -> bytes:
    """Header of a program whose only node is none."""
    state = hashlib.sha256(b"state").digest()
    empty = encoding.EMPTY_ROOT
    return encoding.HEADER.pack(encoding.VERSION, 1, merkle_root([NODE]), 6, state, 40, 0, empty, 0, empty, work)


def root_named(name: str, segment: int) -> bytes:
    """A hash that stands for the state a run ends in, 32 bytes."""
    return hashlib.sha256(f"{name} {segment}".encode()).digest()


def account(anvil: Anvil, deployment: Deployment, who: str) -> Lockstep:
    """The account that belongs to a name."""
    key = "0x" + hashlib.sha256(f"scenario {who}".encode()).hexdigest()
    return Lockstep(Client(anvil.url, key, anvil.chain_id), deployment)


def fund(anvil: Anvil, deployment: Deployment, who: str) -> None:
    """Give a name's account tokens, a tenth of them as stake."""
    chain = account(anvil, deployment, who)
    anvil.set_balance(chain.client.address, 1_000 * ETHER)
    chain.send(chain.token, "drip", WALLET, doing="fund the wallet")
    chain.send(chain.token, "approve", chain.vault.address, WALLET, doing="approve")
    chain.send(chain.vault, "deposit", WALLET // 10, doing="deposit")


class Script:
    """One task on one deployment, and everybody who has acted in it."""

    def __init__(self, anvil: Anvil, deployment: Deployment) -> None:
        self.anvil = anvil
        self.deployment = deployment
        self.parties: dict[str, Lockstep] = {}
        self.posted: PostedTask | None = None
        self.checkpoints: list[bytes] = []
        self.secrets: dict[str, forced.SecretTree] = {}
        self.bodies: dict[tuple[str, int], ClaimBody] = {}

    # Reading lines

    def play(self, line: str) -> None:
        """Play one line."""
        told, _, error = (part.strip() for part in line.partition("->"))
        who, what, *arguments = told.split()
        if what == "waits":
            self._wait(*arguments)
            return
        if not error:
            self._act(who, what, arguments)
            return
        with pytest.raises(Reverted) as refused:
            self._act(who, what, arguments)
        assert refused.value.error == error, line

    def _act(self, who: str, what: str, arguments: list[str]) -> None:
        if what in VERBS:
            VERBS[what](self, who, *arguments)
        else:
            self._call(who, what)

    def chain(self, who: str) -> Lockstep:
        """A party's account, which was filled (`fund`) before anything began."""
        if who not in self.parties:
            self.parties[who] = account(self.anvil, self.deployment, who)
        return self.parties[who]

    def _call(self, who: str, function: str) -> None:
        """A call that takes the task's terms, and nothing else."""
        chain = self.chain(who)
        for contract in (chain.market, chain.court, chain.ledger):
            if any(entry.get("name") == function for entry in contract.abi):
                chain.send(contract, function, self.task.terms.abi(), doing=function)
                return
        raise AssertionError(f"There is no {function}.")

    @property
    def seen(self) -> Lockstep:
        """The chain as one account reads it for all: what each has read of it, it would read anew."""
        return self.chain("anybody")

    @property
    def task(self) -> PostedTask:
        """The task."""
        assert self.posted is not None
        return self.posted

    # Time

    def _wait(self, what: str) -> None:
        number = self.posted.terms.id if self.posted else 0
        if what == "blocks":
            self.anvil.mine(self.seen.parameters.beacon_delay + 1)
            return
        if what == "moment":
            until = self.anvil.now()
        elif what == "acceptance":
            until = self.task.terms.accept_deadline
        elif what == "deadline":
            until = self.seen.deadline(number)
        elif what == "move":
            until = self.seen.view(self.seen.game, "deadlineOf", self.seen.disputes(number)[-1])
        elif what == "forgotten":
            until = self.anvil.now() + 2 * self.seen.parameters.max_claim_window + self.seen.parameters.unblind_window
        else:
            until = getattr(self.seen.windows(number, LAST), what)
        self.anvil.advance_time(max(1, until - self.anvil.now() + 1))

    # The task

    def submit(self, who: str, levy: str = "4") -> None:
        """Post the task: an init segment and one of four steps, both audited; the levy in c."""
        chain, c = self.chain(who), SEGMENT_STEPS * TOKEN
        amounts = (TOKEN, c, int(levy) * c)
        deadline = self.anvil.now() + 3_600
        made = TaskOffer(header(WORK), header(WORK), 7, STEPS, SEGMENT_STEPS, LAST + 1, *amounts, deadline, 3_600, "")
        sent = chain.send(chain.market, "submit", made.abi(), doing="submit")
        self.posted = self.seen.task(int(chain.client.decode(chain.market, "TaskSubmitted", sent)[0]["args"]["id"]))

    def commit(self, who: str, kind: str = "right") -> None:
        """Hand in right checkpoints, or a last one that is bad."""
        self.checkpoints = [root_named("right", segment) for segment in range(LAST + 1)]
        if kind == "bad":
            self.checkpoints[LAST] = root_named("bad", LAST)
        root, proof = claims.work_tree(self.checkpoints).root, claims.final_proof(self.checkpoints)
        chain = self.chain(who)
        chain.send(
            chain.market, "commit", self.task.terms.abi(), root, self.checkpoints[-1], proof, "nowhere", doing="commit"
        )

    def voidInvalidProgram(self, who: str) -> None:  # noqa: N802
        """Show that the program's only node is none."""
        fault = ProgramFault(FaultKind.NODE, False, header(WORK), 0, (NODE,), ((),))
        chain = self.chain(who)
        chain.send(chain.market, "voidInvalidProgram", self.task.terms.abi(), fault.abi(), doing="void")

    def beginAudit(self, who: str) -> None:  # noqa: N802
        """Try to put the task where only the court puts it."""
        chain = self.chain(who)
        chain.send(chain.market, "beginAudit", self.task.terms.id, 0, doing="begin the audit")

    # Claims

    def enrol(self, who: str) -> None:
        """Register as a verifier."""
        chain = self.chain(who)
        if self.seen.parameters.forced_bps:
            self.secrets[who] = forced.SecretTree(hashlib.sha256(who.encode()).digest())
            chain.send(chain.court, "commitSecrets", self.secrets[who].root, doing="commit to secrets")
        chain.send(chain.court, "registerVerifier", doing="register")

    def registerVerifier(self, who: str) -> None:  # noqa: N802
        """Register without secrets."""
        chain = self.chain(who)
        chain.send(chain.court, "registerVerifier", doing="register")

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

    # Disputes

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

    # The end

    def closeClaims(self, who: str) -> None:  # noqa: N802
        """Judge every claim that is not yet judged, also the places of verifiers that were silent."""
        self._close(who, lambda closed: not closed)

    def closeAgain(self, who: str) -> None:  # noqa: N802
        """Judge every claim that was judged once more."""
        self._close(who, lambda closed: closed)

    def _close(self, who: str, due: Callable[[bool], bool]) -> None:
        chain, number = self.chain(who), self.task.terms.id
        for segment in self.seen.drawn_segments(number):
            for round_ in range(self.seen.slot(number, segment).round + 1):
                for claim in self.seen.claims(number, segment, round_):
                    if due(self.seen.claim(claim.ref).closed):
                        place = (segment, round_, claim.ref.index)
                        chain.send(chain.court, "closeClaim", self.task.terms.abi(), *place, doing="close a claim")

    # What came of it

    def gains(self) -> dict[str, int]:
        """What everybody has more than before, base units; what is still locked counts as theirs."""
        found = {who: self.seen.worth(chain.client.address) - WALLET for who, chain in self.parties.items()}
        return {**found, "treasury": int(self.seen.view(self.seen.treasury, "balance"))}

    def slashed(self) -> list[str]:
        """Who lost any of what it had locked."""
        owners: dict[tuple[str, bytes], str] = {}
        names = {chain.client.address: who for who, chain in self.parties.items()}
        events: dict[str, list[tuple[str, bytes]]] = defaultdict(list)
        for event in ("Locked", "Slashed"):
            for log in self.seen._logs("StakeVault", event):
                args = log["args"]
                key = (str(args["module"]), bytes(args["engagement"]))
                events[event].append(key)
                if event == "Locked":
                    owners[key] = names[args["account"]]
        return sorted({owners[key] for key in events["Slashed"]})


VERBS: dict[str, Callable[..., None]] = {
    verb.__name__: verb
    for verb in (
        Script.submit,
        Script.commit,
        Script.voidInvalidProgram,
        Script.beginAudit,
        Script.enrol,
        Script.registerVerifier,
        Script.redraw,
        Script.finalize,
        Script.postClaim,
        Script.openSecret,
        Script.placeBlind,
        Script.unblind,
        Script.reclaimBlind,
        Script.forfeitBlind,
        Script.disputes,
        Script.revealStates,
        Script.timeout,
        Script.withdraw,
        Script.closeClaims,
        Script.closeAgain,
    )
}
"""What a line may say; anything else is a call that takes the task's terms alone."""
