"""A local world: a node, a deployment, a store, parties with wallets, and a clock that may be moved.

Used by the demo and by the end-to-end tests.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from lockstep.agents.base import Agent, Progress, journal_path
from lockstep.agents.journal import Journal
from lockstep.agents.keeper import Keeper
from lockstep.agents.verifier import Verifier
from lockstep.chain.anvil import Anvil
from lockstep.chain.client import Client
from lockstep.chain.deployment import deploy
from lockstep.chain.lockstep import Lockstep
from lockstep.chain.options import TaskOptions
from lockstep.chain.parameters import LOCAL, TOKEN, Profile
from lockstep.chain.selection import draw_key
from lockstep.chain.types import DemandState, SlotState, TaskState
from lockstep.dispute.claims import redraw_key
from lockstep.dispute.transition import Outcome
from lockstep.storage.store import ArtifactStore

A = TypeVar("A", bound=Agent)
Say = Callable[[str, str], None]
"""Takes a party's name and a line about what it did."""

WALLET = 1_000_000 * TOKEN
"""Settlement tokens every party begins with, base units."""
ETHER = 10**18
REDRAW_PAUSE = 60
"""Seconds after which a draw that found nobody is looked at again."""
MAX_ROUNDS = 2_000
"""Rounds of ticks and clock moves after which a scenario is stuck."""


class Stuck(RuntimeError):
    """A scenario that no party and no deadline moves on."""


class Party:
    """A name, an account, and the agent that acts for it."""

    def __init__(self, name: str, lockstep: Lockstep) -> None:
        self.name = name
        self.lockstep = lockstep
        self.brought = self.worth
        """What it had when it came, base units."""

    @property
    def address(self) -> str:
        """The party's account."""
        return self.lockstep.client.address

    @property
    def worth(self) -> int:
        """Wallet, stake and payouts, base units."""
        return self.lockstep.worth(self.address)


