"""Merkle trees as in RFC 6962 / RFC 9162 over SHA-256, with subtree reveals and range proofs.

Leaf hash ``H(0x00 || data)``, inner hash ``H(0x01 || left || right)``; the left subtree of n
leaves has the largest power of two below n. Every aligned block of 64 leaves is a subtree, so a
tree opens level by level in lists of at most 64 hashes. Twin of ``contracts/commitments/Merkle.sol``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

WIDTH = 64
"""Children a reveal shows at most."""
WIDTH_BITS = 6


def hash_leaf(data: bytes | memoryview) -> bytes:
    """``H(0x00 || data)``, 32 bytes."""
    return hashlib.sha256(b"\x00" + data).digest()


def hash_inner(left: bytes, right: bytes) -> bytes:
    """``H(0x01 || left || right)``, 32 bytes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def split_point(size: int) -> int:
    """Largest power of two strictly below ``size`` (>= 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def next_level(hashes: Sequence[bytes]) -> list[bytes]:
    """Hashes one binary level up: neighbours joined, an odd last one carried."""
    joined = [hashlib.sha256(b"\x01" + hashes[i] + hashes[i + 1]).digest() for i in range(0, len(hashes) - 1, 2)]
    if len(hashes) % 2:
        joined.append(hashes[-1])
    return joined


def fold(hashes: Sequence[bytes]) -> bytes:
    """Root of the tree whose leaf (or aligned subtree) hashes these are; at least one."""
    if not hashes:
        raise ValueError("A tree needs at least one leaf.")
    level = list(hashes)
    while len(level) > 1:
        level = next_level(level)
    return level[0]


def merkle_root(leaves: Sequence[bytes | memoryview]) -> bytes:
    """Root of the tree over leaf data; at least one leaf."""
    return fold([hash_leaf(leaf) for leaf in leaves])


def height(size: int) -> int:
    """Number of 64-ary levels below the root of a tree of ``size`` leaves; 1 for up to 64."""
    levels = 1
    while size > WIDTH:
        size = -(-size // WIDTH)
        levels += 1
    return levels


def level_count(size: int, level: int) -> int:
    """Number of aligned subtrees of 64**level leaves in a tree of ``size`` leaves."""
    return -(-size // (1 << (WIDTH_BITS * level)))


class Tree:
    """A tree kept with its 64-ary levels: level 0 are leaf hashes, the last level has at most 64.

    Memory: 32 bytes a leaf and 1/64 of that above.
    """

    def __init__(self, leaf_hashes: Sequence[bytes]) -> None:
        """Take the leaf hashes (32 bytes each, at least one) and fold the levels above."""
        if not leaf_hashes:
            raise ValueError("A tree needs at least one leaf.")
        self.levels: list[list[bytes]] = [list(leaf_hashes)]
        while len(self.levels[-1]) > WIDTH:
            below = self.levels[-1]
            self.levels.append([fold(below[i : i + WIDTH]) for i in range(0, len(below), WIDTH)])
        self.root = fold(self.levels[-1])

    @property
    def size(self) -> int:
        """Number of leaves."""
        return len(self.levels[0])

    def children(self, level: int, index: int) -> list[bytes]:
        """The reveal of subtree ``index`` at ``level``: the at most 64 hashes one level down.

        ``level`` counts from the leaves: the root is at ``height(size)``, index 0.
        """
        below = self.levels[level - 1]
        return below[index * WIDTH : (index + 1) * WIDTH]

    def inclusion_proof(self, index: int) -> list[bytes]:
        """As the function of that name gives for the leaves, from the at most 64 hashes a level on the way up."""
        if not 0 <= index < self.size:
            raise ValueError(f"No leaf {index} in a tree of {self.size}.")
        proof: list[bytes] = []
        for level in range(len(self.levels)):
            index, place = divmod(index, WIDTH)
            proof += inclusion_proof(self.children(level + 1, index), place)
        return proof

    def prove(self, start: int, stop: int | None = None) -> list[bytes]:
        """Range proof of leaves ``[start, stop)`` (one leaf by default); see ``root_from_range``."""
        return prove_range(self.levels[0], start, start + 1 if stop is None else stop)


def prove_range(hashes: Sequence[bytes], start: int, stop: int) -> list[bytes]:
    """Hashes of the maximal subtrees outside ``[start, stop)``, in order from left to right."""
    if not 0 <= start < stop <= len(hashes):
        raise ValueError(f"No leaves [{start}, {stop}) in a tree of {len(hashes)}.")
    proof: list[bytes] = []

    def walk(lo: int, size: int) -> None:
        if lo >= stop or lo + size <= start:
            proof.append(fold(hashes[lo : lo + size]))
        elif size > 1:
            left = split_point(size)
            walk(lo, left)
            walk(lo + left, size - left)

    walk(0, len(hashes))
    return proof


def root_from_range(size: int, start: int, leaf_hashes: Sequence[bytes], proof: Sequence[bytes]) -> bytes:
    """Root that ``leaf_hashes`` at ``[start, start + len)`` and ``proof`` fold to.

    The proof lists, from left to right, the hashes of the maximal subtrees that hold none of the
    range; for one leaf these are the RFC 9162 inclusion proof's hashes in another order. A proof
    of wrong length or an empty or outlying range raises ``ValueError``.
    """
    stop = start + len(leaf_hashes)
    if not 0 <= start < stop <= size:
        raise ValueError(f"No leaves [{start}, {stop}) in a tree of {size}.")
    used = 0

    def walk(lo: int, count: int) -> bytes:
        nonlocal used
        if lo >= stop or lo + count <= start:
            if used == len(proof):
                raise ValueError("The proof is too short.")
            used += 1
            return proof[used - 1]
        if count == 1:
            return leaf_hashes[lo - start]
        left = split_point(count)
        left_hash = walk(lo, left)
        return hash_inner(left_hash, walk(lo + left, count - left))

    root = walk(0, size)
    if used != len(proof):
        raise ValueError("The proof is too long.")
    return root


def inclusion_from_range(
    size: int, start: int, leaf_hashes: Sequence[bytes], proof: Sequence[bytes], index: int
) -> list[bytes]:
    """Inclusion proof of leaf ``index`` of a range, sibling hashes from the leaf up, from the range's own proof.

    ``ValueError`` as ``root_from_range``, or where the leaf is not in the range.
    """
    root_from_range(size, start, leaf_hashes, proof)
    stop, others, path = start + len(leaf_hashes), iter(proof), list[bytes]()
    if not start <= index < stop:
        raise ValueError(f"Leaf {index} is not in [{start}, {stop}).")

    def walk(lo: int, count: int) -> bytes:
        if lo >= stop or lo + count <= start:
            return next(others)
        if count == 1:
            return leaf_hashes[lo - start]
        left = split_point(count)
        hashes = walk(lo, left), walk(lo + left, count - left)
        if lo <= index < lo + count:
            path.append(hashes[1] if index < lo + left else hashes[0])
        return hash_inner(*hashes)

    walk(0, size)
    return path


def inclusion_proof(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """RFC 9162, 2.1.3.1: sibling hashes of leaf ``index`` from the leaf up."""
    if not 0 <= index < len(hashes):
        raise ValueError(f"No leaf {index} in a tree of {len(hashes)}.")
    proof: list[bytes] = []
    level = list(hashes)
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            proof.append(level[sibling])
        level = next_level(level)
        index >>= 1
    return proof


def root_from_inclusion(size: int, index: int, leaf_hash: bytes, proof: Sequence[bytes]) -> bytes:
    """RFC 9162, 2.1.3.2: root that a leaf hash and its inclusion proof give.

    ``ValueError`` where index or proof length do not fit the size.
    """
    if not 0 <= index < size:
        raise ValueError(f"No leaf {index} in a tree of {size}.")
    node, last, used = leaf_hash, size - 1, 0
    while last:
        if index & 1 or index < last:
            if used == len(proof):
                raise ValueError("The proof is too short.")
            sibling = proof[used]
            used += 1
            node = hash_inner(sibling, node) if index & 1 else hash_inner(node, sibling)
        index >>= 1
        last >>= 1
    if used != len(proof):
        raise ValueError("The proof is too long.")
    return node
