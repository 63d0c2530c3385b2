"""``lockstep reveal``: hold a seat on the beacon's panel, so that nobody chooses what is drawn."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.chain.amounts import amount_text
from lockstep.cli.console import output
from lockstep.cli.errors import INTERRUPTED, CommandError
from lockstep.cli.options import Account, Connection, Poll, Role, bundled

if TYPE_CHECKING:
    from lockstep.agents.revealer import Revealer
    from lockstep.cli.session import Session

LOCAL_SECRETS, SECRETS = 2**16, 2**20
"""Blocks that a seat has secrets for: on a local chain, and elsewhere (145 days of 12 seconds each)."""
LOCAL_CONFIRMATIONS, CONFIRMATIONS = 1, 3
"""Blocks from a target's own on until its secret is told."""


@bundled
def reveal(
    connection: Connection,
    account: Account,
    count: Annotated[
        int | None,
        typer.Option(
            "--secrets", min=256, max=2**24, help="Blocks to have secrets for.", show_default="65536 locally, else 2^20"
        ),
    ] = None,
    confirmations: Annotated[
        int | None,
        typer.Option(
            "--confirmations",
            min=1,
            max=64,
            help="Blocks to wait until a secret is told: a reorganisation that knows it could choose.",
            show_default="1 locally, else 3",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Stake the bond; not needed on a local chain.")] = False,
    leave: Annotated[bool, typer.Option("--leave", help="Leave the panel, see it to its end, and stop.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Do what can be done now, then stop.")] = False,
    poll: Poll = 2.0,
) -> None:
    """Reveal: take a seat on the panel with a bond, and hand in a secret for every draw.

    What is drawn then depends on a block and on the secrets of everybody on the panel, so that one honest seat is
    enough. Secrets follow from a seed in the journal, written before the seat is taken; stopped in any way, even by
    kill -9, the same command goes on. A secret that is missing when its window is over costs the whole bond: keep it
    running, and leave with --leave.

    Examples:

        lockstep reveal
        lockstep reveal --leave
    """
    from lockstep.agents.revealer import Revealer
    from lockstep.cli.loop import Watch, stoppable
    from lockstep.cli.session import Session
    from lockstep.cli.voice import Voice

    session = Session(connection, account, Role.REVEALER)
    voice = Voice(output(), Role.REVEALER)
    lockstep, local = session.lockstep, session.is_local
    with session.journal(Role.REVEALER) as journal, closing(voice):
        agent = Revealer(lockstep, session.store, journal, narrate=voice.say)
        agent.confirmations = confirmations or (LOCAL_CONFIRMATIONS if local else CONFIRMATIONS)
        try:
            with stoppable():
                if leave:
                    _leave(session, agent)
                elif not agent.seated:
                    _check_bond(session, agent, local or yes)
                    agent.join(count or (LOCAL_SECRETS if local else SECRETS))
                if once:
                    while agent.turn():
                        pass
                    return
                agent.turn()  # a journal that is not the seat's is an error now, not something to wait for
                voice.say(f"{agent.address} reveals; Ctrl-C stops it")
                Watch(agent, voice, poll, lambda: not agent.seated).forever()
                voice.say("is done: it has no seat any more")
        except KeyboardInterrupt:
            voice.close()
            voice.say("stops. Its seat and bond wait for it: be back before the window of the next draw is over")
            raise typer.Exit(INTERRUPTED) from None


def _leave(session: Session, agent: Revealer) -> None:
    found = session.lockstep.seat(agent.address)
    if found is None:
        raise CommandError(f"{agent.address} has no seat to leave.")
    if not found[1].left_at:
        agent.step_down()


def _check_bond(session: Session, agent: Revealer, agreed: bool) -> None:
    """Nobody's wallet is staked unasked."""
    bond = session.lockstep.reveal_parameters.bond
    missing = bond - session.lockstep.free_stake(agent.address)
    if missing > 0 and not agreed:
        raise CommandError(
            f"A seat needs a bond of {amount_text(bond)}, all of it lost with the first secret that is missing. Pass "
            f"--yes to stake {amount_text(missing)} from the wallet."
        )
