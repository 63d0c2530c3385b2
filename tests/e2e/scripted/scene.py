"""Where a history is played: accounts by name, the task, what stands for its checkpoints, and time."""

from __future__ import annotations

import hashlib

from lockstep.chain.anvil import Anvil
from lockstep.chain.client import Client
from lockstep.chain.deployment import Deployment
from lockstep.chain.lockstep import Lockstep, PostedTask
from lockstep.chain.parameters import TOKEN
from lockstep.chain.types import ClaimBody
from lockstep.commitments.merkle import merkle_root
from lockstep.dispute import forced
from lockstep.program import encoding

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


class Scene:
    """One task on one deployment, and everybody who has acted in it."""

    def __init__(self, anvil: Anvil, deployment: Deployment) -> None:
        self.anvil = anvil
        self.deployment = deployment
        self.parties: dict[str, Lockstep] = {}
        self.posted: PostedTask | None = None
        self.checkpoints: list[bytes] = []
        self.secrets: dict[str, forced.SecretTree] = {}
        self.bodies: dict[tuple[str, int], ClaimBody] = {}

    def chain(self, who: str) -> Lockstep:
        """A party's account, which was filled (`fund`) before anything began."""
        if who not in self.parties:
            self.parties[who] = account(self.anvil, self.deployment, who)
        return self.parties[who]

    @property
    def seen(self) -> Lockstep:
        """The chain as one account reads it for all: what each has read of it, it would read anew."""
        return self.chain("anybody")

    @property
    def task(self) -> PostedTask:
        """The task, its terms as they stand."""
        assert self.posted is not None
        return self.seen.task(self.posted.terms.id)

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
