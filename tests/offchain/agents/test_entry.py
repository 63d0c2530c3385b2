"""The whistleblower's default strategy, whatever it sees."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lockstep.agents.entry import Choice, Outlook, decide, expected_reward, look_chance
from lockstep.economics.chances import free_entry
from tests.strategies.outlooks import COST, outlooks


def outlook(**changes: float) -> Outlook:
    """No rivals, 10,000 claims judged and none false, p J of 1.4 c: forced errors alone pay."""
    values = {"rivals": 0, "judged": 10_000, "false": 0, "forced": 1.4 * COST, "found": 0, "wage": COST, "work": 10**6}
    return Outlook(**{**values, "cost": COST, **changes})  # type: ignore[arg-type]


@given(o=outlooks(COST), chance=st.floats(0.001, 1))
def test_expected_reward_is_the_mean_over_the_rivals_that_look(o: Outlook, chance: float) -> None:
    others = range(o.rivals + 1)
    weights = [math.comb(o.rivals, n) * chance**n * (1 - chance) ** (o.rivals - n) for n in others]
    mean = sum(
        weight * (o.forced / 5**n + o.false_share * o.found / (n + 1))
        for n, weight in zip(others, weights, strict=True)
    )
    assert expected_reward(o, chance) == pytest.approx(mean, rel=1e-6, abs=1e-3)


@given(o=outlooks(COST))
def test_share_is_all_or_none_or_pays_just_its_cost(o: Outlook) -> None:
    chance, needed = look_chance(o), o.cost + o.least
    assert 0 <= chance <= 1
    if chance == 1:
        assert expected_reward(o, 1) >= needed
    elif chance == 0:
        assert expected_reward(o, 0) <= needed
    else:
        assert expected_reward(o, chance) == pytest.approx(needed, rel=1e-6, abs=1e-3)


@given(o=outlooks(COST), more=st.floats(1.01, 5), rivals=st.integers(1, 20))
def test_share_falls_with_rivals_and_cost_and_rises_with_rewards(o: Outlook, more: float, rivals: int) -> None:
    chance, slack = look_chance(o), 1e-9
    assert look_chance(replace(o, rivals=o.rivals + rivals)) <= chance + slack
    assert look_chance(replace(o, cost=o.cost * more, least=o.least * more)) <= chance + slack
    assert look_chance(replace(o, forced=o.forced * more)) >= chance - slack
    assert look_chance(replace(o, found=round(o.found * more))) >= chance - slack
    assert look_chance(replace(o, false=min(o.judged, o.false + 1))) >= chance - slack


@given(o=outlooks(COST))
def test_decision_never_chooses_what_does_not_pay(o: Outlook) -> None:
    decision = decide(o)
    needed = o.cost + o.least
    assert decision.chance <= o.room
    assert (decision.choice is Choice.WHISTLEBLOWER) == (decision.chance > 0)
    if decision.choice is Choice.WHISTLEBLOWER:
        assert decision.expected >= needed * (1 - 1e-6) - 1e-3
    if decision.choice is Choice.VERIFIER:
        assert o.wage >= needed
    if decision.choice is Choice.REVEALER:
        assert o.wage < needed


@pytest.mark.parametrize("reward", [1.2, 1.4, 1.6])
def test_many_rivals_that_do_alike_make_free_entry(reward: float) -> None:
    seen = outlook(rivals=2_000, judged=10**9, forced=reward * COST)
    lookers = (seen.rivals + 1) * look_chance(seen)
    assert lookers == pytest.approx(free_entry(reward, 1.0), rel=0.01)


@given(o=outlooks(COST))
def test_shares_of_all_rivals_together_do_not_grow_past_what_pays(o: Outlook) -> None:
    chance = look_chance(o)
    assume(0 < chance < 1)
    assert expected_reward(o, min(1.0, chance * 1.1)) <= (o.cost + o.least) * (1 + 1e-6) + 1e-3


def test_lone_looker_takes_every_claim_and_the_second_makes_it_share() -> None:
    assert decide(outlook()).chance == 1
    assert 0.3 < decide(outlook(rivals=1)).chance < 0.4  # 1.4 (1 - 4 q / 5) = 1


def test_nothing_seen_is_no_proof_of_honesty() -> None:
    found = 18.9 * COST
    assert decide(outlook(forced=0, found=round(found), judged=0)).choice is Choice.WHISTLEBLOWER
    assert decide(outlook(forced=0, found=round(found), judged=16)).choice is Choice.WHISTLEBLOWER
    assert decide(outlook(forced=0, found=round(found), judged=17 + 1)).choice is Choice.VERIFIER


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "looks at 100 % of the claims"),
        ({"cost": 2 * COST, "wage": 3 * COST}, "`lockstep verify`"),
        ({"cost": 2 * COST}, "`lockstep reveal`"),
        ({"room": 0.25}, "time for 25 % of the open claims"),
        ({"least": 5}, "5 base units must be left"),
    ],
)
def test_sentence_has_inputs_and_decision(changes: dict[str, float], words: str) -> None:
    said = decide(outlook(**changes)).sentence()
    assert words in said
    assert "0 rivals seen, 0 of 10,000 judged claims false" in said
    assert "a look, 1,000,000 units of work" in said
