"""What a scene is played on: the world, the workloads, the audience."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from torch import nn

from lockstep.agents import base
from lockstep.agents.base import Agent
from lockstep.agents.submitter import Order, Submitter
from lockstep.agents.workload import Workload, make_workload
from lockstep.chain.lockstep import PostedTask
from lockstep.chain.parameters import TOKEN
from lockstep.chain.types import TaskState
from lockstep.cli.demo.world import World
from lockstep.data import digits
from lockstep.dispute.transition import Outcome
from lockstep.engine.run import Runner
from lockstep.models import CNN, MLP
from lockstep.program.capture import CapturedTask, capture
from lockstep.program.optimisers import Adam

PRICE = TOKEN // 10
"""What the demo pays for 10^6 units of work, base units."""
COLOURS = {
    "submitter": "cyan",
    "solver": "green",
    "verifier": "yellow",
    "whistleblower": "magenta",
    "challenger": "magenta",
    "anybody": "white",
}


@dataclass(frozen=True, slots=True)
class Job:
    """A captured task with its workload."""

    captured: CapturedTask
    workload: Workload


@cache
def job(name: str) -> Job:
    """The demo's model of that name ("mlp" or "cnn") on scikit-learn's digits, captured once."""
    train, test = digits(flat=name == "mlp")
    # No tensor of the MLP's step has more than 16,384 elements: any dispute about it is over in five moves a side.
    model, batch = (MLP(hidden=(128,) * 6), 128) if name == "mlp" else (CNN(), 64)
    optimiser = Adam(lr=1e-3 if name == "mlp" else 3e-3)
    captured = capture(model, nn.CrossEntropyLoss(), optimiser, train, batch_size=batch, evaluation=test)
    workload = make_workload(captured.init, captured.step, captured.constants, captured.constants, captured.evaluate)
    return Job(captured, workload)


@dataclass
class Scene:
    """What a scene showed: one entry of the report.

    Balances are base units by party; gas is the sum of units by kind of transaction; moves count reveals on the
    defender's side, picks and proofs on the challenger's.
    """

    name: str
    settled: bool
    expected: str
    outcome: str
    accuracy: float | None
    moves: dict[str, int]
    gas: dict[str, int]
    balances_before: dict[str, int]
    balances_after: dict[str, int]
    seconds: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The entry as JSON values."""
        return asdict(self)


