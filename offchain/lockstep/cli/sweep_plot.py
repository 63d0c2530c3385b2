"""A sweep as a picture: the metric by the learning rate where several were tried, else a point a setting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lockstep.cli.sweeping import Point, Standing


def draw(standings: Sequence[Standing], metric: str, file: Path) -> None:
    """Write a picture, in the format of the file's suffix; bars are the spread over the folds."""
    rates = {standing.point.lr for standing in standings}
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    if len(rates) > 1:
        _by_rate(axes, standings)
        axes.set_xlabel("learning rate")
        axes.set_ylabel(metric)
    else:
        _by_setting(axes, standings)
        axes.set_xlabel(metric)
    axes.set_title(f"mean and spread over {standings[0].folds} folds")
    axes.grid(alpha=0.3)
    figure.savefig(file)


def _by_rate(axes: Axes, standings: Sequence[Standing]) -> None:
    lines: dict[Point, list[Standing]] = {}
    for standing in standings:
        lines.setdefault(replace(standing.point, lr=None), []).append(standing)
    for point, line in lines.items():
        line.sort(key=lambda standing: standing.point.lr or 0.0)
        x = [standing.point.lr or 0.0 for standing in line]
        axes.errorbar(x, [s.mean for s in line], [s.spread for s in line], marker="o", capsize=3, label=point.label)
    axes.set_xscale("log")
    axes.legend()


def _by_setting(axes: Axes, standings: Sequence[Standing]) -> None:
    best_on_top = list(reversed(standings))
    places = range(len(best_on_top))
    axes.errorbar([s.mean for s in best_on_top], places, xerr=[s.spread for s in best_on_top], fmt="o", capsize=3)
    axes.set_yticks(places, [standing.point.label for standing in best_on_top])
