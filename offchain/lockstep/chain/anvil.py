"""A local Ethereum node, for the demo and for tests.

Anvil runs with the rules that matter here and that it leaves off by default: the osaka hard fork and its limit of
16,777,216 gas a transaction. It listens on a free port of this machine only and ends with the ``with`` block:

    with Anvil() as node:
        Web3(HTTPProvider(node.url))
        node.advance_time(3600)
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from eth_utils.address import to_checksum_address

MINIMUM_VERSION = (1, 5, 0)
"""The first release of Foundry that knows the osaka rules."""

_REPOSITORY = Path(__file__).resolve().parents[3]
_START_SECONDS = 30.0
_REQUEST_SECONDS = 120.0
_STATES = 256
"""How many blocks back a call may look; a client reads at the newest block, or a few before it."""


class AnvilError(RuntimeError):
    """Raised when anvil is missing, does not start, or refuses a request.

    Attributes:
        data: what it gave beside its message: of a call that reverted the revert data, in hex

    """

    def __init__(self, message: str, data: str = "") -> None:
        """Take the sentence, and the data that came with it."""
        super().__init__(message)
        self.data = data


@dataclass(frozen=True)
class FundedAccount:
    """An account that anvil funds at its start.

    Attributes:
        address: checksummed address
        key: private key, 0x and 64 hex digits; publicly known, worthless on any other chain

    """

    address: str
    key: str


def find_anvil() -> Path:
    """Return the anvil to run: the one on PATH when it is recent enough, else the one in node_modules.

    Raises:
        AnvilError: when there is neither

    """
    on_path = shutil.which("anvil")
    for candidate in (Path(on_path) if on_path else None, _REPOSITORY / "node_modules" / ".bin" / "anvil"):
        if candidate is not None and candidate.exists() and _version(candidate) >= MINIMUM_VERSION:
            return candidate
    wanted = ".".join(map(str, MINIMUM_VERSION))
    raise AnvilError(
        f"No anvil of version {wanted} or later was found. Run scripts/setup in a checkout of Lockstep, "
        "or install Foundry (https://getfoundry.sh) so that anvil is on PATH."
    )


def _version(binary: Path) -> tuple[int, ...]:
    try:
        answer = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    match = re.search(r"[Vv]ersion: *(\d+)\.(\d+)\.(\d+)", answer)
    return tuple(map(int, match.groups())) if match else ()


class Anvil:
    """A running anvil; use it as a context manager, or call ``close``.

    Attributes:
        url: HTTP address of its JSON-RPC
        chain_id: the chain's id
        accounts: the funded accounts, in order

    """

    url: str
    chain_id: int
    accounts: tuple[FundedAccount, ...]

    def __init__(
        self,
        *,
        chain_id: int = 31337,
        accounts: int = 20,
        balance_ether: int = 10_000,
        block_gas_limit: int = 60_000_000,
        block_seconds: int | None = None,
        options: Sequence[str] = (),
    ) -> None:
        """Start anvil and wait until it answers.

        Args:
            chain_id: the chain's id
            accounts: how many funded accounts
            balance_ether: what each of them holds, in ether
            block_gas_limit: gas a block
            block_seconds: seconds between blocks; None mines a block for each transaction
            options: further command line options for anvil

        Raises:
            AnvilError: when it is missing or does not start

        """
        self.chain_id = chain_id
        self._folder = tempfile.TemporaryDirectory(prefix="lockstep-anvil-")
        self._log = Path(self._folder.name) / "log"
        config = Path(self._folder.name) / "config.json"
        command = [
            str(find_anvil()),
            *("--host", "127.0.0.1"),
            *("--port", "0"),  # the system picks a free one
            *("--hardfork", "osaka"),
            "--enable-tx-gas-limit",
            *("--chain-id", str(chain_id)),
            *("--accounts", str(accounts)),
            *("--balance", str(balance_ether)),
            *("--gas-limit", str(block_gas_limit)),
            *("--config-out", str(config)),
            # Of older blocks it would keep each state as a file in the user's home, a megabyte or more, for good.
            *("--prune-history", str(_STATES)),
            *(("--block-time", str(block_seconds)) if block_seconds is not None else ()),
            *options,
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        try:
            self.url = f"http://{self._wait_until_listening()}"
            known = json.loads(config.read_text())
            addresses = map(to_checksum_address, known["available_accounts"])
            self.accounts = tuple(map(FundedAccount, addresses, known["private_keys"]))
        except BaseException:
            self.close()
            raise

    def _wait_until_listening(self) -> str:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            log = self._log.read_text(errors="replace")
            if match := re.search(r"Listening on (\S+)", log):
                return match.group(1)
            if self._process.poll() is not None:
                raise AnvilError(f"anvil ended at once. It said:\n{log.strip()}")
            time.sleep(0.01)
        raise AnvilError(f"anvil did not listen within {_START_SECONDS:.0f} seconds. It said:\n{log.strip()}")

    def rpc(self, method: str, *parameters: Any) -> Any:
        """Call one JSON-RPC method and return its result.

        Raises:
            AnvilError: when anvil answers with an error or does not answer

        """
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=_REQUEST_SECONDS) as response:
                answer = json.load(response)
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            raise AnvilError(f"anvil at {self.url} does not answer {method}: {error}") from error
        if "error" in answer:
            refused = answer["error"]
            raise AnvilError(f"anvil refused {method}: {refused['message']}", str(refused.get("data", "")))
        return answer["result"]

    def now(self) -> int:
        """Return the latest block's time, in seconds since 1970."""
        return int(self.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def advance_time(self, seconds: int) -> None:
        """Move the chain's clock forward and mine a block there.

        Args:
            seconds: at least 1

        """
        if seconds < 1:
            raise ValueError(f"time moves forward only: {seconds} seconds")
        self.rpc("evm_increaseTime", seconds)
        self.rpc("evm_mine")

    def mine(self, blocks: int = 1) -> None:
        """Mine empty blocks."""
        self.rpc("anvil_mine", hex(blocks))

    def snapshot(self) -> str:
        """Remember the chain's state; ``restore`` returns to it."""
        return str(self.rpc("evm_snapshot"))

    def restore(self, snapshot: str) -> None:
        """Return to a remembered state; the snapshot, and every later one, is used up."""
        if not self.rpc("evm_revert", snapshot):
            raise AnvilError(f"anvil knows no snapshot {snapshot}; each can be restored once.")

    def set_balance(self, address: str, wei: int) -> None:
        """Set what an account holds, in wei."""
        self.rpc("anvil_setBalance", address, hex(wei))

    def close(self) -> None:
        """End anvil. Calling it again does nothing."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
