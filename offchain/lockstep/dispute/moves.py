"""Moves: one dataclass a function of the dispute game, with its arguments ready for the call.

``call(id, terms, body)`` gives the function's name and arguments in ABI order; ``terms`` are the task's, ``body`` the
defender's claim body, as ABI tuples, used by the moves that need them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from lockstep.dispute.digest import DigestChunk
from lockstep.dispute.leaf_proof import LeafProof

Hashes = tuple[bytes, ...]
Tuple = tuple[Any, ...]
Call = tuple[str, Tuple]


@dataclass(frozen=True, slots=True)
class Move:
    """What a side does in its turn."""

    function: ClassVar[str]

    def call(self, number: int, terms: Tuple, body: Tuple) -> Call:
        """(function, arguments) of the contract call in dispute ``number``."""
        return self.function, (number, *self._arguments(terms, body))

    def _arguments(self, terms: Tuple, body: Tuple) -> Tuple:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class RevealStates(Move):
    """Defender: the state root after each step."""

    function: ClassVar[str] = "revealStates"
    roots: Hashes

    def _arguments(self, terms: Tuple, body: Tuple) -> Tuple:
        return (list(self.roots),)


@dataclass(frozen=True, slots=True)
class PickStep(Move):
    """Challenger: the first step whose end differs; the proof is of [previous, state] among the state roots."""

    function: ClassVar[str] = "pickStep"
    step: int
    previous: bytes
    state: bytes
    proof: Hashes

    def _arguments(self, terms: Tuple, body: Tuple) -> Tuple:
        return (self.step, self.previous, self.state, list(self.proof))


@dataclass(frozen=True, slots=True)
class RevealStep(Move):
    """Defender: the top level of the step's tree, and the proof of its last leaf."""

    function: ClassVar[str] = "revealStep"
    hashes: Hashes
    last_proof: Hashes

    def _arguments(self, terms: Tuple, body: Tuple) -> Tuple:
        return (list(self.hashes), list(self.last_proof))


@dataclass(frozen=True, slots=True)
class PickBlock(Move):
    """Challenger: the first block of the step's tree that differs."""

    function: ClassVar[str] = "pickBlock"
    index: int
    hash: bytes
    proof: Hashes

    def _arguments(self, terms: Tuple, body: Tuple) -> Tuple:
        return (self.index, self.hash, list(self.proof))


@dataclass(frozen=True, slots=True)
class RevealNodes(Move):
    """Defender (or anybody): the hashes of the picked block."""

    function: ClassVar[str] = "revealNodes"
    hashes: Hashes

    def _arguments(self, terms: Tuple, body: Tuple) -> Tuple:
        return (list(self.hashes),)


@dataclass(frozen=True, slots=True)
class PickNode(Move):
    """Challenger: the first node whose tensor differs, with its place in the program."""

    function: ClassVar[str] = "pickNode"
    index: int
    hash: bytes
    proof: Hashes
    header: bytes
    node: bytes
    node_proof: Hashes

    def _arguments(self, terms: Tuple, body: Tuple) -> Tuple:
        return (
            terms,
            self.index,
            self.hash,
            list(self.proof),
            self.header,
            self.node,
            list(self.node_proof),
        )


@dataclass(frozen=True, slots=True)
class RevealChunks(Move):
    """Defender (or anybody): hashes of the tensor's chunk tree."""

    function: ClassVar[str] = "revealChunks"
    node: bytes
    hashes: Hashes

    def _arguments(self, terms: Tuple, body: Tuple) -> Tuple:
        return (self.node, list(self.hashes))


@dataclass(frozen=True, slots=True)
class PickChunk(Move):
    """Challenger: the first block of the chunk tree, or chunk, that differs."""

    function: ClassVar[str] = "pickChunk"
    node: bytes
    index: int
    hash: bytes
    proof: Hashes

    def _arguments(self, terms: Tuple, body: Tuple) -> Tuple:
        return (self.node, self.index, self.hash, list(self.proof))


@dataclass(frozen=True, slots=True)
class RevealData(Move):
    """Defender (or anybody): the chunk's bytes."""

    function: ClassVar[str] = "revealData"
    node: bytes
    chunk: bytes

    def _arguments(self, terms: Tuple, body: Tuple) -> Tuple:
        return (self.node, self.chunk)


@dataclass(frozen=True, slots=True)
class OfElement(Move):
    """A move about one element of the chunk, with what it reads."""

    chunk: bytes
    leaf: LeafProof

    def _arguments(self, terms: Tuple, body: Tuple) -> Tuple:
        return (terms, self.chunk, self.leaf.abi())


@dataclass(frozen=True, slots=True)
class Prove(OfElement):
    """Challenger: the leaf."""

    function: ClassVar[str] = "prove"


@dataclass(frozen=True, slots=True)
class PickElement(OfElement):
    """Challenger: an element of the chunk whose row one leaf does not carry, with what says how its parts combine."""

    function: ClassVar[str] = "pickElement"


@dataclass(frozen=True, slots=True)
class RevealParts(Move):
    """Defender: the parts of the element's row, 8 bytes each."""

    function: ClassVar[str] = "revealParts"
    node: bytes
    parts: bytes

    def _arguments(self, terms: Tuple, body: Tuple) -> Tuple:
        return (self.node, self.parts)


@dataclass(frozen=True, slots=True)
class ProvePart(Move):
    """Challenger: the part of one block; ``parts`` are those the defender revealed."""

    function: ClassVar[str] = "provePart"
    index: int
    parts: bytes
    leaf: LeafProof

    def _arguments(self, terms: Tuple, body: Tuple) -> Tuple:
        return (terms, self.index, self.parts, self.leaf.abi())


@dataclass(frozen=True, slots=True)
class ProveDigest(Move):
    """Challenger: the digest entry."""

    function: ClassVar[str] = "proveDigest"
    state: bytes
    state_proof: Hashes
    header: bytes
    chunks: tuple[DigestChunk, DigestChunk]

    def _arguments(self, terms: Tuple, body: Tuple) -> Tuple:
        return (
            terms,
            body,
            self.state,
            list(self.state_proof),
            self.header,
            [chunk.abi() for chunk in self.chunks],
        )
