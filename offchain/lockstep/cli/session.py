"""What a command works with: the chain, the deployment, the store, the journal; each made when it is first needed."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lockstep.chain.amounts import amount_text
from lockstep.chain.client import Client
from lockstep.chain.deployment import Deployment
from lockstep.chain.errors import ChainError, ConnectionFailed, InsufficientFunds
from lockstep.chain.lockstep import Lockstep
from lockstep.cli.console import errors
from lockstep.cli.errors import CommandError
from lockstep.cli.keys import LOCAL_CHAIN, choose_key
from lockstep.cli.options import DEFAULT_RPC, Account, Connection, Role
from lockstep.storage.store import ArtifactStore

if TYPE_CHECKING:
    from lockstep.agents.journal import Journal


class FundedLockstep(Lockstep):
    """A deployment seen by an account that helps itself from the faucet where there is one."""

    def fund(self, needed: int) -> None:
        """Have ``needed`` tokens in the wallet: from the faucet on a local chain, else a sentence.

        Raises:
            InsufficientFunds: the wallet is short and there is no faucet

        """
        address = self.client.address
        missing = needed - self.tokens(address)
        if missing <= 0:
            return
        if not self._has_faucet():
            raise InsufficientFunds(
                f"{address} has {amount_text(self.tokens(address))} and {amount_text(needed)} are needed: "
                f"send it {amount_text(missing)} of the settlement token, or pass another key."
            )
        most = int(self.view(self.token, "MAX_DRIP"))
        if missing > most:
            raise InsufficientFunds(
                f"{amount_text(needed)} are needed, and the faucet gives at most {amount_text(most)}; ask for less."
            )
        self.send(self.token, "drip", missing, doing="draw tokens from the faucet")

    def _has_faucet(self) -> bool:
        if self.client.chain_id != LOCAL_CHAIN:
            return False
        try:
            self.view(self.token, "MAX_DRIP")
        except ConnectionFailed:
            raise
        except ChainError:
            return False
        return True

    def can_stake(self, needed: int) -> bool:
        """Whether idle stake, wallet and faucet have so much together."""
        if super().can_stake(needed):
            return True
        address = self.client.address
        missing = needed - self.idle_stake(address) - self.tokens(address)
        return self._has_faucet() and missing <= int(self.view(self.token, "MAX_DRIP"))

    def deposit(self, amount: int) -> None:
        """Add ``amount`` to the account's stake."""
        self.fund(amount)
        super().deposit(amount)


class Session:
    """One command's connections. ``account`` None: it only reads."""

    def __init__(self, connection: Connection, account: Account | None = None, role: Role | None = None) -> None:
        if not connection.rpc.startswith(("http://", "https://")):
            raise typer.BadParameter(f"--rpc {connection.rpc} is not an HTTP address, such as {DEFAULT_RPC}.")
        self.connection = connection
        self._account = account
        self._role = role

    @property
    def deployment_file(self) -> Path:
        """Where the deployment file is."""
        return self.connection.deployment or self.connection.home / "deployment.json"

    @cached_property
    def client(self) -> Client:
        """The chain, with the account's key."""
        chain_id = self.deployment.chain_id
        client = Client(self.connection.rpc, chain_id=chain_id)
        return client if self._account is None else self._with_key(client)

    def _with_key(self, client: Client) -> Client:
        assert self._account is not None
        return Client(self.connection.rpc, choose_key(self._account, self._role, client.chain_id), client.chain_id)

    @cached_property
    def deployer(self) -> Client:
        """The chain, with the account's key, before there is a deployment."""
        return self._with_key(Client(self.connection.rpc))

    @property
    def is_local(self) -> bool:
        """Whether this is anvil's chain."""
        return self.client.chain_id == LOCAL_CHAIN

    @cached_property
    def deployment(self) -> Deployment:
        """The deployment in the file."""
        return Deployment.load(self.deployment_file)

    @cached_property
    def lockstep(self) -> FundedLockstep:
        """The deployment's contracts.

        Raises:
            CommandError: the chain has no contract at their addresses

        """
        if not is_live(self.client, self.deployment):
            raise CommandError(
                f"The chain at {self.connection.rpc} has no contracts where {self.deployment_file} says. A local node "
                "forgets everything when it is restarted: deploy again with `lockstep deploy`."
            )
        return FundedLockstep(self.client, self.deployment)

    @cached_property
    def store(self) -> ArtifactStore:
        """The artifact store."""
        return ArtifactStore(self.connection.store or str(self.connection.home / "store"))

    def journal_file(self, role: str) -> Path:
        """Where the account's journal in a role lies."""
        from lockstep.agents.base import journal_path

        return journal_path(self.connection.home / "journals", role, self.client.address)

    @contextmanager
    def journal(self, role: str) -> Iterator[Journal]:
        """The account's journal in a role, held by this process alone while the block runs.

        Raises:
            CommandError: another process holds it

        """
        from lockstep.agents.journal import Journal

        path = self.journal_file(role)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go of when the process ends, however it ends
            except BlockingIOError:
                raise CommandError(
                    f"Another process runs the {role} {self.client.address} in {self.connection.home}. Two would take "
                    "each other's turns; stop it, or use another account."
                ) from None
            with closing(Journal(path)) as journal:
                yield journal

    def keep_time(self) -> bool:
        """Let a local chain's clock run on: anvil makes blocks only for transactions. Whether anything was done."""
        # Two blocks: audits are drawn by the hash of one, which is known in the next.
        return self.is_local and self.client.mine() and self.client.mine()

    def note(self, line: str) -> None:
        """An aside for people, on stderr."""
        errors().print(line, style="dim", markup=False, highlight=False, soft_wrap=True)


def is_live(client: Client, deployment: Deployment) -> bool:
    """Whether the chain has a contract where the deployment's market should be.

    A local chain that was restarted gives the next deployment the same addresses; it is another one all the same.
    """
    if client.chain_id != deployment.chain_id:
        return False
    if client.chain_id == LOCAL_CHAIN and client.block_hash(deployment.block) != deployment.origin:
        return False
    return client.has_code(deployment.addresses["TaskMarket"])
