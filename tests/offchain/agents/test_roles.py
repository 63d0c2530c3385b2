"""When an account changes its role, whatever it sees; and where a population of such accounts comes to rest."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.agents.entry import Choice, Outlook, expected_reward, look_chance
from lockstep.agents.roles import (
    ROLES,
    Prospect,
    Rules,
    Standing,
    best,
    goal,
    incomes,
    sentence,
    solving,
    verifying,
    watch,
    watching,
)
from lockstep.economics.chances import free_entry
from tests.strategies.outlooks import COST, outlooks

SLACK = 1e-3
"""Base units that bisections may be off."""

prospects = st.builds(
    Prospect,
    outlook=outlooks(),
    claims=st.integers(1, 64),
    weight=st.floats(0, 1),
    carried=st.integers(0, 100),
    fee=st.integers(0, 200 * COST),
    solving=st.floats(0, 200 * COST),
    solvers=st.integers(0, 20),
    solvable=st.booleans(),
)
roles = st.sampled_from(ROLES)


def with_outlook(p: Prospect, **changes: float) -> Prospect:
    return replace(p, outlook=replace(p.outlook, **changes))  # type: ignore[arg-type]


# Incomes


@given(p=prospects, more=st.floats(1.01, 5), rivals=st.integers(1, 20))
def test_watching_falls_with_rivals_and_cost_and_rises_with_rewards(p: Prospect, more: float, rivals: int) -> None:
    o, income, slack = p.outlook, watching(p), SLACK * p.claims
    assert income >= 0
    assert watching(with_outlook(p, rivals=o.rivals + rivals)) <= income + slack
    assert watching(with_outlook(p, cost=o.cost * more)) <= income + slack
    assert watching(with_outlook(p, forced=o.forced * more)) >= income - slack
    assert watching(with_outlook(p, found=round(o.found * more))) >= income - slack


@given(p=prospects, more=st.floats(1.01, 5))
def test_verifying_grows_with_wage_and_weight_where_a_claim_pays(p: Prospect, more: float) -> None:
    income = verifying(p)
    assert verifying(with_outlook(p, wage=round(p.outlook.wage * more) + 1)) >= income
    if income > 0:
        assert verifying(replace(p, weight=min(1.0, p.weight * more))) >= income
    assert verifying(replace(p, carried=0)) == 0
    assert verifying(replace(p, weight=0.0)) == 0


@given(p=prospects, more=st.integers(1, 20))
def test_solving_is_shared_with_rivals_and_falls_with_cost(p: Prospect, more: int) -> None:
    able = replace(p, solvable=True)
    assert abs(solving(replace(able, solvers=able.solvers + more))) <= abs(solving(able))
    assert solving(replace(able, solving=able.solving + more)) < solving(able)
    assert solving(replace(p, solvable=False)) == 0


@given(o=outlooks(), claims=st.integers(1, 64))
def test_at_free_entry_a_look_leaves_nothing_so_any_paid_claim_is_better(o: Outlook, claims: int) -> None:
    if not 0 < look_chance(o) < 1:
        return
    prospect = Prospect(o, claims, 1.0, claims, 0, 0.0, 0)
    assert watching(prospect) <= SLACK * claims
    assert expected_reward(o, look_chance(o)) == pytest.approx(o.cost, rel=1e-6, abs=SLACK)
    if verifying(prospect) > 1:
        assert best(incomes([prospect]), Choice.WHISTLEBLOWER, 0.25) is Choice.VERIFIER


def test_incomes_are_means_and_nothing_seen_is_nothing_earned() -> None:
    outlook = Outlook(0, 10_000, 0, 1.4 * COST, 0, COST, 10**6, COST)
    alone = Prospect(outlook, 2, 0.5, 9, 30 * COST, 20 * COST, 1)
    assert watching(alone) == pytest.approx(2 * 0.4 * COST)
    assert verifying(alone) == pytest.approx(1.25 * 1.4 * COST)
    assert verifying(with_outlook(alone, rivals=1)) < verifying(alone)  # a rival that looks takes most of J
    assert incomes([alone, replace(alone, fee=20 * COST)])[Choice.SOLVER] == pytest.approx(2.5 * COST)
    assert set(incomes([]).values()) == {0.0}


# Changing


found = st.fixed_dictionaries({role: st.floats(-10 * COST, 10 * COST) for role in ROLES})


@given(f=found, role=roles, gain=st.floats(0, 2))
def test_best_is_a_role_that_pays_and_pays_so_much_more(f: dict[Choice, float], role: Choice, gain: float) -> None:
    chosen = best(f, role, gain)
    if chosen is None:
        assert max(f.values()) <= max(0.0, f[role]) * (1 + gain)
    else:
        assert chosen is not role
        assert f[chosen] == max(f.values()) > 0
        assert f[chosen] > f[role] * (1 + gain)


@given(
    looks=st.lists(st.tuples(st.integers(0, 100), found), min_size=1, max_size=60),
    role=roles,
    rules=st.builds(Rules, st.floats(0, 1), st.integers(0, 300), st.integers(0, 300)),
)
def test_changes_wait_their_time_and_keep_their_distance(
    looks: list[tuple[int, dict[Choice, float]]], role: Choice, rules: Rules
) -> None:
    now, standing, changes, wanted = 1_000, Standing(role), [1_000 - rules.dwell], dict[int, Choice | None]()
    for passed, seen in looks:
        now += passed
        standing = watch(standing, seen, now, rules)
        wanted[now] = best(seen, standing.role, rules.gain)
        to = goal(standing, now, rules)
        if to is not None:
            assert now - changes[-1] >= rules.dwell
            assert all(wanted[when] is to for when in wanted if now - rules.patience < when)
            standing, wanted = Standing(to, since=now), {}
            changes.append(now)


@given(base=st.floats(1, COST), noise=st.lists(st.floats(1, 1.25), max_size=40), role=roles)
def test_incomes_that_waver_by_less_than_the_gain_change_nothing(base: float, noise: list[float], role: Choice) -> None:
    standing, rules = Standing(role), Rules(gain=0.26)
    for now, factor in enumerate(noise):
        wavering = dict.fromkeys(ROLES, base * factor) | {role: base}
        standing = watch(standing, wavering, now, rules)
        assert goal(standing, now, rules) is None


# A population


def of_one(o: Outlook, counts: Counter[Choice], role: Choice, fee: int, cost: float) -> dict[Choice, float]:
    """Incomes of an account in a population of equals, which all take the role they find best."""
    others = counts - Counter([role])
    weight = 1 / (others[Choice.VERIFIER] + 1)
    outlook = replace(o, rivals=others[Choice.WHISTLEBLOWER])
    return incomes([Prospect(outlook, 4, weight, 4, fee, cost, others[Choice.SOLVER])])


@pytest.mark.parametrize("gain", [0.1, 0.25])
@given(
    forced=st.floats(0, 3),
    lies=st.integers(0, 40),
    wage=st.floats(0.9, 2),
    profit=st.floats(0, 5),
    start=st.lists(roles, min_size=1, max_size=24),
)
def test_population_comes_to_rest_where_nobody_gains_by_changing(
    gain: float, forced: float, lies: int, wage: float, profit: float, start: list[Choice]
) -> None:
    o = Outlook(0, 100, lies, forced * COST, 19 * COST, round(wage * COST), 10**6, 0.8 * COST)
    fee, cost = round((10 + profit) * COST), 10.0 * COST
    held = list(start)
    for _ in range(20 * len(held)):
        moved = False
        for who, role in enumerate(held):
            to = best(of_one(o, Counter(held), role, fee, cost), role, gain)
            if to is not None:
                held[who], moved = to, True
        if not moved:
            break
    else:
        raise AssertionError(f"It does not rest: {Counter(held)}.")
    counts = Counter(held)
    for role in counts:
        mine = of_one(o, counts, role, fee, cost)
        assert max(mine.values()) <= max(0.0, mine[role]) * (1 + gain) + SLACK


def test_population_looks_no_more_than_pays_at_rest() -> None:
    """Where wages pay nothing, looking is shared by as many as it pays: free entry."""
    o = Outlook(0, 10**9, 0, 1.4 * COST, 0, 0, 10**6, COST)
    alone = of_one(o, Counter([Choice.WHISTLEBLOWER]), Choice.WHISTLEBLOWER, 0, 1.0)
    assert alone[Choice.WHISTLEBLOWER] == pytest.approx(4 * 0.4 * COST)
    crowd = Counter({Choice.WHISTLEBLOWER: 2_000})
    many = of_one(o, crowd, Choice.WHISTLEBLOWER, 0, 1.0)
    assert many[Choice.WHISTLEBLOWER] == pytest.approx(0, abs=1)
    assert 2_000 * look_chance(replace(o, rivals=1_999)) == pytest.approx(free_entry(1.4, 1.0), rel=0.01)


def test_sentence_has_inputs_and_decision() -> None:
    outlook = Outlook(3, 10_000, 0, 0, 0, 2 * COST, 10**6, COST)
    seen = [Prospect(outlook, 2, 0.5, 9, 30 * COST, 20 * COST, 4)]
    told = incomes(seen)
    said = sentence(Standing(Choice.WHISTLEBLOWER), told, seen, Rules(patience=600))
    for words in ("rivals: 3", "50 % of the draws", "stake for 9 claims", "rivals: 4", "changes once", "600 s"):
        assert words in said
    assert "as a solver there is more than 25 % more than as a whistleblower" in said
    assert "it stays a solver" in sentence(Standing(Choice.SOLVER), told, seen, Rules())
    leaving = Standing(Choice.WHISTLEBLOWER, better=Choice.SOLVER, leaving=True)
    assert "it becomes a solver once nothing of it is open" in sentence(leaving, told, seen, Rules())
    assert "no task was posted yet" in sentence(Standing(Choice.VERIFIER), incomes([]), [], Rules())
