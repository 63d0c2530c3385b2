"""Agents that forget everything between any two actions still finish: what matters is on chain and in the journal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lockstep.agents.base import Agent, journal_path
from lockstep.agents.journal import Journal
from lockstep.agents.solver import Solver
from lockstep.agents.submitter import Submitter
from lockstep.agents.whistleblower import Whistleblower
from lockstep.chain.types import TaskState
from lockstep.cli.demo import actors
from lockstep.cli.demo.acts import make_verifier
from lockstep.cli.demo.stage import Stage, count_moves, describe
from lockstep.cli.demo.world import World

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]


class Amnesiac(Agent):
    """Builds its agent anew, from the journal on disk, for every tick."""

    def __init__(self, world: World, kind: type[Agent], name: str, only: list[int], **options: Any) -> None:
        first = world.agent(kind, name, only, **options)
        super().__init__(first.lockstep, first.store, first.journal, only=only)
        self.kind, self.folder, self.options = kind, world.folder / "journals", options
        first.journal.close()

    def tick(self) -> bool:
        path: Path = journal_path(self.folder, self.kind.role, self.address)
        journal = Journal(path)
        acted = self.kind(self.lockstep, self.store, journal, only=self.only, **self.options).tick()
        journal.close()
        return acted


class Interrupted(Exception):
    """What a process that is killed would never raise: it stands for the end of it."""


class DiesBeforePlacing(Whistleblower):
    """Is killed once, between writing a blind claim down and placing it."""

    deaths = 0

    def _send_blind(self, commitment: bytes) -> bool:
        type(self).deaths += 1
        if type(self).deaths == 1:
            raise Interrupted
        return super()._send_blind(commitment)

    def tick(self) -> bool:
        try:
            return super().tick()
        except Interrupted:
            return True


def against_a_liar(stage: Stage, prefix: str, whistleblower: type[Whistleblower]) -> int:
    """The task that forgetful parties settled although its verifier lied about one segment."""
    world = stage.world
    posted = stage.submit(world.agent(Submitter, f"{prefix} submitter"), "mlp", stage.order("forgetful", 8, 4))
    task = posted.terms.id
    verifier = make_verifier(stage, actors.LyingVerifier, f"{prefix} verifier", posted, 3, segment=1, step=2)
    solver = Amnesiac(world, Solver, f"{prefix} solver", [task])
    watcher = Amnesiac(world, whistleblower, f"{prefix} whistleblower", [task])
    state = world.run(task, [solver, verifier, watcher])
    world.dismiss(verifier)
    assert state is TaskState.SETTLED
    assert describe(world, task, state) == f"settled; {prefix} verifier convicted"
    return task


def test_blind_claim_written_down_and_never_placed_is_placed_by_the_next_life(stage: Stage) -> None:
    against_a_liar(stage, "13", DiesBeforePlacing)
    assert DiesBeforePlacing.deaths > 1


def test_forgetful_parties_settle_a_dispute(stage: Stage) -> None:
    task = against_a_liar(stage, "7", Whistleblower)
    assert count_moves(stage.world, task) == {"defender": 5, "challenger": 5}
