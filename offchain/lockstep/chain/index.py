"""What a deployment's contracts have said and hold, kept until the chain moves.

Events are fetched once, block range by block range, and answered from memory; views are remembered for as long as the
latest block stays the latest. A reorganisation of the chain starts the index anew. Within ``hold`` the latest block is
asked for once a second at most, and after every transaction of one's own.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import requests
from eth_utils.abi import event_abi_to_log_topic
from web3._utils.events import get_event_data
from web3.contract import Contract
from web3.exceptions import Web3Exception
from web3.types import RPCEndpoint

from lockstep.chain.client import Client
from lockstep.chain.errors import ChainError, ConnectionFailed

T = TypeVar("T")
BLOCKS = 5_000
"""Blocks one request for logs covers: public nodes refuse much more."""
HOLD_SECONDS = 1.0
"""How long the latest block is taken to stay the latest while it is held."""


class Head(NamedTuple):
    """The latest block: its number, hash (hex) and timestamp (seconds)."""

    number: int
    hash: str
    timestamp: int


class Index:
    """Logs and views of some contracts from a block on.

    ``contracts`` by name; their events are told apart by address and topic.
    """

    def __init__(self, client: Client, contracts: Mapping[str, Contract], first_block: int) -> None:
        self.client = client
        self._first = first_block
        self._names = {str(contract.address): name for name, contract in contracts.items()}
        self._events = {
            (str(contract.address), bytes(event_abi_to_log_topic(entry))): entry
            for contract in contracts.values()
            for entry in contract.abi
            if entry["type"] == "event"
        }
        self._held = False
        self._asked: tuple[float, int] | None = None
        self._forget()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Look for a new block now, and then once a second at most until the context ends."""
        if self._held:
            yield
            return
        self._held, self._asked = True, None
        try:
            yield
        finally:
            self._held = False

    def _is_recent(self) -> bool:
        """Whether the head was asked for a moment ago, and this account has sent nothing since."""
        if not self._held or self._asked is None:
            return False
        when, sent = self._asked
        return sent == self.client.sent and time.monotonic() - when < HOLD_SECONDS

    def head(self) -> Head:
        """The latest block."""
        self.sync()
        assert self._head is not None
        return self._head

    def _forget(self) -> None:
        self._next = self._first
        self._head: Head | None = None
        self._logs: dict[tuple[str, str], list[Any]] = defaultdict(list)
        self._views: dict[Hashable, Any] = {}

    def sync(self) -> None:
        """Bring the index up to the latest block; nothing is fetched while that stays the same.

        Raises:
            ConnectionFailed: the node does not answer
            ChainError: the node refuses

        """
        if self._is_recent():
            return
        web3, asked = self.client.web3, (time.monotonic(), self.client.sent)
        try:
            head, known = self._block("latest"), self._head
            if head == known:
                self._asked = asked
                return
            if known is not None and (head.number <= known.number or self._block(hex(known.number)) != known):
                self._forget()
            self._views.clear()
            for start in range(self._next, head.number + 1, BLOCKS):
                stop = min(start + BLOCKS - 1, head.number)
                self._keep(
                    web3.eth.get_logs(
                        {"fromBlock": start, "toBlock": stop, "address": list(self._names)}  # type: ignore[typeddict-item]
                    )
                )
                self._next = stop + 1
        except requests.RequestException as error:
            raise ConnectionFailed(
                f"Could not read the chain: the node at {self.client.url} stopped answering ({type(error).__name__})."
            ) from None
        except Web3Exception as error:
            raise ChainError(f"Could not read the chain: {error}.") from None
        self._head, self._asked = head, asked

    def _block(self, block: str) -> Head:
        """A block. Asked before everything else, so without web3's formatting."""
        answer = self.client.web3.provider.make_request(RPCEndpoint("eth_getBlockByNumber"), [block, False])
        found = answer.get("result")
        if not isinstance(found, dict):
            raise ChainError(f"The node at {self.client.url} does not know block {block}; is it still syncing?")
        return Head(int(found["number"], 16), str(found["hash"]), int(found["timestamp"], 16))

    def _keep(self, found: Sequence[Any]) -> None:
        for log in found:
            entry = self._events.get((str(log["address"]), bytes(log["topics"][0]))) if log["topics"] else None
            if entry is not None:
                decoded = get_event_data(self.client.web3.codec, entry, log)
                self._logs[self._names[str(log["address"])], decoded["event"]].append(decoded)

    def logs(self, contract: str, event: str, **arguments: Any) -> list[Any]:
        """Decoded logs of one event whose arguments have these values, oldest first."""
        self.sync()
        return [
            log
            for log in self._logs[contract, event]
            if all(log["args"][name] == value for name, value in arguments.items())
        ]

    def view(self, key: Hashable, read: Callable[[], T]) -> T:
        """What ``read`` returned since the latest block, read once."""
        self.sync()
        if key not in self._views:
            self._views[key] = read()
        value: T = self._views[key]
        return value

    def views(self, keys: Sequence[Hashable], read: Callable[[Sequence[Hashable]], Sequence[Any]]) -> None:
        """Have ``read`` answer at once those of ``keys`` that are not remembered."""
        self.sync()
        missing = [key for key in keys if key not in self._views]
        if missing:
            self._views.update(zip(missing, read(missing), strict=True))
