"""Simulated payoffs are those the formulas predict, and diagrams by simulation are those by the inequalities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lockstep.economics.beyond import answered
from lockstep.economics.chances import (
    OTHERS,
    caught,
    finder_part,
    looker_part,
    maker_part,
    mean_number,
    met,
    poisson_mean,
)
from lockstep.economics.histories import CHECKPOINT
from lockstep.economics.payouts import pay
from lockstep.economics.phases import COARSE, Phase, accomplices, phases, silence_gain
from lockstep.economics.planted import claim_cost
from lockstep.economics.population import Focus, Population, Solving, Verifying, play
from lockstep.economics.setting import preset
from lockstep.economics.simulation import (
    Estimate,
    caller_payoff,
    looker_payoff,
    payoffs,
    settle_on,
    solver_payoff,
    undrawn,
    verifier_payoff,
    volunteer_payoff,
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


def test_task_that_a_false_caller_has_rejected_pays_no_jackpot() -> None:
    crowd = replace(Population.honest(0.0), callers=1.0)
    nobody = S.assuming(defended=0.0)
    plain = verifier_payoff(nobody.numbering(forced_bps=0), crowd, Verifying.HONEST, 400)
    assert verifier_payoff(nobody, crowd, Verifying.HONEST, 400) == plain
    assert verifier_payoff(nobody, replace(crowd, callers=0.0), Verifying.HONEST, 400).mean > plain.mean + 1


@pytest.mark.parametrize("searched", [0.25, 0.9])
def test_solver_that_poisons_one_segment_meets_volunteers_as_the_inequality_says(searched: float) -> None:
    crowd = replace(accomplices(S.assumed.looked_at), volunteers=mean_number(searched))
    honest = solver_payoff(S, crowd, Solving.HONEST, TASKS)
    poisons = solver_payoff(S, crowd, Solving.ONE, TASKS)
    # of a bad init segment hardly any computing is saved, but it is priced as every other
    lost = met(S.segments, S.audits, S.assumed.looked_at, searched) * S.solver_risk
    close(replace(poisons, mean=poisons.mean - honest.mean), 1.0 - lost)


def test_volunteer_finds_as_often_as_work_is_bad_and_takes_the_bounty_alone() -> None:
    cheats = replace(Population.honest(0.0), solving=0.6 * np.eye(3)[Solving.HONEST] + 0.4 * np.eye(3)[Solving.ONE])
    bounty = S.finder_share * S.solver_deposit - S.gas(S.gas_used.call)
    bad = 0.4 / S.segments
    close(volunteer_payoff(S, cheats, 4 * TASKS), bad * bounty - S.assumed.cost)
    # many volunteers share it by thirds, and a drawn bad segment takes no part of it from them: only one is bad
    crowded = volunteer_payoff(S, replace(cheats, volunteers=3.0), 4 * TASKS)
    shared = poisson_mean(1 / (OTHERS + 1), 3.0)
    close(crowded, bad * bounty * shared - S.assumed.cost)


def test_false_caller_falls_to_the_solver_or_to_whoever_looks() -> None:
    gas = S.gas(S.gas_used.call)
    for looked_at in (0.0, 1 / 3):
        falls = 1 - (1 - S.assumed.defended) * (1 - looked_at)
        lost, won = S.claim_deposit + S.c(S.amounts.claim_bond), S.finder_share * S.solver_deposit
        found = caller_payoff(S, Population.honest(looked_at), 2 * TASKS)
        close(found, (1 - falls) * won - falls * lost - gas)


def test_solver_answers_no_more_false_calls_than_its_free_stake_carries() -> None:
    crowd = replace(Population.honest(0.0), callers=1.0)
    always = S.assuming(defended=1.0)
    for stake in (4.0, 200.0):
        setting = always.assuming(free_stake=stake)
        played = play(np.random.default_rng(1), setting, crowd, 50, Focus(solving=Solving.HONEST)).histories
        called = played.called.sum(axis=1)
        assert (called == undrawn(S)).all()
        stands = called - (played.beaten_by[:, :, 0, 0] >= 0).sum(axis=1)
        assert (stands == max(0, undrawn(S) - answered(setting))).all()
    assert solver_payoff(always.assuming(free_stake=200.0), crowd, Solving.HONEST, 100).mean > 2.0
    assert solver_payoff(always, crowd, Solving.HONEST, 100).mean < -S.solver_deposit


def test_nobody_calls_a_good_segment_up_but_a_false_caller_and_every_base_unit_is_somebodys() -> None:
    crowd = replace(
        Population.honest(1 / 3, griefers=0.2, searched=0.5), solving=np.array([0.4, 0.4, 0.2]), callers=0.2
    )
    played = play(np.random.default_rng(4), S, crowd, 300, Focus())
    made = played.histories
    honest = made.called & (played.verifying[:, :, 0] == Verifying.HONEST)
    assert honest.any()
    assert (made.called & ~honest).any()
    assert (played.volunteers[honest] > 0).all()
    right = np.isin(played.solving, (Solving.HONEST,))
    assert not honest[right].any()
    assert (made.root[:, :, 0, 0][honest] != CHECKPOINT).all()
    assert not made.posted[made.undrawn & ~made.called].any()
    paid = pay(made, S.amounts)
    together = (
        paid.submitter + paid.solver + paid.treasury + paid.claimant.sum(axis=(1, 2, 3)) + paid.demander.sum(axis=1)
    )
    assert not together.any()


def test_where_every_segment_is_drawn_nobody_volunteers() -> None:
    whole = replace(S, job=replace(S.job, audits=S.segments))
    found = payoffs(whole, Population.honest(1 / 3), 50)
    assert (found.volunteering, found.calling) == (None, None)


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
    for name in ("audits", "deposits", "collusion", "forced", "volunteers"):
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
