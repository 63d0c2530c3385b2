"""How an agent's loop meets trouble: tasks that fail, nodes that do not answer, money that runs out."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from lockstep.chain.errors import ChainError, ConnectionFailed, InsufficientFunds
from lockstep.chain.types import TaskState
from lockstep.cli import loop as loops
from lockstep.cli.loop import Loop, stoppable
from lockstep.cli.voice import Voice
from lockstep.storage.store import StorageError

Turn = Callable[[int], bool]
SOME_TURNS = 40
"""Rounds after which a loop that ought to have ended has not."""


class FakeChain:
    """Tasks in a state, without claims."""

    def __init__(self, states: dict[int, TaskState]) -> None:
        self.states = states

    def tasks(self) -> list[Any]:
        return [SimpleNamespace(terms=SimpleNamespace(id=task)) for task in self.states]

    def state(self, task: int) -> TaskState:
        return self.states[task]

    def audited_segments(self, task: int) -> list[int]:
        return []

    def hold(self) -> AbstractContextManager[None]:
        return nullcontext()


class FakeAgent:
    """Does to the one task it is shown what a test says."""

    def __init__(self, chain: FakeChain, turn: Turn) -> None:
        self.lockstep = chain
        self.act = turn
        self.only: list[int] = []
        self.turns: list[int] = []
        self.released: list[int] = []

    def release(self, task: int) -> None:
        self.released.append(task)

    def turn(self) -> bool:
        (task,) = self.only
        self.turns.append(task)
        return self.act(task)


class Clock:
    """Time that only passes in sleep."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        if len(self.slept) > SOME_TURNS:
            raise KeyboardInterrupt


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(loops, "time", made)
    return made


def make(states: dict[int, TaskState], turn: Turn, **options: Any) -> tuple[Loop, FakeAgent, io.StringIO]:
    chain, said = FakeChain(states), io.StringIO()
    agent = FakeAgent(chain, turn)
    keeper = FakeAgent(chain, lambda task: False)
    voice = Voice(Console(file=said, width=200), "solver")
    return Loop([agent, keeper], voice, **options), agent, said  # type: ignore[arg-type]


def test_once_acts_until_nothing_is_left() -> None:
    left = {1: 3, 2: 1}

    def turn(task: int) -> bool:
        left[task] -= 1
        return left[task] >= 0

    loop, _, said = make({1: TaskState.OPEN, 2: TaskState.OPEN}, turn)
    loop.once()
    assert all(count < 0 for count in left.values())
    assert "nothing to do" not in said.getvalue()


def test_once_with_nothing_to_do_says_so_after_one_try_at_the_clock() -> None:
    idle: list[bool] = []
    loop, _, said = make({1: TaskState.OPEN}, lambda task: False, on_idle=lambda: idle.append(True) or True)
    loop.once()
    assert len(idle) == 1
    assert "has nothing to do now" in said.getvalue()


def test_once_raises_a_tasks_error_when_the_others_are_done() -> None:
    def turn(task: int) -> bool:
        if task == 1:
            raise StorageError("gone")
        return agent.turns.count(2) == 1

    loop, agent, _ = make({1: TaskState.OPEN, 2: TaskState.OPEN}, turn)
    with pytest.raises(StorageError, match="gone"):
        loop.once()
    assert agent.turns.count(1) == 1
    assert agent.turns.count(2) == 2


def test_once_stops_when_the_node_does_not_answer() -> None:
    def turn(task: int) -> bool:
        raise ConnectionFailed("no node")

    loop, agent, _ = make({1: TaskState.OPEN, 2: TaskState.OPEN}, turn)
    with pytest.raises(ConnectionFailed):
        loop.once()
    assert agent.turns == [1]


def test_forever_ends_when_the_tasks_it_was_given_are_over(clock: Clock) -> None:
    states = {1: TaskState.SOLVING, 2: TaskState.OPEN}

    def turn(task: int) -> bool:
        states[1] = TaskState.SETTLED
        return agent.turns.count(1) == 1

    loop, agent, said = make(states, turn, tasks=[1])
    loop.forever()
    assert "every task it was given is over" in said.getvalue()
    assert set(agent.turns) == {1}


def test_forever_leaves_finished_tasks_alone(clock: Clock) -> None:
    loop, agent, _ = make({1: TaskState.SETTLED, 2: TaskState.OPEN}, lambda task: False)
    with pytest.raises(KeyboardInterrupt):
        loop.forever()
    assert agent.turns.count(1) == 1
    assert agent.released == [1]
    assert agent.turns.count(2) > SOME_TURNS


@pytest.mark.parametrize("error", [StorageError("gone"), InsufficientFunds("poor"), KeyError("odd")])
def test_forever_says_a_tasks_error_once_and_works_on_the_others(clock: Clock, error: Exception) -> None:
    def turn(task: int) -> bool:
        if task == 1:
            raise error
        return False

    loop, agent, said = make({1: TaskState.OPEN, 2: TaskState.OPEN}, turn)
    with pytest.raises(KeyboardInterrupt):
        loop.forever()
    assert said.getvalue().count("leaves task 1 for now") == 1
    assert 1 < agent.turns.count(1) < 10 < agent.turns.count(2)


def test_forever_waits_for_a_dead_node_longer_and_longer_and_says_so_once(clock: Clock) -> None:
    def turn(task: int) -> bool:
        if len(clock.slept) < 8:
            raise ConnectionFailed("nobody answers")
        return False

    loop, _, said = make({1: TaskState.OPEN}, turn, poll=1.0)
    with pytest.raises(KeyboardInterrupt):
        loop.forever()
    assert clock.slept[:8] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert clock.slept[8] == 1.0
    assert said.getvalue().count("waits for the node: nobody answers") == 1
    assert said.getvalue().count("reaches the node again") == 1


def test_forever_waits_for_a_node_that_refuses_to_answer(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, agent, said = make({1: TaskState.OPEN}, lambda task: False)

    def refuse() -> list[Any]:
        raise ChainError("too many logs")

    monkeypatch.setattr(agent.lockstep, "tasks", refuse)
    with pytest.raises(KeyboardInterrupt):
        loop.forever()
    assert said.getvalue().count("waits for the node: too many logs") == 1


def test_stoppable_takes_sigterm_for_ctrl_c_and_gives_the_signal_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), stoppable():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_voice_without_terminal_reports_progress_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    from lockstep.cli import voice as voices

    made = Clock()
    monkeypatch.setattr(voices, "time", made)
    said = io.StringIO()
    voice = Voice(Console(file=said, width=200), "solver")
    for step in range(1, 101):
        made.now += 0.25
        voice.progress(step, 100, "loss 0.5")
    assert said.getvalue().count("\n") == 2
    assert "is at step 40 of 100, loss 0.5" in said.getvalue()


def test_voice_on_a_terminal_shows_a_bar_and_takes_it_away() -> None:
    said = io.StringIO()
    voice = Voice(Console(file=said, width=200, force_terminal=True), "solver")
    voice.progress(1, 2, "loss 0.5")
    voice.say("does [something]")
    voice.progress(2, 2, "loss 0.4")
    voice.close()
    assert "training" in said.getvalue()
    assert "does [something]" in said.getvalue()
