"""Segments drawn by a value; that they are the contract's, ``e2e/test_draws.py`` shows."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from lockstep.chain.draws import drawn_segments
from lockstep.chain.options import TaskOptions
from lockstep.chain.types import TaskTerms

TERMS = TaskTerms(1, "0x" + "11" * 20, bytes(32), bytes(32), 1, 1, 1, 1, 1, 7, 16, 4, 2, 1, 1, 1, 0, 0)


@given(
    st.integers(1, 2_000), st.integers(1, 64), st.integers(1, 64), st.binary(min_size=32, max_size=32), st.booleans()
)
def test_segments_are_distinct_and_some_to_replay(
    steps: int, segment_steps: int, audits: int, value: bytes, stacked: bool
) -> None:
    last = -(-steps // segment_steps)
    options = TaskOptions(parent=1).pack() if stacked else 0
    audits = min(audits, last + (not stacked))
    terms = replace(TERMS, steps=steps, segment_steps=segment_steps, audits=audits, options=options)
    segments = drawn_segments(terms, value)
    assert len(set(segments)) == len(segments) == audits
    assert min(segments) >= stacked
    assert max(segments) <= last


def test_every_segment_is_as_likely() -> None:
    """The thousand draws of ``AuditDraws.t.sol``: each of five segments in some 400 of them."""
    counts = Counter(each for n in range(1_000) for each in drawn_segments(TERMS, n.to_bytes(32, "big")))
    assert all(abs(counts[segment] - 400) <= 50 for segment in range(5))
