"""The runs on disk (docs/data/quality.json) and the table they make (docs/QUALITY.md)."""

from __future__ import annotations

import fcntl
import json
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.quality.jobs import JOBS, Job

DOCS = Path(__file__).resolve().parents[2] / "docs"
RUNS, PAGE = DOCS / "data" / "quality.json", DOCS / "QUALITY.md"
BEGIN, END = "<!-- quality: written by python -m benchmarks.quality -->", "<!-- end of quality -->"
HEADER = (
    "| model | data | steps, batch | seeds | test | exact | float32 | exact - float32 | goal |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
)
NATIVE = {"native f32": "f32", "native bf16": "bf16"}
"""Arithmetics of ``lockstep train --precision``, and which precision it is."""
NATIVE_HEADER = "| model | steps, batch | seeds | test | exact | native f32 | native bf16 |\n" + "| --- " * 7 + "|\n"


@dataclass(frozen=True, slots=True)
class Run:
    """One training: its model, arithmetic, seed and settings, what the test set says of it, and its seconds.

    ``program`` is the hash of the step program, where it was that which was trained.
    """

    name: str
    arithmetic: str
    seed: int
    settings: str
    metrics: dict[str, float]
    seconds: float
    program: str


def runs() -> list[Run]:
    """What was trained so far, in order."""
    return [Run(**each) for each in json.loads(RUNS.read_text())] if RUNS.exists() else []


def find(name: str, arithmetic: str, seed: int, settings: str) -> Run | None:
    """The run of these settings, where there is one."""
    key = (name, arithmetic, seed, settings)
    return next((run for run in runs() if (run.name, run.arithmetic, run.seed, run.settings) == key), None)


def append(run: Run) -> None:
    """Add a run to the file; several processes may."""
    with _locked():
        text = json.dumps([asdict(each) for each in [*runs(), run]], indent=1)
        RUNS.write_text(text + "\n")


@contextmanager
def _locked() -> Iterator[None]:
    with PAGE.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write() -> None:
    """Put the table into the page, between its marks."""
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text(runs())}\n{END}{after}")


def text(found: Sequence[Run]) -> str:
    """The tables in Markdown: a row a model that was trained in both arithmetics, then those trained natively, too."""
    rows = [_row(name, job, found) for name, job in JOBS.items()]
    native = "".join(_native_row(name, job, found) for name, job in JOBS.items())
    return HEADER + "".join(rows) + (f"\nIn native floating point:\n\n{NATIVE_HEADER}{native}" if native else "")


def _values(name: str, job: Job, found: Sequence[Run], arithmetics: Sequence[str]) -> list[list[float]]:
    """The metric of each arithmetic over the seeds that all of them have; nothing where there is no such seed."""
    own = [run for run in found if run.name == name and run.settings == job.settings]
    values = {(run.arithmetic, run.seed): run.metrics[job.metric] for run in own}
    every = {seed for _, seed in values}
    seeds = sorted(seed for seed in every if all((arithmetic, seed) in values for arithmetic in arithmetics))
    return [[values[arithmetic, seed] for seed in seeds] for arithmetic in arithmetics] if seeds else []


def _native_row(name: str, job: Job, found: Sequence[Run]) -> str:
    values = _values(name, job, found, ("exact", *NATIVE))
    if not values:
        return ""
    cells = [f"`{name}`", f"{job.steps:,}, {job.batch_size}", str(len(values[0])), job.metric, *map(_spread, values)]
    return f"| {' | '.join(cells)} |\n"


def _row(name: str, job: Job, found: Sequence[Run]) -> str:
    values = _values(name, job, found, ("exact", "float32"))
    if not values:
        return ""
    exact, float32 = values
    differences = [ours - peer for ours, peer in zip(exact, float32, strict=True)]
    cells = (
        f"`{name}`",
        job.what,
        f"{job.steps:,}, {job.batch_size}",
        str(len(exact)),
        job.metric,
        _spread(exact),
        _spread(float32),
        _spread(differences, sign="+"),
        job.goal,
    )
    return f"| {' | '.join(cells)} |\n"


def _spread(values: Sequence[float], sign: str = "") -> str:
    """Mean and standard deviation over the seeds."""
    mean = f"{round(statistics.fmean(values), 4) + 0.0:{sign}.4f}"  # -0.0000 reads as if it were less
    return f"{mean} ± {statistics.stdev(values):.4f}" if len(values) > 1 else mean
