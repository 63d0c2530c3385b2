"""Phase diagrams as pictures: regions by the inequalities, marks of the simulation, a star for the defaults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from lockstep.economics.phases import COARSE, FINE, Phase

COLOURS = ("#cfe8cf", "#f2c6c0", "#f5e3b3", "#c9d7ef")
"""Of the regions, honesty first."""


def draw(phase: Phase, regions: NDArray[np.int64], honest: NDArray[np.bool_], file: Path) -> None:
    """Write one diagram, in the format of the file's suffix."""
    figure = Figure(figsize=(6.4, 4.6), layout="constrained", dpi=100)
    axes = figure.subplots()
    count = len(phase.regions)
    x, y = phase.x.values(FINE), phase.y.values(FINE)
    colours = ListedColormap(COLOURS[:count])
    axes.pcolormesh(x, y, regions, cmap=colours, vmin=-0.5, vmax=count - 0.5, shading="nearest")
    across, up = np.meshgrid(phase.x.values(COARSE), phase.y.values(COARSE))
    axes.plot(across[honest], up[honest], "o", color="#1b5e20", ms=5, label="simulated: honest")
    axes.plot(across[~honest], up[~honest], "x", color="#8e1b10", ms=6, label="simulated: not")
    axes.plot(*phase.here, "*", color="black", ms=14, label="defaults")
    axes.set(title=phase.title, xlabel=phase.x.label, ylabel=phase.y.label)
    for scale, lines, axis in ((axes.set_xscale, axes.xaxis, phase.x), (axes.set_yscale, axes.yaxis, phase.y)):
        if axis.log:
            scale("log")
            lines.set_major_locator(LogLocator(subs=(1, 2, 5)))
            lines.set_major_formatter("{x:g}")
            lines.set_minor_formatter(NullFormatter())
    patches = [Patch(color=COLOURS[place], label=name) for place, name in enumerate(phase.regions)]
    figure.legend(handles=[*patches, *axes.get_lines()], loc="outside lower center", ncols=3, fontsize=8)
    figure.savefig(file)
