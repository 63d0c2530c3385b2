"""``lockstep whistleblow``: watch the verifiers, in whichever role that pays best."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.agents.caution import SPARE_FEES, Caution
from lockstep.cli.console import parse_amount, parse_duration
from lockstep.cli.errors import CommandError
from lockstep.cli.options import Account, Connection, Role, bundled
from lockstep.cli.running import LOCAL_STAKE, Freivalds, Running, run

if TYPE_CHECKING:
    from lockstep.agents.outlook import Prices
    from lockstep.agents.prospects import Means
    from lockstep.agents.switcher import Switcher
    from lockstep.agents.whistleblower import Whistleblower
    from lockstep.cli.session import Session


class Strategy(StrEnum):
    """When a whistleblower looks at a claim."""

    DEFAULT = "default"
    ALWAYS = "always"


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
    switch: Annotated[
        bool,
        typer.Option("--switch", help="Become a verifier or a solver while that pays better, and come back."),
    ] = False,
    stake: Annotated[
        str | None,
        typer.Option(
            "--stake",
            metavar="AMOUNT",
            help="With --switch: stake to verify with, in tokens; 0: it never verifies.",
            show_default=False,
        ),
    ] = None,
    patience: Annotated[
        str | None,
        typer.Option(
            "--patience",
            metavar="DURATION",
            help="With --switch: for how long another role must have paid a fourth more; a role is kept twice as long.",
            show_default="the claim window",
        ),
    ] = None,
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

    With --switch the account takes the role that pays best: it compares what the last tasks would have brought a
    whistleblower at the present number of rivals, a verifier with --stake, and a solver, each less what the work costs
    (--cost). It leaves a role by beginning nothing new, and takes the next when no claim, bond, dispute or task of its
    own is open. All roles keep one journal: run no other command of that account beside it.

    Examples:

        lockstep whistleblow --task 1
        lockstep whistleblow --switch --stake 1000 --cost 0.001
        lockstep whistleblow --task 1 --undrawn 0.25
        lockstep watch --task 1 --strategy always
        lockstep whistleblow --explain --cost 0.001
    """
    from lockstep.agents.outlook import Prices
    from lockstep.agents.switcher import Switcher
    from lockstep.agents.whistleblower import Whistleblower
    from lockstep.cli.session import Session

    if cost is not None and hour is not None:
        raise typer.BadParameter("--cost and --hour-cost say the same thing in two ways; give one of them.")
    costs = [None if text is None else parse_amount(text) for text in (cost, hour)]
    prices = Prices(parse_amount(least), *costs)
    if not switch and (stake is not None or patience is not None):
        raise typer.BadParameter("--stake and --patience are about changing roles: add --switch.")
    session = Session(connection, account, Role.WHISTLEBLOWER)
    change = _Change(_means(session, prices, stake), patience) if switch else None
    if explain:
        _explain(session, prices, running.task, change)
        return

    def ready(agent: Whistleblower) -> None:
        agent.uses_sums = freivalds
        agent.prices = prices if strategy is Strategy.DEFAULT else None
        agent.undrawn = undrawn

    def ready_all(agent: Switcher) -> None:
        assert change is not None, "Only --switch runs several roles."
        change.apply(agent)
        ready(agent.watcher)
        agent.verifier.uses_sums = freivalds

    if change is None:
        run(session, (Whistleblower,), running, ready)
    else:
        run(session, (Switcher,), running, ready_all)


@dataclass(frozen=True, slots=True)
class _Change:
    """What --switch is told: means, and the patience as people write it."""

    means: Means
    patience: str | None

    def apply(self, agent: Switcher) -> None:
        """Give it to an account that changes roles."""
        from lockstep.agents.roles import Rules

        agent.equip(self.means)
        if self.patience is not None:
            seconds = parse_duration(self.patience)
            agent.rules = Rules(patience=seconds, dwell=2 * seconds)


def _means(session: Session, prices: Prices, stake: str | None) -> Means:
    """What an account may use in every role; verifiers must say what they stake, but on a local chain."""
    from lockstep.agents.prospects import Means

    if stake is None and not session.is_local:
        raise CommandError("To change roles, say how much the account may stake as a verifier: --stake AMOUNT, or 0.")
    caution = Caution(verifiers=0) if session.is_local else Caution()
    return Means(prices, LOCAL_STAKE if stake is None else parse_amount(stake), caution, SPARE_FEES)


def _explain(session: Session, prices: Prices, only: Sequence[int] | None, change: _Change | None) -> None:
    """Print the strategy's inputs and decision for every task that is being audited, and about the role."""
    from lockstep.agents.journal import Journal
    from lockstep.agents.switcher import Switcher
    from lockstep.agents.whistleblower import Whistleblower
    from lockstep.cli.console import output

    lockstep = session.lockstep
    agent = Whistleblower(lockstep, session.store, Journal(":memory:"), only=only or None)
    active = [posted for posted in agent.tasks() if lockstep.live_segments(posted.terms.id)]
    lines = [f"Task {posted.terms.id}: {agent.decide(posted, prices).sentence()}." for posted in active]
    lines = lines or ["No task is being audited now: there is nothing to look at."]
    if change is not None:
        file = session.journal_file(Role.WHISTLEBLOWER)
        with closing(Journal(file if file.exists() else ":memory:")) as journal:
            switcher = Switcher(lockstep, session.store, journal)
            change.apply(switcher)
            lines.append(f"Roles: {switcher.explain()}.")
    for line in lines:
        output().print(line, markup=False, highlight=False, soft_wrap=True)
