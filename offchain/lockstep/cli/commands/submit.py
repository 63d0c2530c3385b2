"""``lockstep submit``, ``quote``, ``cancel``: post a training job, see what it would cost, take it back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.chain.amounts import TOKEN, amount_text
from lockstep.chain.options import FAMILIES
from lockstep.cli.console import errors, output, parse_amount, parse_duration, table
from lockstep.cli.errors import CommandError
from lockstep.cli.options import Account, Bundle, Connection, Role, bundled
from lockstep.cli.training import Training

if TYPE_CHECKING:
    from rich.table import Table

    from lockstep.agents.submitter import Order, Submitter
    from lockstep.agents.workload import Workload
    from lockstep.chain.lockstep import Lockstep
    from lockstep.chain.terms import Plan
    from lockstep.chain.types import TaskOffer
    from lockstep.cli.session import Session
    from lockstep.program.tolerance import Tolerance

WORK_UNIT = 10**9
"""People name prices in tokens per so many units of work."""
MAX_UINT32 = 2**32 - 1

Source = Annotated[
    str,
    typer.Argument(
        metavar="NAME|FILE.py:FUNCTION",
        help="A model of the zoo with its data, as listed below, or a function of a file of your own. The file is run"
        " here, as you, like any script; only the captured program and its data leave this machine.",
    ),
]


@dataclass(frozen=True, slots=True)
class Job(Bundle):
    """What is to be trained, for how long, at what price."""

    steps: Annotated[int, typer.Option("--steps", min=1, max=MAX_UINT32, help="Training steps.")] = 320
    segment_steps: Annotated[
        int, typer.Option("--segment-steps", min=1, max=64, help="Steps between checkpoints: what an audit replays.")
    ] = 32
    audits: Annotated[
        str, typer.Option("--audits", metavar="NUMBER|all", help="Segments that are drawn and replayed.")
    ] = "2"
    price: Annotated[
        str,
        typer.Option("--price", metavar="AMOUNT", help="Tokens per 10^9 units of work (about one multiply-add each)."),
    ] = "1"
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            min=1,
            max=MAX_UINT32,
            help="Samples a step.",
            show_default="what suits the model; 64 for a file",
        ),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, max=2**64 - 1, help="Decides weights, order and dropout.", show_default="drawn"),
    ] = None
    title: Annotated[str, typer.Option("--title", help="A name for people.", show_default="the source")] = ""
    accept_within: Annotated[
        str, typer.Option("--accept-within", metavar="DURATION", help="How long solvers may accept it.")
    ] = "24h"
    solve_within: Annotated[
        str, typer.Option("--solve-within", metavar="DURATION", help="How long its solver may take.")
    ] = "24h"
    parent: Annotated[
        int | None,
        typer.Option(
            "--parent",
            min=1,
            metavar="TASK",
            help="Go on from where this settled task ended, with the same tensors of state and, by default, its seed.",
            show_default=False,
        ),
    ] = None
    first_step: Annotated[
        int | None,
        typer.Option(
            "--first-step",
            min=0,
            max=MAX_UINT32,
            help="With --parent: number of the first step, as schedules, batches and Adam see it.",
            show_default="where the parent ended",
        ),
    ] = None
    draw: Annotated[
        str | None,
        typer.Option(
            "--draw",
            metavar="DURATION",
            help="Draw the solver among those who apply so long, by stake, reputation and what they say they can do.",
            show_default="whoever accepts first",
        ),
    ] = None
    prize: Annotated[
        str,
        typer.Option(
            "--prize", metavar="AMOUNT", help="What one audited segment in four wins its solver; the levy pays for it."
        ),
    ] = "0"
    family: Annotated[
        str | None,
        typer.Option("--family", help=f"With --draw, what the model is: {', '.join(FAMILIES)}.", show_default=False),
    ] = None


class Rounding(StrEnum):
    """What a solver in tolerance mode may round operands to."""

    BF16 = "bf16"
    TF32 = "tf32"


ROUNDED_BITS = {Rounding.BF16: 8, Rounding.TF32: 11}
"""Significant bits of each format."""


@dataclass(frozen=True, slots=True)
class Nearness(Bundle):
    """Whether, and how far, a solver's checkpoints may be from an exact replay."""

    rounding: Annotated[
        Rounding | None,
        typer.Option(
            "--tolerance",
            help="Let the solver train natively, with contractions rounded like this: audits then compare its"
            " checkpoints with a replay and with perturbed ones.",
            show_default="exact: every bit must agree",
        ),
    ] = None
    runs: Annotated[
        int, typer.Option("--tolerance-runs", min=1, max=64, help="Perturbed runs a replay makes beside the exact one.")
    ] = 8
    multiple: Annotated[
        float,
        typer.Option(
            "--tolerance-multiple",
            min=1,
            max=1000,
            help="How many times the farthest run's distance a tensor may be off",
        ),
    ] = 4.0
    share: Annotated[
        float,
        typer.Option("--tolerance-share", min=0.001, max=0.5, help="How much of a segment's update all may be off."),
    ] = 0.1

    @property
    def tolerance(self) -> Tolerance | None:
        """What the program is rewritten for, None for an exact task."""
        from lockstep.program.tolerance import Tolerance

        if self.rounding is None:
            return None
        return Tolerance(self.runs, ROUNDED_BITS[self.rounding], self.multiple, self.share)


