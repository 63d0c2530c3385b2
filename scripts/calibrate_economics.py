"""Measure what the economic model takes from the real contracts: gas by party, and the work of a small task.

    scripts/calibrate_economics.py    play three tasks on a local chain, write economics/calibration.json

A clean task with two audits, one whose drawn verifier lies about one weight and loses the dispute, and one of which an
undrawn segment is called up. Gas is exact and changes with the contracts only; run it again when they do.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from lockstep.agents.base import Agent
from lockstep.agents.solver import Solver
from lockstep.agents.submitter import Order, Submitter
from lockstep.agents.verifier import Verifier
from lockstep.chain.anvil import Anvil
from lockstep.cli.demo import actors, acts
from lockstep.cli.demo.stage import PRICE, Stage, job
from lockstep.cli.demo.world import World

FILE = Path(__file__).resolve().parent.parent / "offchain" / "lockstep" / "economics" / "calibration.json"
AUDITS = 2
DEFENDER = ("revealStates", "revealStep", "revealNodes", "revealChunks", "revealData", "revealParts")
CHALLENGER = ("open", "pickStep", "pickBlock", "pickNode", "pickChunk", "pickElement", "prove", "provePart")


def clean_gas(stage: Stage) -> dict[str, int]:
    """Gas by kind of transaction of a task nobody contests, all of the kind together."""
    world = stage.world
    submitter = world.agent(Submitter, "clean submitter")
    posted = stage.submit(submitter, "mlp", Order(64, 32, audits=AUDITS, price=PRICE, seed=7, title="clean"))
    task = posted.terms.id
    agents: list[Agent] = [world.agent(Solver, "clean solver", [task])]
    verifiers = [acts.make_verifier(stage, Verifier, f"clean {i} verifier", posted, 3) for i in range(2)]
    world.run(task, [*agents, *verifiers])
    used = {kind: sum(units) for kind, units in world.gas_used().items()}
    world.dismiss(*verifiers)
    return used


def call_gas(stage: Stage) -> int:
    """Gas of calling up a segment that was not drawn, of five of which two are."""
    world = stage.world
    submitter = world.agent(Submitter, "called submitter")
    posted = stage.submit(submitter, "mlp", Order(20, 5, audits=AUDITS, price=PRICE, seed=7, title="called"))
    task = posted.terms.id
    callers: list[Agent] = []
    for segment in (1, 2, 3):  # one of them at least is not drawn
        caller = world.agent(actors.FrivolousWhistleblower, f"called {segment} caller", [task], segment=segment)
        caller.undrawn = 1.0
        callers.append(caller)
    verifier = acts.make_verifier(stage, Verifier, "called verifier", posted, AUDITS)
    world.run(task, [world.agent(Solver, "called solver", [task]), verifier, *callers])
    return world.gas_used()["callUp"][0]


def _total(used: Mapping[str, int], kinds: tuple[str, ...]) -> int:
    return sum(used.get(kind, 0) for kind in kinds)


def main() -> None:
    """Play the tasks and write the file."""
    with tempfile.TemporaryDirectory(prefix="lockstep-calibrate-") as folder, Anvil() as node:
        stage = Stage(World(node, Path(folder)), Console(quiet=True))
        clean = clean_gas(stage)
        acts.lie_about(stage, "mlp", "9a", actors.LyingVerifier, "no trace")
        dispute = stage.scenes[-1].gas
        called = call_gas(stage)
    workload = job("mlp").workload
    # A verifier draws and claims a segment at once; one that is drawn for more posts the others in one transaction.
    at_once = int("drawAndClaim" in clean)
    claim = _total(clean, ("postClaim", "postClaim, many")) // (AUDITS - at_once)
    document = {
        "command": "scripts/calibrate_economics.py",
        "gas": {
            "submit": clean["submit"],
            "solve": _total(clean, ("acceptAndAcknowledge", "commit")),
            "claim": claim,
            "keep": _total(clean, ("drawAudits", "drawAndClaim", "settle")) - at_once * claim,
            "blind_claim": _total(dispute, ("placeBlind", "unblind")),
            "call": called,
            "defend": _total(dispute, DEFENDER),
            "challenge": _total(dispute, CHALLENGER),
        },
        "work": {"step": workload.step_commitment.work, "init": workload.init_work},
    }
    FILE.write_text(json.dumps(document, indent=1) + "\n")
    print(FILE.read_text(), end="")


if __name__ == "__main__":
    main()
