"""Forced errors: what a verifier's secret tells it, the trees of secrets, and what claims say about them.

A secret (32 bytes, one a task and verifier) with the draw's beacon value and the assignment tells a drawn verifier, and
nobody else, whether to make one entry of its replay digest wrong, and which. Hashes are keccak256 of Solidity's ABI
encoding. Twin of ``contracts/audit/ForcedErrors.sol``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from math import isqrt

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from lockstep.chain.types import ClaimBody
from lockstep.dispute.digest import ENTRY_BYTES

HEIGHT = 14
"""Height of a tree of secrets: one serves for 2^14 tasks in a row."""
WHOLE_BPS = 10_000


class SecretTree:
    """A tree of 2^14 secrets, made from a seed of 32 bytes; the leaf of a task is its id modulo the leaves."""

    def __init__(self, seed: bytes) -> None:
        if len(seed) != 32:
            raise ValueError(f"A seed has 32 bytes, not {len(seed)}.")
        self.seed = seed

    def secret(self, task: int) -> bytes:
        """A task's secret, 32 bytes."""
        return hashlib.sha256(b"lockstep secret" + self.seed + (task % 2**HEIGHT).to_bytes(4, "big")).digest()

    @cached_property
    def _levels(self) -> list[list[bytes]]:
        levels = [[keccak(self.secret(leaf)) for leaf in range(2**HEIGHT)]]
        while len(levels[-1]) > 1:
            below = levels[-1]
            levels.append([keccak(below[i] + below[i + 1]) for i in range(0, len(below), 2)])
        return levels

    @property
    def root(self) -> bytes:
        """What the verifier commits to, 32 bytes."""
        return self._levels[-1][0]

    def proof(self, task: int) -> list[bytes]:
        """The siblings of a task's leaf, from the leaf up."""
        leaf = task % 2**HEIGHT
        return [level[(leaf >> height) ^ 1] for height, level in enumerate(self._levels[:-1])]


def told(secret: bytes, beacon_value: bytes, assignment: bytes, steps: int, forced_bps: int) -> tuple[bool, int]:
    """Whether to err in an assignment of ``steps`` steps, and in which entry (where one would be wrong if any were)."""
    types = ["uint256", "bytes32", "bytes32", "bytes32"]
    random = int.from_bytes(keccak(encode(types, [1, secret, beacon_value, assignment])), "big")
    low, high = random & (2**128 - 1), random >> 128
    return low * WHOLE_BPS < forced_bps << 128, isqrt(high * steps * steps >> 128)


def forced_entry(secret: bytes, assignment: bytes) -> bytes:
    """What a told verifier posts in place of its entry, 8 bytes."""
    return keccak(encode(["uint256", "bytes32", "bytes32"], [2, secret, assignment]))[:ENTRY_BYTES]


def commitment_of(secret: bytes, assignment: bytes, entry: bytes) -> bytes:
    """What a drawn verifier's claim carries, 32 bytes: it binds the entry that the state has."""
    return keccak(encode(["uint256", "bytes32", "bytes32", "bytes8"], [3, secret, assignment, entry]))


def replace_entry(digest: bytes, step: int, entry: bytes) -> bytes:
    """A digest with another entry ``step``."""
    return digest[: ENTRY_BYTES * step] + entry + digest[ENTRY_BYTES * (step + 1) :]


def naming(step: int) -> bytes:
    """What a blind claim carries that names entry ``step`` of the drawn verifier's digest as wrong, 32 bytes."""
    return (step + 1).to_bytes(32, "big")


def opening(
    place: tuple[int, int], tree: tuple[int, SecretTree], task: int, entry: bytes, body: Sequence[ClaimBody]
) -> tuple[object, ...]:
    """``Opening`` in ABI order, for (segment, round), (number, tree), the right entry; a body where one was forced."""
    number, secrets = tree
    return (*place, number, secrets.secret(task), secrets.proof(task), entry, [each.abi() for each in body])
