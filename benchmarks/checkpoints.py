"""What checkpoints cost a solver: root, artifact and record of the state after every segment of 32 steps.

``checkpoint_share/MODEL`` is the processor time of a checkpoint as a share of a segment's, in per cent: what a solver
with one core pays. The wait for the disk is no processor time: training goes on meanwhile. Where segments are short
enough to see a difference, ``checkpoint_wall/MODEL`` is the share of wall time on all cores and
``checkpoint_wall_1/MODEL`` on one: the same segments solved with and without checkpoints, turn about.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from benchmarks.measure import Result
from benchmarks.step import SEED
from benchmarks.zoo import MODELS, captured_job, chosen, plain_job
from lockstep.agents.checkpoints import RECORD_SECONDS, CheckpointLog, CheckpointWriter
from lockstep.agents.journal import Journal
from lockstep.engine.checkpoint import header_of, make_checkpoint
from lockstep.engine.parallel.ranks import torch_threads
from lockstep.engine.run import Runner
from lockstep.engine.segment import initial_state
from lockstep.program.capture import CapturedTask
from lockstep.storage.store import ArtifactStore

SEGMENT = 32
LIMIT = 2.0
RUN_SECONDS = 0.6
"""A run that is timed with and without checkpoints takes about this long."""


def measure(quick: bool = False) -> Iterator[Result]:
    """The shares of each model; the peer is the limit. Steps run in one thread."""
    for name in chosen(MODELS[:2] if quick else ("mlp", "cnn", *MODELS)):
        with torch_threads(1), tempfile.TemporaryDirectory() as folder:
            yield from _of(name, captured_job(name, plain_job(name)), Path(folder), 3 if quick else 15)


def _of(name: str, task: CapturedTask, folder: Path, turns: int) -> Iterator[Result]:
    runner = Runner(task.step, task.constants, SEED, threads=1)
    store, log = ArtifactStore(str(folder)), CheckpointLog(Journal(folder / "journal.sqlite"), "benchmark")
    state, header = initial_state(task.init, task.constants, SEED), header_of(task.step)
    steps: list[float] = []
    ends: list[float] = []
    for number in range(max(turns, 5)):
        start = time.thread_time()
        state, _ = runner.step(state, number)
        middle = time.thread_time()
        made = make_checkpoint(header, state)
        stored = made.root.hex(), store.put_hashed(made.digest, made.parts)
        steps.append(middle - start)
        ends.append(time.thread_time() - middle)
    start = time.thread_time()
    log.add(0, [stored])
    record = time.thread_time() - start
    segment = SEGMENT * statistics.median(steps)
    end = statistics.median(ends) + record * min(1.0, segment / RECORD_SECONDS)
    detail = f"processor time of a checkpoint {end * 1e3:.2f} ms, of {SEGMENT} steps {segment * 1e3:.0f} ms"
    yield Result(f"checkpoint_share/{name}", 100 * end / (end + segment), LIMIT, None, "%", detail)
    if segment > RUN_SECONDS:
        return
    count = round(RUN_SECONDS / segment)

    def plain() -> None:
        _solve(runner, state, count, lambda after: None)

    def checkpointed() -> None:
        with CheckpointWriter(store, log, task.step, 0) as writer:
            _solve(runner, state, count, writer.put)

    for cores, what in ((os.cpu_count() or 1, "checkpoint_wall"), (1, "checkpoint_wall_1")):
        with _processors(cores):
            without, with_them = _turn_about(plain, checkpointed, turns)
        detail = f"{count} segments without {without * 1e3:.0f} ms, with {with_them * 1e3:.0f} ms, on {cores} cores"
        yield Result(f"{what}/{name}", 100 * (1 - without / with_them), LIMIT, None, "%", detail)


def _solve(runner: Runner, state: Sequence[Tensor], segments: int, keep: Callable[[Sequence[Tensor]], object]) -> None:
    for step in range(SEGMENT * segments):
        state, _ = runner.step(state, step)
        if (step + 1) % SEGMENT == 0:
            keep(state)


def _turn_about(first: Callable[[], None], second: Callable[[], None], turns: int) -> tuple[float, float]:
    """Median seconds of each; which of the two comes first changes from turn to turn."""
    found: tuple[list[float], list[float]] = ([], [])
    for turn in range(turns):
        for which in (0, 1) if turn % 2 else (1, 0):
            start = time.perf_counter()
            (first, second)[which]()
            found[which].append(time.perf_counter() - start)
    return statistics.median(found[0]), statistics.median(found[1])


@contextmanager
def _processors(count: int) -> Iterator[None]:
    """This process on so many processors, where the system lets it choose."""
    every = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(every)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, every)
