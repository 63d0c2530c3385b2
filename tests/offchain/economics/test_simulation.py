"""Simulated payoffs are those the formulas predict, and diagrams by simulation are those by the inequalities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lockstep.economics.chances import OTHERS, caught, finder_part, looker_part, maker_part, poisson_mean
from lockstep.economics.phases import COARSE, Phase, accomplices, phases, silence_gain
from lockstep.economics.planted import claim_cost
from lockstep.economics.population import Focus, Population, Solving, Verifying, play
from lockstep.economics.setting import preset
from lockstep.economics.simulation import (
    Estimate,
    looker_payoff,
    payoffs,
    settle_on,
    solver_payoff,
    verifier_payoff,
)

S = preset("public")
NONE = S.numbering(forced_bps=0)
"""Without forced errors."""
TASKS = 4_000
ERRORS = 4


def close(found: Estimate, wanted: float) -> None:
    assert abs(found.mean - wanted) <= ERRORS * found.error + 1e-3


@pytest.mark.parametrize(("kind", "bad", "saved"), [(Solving.ONE, 1, 1.0), (Solving.ALL, 11, S.fee)])
def test_cheating_solver_gains_what_the_inequality_says(kind: Solving, bad: int, saved: float) -> None:
    crowd = accomplices(S.assumed.looked_at)
    honest = solver_payoff(S, crowd, Solving.HONEST, TASKS)
    cheats = solver_payoff(S, crowd, kind, TASKS)
    lost = caught(S.segments, S.audits, bad, S.assumed.looked_at) * S.solver_risk
    close(replace(cheats, mean=cheats.mean - honest.mean), saved - lost)


def test_lazy_verifier_loses_what_the_inequality_says() -> None:
    crowd = Population.honest(S.assumed.looked_at)
    honest, lazy = (verifier_payoff(NONE, crowd, kind, TASKS) for kind in (Verifying.HONEST, Verifying.LAZY))
    loss = S.assumed.looked_at * (S.claim_deposit + S.c(S.amounts.claim_bond))
    close(replace(lazy, mean=lazy.mean - honest.mean), S.assumed.cost - loss)


def test_copier_of_good_work_saves_the_replay() -> None:
    crowd = Population.honest(0.9)
    honest, copies = (verifier_payoff(S, crowd, kind, TASKS) for kind in (Verifying.HONEST, Verifying.COPYING))
    assert copies.mean - honest.mean == pytest.approx(S.assumed.cost)


def test_planted_errors_pay_lookers_and_planters_what_the_formulas_say() -> None:
    forced, crowd, n = S.forced, Population.honest(1 / 3), 8_000
    assert forced is not None
    gas = forced.rate * S.gas(S.gas_used.blind_claim)
    rate = crowd.lookers
    close(looker_payoff(S, crowd, n), forced.reward * looker_part(rate) - S.assumed.cost - gas)
    plain = verifier_payoff(NONE, crowd, Verifying.HONEST, n)
    plants = verifier_payoff(S, crowd, Verifying.HONEST, n)
    close(replace(plants, mean=plants.mean - plain.mean), forced.reward * poisson_mean(maker_part(OTHERS), rate))
    tips = verifier_payoff(S, crowd, Verifying.TIPPING, n)
    own = poisson_mean(finder_part(OTHERS + 1) + maker_part(OTHERS + 1), rate)
    close(replace(tips, mean=tips.mean - plain.mean), forced.reward * own - forced.rate * claim_cost(S))
    # with a friend of the verifier before them lookers share with one more
    tipping = replace(crowd, verifying=np.eye(6)[Verifying.TIPPING])
    shared = poisson_mean(finder_part(OTHERS + 2) * np.minimum(1, 3 / (OTHERS + 1)), rate)
    close(looker_payoff(S, tipping, n), forced.reward * shared - S.assumed.cost - gas)


def test_griefers_of_both_kinds_lose_and_good_work_is_paid() -> None:
    crowd = Population.honest(1 / 3, griefers=0.5)
    assert verifier_payoff(S, crowd, Verifying.GRIEFING, TASKS).mean < -S.claim_deposit / 2
    assert (
        solver_payoff(S, crowd, Solving.HONEST, TASKS).mean
        >= solver_payoff(S, Population.honest(1 / 3), Solving.HONEST, TASKS).mean - 1e-9
    )


def test_the_same_seed_is_the_same_play() -> None:
    crowd = Population.honest(1 / 3, griefers=0.2)
    first, second = (play(np.random.default_rng(3), S, crowd, 50, Focus()).histories for _ in range(2))
    for name in ("posted", "root", "beaten_by", "digest_by", "failed"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
    assert payoffs(S, crowd, 200, 1) == payoffs(S, crowd, 200, 1)


def test_silent_coalition_gains_where_the_inequality_says() -> None:
    for share, gains in ((0.1, False), (0.3, False), (0.6, True), (0.8, True)):
        assert (silence_gain(S.assuming(colluding=share), TASKS, 1) > 0) is gains


@pytest.mark.parametrize("phase", phases(S), ids=lambda phase: phase.name)
def test_diagram_by_simulation_is_that_by_the_inequalities(phase: Phase) -> None:
    """At a few points; near an edge a sample may fall on the other side, so one may differ."""
    tasks = 6_000 if phase.name == "collusion" else 500  # three silent rounds are rare
    points = [(x, y) for x in phase.x.values(COARSE)[1::2] for y in phase.y.values(COARSE)[1::2]]
    differ = [point for point in points if phase.honest(*point, tasks, 11) != phase.deters(*point)]
    assert len(points) >= 6
    assert len(differ) <= 1


def test_diagrams_regions_are_named_and_defaults_are_where_the_inequalities_have_them() -> None:
    found = {phase.name: phase for phase in phases(S)}
    for name in ("audits", "deposits", "collusion", "forced"):
        assert found[name].region(*found[name].here) == 0
    assert found["forced"].edge(False) == "breaks at 11; breaks at 23"
    assert found["collusion"].edge(False).startswith("breaks at 21")
    regions = found["deposits"].drawn()
    assert set(np.unique(regions)) <= set(range(len(found["deposits"].regions)))


def test_without_forced_errors_looking_dwindles_and_cheating_comes() -> None:
    *_, last = settle_on(NONE, Population.honest(1 / 3), 20, 200)
    assert last.looked_at < 0.2
    assert last.solving[Solving.HONEST] < 0.98


def test_forced_errors_keep_solvers_honest() -> None:
    *_, kept = settle_on(S, Population.honest(1 / 3), 6, 1_000)
    assert kept.solving[Solving.HONEST] > 0.99
    assert kept.looked_at > 0.316
