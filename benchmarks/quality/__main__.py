"""Trains every model of ``benchmarks/quality/jobs.py`` in exact arithmetic and in float32, and writes docs/QUALITY.md.

    python -m benchmarks.quality                            all models, seeds 1, 2, 3: hours
    python -m benchmarks.quality mlp gpt-small --seeds 1    only these
    python -m benchmarks.quality mlp cnn --native           these, and in native floating point, too
    python -m benchmarks.quality --table                    no training: the tables from what was trained

A run that docs/data/quality.json holds already is not trained again, so a call may be stopped and repeated.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from benchmarks.quality import table, training
from benchmarks.quality.jobs import JOBS, Job
from lockstep.data.images import FASHION_MNIST
from lockstep.program.capture import CapturedTask, capture
from lockstep.program.encoding import commit_program
from lockstep.program.work import program_work

ARITHMETICS = ("exact", "float32")


def train(name: str, job: Job, arithmetic: str, seed: int, folder: Path, threads: int) -> table.Run:
    """One training and its test metrics."""
    torch.manual_seed(0)
    model = job.model()
    data, test = job.data(folder)
    task: CapturedTask = capture(model, job.loss, job.optimiser, data, job.batch_size, evaluation=test)
    begun = time.perf_counter()
    if arithmetic == "exact":
        metrics = training.exact(task, seed, job.steps, threads)
    elif arithmetic in table.NATIVE:
        metrics = training.native(task, table.NATIVE[arithmetic], seed, job.steps, threads)
    else:
        metrics = training.float32(task, model, job.loss, job.optimiser, data, test, seed, job.steps, threads)
    seconds = round(time.perf_counter() - begun, 1)
    program = commit_program(task.step, program_work(task.step)).hash.hex()
    return table.Run(name, arithmetic, seed, job.settings, metrics, seconds, program if arithmetic == "exact" else "")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="name", help=f"which to train: {', '.join(JOBS)} (default: all)")
    parser.add_argument("--seeds", default="1,2,3", help="tasks' seeds, with commas between (default: 1,2,3)")
    parser.add_argument("--folder", type=Path, default=FASHION_MNIST, help="where Fashion-MNIST's files are")
    parser.add_argument("--threads", type=int, default=1, help="of either arithmetic (default: 1)")
    parser.add_argument("--native", action="store_true", help="also in native floating point")
    parser.add_argument("--table", action="store_true", help="train nothing; write the table")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(JOBS))
    if unknown:
        parser.error(f"there is no training called {', '.join(unknown)}; there are {', '.join(JOBS)}")
    if not arguments.table:
        for seed in (int(text) for text in arguments.seeds.split(",")):
            for name in arguments.names or JOBS:
                for arithmetic in (*ARITHMETICS, *(table.NATIVE if arguments.native else ())):
                    if table.find(name, arithmetic, seed, JOBS[name].settings) is None:
                        run = train(name, JOBS[name], arithmetic, seed, arguments.folder, arguments.threads)
                        print(f"{name} {arithmetic} seed {seed}: {run.metrics} in {run.seconds} s", flush=True)
                        table.append(run)
    table.write()


main()