class Stage:
    """The world with a console: parties speak, work shows a bar, scenes end in a table."""

    def __init__(self, world: World, console: Console) -> None:
        self.world = world
        self.console = console
        self.scenes: list[Scene] = []
        self.training_seconds = 0.0
        self._bar: Progress | None = None
        self._cast: list[str] = []
        self._before: dict[str, int] = {}
        world.say = self.say

    def say(self, name: str, line: str) -> None:
        """Print one line about what a party did."""
        role = name.split()[-1] if name.split() else name
        colour = COLOURS.get(role, "white")
        self.console.print(f"  [{colour}]{name:>24}[/]  {line}", highlight=False, soft_wrap=True)

    def cast(self, agents: Sequence[Agent | Submitter]) -> None:
        """Name the parties of a scene, and remember what they came with."""
        addresses = {agent.address for agent in agents}
        self._cast = [party.name for party in self.world.parties.values() if party.address in addresses]
        brought = {name: self.world.parties[name].brought for name in self._cast}
        self._before = {**brought, "treasury": self.world.treasury()}

    def _balances(self) -> dict[str, int]:
        balances = {name: self.world.parties[name].worth for name in self._cast}
        return {**balances, "treasury": self.world.treasury()}

    def progress(self) -> base.Progress:
        """A bar for a solver's training."""

        def update(done: int, total: int, note: str) -> None:
            if self._bar is None:
                self._bar = Progress(
                    TextColumn("  {task.description:>24}"),
                    SpinnerColumn(),
                    BarColumn(),
                    MofNCompleteColumn(),
                    TextColumn("{task.fields[note]}"),
                    TimeElapsedColumn(),
                    console=self.console,
                    transient=True,
                )
                self._bar.start()
                self._bar.add_task("training", total=total, note="")
            self._bar.update(self._bar.task_ids[0], completed=done, note=note)
            if done >= total:
                self._bar.stop()
                self._bar = None

        return base.Progress(update)

    def submit(self, submitter: Submitter, model: str, order: Order) -> PostedTask:
        """Post one of the demo's models."""
        return submitter.submit(job(model).workload, order)

    def order(self, title: str, steps: int, segment_steps: int) -> Order:
        """The demo's order: every segment audited, so that each lie is met."""
        return Order(steps, segment_steps, audits=None, price=PRICE, seed=2026, title=title)

    def accuracy(self, model: str, submitter: Submitter, posted: PostedTask) -> float:
        """Test accuracy of a task's result, computed in the same exact arithmetic."""
        captured = job(model).captured
        assert captured.evaluate is not None
        state = submitter.result(posted)
        runner = Runner(captured.evaluate, captured.evaluation_constants, posted.terms.seed)
        place = captured.evaluate.names.metrics.index("accuracy")
        shares = [runner.step(state, step)[1][place] for step in range(captured.evaluation_steps)]
        return sum(shares) / len(shares)

    def play(
        self,
        name: str,
        expected: str,
        submitter: Submitter,
        posted: PostedTask,
        agents: Sequence[Agent],
        accuracy_of: str | None = None,
    ) -> Scene:
        """Run a posted task to its end and record what came of it."""
        self.world.gas_used()
        started = time.perf_counter()
        state = self.world.run(posted.terms.id, agents)
        seconds = {"whole": time.perf_counter() - started, "training": 0.0, "replay": 0.0}
        for agent in agents:
            seconds["training" if agent.role == "solver" else "replay"] += agent.compute_seconds
        gas = {kind: sum(units) for kind, units in sorted(self.world.gas_used().items())}
        return self.record(name, expected, submitter, posted, state, gas, seconds, accuracy_of)

    def record(
        self,
        name: str,
        expected: str,
        submitter: Submitter,
        posted: PostedTask,
        state: TaskState,
        gas: dict[str, int],
        seconds: dict[str, float],
        accuracy_of: str | None,
    ) -> Scene:
        """Note a scene, and print its table."""
        chain = self.world.keeper_lockstep
        with chain.hold():
            outcome = describe(self.world, posted.terms.id, state)
            moves = count_moves(self.world, posted.terms.id)
        accuracy = self.accuracy(accuracy_of, submitter, posted) if accuracy_of else None
        scene = Scene(
            name, state.terminal, expected, outcome, accuracy, moves, gas, self._before, self._balances(), seconds
        )
        self.scenes.append(scene)
        self.show(scene)
        assert chain.state(posted.terms.id) is state
        return scene

    def show(self, scene: Scene) -> None:
        """Print what every party had and has."""
        table = Table(box=None, padding=(0, 2), title_justify="left")
        for column in ("party", "before", "after", "change"):
            table.add_column(column, justify="left" if column == "party" else "right")
        for party, before in scene.balances_before.items():
            after = scene.balances_after[party]
            change = after - before
            colour = "green" if change > 0 else "red" if change < 0 else "dim"
            table.add_row(party, tokens(before), tokens(after), f"[{colour}]{tokens(change, sign=True)}[/]")
        self.console.print(table)
        verdict = "[green]as told[/]" if scene.outcome == scene.expected else f"[red]expected {scene.expected}[/]"
        line = f"  outcome: [bold]{scene.outcome}[/] ({verdict})"
        if scene.accuracy is not None:
            line += f"; test accuracy [bold]{scene.accuracy:.4f}[/]"
        if any(scene.moves.values()):
            line += f"; moves: defender {scene.moves['defender']}, challenger {scene.moves['challenger']}"
        self.console.print(line, highlight=False)
        times = scene.seconds
        self.console.print(
            f"  {times['whole']:.1f} s: training {times['training']:.1f} s, replaying it {times['replay']:.1f} s, "
            f"hashing, proofs and chain {times['whole'] - times['training'] - times['replay']:.1f} s\n",
            highlight=False,
        )


def tokens(amount: int, *, sign: bool = False) -> str:
    """An amount of base units in tokens, six digits behind the point."""
    whole = amount / TOKEN
    return f"{whole:+,.6f}" if sign else f"{whole:,.6f}"


def count_moves(world: World, task: int) -> dict[str, int]:
    """Moves of the longest dispute of a task: reveals on one side, picks and the proof on the other."""
    chain = world.keeper_lockstep
    moves = {"defender": 0, "challenger": 0}
    for number in chain.disputes(task):
        reveals, picks = chain.moves(number)
        moves = {"defender": max(moves["defender"], reveals), "challenger": max(moves["challenger"], picks)}
    return moves


def describe(world: World, task: int, state: TaskState) -> str:
    """How a task ended, in one line: its state, who was convicted, whose challenge failed."""
    chain = world.keeper_lockstep
    names = {party.address: party.name for party in world.parties.values()}
    fallen = []
    for segment in chain.audited_segments(task):
        for round_ in chain.slot(task, segment).rounds:
            for claim in chain.claims(task, segment, round_):
                record = chain.claim(claim.ref)
                if record.convicted or record.digest_convicted:
                    how = " by its digest" if record.digest_convicted else ""
                    fallen.append(f"{names.get(claim.claimant, claim.claimant)} convicted{how}")
    for number in chain.disputes(task):
        dispute = chain.dispute(number)
        if dispute.outcome == Outcome.CHALLENGE_FAILED:
            fallen.append(f"challenge of {names.get(dispute.challenger, dispute.challenger)} failed")
    return "; ".join([state.name.lower(), *sorted(set(fallen))])
