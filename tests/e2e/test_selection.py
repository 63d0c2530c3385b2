"""Solvers that apply: what they weigh is the contract's number, one is drawn, the others have their stake back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lockstep.agents.solver import Solver
from lockstep.agents.submitter import Order, Submitter
from lockstep.agents.verifier import Verifier
from lockstep.chain import selection
from lockstep.chain.errors import Reverted
from lockstep.chain.options import TaskOptions
from lockstep.chain.types import Declaration, Role, TaskState, TaskTerms
from lockstep.cli.demo.acts import make_verifier
from lockstep.cli.demo.stage import PRICE, Stage, job

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]

CASES = 60
APPLY_WINDOW, SOLVE_WINDOW = 600, 24 * 3600


class ForgetfulSolver(Solver):
    """Applies, and does not acknowledge what it is drawn for."""

    def _advance(self, posted):  # type: ignore[no-untyped-def]
        mine = self.lockstep.solver(posted.terms.id) == self.address
        return False if mine else super()._advance(posted)


def drawn_order(seed: int) -> Order:
    return Order(8, 4, audits=None, price=PRICE, seed=seed, apply_window=APPLY_WINDOW, solve_window=SOLVE_WINDOW)


def random_terms(rng: np.random.Generator, terms: TaskTerms) -> TaskTerms:
    options = TaskOptions(0, 0, 1, int(rng.integers(0, 9)))
    return replace(
        terms,
        step_work=int(2 ** rng.uniform(0, 62)),
        steps=int(2 ** rng.uniform(0, 32)),
        solve_window=1 + int(2 ** rng.uniform(0, 31)),
        state_chunks=1 + int(2 ** rng.uniform(0, 50)),
        price=1,
        options=options.pack(),
    )


def test_weights_are_the_contracts(stage: Stage) -> None:
    submitter = stage.world.agent(Submitter, "30 submitter")
    posted = submitter.submit(job("mlp").workload, drawn_order(30))
    chain, rng = submitter.lockstep, np.random.default_rng(30)
    compared = 0
    for _ in range(CASES):
        terms = random_terms(rng, posted.terms)
        deposit = chain.numbers(terms).solver_deposit
        if deposit >= 2**90:
            continue
        stake = int(deposit * 10 ** rng.uniform(0, 1.5))
        declared = Declaration(
            int(rng.integers(0, 256)), int(2 ** rng.uniform(0, 32)) - 1, int(2 ** rng.uniform(0, 32)) - 1
        )
        found = chain.view(chain.market, "weighApplication", terms.abi(), chain.client.address, stake, declared.abi())
        mine = selection.weight(terms, deposit, stake, 0, declared), selection.solve_window(terms, declared.rate)
        assert tuple(found) == mine
        compared += 1
    assert compared > CASES // 2
    submitter.cancel(posted)


def test_three_apply_and_one_is_drawn(stage: Stage) -> None:
    world = stage.world
    submitter = world.agent(Submitter, "31 submitter")
    posted = submitter.submit(job("mlp").workload, drawn_order(31))
    task = posted.terms.id
    solvers = [world.agent(Solver, f"31 {name} solver", [task]) for name in ("first", "second", "third")]
    solvers[2].declared = Declaration(0, 1 << 20, 1 << 20)
    verifier = make_verifier(stage, Verifier, "31 verifier", posted, 4)
    assert world.run(task, [*solvers, verifier]) is TaskState.SETTLED
    chain = submitter.lockstep
    assert chain.applicants(task) == [solver.address for solver in solvers]
    sums = [chain.view(chain.market, "applicationOf", task, index)[1] for index in range(3)]
    weights = [after - before for before, after in zip([0, *sums], sums, strict=False)]
    # The third says it can do all that is asked for: 1 against 0.3 of a compatibility of 0.2.
    assert weights[2] == 1 << 20
    assert weights[0] == weights[1] < weights[2] // 2
    value = chain.view(chain.beacon, "valueOf", chain.market.address, selection.draw_key(task))
    winner = solvers[selection.drawn(value, weights)]
    assert chain.solver(task) == winner.address
    assert all(chain.locked(solver.address) == 0 for solver in solvers)
    check_reputation(winner)
    world.dismiss(verifier)


def check_reputation(solver: Solver) -> None:
    """Half of the levy counts for the solver, once."""
    chain = solver.lockstep
    posted = next(solver.tasks())
    assert chain.reputation(solver.address, Role.SOLVER) == 0
    chain.send(chain.ledger, "creditSolver", posted.terms.abi(), doing="credit the solver")
    assert chain.reputation(solver.address, Role.SOLVER) == posted.terms.levy // 2
    with pytest.raises(Reverted, match="credited before"):
        chain.send(chain.ledger, "creditSolver", posted.terms.abi(), doing="credit the solver")


def test_drawn_solver_that_is_silent_pays_and_another_solves(stage: Stage) -> None:
    world = stage.world
    submitter = world.agent(Submitter, "32 submitter")
    posted = submitter.submit(job("mlp").workload, drawn_order(32))
    task = posted.terms.id
    forgetful = world.agent(ForgetfulSolver, "32 forgetful solver", [task])
    late = world.agent(Solver, "32 late solver", [task])
    verifier = make_verifier(stage, Verifier, "32 verifier", posted, 4)
    forgetful.turn()
    assert submitter.lockstep.applicants(task) == [forgetful.address]
    world.anvil.advance_time(APPLY_WINDOW + 1)
    before = world.parties["32 forgetful solver"].worth
    assert world.run(task, [late, verifier]) is TaskState.SETTLED
    assert submitter.lockstep.solver(task) == late.address
    lost = before - world.parties["32 forgetful solver"].worth
    assert lost == submitter.lockstep.numbers(posted.terms).miss
    world.dismiss(verifier)
