"""A verifier that sees its draw coming replays first, and draws and claims in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from lockstep.agents.base import Agent
from lockstep.agents.solver import Solver
from lockstep.agents.submitter import Submitter
from lockstep.agents.verifier import Verifier
from lockstep.chain.lockstep import PostedTask
from lockstep.chain.types import Slot, TaskState
from lockstep.cli.demo.acts import make_verifier
from lockstep.cli.demo.stage import Stage

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]

STEPS, SEGMENT_STEPS, AUDITS = 16, 4, 3
LATE = 60
"""Seconds before the end of the draw's window: less than a claim window."""


class Outrun(Verifier):
    """Somebody else draws while it replays."""

    rival: Agent | None = None

    def _prepare(self, posted: PostedTask, segment: int, slot: Slot) -> Any:
        claim = super()._prepare(posted, segment, slot)
        if self.rival is not None and self.lockstep.state(posted.terms.id) is TaskState.COMMITTED:
            assert self.rival.turn()
        return claim


def play(
    stage: Stage, prefix: str, kinds: Sequence[type[Verifier]], at_commit: Callable[[int], None] = lambda task: None
) -> tuple[PostedTask, dict[int, Slot], dict[str, list[int]]]:
    """A task whose every work is honest: what was foreseen of its draw, and the gas by kind of transaction."""
    world = stage.world
    order = replace(stage.order("draws", STEPS, SEGMENT_STEPS), audits=AUDITS)
    posted = stage.submit(world.agent(Submitter, f"{prefix} submitter"), "mlp", order)
    task, chain = posted.terms.id, world.keeper_lockstep
    solver = world.agent(Solver, f"{prefix} solver", [task])
    verifiers = [make_verifier(stage, kind, f"{prefix}{i} verifier", posted, AUDITS) for i, kind in enumerate(kinds)]
    for verifier in verifiers:
        if isinstance(verifier, Outrun):
            verifier.rival = world.keeper(task)
    foreseen: dict[int, Slot] = {}
    seen = []

    def on_round() -> None:
        if chain.state(task) is not TaskState.COMMITTED:
            return
        if not seen:
            seen.append(True)
            at_commit(task)
        foreseen.update(chain.coming_slots(chain.task(task)))

    world.gas_used()
    assert world.run(task, [solver, *verifiers], on_round) is TaskState.SETTLED
    used = world.gas_used()
    world.dismiss(*verifiers)
    drawn = chain.drawn_segments(task)
    assert list(foreseen) == drawn
    slots = {segment: chain.slot(task, segment) for segment in drawn}
    assert all(foreseen[segment].verifier == slots[segment].verifier for segment in drawn)
    assert all(foreseen[segment].beacon_value == slots[segment].beacon_value for segment in drawn)
    assert all(len(chain.claims(task, segment, 0)) == 1 for segment in drawn)
    return posted, foreseen, used


def test_verifier_draws_and_claims_at_once(stage: Stage) -> None:
    posted, foreseen, used = play(stage, "t", [Verifier, Verifier])
    chain, task = stage.world.keeper_lockstep, posted.terms.id
    assert len(used["drawAndClaim"]) == 1
    assert "drawAudits" not in used
    (drawn,) = chain._logs("AuditCourt", "AuditsDrawn", task=task)
    claimed = [log for log in chain._logs("AuditCourt", "ClaimPosted", task=task) if log["args"]["index"] == 0]
    (first,) = [log for log in claimed if log["transactionHash"] == drawn["transactionHash"]]
    assert foreseen[first["args"]["segment"]].verifier == first["args"]["claimant"]
    assert len(claimed) == AUDITS


def test_verifier_that_somebody_outruns_claims_as_ever(stage: Stage) -> None:
    _, _, used = play(stage, "u", [Outrun])
    assert "drawAndClaim" not in used
    assert len(used["drawAudits"]) == 1
    assert len(used["postClaim, many"]) == 1


def test_verifier_without_time_before_the_draw_waits_for_it(stage: Stage) -> None:
    chain, anvil = stage.world.keeper_lockstep, stage.world.anvil

    def pass_most_of_the_window(task: int) -> None:
        anvil.advance_time(chain.deadline(task) - LATE - anvil.now())

    _, _, used = play(stage, "v", [Verifier], pass_most_of_the_window)
    assert "drawAndClaim" not in used
    assert len(used["drawAudits"]) == 1
