"""What the tests of a shared world may leave in it."""

from __future__ import annotations

import pytest

from lockstep.agents.verifier import Verifier
from lockstep.cli.demo.stage import Stage
from lockstep.cli.demo.world import World
from tests.e2e.conftest import empty_draws

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]
LEFT = "left verifier"


def weight(world: World) -> int:
    """The weight in the draws of the verifier that a test leaves behind."""
    chain = world.keeper_lockstep
    return int(chain.view(chain.court, "weightOf", world.parties[LEFT].address))


def test_who_is_left_in_the_draws_is_retired(stage: Stage) -> None:
    agent = stage.world.agent(Verifier, LEFT)
    agent.register(agent.lockstep.parameters.weight_unit)
    assert weight(stage.world)
    assert LEFT in empty_draws(stage.world)
    assert weight(stage.world) == 0
    assert empty_draws(stage.world) == []
    agent.register(agent.lockstep.parameters.weight_unit)


def test_what_a_test_left_the_next_one_does_not_meet(stage: Stage) -> None:
    """Whatever the test before did, also nothing where this one runs alone."""
    if LEFT not in stage.world.parties:
        test_who_is_left_in_the_draws_is_retired(stage)
        empty_draws(stage.world)
    assert weight(stage.world) == 0
