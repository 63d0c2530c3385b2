"""Cross-validation over settings: what ``lockstep sweep`` tries, how one try is made, what is kept of it.

Folds are cut from the training data alone; the evaluation data stay unseen until a winner is trained for good.
"""

from __future__ import annotations

import itertools
import json
import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lockstep.cli.errors import CommandError

if TYPE_CHECKING:
    from lockstep.cli.training import Chosen
    from lockstep.cli.zoo import Job
    from lockstep.program.capture import CapturedTask

MAX_FILE = 64 << 20
EVEN = 64
"""Folds have a multiple of so many rows where they can, so that they are measured in large batches."""


@dataclass(frozen=True, slots=True)
class Point:
    """One setting; None: the source's own."""

    source: str
    optimiser: str | None = None
    lr: float | None = None
    weight_decay: float | None = None
    batch_size: int | None = None

    @property
    def label(self) -> str:
        """What is special about it, for people."""
        parts = [self.optimiser or "", *(f"{key} {value:g}" for key, value in self._numbers() if value is not None)]
        return " ".join([self.source, *(part for part in parts if part)])

    def _numbers(self) -> Iterable[tuple[str, float | None]]:
        return ("lr", self.lr), ("decay", self.weight_decay), ("batch", self.batch_size)


@dataclass(frozen=True, slots=True)
class Try:
    """A point trained on all folds but one, and its metrics on that one.

    ``program`` is the hash of the step program: it binds model, data, optimiser and batch size, so a try is found again
    just where it would be the same.
    """

    point: Point
    fold: int
    seed: int
    steps: int
    program: str
    metrics: dict[str, float]
    seconds: float


@dataclass(frozen=True, slots=True)
class Standing:
    """A point over its folds: mean and sample standard deviation of the metric that decides."""

    point: Point
    mean: float
    spread: float
    folds: int


def points(
    sources: Sequence[str],
    optimisers: Sequence[str] | None,
    rates: Sequence[float] | None,
    decays: Sequence[float] | None,
    batch_sizes: Sequence[int] | None,
) -> list[Point]:
    """Every combination, in the order of the lists; None: the source's own."""
    own = (None,)
    grid = itertools.product(sources, optimisers or own, rates or own, decays or own, batch_sizes or own)
    return list(dict.fromkeys(Point(*combination) for combination in grid))


def folds(job: Job, count: int) -> Iterator[Job]:
    """The job ``count`` times, each with another part of its training rows for evaluation and the rest for training.

    Raises:
        CommandError: there are fewer rows than folds

    """
    from lockstep.data.splits import split_rows

    rows = len(job.train)
    size = rows // count
    if size == 0:
        raise CommandError(f"{rows} training samples cannot be cut into {count} folds.")
    size -= size % EVEN if size >= EVEN else 0
    parts = split_rows(rows, *[size] * count, *([rows - size * count] if rows > size * count else []))
    for fold in range(count):
        rest = [row for other, part in enumerate(parts) if other != fold for row in part]
        held = replace(job.train.rows(parts[fold]), augmentation=None)
        yield job._replace(train=job.train.rows(rest), evaluation=held)


def program_hash(task: CapturedTask) -> str:
    """Hash of the step program, hex."""
    from lockstep.program.encoding import commit_program
    from lockstep.program.work import program_work

    return commit_program(task.step, program_work(task.step)).hash.hex()


def run(task: CapturedTask, point: Point, fold: int, seed: int, steps: int, threads: int | None) -> Try:
    """Train in exact arithmetic and measure on the fold that was left out."""
    from lockstep.engine.run import Runner
    from lockstep.engine.segment import initial_state, mean_metrics, run_segment

    assert task.evaluate is not None, "A fold comes with its evaluation data."
    begun = time.perf_counter()
    runner = Runner(task.step, task.constants, seed, threads=threads)
    state = run_segment(runner, initial_state(task.init, task.constants, seed), 0, steps).state
    judge = Runner(task.evaluate, task.evaluation_constants, seed, threads=threads)
    means = mean_metrics(judge, state, task.evaluation_steps)
    metrics = dict(zip(task.names.metrics, means, strict=True))
    return Try(point, fold, seed, steps, program_hash(task), metrics, round(time.perf_counter() - begun, 2))


def sweep(
    grid: Sequence[Point],
    count: int,
    seed: int,
    steps: int,
    choose: Callable[[Point], Chosen],
    kept: Sequence[Try],
    threads: int | None = None,
) -> Iterator[tuple[Try, bool]]:
    """Every point on every fold, and whether it was trained now; those among ``kept`` are not trained again.

    ``choose`` gives what a point's options choose; it raises where they do not fit.
    """
    from lockstep.cli.sources import capture_job, refuse_optimiser, training_job

    for point in grid:
        refuse_optimiser(point.source, choose(point))  # before anything is trained
    known = {(each.program, each.fold, each.seed, each.steps): each for each in kept}
    for source, same in itertools.groupby(grid, lambda point: point.source):
        job, batch_size = training_job(source)
        cut = list(folds(job, count))
        for point, (fold, part) in itertools.product(same, enumerate(cut)):
            task = capture_job(part, point.batch_size or batch_size, choose(point))
            found = known.get((program_hash(task), fold, seed, steps))
            if found is not None:
                yield replace(found, point=point), False
            else:
                yield run(task, point, fold, seed, steps, threads), True


def ranking(tries: Iterable[Try], metric: str) -> list[Standing]:
    """Points by the mean of a metric, best first: lowest loss, highest of anything else; what diverged is last."""
    by_point: dict[Point, list[float]] = {}
    for each in tries:
        if metric not in each.metrics:
            raise CommandError(f"There is no metric {metric!r}; there are {', '.join(each.metrics)}.")
        by_point.setdefault(each.point, []).append(each.metrics[metric])
    made = [_standing(point, values) for point, values in by_point.items()]
    sign = 1 if metric == "loss" else -1
    return sorted(made, key=lambda standing: (math.isnan(standing.mean), sign * standing.mean))


def _standing(point: Point, values: Sequence[float]) -> Standing:
    if not all(map(math.isfinite, values)):
        return Standing(point, math.nan, math.nan, len(values))  # it diverged
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return Standing(point, statistics.fmean(values), spread, len(values))


def load(file: Path) -> list[Try]:
    """The tries in a file; none where there is no file.

    Raises:
        CommandError: the file holds something else

    """
    if not file.exists():
        return []
    try:
        if file.stat().st_size > MAX_FILE:
            raise ValueError("it is too large")
        document = json.loads(file.read_text())
        return [Try(**each | {"point": Point(**each["point"])}) for each in document["tries"]]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise CommandError(f"{file} is no file of a sweep ({error}); name another with --out.") from None


def save(file: Path, tries: Sequence[Try]) -> None:
    """Write the tries, all or nothing."""
    partial = file.with_name(file.name + ".partial")
    partial.write_text(json.dumps({"tries": [asdict(each) for each in tries]}, indent=1) + "\n")
    partial.replace(file)
