"""What the payout function says of a history is what the contracts paid in it, to the last base unit.

Scenes of the demo that were played already are looked at; those that were not are played now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from lockstep.agents.base import Agent
from lockstep.agents.defender import Defender
from lockstep.agents.solver import Solver
from lockstep.agents.submitter import Submitter
from lockstep.agents.verifier import Verifier
from lockstep.agents.whistleblower import Whistleblower
from lockstep.chain.lockstep import PostedTask
from lockstep.cli.demo import actors, acts
from lockstep.cli.demo.stage import Scene, Stage, job
from lockstep.economics.calibration import calibration
from tests.e2e.chain_histories import predicted
from tests.e2e.test_volunteers import SkippingUndrawn, Slanderer

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]

TREASURY = "treasury"
PLAYED: dict[str, Callable[[Stage], None]] = {
    "2": acts.act_two,
    "3": acts.act_three,
    "4": acts.act_four,
    "5": acts.act_five,
    "6": acts.act_six,
}
SEEN = ("2a", "3a", "3b", "4", "6a", "6b", "6c", "6e")


def test_reference_jobs_work_is_that_of_the_demos_model() -> None:
    measured, workload = calibration(), job("mlp").workload
    assert (measured.step_work, measured.init_work) == (workload.step_commitment.work, workload.init_commitment.work)


def task_of(stage: Stage, scene: Scene) -> PostedTask:
    prefix = scene.name.split()[0]
    submitter = stage.world.parties[f"{prefix} submitter"].address
    (posted,) = [each for each in stage.world.keeper_lockstep.tasks() if each.terms.submitter == submitter]
    return posted


def compare(stage: Stage, scene: Scene) -> None:
    gains = predicted(stage.world.keeper_lockstep, task_of(stage, scene), TREASURY)
    names = {party.address: name for name, party in stage.world.parties.items()} | {TREASURY: TREASURY}
    changes = {name: scene.balances_after[name] - before for name, before in scene.balances_before.items()}
    found = {names[address]: gain for address, gain in gains.items()}
    assert {name: found.get(name, 0) for name in changes} == changes
    assert set(found) <= set(changes)
    assert any(changes.values())


@pytest.mark.parametrize("prefix", SEEN)
def test_payouts_of_the_demos_scenes_are_the_contracts(stage: Stage, prefix: str) -> None:
    if not any(scene.name.startswith(f"{prefix} ") for scene in stage.scenes):
        PLAYED[prefix[0]](stage)
    compare(stage, next(scene for scene in stage.scenes if scene.name.startswith(f"{prefix} ")))


def play(
    stage: Stage,
    name: str,
    expected: str,
    verifier: type[Verifier],
    watchers: Sequence[tuple[type[Agent], dict[str, object]]] = (),
    solver: type[Solver] = Solver,
    solver_options: dict[str, object] | None = None,
    **options: object,
) -> None:
    """One small task with more parties, or worse ones, than the demo's."""
    world, prefix = stage.world, name.split()[0]
    submitter = world.agent(Submitter, f"{prefix} submitter")
    posted = stage.submit(submitter, "mlp", stage.order(name, 8, 4))
    task = posted.terms.id
    agents: list[Agent] = [world.agent(solver, f"{prefix} solver", [task], **(solver_options or {}))]
    drawn = acts.make_verifier(stage, verifier, f"{prefix} verifier", posted, 9, **options)
    agents.append(drawn)
    agents += [
        world.agent(kind, f"{prefix} {place} watcher", [task], **given) for place, (kind, given) in enumerate(watchers)
    ]
    stage.cast([submitter, *agents])
    stage.play(name, expected, submitter, posted, agents)
    world.dismiss(drawn)
    scene = stage.scenes[-1]
    assert scene.outcome == expected
    compare(stage, scene)


def test_several_finders_share_as_the_contracts_say(stage: Stage) -> None:
    lie: dict[str, object] = {"segment": 2, "step": 1}
    play(
        stage,
        "13a several finders",
        "rejected; 13a verifier convicted",
        actors.LyingVerifier,
        [(Whistleblower, {})] * 2,
        actors.NudgingSolver,
        lie,
        **lie,
    )


@pytest.mark.long
def test_liars_on_both_sides_are_judged_as_the_contracts_say(stage: Stage) -> None:
    play(
        stage,
        "13b two lies",
        "settled; 13b 0 watcher convicted; 13b verifier convicted",
        actors.LyingVerifier,
        [(actors.FrivolousWhistleblower, {"segment": 1, "step": 0, "entry": 1}), (Whistleblower, {})],
        segment=1,
        step=2,
    )


def test_silent_verifiers_in_every_round_end_as_the_contracts_say(stage: Stage) -> None:
    play(stage, "13c nobody claims", "unavailable", actors.SilentVerifier)


def play_called(
    stage: Stage,
    name: str,
    outcome: str,
    volunteers: Sequence[type[Whistleblower]],
    *,
    solver: type[Solver] = Solver,
    verifier: type[Verifier] = Verifier,
    defends: bool = False,
) -> None:
    """Tasks of five segments, two drawn, until the segment that is lied about is called up: all are compared."""
    world = stage.world
    for attempt in range(1, 6):
        prefix, lied = f"{name}{attempt}", 1 + attempt % 4
        lie: dict[str, object] = {"segment": lied, "step": 1}
        submitter = world.agent(Submitter, f"{prefix} submitter")
        posted = stage.submit(submitter, "mlp", replace(stage.order(name, 12, 3), audits=2))
        task = posted.terms.id
        works = world.agent(solver, f"{prefix} solver", [task], **(lie if solver is not Solver else {}))
        drawn = acts.make_verifier(stage, verifier, f"{prefix} verifier", posted, 6)
        agents: list[Agent] = [works, drawn]
        for place, kind in enumerate(volunteers):
            options = {} if kind is SkippingUndrawn else lie | {"step": place}
            agents.append(world.agent(kind, f"{prefix} {place} volunteer", [task], **options))
        stage.cast([submitter, *agents])
        if defends:
            agents.append(Defender(works.lockstep, works.store, works.journal, works.narrate, only=[task]))
        stage.play(prefix, outcome, submitter, posted, agents)
        world.dismiss(drawn)
        scene = stage.scenes[-1]
        compare(stage, scene)
        if lied in world.keeper_lockstep.called_segments(task):
            assert scene.outcome.split(";")[0] == outcome
            return
    raise AssertionError("Five draws hit the lie: one in three thousand.")


def test_call_that_shows_fraud_pays_as_the_contracts_do(stage: Stage) -> None:
    play_called(stage, "14a", "rejected", [SkippingUndrawn], solver=actors.NudgingSolver)


def test_false_calls_by_two_volunteers_pay_as_the_contracts_do(stage: Stage) -> None:
    play_called(stage, "14b", "settled", [Slanderer, Slanderer], defends=True)


def test_false_call_that_nobody_answers_pays_as_the_contracts_do(stage: Stage) -> None:
    play_called(stage, "14c", "rejected", [Slanderer])


@pytest.mark.long
def test_call_beside_silent_verifiers_pays_as_the_contracts_do(stage: Stage) -> None:
    play_called(
        stage, "14d", "rejected", [SkippingUndrawn], solver=actors.NudgingSolver, verifier=actors.SilentVerifier
    )
