"""Replay digests: proof that a claimant held the state after every step of a segment.

For each step s (from 0 in the segment) an entry of 8 bytes::

    entry    = first 8 of H(0x03 || claimant || assignment || s u32 || chunk 0 || chunk 1)
    position = uint256(H(0x05 || beacon value || claimant || s u32 || n u8)) mod state chunks

Chunk n of an entry is the 1 KiB chunk with that number in the non-frozen state after step s, counted over the state
entries in order. Twin of ``contracts/dispute/DigestProver.sol``.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from lockstep.commitments import merkle
from lockstep.commitments.tensor import CHUNK_BYTES, chunk_count, commit_roots
from lockstep.dispute.claims import assignment_id
from lockstep.dispute.leaf_proof import prove_root_in_state
from lockstep.engine.checkpoint import tensor_roots
from lockstep.engine.hashing import commit
from lockstep.engine.routes import to_numpy
from lockstep.numerics.dtypes import ITEMSIZE, DType
from lockstep.program.encoding import ProgramCommitment
from lockstep.program.graph import StateEntry

ENTRY_BYTES = 8
CHUNKS_PER_ENTRY = 2


def address_bytes(address: str | bytes) -> bytes:
    """An account's 20 bytes."""
    return address if isinstance(address, bytes) else bytes.fromhex(address.removeprefix("0x"))


@dataclass(frozen=True, slots=True)
class DigestKey:
    """What a digest is bound to: the draw's beacon value and assignment, and who claims."""

    beacon_value: bytes
    claimant: bytes
    assignment: bytes

    @classmethod
    def of(cls, beacon_value: bytes, claimant: str | bytes, task: int, segment: int, round_: int) -> DigestKey:
        """The key of a claimant in a draw round of a segment."""
        return cls(beacon_value, address_bytes(claimant), assignment_id(task, segment, round_))

    def position(self, step: int, n: int, state_chunks: int) -> int:
        """Which of the non-frozen state's chunks chunk ``n`` of entry ``step`` is."""
        data = b"\x05" + self.beacon_value + self.claimant + step.to_bytes(4, "big") + bytes([n])
        return int.from_bytes(hashlib.sha256(data).digest(), "big") % state_chunks

    def entry(self, step: int, chunks: Sequence[bytes]) -> bytes:
        """Entry ``step`` from its chunks, 8 bytes."""
        data = b"\x03" + self.claimant + self.assignment + step.to_bytes(4, "big") + b"".join(chunks)
        return hashlib.sha256(data).digest()[:ENTRY_BYTES]


class StateMap:
    """Where the chunks of a program's non-frozen state lie."""

    def __init__(self, entries: Sequence[StateEntry]) -> None:
        self._indices = [index for index, entry in enumerate(entries) if not entry.frozen]
        self._starts: list[int] = []
        self.chunks = 0
        for index in self._indices:
            self._starts.append(self.chunks)
            self.chunks += chunk_count(entries[index].dtype, entries[index].shape)
        if not self.chunks:
            raise ValueError("All of the program's state is frozen: no digest can be made of it.")

    def locate(self, position: int) -> tuple[int, int]:
        """(state entry, chunk of its tensor) of chunk number ``position``."""
        if not 0 <= position < self.chunks:
            raise ValueError(f"The state has {self.chunks} chunks; {position} is not one of them.")
        place = bisect_right(self._starts, position) - 1
        return self._indices[place], position - self._starts[place]


def chunk_of(tensor: Tensor, chunk: int) -> bytes:
    """Chunk ``chunk`` of an f32 or i32 tensor's committed bytes, without committing to the rest."""
    elements = CHUNK_BYTES // ITEMSIZE[DType.F32]
    part = tensor.detach().reshape(-1)[chunk * elements : (chunk + 1) * elements]
    return np.ascontiguousarray(to_numpy(part)).view(np.uint8).tobytes()


class ReplayDigest:
    """Collects a claimant's digest while it replays a segment; ``add`` fits a runner's step callback."""

    def __init__(self, key: DigestKey, entries: Sequence[StateEntry]) -> None:
        self.key = key
        self.map = StateMap(entries)
        self._entries: list[bytes] = []

    def places(self, step: int) -> list[tuple[int, int]]:
        """(state entry, chunk) of each chunk of entry ``step``."""
        return [self.map.locate(self.key.position(step, n, self.map.chunks)) for n in range(CHUNKS_PER_ENTRY)]

    def entry(self, step: int, state: Sequence[Tensor]) -> bytes:
        """Entry ``step`` from the state after that step, 8 bytes."""
        return self.key.entry(step, [chunk_of(state[index], chunk) for index, chunk in self.places(step)])

    def add(self, state: Sequence[Tensor]) -> None:
        """Append the next step's entry."""
        self._entries.append(self.entry(len(self._entries), state))

    @property
    def value(self) -> bytes:
        """The entries added so far, 8 bytes each."""
        return b"".join(self._entries)


def replay_digest(key: DigestKey, entries: Sequence[StateEntry], states: Sequence[Sequence[Tensor]]) -> bytes:
    """Digest of a segment from the state after each of its steps: 8 bytes a step."""
    digest = ReplayDigest(key, entries)
    for state in states:
        digest.add(state)
    return digest.value


def entry_at(digest: bytes, step: int) -> bytes:
    """Entry ``step`` of a digest, 8 bytes."""
    return digest[ENTRY_BYTES * step : ENTRY_BYTES * (step + 1)]


def first_wrong_entry(mine: bytes, claimed: bytes) -> int | None:
    """First step whose entry differs from the one this party computed under the claimant's key; None if none does."""
    steps = max(len(mine), len(claimed)) // ENTRY_BYTES
    return next((step for step in range(steps) if entry_at(mine, step) != entry_at(claimed, step)), None)


@dataclass(frozen=True, slots=True)
class DigestChunk:
    """One chunk of an entry with its way up to the state root; see ``IDisputeGame.DigestChunk``."""

    index: int
    entry: bytes
    entry_proof: tuple[bytes, ...]
    roots: bytes
    roots_proof: tuple[bytes, ...]
    chunk: bytes
    chunk_proof: tuple[bytes, ...]

    def abi(self) -> tuple[Any, ...]:
        """The values in ABI order."""
        return (
            self.index,
            self.entry,
            list(self.entry_proof),
            self.roots,
            list(self.roots_proof),
            self.chunk,
            list(self.chunk_proof),
        )


def prove_entry(
    digest: ReplayDigest, commitment: ProgramCommitment, step: int, state: Sequence[Tensor]
) -> tuple[DigestChunk, DigestChunk]:
    """Both chunks of entry ``step`` with their proofs, from the state after that step."""
    roots = commit_roots(tensor_roots(list(state)))
    proofs = []
    for index, chunk in digest.places(step):
        tensor = commit(state[index])
        held, held_proof = prove_root_in_state(roots, index)
        proofs.append(
            DigestChunk(
                index,
                commitment.state_bytes[index],
                tuple(merkle.inclusion_proof(commitment.state.levels[0], index)),
                held,
                held_proof,
                tensor.chunk(chunk),
                tuple(merkle.inclusion_proof(tensor.tree.levels[0], chunk)),
            )
        )
    first, second = proofs
    return first, second
