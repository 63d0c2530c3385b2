"""Where a deployment's contracts are, and how they get there.

The contracts know each other by constructor arguments and have no setters, so those that form a circle are built at
addresses computed beforehand (docs/PROTOCOL.md, Deployment).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_utils.address import is_address, to_checksum_address
from rlp import encode as rlp_encode
from web3 import Web3

from lockstep.chain.client import Client
from lockstep.chain.errors import ChainError
from lockstep.chain.parameters import DemandParameters, DisputeParameters, Parameters, Profile, RevealParameters

FORMAT = "lockstep/deployment/1"
FAMILIES = (
    "FloatOps",
    "TranscendentalOps",
    "IntegerOps",
    "ContractionOps",
    "RowOps",
    "MovementOps",
    "GeneratorOps",
    "LongRows",
)
"""What ``OpExecutor`` forwards to, in the order of its constructor's ``OpFamilies``."""
LIBRARIES = ("Judgement", "CallUps", "ClaimReader", "Registration", "SegmentData", "SolverDraws")
"""The court's code beside it, and the market's."""
CIRCLE = (
    "StakeVault",
    "TaskMarket",
    "AuditCourt",
    "StartChecker",
    "JackpotTreasury",
    "DisputeProofs",
    "DisputeGame",
    "RandomBeacon",
    "ReputationLedger",
    "UsefulWorkDraw",
    "DataDemands",
)
"""Contracts that name each other, in order of deployment."""
NAMES = (
    "FaucetToken",
    *FAMILIES,
    "OpExecutor",
    "ProgramChecker",
    "ProgramFaults",
    *CIRCLE,
)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment: contract name -> address, the block it began after (number and hash), its numbers."""

    chain_id: int
    block: int
    origin: str
    addresses: dict[str, str]
    profile: Profile

    @property
    def identity(self) -> str:
        """A short name that no other deployment has, not even the same one on a local chain that was restarted."""
        text = f"{self.chain_id}:{self.addresses['TaskMarket'].lower()}:{self.block}:{self.origin}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def save(self, file: Path) -> None:
        """Write to a JSON file, whole or not at all."""
        document = {
            "format": FORMAT,
            "chain_id": self.chain_id,
            "block": self.block,
            "origin": self.origin,
            "addresses": self.addresses,
            "parameters": self.profile.parameters.to_dict(),
            "disputes": self.profile.disputes.to_dict(),
            "reveals": self.profile.reveals.to_dict(),
            "demands": self.profile.demands.to_dict(),
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f"{file.name}.{os.getpid()}")
        partial.write_text(json.dumps(document, indent=1) + "\n")
        partial.replace(file)

    @classmethod
    def load(cls, file: Path) -> Deployment:
        """Read from a JSON file; ``ChainError`` says what is wrong with it."""
        try:
            document = json.loads(file.read_text())
        except FileNotFoundError:
            raise ChainError(
                f"There is no deployment file {file}. Deploy with `lockstep deploy`, or pass --deployment."
            ) from None
        except (OSError, ValueError) as error:
            raise ChainError(f"The deployment file {file} cannot be read: {error}.") from None
        try:
            if document["format"] != FORMAT:
                raise ChainError(f"The deployment file {file} is not of format {FORMAT}.")
            addresses = {str(name): str(address) for name, address in document["addresses"].items()}
            missing = [name for name in NAMES if not is_address(addresses.get(name, ""))]
            if missing:
                raise ChainError(f"The deployment file {file} has no valid address for {', '.join(missing)}.")
            profile = Profile(
                Parameters.from_dict(document["parameters"]),
                DisputeParameters.from_dict(document["disputes"]),
                RevealParameters.from_dict(document["reveals"]),
                DemandParameters.from_dict(document["demands"]),
            )
            chain_id, block, origin = int(document["chain_id"]), int(document["block"]), str(document["origin"])
            return cls(chain_id, block, origin, addresses, profile)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ChainError(f"The deployment file {file} is incomplete ({error}).") from None


def created_address(deployer: str, nonce: int) -> str:
    """Address of the contract that ``deployer``'s transaction ``nonce`` creates: last 20 bytes of keccak(rlp)."""
    return str(to_checksum_address(Web3.keccak(rlp_encode([bytes.fromhex(deployer[2:]), nonce]))[12:].hex()))


def deploy(
    client: Client, profile: Profile, token: str | None = None, progress: Callable[[int, int, str], None] | None = None
) -> Deployment:
    """Deploy everything from the client's account; a faucet token too unless ``token`` names one.

    Interrupted, it leaves contracts nobody refers to and no deployment file; run it again.
    """
    block = client.block_number()
    addresses: dict[str, str] = {}

    def put(name: str, *arguments: Any) -> str:
        if progress is not None:
            progress(len(addresses), len(NAMES), name)
        contract, _ = client.deploy(name, arguments, addresses)
        addresses[name] = str(contract.address)
        return addresses[name]

    numbers, disputes = profile.parameters.abi(), profile.disputes.abi()
    if token is None:
        put("FaucetToken")
    else:
        addresses["FaucetToken"] = str(to_checksum_address(token))
    executor = put("OpExecutor", tuple(put(name) for name in FAMILIES))
    faults = put("ProgramFaults", put("ProgramChecker"))
    for library in LIBRARIES:
        put(library)

    nonce = client.nonce()
    vault, market, court, starts, treasury, proofs, game, beacon, ledger, lots, demands = (
        created_address(client.address, nonce + place) for place in range(len(CIRCLE))
    )
    put(
        "StakeVault",
        addresses["FaucetToken"],
        market,
        court,
        game,
        beacon,
        demands,
        profile.parameters.withdrawal_delay,
        profile.parameters.weight_unit,
    )
    put("TaskMarket", (vault, court, beacon, faults, ledger, treasury), numbers)
    put("AuditCourt", (vault, market, beacon, treasury, starts, game, demands), numbers)
    put("StartChecker", market, court)
    put("JackpotTreasury", vault, court, lots)
    put("DisputeProofs", court, market, vault, executor, treasury, disputes)
    put("DisputeGame", court, market, vault, proofs, treasury, disputes)
    put("RandomBeacon", vault, market, court, treasury, profile.parameters.beacon_delay, profile.reveals.abi())
    put("ReputationLedger", market, court)
    put("UsefulWorkDraw", market, court, beacon, treasury)
    put("DataDemands", vault, market, court, treasury, profile.demands.abi())
    circle = (vault, market, court, starts, treasury, proofs, game, beacon, ledger, lots, demands)
    expected = dict(zip(CIRCLE, circle, strict=True))
    if any(addresses[name] != address for name, address in expected.items()):
        raise ChainError(
            "Another transaction of this account came between; nothing was kept. "
            "Deploy again with an account of its own."
        )
    if progress is not None:
        progress(len(NAMES), len(NAMES), "done")
    return Deployment(client.chain_id, block, client.block_hash(block), addresses, profile)
