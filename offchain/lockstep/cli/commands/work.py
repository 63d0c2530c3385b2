"""``lockstep solve`` and ``verify``: agents that run until nothing is left to do, or until stopped."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.agents.caution import SPARE_FEES, Caution
from lockstep.chain.amounts import amount_text
from lockstep.chain.options import FAMILIES, families_mask
from lockstep.cli.console import parse_address, parse_amount, relative_text
from lockstep.cli.errors import CommandError
from lockstep.cli.options import Account, Connection, Processes, Role, bundled
from lockstep.cli.running import LOCAL_STAKE, Freivalds, Running, run

if TYPE_CHECKING:
    from lockstep.agents.verifier import Verifier
    from lockstep.cli.session import Session


class Precision(StrEnum):
    """Arithmetic of native training."""

    EXACT = "exact"
    F32 = "f32"
    BF16 = "bf16"
    TF32 = "tf32"


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
    run(session, kinds, running, before, processes=nproc)


@bundled
def verify(
    connection: Connection,
    account: Account,
    running: Running,
    stake: Annotated[
        str | None,
        typer.Option("--stake", metavar="AMOUNT", help="Stake to enter the draws with, in tokens.", show_default=False),
    ] = None,
    retire: Annotated[
        bool, typer.Option("--retire", help="Give notice; once that is over, the same again leaves the draws.")
    ] = False,
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

    A verifier is drawn by the stake it enters with and is paid a wage for each right claim; a wrong claim costs its
    deposit, and saying nothing when drawn costs a part of it. It defends its claims in disputes, so it has to keep
    running until the task is over. That stake is on duty: the account cannot use it for anything else, and leaves with
    notice only (--retire), so that no solver's work is left without verifiers.

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

    run(session, (Verifier,), running, before)


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
    from lockstep.agents.verifier import retire

    end = retire(session.lockstep)
    if end:
        session.note(
            f"Notice is given: it can leave the draws {relative_text(end, session.lockstep.now())}, by this command "
            "again. Until then it is drawn as ever: keep `lockstep verify` running."
        )
        return
    session.note("Out of the draws. Claims already drawn stay: run `lockstep verify` until their tasks are over.")
