"""What happened in many tasks at once, as arrays: who claimed what, who was convicted, whose challenge failed.

A batch holds N tasks of one deployment and one shape. Each has G segments: drawn ones, of each of which up to R rounds
are drawn, and ones that were not drawn, which somebody may call up for a single round, number 0 here. In each round up
to K claims are made: place 0 is the drawn verifier's or the caller's, places 1 .. K - 1 are blind claims in order of
their commitments. What is filled in for a round that the court never comes to counts for nothing, and so does a segment
that was neither drawn nor called up.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

CHECKPOINT = 0
"""Label of the end root the solver committed to; any other number is another end root."""
NOBODY = -1
MOST_NAMED = 4
"""Claims naming an entry beyond these are not told apart."""


class End(IntEnum):
    """How far a task came."""

    REFUNDED = 0
    """Cancelled, or its audits were not drawn in time."""
    EXPIRED = 1
    """Its solver did not commit."""
    AUDITED = 2


class Demander(IntEnum):
    """Whose unanswered demand for data failed a segment."""

    VERIFIER = 0
    """The round's drawn verifier."""
    OTHER = 1
    """Somebody else, while the drawn verifier still had time to claim."""
    LATE = 2
    """Somebody else, after that."""


class Said(IntEnum):
    """What a drawn verifier's secret says of its claim, once it is opened."""

    NOTHING = 0
    """To make no error; or there are no forced errors, and there is no secret."""
    MADE = 1
    """To make one, which it did; if its digest was convicted, then by proof of just that entry."""
    FAULTY = 2
    """To make one, and something else is wrong: it made none, or its digest was convicted otherwise."""
    UNOPENED = 3
    """Nobody opened it in time."""


@dataclass(frozen=True, slots=True)
class Histories:
    """A batch of tasks' histories.

    Void tasks, malformed starts, redraws that find nobody and demands that lapse while a segment is drawn anew are not
    among them; nor are the fees of demands.

    Attributes:
        end: (N,) ``End``
        posted: (N, G, R, K) bool, whether the place's claimant posted (unblinded) a claim
        root: (N, G, R, K) label of its end root, ``CHECKPOINT`` for one that passes
        beaten_by: (N, G, R, K) place of the claim whose owner first convicted its end root, ``NOBODY``
        digest_by: (N, G, R, K) place of the claim whose owner convicted its digest, ``NOBODY``; it may stand
        failed: (N, G, R, K, K) failed challenges of a place's owner (second last axis) against a claim (last axis)
        withheld: (N, G) round in which a demand for data lapsed, ``NOBODY``
        withheld_by: (N, G) ``Demander`` of it
        undrawn: (N, G) bool, whether the segment was not drawn: it is called up where place 0 of round 0 has posted
        said: (N, G, R) ``Said`` of the drawn verifier's claim
        named: (N, G, R, K) bool, blind claims noted as naming the entry that is wrong by a secret: at most four a round

    Raises:
        ValueError: the arrays do not fit each other, or tell what the contracts do not let happen

    """

    end: NDArray[np.int8]
    posted: NDArray[np.bool_]
    root: NDArray[np.int16]
    beaten_by: NDArray[np.int8]
    digest_by: NDArray[np.int8]
    failed: NDArray[np.int8]
    withheld: NDArray[np.int8]
    withheld_by: NDArray[np.int8]
    undrawn: NDArray[np.bool_]
    said: NDArray[np.int8]
    named: NDArray[np.bool_]

    def __post_init__(self) -> None:
        shape = self.posted.shape
        if len(shape) != 4 or self.end.shape != shape[:1] or self.failed.shape != (*shape, shape[3]):
            raise ValueError(f"Arrays of histories of shapes {shape}, {self.end.shape}, {self.failed.shape}.")
        if any(array.shape != shape for array in (self.root, self.beaten_by, self.digest_by, self.named)):
            raise ValueError("Roots, convictions and names do not have the claims' shape.")
        if any(array.shape != shape[:2] for array in (self.withheld, self.withheld_by, self.undrawn)):
            raise ValueError("Demands that lapsed, and what was not drawn, are said by task and segment.")
        if np.any(self.called & (self.root[:, :, 0, 0] == CHECKPOINT)):
            raise ValueError("A segment is called up by a claim that condemns it.")
        if np.any(self.undrawn & (self.withheld > 0)):
            raise ValueError("A segment that was not drawn has one round.")
        if self.said.shape != shape[:3] or np.any((self.said != Said.NOTHING) & self.undrawn[:, :, None]):
            raise ValueError("Secrets are those of drawn verifiers, one a round.")
        named = self.named.sum(axis=3)
        if np.any(self.named[..., 0]) or np.any(self.named & ~self.posted) or np.any(named > MOST_NAMED):
            raise ValueError("At most four blind claims of a round are noted as naming an entry.")
        for winners in (self.beaten_by, self.digest_by):
            won = winners != NOBODY
            other = np.take_along_axis(self.posted, np.maximum(winners, 0).astype(np.intp), axis=3)
            if np.any(won & ~(self.posted & other)) or np.any(won & (winners == np.arange(shape[3]))):
                raise ValueError("A claim is convicted by the owner of another claim of its round.")
        both = self.posted[..., :, None] & self.posted[..., None, :] & ~np.eye(shape[3], dtype=bool)
        if np.any((self.failed != 0) & ~both):
            raise ValueError("A challenge is between two claims of a round.")

    @property
    def called(self) -> NDArray[np.bool_]:
        """(N, G) whether the segment was called up."""
        return self.undrawn & self.posted[:, :, 0, 0]

    @property
    def judged(self) -> NDArray[np.bool_]:
        """(N, G) whether the court decides about the segment at all, where its task is audited."""
        return ~self.undrawn | self.called

    @classmethod
    def blank(cls, tasks: int, segments: int, rounds: int, places: int) -> Histories:
        """Audited tasks in which nobody has claimed anything yet: arrays to fill in."""
        shape = (tasks, segments, rounds, places)
        return cls(
            np.full(tasks, End.AUDITED, np.int8),
            np.zeros(shape, bool),
            np.zeros(shape, np.int16),
            np.full(shape, NOBODY, np.int8),
            np.full(shape, NOBODY, np.int8),
            np.zeros((*shape, places), np.int8),
            np.full(shape[:2], NOBODY, np.int8),
            np.full(shape[:2], Demander.VERIFIER, np.int8),
            np.zeros(shape[:2], bool),
            np.zeros(shape[:3], np.int8),
            np.zeros(shape, bool),
        )
