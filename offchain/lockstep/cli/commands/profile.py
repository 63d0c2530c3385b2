"""``lockstep profile``: where a training step's time goes."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated

import typer

from lockstep.cli.console import output, table
from lockstep.cli.options import BatchSize, ModelSource, bundled
from lockstep.cli.training import Training

COLUMNS = ("what", "times", "ms", "share")
SEED = 0
"""Any seed will do: no op's time depends on it."""


@bundled
def profile(
    training: Training,
    source: ModelSource,
    batch_size: BatchSize = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, max=1024, help="Of the native engine.", show_default="all")
    ] = None,
    native: Annotated[
        bool | None, typer.Option("--native/--torch", help="On what it runs.", show_default="the fastest there is")
    ] = None,
    repeat: Annotated[int, typer.Option("--repeat", min=1, max=10_000, help="Runs; the least time counts.")] = 20,
    each: Annotated[bool, typer.Option("--each", help="Every instruction, not their sum by op.")] = False,
) -> None:
    """Show where a training step's time goes, by op. Nothing is posted; no node is needed.

    The native engine does runs of elementwise ops in one pass ("fused"), and views where they are read.

    Examples:

        lockstep profile cnn
        lockstep profile train.py:build --each --torch
    """
    from lockstep.cli.sources import captured_task
    from lockstep.engine.run import Runner
    from lockstep.engine.segment import initial_state

    task = captured_task(source, batch_size, training.chosen(1))
    runner = Runner(task.step, task.constants, SEED, threads=threads, native=native)
    measured = runner.profile(initial_state(task.init, task.constants, SEED), repeat=repeat)
    total = sum(seconds for _, seconds in measured)
    rows: dict[str, list[float]] = defaultdict(list)
    for name, seconds in measured:
        rows[name if each else name.partition(" ")[0]].append(seconds)
    shown = table("By instruction" if each else "By op", *COLUMNS, right=COLUMNS[1:])
    for name, times in sorted(rows.items(), key=lambda row: -sum(row[1])):
        shown.add_row(name, str(len(times)), f"{1e3 * sum(times):.3f}", f"{100 * sum(times) / total:.1f} %")
    console = output()
    console.print(f"A step of {source} takes {1e3 * total:.3f} ms on {runner.name}.", soft_wrap=True)
    console.print(shown)