@bundled
def submit(
    connection: Connection,
    account: Account,
    job: Job,
    training: Training,
    nearness: Nearness,
    source: Source,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before paying.")] = False,
) -> None:
    """Post a training job: captures the model, shows the cost, takes the escrow, publishes program and data.

    FUNCTION takes nothing and returns (model, loss, optimiser, dataset), or with an evaluation data set as fifth; an
    operator that cannot be carried is named with your source line, before anything is paid.

    Optimiser and schedule are part of the program, computed from the step number: whoever trains has nothing to choose.
    For a model of the zoo they are options here; FUNCTION brings its own.

    Examples:

        lockstep submit mlp --steps 320 --audits all
        lockstep submit cnn --optimiser muon --schedule cosine --warmup 32 --clip-norm 1
        lockstep submit train.py:build --price 0.5
        lockstep submit mlp --steps 320 --parent 1
        lockstep submit cnn --draw 2h --family cnn
        lockstep submit cnn --tolerance bf16 --segment-steps 8
    """
    session, agent, workload, order, offer = _prepare(connection, account, job, training, nearness, source)
    _show_cost(agent, workload, offer)
    if not yes and not _confirmed():
        raise CommandError("Nothing was posted. Pass --yes to post without being asked.")
    session.lockstep.fund(session.lockstep.quote(offer).escrow)
    posted = agent.submit(workload, order)
    task = posted.terms.id
    session.note(f"Next: lockstep solve --task {task}, and lockstep verify. lockstep status {task} shows how it goes.")


@bundled
def quote(
    connection: Connection, account: Account, job: Job, training: Training, nearness: Nearness, source: Source
) -> None:
    """Show what a training job would cost, and what cheating on it would cost a solver; nothing is posted or paid.

    Example:

        lockstep quote mlp --steps 320 --audits all
    """
    _, agent, workload, _, offer = _prepare(connection, account, job, training, nearness, source)
    _show_cost(agent, workload, offer)


@bundled
def cancel(
    connection: Connection, account: Account, task: Annotated[int, typer.Argument(min=0, help="Number of the task.")]
) -> None:
    """Take an open task back, and its escrow with it; once a solver has accepted it, it runs its course.

    Example:

        lockstep cancel 1
    """
    from lockstep.agents.journal import Journal
    from lockstep.agents.submitter import Submitter
    from lockstep.cli.session import Session
    from lockstep.cli.voice import Voice

    session = Session(connection, account, Role.SUBMITTER)
    voice = Voice(output(), Role.SUBMITTER)
    agent = Submitter(session.lockstep, session.store, Journal(":memory:"), narrate=voice.say)
    agent.cancel(session.lockstep.task(task))
    session.note("The escrow is owed to you now: lockstep withdraw pays it out.")


