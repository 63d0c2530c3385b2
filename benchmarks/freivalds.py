"""The check of stated sums against the exact step: how much of a step's time it takes to check all contractions of it.

``freivalds/MODEL``: what a checked step spends on contractions (checking the carried ones, computing the small ones)
against a whole exact step. ``freivalds/MODEL/step``: a whole checked step against it. One thread; sums in memory.
Run by name only, for it takes minutes: ``python -m benchmarks freivalds``. ``LOCKSTEP_BENCH`` names other presets.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from benchmarks.measure import Result, ratio
from benchmarks.zoo import captured_job, chosen, plain_job
from lockstep.engine.freivalds import CheckedRunner
from lockstep.engine.run import Runner
from lockstep.engine.segment import initial_state
from lockstep.engine.sums import Summing, carried_nodes, contraction_work, sums_bytes
from lockstep.program.capture import CapturedTask

MODELS = ("gpt-small", "gpt-mini")
SEED = 7
CONTRACTING = ("freivalds", "matmul")


def measure(quick: bool = False) -> Iterator[Result]:
    """``freivalds/MODEL`` and ``freivalds/MODEL/step`` at one thread."""
    for name in chosen(MODELS):
        yield from _of(name, captured_job(name, plain_job(name)), 2 if quick else 7)


def _of(name: str, task: CapturedTask, turns: int) -> Iterator[Result]:
    program, constants = task.step, task.constants
    carried = carried_nodes(program)
    state = initial_state(task.init, constants, SEED)
    sums = [tensor.numpy() for tensor in Summing(program, constants, SEED, carried).run(state, 0)]
    exact = Runner(program, constants, SEED, threads=1)
    checked = CheckedRunner(program, constants, SEED, carried, threads=1)
    out = exact.empty_state()
    exact.step(state, 0, out)
    checked.step(state, 0, sums, b"warm")
    times: tuple[list[float], list[float], list[float]] = ([], [], [])
    for _ in range(turns):
        started = time.perf_counter()
        exact.step(state, 0, out)
        times[0].append(time.perf_counter() - started)
        started = time.perf_counter()
        checked.step(state, 0, sums, b"measured")
        times[1].append(time.perf_counter() - started)
        parts = checked.profile(state, 0, sums, 1)
        times[2].append(sum(seconds for what, seconds in parts if what.split()[0] in CONTRACTING))
    step, whole, check = (statistics.median(found) for found in times)
    done, every = contraction_work(program, carried), contraction_work(program)
    detail = f"{len(carried)} contractions carried, {100 * done / every:.1f} % of the multiply-adds"
    yield ratio(f"freivalds/{name}", check, step, f"{detail}; against the exact step on {exact.name}")
    detail = f"{sums_bytes(program, carried) / 1e6:,.0f} MB of sums a step, without fetching them"
    yield ratio(f"freivalds/{name}/step", whole, step, detail)
