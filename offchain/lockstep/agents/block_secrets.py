"""A revealer's secrets: one for each block, from a seed, under a tree whose root is on chain.

Twin of ``RevealPanel.sol``: the leaf of block T is ``H(0x00 || account (20) || T (u64) || secret (32))``.
"""

from __future__ import annotations

import hashlib
from functools import cached_property

from lockstep.commitments.merkle import Tree, hash_leaf

SEED_BYTES = 32


class BlockSecrets:
    """Secrets of an account for ``count`` blocks from ``first`` on; all follow from ``seed`` (32 bytes)."""

    def __init__(self, seed: bytes, account: str, first: int, count: int) -> None:
        if len(seed) != SEED_BYTES:
            raise ValueError(f"A seed has {SEED_BYTES} bytes, not {len(seed)}.")
        self.first = first
        self.count = count
        self._seed = seed
        self._account = bytes.fromhex(account[2:])

    def secret(self, block: int) -> bytes:
        """The secret for a block, 32 bytes; nobody derives another from it."""
        return hashlib.sha256(self._seed + block.to_bytes(8, "big")).digest()

    @cached_property
    def _tree(self) -> Tree:
        return Tree([self._leaf(block) for block in range(self.first, self.first + self.count)])

    def _leaf(self, block: int) -> bytes:
        return hash_leaf(self._account + block.to_bytes(8, "big") + self.secret(block))

    @property
    def root(self) -> bytes:
        """Root of the tree, 32 bytes; the tree is made at its first use, some ten seconds for a million blocks."""
        return self._tree.root

    def proof(self, block: int) -> list[bytes]:
        """Inclusion proof of a block's leaf; ``ValueError`` for a block outside the tree."""
        return self._tree.inclusion_proof(block - self.first)
