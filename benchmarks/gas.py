"""Gas and moves, on a real chain: a clean task, a whole dispute about the MLP, the same lie by its trace.

``peer`` is the limit the project sets itself; there is no ratio.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.console import Console

from benchmarks.measure import Result
from lockstep.agents.base import Agent
from lockstep.agents.solver import Solver
from lockstep.agents.submitter import Order, Submitter
from lockstep.agents.verifier import Verifier
from lockstep.chain.anvil import Anvil
from lockstep.cli.demo import actors, acts
from lockstep.cli.demo.stage import PRICE, Stage
from lockstep.cli.demo.world import World

CLEAN_LIMIT, DISPUTE_LIMIT, ONE_SHOT_LIMIT, MOVES_LIMIT = 1_000_000, 3_000_000, 1_500_000, 5
LIFE = ("submit", "accept", "acknowledge", "commit", "drawAudits", "postClaim", "settle")
"""A clean task from submission to settlement; stakes and token approvals are made before."""
DISPUTE = ("open", "reveal", "pick", "prove")


def _gas(name: str, used: Mapping[str, int], limit: int, detail: str) -> Result:
    listed = ", ".join(f"{kind} {units:,}" for kind, units in used.items())
    return Result(f"gas/{name}", float(sum(used.values())), float(limit), None, "gas", f"{detail}: {listed}")


def clean_task(stage: Stage) -> Result:
    """A task nobody contests, with two audits."""
    world = stage.world
    submitter = world.agent(Submitter, "clean submitter")
    posted = stage.submit(submitter, "mlp", Order(64, 32, audits=2, price=PRICE, seed=7, title="clean"))
    task = posted.terms.id
    agents: list[Agent] = [world.agent(Solver, "clean solver", [task])]
    verifiers = [acts.make_verifier(stage, Verifier, f"clean {i} verifier", posted, 3) for i in range(2)]
    world.run(task, [*agents, *verifiers])
    used = {kind: sum(units) for kind, units in world.gas_used().items() if kind in LIFE}
    world.dismiss(*verifiers)
    return _gas("clean_task", {kind: used[kind] for kind in LIFE}, CLEAN_LIMIT, "submit to settle, two audits")


def measure(quick: bool) -> Iterator[Result]:
    """The four figures; ``quick`` changes nothing, they are exact."""
    with tempfile.TemporaryDirectory(prefix="lockstep-bench-") as folder, Anvil() as node:
        stage = Stage(World(node, Path(folder)), Console(quiet=True))
        yield clean_task(stage)
        acts.lie_about(stage, "mlp", "9a", actors.LyingVerifier, "no trace")
        rounds = stage.scenes[-1]
        used = {kind: units for kind, units in rounds.gas.items() if kind.startswith(DISPUTE)}
        yield _gas("dispute", used, DISPUTE_LIMIT, "open to conviction, MLP, 8-step segment")
        most = max(rounds.moves.values())
        detail = f"defender {rounds.moves['defender']}, challenger {rounds.moves['challenger']}"
        yield Result("moves/dispute", float(most), float(MOVES_LIMIT), None, "moves", detail)
        acts.lie_about(stage, "mlp", "9b", actors.PublishingLiar, "published trace")
        shot = stage.scenes[-1].gas["oneShot"]
        yield _gas("one_shot", {"oneShot": shot}, ONE_SHOT_LIMIT, "the same lie, by its trace")
