"""``lockstep inspect``: gradients, updates, and what quantising loses, layer by layer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.cli.console import output, table
from lockstep.cli.options import BatchSize, ModelSource, bundled
from lockstep.cli.training import Training

if TYPE_CHECKING:
    from lockstep.engine.inspection import OperandFigures, StepFigures

SEED = 0
SAMPLES = 5
"""Steps of which figures are taken: the first, the last, and some between."""
PARAMETERS = ("parameter", "weight", "gradient", "update", "update / weight")
OPERANDS = ("contraction", "operand", "lost", "saturated", "crest", "residual")


@bundled
def inspect(
    training: Training,
    source: ModelSource,
    batch_size: BatchSize = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps to train; figures are of up to five.")] = 20,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Also write figures.json and plots (SVG) there.")
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Contractions to list, those that lose most first.")] = 12,
) -> None:
    """Train a few steps and show, by layer, gradients, updates and what quantising loses. Nothing is posted.

    Of each parameter: norms of weight, gradient and update, and update to weight (about 1e-3 is usual). Of each
    contraction's operands: the share of non-zero entries quantised to zero ("lost"), of mantissas at their limit
    ("saturated"), and the crest factor, largest magnitude to root mean square of a row.

    Where a tenth or more is lost, a warning names source line and layer. With --residual LAYER here and at `submit`,
    what was lost is contracted, too.

    Examples:

        lockstep inspect gpt-small --steps 50 --out figures
        lockstep inspect train.py:build
    """
    from lockstep.cli.plots import write_plots
    from lockstep.cli.sources import captured_task
    from lockstep.engine.inspection import Inspector
    from lockstep.engine.run import Runner
    from lockstep.engine.segment import initial_state

    task = captured_task(source, batch_size, training.chosen(steps))
    runner = Runner(task.step, task.constants, SEED)
    inspector = Inspector(task.step, task.constants, SEED, task.parameters, task.gradients)
    state, figures = initial_state(task.init, task.constants, SEED), []
    sampled = sampled_steps(steps)
    for step in range(steps):
        if step in sampled:
            state, found = inspector.step(state, step)
            figures.append(found)
        else:
            state, _ = runner.step(state, step)
    _show(figures[-1], rows)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "figures.json").write_text(json.dumps([asdict(found) for found in figures], indent=1) + "\n")
        write_plots(out, figures)
        output().print(f"Written to {out}: figures.json, parameters.svg, operands.svg.", soft_wrap=True)


def sampled_steps(steps: int) -> set[int]:
    """At most five steps of so many, spread evenly, the first and the last among them."""
    return {round(n * (steps - 1) / (SAMPLES - 1)) for n in range(SAMPLES)}


def _show(found: StepFigures, rows: int) -> None:
    console = output()
    shown = table(f"Parameters at step {found.step}", *PARAMETERS, right=PARAMETERS[1:])
    for p in found.parameters:
        numbers = (p.weight_norm, p.gradient_norm, p.update_norm, p.update_ratio)
        shown.add_row(p.name, *(f"{number:.3g}" for number in numbers))
    console.print(shown)
    worst = sorted(found.operands, key=lambda operand: -operand.lost)
    shown = table(f"Quantised operands at step {found.step}, {min(rows, len(worst))} of {len(worst)}", *OPERANDS)
    for o in worst[:rows]:
        what = f"{o.slot // 2} {'x'.join(map(str, o.shape))}"
        shares = (f"{100 * o.lost:.2f} %", f"{100 * o.saturated:.3f} %", f"{o.crest:.1f}")
        shown.add_row(f"node {o.node} {o.layer or o.place}", what, *shares, "yes" if o.residual else "")
    console.print(shown)
    for line in warnings(found.operands):
        console.print(line, style="yellow", soft_wrap=True)


def warnings(operands: Sequence[OperandFigures]) -> list[str]:
    """A sentence for each source line at which too much is lost, the worst operand's figures in it."""
    worst: dict[str, OperandFigures] = {}
    for operand in operands:
        if operand.is_warned_of and operand.lost > (worst[operand.place].lost if operand.place in worst else 0.0):
            worst[operand.place] = operand
    return [
        f"{o.place or 'An unnamed line'} (node {o.node}): {100 * o.lost:.0f} % of an operand's non-zero entries are "
        f"quantised to zero (crest factor {o.crest:.0f}). Consider --residual {o.layer or 'with its layer'}."
        for o in worst.values()
    ]
