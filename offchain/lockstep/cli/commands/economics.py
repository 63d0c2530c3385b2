"""``lockstep economics``: whether a deployment's numbers make honesty the best reply, and how far from the edge."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.cli.commands.deploy import ProfileName
from lockstep.cli.console import errors, output, table
from lockstep.cli.economics import Shape, World, broken, setting
from lockstep.cli.errors import CommandError
from lockstep.cli.options import Connection, bundled

if TYPE_CHECKING:
    from lockstep.chain.parameters import Profile
    from lockstep.economics.phases import Phase
    from lockstep.economics.population import Population
    from lockstep.economics.setting import Setting
    from lockstep.economics.simulation import Payoffs

app = typer.Typer(help="Whether honesty pays: inequalities and simulations.", no_args_is_help=True)

Preset = Annotated[
    ProfileName | None, typer.Option("--preset", help="A profile's numbers.", show_default="the deployment file's")
]
OnChain = Annotated[bool, typer.Option("--on-chain", help="Read the numbers from the contracts, not from the file.")]


@app.command()
@bundled
def check(connection: Connection, shape: Shape, world: World, preset: Preset = None, on_chain: OnChain = False) -> None:
    """Evaluate every inequality of docs/ECONOMICS.md for a deployment's numbers and a task; exit code 1 if one fails.

    Without --preset the numbers are those of the deployment file.

    Examples:

        lockstep economics check --preset public --steps 5000 --colluding 0.2
        lockstep economics check --on-chain
    """
    profile, local = _profile(connection, preset, on_chain)
    s = setting(profile, local=local, shape=shape, world=world)
    _show_check(s)
    failing = broken(s)
    if failing:
        raise CommandError(f"{len(failing)} do not hold: {'; '.join(each.name for each in failing)}.")


def _profile(connection: Connection, preset: ProfileName | None, on_chain: bool) -> tuple[Profile, bool]:
    """The numbers, and whether they are for one machine."""
    from lockstep.chain.client import Client
    from lockstep.chain.deployment import Deployment
    from lockstep.chain.lockstep import Lockstep
    from lockstep.chain.parameters import PROFILES
    from lockstep.cli.keys import LOCAL_CHAIN

    if preset is not None:
        if on_chain:
            raise typer.BadParameter("--preset and --on-chain exclude each other.")
        return PROFILES[preset], preset is ProfileName.LOCAL
    known = Deployment.load(connection.deployment or connection.home / "deployment.json")
    local = known.chain_id == LOCAL_CHAIN
    if on_chain:
        return Lockstep(Client(connection.rpc, chain_id=known.chain_id), known).profile_on_chain(), local
    return known.profile, local


def _show_check(s: Setting) -> None:
    from lockstep.chain.amounts import amount_text
    from lockstep.economics.bounds import BOUNDS
    from lockstep.economics.planted import applicable

    title = (
        f"{s.segments} segments, {s.audits} audited; c = {amount_text(s.amounts.replay_cost)}, C = {s.fee:.2f} c; "
        f"y = {s.assumed.looked_at:.2f}, z = {s.assumed.searched:.2f}, f = {s.assumed.colluding:.2f} assumed"
    )
    shown = table(title, "what must hold", "with numbers", "margin", "", right=("margin",))
    for each in applicable(s):
        sides = each.sides(s)
        holds = "holds" if sides.holds else "[red]does not hold[/]"
        shown.add_row(each.name, sides.numbers, f"{min(sides.margin, 9999):,.2f}", holds)
    output().print(shown)
    bounds = table("What they leave", "", "")
    for bound in BOUNDS:
        bounds.add_row(bound.name, bound.value(s))
    output().print(bounds)


@app.command()
@bundled
def simulate(
    shape: Shape,
    world: World,
    preset: Annotated[ProfileName, typer.Option("--preset", help="A profile's numbers.")] = ProfileName.PUBLIC,
    tasks: Annotated[int, typer.Option("--tasks", min=100, max=10**6, help="Tasks of each simulated payoff.")] = 2000,
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, max=1000, help="Steps of best replies and free entry.")
    ] = 40,
    callers: Annotated[
        float, typer.Option("--callers", min=0, max=1, help="Share of undrawn segments that griefers call up.")
    ] = 0.0,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Of everything that is drawn.")] = 2026,
    out: Annotated[Path, typer.Option("--out", help="Folder for the phase diagrams.")] = Path("economics"),
) -> None:
    """Let honest, lazy, copying, dishonest, silent and griefing agents play thousands of tasks, and see where it leads.

    Volunteers look at what was not drawn (--searched), griefers call it up unseen (--callers): none unless you say.
    Payouts are the contracts' own, to the last base unit. Prints what each way to play brings, where best replies lead
    with and without forced errors, and how far the numbers are from where honesty ends; draws phase diagrams.

    Examples:

        lockstep economics simulate --tasks 5000 --out economics
    """
    from lockstep.chain.parameters import PROFILES
    from lockstep.economics.phases import phases
    from lockstep.economics.population import Population
    from lockstep.economics.simulation import payoffs

    s = setting(PROFILES[preset], local=preset is ProfileName.LOCAL, shape=shape, world=world)
    honest = replace(Population.honest(s.assumed.looked_at, searched=s.assumed.searched), callers=callers)
    title = f"Among honest agents, y = {s.assumed.looked_at:.2f}, z = {s.assumed.searched:.2f}"
    _show_payoffs(title, payoffs(s, honest, tasks, seed))
    _show_ends(s, honest, tasks, rounds, seed)
    out.mkdir(parents=True, exist_ok=True)
    _show_phases(phases(s), tasks, seed, out)


def _show_payoffs(title: str, found: Payoffs) -> None:
    shown = table(f"{title}: payoffs in c", "who", "how", "brings", "error", right=("brings", "error"))
    for role, ways in (("solver, a task", found.solving), ("verifier, a claim", found.verifying)):
        for kind, estimate in ways.items():
            shown.add_row(role, kind.name.lower(), f"{estimate.mean:.3f}", f"{estimate.error:.3f}")
    others = {
        "whistleblower, a look": found.looking,
        "volunteer, a look": found.volunteering,
        "false caller, a call": found.calling,
    }
    for role, found_here in others.items():
        if found_here is not None:
            shown.add_row(role, "", f"{found_here.mean:.3f}", f"{found_here.error:.3f}")
    output().print(shown)


def _show_ends(s: Setting, start: Population, tasks: int, rounds: int, seed: int) -> None:
    """Where best replies lead: without forced errors, and with the deployment's."""
    from rich.progress import track

    from lockstep.economics.population import Solving, Verifying
    from lockstep.economics.simulation import settle_on

    cases = [("without forced errors", s.numbering(forced_bps=0))]
    if s.forced is not None:
        cases.append(("with forced errors", s))
    shown = table(f"After {rounds} rounds of best replies", "", "solvers that cheat", "verifiers", "y", "z")
    for name, case in cases:
        way = settle_on(case, start, rounds, tasks, seed)
        for population in track(way, name, total=rounds, console=errors(), transient=True):
            last = population
        kinds = ", ".join(
            f"{kind.name.lower()} {last.verifying[kind]:.2f}" for kind in Verifying if last.verifying[kind] > 0.005
        )
        cheats = 1 - last.solving[Solving.HONEST]
        shown.add_row(name, f"{cheats:.3f}", kinds, f"{last.looked_at:.2f}", f"{last.searched:.2f}")
    output().print(shown)


def _show_phases(diagrams: list[Phase], tasks: int, seed: int, out: Path) -> None:
    import numpy as np
    from rich.progress import track

    from lockstep.cli.phase_plot import draw
    from lockstep.economics.phases import COARSE

    columns = ("diagram", "at the defaults", "honest", "along x", "along y", "simulation agrees")
    shown = table("Phase diagrams", *columns, right=("honest",))
    for phase in diagrams:
        regions = phase.drawn()
        x, y = phase.x.values(COARSE), phase.y.values(COARSE)
        points = [(across, up) for up in y for across in x]
        asked = track(points, phase.name, console=errors(), transient=True)
        honest = np.array([phase.honest(*point, tasks, seed) for point in asked]).reshape(len(y), len(x))
        agrees = np.array([phase.deters(*point) for point in points]).reshape(honest.shape) == honest
        shown.add_row(
            phase.title,
            phase.regions[phase.region(*phase.here)],
            f"{(regions == 0).mean():.0%}",
            phase.edge(True),
            phase.edge(False),
            f"{agrees.sum()} of {agrees.size}",
        )
        draw(phase, regions, honest, out / f"{phase.name}.png")
    output().print(shown)
    errors().print(f"Pictures are in {out}.")
