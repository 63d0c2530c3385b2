"""``lockstep forfeit``: blind claims that nobody opened in time."""

from __future__ import annotations

from typing import Annotated

import typer

from lockstep.chain.amounts import amount_text
from lockstep.cli.console import output, relative_text, short
from lockstep.cli.options import Account, Connection, bundled


@bundled
def forfeit(
    connection: Connection,
    account: Account,
    send: Annotated[bool, typer.Option("--send", help="Have those forfeited that are due.")] = False,
) -> None:
    """List blind claims that were never opened, and have those forfeited that are due.

    The bond goes to the treasury, not to who calls: the call pays whom the treasury owes more than it has (its next
    money goes there), and costs everybody else its gas. Running agents whom it owes do it by themselves.

    Examples:

        lockstep forfeit --as whistleblower
        lockstep forfeit --as whistleblower --send
    """
    from lockstep.agents import blinds
    from lockstep.cli.session import Session

    lockstep, console = Session(connection, account).lockstep, output()
    now, bond = lockstep.now(), amount_text(lockstep.parameters.blind_bond)
    found = blinds.open_blinds(lockstep)
    for blind in found:
        when = "may be forfeited now" if blind.due <= now else f"may be forfeited {relative_text(blind.due, now)}"
        console.print(f"{bond} of {short(blind.claimant)}, commitment 0x{blind.commitment.hex()[:16]}…: {when}")
    if not found:
        console.print("every blind claim was opened, taken back or forfeited")
    if send:
        count = blinds.forfeit(lockstep, blinds.forgotten(lockstep))
        console.print(f"{count} forfeited" if count else "nothing is due")
