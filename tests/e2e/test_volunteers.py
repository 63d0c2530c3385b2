"""Segments that were not drawn: a volunteer finds fraud in one, and a false volunteer falls to the solver itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from lockstep.agents.defender import Defender
from lockstep.agents.solver import Solver
from lockstep.agents.submitter import Submitter
from lockstep.agents.verifier import Verifier
from lockstep.agents.whistleblower import Whistleblower
from lockstep.chain.lockstep import PostedTask
from lockstep.chain.types import ClaimRef, SlotState, TaskState
from lockstep.cli.demo import actors
from lockstep.cli.demo.acts import make_verifier
from lockstep.cli.demo.stage import Stage, describe
from lockstep.cli.report import task_report
from lockstep.dispute import claims

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]

STEPS, SEGMENT_STEPS, AUDITS = 12, 3, 2
"""Five segments with the init segment, two of them drawn: one of the last two that train is not."""


class SkippingUndrawn(Whistleblower):
    """A volunteer that looks for what the draw left, at all of it."""

    undrawn = 1.0


class Slanderer(actors.FrivolousWhistleblower):
    """Calls up an undrawn segment for a run of its own that is wrong."""

    undrawn = 1.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a task ended."""

    posted: PostedTask
    outcome: str
    volunteer: Whistleblower
    segment: int


def play(stage: Stage, prefix: str, *, honest: bool) -> Ended:
    """One task with a segment that only a volunteer looks at.

    Which segments are drawn is known after the commitment: each scene is tried with its lie about another segment
    until that one is not drawn.
    """
    world = stage.world
    for attempt in range(1, 6):
        name, lied = f"{prefix}{attempt}", 1 + attempt % 4
        submitter = world.agent(Submitter, f"{name} submitter")
        order = replace(stage.order("volunteers", STEPS, SEGMENT_STEPS), audits=AUDITS)
        posted = stage.submit(submitter, "mlp", order)
        task = posted.terms.id
        lie: dict[str, object] = {} if honest else {"segment": lied, "step": 1}
        solver = world.agent(Solver if honest else actors.NudgingSolver, f"{name} solver", [task], **lie)
        verifier = make_verifier(stage, Verifier, f"{name} verifier", posted, AUDITS)
        if honest:
            volunteer = world.agent(Slanderer, f"{name} volunteer", [task], segment=lied, step=1)
        else:
            volunteer = world.agent(SkippingUndrawn, f"{name} volunteer", [task])
        defender = Defender(solver.lockstep, solver.store, solver.journal, solver.narrate, only=[task])
        state = world.run(task, [solver, verifier, volunteer, *([defender] if honest else [])])
        world.dismiss(verifier)
        if lied not in world.keeper_lockstep.drawn_segments(task):
            return Ended(posted, f"{prefix}: {describe(world, task, state)}", volunteer, lied)
        assert state is (TaskState.SETTLED if honest else TaskState.REJECTED)
    raise AssertionError("Five draws hit the lie: one in three thousand.")


def test_fraud_in_an_undrawn_segment_is_found_by_a_volunteer(stage: Stage) -> None:
    ended = play(stage, "v", honest=False)
    chain, task = stage.world.keeper_lockstep, ended.posted.terms.id
    assert ended.outcome == "v: rejected"
    assert ended.segment in chain.called_segments(task)
    assert chain.slot(task, ended.segment).state == SlotState.FAILED
    assert {chain.slot(task, segment).state for segment in chain.drawn_segments(task)} == {SlotState.PASSED}
    numbers, parameters = chain.numbers(ended.posted.terms), chain.parameters
    assert chain.owed(ended.volunteer.address) == numbers.solver_deposit * parameters.finder_bps // 10_000
    lines = {line["segment"]: line for line in task_report(chain, ended.posted)["audited"]}
    assert lines[ended.segment]["called_up"]
    assert lines[ended.segment]["verifier"] == ended.volunteer.address


def test_false_volunteer_falls_to_the_solver_itself(stage: Stage) -> None:
    ended = play(stage, "w", honest=True)
    chain, task = stage.world.keeper_lockstep, ended.posted.terms.id
    assert ended.outcome.startswith("w: settled; w")
    assert ended.outcome.endswith("volunteer convicted")
    slot = chain.slot(task, ended.segment)
    assert slot.state == SlotState.PASSED
    claim = ClaimRef(task, ended.segment, slot.round, 0)
    assert chain.claim(claim).convicted
    key = claims.engagement_key(task, ended.segment, slot.round, ended.volunteer.address)
    assert chain.view(chain.vault, "engagementOf", chain.court.address, key)[1] == 0
