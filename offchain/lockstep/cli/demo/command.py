"""``lockstep demo``: the six acts on a chain of their own."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

FOLDER = Path("build/demo")


def demo(
    acts: Annotated[str, typer.Option(help="Which acts to play, for example 1,5.")] = "1,2,3,4,5,6",
    folder: Annotated[Path, typer.Option(help="Where the report and the artifacts go.")] = FOLDER,
) -> None:
    """Tell the whole story on a local chain: train, cheat, get caught, settle.

    Starts a node of its own, deploys the contracts, and plays six acts on scikit-learn's digits: honest work, bad work,
    bad verifiers, good work condemned, a lie followed down to one tensor element, and parties that stay silent. Writes
    report.json beside the artifacts. Exits with 1 when an act does not end as told or a single base unit is missing.

    Example:

        lockstep demo --acts 1,5
    """
    # Imported here: torch and web3 take seconds, and every `lockstep --help` reads this file.
    from lockstep.chain.anvil import Anvil
    from lockstep.cli.demo import report
    from lockstep.cli.demo.acts import ACTS
    from lockstep.cli.demo.stage import Stage
    from lockstep.cli.demo.world import World

    console = Console()
    chosen = _chosen(acts, {act.number for act in ACTS})
    if (folder / "store").exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    with Anvil() as node:
        with console.status("Deploying the contracts"):
            world = World(node, folder)
        console.print(
            f"\n[bold]Lockstep[/] on a chain of its own at {node.url}: "
            f"{len(world.deployment.addresses)} contracts, {world.deploy_gas:,} gas\n",
            highlight=False,
        )
        stage = Stage(world, console)
        for act in ACTS:
            if act.number in chosen:
                console.rule(f"[bold]Act {act.number}[/]  {act.title}", align="left")
                act.play(stage)
        console.rule("[bold]Everybody leaves[/]", align="left")
        error = world.leave()
        report.summary(console, stage.scenes, world.gas, world.minted, error)
    report.write(folder / "report.json", stage.scenes, error)
    wrong = [scene.name for scene in stage.scenes if scene.outcome != scene.expected or not scene.settled]
    console.print(
        f"  {time.perf_counter() - started:.0f} s in all; the report is {folder / 'report.json'}", highlight=False
    )
    if wrong or error:
        console.print(f"[red]Not as told: {', '.join(wrong) or 'the sum of all balances'}.[/]")
        raise typer.Exit(1)


def _chosen(acts: str, known: set[int]) -> set[int]:
    try:
        chosen = {int(part) for part in acts.split(",") if part.strip()}
    except ValueError:
        chosen = set()
    if not chosen or not chosen <= known:
        raise typer.BadParameter(f"{acts!r} does not name acts; they are 1 to {max(known)}, for example 1,5.")
    return chosen
