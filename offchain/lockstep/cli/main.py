"""The command ``lockstep``."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from lockstep.cli import zoo
from lockstep.cli.commands import (
    bonus,
    challenge,
    deploy,
    economics,
    forfeit,
    inspect,
    profile,
    program,
    reputation,
    result,
    reveal,
    status,
    submit,
    sweep,
    train,
    whistleblow,
    withdraw,
    work,
)
from lockstep.cli.demo.command import demo
from lockstep.cli.errors import Commands, remember_debug

app = typer.Typer(
    name="lockstep",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,  # locals may hold a key
)

PARTIES, LOOKING = "The parties", "Looking"


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"lockstep {version('lockstep')}")
        raise typer.Exit


@app.callback()
def main(
    debug: Annotated[
        bool, typer.Option("--debug", envvar="LOCKSTEP_DEBUG", help="Show tracebacks.", callback=remember_debug)
    ] = False,
    show_version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Verifiable ML training whose court is a contract: hand a PyTorch job to a machine you do not trust.

    A round on a local chain, each agent in a shell of its own:

        anvil --hardfork osaka
        lockstep deploy
        lockstep verify
        lockstep submit mlp
        lockstep solve
        lockstep whistleblow
        lockstep status
        lockstep result 1

    Options may be set in the environment: LOCKSTEP_RPC, LOCKSTEP_KEY, LOCKSTEP_DEPLOYMENT, LOCKSTEP_STORE,
    LOCKSTEP_HOME. On anvil's chain every role has a well-known key, and a faucet fills its wallet. See docs/CLI.md.
    """


app.command(rich_help_panel=PARTIES)(deploy.deploy)
app.command(rich_help_panel=PARTIES, epilog=zoo.listing())(submit.submit)
app.command(rich_help_panel=PARTIES)(submit.cancel)
app.command(rich_help_panel=PARTIES)(work.solve)
app.command(rich_help_panel=PARTIES)(work.verify)
app.command(rich_help_panel=PARTIES)(whistleblow.whistleblow)
app.command("watch", rich_help_panel=PARTIES, hidden=True)(whistleblow.whistleblow)
app.command(rich_help_panel=PARTIES)(challenge.challenge)
app.command(rich_help_panel=PARTIES)(reveal.reveal)
app.command(rich_help_panel=PARTIES)(withdraw.withdraw)
app.command(rich_help_panel=PARTIES)(forfeit.forfeit)
app.command(rich_help_panel=LOOKING, epilog=zoo.listing())(train.train)
app.command(rich_help_panel=LOOKING)(status.status)
app.command(rich_help_panel=LOOKING, epilog=zoo.listing())(submit.quote)
app.command(rich_help_panel=LOOKING)(result.result)
app.command(rich_help_panel=LOOKING)(reputation.reputation)
app.command(rich_help_panel=LOOKING)(bonus.bonus)
app.command(rich_help_panel=LOOKING)(profile.profile)
app.command(rich_help_panel=LOOKING)(inspect.inspect)
app.command(rich_help_panel=LOOKING, epilog=zoo.listing())(sweep.sweep)
app.add_typer(economics.app, name="economics", rich_help_panel=LOOKING)
app.add_typer(program.app, name="program", rich_help_panel=LOOKING)

app.command(rich_help_panel=LOOKING)(demo)
