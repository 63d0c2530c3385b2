"""What a deployment's contracts have said and hold, kept until the chain moves.

Events are fetched once, block range by block range, and answered from memory; views are remembered for as long as the
latest block stays the latest. A reorganisation of the chain starts the index anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

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
        self._forget()

    def _forget(self) -> None:
        self._next = self._first
        self._head: tuple[int, str] | None = None
        self._logs: dict[tuple[str, str], list[Any]] = defaultdict(list)
        self._views: dict[Hashable, Any] = {}

    def sync(self) -> None:
        """Bring the index up to the latest block; nothing is fetched while that stays the same.

        Raises:
            ConnectionFailed: the node does not answer
            ChainError: the node refuses

        """
        web3 = self.client.web3
        try:
            head = self._block("latest")
            if head == self._head:
                return
            if self._head is not None and (head[0] <= self._head[0] or self._block(hex(self._head[0])) != self._head):
                self._forget()
            self._views.clear()
            for start in range(self._next, head[0] + 1, BLOCKS):
                stop = min(start + BLOCKS - 1, head[0])
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
        self._head = head

    def _block(self, block: str) -> tuple[int, str]:
        """(number, hash) of a block. Asked before everything else, so without web3's formatting."""
        answer = self.client.web3.provider.make_request(RPCEndpoint("eth_getBlockByNumber"), [block, False])
        found = answer.get("result")
        if not isinstance(found, dict):
            raise ChainError(f"The node at {self.client.url} does not know block {block}; is it still syncing?")
        return int(found["number"], 16), str(found["hash"])

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
