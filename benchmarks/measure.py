"""Stopwatch, result record, and what the figures depend on."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """One figure. ``ratio`` is ours / peer (None where ``peer`` is a limit), ``unit`` that of both."""

    name: str
    ours: float
    peer: float
    ratio: float | None
    unit: str
    detail: str


def interleaved(first: Callable[[], object], second: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Median seconds of each, measured turn about so that both meet the same noise.

    Each is warmed up; then they alternate for about ``seconds`` in all, 7 times at least.
    """
    for _ in range(3):
        first()
        second()
    found: tuple[list[float], list[float]] = ([], [])
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop or len(found[0]) < 7:
        for times, call in zip(found, (first, second), strict=True):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
    return statistics.median(found[0]), statistics.median(found[1])


def ratio(name: str, ours: float, peer: float, detail: str) -> Result:
    """A result in milliseconds from two times in seconds."""
    return Result(name, ours * 1e3, peer * 1e3, ours / peer, "ms", detail)
