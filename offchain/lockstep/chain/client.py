"""One account on one chain: calls, transactions, receipts, logs; every failure a sentence.

Nonces are tracked here, because a node's own count lags under load; a transaction's receipt is awaited with a limit,
because one under the calldata floor is accepted and never mined.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.abi import function_abi_to_4byte_selector, get_abi_input_types, get_abi_output_types
from web3 import HTTPProvider, Web3
from web3._utils.abi import map_abi_data
from web3._utils.normalizers import BASE_RETURN_NORMALIZERS
from web3.contract import Contract
from web3.exceptions import ContractLogicError, TimeExhausted, Web3Exception, Web3RPCError
from web3.logs import DISCARD
from web3.types import RPCEndpoint, TxReceipt

from lockstep.chain.artifacts import artifact
from lockstep.chain.errors import ChainError, ConnectionFailed, InsufficientFunds, NotMined, decode_revert

ANVIL_URL = "http://127.0.0.1:8545"
REQUEST_SECONDS = 60
RECEIPT_SECONDS = 120
GAS_MARGIN = 1.3
GAS_SPARE = 60_000
"""Gas offered above the estimate: a block later the same call may write a fresh slot. Unused gas is not paid."""
MAX_GAS = 16_777_216
"""EIP-7825: most gas a transaction may have."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A mined transaction."""

    kind: str
    hash: str
    gas: int
    block: int
    receipt: TxReceipt = field(repr=False)


def load_key(key: str) -> LocalAccount:
    """Account from a private key in hex, or ``ChainError`` with a sentence."""
    try:
        account: LocalAccount = Account.from_key(key.strip())
    except Exception:  # eth-keys raises several types, some with the key in the message: show none of it
        raise ChainError("The private key is not valid: it is 64 hex digits, with or without 0x in front.") from None
    return account


def _revert_data(error: Exception) -> bytes | None:
    """Revert data in what web3 raised, None where there is none."""
    data = getattr(error, "data", None)
    if data is None and isinstance(error, Web3RPCError):
        response = error.rpc_response or {}
        data = response.get("error", {}).get("data")
    if isinstance(data, dict):
        data = data.get("data")
    if isinstance(data, str) and data.startswith("0x"):
        return bytes.fromhex(data[2:])
    return bytes(data) if isinstance(data, bytes) else None


def _message(error: Exception) -> str:
    """What the node said, without the JSON around it."""
    if isinstance(error, Web3RPCError) and error.rpc_response:
        said = error.rpc_response.get("error")
        if isinstance(said, dict) and said.get("message"):
            return str(said["message"]).rstrip(".")
    return str(error).rstrip(".")


