"""Dishonest, lazy and silent parties: honest agents but for the one thing each does wrong."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lockstep.agents.replica import Tamper
from lockstep.agents.solver import Solver
from lockstep.agents.verifier import Verifier
from lockstep.agents.whistleblower import Whistleblower
from lockstep.chain.lockstep import PostedTask
from lockstep.chain.types import ClaimBody, Slot
from lockstep.dispute import claims
from lockstep.dispute.digest import ENTRY_BYTES
from lockstep.dispute.transition import Side
from lockstep.program.ops import InputKind


def next_float(tensor: Tensor) -> Tensor:
    """The tensor with its first element one ulp further from zero."""
    changed = tensor.clone()
    bits = changed.view(torch.int32).reshape(-1)
    bits[0] += 1
    return changed


def nudge(node: int, step: int) -> Tamper:
    """A run in which one element of a new state tensor is one ulp off at one step of the segment."""
    return {step: {node: next_float}}


class SkippingSolver(Solver):
    """Hands in one segment's start as its end: it skipped the work."""

    def __init__(self, *arguments: Any, skipped: int, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.skipped = skipped

    def _train_segment(self, posted: PostedTask, segment: int, state: Sequence[Tensor]) -> list[Tensor]:
        if segment == self.skipped:
            self.narrate(f"skips segment {segment}")
            return list(state)
        return super()._train_segment(posted, segment, state)


class _Tampering:
    """Lies about one segment: the value of one weight, one ulp off at one step, and everything that follows from it."""

    def __init__(self, *arguments: Any, segment: int, step: int = 0, entry: int = 0, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.lie = (segment, step, entry)

    def tamper(self, posted: PostedTask, segment: int) -> Tamper | None:
        """The lie, in its segment."""
        lied, step, entry = self.lie
        if segment != lied:
            return None
        program = self.bench(posted).workload.program(segment)  # type: ignore[attr-defined]
        source = program.nodes[-1].inputs[entry]
        assert source.kind is InputKind.NODE, "The lie is about a tensor that the step computes."
        return nudge(source.value, step)


class NudgingSolver(_Tampering, Solver):
    """Trains honestly but for one weight, one ulp off."""


class LyingVerifier(_Tampering, Verifier):
    """Claims an end that comes from one weight one ulp off: it condemns good work, or passes work with the same lie."""


class FrivolousWhistleblower(_Tampering, Whistleblower):
    """Contests right claims with a run of its own that is wrong."""


class PublishingLiar(LyingVerifier):
    """The same lie, with the trace of its run published."""

    publishes_trace = True


class LazyVerifier(Verifier):
    """Copies the solver's root without replaying, and makes up its digest; replays only once it is challenged."""

    def body(self, posted: PostedTask, segment: int, slot: Slot) -> ClaimBody:
        """The solver's root with a digest out of thin air."""
        roots = [bytes.fromhex(root) for root in self.published(posted).roots]
        start = claims.INIT_START_ROOT if segment == 0 else roots[segment - 1]
        entries = claims.segment_steps(posted.terms, segment)
        return ClaimBody(start, roots[segment], roots[segment], secrets.token_bytes(ENTRY_BYTES * entries))

    def open_disputes(self, posted: PostedTask, segment: int, slot: Slot) -> bool:
        """It looks at nobody else's work either."""
        return False


class SilentSolver(Solver):
    """Accepts, says that it has the data, and never commits."""

    def _solve(self, posted: PostedTask) -> bool:
        return False


class SilentVerifier(Verifier):
    """Is drawn and never claims."""

    def claims_at_all(self, posted: PostedTask, segment: int) -> bool:
        """It does not."""
        return False


class SilentDefender(LyingVerifier):
    """Lies, and does not answer when challenged."""

    def answers(self, posted: PostedTask, segment: int, side: Side) -> bool:
        """It does not."""
        return False


class SilentChallenger(FrivolousWhistleblower):
    """Contests right work, opens its dispute, and then makes no move."""

    def answers(self, posted: PostedTask, segment: int, side: Side) -> bool:
        """It does not."""
        return False
