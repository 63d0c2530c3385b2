"""``python -m benchmarks.spoofs``: what tolerance mode lets pass, and what it does not; docs/TOLERANCE.md's table.

Honest native training and published ways to fake it, on segments of real models: how often a replay rejects each (over
segments and draws), how far the checkpoint is off, and what part of a segment's training steps it saves its maker.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lockstep.agents.nearness import EXACT, NativeTraining, tolerant
from lockstep.agents.workload import Workload, captured_workload
from lockstep.cli.sources import captured_task
from lockstep.engine.checkpoint import state_root
from lockstep.engine.committed import committed_tensors
from lockstep.engine.run import Runner
from lockstep.engine.segment import initial_state, run_segment
from lockstep.program.tolerance import Schedule, Tolerance

SEED = 11
FILE = Path("docs/data/tolerance.json")
PAGE = Path("docs/TOLERANCE.md")
BEGIN, END = "<!-- spoofs: written by benchmarks/spoofs.py -->", "<!-- end of spoofs -->"

State = Sequence[Tensor]
Maker = Callable[["Segment"], list[Tensor]]


@dataclass
class Segment:
    """A segment as its solver meets it."""

    workload: Workload
    first: int
    steps: int
    start: list[Tensor]

    def train(self, state: State, steps: range, precision: str = EXACT, seed: int = SEED) -> list[Tensor]:
        """Some of its steps in some arithmetic; another seed draws other batches."""
        training = trainings(self.workload, precision, seed)
        for step in steps:
            state, _ = training.step(state, self.first + step)
        return training.checkpoint(state)

    @property
    def all(self) -> range:
        return range(self.steps)

    def mixed(self, a: State, b: State, share: float) -> list[Tensor]:
        """From ``a`` to ``b`` and beyond, entry by entry; integers as in ``b``."""
        return [x + share * (y - x) if x.dtype == torch.float32 else y for x, y in zip(a, b, strict=True)]


_trainings: dict[tuple[int, str, int], NativeTraining] = {}


def trainings(workload: Workload, precision: str, seed: int) -> NativeTraining:
    """A trainer, made once."""
    key = (id(workload), precision, seed)
    if key not in _trainings:
        _trainings[key] = NativeTraining(workload, seed, precision)
    return _trainings[key]


def _stopped(segment: Segment, left_out: int) -> list[Tensor]:
    """Leaves out the last steps, and says that they were made (counters included)."""
    done = segment.train(segment.start, range(segment.steps - left_out))
    honest = segment.train(segment.start, segment.all)
    return [d if d.dtype == torch.float32 else h for d, h in zip(done, honest, strict=True)]


def _straight(segment: Segment, steps: int) -> list[Tensor]:
    """Trains some steps and goes on in a straight line: an interpolation between checkpoints that are far apart."""
    part = segment.train(segment.start, range(steps))
    honest = segment.train(segment.start, segment.all)
    line = segment.mixed(segment.start, part, segment.steps / steps)
    return [x if x.dtype == torch.float32 else h for x, h in zip(line, honest, strict=True)]


def _small_rate(segment: Segment, rate: float) -> list[Tensor]:
    """The right direction at a part of the learning rate: stuffing checkpoints into a short way."""
    honest = segment.train(segment.start, segment.all)
    return segment.mixed(segment.start, honest, rate)


def _overshot(segment: Segment, share: float) -> list[Tensor]:
    """The honest end, moved on by a share of the update: the most that the bound allows is a tenth."""
    return segment.mixed(segment.start, segment.train(segment.start, segment.all), 1 + share)


MAKERS: dict[str, tuple[Maker, Callable[[int], float]]] = {
    "honest, exact": (lambda s: s.train(s.start, s.all), lambda k: 0.0),
    "honest, float32": (lambda s: s.train(s.start, s.all, "f32"), lambda k: 0.0),
    "honest, bfloat16": (lambda s: s.train(s.start, s.all, "bf16"), lambda k: 0.0),
    "nothing trained": (lambda s: _stopped(s, s.steps), lambda k: 1.0),
    "last step left out": (lambda s: _stopped(s, 1), lambda k: 1 / k),
    "half of the steps left out": (lambda s: _stopped(s, s.steps // 2), lambda k: 0.5),
    "half trained, then a straight line": (lambda s: _straight(s, s.steps // 2), lambda k: 0.5),
    "one step trained, then a straight line": (lambda s: _straight(s, 1), lambda k: 1 - 1 / k),
    "all but one trained, then a straight line": (lambda s: _straight(s, s.steps - 1), lambda k: 1 / k),
    "a tenth of the learning rate": (lambda s: _small_rate(s, 0.1), lambda k: 0.0),
    "0.85 of the update": (lambda s: _small_rate(s, 0.85), lambda k: 0.0),
    "0.95 of the update": (lambda s: _small_rate(s, 0.95), lambda k: 0.0),
    "other batches": (lambda s: s.train(s.start, s.all, EXACT, SEED + 1), lambda k: 0.0),
    "1.05 of the update (poison within the bound)": (lambda s: _overshot(s, 0.05), lambda k: 0.0),
    "1.15 of the update": (lambda s: _overshot(s, 0.15), lambda k: 0.0),
}
"""Ways to make a checkpoint, and what part of a segment's steps each saves."""


