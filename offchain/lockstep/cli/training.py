"""Options that say how a model is trained: optimiser, learning rate, schedule, clipping, accumulation, early stopping.

What they choose is written into the captured program; nothing of it is left to whoever runs the steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.cli.options import Bundle

if TYPE_CHECKING:
    from lockstep.program.optimisers import Optimiser, Rate
    from lockstep.program.stopping import EarlyStopping

PANEL = "How it is trained"
MAX_INT32 = 2**31 - 1


class OptimiserName(StrEnum):
    """The optimisers that a command can name."""

    SGD = "sgd"
    MOMENTUM = "momentum"
    NESTEROV = "nesterov"
    ADAM = "adam"
    ADAMW = "adamw"
    LION = "lion"
    MUON = "muon"


class ScheduleName(StrEnum):
    """The schedules that a command can name."""

    CONSTANT = "constant"
    LINEAR = "linear"
    COSINE = "cosine"
    STEP = "step"


DEFAULT_RATES = {
    OptimiserName.SGD: 0.3,
    OptimiserName.MOMENTUM: 0.1,
    OptimiserName.NESTEROV: 0.1,
    OptimiserName.ADAM: 3e-3,
    OptimiserName.ADAMW: 3e-3,
    OptimiserName.LION: 1e-3,
    OptimiserName.MUON: 1e-2,
}
"""Rates that train the zoo's models on the digits."""


OPTIMISERS_OWN = (
    "optimiser", "lr", "weight_decay", "schedule", "warmup", "floor", "decay_at", "clip_norm", "clip_value",
)  # fmt: skip
"""The options that make an optimiser; a function brings its own."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What options chose. ``optimiser`` None: the source's own; the others are those of ``capture``."""

    optimiser: Optimiser | None = None
    accumulate: int = 1
    early_stopping: EarlyStopping | None = None
    loss_scale: float = 1.0
    residual: tuple[str, ...] | None = ()
    recompute: int | None = None


