"""How far native training ends from exact training, and from what rounding operands at random makes of an exact run.

Every run begins at an exact state. A distance is the L2 norm of what differs, over one f32 tensor of the state or all
of them, as a share of what the exact segment changed in it. ``LOCKSTEP_BENCH`` names models. Integers must be equal.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from benchmarks.measure import Result
from benchmarks.step import SEED
from benchmarks.zoo import chosen
from lockstep.cli.sources import captured_task
from lockstep.engine.mixed.runner import MixedRunner
from lockstep.engine.parallel.ranks import torch_threads
from lockstep.engine.run import Runner
from lockstep.engine.segment import initial_state, run_segment
from lockstep.program.capture import CapturedTask

MODELS = ("mlp", "cnn", "cnn-batch-norm", "attention", "lstm", "gpt-small", "bert-small")
STARTS, LENGTHS, NOISES = (0, 200), (8, 32), 8


def differences(a: Sequence[Tensor], b: Sequence[Tensor]) -> list[float]:
    """L2 norm of the difference of each f32 tensor; ``ValueError`` where integers differ."""
    found = []
    for x, y in zip(a, b, strict=True):
        if x.dtype == torch.float32:
            found.append(float((x.double() - y.double()).norm()))
        elif not torch.equal(x, y):
            raise ValueError("An integer tensor of the state differs.")
    return found


def whole(distances: Sequence[float]) -> float:
    """The norm over all tensors together."""
    return sum(x * x for x in distances) ** 0.5


def segments(task: CapturedTask, start: Sequence[Tensor], first: int, name: str) -> Iterator[Result]:
    """The figures of segments of every length from one state on."""
    runners = {p: MixedRunner(task.step, task.constants, SEED, precision=p) for p in ("f32", "bf16")}
    perturbed = [
        MixedRunner(task.step, task.constants, SEED, precision="perturbed", noise=noise) for noise in range(NOISES)
    ]
    exact_runner = Runner(task.step, task.constants, SEED, threads=1)
    for length in LENGTHS:
        exact = run_segment(exact_runner, start, first, length).state
        floats = [tensor if tensor.dtype == torch.float32 else end for tensor, end in zip(start, exact, strict=True)]
        moved = differences(floats, exact)

        def away(runner: MixedRunner, exact: list[Tensor] = exact, length: int = length) -> list[float]:
            return differences(run_segment(runner, start, first, length).state, exact)

        noise = [away(runner) for runner in perturbed]
        usual = [statistics.median(each) for each in zip(*noise, strict=True)]
        most = [max(each) for each in zip(*noise, strict=True)]
        peer = statistics.median(map(whole, noise)) / whole(moved)
        for precision, runner in runners.items():
            found = away(runner)
            by_median = [x / y for x, y in zip(found, usual, strict=True) if y]
            by_most = [x / y for x, y in zip(found, most, strict=True) if y]
            ours = whole(found) / whole(moved)
            detail = (
                f"against {NOISES} perturbed runs; by tensor: over their median {statistics.median(by_median):.2f}, at"
                f" most {max(by_median):.2f}; over their largest at most {max(by_most):.2f}"
            )
            yield Result(f"closeness/{name}/{first}+{length}/{precision}", ours, peer, ours / peer, "moved", detail)


def measure(quick: bool = False) -> Iterator[Result]:
    """``closeness/MODEL/START+LENGTH/PRECISION``."""
    with torch_threads(1):
        for name in chosen(("mlp",) if quick else MODELS):
            task = captured_task(name)
            state: Sequence[Tensor] = initial_state(task.init, task.constants, SEED)
            done = 0
            for first in STARTS[:1] if quick else STARTS:
                if first > done:
                    runner = Runner(task.step, task.constants, SEED, threads=1)
                    state, done = run_segment(runner, state, done, first - done).state, first
                yield from segments(task, state, first, name)
