"""The six acts, each a function that plays its scenes on a stage.

Every scene has its own parties, named by role; every segment is audited.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from lockstep.agents.base import Agent
from lockstep.agents.solver import Solver
from lockstep.agents.submitter import Submitter
from lockstep.agents.verifier import Verifier
from lockstep.agents.whistleblower import Whistleblower
from lockstep.chain.lockstep import PostedTask
from lockstep.chain.types import SlotState
from lockstep.cli.demo import actors
from lockstep.cli.demo.stage import Stage, job
from lockstep.engine.run import native_is_usable

A = TypeVar("A", bound=Agent)
Cast = tuple[type[A], str, dict[str, object]]
"""A party of a scene: what kind of agent it is, its role, its options."""
STEPS, SEGMENT = 2_560, 64
"""Length of act 1's training of the MLP."""
FEWER_STEPS = 512
"""The same where PyTorch alone computes: a step then takes some ten times as long."""
CNN_STEPS, CNN_SEGMENT = 96, 32
SHORT_STEPS, SHORT_SEGMENT = 16, 8
"""Length of the other acts' runs: three segments with the init segment."""


@dataclass(frozen=True, slots=True)
class Act:
    """One act: its number, what it is about, and how it is played."""

    number: int
    title: str
    play: Callable[[Stage], None]


def make_verifier(
    stage: Stage, kind: type[Verifier], name: str, posted: PostedTask, segments: int, **options: object
) -> Verifier:
    """A registered verifier with stake for every segment of a task, and some to spare."""
    verifier = stage.world.agent(kind, name, [posted.terms.id], **options)
    parameters = verifier.lockstep.parameters
    each = verifier.lockstep.numbers(posted.terms).claim_deposit + parameters.claim_bond
    verifier.register(each * segments + parameters.weight_unit)
    return verifier