@dataclass(frozen=True, slots=True)
class Training(Bundle):
    """How a model is trained. The optimiser's options are for models of the zoo: a function brings its own."""

    optimiser: Annotated[
        OptimiserName | None,
        typer.Option(
            "--optimiser",
            help="Update rule; FILE.py:FUNCTION returns its own. muon orthogonalises the updates of matrices and leaves"
            " the rest to adamw.",
            show_default="the model's own; adam with any other of these options",
            rich_help_panel=PANEL,
        ),
    ] = None
    lr: Annotated[
        float | None,
        typer.Option(
            "--lr",
            metavar="RATE",
            help="Learning rate, the highest that its schedule reaches.",
            show_default=", ".join(f"{name} {rate:g}" for name, rate in DEFAULT_RATES.items()),
            rich_help_panel=PANEL,
        ),
    ] = None
    weight_decay: Annotated[
        float | None,
        typer.Option(
            "--weight-decay",
            metavar="NUMBER",
            help="Decoupled from the gradient in adamw, lion and muon; in the others added to it (L2).",
            show_default="adamw and muon 0.01, others 0",
            rich_help_panel=PANEL,
        ),
    ] = None
    schedule: Annotated[
        ScheduleName,
        typer.Option(
            "--schedule",
            help="How the rate goes on from --lr: linear and cosine fall to --floor at the last of --steps; step is a"
            " tenth from each of --decay-at on.",
            rich_help_panel=PANEL,
        ),
    ] = ScheduleName.CONSTANT
    warmup: Annotated[
        int,
        typer.Option(
            "--warmup",
            metavar="STEPS",
            min=0,
            max=MAX_INT32,
            help="First this many steps in which the rate rises linearly to --lr.",
            rich_help_panel=PANEL,
        ),
    ] = 0
    floor: Annotated[
        float,
        typer.Option("--floor", metavar="RATE", help="Where linear and cosine end.", rich_help_panel=PANEL),
    ] = 0.0
    decay_at: Annotated[
        str | None,
        typer.Option(
            "--decay-at",
            metavar="STEP,STEP,...",
            help="When --schedule step lowers the rate.",
            show_default=False,
            rich_help_panel=PANEL,
        ),
    ] = None
    clip_norm: Annotated[
        float | None,
        typer.Option(
            "--clip-norm",
            metavar="NORM",
            help="Largest norm of all gradients together.",
            show_default="no limit",
            rich_help_panel=PANEL,
        ),
    ] = None
    clip_value: Annotated[
        float | None,
        typer.Option(
            "--clip-value",
            metavar="BOUND",
            help="Largest absolute value of an element of a gradient; applied before --clip-norm.",
            show_default="no limit",
            rich_help_panel=PANEL,
        ),
    ] = None
    accumulate: Annotated[
        int,
        typer.Option(
            "--accumulate",
            metavar="PARTS",
            min=1,
            max=MAX_INT32,
            help="Cut each batch into equal parts, run one after the other for one update: less memory, a longer"
            " program.",
            rich_help_panel=PANEL,
        ),
    ] = 1
    patience: Annotated[
        int | None,
        typer.Option(
            "--patience",
            metavar="STEPS",
            min=1,
            max=2**24,
            help="Add the metric `stop`: 1 once the running loss has not fallen for this many steps. All --steps are"
            " trained and paid all the same.",
            show_default="no such metric",
            rich_help_panel=PANEL,
        ),
    ] = None

    loss_scale: Annotated[
        float,
        typer.Option(
            "--loss-scale",
            metavar="2^K",
            help="Multiply the loss before the backward pass and divide the gradients after it: a power of two.",
            rich_help_panel=PANEL,
        ),
    ] = 1.0
    residual: Annotated[
        str | None,
        typer.Option(
            "--residual",
            metavar="LAYER,LAYER,...|none",
            help="Layers, by names as in `blocks.*.queries`, whose products keep about as many digits as float32's do:"
            " three products for one. none: not even where a rule puts a residual by itself (docs/NUMERICS.md).",
            show_default="where rows hide much: logits of many classes, attention",
            rich_help_panel=PANEL,
        ),
    ] = None
    recompute: Annotated[
        int | None,
        typer.Option(
            "--recompute",
            min=1,
            metavar="MIB",
            help="Let a step's values take so many MiB at once, beside the states; where they would take more, compute"
            " parts of the forward pass again in the backward pass (docs/CAPTURE.md).",
            show_default="keep them all",
            rich_help_panel=PANEL,
        ),
    ] = None

    def chosen(self, steps: int) -> Chosen:
        """What the options say for a task of ``steps`` steps; a usage error where they do not fit together."""
        from lockstep.program.stopping import EarlyStopping

        stopping = EarlyStopping(self.patience) if self.patience is not None else None
        try:
            budget = self.recompute << 20 if self.recompute is not None else None
            return Chosen(self._optimiser(steps), self.accumulate, stopping, self.loss_scale, self._residual(), budget)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    def _optimiser(self, steps: int) -> Optimiser | None:
        from lockstep.program.optimisers import SGD, Adam, AdamW, ClipNorm, ClipValue, Lion, Momentum, Muon

        if all(getattr(self, name) == getattr(Training(), name) for name in OPTIMISERS_OWN):
            return None
        name = self.optimiser or OptimiserName.ADAM
        rate = self._rate(DEFAULT_RATES[name] if self.lr is None else self.lr, steps)
        l2 = self.weight_decay or 0.0
        decoupled = 1e-2 if self.weight_decay is None else self.weight_decay
        makers: dict[OptimiserName, Callable[[], Optimiser]] = {
            OptimiserName.SGD: lambda: SGD(rate, l2),
            OptimiserName.MOMENTUM: lambda: Momentum(rate, weight_decay=l2),
            OptimiserName.NESTEROV: lambda: Momentum(rate, nesterov=True, weight_decay=l2),
            OptimiserName.ADAM: lambda: Adam(rate, weight_decay=l2),
            OptimiserName.ADAMW: lambda: AdamW(rate, weight_decay=decoupled),
            OptimiserName.LION: lambda: Lion(rate, weight_decay=l2),
            # So adjusted, one rate and one decay serve matrices and the rest.
            OptimiserName.MUON: lambda: Muon(
                rate,
                weight_decay=decoupled,
                adjust="match_rms_adamw",
                others=AdamW(rate, weight_decay=decoupled),
            ),
        }
        made = makers[name]()
        # The outermost clips first.
        if self.clip_norm is not None:
            made = ClipNorm(made, self.clip_norm)
        if self.clip_value is not None:
            made = ClipValue(made, self.clip_value)
        return made

    def _residual(self) -> tuple[str, ...] | None:
        """The layers of --residual; None for none, not even where rules want one."""
        if self.residual == "none":
            return None
        names = tuple(name.strip() for name in self.residual.split(",")) if self.residual is not None else ()
        if not all(names):
            raise ValueError(f"--residual {self.residual!r}: names of layers with commas between, or none.")
        return names

    def _rate(self, lr: float, steps: int) -> Rate:
        from lockstep.program.optimisers import Cosine, Linear, MultiStep, Warmup

        if not 0 < lr < math.inf:
            raise ValueError(f"--lr is {lr}; it is positive.")
        if self.warmup >= steps:
            raise ValueError(f"--warmup {self.warmup} leaves none of {steps} steps.")
        if self.floor and self.schedule not in (ScheduleName.LINEAR, ScheduleName.COSINE):
            raise ValueError("--floor is where --schedule linear or cosine ends.")
        if (self.decay_at is None) is (self.schedule is ScheduleName.STEP):
            raise ValueError("--decay-at and --schedule step go together.")
        rest = steps - self.warmup
        rate: Rate = lr
        match self.schedule:
            case ScheduleName.LINEAR:
                rate = Linear(lr, self.floor, rest)
            case ScheduleName.COSINE:
                rate = Cosine(lr, rest, self.floor)
            case ScheduleName.STEP:
                rate = MultiStep(lr, self._milestones())
        return Warmup(self.warmup, rate) if self.warmup else rate

    def _milestones(self) -> tuple[int, ...]:
        """The steps of --decay-at, counted from the end of the warm-up."""
        parts = (self.decay_at or "").split(",")
        if not all(part.strip().isdecimal() and int(part) > self.warmup for part in parts):
            raise ValueError(
                f"--decay-at {self.decay_at!r}: step numbers with commas between, such as 160,240, after the warm-up."
            )
        return tuple(int(part) - self.warmup for part in parts)
