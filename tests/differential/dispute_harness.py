"""The dispute contracts as a game from Python: the same calls as ``lockstep.dispute.game.Game``, made on a local node.

Market, court and vault are stubs (``tests/contracts/dispute/Stubs.sol``); game, proofs and executor are the real ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from eth_abi.abi import decode, encode
from eth_utils.abi import function_abi_to_4byte_selector, get_abi_input_types
from eth_utils.address import to_checksum_address

from lockstep.chain.anvil import Anvil, AnvilError
from lockstep.chain.deployment import Deployment
from lockstep.chain.errors import decode_revert
from lockstep.chain.types import ClaimRef, Dispute, Slot, SlotState, TaskState, TaskTerms
from lockstep.dispute.claims import body_hash
from lockstep.dispute.game import Claim, Rules
from lockstep.dispute.moves import Move
from lockstep.dispute.one_shot import OneShot
from tests.differential.harness import ROOT

SOURCES = ("contracts/dispute", "tests/contracts/dispute/Stubs.sol")
GAS = 16_000_000
TREASURY = to_checksum_address("0x" + "77" * 20)
BOND = 1001
_DISPUTE = (
    "(uint256,uint32,uint8,uint16,uint16,uint8,uint8,bool,uint8,uint8,uint8,uint8,uint32,uint32,uint32,"
    "address,uint40,uint32,address,uint32,bytes32,bytes32,bytes32,bytes32)"
)


def compile_contracts() -> Path:
    """Compile the game and the stubs with forge and return the folder of their artifacts."""
    built = subprocess.run(
        [ROOT / "scripts" / "forge", "build", *SOURCES], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if built.returncode:
        raise RuntimeError(f"forge could not compile the game:\n{built.stdout}{built.stderr}")
    return ROOT / os.environ.get("FOUNDRY_OUT", "build/forge/out")


class DisputeHarness:
    """Compiled contracts, and the executor they end on; ``game`` deploys one for a task."""

    def __init__(self, node: Anvil, executor: str) -> None:
        """Compile everything; ``executor`` is the address of the executor that the games end on."""
        self.node, self.executor = node, executor
        out = compile_contracts()
        self.artifacts = {
            name: json.loads((out / f"{source}.sol" / f"{name}.json").read_text())
            for source, name in (
                ("DisputeGame", "DisputeGame"),
                ("DisputeProofs", "DisputeProofs"),
                ("Stubs", "StubCourt"),
                ("Stubs", "StubMarket"),
                ("Stubs", "StubVault"),
            )
        }
        self.node.rpc("anvil_autoImpersonateAccount", True)
        self._functions = {
            (name, entry["name"]): entry
            for name, found in self.artifacts.items()
            for entry in found["abi"]
            if entry["type"] == "function"
        }

    def data(self, name: str, function: str, *arguments: Any) -> str:
        """Calldata of a call."""
        entry = self._functions[name, function]
        return "0x" + (function_abi_to_4byte_selector(entry) + encode(get_abi_input_types(entry), arguments)).hex()

    def view(self, name: str, address: str, result: str, function: str, *arguments: Any) -> Any:
        """What a view returns, a value of ABI type ``result``."""
        answer = self.node.rpc("eth_call", {"to": address, "data": self.data(name, function, *arguments)}, "latest")
        return decode([result], bytes.fromhex(answer[2:]))[0]

    def send(self, sender: str, to: str | None, data: str) -> dict[str, Any]:
        """Receipt of a transaction, successful or not."""
        transaction = {"from": sender, "data": data, "gas": hex(GAS)}
        if to is not None:
            transaction["to"] = to
        digest = self.node.rpc("eth_sendTransaction", transaction)
        deadline = time.monotonic() + 20
        while (receipt := self.node.rpc("eth_getTransactionReceipt", digest)) is None:
            assert time.monotonic() < deadline, "A transaction was not mined."
            time.sleep(0.002)
        return dict(receipt)

    def deploy(self, name: str, types: list[str] | None = None, values: list[Any] | None = None) -> str:
        """Address of a new contract."""
        code = self.artifacts[name]["bytecode"]["object"] + (encode(types, values).hex() if types and values else "")
        receipt = self.send(self.node.accounts[0].address, None, code)
        assert receipt["status"] == "0x1", f"{name} was not deployed"
        return str(receipt["contractAddress"])


class ChainGame:
    """Disputes about one task's claims, on chain."""

    def __init__(
        self,
        harness: DisputeHarness,
        terms: TaskTerms,
        beacon_value: bytes,
        rules: Rules,
        start: int,
    ) -> None:
        self.court = harness.deploy("StubCourt")
        self.market = harness.deploy("StubMarket")
        self.vault = harness.deploy("StubVault")
        parameters = (BOND, rules.clock, rules.increment, rules.work_rate)
        types = ["address"] * 5 + ["(uint96,uint32,uint32,uint64)"]
        proofs = harness.deploy(
            "DisputeProofs", types, [self.court, self.market, self.vault, harness.executor, TREASURY, parameters]
        )
        self.game = harness.deploy(
            "DisputeGame", types, [self.court, self.market, self.vault, proofs, TREASURY, parameters]
        )
        self._prepare(harness, terms, beacon_value)
        self.at(start)

    def _prepare(self, harness: DisputeHarness, terms: TaskTerms, beacon_value: bytes) -> None:
        """Tell the stubs of the task, whose audited segments can be disputed from now on."""
        self.harness, self.terms = harness, terms
        slot = Slot(
            state=SlotState.DRAWN,
            round=0,
            misses=0,
            verifier="0x" + "00" * 20,
            claim_deadline=0,
            claims=0,
            open_disputes=0,
            standing=0,
            beacon_value=beacon_value,
            held=False,
        )
        self._set("StubCourt", self.court, "setSlot", slot.abi())
        self._set("StubCourt", self.court, "setWindow", 0, 2**63)
        self._set("StubMarket", self.market, "setTerms", terms.abi())
        self._set("StubMarket", self.market, "setState", int(TaskState.AUDITING))
        self.bodies: dict[ClaimRef, tuple[Any, ...]] = {}
        self.gas: list[tuple[str, int]] = []

    def _set(self, name: str, address: str, function: str, *arguments: Any) -> None:
        data = self.harness.data(name, function, *arguments)
        assert self.harness.send(self.harness.node.accounts[0].address, address, data)["status"] == "0x1"

    def at(self, now: int) -> None:
        """Let the next block have this time, if it can."""
        self.harness.node.rpc("evm_setNextBlockTimestamp", now)

    def add_claim(self, claim: Claim) -> None:
        """Let a claim be known."""
        self.bodies[claim.ref] = claim.body.abi()
        zero = "0x" + "00" * 20
        record = (body_hash(claim.body), claim.body.end_root, claim.claimant, 0, False, False, False, False, 0, zero)
        self._set("StubCourt", self.court, "setClaim", claim.ref.abi(), record)

    def call(self, sender: str, function: str, *arguments: Any) -> bool:
        """Whether a call to the game went through."""
        self.harness.node.set_balance(sender, 10**24)
        receipt = self.harness.send(
            to_checksum_address(sender), self.game, self.harness.data("DisputeGame", function, *arguments)
        )
        done = bool(receipt["status"] == "0x1")
        if done:
            self.gas.append((function, int(receipt["gasUsed"], 16)))
        return done

    def open(self, ref: ClaimRef, challenger: ClaimRef, sender: str, digest_step: int | None = None) -> bool:
        """Open a dispute."""
        arguments = (self.terms.abi(), ref.abi(), challenger.index, self.bodies[ref])
        return self.call(sender, "open", *arguments, digest_step is not None, digest_step or 0)

    def move(self, number: int, move: Move, sender: str) -> bool:
        """Make a move."""
        body = self.bodies[self._defender(number)]
        function, arguments = move.call(number, self.terms.abi(), body)
        return self.call(sender, function, *arguments)

    def ask_one_shot(self, proof: OneShot, ref: ClaimRef, challenger: ClaimRef, sender: str) -> None:
        """Call ``oneShot`` with a transaction's gas, without sending it; ``Reverted`` where it is refused."""
        function, arguments = proof.call(self.terms.abi(), ref.abi(), challenger.index, self.bodies[ref])
        data = self.harness.data("DisputeGame", function, *arguments)
        try:
            self.harness.node.rpc(
                "eth_call", {"from": sender, "to": self.game, "data": data, "gas": hex(GAS)}, "latest"
            )
        except AnvilError as error:
            raise decode_revert(bytes.fromhex(error.data.removeprefix("0x")), "convict a claim") from error

    def one_shot(self, proof: OneShot, ref: ClaimRef, challenger: ClaimRef, sender: str) -> bool:
        """Convict a claim by its own trace."""
        function, arguments = proof.call(self.terms.abi(), ref.abi(), challenger.index, self.bodies[ref])
        return self.call(sender, function, *arguments)

    def _defender(self, number: int) -> ClaimRef:
        dispute = self.dispute(number)
        return ClaimRef(dispute.task, dispute.segment, dispute.round, dispute.defender_index)

    def dispute(self, number: int) -> Dispute:
        """A dispute as it stands."""
        return Dispute.from_abi(self.harness.view("DisputeGame", self.game, _DISPUTE, "disputeOf", number))

    def deadline(self, number: int) -> int:
        """Last second in which the side to move may move."""
        return int(self.harness.view("DisputeGame", self.game, "uint64", "deadlineOf", number))

    def convictions(self) -> int:
        """How often the court was told to convict."""
        return int(self.harness.view("StubCourt", self.court, "uint256", "convictions"))

    def released(self, account: str) -> int:
        """Bonds given back to an account."""
        return int(self.harness.view("StubVault", self.vault, "uint256", "released", to_checksum_address(account)))

    def paid(self, account: str) -> int:
        """What an account got of others' bonds."""
        return int(self.harness.view("StubVault", self.vault, "uint256", "paid", to_checksum_address(account)))


class DeployedGame(ChainGame):
    """Game, proofs and executor as ``lockstep deploy`` puts them on a chain, bytecode of the package and all.

    Only whom they ask is replaced: stubs stand at the addresses of market, court and vault.
    """

    def __init__(self, harness: DisputeHarness, deployment: Deployment, terms: TaskTerms, beacon_value: bytes) -> None:
        at = deployment.addresses
        self.court, self.market, self.vault = at["AuditCourt"], at["TaskMarket"], at["StakeVault"]
        self.game = at["DisputeGame"]
        for name, address in (("StubCourt", self.court), ("StubMarket", self.market), ("StubVault", self.vault)):
            harness.node.rpc("anvil_setCode", address, harness.artifacts[name]["deployedBytecode"]["object"])
        self._prepare(harness, terms, beacon_value)
