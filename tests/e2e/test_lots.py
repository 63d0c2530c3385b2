"""The draw of useful work: a settled task's winning segments pay their solver what both twins say, out of the levy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lockstep.agents import lots as agents
from lockstep.agents.solver import Solver
from lockstep.agents.submitter import Order, Submitter
from lockstep.agents.verifier import Verifier
from lockstep.agents.workload import WorkloadError
from lockstep.chain import lots
from lockstep.chain.errors import Reverted
from lockstep.chain.lockstep import PostedTask
from lockstep.chain.types import TaskState
from lockstep.cli.demo.acts import make_verifier
from lockstep.cli.demo.stage import PRICE, Stage, job
from lockstep.dispute import claims
from lockstep.storage.store import ArtifactStore

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]

STEPS = 8
MOST_TASKS = 16
"""Each has eight tickets: none wins in all of them once in 10^16."""


class PatientSolver(Solver):
    """Does not collect what it won while it is told to wait."""

    waits = True

    def _collect(self, posted: PostedTask) -> bool:
        return False if self.waits else super()._collect(posted)


def settle(stage: Stage, name: str) -> tuple[PostedTask, PatientSolver]:
    submitter = stage.world.agent(Submitter, f"{name} submitter")
    posted = submitter.submit(job("mlp").workload, Order(STEPS, 1, audits=None, price=PRICE, seed=int(name)))
    solver = stage.world.agent(PatientSolver, f"{name} solver", [posted.terms.id])
    verifier = make_verifier(stage, Verifier, f"{name} verifier", posted, STEPS + 1)
    assert stage.world.run(posted.terms.id, [solver, verifier]) is TaskState.SETTLED
    stage.world.dismiss(verifier)
    return solver.lockstep.task(posted.terms.id), solver


def test_winning_segments_are_paid_once_and_others_not(stage: Stage, tmp_path) -> None:  # type: ignore[no-untyped-def]
    for number in range(40, 40 + MOST_TASKS):
        posted, solver = settle(stage, str(number))
        chain, terms = solver.lockstep, posted.terms
        won = agents.winnings(chain, solver.store, posted)
        if won:
            break
    assert {each.segment for each in won} == set(chain.open_lots(terms.id))
    bonus = chain.view(chain.lots, "bonusOf", terms.abi())
    assert bonus == won[0].bonus == lots.ODDS * terms.levy // (2 * terms.audits) > 0
    with pytest.raises(WorkloadError, match="cannot be had"):
        agents.winnings(chain, ArtifactStore(str(tmp_path)), posted)
    roots = agents.committed_roots(chain, solver.store, posted)
    lost = next(each for each in range(1, STEPS + 1) if each not in chain.open_lots(terms.id))
    proof = claims.checkpoint_proof(roots, lost)
    with pytest.raises(Reverted, match="did not win"):
        agents.collect(chain, replace(won[0], segment=lost, start=roots[lost - 1], end=roots[lost], proof=proof))
    with pytest.raises(Reverted, match="not those that were committed"):
        agents.collect(chain, replace(won[0], end=bytes(32)))
    solver.waits = False
    before, held = chain.owed(solver.address), chain.view(chain.treasury, "balance")
    assert solver.turn()
    assert chain.owed(solver.address) == before + bonus * len(won)
    assert chain.view(chain.treasury, "balance") == held - bonus * len(won)
    assert not agents.winnings(chain, solver.store, posted)
    assert not agents.collect(chain, won[0])
    assert not solver.turn()


def test_bonus_is_the_contracts(stage: Stage) -> None:
    submitter = stage.world.agent(Submitter, "39 submitter")
    posted = submitter.submit(job("mlp").workload, Order(STEPS, 1, audits=None, price=PRICE, seed=39))
    chain, rng = submitter.lockstep, np.random.default_rng(39)
    for _ in range(40):
        terms = replace(posted.terms, levy=int(2 ** rng.uniform(0, 95)), audits=int(rng.integers(1, 65)))
        assert chain.view(chain.lots, "bonusOf", terms.abi()) == lots.bonus(
            terms, terms.audits, terms.levy, chain.parameters
        )
    submitter.cancel(posted)
