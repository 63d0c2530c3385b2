"""Plots of a training's figures as SVG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lockstep.engine.inspection import StepFigures

WIDTH = 7.0
"""Inches."""
LEAST = 1e-12
"""What a zero is drawn as on a logarithmic axis."""


def write_plots(folder: Path, figures: Sequence[StepFigures]) -> None:
    """``parameters.svg``: gradient norm and update to weight by step. ``operands.svg``: lost share by contraction."""
    from matplotlib.figure import Figure

    steps = [found.step for found in figures]
    drawing = Figure(figsize=(WIDTH, WIDTH), layout="constrained")
    for axes, what in zip(drawing.subplots(2, sharex=True), ("gradient_norm", "update_ratio"), strict=True):
        for place, parameter in enumerate(figures[0].parameters):
            line = [max(LEAST, getattr(found.parameters[place], what)) for found in figures]
            axes.plot(steps, line, marker=".", label=parameter.name)
        axes.set(yscale="log", ylabel=what.replace("_", " "), xlabel="step")
    drawing.axes[0].legend(fontsize=5, ncols=2)
    drawing.savefig(folder / "parameters.svg")
    last = figures[-1].operands
    drawing = Figure(figsize=(WIDTH, WIDTH / 2), layout="constrained")
    axes = drawing.subplots()
    axes.bar(range(len(last)), [operand.lost for operand in last])
    axes.set(ylabel="share lost", xlabel="operand, in the program's order", ylim=(0, 1))
    drawing.savefig(folder / "operands.svg")
