"""A solver whose good work is condemned needs nobody else: it defends itself."""

from __future__ import annotations

import pytest

from lockstep.agents.defender import Defender
from lockstep.agents.solver import Solver
from lockstep.agents.submitter import Submitter
from lockstep.agents.verifier import Verifier
from lockstep.chain.types import TaskState
from lockstep.cli.demo import actors
from lockstep.cli.demo.acts import make_verifier
from lockstep.cli.demo.stage import Stage, describe

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]


def defended(stage: Stage, prefix: str, kind: type[Verifier], **options: object) -> tuple[str, Defender]:
    """The outcome of a task whose solver is alone against its verifier, and the solver's defence."""
    world = stage.world
    posted = stage.submit(world.agent(Submitter, f"{prefix} submitter"), "mlp", stage.order("defended", 8, 4))
    task = posted.terms.id
    verifier = make_verifier(stage, kind, f"{prefix} verifier", posted, 3, **options)
    solver = world.agent(Solver, f"{prefix} solver", [task])
    defender = Defender(solver.lockstep, solver.store, solver.journal, solver.narrate, only=[task])
    state = world.run(task, [solver, defender, verifier])
    world.dismiss(verifier)
    assert state is TaskState.SETTLED
    return describe(world, task, state), defender


def test_lying_verifier_falls_to_the_solver_itself(stage: Stage) -> None:
    outcome, _ = defended(stage, "8", actors.LyingVerifier, segment=1, step=2)
    assert outcome == "settled; 8 verifier convicted"


def test_right_claims_cost_the_solver_no_replay(stage: Stage) -> None:
    outcome, defender = defended(stage, "9", Verifier)
    assert outcome == "settled"
    assert defender.compute_seconds == 0