def measure(model: str, steps: int, segments: Sequence[int], draws: int, tolerance: Tolerance) -> dict[str, Any]:
    """Rejections and distances of every way, at some segments of a model's training."""
    plain = captured_workload(captured_task(model))
    workload = tolerant(plain, tolerance, Schedule(0, steps * (max(segments) + 1), steps))
    state = initial_state(workload.program(0), workload.init_constants, SEED)
    runner = Runner(workload.step, workload.constants, SEED)
    rows: dict[str, dict[str, Any]] = {name: {"tries": 0, "rejected": 0, "off": []} for name in MAKERS}
    for number in range(max(segments) + 1):
        segment = Segment(workload, number * steps, steps, list(state))
        if number in segments:
            for name, (make, saved) in MAKERS.items():
                made, row = make(segment), rows[name]
                row["saved"] = saved(steps)
                for draw in range(draws):
                    value = hashlib.sha256(f"{model} {number} {draw}".encode()).digest()
                    committed = committed_tensors(made, value)
                    found = run_segment(runner, segment.start, segment.first, steps, committed=committed)
                    row["tries"] += 1
                    row["rejected"] += int(state_root(found.state) != state_root(made))
                row["off"].append(round(found.metrics[-1][-2], 4))
        state = segment.train(state, segment.all)
    _trainings.clear()
    return {"steps": steps, "segments": list(segments), "rows": rows}


def table(found: dict[str, dict[str, Any]]) -> str:
    """Markdown: a row a way, a column a model."""
    heads = [f"{model}, {each['steps']} steps" for model, each in found.items()]
    lines = [f"| checkpoint | steps saved | {' | '.join(heads)} |", "| --- | --- |" + " --- |" * len(heads)]
    for name in MAKERS:
        cells = []
        for each in found.values():
            row = each["rows"][name]
            off = row["off"]
            cells.append(f"{row['rejected']} of {row['tries']} ({min(off):.3f} to {max(off):.3f})")
        saved = next(iter(found.values()))["rows"][name]["saved"]
        lines.append(f"| {name} | {100 * saved:.0f} % | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, and write the data and the page's table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["mlp", "cnn", "lstm"])
    parser.add_argument("--steps", type=int, default=16, help="steps a segment")
    parser.add_argument("--segments", default="0,1,8", help="segments looked at")
    parser.add_argument("--draws", type=int, default=3, help="draws of each")
    parser.add_argument("--runs", type=int, default=8, help="perturbed runs")
    parser.add_argument(
        "--write", action="store_true", help="write docs/data/tolerance.json and docs/TOLERANCE.md's table"
    )
    given = parser.parse_args()
    found = {}
    for model in given.models:
        segments = [int(each) for each in given.segments.split(",")]
        found[model] = measure(model, given.steps, segments, given.draws, Tolerance(runs=given.runs))
        print(table({model: found[model]}), flush=True)
    if given.write:
        FILE.write_text(json.dumps(found, indent=1) + "\n")
        page = PAGE.read_text()
        before, rest = page.split(BEGIN)
        PAGE.write_text(before + BEGIN + "\n\n" + table(found) + "\n" + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
