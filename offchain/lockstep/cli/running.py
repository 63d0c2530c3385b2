"""What commands share that run agents until nothing is left to do, or until stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lockstep.cli.errors import INTERRUPTED
from lockstep.cli.options import Bundle, Poll

if TYPE_CHECKING:
    from lockstep.agents.base import Agent
    from lockstep.cli.session import Session

LOCAL_STAKE = 10_000 * 10**18
"""What a verifier stakes on a local chain unless told otherwise, base units."""


@dataclass(frozen=True, slots=True)
class Running(Bundle):
    """How long an agent runs, and on what."""

    once: Annotated[bool, typer.Option("--once", help="Do what can be done now, then stop.")] = False
    task: Annotated[
        list[int] | None,
        typer.Option("--task", min=0, help="Only this task; may be repeated.", show_default="all tasks"),
    ] = None
    poll: Poll = 2.0


Freivalds = Annotated[
    bool,
    typer.Option(
        "--freivalds",
        help="Check the large contractions by the sums the solver published (`solve --publish-sums`), by Freivalds' "
        "random products; compute everything else. An error passes with a chance below 2^-60.",
    ),
]


def run(
    session: Session,
    kinds: Sequence[type[Agent]],
    running: Running,
    before: Callable[[Any], None] = lambda agent: None,
    processes: int = 1,
) -> None:
    """Run an account's agents of these kinds and its keeper; ``before`` readies the first, whose role it is.

    ``processes`` split each step. Ctrl-C ends it with ``INTERRUPTED``.
    """
    from lockstep.agents.base import Progress
    from lockstep.agents.keeper import Keeper
    from lockstep.cli.console import output
    from lockstep.cli.loop import Loop, stoppable
    from lockstep.cli.voice import Voice

    role = kinds[0].role
    voice = Voice(output(), role)
    lockstep, store = session.lockstep, session.store
    for task in running.task or ():
        lockstep.task(task)  # a number that is none is said now
    with session.journal(role) as journal, closing(voice):
        progress = Progress(voice.progress)
        agents = [
            kind(lockstep, store, journal, narrate=voice.say, progress=progress, processes=processes)
            for kind in (*kinds, Keeper)
        ]
        loop = Loop(agents, voice, running.task, running.poll, on_idle=session.keep_time)
        try:
            with stoppable():
                before(agents[0])
                if running.once:
                    loop.once()
                    return
                where = f"on task {', '.join(map(str, running.task))}" if running.task else "on every task"
                voice.say(f"{agents[0].address} works {where}; Ctrl-C stops it")
                loop.forever()
        except KeyboardInterrupt:
            voice.close()
            voice.say("stops. Nothing is lost: the same command goes on where this one ended")
            raise typer.Exit(INTERRUPTED) from None
