"""Running agents: task after task, with the calls anybody may make, until nothing is left to do or somebody stops it.

A task that fails (a stranger's artifacts, a call refused) is said once and left for later; it does not keep the agent
from the others. A node that does not answer is waited for.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from lockstep.agents.base import Agent
from lockstep.chain.errors import ChainError, ConnectionFailed
from lockstep.chain.lockstep import Lockstep
from lockstep.cli.errors import is_expected, sentence
from lockstep.cli.voice import Voice

LONGEST_WAIT = 60.0
"""Most seconds between two attempts to reach a node, or to work on a task that failed."""


class Rounds:
    """Rounds of looking at the chain and acting, until interrupted or done; a node that does not answer is waited for.

    ``poll`` seconds between looks; ``on_idle`` is called when nothing can be done, and says whether it changed
    anything.
    """

    def __init__(self, voice: Voice, poll: float = 2.0, on_idle: Callable[[], bool] = lambda: False) -> None:
        self.voice = voice
        self.poll = poll
        self.on_idle = on_idle

    def forever(self) -> None:
        """Work until interrupted, or until nothing is left to do."""
        unanswered = 0
        while True:
            try:
                acted = self._round()
                is_done = not acted and self._is_done()
                if unanswered:
                    self.voice.say("reaches the node again")
                unanswered = 0
            except ChainError as error:  # what concerns one task only was caught where it arose
                wait = min(LONGEST_WAIT, self.poll * 2**unanswered)
                if not unanswered:
                    self.voice.close()
                    self.voice.warn(f"waits for the node: {error}")
                unanswered = min(unanswered + 1, 30)
                time.sleep(wait)
                continue
            if acted:
                continue
            if is_done:
                return
            self._idle()
            time.sleep(self.poll)

    def _idle(self) -> None:
        with suppress(ChainError):  # the next round meets it, and waits
            self.on_idle()

    def _round(self) -> bool:
        raise NotImplementedError

    def _is_done(self) -> bool:
        raise NotImplementedError


class Watch(Rounds):
    """One agent that looks after itself, not after tasks, until it has nothing more to look after."""

    def __init__(self, agent: Agent, voice: Voice, poll: float, is_over: Callable[[], bool]) -> None:
        super().__init__(voice, poll)
        self.agent = agent
        self._is_over = is_over

    def _round(self) -> bool:
        return self.agent.turn()

    def _is_done(self) -> bool:
        return self._is_over()


class Loop(Rounds):
    """An account's agents, its keeper the last, on the tasks of a deployment.

    ``tasks`` None: all of them; the rest as for ``Rounds``.
    """

    def __init__(
        self,
        agents: Sequence[Agent],
        voice: Voice,
        tasks: list[int] | None = None,
        poll: float = 2.0,
        on_idle: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(voice, poll, on_idle)
        self.agents = agents
        self.tasks = tasks
        self._over: set[int] = set()
        self._said: dict[int, str] = {}
        self._retry_at: dict[int, float] = {}
        self._failures: dict[int, int] = {}

    @property
    def _lockstep(self) -> Lockstep:
        return self.agents[0].lockstep

    def _turn(self, task: int) -> bool:
        """Everything that can be done now about one task; whether anything was."""
        acted = False
        for party in self.agents:
            party.only = [task]
            acted |= party.turn()
        if not acted and self._is_over(task):
            self._over.add(task)
            for party in self.agents:
                party.release(task)
        return acted

    def _is_over(self, task: int) -> bool:
        """Whether nothing can ever be done about a task again: it has ended and its claims are judged."""
        chain = self._lockstep
        with chain.hold():
            return chain.state(task).terminal and all(
                chain.claim(claim.ref).closed
                for segment in chain.audited_segments(task)
                for round_ in chain.slot(task, segment).rounds
                for claim in chain.claims(task, segment, round_)
            )

    def _wanted(self) -> list[int]:
        known = self.tasks if self.tasks is not None else [posted.terms.id for posted in self._lockstep.tasks()]
        return [task for task in known if task not in self._over]

    def once(self) -> None:
        """Do everything that can be done now. What goes wrong on a task is raised when the others are done."""
        failed: dict[int, Exception] = {}
        busy, nudged, ever = True, False, False
        while busy:
            acted = False
            for task in self._wanted():
                if task not in failed:
                    acted |= self._attempt(task, failed)
            ever |= acted
            busy = acted or (not nudged and self.on_idle())
            nudged |= not acted
        if not ever and not failed:
            self.voice.say("has nothing to do now")
        for error in failed.values():
            raise error

    def _attempt(self, task: int, failed: dict[int, Exception]) -> bool:
        try:
            return self._turn(task)
        except ConnectionFailed:
            raise
        except Exception as error:
            failed[task] = error
            return False

    def _is_done(self) -> bool:
        if self.tasks is None or self._wanted():
            return False
        self.voice.say("is done: every task it was given is over")
        return True

    def _round(self) -> bool:
        acted = False
        for task in self._wanted():
            if time.monotonic() < self._retry_at.get(task, 0.0):
                continue
            try:
                acted |= self._turn(task)
            except ConnectionFailed:
                raise
            except Exception as error:  # want of money too: a task may ask for more than one has
                self._postpone(task, error)
            else:
                self._failures.pop(task, None)
        return acted

    def _postpone(self, task: int, error: Exception) -> None:
        """Say what went wrong with a task, once, and come back to it later."""
        self.voice.close()
        line = sentence(error) if is_expected(error) else f"{type(error).__name__}: {error}"
        if self._said.get(task) != line:
            self._said[task] = line
            self.voice.warn(f"leaves task {task} for now: {line}")
        count = self._failures[task] = min(self._failures.get(task, 0) + 1, 30)
        self._retry_at[task] = time.monotonic() + min(LONGEST_WAIT, self.poll * 2**count)


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM ends the block like Ctrl-C: a service manager stops an agent as cleanly as a person."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before: Any = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
