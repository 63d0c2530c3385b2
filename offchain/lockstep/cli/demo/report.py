"""What the demo leaves behind: tables for people, ``report.json`` for programs."""

from __future__ import annotations

import json
import os
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lockstep.cli.demo.stage import Scene, tokens


def write(file: Path, scenes: list[Scene], conservation_error: int) -> None:
    """Write the report: ``{"acts": [scene, ...], "conservation_error": base units}``, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    document = {"acts": [scene.as_dict() for scene in scenes], "conservation_error": conservation_error}
    partial = file.with_name(f"{file.name}.{os.getpid()}")
    partial.write_text(json.dumps(document, indent=1) + "\n")
    partial.replace(file)


def summary(console: Console, scenes: list[Scene], gas: dict[str, list[int]], minted: int, error: int) -> None:
    """Print outcomes, gas by kind of transaction, and the sum of all balances."""
    acts = Table(title="Scenes", title_justify="left", box=None, padding=(0, 2))
    for column in ("scene", "outcome", "accuracy", "moves (defender, challenger)", "gas"):
        acts.add_column(column, justify="right" if column in ("accuracy", "gas") else "left")
    for scene in scenes:
        moves = f"{scene.moves['defender']}, {scene.moves['challenger']}" if any(scene.moves.values()) else ""
        accuracy = "" if scene.accuracy is None else f"{scene.accuracy:.4f}"
        mark = "[green]✓[/]" if scene.outcome == scene.expected and scene.settled else "[red]✗[/]"
        acts.add_row(f"{mark} {scene.name}", scene.outcome, accuracy, moves, f"{sum(scene.gas.values()):,}")
    console.print(acts)
    console.print()
    kinds = Table(title="Gas by kind of transaction", title_justify="left", box=None, padding=(0, 2))
    for column in ("transaction", "times", "least", "median", "most"):
        kinds.add_column(column, justify="left" if column == "transaction" else "right")
    for kind, units in sorted(gas.items()):
        ordered = sorted(units)
        middle = ordered[len(ordered) // 2]
        kinds.add_row(kind, str(len(units)), f"{ordered[0]:,}", f"{middle:,}", f"{ordered[-1]:,}")
    console.print(kinds)
    console.print()
    colour = "green" if error == 0 else "red"
    console.print(f"  put in by all parties           {tokens(minted):>24} tokens", highlight=False)
    console.print(f"  in wallets and treasury at last {tokens(minted - error):>24} tokens", highlight=False)
    console.print(f"  difference                      [{colour}]{error:>24}[/] base units\n", highlight=False)
