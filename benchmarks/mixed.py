"""Training steps of the zoo's models in native floating point, and exact ones, against eager torch float32, turn about.

The same program in every column but eager's, which is the model itself: what a program costs in separate operations
shows in float32 as much as what the precision gains.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.measure import Result, ratio, turn_about
from benchmarks.step import SEED, eager_step, exact_step, steps
from benchmarks.zoo import MODELS, captured_job, chosen, plain_job, tensors
from lockstep.engine.mixed.runner import MixedRunner
from lockstep.engine.parallel.ranks import torch_threads
from lockstep.engine.segment import initial_state

PRECISIONS = ("f32", "bf16")


def measure(quick: bool = False) -> Iterator[Result]:
    """``mixed/MODEL/PRECISION`` and ``mixed/MODEL/exact`` at one thread."""
    for name in chosen(("mlp",) if quick else ("mlp", "cnn", *MODELS)):
        job = plain_job(name)
        task = captured_job(name, job)
        start = initial_state(task.init, task.constants, SEED)
        exact, engine = exact_step(task, 1)
        with torch_threads(1):
            runners = [MixedRunner(task.step, task.constants, SEED, precision=p) for p in PRECISIONS]
            eager = eager_step(job.model, *tensors(job.train), task.batch_size, job.loss)
            calls = [exact, *(steps(runner, start) for runner in runners), eager]
            *ours, peer = turn_about(calls, 1.0 if quick else 8.0)
        runs = (engine, *(runner.name for runner in runners))
        for label, seconds, what in zip(("exact", *PRECISIONS), ours, runs, strict=True):
            detail = f"batch {task.batch_size}, Adam, {len(task.step.nodes)} nodes; {what}, against eager float32 torch"
            yield ratio(f"mixed/{name}/{label}", seconds, peer, detail)
