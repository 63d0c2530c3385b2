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
            help="Also give notice that free stake is wanted; a later withdraw pays it, after the deployment's delay.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Pay out what is owed to the account (fees, wages, rewards, refunds), and stake whose delay is over.

    Stake that an engagement holds comes free when its task is over. Until it is paid out, stake stays what it was: a
    verifier is drawn by it and has to keep running.

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
        asked = lockstep.unbonding(address)
        amount = free - asked if wanted is None else wanted
        if not 0 < amount <= free - asked:
            before = f", and has asked for {amount_text(asked)} of it" if asked else ""
            raise CommandError(
                f"{address} has {amount_text(free)} of free stake{before}; what is locked comes free when its tasks "
                "are over."
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
    matured = bool(unbonding) and lockstep.now() >= available and lockstep.free_stake(address) > 0
    if matured:
        paid = min(unbonding, lockstep.free_stake(address))
        lockstep.send(lockstep.vault, "withdrawStake", doing="withdraw the stake")
        output().print(f"withdraws {amount_text(paid)} of stake")
        if lockstep.weight(address):  # what is gone shall not be drawn
            lockstep.send(lockstep.court, "refreshVerifier", address, doing="bring the weight up to date")
    return bool(owed) or matured
