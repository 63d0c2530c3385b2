"""``lockstep solve``, ``verify``, ``whistleblow``: agents that run until nothing is left to do, or until stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lockstep.agents.caution import SPARE_FEES, Caution
from lockstep.chain.amounts import amount_text
from lockstep.chain.options import FAMILIES, families_mask
from lockstep.cli.console import parse_address, parse_amount
from lockstep.cli.errors import INTERRUPTED, CommandError
from lockstep.cli.options import Account, Bundle, Connection, Poll, Processes, Role, bundled

if TYPE_CHECKING:
    from lockstep.agents.base import Agent
    from lockstep.agents.outlook import Prices
    from lockstep.agents.verifier import Verifier
    from lockstep.agents.whistleblower import Whistleblower
    from lockstep.cli.session import Session


class Precision(StrEnum):
    """Arithmetic of native training."""

    EXACT = "exact"
    F32 = "f32"
    BF16 = "bf16"
    TF32 = "tf32"


class Strategy(StrEnum):
    """When a whistleblower looks at a claim."""

    DEFAULT = "default"
    ALWAYS = "always"


LOCAL_STAKE = 10_000 * 10**18
"""What a verifier stakes on a local chain unless told otherwise, base units."""


@dataclass(frozen=True, slots=True)
class Running(Bundle):
    """How long an agent runs, and on what."""

    once: Annotated[bool, typer.Option("--once", help="Do what can be done now, then stop.")] = False
    task: Annotated[
        list[int] | None,
        typer.Option("--task", min=0, help="Only this task; may be repeated.", show_default="all tasks"),
    ] = None
    poll: Poll = 2.0


Freivalds = Annotated[
    bool,
    typer.Option(
        "--freivalds",
        help="Check the large contractions by the sums the solver published (`solve --publish-sums`), by Freivalds' "
        "random products; compute everything else. An error passes with a chance below 2^-60.",
    ),
]


@bundled
def solve(
    connection: Connection,
    account: Account,
    running: Running,
    nproc: Processes = 1,
    publish_sums: Annotated[
        bool,
        typer.Option(
            "--publish-sums",
            help="Publish the integer sums of the drawn segments' large contractions, 8 bytes each, for `--freivalds`.",
        ),
    ] = False,
    memory: Annotated[
        int, typer.Option("--memory", min=0, max=2**32 - 1, help="Memory to declare where solvers are drawn, MiB.")
    ] = 0,
    rate: Annotated[
        int,
        typer.Option(
            "--rate",
            min=0,
            max=2**32 - 1,
            help="Speed to declare where solvers are drawn, 10^6 units of work a second. What counts of it shortens the"
            " time to solve in.",
        ),
    ] = 0,
    family: Annotated[
        list[str] | None,
        typer.Option("--family", help=f"Family of models to declare: {', '.join(FAMILIES)}.", show_default=False),
    ] = None,
    precision: Annotated[
        Precision, typer.Option("--precision", help="Arithmetic for tasks in tolerance mode; tf32 needs a GPU.")
    ] = Precision.EXACT,
    device: Annotated[
        str, typer.Option("--device", metavar="DEVICE", help="Where those are trained, as PyTorch names it: cpu, cuda.")
    ] = "cpu",
    verifiers: Annotated[
        int | None,
        typer.Option(
            "--min-verifiers",
            min=0,
            max=64,
            help="Registered verifiers with stake to accept at, of whom one fewer could leave; 0: do not look.",
            show_default=f"{Caution().verifiers}; 0 on a local chain",
        ),
    ] = None,
    largest: Annotated[
        float,
        typer.Option("--max-share", min=0.0, max=1.0, help="Most of the verifiers' free stake that one may have."),
    ] = Caution().largest,
    trusted: Annotated[
        list[str] | None,
        typer.Option(
            "--trust",
            metavar="ADDRESS",
            help="A verifier known to stay, may be repeated: stake of such ones for every audit is enough.",
            show_default=False,
        ),
    ] = None,
    spare: Annotated[
        float,
        typer.Option(
            "--spare",
            min=0.0,
            max=1000.0,
            metavar="FEES",
            help="Stake to keep free beside each deposit, in fees of the task, to answer false calls; 0: none.",
        ),
    ] = SPARE_FEES,
) -> None:
    """Train: accept open tasks, run them step by step, commit to the checkpoints, be paid when they hold.

    Where a task's solver is drawn it applies first, with the least stake that is asked for. A task in tolerance mode
    may be trained in other arithmetic than the exact one; its checkpoints must then come near to an exact replay.

    Locks a deposit for each task it accepts. From then on it must be able to serve the task's programs, data and
    checkpoints, and answers who demands them on chain, for a fee: keep this store. Progress is kept in the journal
    and in the store: stopped in any way, even by kill -9 or a power cut, the same command goes on from the last
    checkpoint. Where a verifier condemns the work, the solver claims otherwise, with a deposit, and disputes it; so
    keep it running until the task is over.

    Work that nobody can be drawn to verify is not paid. So it looks first at who has stake (--min-verifiers,
    --max-share, --trust), and keeps some of its own free to answer false claims on any segment (--spare). Where either
    is too little it says so and waits.

    Example:

        lockstep solve --task 1
        lockstep solve --nproc 4
        lockstep solve --memory 4096 --rate 200 --family cnn
        lockstep solve --precision bf16
        lockstep solve --min-verifiers 3 --spare 2
    """
    from lockstep.agents.answerer import Answerer
    from lockstep.agents.defender import Defender
    from lockstep.agents.publisher import SumsPublisher
    from lockstep.agents.solver import Solver
    from lockstep.chain.types import Declaration
    from lockstep.cli.session import Session

    unknown = sorted(set(family or ()) - set(FAMILIES))
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is no family of models; there are {', '.join(FAMILIES)}.")
    declared = Declaration(families_mask(tuple(family or ())), memory, rate)
    session = Session(connection, account, Role.SOLVER)
    known = frozenset(parse_address(each) for each in trusted or ())

    def before(agent: Solver) -> None:
        agent.declared = declared
        agent.precision, agent.device = str(precision), device
        # A local chain's verifiers come and go as one types.
        default = 0 if session.is_local else Caution().verifiers
        agent.caution = Caution(default if verifiers is None else verifiers, largest, known)
        agent.spare_fees = spare

    kinds = (Solver, Answerer, SumsPublisher, Defender) if publish_sums else (Solver, Answerer, Defender)
    _run(session, kinds, running, before, processes=nproc)


@bundled
def verify(
    connection: Connection,
    account: Account,
    running: Running,
    stake: Annotated[
        str | None,
        typer.Option("--stake", metavar="AMOUNT", help="Stake to enter the draws with, in tokens.", show_default=False),
    ] = None,
    retire: Annotated[bool, typer.Option("--retire", help="Leave the draws, and stop.")] = False,
    freivalds: Freivalds = False,
    demand_limit: Annotated[
        str | None,
        typer.Option(
            "--demand-limit",
            metavar="AMOUNT",
            help="Most it pays to have one segment's missing data posted on chain, in tokens.",
            show_default="finders' share of the solver's deposit",
        ),
    ] = None,
) -> None:
    """Verify: enter the draws with a stake, replay the segments drawn, and claim what they end in.

    A verifier is drawn by its free stake and is paid a wage for each right claim; a wrong claim costs its deposit. It
    defends its claims in disputes, so it has to keep running until the task is over.

    Where what a replay needs is not in the store, it demands it on chain from the solver, for a fee, and its claim
    window waits for the answers. A solver that does not answer loses its deposit.

    With --freivalds, a replay takes the results of large contractions from the sums the solver published, each checked
    against operands that the verifier computed itself. Small contractions and all that is no contraction are
    computed as ever, so the whole step is verified. Sums that are missing are waited for (a fourth of the claim
    window), and where they are false the node is named and the segment replayed in full: the claim is the same.

    Examples:

        lockstep verify --stake 1000
        lockstep verify --freivalds
    """
    from lockstep.agents.verifier import Verifier
    from lockstep.cli.session import Session

    wanted = parse_amount(stake) if stake is not None else None
    session = Session(connection, account, Role.VERIFIER)
    if retire:
        _retire(session)
        return

    def before(agent: Verifier) -> None:
        agent.uses_sums = freivalds
        agent.seeker.limit = parse_amount(demand_limit) if demand_limit is not None else None
        _register(session, agent, wanted)

    _run(session, (Verifier,), running, before)


@bundled
def whistleblow(
    connection: Connection,
    account: Account,
    running: Running,
    freivalds: Freivalds = False,
    strategy: Annotated[
        Strategy, typer.Option("--strategy", help="`default`: look where it pays, at random; `always`: at every claim.")
    ] = Strategy.DEFAULT,
    least: Annotated[
        str, typer.Option("--min-reward", metavar="AMOUNT", help="Tokens that 10^6 units of work must leave.")
    ] = "0",
    cost: Annotated[
        str | None,
        typer.Option(
            "--cost",
            metavar="AMOUNT",
            help="Tokens that 10^6 units of work cost this machine.",
            show_default="what the task pays for them",
        ),
    ] = None,
    hour: Annotated[
        str | None,
        typer.Option(
            "--hour-cost",
            metavar="AMOUNT",
            help="Tokens that an hour of this machine costs: with its measured speed, instead of --cost.",
            show_default=False,
        ),
    ] = None,
    undrawn: Annotated[
        float,
        typer.Option(
            "--undrawn",
            metavar="SHARE",
            min=0.0,
            max=1.0,
            help="Share of the segments that were not drawn to replay too; bad ones are called up.",
        ),
    ] = 0.0,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what the default strategy would do now; send nothing.")
    ] = False,
) -> None:
    """Watch the verifiers: replay what they claim, and where a claim is wrong, claim otherwise and dispute it.

    A look costs a replay. The default strategy counts live whistleblowers and false claims on chain, and looks at as
    many claims, drawn at random, as pay at least what they cost; its inputs are said with its decision. While no look
    pays it says which role pays better.

    A wrong claim's deposit pays whoever finds it. Claims of one's own are placed blindly first; salts and bodies lie in
    the journal, so do not delete it (a lost salt is a lost bond).

    With --undrawn it also replays segments that were not drawn, while they can be called up: until the claim window of
    the draw is over. One that does not end in the solver's checkpoint it calls up by a claim in the open; if that
    stands the task is rejected, and the claim is paid as a finder's. It locks a claim's deposit and bond.

    Examples:

        lockstep whistleblow --task 1
        lockstep whistleblow --task 1 --undrawn 0.25
        lockstep watch --task 1 --strategy always
        lockstep whistleblow --explain --cost 0.001
    """
    from lockstep.agents.outlook import Prices
    from lockstep.agents.whistleblower import Whistleblower
    from lockstep.cli.session import Session

    if cost is not None and hour is not None:
        raise typer.BadParameter("--cost and --hour-cost say the same thing in two ways; give one of them.")
    costs = [None if text is None else parse_amount(text) for text in (cost, hour)]
    prices = Prices(parse_amount(least), *costs)
    session = Session(connection, account, Role.WHISTLEBLOWER)
    if explain:
        _explain(session, prices, running.task)
        return

    def before(agent: Whistleblower) -> None:
        agent.uses_sums = freivalds
        agent.prices = prices if strategy is Strategy.DEFAULT else None
        agent.undrawn = undrawn

    _run(session, (Whistleblower,), running, before)


def _explain(session: Session, prices: Prices, only: Sequence[int] | None) -> None:
    """Print the strategy's inputs and decision for every task that is being audited."""
    from lockstep.agents.journal import Journal
    from lockstep.agents.whistleblower import Whistleblower
    from lockstep.cli.console import output

    lockstep = session.lockstep
    agent = Whistleblower(lockstep, session.store, Journal(":memory:"), only=only or None)
    active = [posted for posted in agent.tasks() if lockstep.live_segments(posted.terms.id)]
    lines = [f"Task {posted.terms.id}: {agent.decide(posted, prices).sentence()}." for posted in active]
    for line in lines or ["No task is being audited now: there is nothing to look at."]:
        output().print(line, markup=False, highlight=False, soft_wrap=True)