class World:
    """One node with one deployment; parties are made as they are needed."""

    def __init__(
        self, anvil: Anvil, folder: Path, profile: Profile = LOCAL, say: Say = lambda name, line: None
    ) -> None:
        self.anvil = anvil
        self.folder = folder
        self.say = say
        self.store = ArtifactStore(str(folder / "store"))
        founder = self._client("founder")
        self.deployment = deploy(founder, profile)
        self.gas: dict[str, list[int]] = defaultdict(list)
        self.deploy_gas = sum(sum(units) for units in founder.gas.values())
        self.parties: dict[str, Party] = {}
        self.minted = 0
        self._keeper_client = self._client("keeper")
        self.keeper_lockstep = Lockstep(self._keeper_client, self.deployment)

    def _client(self, name: str) -> Client:
        key = "0x" + hashlib.sha256(f"lockstep demo {name}".encode()).hexdigest()
        client = Client(self.anvil.url, key, self.anvil.chain_id)
        self.anvil.set_balance(client.address, 1_000 * ETHER)
        return client

    def party(self, name: str) -> Party:
        """A party with a full wallet."""
        lockstep = Lockstep(self._client(name), self.deployment)
        lockstep.send(lockstep.token, "drip", WALLET, doing="fund the wallet")
        lockstep.client.gas.clear()
        self.minted += WALLET
        self.parties[name] = Party(name, lockstep)
        return self.parties[name]

    def agent(self, kind: type[A], name: str, only: Sequence[int] | None = None, **options: Any) -> A:
        """A new party with an agent acting for it."""
        party = self.party(name)
        progress: Progress | None = options.pop("progress", None)
        journal = Journal(journal_path(self.folder / "journals", kind.role, party.address))
        return kind(
            party.lockstep,
            self.store,
            journal,
            narrate=lambda line: self.say(name, line),
            progress=progress,
            only=only,
            **options,
        )

    def keeper(self, task: int) -> Keeper:
        """The permissionless calls of a task."""
        return Keeper(
            self.keeper_lockstep,
            self.store,
            Journal(":memory:"),
            narrate=lambda line: self.say("anybody", line),
            only=[task],
        )

    # Time

    def run(self, task: int, agents: Sequence[Agent], on_round: Callable[[], None] = lambda: None) -> TaskState:
        """Let the parties act, move the clock when none can, until the task has ended and its claims are closed."""
        keeper = self.keeper(task)
        for _ in range(MAX_ROUNDS):
            on_round()
            acted = False
            for agent in (*agents, keeper):
                acted |= agent.turn()
            if acted:
                continue
            state = self.keeper_lockstep.state(task)
            if state.terminal:
                return state
            self._pass_time(task, state)
        raise Stuck(f"Task {task} did not end: it is {self.keeper_lockstep.state(task).name}.")

    def _pass_time(self, task: int, state: TaskState) -> None:
        with self.keeper_lockstep.hold():
            deadlines, blocks = self._deadlines(task, state)
        if blocks:
            self.anvil.mine(blocks)
            return
        now = self.anvil.now()
        coming = [deadline for deadline in deadlines if deadline >= now]
        if not coming:
            raise Stuck(f"Task {task} is {state.name} and nothing is due.")
        self.anvil.advance_time(min(coming) - now + 1)

    def _deadlines(self, task: int, state: TaskState) -> tuple[list[int], int]:
        """Moments at which something becomes possible; or, where a draw waits for them, blocks."""
        chain = self.keeper_lockstep
        if state is TaskState.OPEN:
            terms = chain.task(task).terms
            if chain.selection(task).closed and chain.deadline(task):
                return [chain.deadline(task)], self._blocks_to_draw(draw_key(task))
            return [TaskOptions.unpack(terms.options).apply_deadline, terms.accept_deadline], 0
        if state is TaskState.COMMITTED:
            return [chain.deadline(task)], self._blocks_to_draw(task.to_bytes(32, "big"))
        if state is not TaskState.AUDITING:
            return [chain.deadline(task)], 0
        deadlines: list[int] = []
        for segment in chain.audited_segments(task):
            slot = chain.slot(task, segment)
            if slot.state == SlotState.REDRAWING:
                draw = chain.draw(chain.court.address, redraw_key(task, segment, slot.round + 1))
                known = draw.target and chain.block_number() > draw.target and not draw.missing
                return ([self.anvil.now() + REDRAW_PAUSE], 0) if known else ([], 2)
            if slot.state == SlotState.DRAWN:
                windows = chain.windows(task, segment)
                deadlines += [windows.claim, windows.unblind, windows.open]
        open_demands = [d for d in chain.demands(task) if chain.demand(d.id).state == DemandState.OPEN]
        deadlines += [demand.deadline for demand in open_demands]
        for number in chain.disputes(task):
            if chain.dispute(number).outcome == Outcome.NONE:
                deadlines.append(chain.view(chain.game, "deadlineOf", number))
        return deadlines, 0

    def _blocks_to_draw(self, key: bytes) -> int:
        """Blocks until a value asked for by the market is known, or its missing secrets are late."""
        chain = self.keeper_lockstep
        draw, now = chain.draw(chain.market.address, key), chain.block_number()
        late = draw.target + chain.reveal_parameters.window_blocks + 1
        return max(0, (late if draw.missing and now > draw.target else draw.target + 1) - now)

    # Money and gas

    def gas_used(self) -> dict[str, list[int]]:
        """Gas of every transaction since the last call, by kind."""
        used: dict[str, list[int]] = defaultdict(list)
        for client in (self._keeper_client, *(party.lockstep.client for party in self.parties.values())):
            for kind, units in client.gas.items():
                used[kind] += units
            client.gas.clear()
        for kind, units in used.items():
            self.gas[kind] += units
        return dict(used)

    def treasury(self) -> int:
        """What the treasury has, base units."""
        return int(self.keeper_lockstep.view(self.keeper_lockstep.treasury, "balance"))

    def dismiss(self, *verifiers: Verifier) -> None:
        """Take verifiers out of the draws: their notice, its time, and the end of it."""
        for verifier in verifiers:
            verifier.retire()
        self.anvil.advance_time(self.deployment.profile.parameters.withdrawal_delay + 1)
        for verifier in verifiers:
            verifier.retire()

    def leave(self) -> int:
        """Everybody withdraws everything; what is then missing from the sum of all that was put in (0 if nothing).

        Counted in wallets and the treasury, against the tokens minted.
        """
        chain = self.keeper_lockstep
        for party in self.parties.values():
            free = party.lockstep.free_stake(party.address)
            if free:
                party.lockstep.send(party.lockstep.vault, "requestWithdrawal", free, doing="leave")
        self.anvil.advance_time(self.deployment.profile.parameters.withdrawal_delay + 1)
        for party in self.parties.values():
            if party.lockstep.unbonding(party.address):
                party.lockstep.send(party.lockstep.vault, "withdrawStake", doing="withdraw the stake")
            if party.lockstep.owed(party.address):
                party.lockstep.send(party.lockstep.vault, "withdrawOwed", doing="withdraw payouts")
        wallets = sum(chain.tokens(party.address) for party in self.parties.values())
        supply = int(chain.view(chain.token, "totalSupply"))
        assert supply == self.minted, "Somebody else minted tokens."
        return self.minted - wallets - self.treasury()
