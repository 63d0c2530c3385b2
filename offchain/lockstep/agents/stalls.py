"""Draws that found nobody with stake to spare: each call costs gas, and stake comes free slowly."""

from __future__ import annotations

TRIES = 3
"""Calls of a draw that find nobody before it is left alone for a while: each looks at other candidates."""
FIRST_PAUSE, LONGEST_PAUSE = 15, 960
"""Seconds for which it is left alone, the first time and at most."""

Draw = tuple[int, int | None]
"""Task and segment of a draw; None: the task's first."""


class Stalls:
    """How often in a row each draw found nobody among a call's candidates, and until when it is left alone."""

    def __init__(self) -> None:
        self._found: dict[Draw, tuple[int, int]] = {}

    def is_paused(self, draw: Draw, now: int) -> bool:
        """Whether a draw found nobody a short while ago; ``now`` is a timestamp."""
        return self._found.get(draw, (0, 0))[1] > now

    def note(self, draw: Draw, now: int) -> int:
        """Leave a draw alone for longer each time it finds nobody; for how many seconds, 0 for the first tries."""
        times = self._found.get(draw, (0, 0))[0] + 1
        pause = 0 if times <= TRIES else min(FIRST_PAUSE << (times - TRIES - 1), LONGEST_PAUSE)
        self._found[draw] = (times, now + pause if pause else 0)
        return pause
