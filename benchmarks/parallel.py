"""A training step split over two processes against the same step in one: one thread each, turn about.

Only two free processors can show what the second process is worth; what else runs beside it counts twice here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from benchmarks.measure import Result, interleaved, ratio
from benchmarks.step import steps
from benchmarks.zoo import chosen
from lockstep.cli.sources import captured_task
from lockstep.engine.run import Runner
from lockstep.engine.segment import initial_state

SEED = 7
MODELS = ("cnn", "gpt-small")
"""Small ones: ``LOCKSTEP_BENCH=resnet18`` for a larger one."""


def measure(quick: bool = False) -> Iterator[Result]:
    """``parallel/MODEL``: two processes against one."""
    for name in chosen(MODELS):
        task = captured_task(name)
        start = initial_state(task.init, task.constants, SEED)
        alone = Runner(task.step, task.constants, SEED, threads=1)
        with closing(Runner(task.step, task.constants, SEED, threads=1, processes=2)) as pair:
            ours, peer = interleaved(steps(pair, start), steps(alone, start), 0.5 if quick else 6.0)
        detail = f"batch {task.batch_size}; {pair.name}, against one"
        yield ratio(f"parallel/{name}", ours, peer, detail)
