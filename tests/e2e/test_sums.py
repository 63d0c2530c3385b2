"""A verifier that checks published sums claims what one that replays in full does, whatever the sums are."""

from __future__ import annotations

import pytest

from lockstep.agents import replica as replicas
from lockstep.agents.publisher import SumsPublisher
from lockstep.agents.reader import checkpoint_roots
from lockstep.agents.solver import Solver
from lockstep.agents.submitter import Submitter
from lockstep.agents.sums import KIND, SumsManifest, sums_key
from lockstep.agents.verifier import Verifier
from lockstep.chain.lockstep import PostedTask
from lockstep.cli.demo import actors
from lockstep.cli.demo.acts import make_verifier
from lockstep.cli.demo.stage import Stage, describe
from lockstep.engine.sums import carried_nodes
from lockstep.storage.manifest import get_manifest, put_manifest

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]


class SumsVerifier(Verifier):
    """Checks sums."""

    uses_sums = True


class FalsePublisher(SumsPublisher):
    """Publishes the sums of one step as those of another."""

    def _publish(self, posted: PostedTask, segment: int) -> bool:
        acted = super()._publish(posted, segment)
        if acted:
            roots = checkpoint_roots(self.published(posted))
            key = sums_key(roots[segment - 1], roots[segment])
            name = self.store.get_ref(KIND, key)
            assert name is not None
            steps = get_manifest(self.store, name, SumsManifest).steps
            self.store.set_ref(KIND, key, put_manifest(self.store, SumsManifest(steps=[steps[1], *steps[1:]])))
        return acted


def played(
    stage: Stage, prefix: str, solving: type[Solver], publishing: type[SumsPublisher], **options: object
) -> tuple[str, list[str]]:
    """The outcome of a task whose verifier checks sums, and what was said."""
    world, said = stage.world, []
    before, world.say = world.say, lambda name, line: said.append(f"{name} {line}")
    try:
        posted = stage.submit(world.agent(Submitter, f"{prefix} submitter"), "mlp", stage.order("sums", 8, 4))
        task = posted.terms.id
        verifier = make_verifier(stage, SumsVerifier, f"{prefix} verifier", posted, 3)
        solver = world.agent(solving, f"{prefix} solver", [task], **options)
        publisher = publishing(solver.lockstep, solver.store, solver.journal, solver.narrate, only=[task])
        state = world.run(task, [solver, publisher, verifier])
        world.dismiss(verifier)
        return describe(world, task, state), said
    finally:
        world.say = before


@pytest.fixture(autouse=True)
def _everything_is_carried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "carried_nodes", lambda program: carried_nodes(program, 0))


def test_right_sums_pass_good_work(stage: Stage) -> None:
    outcome, said = played(stage, "20", Solver, SumsPublisher)
    assert outcome == "settled"
    assert [line for line in said if "checks segment" in line]
    assert not [line for line in said if "cannot use" in line]


def test_right_sums_condemn_bad_work(stage: Stage) -> None:
    outcome, said = played(stage, "21", actors.NudgingSolver, SumsPublisher, segment=1, step=2)
    assert "condemns segment 1" in " ".join(said)
    assert not [line for line in said if "cannot use" in line]
    assert outcome == "rejected"


def test_false_sums_are_named_and_do_not_condemn_good_work(stage: Stage) -> None:
    outcome, said = played(stage, "22", Solver, FalsePublisher)
    assert outcome == "settled"
    assert [line for line in said if "22 verifier cannot use the sums" in line and "The sums stated for node" in line]
