"""``lockstep withdraw``: take out what is owed, and stake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.chain.amounts import amount_text
from lockstep.cli.console import output, parse_amount, relative_text
from lockstep.cli.errors import CommandError
from lockstep.cli.options import Account, Connection, bundled

if TYPE_CHECKING:
    from lockstep.chain.lockstep import Lockstep


@bundled
def withdraw(
    connection: Connection,
    account: Account,
    stake: Annotated[
        str | None,
        typer.Option(
            "--stake",
            metavar="AMOUNT|all",
            help="Also ask for free stake back; it is paid out by a later withdraw, after the deployment's delay.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Pay out what is owed to the account (fees, wages, rewards, refunds), and stake whose delay is over.

    Stake that an engagement holds comes free when its task is over. A verifier leaves the draws first: lockstep verify
    --retire.

    Examples:

        lockstep withdraw --as solver
        lockstep withdraw --as solver --stake all
    """
    from lockstep.cli.session import Session

    wanted = None if stake in (None, "all") else parse_amount(str(stake))
    lockstep = Session(connection, account).lockstep
    address = lockstep.client.address
    done = _pay_out(lockstep, address)
    if stake is not None:
        free = lockstep.free_stake(address)
        amount = free if wanted is None else wanted
        if not 0 < amount <= free:
            raise CommandError(
                f"{address} has {amount_text(free)} of free stake; what is locked comes free when its tasks are over."
            )
        lockstep.send(lockstep.vault, "requestWithdrawal", amount, doing="ask for the stake")
        output().print(f"asks for {amount_text(amount)} of stake")
        done = True
    unbonding, available = lockstep.view(lockstep.vault, "unbondingOf", address)
    if unbonding:
        when = relative_text(available, lockstep.now())
        output().print(f"{amount_text(unbonding)} of stake can be withdrawn {when}")
    elif not done:
        output().print(f"nothing is owed to {address}")


def _pay_out(lockstep: Lockstep, address: str) -> bool:
    """Everything that can be had at once; whether there was anything."""
    owed = lockstep.owed(address)
    if owed:
        lockstep.send(lockstep.vault, "withdrawOwed", doing="withdraw what is owed")
        output().print(f"withdraws {amount_text(owed)} that were owed")
    unbonding, available = lockstep.view(lockstep.vault, "unbondingOf", address)
    matured = bool(unbonding) and lockstep.now() >= available
    if matured:
        lockstep.send(lockstep.vault, "withdrawStake", doing="withdraw the stake")
        output().print(f"withdraws {amount_text(unbonding)} of stake")
    return bool(owed) or matured
