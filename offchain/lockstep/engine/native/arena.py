"""Places in one block of memory for values with known lifetimes."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

ALIGN = 64
MARGIN = 64
"""Bytes after each value: vector code may read, never use, a little past the end."""


def place(values: Sequence[tuple[int, int, int]]) -> tuple[int, list[int]]:
    """Total bytes and an offset for each (bytes, first instruction, last instruction).

    Values whose spans overlap do not overlap in memory. Best fit among the free blocks, in order of first
    use. Values of no bytes (externals) get offset 0.
    """
    offsets = [0] * len(values)
    order = sorted((i for i, v in enumerate(values) if v[0]), key=lambda i: (values[i][1], -values[i][0]))
    ends: list[tuple[int, int]] = []  # (last use, value), kept sorted
    free: list[tuple[int, int]] = []  # (offset, bytes), by offset, never adjacent
    top = 0
    for i in order:
        size, first, last = values[i]
        size = -(-(size + MARGIN) // ALIGN) * ALIGN
        while ends and ends[0][0] < first:
            _, gone = ends.pop(0)
            _release(free, offsets[gone], -(-(values[gone][0] + MARGIN) // ALIGN) * ALIGN)
        best = min((f for f in free if f[1] >= size), key=lambda f: f[1], default=None)
        if best is not None:
            free.remove(best)
            offsets[i] = best[0]
            if best[1] > size:
                bisect.insort(free, (best[0] + size, best[1] - size))
        elif free and free[-1][0] + free[-1][1] == top:
            offsets[i] = free.pop()[0]
            top = offsets[i] + size
        else:
            offsets[i] = top
            top += size
        bisect.insort(ends, (max(first, last), i))
    return max(top, ALIGN), offsets


def _release(free: list[tuple[int, int]], offset: int, size: int) -> None:
    at = bisect.bisect(free, (offset, size))
    if at < len(free) and free[at][0] == offset + size:
        size += free.pop(at)[1]
    if at and free[at - 1][0] + free[at - 1][1] == offset:
        at -= 1
        offset, grown = free.pop(at)
        size += grown
    free.insert(at, (offset, size))