def _scene(
    stage: Stage,
    name: str,
    expected: str,
    *,
    model: str = "mlp",
    steps: int = SHORT_STEPS,
    segment: int = SHORT_SEGMENT,
    solver: type[Solver] = Solver,
    solver_options: dict[str, object] | None = None,
    verifiers: Sequence[Cast[Verifier]] = ((Verifier, "verifier", {}),),
    watchers: Sequence[Cast[Whistleblower]] = (),
    accuracy: bool = False,
) -> None:
    """One task with its parties, from submission to the last claim closed."""
    world = stage.world
    prefix = name.split()[0]
    submitter = world.agent(Submitter, f"{prefix} submitter")
    posted = stage.submit(submitter, model, stage.order(name, steps, segment))
    task, segments = posted.terms.id, -(-steps // segment) + 1
    agents: list[Agent] = [
        world.agent(solver, f"{prefix} solver", [task], progress=stage.progress(), **(solver_options or {}))
    ]
    drawn = [
        make_verifier(stage, kind, f"{prefix} {role}", posted, segments, **options) for kind, role, options in verifiers
    ]
    agents += drawn
    agents += [world.agent(kind, f"{prefix} {role}", [task], **options) for kind, role, options in watchers]
    stage.cast([submitter, *agents])
    stage.play(name, expected, submitter, posted, agents, model if accuracy else None)
    world.dismiss(*drawn)


def act_one(stage: Stage) -> None:
    """Honest work is paid."""
    steps = STEPS if native_is_usable(job("mlp").workload.step) else FEWER_STEPS
    _scene(stage, "1a honest MLP", "settled", steps=steps, segment=SEGMENT, accuracy=True)
    _scene(stage, "1b honest CNN", "settled", model="cnn", steps=CNN_STEPS, segment=CNN_SEGMENT, accuracy=True)


def act_two(stage: Stage) -> None:
    """Bad work is condemned."""
    _scene(stage, "2a skipped work", "rejected", solver=actors.SkippingSolver, solver_options={"skipped": 1})
    _scene(
        stage,
        "2b one weight, one ulp",
        "rejected",
        solver=actors.NudgingSolver,
        solver_options={"segment": 2, "step": 3},
    )


def act_three(stage: Stage) -> None:
    """Verifiers are checked too."""
    lie = {"segment": 2, "step": 3}
    watcher: Cast[Whistleblower] = (Whistleblower, "whistleblower", {})
    _scene(
        stage,
        "3a passes bad work",
        "rejected; 3a verifier convicted",
        solver=actors.NudgingSolver,
        solver_options=dict(lie),
        verifiers=[(actors.LyingVerifier, "verifier", dict(lie))],
        watchers=[watcher],
    )
    _scene(
        stage,
        "3b copies the root",
        "settled; 3b verifier convicted by its digest",
        verifiers=[(actors.LazyVerifier, "verifier", {})],
        watchers=[watcher],
    )


def act_four(stage: Stage) -> None:
    """Good work is cleared."""
    _scene(
        stage,
        "4 condemns good work",
        "settled; 4 verifier convicted",
        verifiers=[(actors.LyingVerifier, "verifier", {"segment": 1, "step": 5})],
        watchers=[(Whistleblower, "whistleblower", {})],
    )


def act_five(stage: Stage) -> None:
    """The court recomputes one element."""
    lie_about(stage, "mlp", "5a", actors.LyingVerifier, "no trace")
    lie_about(stage, "mlp", "5b", actors.PublishingLiar, "published trace")
    lie_about(stage, "cnn", "5c", actors.LyingVerifier, "no trace")
    lie_about(stage, "cnn", "5d", actors.PublishingLiar, "published trace")


def lie_about(stage: Stage, model: str, prefix: str, kind: type[Verifier], how: str) -> None:
    """A verifier condemns good work of a model with a run in which one weight is one ulp off; a whistleblower wins."""
    _scene(
        stage,
        f"{prefix} a lie about the {model.upper()}, {how}",
        f"settled; {prefix} verifier convicted",
        model=model,
        verifiers=[(kind, "verifier", {"segment": 2, "step": 3})],
        watchers=[(Whistleblower, "whistleblower", {})],
    )


def act_six(stage: Stage) -> None:
    """Frivolous and silent parties lose by the clock."""
    lie = {"segment": 1, "step": 2}
    _scene(
        stage,
        "6a frivolous challenger",
        "settled; challenge of 6a challenger failed",
        watchers=[(actors.FrivolousWhistleblower, "challenger", dict(lie))],
    )
    _scene(stage, "6b silent solver", "expired", solver=actors.SilentSolver)
    _silent_verifier(stage)
    watcher: Cast[Whistleblower] = (Whistleblower, "whistleblower", {})
    _scene(
        stage,
        "6d silent defender",
        "settled; 6d verifier convicted",
        verifiers=[(actors.SilentDefender, "verifier", dict(lie))],
        watchers=[watcher],
    )
    _scene(
        stage,
        "6e silent challenger",
        "settled; challenge of 6e challenger failed",
        watchers=[(actors.SilentChallenger, "challenger", dict(lie))],
    )


def _silent_verifier(stage: Stage) -> None:
    """The drawn verifier posts nothing; another, with far more stake, is drawn in its place."""
    world, name = stage.world, "6c silent verifier"
    submitter = world.agent(Submitter, "6c submitter")
    posted = stage.submit(submitter, "mlp", stage.order(name, SHORT_STEPS, SHORT_SEGMENT))
    task, segments = posted.terms.id, -(-SHORT_STEPS // SHORT_SEGMENT) + 1
    solver = world.agent(Solver, "6c solver", [task], progress=stage.progress())
    silent = make_verifier(stage, actors.SilentVerifier, "6c silent verifier", posted, segments)
    relief = world.agent(_Relief, "6c relief verifier", [task])
    stage.cast([submitter, solver, silent, relief])
    stage.play(name, "settled", submitter, posted, [solver, silent, relief])
    stage.world.dismiss(silent, relief)


class _Relief(Verifier):
    """Registers when it sees that somebody was drawn."""

    def tick(self) -> bool:
        """Register once audits are drawn, with nearly all it has; then verify."""
        if not self.lockstep.view(self.lockstep.court, "weightOf", self.address):
            task = next(self.tasks()).terms.id
            segments = self.lockstep.live_segments(task)
            if not segments or self.lockstep.slot(task, segments[0]).state != SlotState.DRAWN:
                return False
            self.register(self.lockstep.tokens(self.address) * 9 // 10)
            return True
        return super().tick()


ACTS = (
    Act(1, "Honest work is paid", act_one),
    Act(2, "Bad work is condemned", act_two),
    Act(3, "Verifiers are checked too", act_three),
    Act(4, "Good work is cleared", act_four),
    Act(5, "The court recomputes one element", act_five),
    Act(6, "Frivolous and silent parties lose by the clock", act_six),
)