def _register(session: Session, agent: Verifier, wanted: int | None) -> None:
    """Enter the draws, unless the account is in them and nothing more is asked for."""
    lockstep = session.lockstep
    weight = int(lockstep.view(lockstep.court, "weightOf", agent.address))
    if wanted is None and weight:
        return
    if wanted is None and not session.is_local:
        raise CommandError("This account is not in the draws yet. Say how much it stakes: --stake AMOUNT.")
    amount = LOCAL_STAKE if wanted is None else wanted
    least = lockstep.parameters.weight_unit
    if amount < least:
        raise CommandError(
            f"A stake of {amount_text(amount)} makes no weight in the draws; the least is {amount_text(least)}."
        )
    agent.register(amount)


def _retire(session: Session) -> None:
    lockstep = session.lockstep
    lockstep.send(lockstep.court, "retireVerifier", doing="leave the draws")
    session.note("Out of the draws. Claims already drawn stay: run `lockstep verify` until their tasks are over.")


def _run(
    session: Session,
    kinds: Sequence[type[Agent]],
    running: Running,
    before: Callable[[Any], None] = lambda agent: None,
    processes: int = 1,
) -> None:
    from lockstep.agents.base import Progress
    from lockstep.agents.keeper import Keeper
    from lockstep.cli.console import output
    from lockstep.cli.loop import Loop, stoppable
    from lockstep.cli.voice import Voice

    role = kinds[0].role
    voice = Voice(output(), role)
    lockstep, store = session.lockstep, session.store
    for task in running.task or ():
        lockstep.task(task)  # a number that is none is said now
    with session.journal(role) as journal, closing(voice):
        progress = Progress(voice.progress)
        agents = [
            kind(lockstep, store, journal, narrate=voice.say, progress=progress, processes=processes)
            for kind in (*kinds, Keeper)
        ]
        loop = Loop(agents, voice, running.task, running.poll, on_idle=session.keep_time)
        try:
            with stoppable():
                before(agents[0])
                if running.once:
                    loop.once()
                    return
                where = f"on task {', '.join(map(str, running.task))}" if running.task else "on every task"
                voice.say(f"{agents[0].address} works {where}; Ctrl-C stops it")
                loop.forever()
        except KeyboardInterrupt:
            voice.close()
            voice.say("stops. Nothing is lost: the same command goes on where this one ended")
            raise typer.Exit(INTERRUPTED) from None
