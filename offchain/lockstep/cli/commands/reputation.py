"""``lockstep reputation``: what an account has earned by settled tasks, and what it can still fetch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.chain.amounts import amount_text
from lockstep.cli.console import output, table
from lockstep.cli.options import Account, Connection, bundled

if TYPE_CHECKING:
    from lockstep.chain.lockstep import Lockstep


@bundled
def reputation(
    connection: Connection,
    account: Account,
    fetch: Annotated[bool, typer.Option("--fetch", help="Have it credited: a transaction for each task.")] = False,
) -> None:
    """Show an account's reputation in each role, in tokens of levy, and what settled tasks it can still have credited.

    A solver's weighs like stake where solvers are drawn, up to half of what it locks. A conviction takes all of it, and
    what was not credited before.

    Example:

        lockstep reputation --as solver --fetch
    """
    from lockstep.chain.types import Role
    from lockstep.cli.session import Session

    lockstep = Session(connection, account).lockstep
    address, console = lockstep.client.address, output()
    for name, arguments, what in _open_credits(lockstep, address):
        if fetch:
            lockstep.send(lockstep.ledger, name, *arguments, doing=f"credit {what}")
        console.print(f"{'credits' if fetch else 'could credit'} {what}")
    shown = table(f"Reputation of {address}", "role", "earned", right=("earned",))
    for role in Role:
        shown.add_row(role.name.lower(), amount_text(lockstep.reputation(address, role)))
    console.print(shown)


def _open_credits(lockstep: Lockstep, address: str) -> list[tuple[str, tuple[object, ...], str]]:
    """Calls that would add to an account's reputation now: function, arguments, what for."""
    from lockstep.chain.errors import Reverted
    from lockstep.chain.types import TaskState

    found: list[tuple[str, tuple[object, ...], str]] = []
    for posted in lockstep.tasks():
        task, terms = posted.terms.id, posted.terms.abi()
        if lockstep.state(task) is not TaskState.SETTLED:
            continue
        if lockstep.solver(task) == address:
            found.append(("creditSolver", (terms,), f"the work of task {task}"))
        for segment in lockstep.drawn_segments(task):
            slot = lockstep.slot(task, segment)
            made = lockstep.claims(task, segment, slot.round)
            if any(claim.claimant == address and claim.ref.index + 1 == slot.standing for claim in made):
                found.append(("creditClaim", (terms, segment), f"the claim on segment {segment} of task {task}"))

    def is_open(name: str, arguments: tuple[object, ...]) -> bool:
        try:
            lockstep.client.call(lockstep.ledger.functions[name](*arguments), f"try {name}")
        except Reverted:
            return False
        return True

    return [each for each in found if is_open(each[0], each[1])]