def _prepare(
    connection: Connection, account: Account, job: Job, training: Training, nearness: Nearness, source: str
) -> tuple[Session, Submitter, Workload, Order, TaskOffer]:
    """Everything up to the offer; nothing is sent."""
    price = _price(job.price)
    audits = _audits(job.audits)
    chosen = training.chosen(job.steps)
    accept_window, solve_window = parse_duration(job.accept_within), parse_duration(job.solve_within)
    apply_window, family = parse_duration(job.draw) if job.draw else 0, _family(job.family)
    prize = parse_amount(job.prize)
    if family and not apply_window:
        raise typer.BadParameter("--family matters only where solvers are drawn; add --draw.")

    from lockstep.agents.journal import Journal
    from lockstep.agents.submitter import Order, Submitter
    from lockstep.agents.workload import captured_workload
    from lockstep.chain import terms as arithmetic
    from lockstep.cli.session import Session
    from lockstep.cli.sources import captured_task
    from lockstep.cli.voice import Voice

    session = Session(connection, account, Role.SUBMITTER)
    lockstep = session.lockstep  # a node that does not answer is said before the model is traced
    captured = captured_task(source, job.batch_size, chosen)
    workload = captured_workload(captured)
    voice = Voice(output(), Role.SUBMITTER)
    agent = Submitter(lockstep, session.store, Journal(":memory:"), narrate=voice.say)
    order = Order(
        steps=job.steps,
        segment_steps=job.segment_steps,
        audits=audits,
        price=price,
        accept_window=accept_window,
        solve_window=solve_window,
        seed=job.seed,
        title=job.title or source,
        parent=job.parent or 0,
        first_step=job.first_step,
        apply_window=apply_window,
        family=family,
        prize=prize,
    )
    if nearness.tolerance is not None:
        workload = agent.tolerate(workload, order, nearness.tolerance)
    if job.parent is not None:
        workload = agent.stack(workload, job.parent)
    offer = agent.offer(workload, order)
    parameters, plan = lockstep.parameters, _plan(workload, offer)
    most = parameters.solver_deposit_multiple * arithmetic.fee(plan) + offer.wage * offer.audits + offer.levy
    if max(most, parameters.claim_deposit_multiple * arithmetic.replay_cost(plan)) >= 2**96:
        raise CommandError("The job costs more than any account can hold; ask for fewer steps or a lower price.")
    return session, agent, workload, order, offer


def _plan(workload: Workload, offer: TaskOffer) -> Plan:
    """The shape that the costs follow from."""
    from lockstep.chain.terms import Plan

    step, init = workload.step_commitment.work, workload.init_work
    return Plan(offer.steps, offer.segment_steps, step, init, offer.price)


def _family(name: str | None) -> int:
    """Number of a family of models, 0 for none."""
    if name is None:
        return 0
    if name not in FAMILIES:
        raise typer.BadParameter(f"{name!r} is no family of models; there are {', '.join(FAMILIES)}.")
    return FAMILIES.index(name) + 1


def _price(text: str) -> int:
    """Base units per 10^6 units of work."""
    price = parse_amount(text) * 10**6 // WORK_UNIT
    if price == 0:
        raise typer.BadParameter(f"A price of {text} rounds to nothing; the least is {WORK_UNIT // 10**6 / TOKEN:g}.")
    return price


