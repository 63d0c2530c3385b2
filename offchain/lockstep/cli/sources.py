"""Where the task comes from that somebody submits: the model zoo, or a function in the submitter's own file.

The file is the submitter's own, run on the submitter's own machine like any Python script. What leaves the machine is
the captured program and its data; nobody else ever runs the file.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from lockstep.cli.errors import CommandError
from lockstep.cli.training import Chosen
from lockstep.cli.zoo import PRESETS, Job
from lockstep.program.capture import CapturedTask, capture
from lockstep.program.infer import ProgramError
from lockstep.program.selection import Dataset

FILE_BATCH_SIZE = 64
"""Samples a step of a model from a file, where nobody says how many."""
WANTED = (
    "(model, loss, optimiser, dataset) or (model, loss, optimiser, dataset, evaluation dataset), or what "
    "lockstep.program.capture.capture gives"
)


def captured_task(source: str, batch_size: int | None = None, chosen: Chosen | None = None) -> CapturedTask:
    """The task that a name of the zoo or ``file.py:function`` names, trained as ``chosen`` says.

    ``batch_size`` None: as many as suit a model of the zoo, else ``FILE_BATCH_SIZE``.

    Raises:
        CommandError: there is no such thing, the function fails or returns something else, or settles itself what was
            chosen
        CaptureError: the model cannot be carried; with the source line

    """
    chosen = chosen or Chosen()
    if source in PRESETS:
        preset = PRESETS[source]
        return capture_job(preset.build(), batch_size or preset.batch_size, chosen)
    built = _built(source)
    if not isinstance(built, CapturedTask):
        job = _job(built, source)
        refuse_optimiser(source, chosen)
        return capture_job(job, batch_size or FILE_BATCH_SIZE, chosen)
    if chosen != Chosen():
        raise CommandError(f"{source} returns a captured task; say how it is trained there, in the call of capture.")
    return built


def training_job(source: str) -> tuple[Job, int]:
    """What a name of the zoo or ``file.py:function`` trains, and how many samples a step of it reads by default.

    Raises:
        CommandError: there is no such thing, or the function fails or returns something else

    """
    if source in PRESETS:
        return PRESETS[source].build(), PRESETS[source].batch_size
    return _job(_built(source), source), FILE_BATCH_SIZE


def capture_job(job: Job, batch_size: int, chosen: Chosen) -> CapturedTask:
    """The programs of a job, trained as ``chosen`` says."""
    return capture(
        job.model,
        job.loss,
        chosen.optimiser or job.optimiser,
        job.train,
        batch_size,
        evaluation=job.evaluation,
        accumulate=chosen.accumulate,
        early_stopping=chosen.early_stopping,
        loss_scale=chosen.loss_scale,
        residual=chosen.residual,
        recompute=chosen.recompute,
    )


def _built(source: str) -> Any:
    """What the function gives that ``file.py:function`` names."""
    file, colon, name = source.rpartition(":")
    if not colon or not file or not name.isidentifier():
        names = ", ".join(PRESETS)
        raise CommandError(
            f"{source!r} is neither a model of the zoo ({names}) nor FILE.py:FUNCTION, such as train.py:build."
        )
    return _call(Path(file), name)


def _call(file: Path, name: str) -> Any:
    module = _load(file)
    function: Callable[[], Any] | None = getattr(module, name, None)
    if not callable(function):
        raise CommandError(f"{file} has no function {name}.")
    return _run(file, f"{name}()", function)


def _load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise CommandError(f"There is no Python file {file}.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickling look modules up by name
    sys.path.insert(0, str(file.resolve().parent))  # as if it were run as a script: its neighbours can be imported
    loader = spec.loader
    _run(file, "importing it", lambda: loader.exec_module(module))
    return module


def _run(file: Path, what: str, function: Callable[[], Any]) -> Any:
    """The function's value; the user's own error becomes a sentence with the user's own line."""
    try:
        return function()
    except ProgramError:
        raise
    except Exception as error:
        raise CommandError(f"{what} failed in {_place(error, file)}: {type(error).__name__}: {error}") from error


def _place(error: Exception, file: Path) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == file.resolve()]
    number = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    return f"{file}:{number}" if number else str(file)


def _job(built: Any, source: str) -> Job:
    """The job that a function returned as a tuple."""
    if not isinstance(built, tuple) or len(built) not in (4, 5):
        raise CommandError(f"{source} returned {type(built).__name__}; it returns {WANTED}.")
    model, loss, optimiser, *data = built
    if not isinstance(model, nn.Module) or not callable(loss):
        what = "model is no nn.Module" if not isinstance(model, nn.Module) else "loss cannot be called"
        raise CommandError(f"{source} returned a tuple whose {what}; it returns {WANTED}.")
    for value, what in zip(data, ("data set", "evaluation data set"), strict=False):
        if not isinstance(value, Dataset):
            raise CommandError(
                f"{source} returned {type(value).__name__} as the {what}; it is a lockstep.data.Dataset."
            )
    if not hasattr(optimiser, "emit"):
        raise CommandError(
            f"{source} returned {type(optimiser).__name__} as the optimiser; it is one of lockstep.program.optimisers, "
            "such as AdamW."
        )
    return Job(*built)


def refuse_optimiser(source: str, chosen: Chosen) -> None:
    """Refuse options that make an optimiser for what brings its own: a function."""
    if source not in PRESETS and chosen.optimiser is not None:
        raise CommandError(
            f"{source} returns its own optimiser; change it there. Of the options only --accumulate, --patience, "
            "--loss-scale, --residual and --recompute are for it, too."
        )
