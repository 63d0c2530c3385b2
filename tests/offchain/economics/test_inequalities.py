"""The inequalities hold for both profiles, break where they should, and follow from the payouts they are about."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.economics.bounds import BOUNDS, finder_reward, most_colluding, outside_gain
from lockstep.economics.chances import (
    caught,
    drawn_bad,
    first_shares,
    fixed_shares,
    free_entry,
    somebody,
    worst_cheating,
)
from lockstep.economics.inequalities import INEQUALITIES, Inequality
from lockstep.economics.phases import mended
from lockstep.economics.planted import PLANTED, applicable, entered, least_y
from lockstep.economics.setting import Forced, Setting, preset

PUBLIC = preset("public")


def numbers(**changes: int) -> Setting:
    """The public setting with other parameters."""
    profile = PUBLIC.profile
    disputes = {name: changes.pop(name) for name in ("opening_bond", "clock") if name in changes}
    made = replace(
        profile, parameters=replace(profile.parameters, **changes), disputes=replace(profile.disputes, **disputes)
    )
    return Setting(made, PUBLIC.job, PUBLIC.assumed)


def named(words: str) -> Inequality:
    (found,) = [each for each in (*INEQUALITIES, *PLANTED) if words in each.name]
    return found


@pytest.mark.parametrize("profile", ["local", "public"])
@pytest.mark.parametrize("each", INEQUALITIES, ids=lambda each: each.name)
def test_profile_satisfies_every_inequality(profile: str, each: Inequality) -> None:
    sides = each.sides(preset(profile))
    assert sides.holds, sides.numbers


BROKEN = [
    ("does not replay", numbers(claim_deposit_multiple=3)),
    ("leaves out segments", numbers(solver_deposit_multiple=2)),
    ("leaves out segments", PUBLIC.assuming(looked_at=0.2)),
    ("One bad segment", PUBLIC.assuming(outside=0.2)),
    ("a claim of its own", numbers(finder_bps=4_000)),
    ("a solver of its own", numbers(compensation_bps=8_000)),
    ("Withholding", numbers(finder_bps=-1)),
    ("Silence", PUBLIC.assuming(colluding=0.5)),
    ("Silence", Setting(PUBLIC.profile, replace(PUBLIC.job, plan=replace(PUBLIC.job.plan, steps=32_000)))),
    ("Condemning", PUBLIC.assuming(defended=0.0)),
    ("rather than be silent", PUBLIC.assuming(cost=4.0)),
    ("lives on its wage", PUBLIC.assuming(cost=1.0)),
    ("lives on its fee", PUBLIC.assuming(cost=1.0)),
    ("frivolous", numbers(opening_bond=10**16)),
    ("Convicting", PUBLIC.assuming(gas_price=10**14)),
    ("never opened", numbers(blind_bond=0)),
    ("censorship", numbers(unblind_window=3600)),
    ("let expire", PUBLIC.assuming(block_seconds=2.0)),
]


@pytest.mark.parametrize(("words", "setting"), BROKEN, ids=[words for words, _ in BROKEN])
def test_worse_numbers_break_it(words: str, setting: Setting) -> None:
    assert named(words).sides(PUBLIC).holds
    assert not named(words).sides(setting).holds


def test_every_inequality_can_break() -> None:
    assert {named(words).name for words, _ in BROKEN} == {each.name for each in INEQUALITIES}


def test_forced_errors_as_designed_do_not_hold_and_mended_ones_do() -> None:
    designed = PUBLIC.assuming(forced=Forced())
    failing = {each.name for each in applicable(designed) if not each.sides(designed).holds}
    assert failing == {named(words).name for words in ("after who found", "first in line", "levy covers")}
    better = mended(PUBLIC)
    assert all(each.sides(better).holds for each in applicable(better))
    assert Forced().most_shared > Forced().uncaught  # four accounts of one's own, where nobody else looks
    assert not named("first in line").sides(PUBLIC.assuming(forced=Forced(fixed_pot=True))).holds


def test_without_forced_errors_theirs_are_not_asked() -> None:
    assert applicable(PUBLIC) == INEQUALITIES


def test_chance_to_be_caught_is_that_of_drawing_without_replacement() -> None:
    rng = np.random.default_rng(5)
    order = rng.random((200_000, 11)).argsort(axis=1)[:, :3]
    looked = rng.random(order.shape) < 0.4
    found = ((order < 4) & looked).any(axis=1).mean()
    assert caught(11, 3, 4, 0.4) == pytest.approx(found, abs=0.004)
    assert drawn_bad(11, 3, 4).sum() == pytest.approx(1)


@given(st.integers(2, 80), st.integers(1, 12), st.floats(0.01, 1), st.floats(0.5, 1))
def test_worst_number_of_bad_segments_is_the_worst_of_all(segments: int, audits: int, y: float, part: float) -> None:
    audits, most = min(audits, segments), max(1.0, part * segments)
    _, chance = worst = worst_cheating(segments, audits, y, most)
    ratios = [caught(segments, audits, n, y) / min(n, most) for n in range(1, segments + 1)]
    assert chance / min(worst[0], most) == pytest.approx(min(ratios))


@pytest.mark.parametrize(("shares", "weights"), [(first_shares, (1, 1 / 3, 1 / 9, 1 / 27)), (fixed_shares, None)])
def test_lookers_share_is_that_of_random_orders(shares: object, weights: tuple[float, ...] | None) -> None:
    assert callable(shares)
    rng = np.random.default_rng(6)
    others = rng.poisson(0.8, 400_000)
    place = rng.integers(0, others + 1)
    table = np.zeros(64)
    table[:4] = weights or 0
    gains = table[place] if weights else 1 / (others + 1)
    assert shares(0.8) == pytest.approx(gains.mean(), abs=0.004)
    assert shares(0.0) == 1.0


@given(st.floats(1.01, 5))
def test_free_entry_leaves_a_look_just_its_cost(reward: float) -> None:
    rate = free_entry(reward, 1.0)
    assert reward * first_shares(rate) == pytest.approx(1.0)
    assert 0 < somebody(rate) < 1


def test_nobody_enters_for_less_than_a_look_costs() -> None:
    assert free_entry(1.0, 1.0) == 0.0


def test_figures_of_the_document_are_the_formulas() -> None:
    designed = PUBLIC.assuming(forced=Forced())
    assert entered(designed) == pytest.approx(0.56, abs=0.005)
    at_edge = least_y(PUBLIC)
    assert all(each.sides(PUBLIC.assuming(looked_at=at_edge + 1e-6)).holds for each in INEQUALITIES[:2])
    assert not all(each.sides(PUBLIC.assuming(looked_at=at_edge - 1e-6)).holds for each in INEQUALITIES[:2])
    assert not named("One bad").sides(PUBLIC.assuming(outside=outside_gain(PUBLIC) / PUBLIC.fee + 1e-9)).holds
    assert named("One bad").sides(PUBLIC.assuming(outside=outside_gain(PUBLIC) / PUBLIC.fee - 1e-9)).holds
    assert not named("Silence").sides(PUBLIC.assuming(colluding=most_colluding(PUBLIC) + 1e-6)).holds
    assert finder_reward(PUBLIC) == pytest.approx(0.3 * (30 + 20) + 5 * 10**18 / PUBLIC.amounts.replay_cost, abs=0.01)
    assert all(bound.value(PUBLIC) for bound in BOUNDS)


def test_margin_of_nothing_to_fear_is_without_bound() -> None:
    assert math.isinf(named("Condemning").sides(PUBLIC.assuming(defended=1.0)).margin)
