"""How long a draw that finds nobody is left alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lockstep.agents.stalls import FIRST_PAUSE, LONGEST_PAUSE, TRIES, Stalls

DRAW, OTHER = (7, None), (7, 2)


def test_first_tries_cost_no_pause_and_then_it_doubles_up_to_the_longest() -> None:
    stalls = Stalls()
    pauses = [stalls.note(DRAW, 0) for _ in range(TRIES + 9)]
    assert pauses[:TRIES] == [0] * TRIES
    assert pauses[TRIES : TRIES + 3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE


@given(now=st.integers(1, 2**40), times=st.integers(1, 40))
def test_draw_is_left_alone_just_for_its_pause_and_no_other_with_it(now: int, times: int) -> None:
    stalls = Stalls()
    for _ in range(times):
        pause = stalls.note(DRAW, now)
    assert stalls.is_paused(DRAW, now + pause - 1) is (pause > 0)
    assert not stalls.is_paused(DRAW, now + pause)
    assert not stalls.is_paused(OTHER, now)
