"""``lockstep train``: the steps a solver would run, here, without a chain."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.cli.errors import INTERRUPTED, CommandError
from lockstep.cli.options import BatchSize, ModelSource, Processes, bundled
from lockstep.cli.training import MAX_INT32, Training

if TYPE_CHECKING:
    from torch import Tensor

    from lockstep.agents.workload import Workload
    from lockstep.cli.local_run import Job, LocalRun
    from lockstep.cli.voice import Voice
    from lockstep.engine.run import Runner


class PrecisionName(StrEnum):
    """What a step may be computed in."""

    EXACT = "exact"
    F32 = "f32"
    BF16 = "bf16"
    TF32 = "tf32"


@bundled
def train(
    training: Training,
    source: ModelSource,
    steps: Annotated[int, typer.Option("--steps", min=1, max=MAX_INT32, help="Training steps.")] = 320,
    segment_steps: Annotated[
        int, typer.Option("--segment-steps", min=1, max=MAX_INT32, help="Steps between checkpoints.")
    ] = 32,
    batch_size: BatchSize = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**64 - 1, help="Decides weights, order and dropout.")] = 0,
    nproc: Processes = 1,
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, max=1024, help="Of each process.", show_default="the processors, shared out"),
    ] = None,
    native: Annotated[
        bool | None, typer.Option("--native/--torch", help="On what it runs.", show_default="the fastest there is")
    ] = None,
    precision: Annotated[
        PrecisionName,
        typer.Option(
            "--precision",
            help="Other than exact: native floating point, with products of operands in this precision. The roots are"
            " then this run's own: nobody else finds the same ones.",
        ),
    ] = PrecisionName.EXACT,
    device: Annotated[str, typer.Option("--device", help="Where it runs: cpu, cuda, cuda:1.")] = "cpu",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder of the run.", show_default=".lockstep/train/, the model's name and the precision"
        ),
    ] = None,
) -> None:
    """Train here, exactly as a solver would: the same programs, the same steps, the same roots. No node is needed.

    Progress is kept in a folder: stopped in any way, even by kill -9, the same command goes on from the last
    checkpoint. With --nproc the batch is split over processes, and every root stays what it is with one.

    With --precision the same program runs in native floating point instead. It trains as well, but its roots cannot be
    reproduced, so no solver can hand them in where a task is exact.

    Examples:

        lockstep train mlp --steps 320
        lockstep train resnet18 --nproc 4 --segment-steps 8
        lockstep train gpt-small --precision bf16 --device cuda
        lockstep train train.py:build --out run
    """
    from lockstep.agents.workload import captured_workload
    from lockstep.cli.console import output
    from lockstep.cli.local_run import Job, LocalRun
    from lockstep.cli.loop import stoppable
    from lockstep.cli.sources import captured_task
    from lockstep.cli.voice import Voice
    from lockstep.engine.parallel.ranks import torch_threads

    exact = precision is PrecisionName.EXACT
    if not exact and (nproc > 1 or native is not None):
        raise CommandError(f"--precision {precision} is run by PyTorch in one process: leave --nproc and --native out.")
    _require_device(device)
    name = re.sub(r"\W+", "-", source).strip("-")
    folder = out or Path(".lockstep") / "train" / (name if exact else f"{name}-{precision}")
    captured = captured_task(source, batch_size, training.chosen(steps))
    workload = captured_workload(captured)
    hashes = workload.step_commitment.hash.hex(), workload.commitment(0).hash.hex()
    job = Job(*hashes, seed, segment_steps, str(precision))
    voice = Voice(output(), "train")
    with LocalRun.opened(folder, job) as run, closing(voice):
        try:
            with stoppable(), nullcontext() if exact or threads is None else torch_threads(threads):
                runner = _runner(workload, job, device, threads, native, nproc)
                with closing(runner):
                    if not exact:
                        voice.say(f"computes in {precision}, not exactly: no other machine finds the roots that follow")
                    state = _train(run, workload, runner, voice, steps)
                _finish(run, workload, voice, state)
        except KeyboardInterrupt:
            voice.close()
            voice.say("stops. Nothing is lost: the same command goes on from the last checkpoint")
            raise typer.Exit(INTERRUPTED) from None


def _require_device(device: str) -> None:
    """Refuse a device that is not there, before anything is captured for it."""
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise CommandError(f"There is no device {device!r} here ({reason}). Pass cpu, or leave --device out.") from None


def _runner(workload: Workload, job: Job, device: str, threads: int | None, native: bool | None, nproc: int) -> Runner:
    """What runs the steps."""
    from lockstep.engine.mixed.runner import MixedRunner
    from lockstep.engine.run import Runner

    program, constants = workload.step, workload.constants
    if job.precision != PrecisionName.EXACT:
        return MixedRunner(program, constants, job.seed, precision=job.precision, device=device)
    return Runner(program, constants, job.seed, threads=threads, native=native, processes=nproc, device=device)


def _train(run: LocalRun, workload: Workload, runner: Runner, voice: Voice, steps: int) -> Sequence[Tensor]:
    """Segment after segment up to ``steps``; the last state."""
    from lockstep.engine.segment import initial_state, run_segment

    program, constants, job = workload.step, workload.init_constants, run.record.job
    if run.done < 0:
        state = initial_state(workload.program(0), constants, job.seed)
        voice.say(f"begins on {runner.name}: start {run.save(program, 0, state)}")
    else:
        state = run.load(program)
        voice.say(f"goes on at step {run.done} on {runner.name}: root {run.record.checkpoints[-1][1]}")

    def on_step(step: int, after: Sequence[Tensor], metrics: Sequence[float]) -> None:
        voice.progress(step + 1, steps, _note(workload, metrics))

    while run.done < steps:
        count = min(job.segment_steps - run.done % job.segment_steps, steps - run.done)
        segment = run_segment(runner, state, run.done, count, on_step)
        state = [tensor.cpu() for tensor in segment.state]
        root = run.save(program, run.done + count, state)
        voice.say(f"is at step {run.done} of {steps}, {_note(workload, segment.metrics[-1])}: root {root}")
    return state


def _note(workload: Workload, metrics: Sequence[float]) -> str:
    """The metrics of a step in words."""
    names = workload.step.names.metrics
    return ", ".join(f"{name} {value:.4f}" for name, value in zip(names, metrics, strict=True))


def _finish(run: LocalRun, workload: Workload, voice: Voice, state: Sequence[Tensor]) -> None:
    """Write the weights under the model's names, and say what they are worth."""
    from lockstep.cli.local_run import WEIGHTS
    from lockstep.cli.weights import write_weights
    from lockstep.engine.run import Runner
    from lockstep.engine.segment import mean_metrics

    file = run.folder / WEIGHTS
    about = {"root": run.record.checkpoints[-1][1], "precision": run.record.job.precision}
    write_weights(file, workload.step, state, about)
    voice.say(f"has written {file}")
    if workload.predict is not None and workload.predict_steps:
        runner = Runner(workload.predict, workload.predict_constants, run.record.job.seed)
        means = mean_metrics(runner, state, workload.predict_steps)
        for name, value in zip(workload.step.names.metrics, means, strict=True):
            voice.console.print(f"test {name} {value:.4f}", highlight=False)
