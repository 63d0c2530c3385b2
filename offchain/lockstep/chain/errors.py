"""What goes wrong on the way to the chain, as sentences.

One tree: ``ChainError`` for everything here, ``ConnectionFailed`` for an RPC that does not answer or is another chain,
``InsufficientFunds``, ``Reverted`` for a contract's custom error (decoded), ``NotMined`` for a transaction that
was accepted and never mined.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from eth_abi.abi import decode
from eth_utils.abi import function_abi_to_4byte_selector

from lockstep.chain import hints


class ChainError(RuntimeError):
    """Anything that kept a call or transaction from having its effect; the message says what to do."""


class ConnectionFailed(ChainError):
    """The RPC endpoint does not answer, or serves another chain than the deployment's."""


class InsufficientFunds(ChainError):
    """The account cannot pay for gas, or lacks settlement tokens."""


class NotMined(ChainError):
    """A transaction was sent and not mined in time; it may still be."""


class Reverted(ChainError):
    """A contract refused the call.

    Attributes:
        error: name of the custom error, or "Revert" for a plain reason, "Panic" for a failed assertion
        arguments: its arguments by name

    """

    def __init__(self, message: str, error: str, arguments: dict[str, Any]) -> None:
        """Take the sentence, the error's name and its arguments."""
        super().__init__(message)
        self.error = error
        self.arguments = arguments


def _types(inputs: list[dict[str, Any]]) -> list[str]:
    def collapse(entry: dict[str, Any]) -> str:
        kind: str = entry["type"]
        if kind.startswith("tuple"):
            return "(" + ",".join(collapse(part) for part in entry["components"]) + ")" + kind.removeprefix("tuple")
        return kind

    return [collapse(entry) for entry in inputs]


@cache
def _selectors() -> dict[bytes, dict[str, Any]]:
    from lockstep.chain.artifacts import abi, available

    return {
        bytes(function_abi_to_4byte_selector({**entry, "type": "function"})): entry  # type: ignore[arg-type]
        for name in available()
        for entry in abi(name)
        if entry["type"] == "error"
    }


def decode_revert(data: bytes, doing: str) -> Reverted:
    """Exception for revert data: the custom error's name, its arguments, and a sentence.

    ``doing`` says what was being done ("commit the work of task 3"). Unknown data is shown as hex.
    """
    selector, body = data[:4], data[4:]
    if selector == bytes.fromhex("08c379a0"):
        reason = decode(["string"], body)[0]
        return Reverted(f"Could not {doing}: {reason}.", "Revert", {"reason": reason})
    if selector == bytes.fromhex("4e487b71"):
        code = decode(["uint256"], body)[0]
        return Reverted(
            f"Could not {doing}: the contract failed an assertion (panic {code:#x}).", "Panic", {"code": code}
        )
    entry = _selectors().get(selector)
    if entry is None:
        shown = data.hex() or "no reason given"
        return Reverted(f"Could not {doing}: the contract refused ({shown}).", "Unknown", {"data": data})
    values = decode(_types(entry["inputs"]), body)
    arguments = {field["name"]: value for field, value in zip(entry["inputs"], values, strict=True)}
    return Reverted(f"Could not {doing}: {hints.sentence(entry['name'], arguments)}", entry["name"], arguments)
