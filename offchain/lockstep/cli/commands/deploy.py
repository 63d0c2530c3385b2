"""``lockstep deploy``: put the contracts on a chain."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.cli.economics import refuse_unsafe
from lockstep.cli.errors import CommandError
from lockstep.cli.options import Account, Connection, Role, bundled

if TYPE_CHECKING:
    from lockstep.chain.client import Client
    from lockstep.cli.session import Session


class ProfileName(StrEnum):
    """Names of ``lockstep.chain.parameters.PROFILES``."""

    LOCAL = "local"
    PUBLIC = "public"


@bundled
def deploy(
    connection: Connection,
    account: Account,
    profile: Annotated[
        ProfileName | None,
        typer.Option("--profile", help="Windows of minutes (local) or of hours (public).", show_default="by the chain"),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token", metavar="ADDRESS", help="The ERC-20 all is paid in.", show_default="a new faucet token"
        ),
    ] = None,
    faucet: Annotated[
        bool, typer.Option("--faucet", help="On a chain that is not local, too: a token that gives itself away.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a file that is in use; deploy numbers that are not safe.")
    ] = False,
) -> None:
    """Deploy the contracts, and write the deployment file that all other commands read.

    Addresses and parameters are fixed by the constructors; nobody can change them later. Interrupted, it leaves
    contracts that nobody refers to, and no file: run it again.

    Examples:

        anvil --hardfork osaka &
        lockstep deploy
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from lockstep.chain import deployment as contracts
    from lockstep.chain.parameters import PROFILES
    from lockstep.cli.console import errors, output, table
    from lockstep.cli.keys import LOCAL_CHAIN
    from lockstep.cli.session import Session

    session = Session(connection, account, Role.DEPLOYER)
    client = session.deployer
    local = client.chain_id == LOCAL_CHAIN
    chosen = profile or (ProfileName.LOCAL if local else ProfileName.PUBLIC)
    if token is None and not local and not faucet:
        raise CommandError(
            f"Chain {client.chain_id} is not a local one: say what is paid with, --token ADDRESS, or --faucet for a "
            "token that gives itself away."
        )
    if token is not None:
        _check_token(client, token)
    if not force:
        _refuse_to_replace(session, client)
        refuse_unsafe(PROFILES[chosen], local=chosen is ProfileName.LOCAL)
    bar = Progress(
        TextColumn("deploying"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[name]}"),
        console=errors(),
        transient=True,
    )
    with bar:
        line = bar.add_task("", total=None, name="")
        made = contracts.deploy(
            client,
            PROFILES[chosen],
            token,
            lambda done, total, name: bar.update(line, completed=done, total=total, name=name),
        )
    made.save(session.deployment_file)
    shown = table(f"Lockstep on chain {made.chain_id}, {chosen} profile", "contract", "address")
    for name, address in made.addresses.items():
        shown.add_row(name, address)
    output().print(shown)
    session.note(f"Written to {session.deployment_file}. Next: lockstep verify, and lockstep submit mlp")


def _check_token(client: Client, token: str) -> None:
    from eth_utils.address import is_address

    if not is_address(token):
        raise typer.BadParameter(f"{token!r} is not an address: 0x and 40 hex digits.")
    if not client.has_code(token):
        raise CommandError(f"There is no contract at {token} on chain {client.chain_id}.")


def _refuse_to_replace(session: Session, client: Client) -> None:
    """A deployment somebody may still use is not forgotten by accident."""
    from lockstep.chain.deployment import Deployment
    from lockstep.chain.errors import ChainError, ConnectionFailed
    from lockstep.cli.session import is_live

    file = session.deployment_file
    if not file.exists():
        return
    try:
        known = Deployment.load(file)
        in_use = is_live(client, known) or known.chain_id != client.chain_id
        why = f"holds a deployment on chain {known.chain_id}" if in_use else ""
    except ConnectionFailed:
        raise
    except ChainError as error:
        why = f"cannot be understood ({error})"
    if why:
        raise CommandError(f"{file} {why}. Pass --deployment or --home to write elsewhere, or --force to replace it.")