class Client:
    """An account's connection to a chain.

    ``gas`` sums what each kind of transaction used: kind -> list of units.
    """

    def __init__(self, url: str = ANVIL_URL, key: str | None = None, chain_id: int | None = None) -> None:
        """Connect; ``ConnectionFailed`` when nobody answers, or when the chain is not ``chain_id``."""
        self.url = url
        provider = HTTPProvider(
            url,
            request_kwargs={"timeout": REQUEST_SECONDS},
            cache_allowed_requests=True,  # web3 asks for the chain's id before every call; it does not change
            cacheable_requests={RPCEndpoint("eth_chainId")},
        )
        self.web3 = Web3(provider)
        self.account = load_key(key) if key is not None else None
        self.gas: dict[str, list[int]] = defaultdict(list)
        self.sent = 0
        """Transactions handed to the node so far."""
        self._lock = threading.Lock()
        self._nonce: int | None = None
        try:
            self.chain_id = self.web3.eth.chain_id
        except (requests.RequestException, Web3Exception, OSError, ValueError) as error:
            raise ConnectionFailed(
                f"No Ethereum node answers at {url} ({type(error).__name__}). Start one (for example `anvil "
                "--hardfork osaka`), or pass another --rpc."
            ) from None
        if chain_id is not None and self.chain_id != chain_id:
            raise ConnectionFailed(
                f"The node at {url} serves chain {self.chain_id}, and this deployment is on chain {chain_id}. "
                "Pass the right --rpc."
            )

    @property
    def address(self) -> str:
        """Checksummed address of the account."""
        if self.account is None:
            raise ChainError("This needs an account; pass --key.")
        return str(self.account.address)

    def contract(self, name: str, address: str) -> Contract:
        """Contract of the package at an address."""
        return self.web3.eth.contract(address=Web3.to_checksum_address(address), abi=artifact(name)["abi"])

    def nonce(self) -> int:
        """The nonce of this account's next transaction."""
        with self._lock:
            if self._nonce is None:
                self._nonce = self.web3.eth.get_transaction_count(self.account.address, "pending")  # type: ignore[union-attr]
            return self._nonce

    def call(self, function: Any, doing: str, block: int | str = "latest") -> Any:
        """Result of a view function; reverts are decoded."""
        try:
            options = {"from": self.account.address} if self.account else {}
            return function.call(options, block_identifier=block)
        except (ContractLogicError, Web3RPCError) as error:
            data = _revert_data(error)
            if data is None:
                raise ChainError(f"Could not {doing}: {_message(error)}.") from None
            raise decode_revert(data, doing) from None
        except Web3Exception as error:
            raise ChainError(f"Could not {doing}: {error}. Is there a Lockstep deployment at this address?") from None
        except requests.RequestException as error:
            raise self._unreachable(doing, error) from None

    def call_many(self, contract: Contract, calls: Sequence[tuple[str, Sequence[Any]]], doing: str) -> list[Any]:
        """Results of several views (name, arguments) of a contract that has ``multicall``, all as of one block."""
        codec = self.web3.codec
        entries = {name: contract.get_function_by_name(name).abi for name, _ in calls}
        data = [
            function_abi_to_4byte_selector(entries[name]) + codec.encode(get_abi_input_types(entries[name]), arguments)
            for name, arguments in calls
        ]
        found: Sequence[bytes] = self.call(contract.functions.multicall(data), doing)
        results = []
        for (name, _), result in zip(calls, found, strict=True):
            types = get_abi_output_types(entries[name])
            values = map_abi_data(BASE_RETURN_NORMALIZERS, types, codec.decode(types, result))
            results.append(values[0] if len(values) == 1 else values)
        return results

    def _unreachable(self, doing: str, error: Exception) -> ConnectionFailed:
        return ConnectionFailed(
            f"Could not {doing}: the node at {self.url} stopped answering ({type(error).__name__})."
        )

    def send(self, function: Any, kind: str, doing: str) -> Sent:
        """Send a transaction and await its receipt.

        ``kind`` names it in gas tables; ``doing`` completes the sentence "Could not ...". The call is tried
        first, so a refusal costs nothing and comes with its reason.

        Raises:
            Reverted: the contract refuses
            InsufficientFunds: gas cannot be paid
            NotMined: no receipt in time
            ConnectionFailed: the node does not answer

        """
        return self._send(function.build_transaction, kind, doing)

    def deploy(self, name: str, arguments: Sequence[Any], links: dict[str, str] | None = None) -> tuple[Contract, Sent]:
        """Deploy a contract of the package, its libraries linked to the addresses in ``links``."""
        compiled = artifact(name)
        code: str = compiled["bytecode"].removeprefix("0x")
        for libraries in compiled["link_references"].values():
            for library, places in libraries.items():
                address = (links or {})[library].removeprefix("0x").lower()
                for place in places:
                    at = 2 * place["start"]
                    code = code[:at] + address + code[at + 40 :]
        constructor = self.web3.eth.contract(abi=compiled["abi"], bytecode="0x" + code).constructor(*arguments)
        sent = self._send(constructor.build_transaction, f"deploy {name}", f"deploy {name}")
        return self.contract(name, str(sent.receipt["contractAddress"])), sent

    def _send(self, build: Any, kind: str, doing: str) -> Sent:
        if self.account is None:
            raise ChainError(f"Could not {doing}: this needs an account; pass --key.")
        with self._lock:
            try:
                estimate_from = {"from": self.account.address}
                transaction = build(estimate_from)
                transaction["gas"] = min(MAX_GAS, int(transaction["gas"] * GAS_MARGIN) + GAS_SPARE)
                if self._nonce is None:
                    self._nonce = self.web3.eth.get_transaction_count(self.account.address, "pending")
                transaction["nonce"] = self._nonce
                transaction["chainId"] = self.chain_id
                signed = self.account.sign_transaction(transaction)
                digest = self.web3.eth.send_raw_transaction(signed.raw_transaction)
                self._nonce += 1
                self.sent += 1
            except requests.RequestException as error:
                raise self._unreachable(doing, error) from None
            except (ContractLogicError, Web3RPCError, Web3Exception) as error:
                self._nonce = None
                raise self._refused(error, doing) from None
        return self._await(digest, kind, doing)

    def _refused(self, error: Exception, doing: str) -> ChainError:
        data = _revert_data(error)
        if data is not None:
            return decode_revert(data, doing)
        text = _message(error)
        if "insufficient funds" in text.lower() or "insufficient balance" in text.lower():
            return InsufficientFunds(
                f"Could not {doing}: {self.address} has too little of the chain's currency to pay for gas. "
                "Fund it, or pass another --key."
            )
        return ChainError(f"Could not {doing}: {text}.")

    def _await(self, digest: Any, kind: str, doing: str) -> Sent:
        try:
            receipt = self.web3.eth.wait_for_transaction_receipt(digest, timeout=RECEIPT_SECONDS, poll_latency=0.02)
        except TimeExhausted:
            with self._lock:
                self._nonce = None
            raise NotMined(
                f"Could not {doing}: transaction {digest.to_0x_hex()} was sent and not mined in {RECEIPT_SECONDS} s. "
                "It may still be; `lockstep status` tells."
            ) from None
        except requests.RequestException as error:
            raise self._unreachable(doing, error) from None
        if receipt["status"] != 1:
            raise self._why(digest, receipt, doing)
        self.gas[kind].append(receipt["gasUsed"])
        return Sent(kind, digest.to_0x_hex(), receipt["gasUsed"], receipt["blockNumber"], receipt)

    def _why(self, digest: Any, receipt: TxReceipt, doing: str) -> ChainError:
        """Why a mined transaction reverted, by calling it again at its block."""
        mined = self.web3.eth.get_transaction(digest)
        again = {"from": mined["from"], "to": mined["to"], "data": mined["input"], "gas": mined["gas"]}
        try:
            self.web3.eth.call(again, receipt["blockNumber"] - 1)  # type: ignore[arg-type]
        except (ContractLogicError, Web3RPCError) as error:
            return self._refused(error, doing)
        if receipt["gasUsed"] >= mined["gas"] * 63 // 64:
            return ChainError(f"Could not {doing}: the transaction ran out of its {mined['gas']} gas. Try again.")
        return ChainError(f"Could not {doing}: the transaction reverted, overtaken by another one. Try again.")

    def decode(self, contract: Contract, event: str, sent: Sent) -> list[Any]:
        """Decoded logs of one event in a receipt."""
        return list(contract.events[event]().process_receipt(sent.receipt, errors=DISCARD))

    def arguments(self, contract: Contract, function: str, digest: Any) -> dict[str, Any] | None:
        """What a mined transaction called a function of a contract with; None where it called something else."""
        mined = self._ask(lambda: self.web3.eth.get_transaction(digest), "read a transaction")
        if str(mined.get("to")) != str(contract.address):
            return None
        try:
            called, arguments = contract.decode_function_input(mined["input"])
        except ValueError:  # no function of its
            return None
        return dict(arguments) if called.fn_name == function else None

    def block_number(self) -> int:
        """Number of the latest block."""
        return int(self._ask(lambda: self.web3.eth.block_number, "read the block number"))

    def block_hash(self, number: int) -> str:
        """Hash of a block in hex, empty where the chain has none of that number."""
        try:
            return str(self._ask(lambda: self.web3.eth.get_block(number)["hash"].to_0x_hex(), "read a block"))
        except ConnectionFailed:
            raise
        except ChainError:
            return ""

    def mine(self) -> bool:
        """Have a local node make a block with the present time; False where the node cannot."""
        provider = self.web3.provider
        answer = self._ask(lambda: provider.make_request(RPCEndpoint("evm_mine"), []), "have a block made")
        return "error" not in answer

    def has_code(self, address: str) -> bool:
        """Whether there is a contract at an address."""
        code = self._ask(lambda: self.web3.eth.get_code(Web3.to_checksum_address(address)), "look for the contracts")
        return len(code) > 0

    def _ask(self, question: Callable[[], Any], doing: str) -> Any:
        try:
            return question()
        except requests.RequestException as error:
            raise self._unreachable(doing, error) from None
        except Web3Exception as error:
            raise ChainError(f"Could not {doing}: {_message(error)}.") from None
