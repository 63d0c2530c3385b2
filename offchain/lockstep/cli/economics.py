"""Settings from options, and the check that ``economics check`` and ``deploy`` share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.cli.console import parse_amount, parse_duration
from lockstep.cli.errors import CommandError
from lockstep.cli.options import Bundle

if TYPE_CHECKING:
    from lockstep.chain.parameters import Profile
    from lockstep.economics.inequalities import Inequality
    from lockstep.economics.setting import Setting

TASK, WORLD = "The task", "What is assumed"
MAX_WORK = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Shape(Bundle):
    """A task's shape; by default what ``submit`` offers, with the work of the demo's MLP."""

    steps: Annotated[int, typer.Option("--steps", min=1, max=10**6, help="Steps.", rich_help_panel=TASK)] = 320
    segment_steps: Annotated[
        int, typer.Option("--segment-steps", min=1, max=64, help="Steps of a segment.", rich_help_panel=TASK)
    ] = 32
    audits: Annotated[
        int, typer.Option("--audits", min=1, max=64, help="Segments that are drawn.", rich_help_panel=TASK)
    ] = 2
    price: Annotated[
        str,
        typer.Option("--price", metavar="AMOUNT", help="Tokens per 10^9 units of work.", rich_help_panel=TASK),
    ] = "1"
    step_work: Annotated[
        int | None,
        typer.Option("--step-work", min=1, max=MAX_WORK, help="Units of work of a step.", rich_help_panel=TASK),
    ] = None


@dataclass(frozen=True, slots=True)
class World(Bundle):
    """What the contracts cannot know."""

    looked_at: Annotated[
        float | None,
        typer.Option(
            "--looked-at", min=0, max=1, help="Chance that somebody replays a given claim.", rich_help_panel=WORLD
        ),
    ] = None
    searched: Annotated[
        float | None,
        typer.Option(
            "--searched",
            min=0,
            max=1,
            help="Chance that a volunteer replays a given segment that was not drawn.",
            rich_help_panel=WORLD,
        ),
    ] = None
    colluding: Annotated[
        float | None,
        typer.Option("--colluding", min=0, max=1, help="Share of the stake in one hand.", rich_help_panel=WORLD),
    ] = None
    outside: Annotated[
        float,
        typer.Option("--outside-gain", min=0, help="Worth of one bad segment, in fees.", rich_help_panel=WORLD),
    ] = 0.0
    gas_price: Annotated[
        int | None,
        typer.Option("--gas-price", min=0, max=10**18, help="Token base units a unit of gas.", rich_help_panel=WORLD),
    ] = None
    censorship: Annotated[
        str | None,
        typer.Option(
            "--censorship", metavar="DURATION", help="How long one can be kept off the chain.", rich_help_panel=WORLD
        ),
    ] = None


def setting(profile: Profile, *, local: bool, shape: Shape, world: World) -> Setting:
    """The setting that options describe."""
    from lockstep.chain.terms import Plan
    from lockstep.cli.commands.submit import WORK_UNIT
    from lockstep.economics.calibration import calibration
    from lockstep.economics.setting import ON_ONE_MACHINE, ON_PUBLIC_CHAIN, Job, Setting

    measured = calibration()
    price = parse_amount(shape.price) * 10**6 // WORK_UNIT
    if price == 0:
        raise typer.BadParameter(f"A price of {shape.price} rounds to nothing.")
    plan = Plan(shape.steps, shape.segment_steps, shape.step_work or measured.step_work, measured.init_work, price)
    given: dict[str, object] = {"outside": world.outside}
    for name in ("looked_at", "searched", "colluding", "gas_price"):
        value = getattr(world, name)
        if value is not None:
            given[name] = value
    if world.censorship is not None:
        given["censorship"] = parse_duration(world.censorship)
    assumed = replace(ON_ONE_MACHINE if local else ON_PUBLIC_CHAIN, **given)  # type: ignore[arg-type]
    return Setting(profile, Job(plan, shape.audits), assumed)


def broken(s: Setting) -> list[Inequality]:
    """The inequalities that do not hold."""
    from lockstep.economics.planted import applicable

    return [each for each in applicable(s) if not each.sides(s).holds]


def cautions(s: Setting) -> list[str]:
    """What a submitter should know of its task's shape before it pays, a sentence each; none where nothing is amiss."""
    from lockstep.economics.beyond import TOLERANT, most_steps

    found, steps, most = [], s.job.plan.steps, most_steps(s)
    if steps > most:
        found.append(
            f"{steps:,} steps are more than the {most:,} up to which silent verifiers and false claims lose: the fee "
            "grows with the task, what they lose does not. Post shorter tasks, each with the last as its --parent."
        )
    if s.job.tolerance is None:
        return found
    share, measured = s.job.tolerance, TOLERANT[0].sides(s)
    if not measured.holds:
        found.append(
            f"A tolerance share of {share:g} is above {measured.left:g}, the most that was measured: ask for less with "
            "--tolerance-share."
        )
    if not TOLERANT[1].sides(s).holds:
        kept = max(1, int(1 / share + 1e-9))
        found.append(
            f"At a tolerance share of {share:g} a step left out of a segment may go unseen where a segment has more "
            f"than {kept} steps: ask for --segment-steps {kept} or fewer."
        )
    return found


def refuse_unsafe(profile: Profile, *, local: bool) -> None:
    """A deployment whose numbers break an inequality is refused with a sentence."""
    failing = broken(setting(profile, local=local, shape=Shape(), world=World()))
    if failing:
        named = "; ".join(each.name for each in failing)
        raise CommandError(
            f"These numbers are not safe, for of what must hold this does not: {named}. `lockstep economics check` "
            "shows the figures; --force deploys all the same."
        )
