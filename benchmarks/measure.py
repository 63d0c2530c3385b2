"""Stopwatch, result record, and what the figures depend on."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
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
    """Median seconds of each, measured turn about; see ``turn_about``."""
    one, other = turn_about((first, second), seconds)
    return one, other


def turn_about(calls: Sequence[Callable[[], object]], seconds: float) -> list[float]:
    """Median seconds of each call, measured turn about so that all meet the same noise.

    Each is warmed up; then they take turns for about ``seconds`` in all, 7 times at least.
    """
    for _ in range(3):
        for call in calls:
            call()
    found: list[list[float]] = [[] for _ in calls]
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop or len(found[0]) < 7:
        for times, call in zip(found, calls, strict=True):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
    return [statistics.median(times) for times in found]


def ratio(name: str, ours: float, peer: float, detail: str) -> Result:
    """A result in milliseconds from two times in seconds."""
    return Result(name, ours * 1e3, peer * 1e3, ours / peer, "ms", detail)
