"""The dispute as data: phases, whose move each is, what follows.

Twin of ``Phase``, ``Outcome`` and the moves of ``contracts/interfaces/IDisputeGame.sol``: same order, same names.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum


class Phase(IntEnum):
    """What the side to move owes."""

    NONE = 0
    STATES = 1
    PICK_STEP = 2
    STEP = 3
    PICK_BLOCK = 4
    NODES = 5
    PICK_NODE = 6
    CHUNKS = 7
    PICK_CHUNK = 8
    DATA = 9
    PROVE = 10
    PARTS = 11
    PROVE_PART = 12
    RESOLVED = 13


class Outcome(IntEnum):
    """How a dispute ended."""

    NONE = 0
    DEFENDER_CONVICTED = 1
    CHALLENGE_FAILED = 2
    WITHDRAWN = 3


class Side(Enum):
    """Who owes a move."""

    DEFENDER = "defender"
    CHALLENGER = "challenger"

    @property
    def other(self) -> Side:
        """The opponent."""
        return Side.CHALLENGER if self is Side.DEFENDER else Side.DEFENDER


@dataclass(frozen=True, slots=True)
class Turn:
    """One row of the table.

    ``functions`` are the contract's for this phase; ``follows`` the phases one of them may lead to;
    ``anybody`` whether others may make the move for the side that owes it.
    """

    side: Side
    functions: tuple[str, ...]
    follows: tuple[Phase, ...]
    anybody: bool = False


TURNS: dict[Phase, Turn] = {
    Phase.STATES: Turn(Side.DEFENDER, ("revealStates",), (Phase.PICK_STEP,)),
    Phase.PICK_STEP: Turn(Side.CHALLENGER, ("pickStep", "proveDigest"), (Phase.STEP, Phase.RESOLVED)),
    Phase.STEP: Turn(Side.DEFENDER, ("revealStep",), (Phase.PICK_BLOCK, Phase.PICK_NODE)),
    Phase.PICK_BLOCK: Turn(Side.CHALLENGER, ("pickBlock",), (Phase.NODES,)),
    Phase.NODES: Turn(Side.DEFENDER, ("revealNodes",), (Phase.PICK_BLOCK, Phase.PICK_NODE), anybody=True),
    Phase.PICK_NODE: Turn(Side.CHALLENGER, ("pickNode",), (Phase.CHUNKS, Phase.DATA)),
    Phase.CHUNKS: Turn(Side.DEFENDER, ("revealChunks",), (Phase.PICK_CHUNK,), anybody=True),
    Phase.PICK_CHUNK: Turn(Side.CHALLENGER, ("pickChunk",), (Phase.CHUNKS, Phase.DATA)),
    Phase.DATA: Turn(Side.DEFENDER, ("revealData",), (Phase.PROVE,), anybody=True),
    Phase.PROVE: Turn(Side.CHALLENGER, ("prove", "pickElement"), (Phase.RESOLVED, Phase.PARTS)),
    Phase.PARTS: Turn(Side.DEFENDER, ("revealParts",), (Phase.PROVE_PART,)),
    Phase.PROVE_PART: Turn(Side.CHALLENGER, ("provePart",), (Phase.RESOLVED,)),
}
"""Every phase in which somebody owes a move. ``timeout`` and ``withdraw`` end a dispute from any of them."""

MOVES: tuple[str, ...] = tuple(function for turn in TURNS.values() for function in turn.functions)
"""The contract's functions that are moves."""


def side_to_move(phase: Phase) -> Side | None:
    """Who owes a move; None before the beginning and after the end."""
    turn = TURNS.get(phase)
    return turn.side if turn else None


def first_phase(steps: int, digest: bool) -> Phase:
    """The phase a dispute opens in: a segment of one step has no states to reveal."""
    if steps > 1:
        return Phase.STATES
    return Phase.PICK_STEP if digest else Phase.STEP


def after_reveal(phase: Phase, level: int) -> Phase:
    """What the challenger owes after a reveal that shows the hashes of ``level`` (0: leaves)."""
    match phase:
        case Phase.STATES:
            return Phase.PICK_STEP
        case Phase.CHUNKS:
            return Phase.PICK_CHUNK
        case Phase.DATA:
            return Phase.PROVE
        case Phase.PARTS:
            return Phase.PROVE_PART
        case Phase.STEP | Phase.NODES:
            return Phase.PICK_BLOCK if level else Phase.PICK_NODE
    raise ValueError(f"{phase.name} is not a reveal.")


def deadline(turn_start: int, left: int, increment: int) -> int:
    """Last second of a turn that began with ``left`` seconds on the mover's clock."""
    return turn_start + max(left, increment)


def charge(left: int, start: int, end: int) -> int:
    """What is left on a clock after a turn from ``start`` to ``end``."""
    return max(left - (end - start), 0)


def budget(base: int, work: int, rate: int) -> int:
    """A side's whole budget: the base, and the time that replaying the segment takes at ``rate`` (0: none)."""
    return min(base + (work // rate if rate else 0), 2**32 - 1)
