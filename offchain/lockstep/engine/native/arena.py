"""Places in one block of memory for values with known lifetimes."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

ALIGN = 64
PAGE = 4096
"""Alignment of large values. A processor takes a load for one that waits for a store when their addresses agree modulo
4,096; element by element, with all values aligned alike, a load is never the later of such two."""
LARGE = 4 * PAGE
MARGIN = 64
"""Bytes after each value: vector code may read, never use, a little past the end."""


def place(values: Sequence[tuple[int, int, int]], heirs: Sequence[tuple[int, int]] = ()) -> tuple[int, list[int]]:
    """Total bytes and an offset for each (bytes, first instruction, last instruction).

    Values whose spans overlap do not overlap in memory, but for ``heirs``: pairs (old, new) of values of one size where
    the instruction that writes the new one may write it over the old one, if it is the last to read that. Best fit
    among the free blocks, in order of first use; large values first, small ones behind them. Values of no bytes
    (externals) get offset 0.
    """
    spans, owner = list(values), list(range(len(values)))
    left = set(range(len(values)))
    for old, new in sorted(heirs, key=lambda pair: values[pair[1]][1]):
        if old in left and owner[new] == new and values[old][2] == values[new][1]:
            left.remove(old)
            owner[new] = owner[old]
            spans[owner[new]] = (values[new][0], spans[owner[new]][1], values[new][2])
            spans[new] = (0, *values[new][1:])
    total, offsets = _both(spans)
    return total, [offsets[owner[i]] for i in range(len(values))]


def _both(values: Sequence[tuple[int, int, int]]) -> tuple[int, list[int]]:
    large = [(size if size >= LARGE else 0, first, last) for size, first, last in values]
    small = [(size if size < LARGE else 0, first, last) for size, first, last in values]
    (top, high), (rest, low) = _place(large, PAGE), _place(small, ALIGN)
    return max(top + rest, ALIGN), [h if value[0] else top + at for value, h, at in zip(large, high, low, strict=True)]


def _place(values: Sequence[tuple[int, int, int]], align: int) -> tuple[int, list[int]]:
    offsets = [0] * len(values)
    order = sorted((i for i, v in enumerate(values) if v[0]), key=lambda i: (values[i][1], -values[i][0]))
    ends: list[tuple[int, int]] = []  # (last use, value), kept sorted
    free: list[tuple[int, int]] = []  # (offset, bytes), by offset, never adjacent
    top = 0
    for i in order:
        size, first, last = values[i]
        size = -(-(size + MARGIN) // align) * align
        while ends and ends[0][0] < first:
            _, gone = ends.pop(0)
            _release(free, offsets[gone], -(-(values[gone][0] + MARGIN) // align) * align)
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
    return top, offsets


def _release(free: list[tuple[int, int]], offset: int, size: int) -> None:
    at = bisect.bisect(free, (offset, size))
    if at < len(free) and free[at][0] == offset + size:
        size += free.pop(at)[1]
    if at and free[at - 1][0] + free[at - 1][1] == offset:
        at -= 1
        offset, grown = free.pop(at)
        size += grown
    free.insert(at, (offset, size))
