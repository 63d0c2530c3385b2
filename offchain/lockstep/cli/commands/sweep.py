"""``lockstep sweep``: which settings train best, by cross-validation on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from lockstep.cli.console import errors, output, table
from lockstep.cli.options import bundled
from lockstep.cli.training import OptimiserName, ScheduleName, Training

if TYPE_CHECKING:
    from lockstep.cli.sweeping import Point, Try
    from lockstep.cli.training import Chosen

PLOTS = (".png", ".svg", ".pdf")
T = TypeVar("T")
LIST = "VALUE,VALUE,..."


@bundled
def sweep(
    sources: Annotated[list[str], typer.Argument(metavar="MODEL|FILE.py:FUNCTION...", help="What `submit` takes.")],
    optimiser: Annotated[
        str | None, typer.Option("--optimiser", metavar=LIST, help="As in `submit`.", show_default="the model's own")
    ] = None,
    lr: Annotated[
        str | None, typer.Option("--lr", metavar=LIST, help="Learning rates.", show_default="as in `submit`")
    ] = None,
    weight_decay: Annotated[
        str | None, typer.Option("--weight-decay", metavar=LIST, help="As in `submit`.", show_default="as in `submit`")
    ] = None,
    batch_size: Annotated[
        str | None, typer.Option("--batch-size", metavar=LIST, help="Samples a step.", show_default="the model's own")
    ] = None,
    schedule: Annotated[ScheduleName, typer.Option("--schedule", help="As in `submit`.")] = ScheduleName.CONSTANT,
    warmup: Annotated[int, typer.Option("--warmup", min=0, help="As in `submit`.")] = 0,
    floor: Annotated[float, typer.Option("--floor", help="As in `submit`.")] = 0.0,
    decay_at: Annotated[str | None, typer.Option("--decay-at", help="As in `submit`.", show_default=False)] = None,
    steps: Annotated[int, typer.Option("--steps", min=1, max=2**32 - 1, help="Training steps of each try.")] = 320,
    fold_count: Annotated[
        int, typer.Option("--folds", min=2, max=1000, help="Parts of the training data; each is left out once.")
    ] = 3,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**64 - 1, help="Weights, order, dropout.")] = 0,
    metric: Annotated[
        str | None, typer.Option("--metric", help="What decides.", show_default="accuracy, or the loss without one")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="JSON of every try; what it holds is not trained again.")
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="A picture: .png, .svg or .pdf.")] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, max=1024, help="Of the native engine.")] = None,
) -> None:
    """Train every combination of settings on all but one fold of the training data, fold by fold, and rank them.

    Options with lists are tried in all combinations. Training is exact, as a task's would be, and here: nothing is
    posted, no node is needed. Evaluation data are not touched. A function's own optimiser cannot be changed; its batch
    size can.

    Examples:

        lockstep sweep mlp --lr 1e-3,3e-3 --optimiser adam,lion --folds 3
        lockstep sweep cnn cnn-batch-norm --schedule cosine --lr 3e-3 --out sweep.json --plot sweep.svg
    """
    if plot is not None and plot.suffix not in PLOTS:
        raise typer.BadParameter(f"--plot {plot} ends in none of {', '.join(PLOTS)}.")
    names = _list(optimiser, "--optimiser", lambda text: OptimiserName(text).value)
    grid_of = (
        names,
        _list(lr, "--lr", float),
        _list(weight_decay, "--weight-decay", float),
        _list(batch_size, "--batch-size", _positive),
    )

    from lockstep.cli import sweeping

    def choose(point: Point) -> Chosen:
        name = OptimiserName(point.optimiser) if point.optimiser else None
        return Training(name, point.lr, point.weight_decay, schedule, warmup, floor, decay_at).chosen(steps)

    grid = sweeping.points(sources, *grid_of)
    kept = sweeping.load(out) if out is not None else []
    tries: list[Try] = []
    aside = errors()
    for each, is_new in sweeping.sweep(grid, fold_count, seed, steps, choose, kept, threads):
        tries.append(each)
        measured = ", ".join(f"{name} {value:.4f}" for name, value in each.metrics.items())
        told = f"in {each.seconds:.1f} s" if is_new else "as before"
        aside.print(f"{each.point.label}, fold {each.fold + 1} of {fold_count}: {measured} {told}", soft_wrap=True)
        if is_new:
            kept = [*kept, each]
            if out is not None:
                sweeping.save(out, kept)
    _show(tries, metric, plot)


def _show(tries: list[Try], metric: str | None, plot: Path | None) -> None:
    from lockstep.cli import sweeping

    deciding = metric or ("accuracy" if all("accuracy" in each.metrics for each in tries) else "loss")
    standings = sweeping.ranking(tries, deciding)
    seconds = dict.fromkeys((standing.point for standing in standings), 0.0)
    for each in tries:
        seconds[each.point] += each.seconds
    shown = table("Best first", "setting", deciding, "spread", "seconds", right=(deciding, "spread", "seconds"))
    for standing in standings:
        row = (standing.point.label, f"{standing.mean:.4f}", f"{standing.spread:.4f}")
        shown.add_row(*row, f"{seconds[standing.point]:.1f}")
    output().print(shown)
    if plot is not None:
        from lockstep.cli.sweep_plot import draw

        draw(standings, deciding, plot)


def _list(text: str | None, option: str, read: Callable[[str], T]) -> list[T] | None:
    """The values of an option with commas between; None where it was not given."""
    if text is None:
        return None
    try:
        return [read(part.strip()) for part in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"{option} {text!r}: {error}.") from None


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{text!r} is no number of samples")
    return int(text)
