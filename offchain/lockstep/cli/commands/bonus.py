"""``lockstep bonus``: lots of audited work that won, and their collection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.chain.amounts import amount_text
from lockstep.cli.console import output
from lockstep.cli.options import Account, Connection, Role, bundled

if TYPE_CHECKING:
    from lockstep.agents.lots import Winning


@bundled
def bonus(
    connection: Connection,
    account: Account,
    fetch: Annotated[bool, typer.Option("--fetch", help="Collect them: a transaction for each.")] = False,
) -> None:
    """Show what the account won as a solver: of its audited segments that stood, one in four wins a part of the levy.

    The value that drew the audits decides. A solver that runs collects by itself; lockstep withdraw pays it out.

    Examples:

        lockstep bonus --as solver
        lockstep bonus --as solver --fetch
    """
    from lockstep.agents.lots import collect, winnings
    from lockstep.cli.session import Session

    session = Session(connection, account, Role.SOLVER)
    lockstep, console = session.lockstep, output()
    found: list[Winning] = []
    for posted in lockstep.tasks():
        if lockstep.solver(posted.terms.id) == lockstep.client.address:
            found.extend(winnings(lockstep, session.store, posted))
    for won in found:
        if fetch:
            collect(lockstep, won)
        what = f"segment {won.segment} of task {won.terms.id}: {amount_text(won.bonus)}"
        console.print(f"{'collects' if fetch else 'could collect'} {what}")
    if not found:
        console.print("nothing to collect")
