"""What a whistleblower may see before it decides whether to look."""

from __future__ import annotations

from hypothesis import strategies as st

from lockstep.agents.entry import Outlook

COST = 1_000_000
"""c of the examples, base units."""


def outlooks(least: float = 0.0) -> st.SearchStrategy[Outlook]:
    """Outlooks of tasks whose looks cost up to 10 c, and are to leave up to ``least`` base units."""
    return st.builds(
        lambda judged, share, **rest: Outlook(judged=judged, false=round(judged * share), **rest),
        rivals=st.integers(0, 60),
        judged=st.integers(0, 200),
        share=st.floats(0, 1),
        forced=st.floats(0, 10 * COST),
        found=st.integers(0, 40 * COST),
        wage=st.integers(0, 3 * COST),
        work=st.integers(1, 10**12),
        cost=st.floats(0, 10 * COST),
        least=st.floats(0, least),
        room=st.floats(0, 3),
    )