def _audits(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdecimal() or not 1 <= int(text) < 2**16:
        raise typer.BadParameter(f"{text!r} is neither a number of segments, at least 1, nor all.")
    return int(text)


def _confirmed() -> bool:
    try:
        return typer.confirm("Post it?", err=True)
    except typer.Abort:
        typer.echo(err=True)  # the question's line is still open
        return False


def _show_cost(agent: Submitter, workload: Workload, offer: TaskOffer) -> None:
    """What the submitter pays, what the others lock, and what sampling cannot stop."""
    from lockstep.chain import lots
    from lockstep.chain import terms as arithmetic

    lockstep = agent.lockstep
    numbers = lockstep.quote(offer)
    plan = _plan(workload, offer)
    segments = arithmetic.segment_count(plan) - (workload.start is not None)
    work = arithmetic.whole_work(plan)
    wages = offer.wage * offer.audits
    prize = lots.bonus(plan, offer.audits, offer.levy, lockstep.parameters)
    runs = f"; a replay makes {workload.tolerance.runs} perturbed runs" if workload.tolerance else ""
    shown = table("Cost", "", "amount", "", right=("amount",))
    for name, amount, note in (
        ("fee", numbers.fee, f"{work:,} units of work: {offer.steps} steps of {plan.step_work:,}, and the start{runs}"),
        ("margin", numbers.escrow - numbers.fee - wages - offer.levy, "comes back at settlement"),
        ("wages", wages, f"{offer.audits} of {segments} segments audited; unearned ones come back"),
        ("levy", offer.levy, f"to the treasury; one audit in {lots.ODDS} wins its solver {amount_text(prize)}"),
        ("escrow", numbers.escrow, "what is taken from you now"),
    ):
        if amount or name != "margin":
            shown.add_row(name, amount_text(amount), note, style="bold" if name == "escrow" else "")
    shown.add_section()
    shown.add_row("solver locks", amount_text(numbers.solver_deposit), "lost where the work does not hold")
    bond = lockstep.parameters.claim_bond
    shown.add_row("a claim locks", amount_text(numbers.claim_deposit + bond), "lost where the claim does not hold")
    # Finders' share may come back to a solver that finds its own fraud; the rest and the fee are what it risks.
    kept = numbers.solver_deposit * lockstep.parameters.finder_bps // arithmetic.WHOLE_BPS
    risk = (numbers.solver_deposit - kept + numbers.fee) * offer.audits // segments
    drawn = f"{100 * offer.audits / segments:.0f} %"
    shown.add_row(
        "a bad segment risks",
        amount_text(risk),
        f"on average, drawn at {drawn}: no guard against a larger gain from outside",
    )
    _add_reroll(shown, lockstep, arithmetic.reroll_worth(numbers.fee, numbers.solver_deposit, offer.audits, segments))
    output().print(shown)
    for caution in _cautions(lockstep, workload, plan, offer):
        errors().print(f"Caution: {caution}", style="yellow")


def _cautions(lockstep: Lockstep, workload: Workload, plan: Plan, offer: TaskOffer) -> list[str]:
    """What is amiss with the task's shape, on this deployment."""
    from lockstep.cli.economics import cautions
    from lockstep.economics.setting import Job as EconomicJob
    from lockstep.economics.setting import Setting

    share = workload.tolerance.share if workload.tolerance else None
    return cautions(Setting(lockstep.deployment.profile, EconomicJob(plan, offer.audits, tolerance=share)))


def _add_reroll(shown: Table, lockstep: Lockstep, worth: int) -> None:
    """What biasing the draw is worth at most, and what it costs (docs/PROTOCOL.md, The draw's randomness)."""
    from lockstep.chain import terms as arithmetic

    shown.add_row("a re-roll is worth", amount_text(worth), "to a solver whose bad segment was drawn, at most")
    reveals, panel = lockstep.reveal_parameters, len(lockstep.panel())
    if not panel:
        shown.add_row("and costs", "0", "nobody reveals: who builds the block chooses the draw", style="yellow")
        return
    price = reveals.bond - reveals.bond * reveals.tip_bps // arithmetic.WHOLE_BPS
    covered = price >= worth
    seats = f"{panel} revealer{'s' if panel > 1 else ''}, one honest suffices"
    note = f"a bond; covers {price // worth} such tasks at once ({seats})" if covered and worth else f"a bond ({seats})"
    if not covered:
        note = f"a bond, LESS than it is worth: audit more, or ask for less work ({seats})"
    shown.add_row("and costs", amount_text(price), note, style="" if covered else "yellow")
