"""The inequalities hold for both profiles, break where they should, and follow from the payouts they are about."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.economics.beyond import BEYOND, REVEAL_GAS, TOLERANT, answered, most_steps
from lockstep.economics.bounds import BOUNDS, finder_reward, most_colluding, outside_gain
from lockstep.economics.chances import (
    caught,
    drawn_bad,
    finder_part,
    free_entry,
    looker_part,
    maker_part,
    somebody,
    worst_cheating,
)
from lockstep.economics.inequalities import INEQUALITIES, Inequality
from lockstep.economics.planted import PLANTED, applicable, entered, least_y, looks, made
from lockstep.economics.setting import Setting, preset

ROOT = Path(__file__).resolve().parents[3]
PUBLIC = preset("public")


def numbers(**changes: int) -> Setting:
    """The public setting with other parameters."""
    disputes = {name: changes.pop(name) for name in ("opening_bond", "clock") if name in changes}
    made = replace(PUBLIC.profile, disputes=replace(PUBLIC.profile.disputes, **disputes))
    return Setting(made, PUBLIC.job, PUBLIC.assumed).numbering(**changes)


def named(words: str) -> Inequality:
    (found,) = [each for each in (*INEQUALITIES, *BEYOND, *PLANTED) if words in each.name]
    return found


@pytest.mark.parametrize("profile", ["local", "public"])
@pytest.mark.parametrize("each", [*INEQUALITIES, *BEYOND], ids=lambda each: each.name)
def test_profile_satisfies_every_inequality(profile: str, each: Inequality) -> None:
    sides = each.sides(preset(profile))
    assert sides.holds, sides.numbers


@pytest.mark.parametrize("each", PLANTED, ids=lambda each: each.name)
def test_public_profile_satisfies_those_of_forced_errors(each: Inequality) -> None:
    sides = each.sides(PUBLIC)
    assert sides.holds, sides.numbers


def revealing(**changes: int) -> Setting:
    """The public setting with another panel."""
    made = replace(PUBLIC.profile, reveals=replace(PUBLIC.profile.reveals, **changes))
    return Setting(made, PUBLIC.job, PUBLIC.assumed)


def lasting(steps: int) -> Setting:
    """The public setting with a task of so many steps."""
    return Setting(PUBLIC.profile, replace(PUBLIC.job, plan=replace(PUBLIC.job.plan, steps=steps)), PUBLIC.assumed)


def tolerant(share: float, segment_steps: int) -> Setting:
    """The public setting with a tolerant task."""
    plan = replace(PUBLIC.job.plan, segment_steps=segment_steps)
    return Setting(PUBLIC.profile, replace(PUBLIC.job, plan=plan, tolerance=share), PUBLIC.assumed)


FREE_CLAIMS = numbers(claim_deposit_multiple=0, claim_bond=0).assuming(gas_price=0)
SLOW = replace(PUBLIC.profile, demands=replace(PUBLIC.profile.demands, response=7 * 3600))
SLOW_ANSWERS = Setting(SLOW, PUBLIC.job, PUBLIC.assumed)
BROKEN = [
    ("does not replay", numbers(claim_deposit_multiple=3)),
    ("leaves out segments", numbers(solver_deposit_multiple=2)),
    ("leaves out segments", PUBLIC.assuming(looked_at=0.2)),
    ("One bad segment", PUBLIC.assuming(outside=0.2)),
    ("a claim of its own", numbers(finder_bps=4_000)),
    ("a solver of its own", numbers(compensation_bps=8_000)),
    ("Withholding", numbers(finder_bps=-1)),
    ("Silence", PUBLIC.assuming(colluding=0.6)),
    ("Silence", Setting(PUBLIC.profile, replace(PUBLIC.job, plan=replace(PUBLIC.job.plan, steps=32_000)))),
    ("pays for its answer", PUBLIC.assuming(gas_price=2 * 10**9)),
    ("Whoever looks", SLOW_ANSWERS),
    ("Condemning", PUBLIC.assuming(defended=0.0)),
    ("rather than be silent", PUBLIC.assuming(cost=4.0)),
    ("lives on its wage", PUBLIC.assuming(cost=1.0)),
    ("lives on its fee", PUBLIC.assuming(cost=1.0)),
    ("frivolous", numbers(opening_bond=10**16)),
    ("Convicting", PUBLIC.assuming(gas_price=10**14)),
    ("never opened", numbers(blind_bond=0)),
    ("censorship", numbers(unblind_window=3600)),
    ("censorship", numbers(opening_window=3600)),
    ("let expire", PUBLIC.assuming(block_seconds=2.0)),
    ("cannot leave", numbers(withdrawal_delay=5 * 24 * 3600)),
    ("cannot leave", PUBLIC.assuming(solve_window=72 * 3600)),
    ("False calls", numbers(claim_deposit_multiple=18)),
    ("False calls", lasting(3_200).assuming(free_stake=2.0)),
    ("Keeping a secret", revealing(bond=PUBLIC.profile.reveals.bond * 8 // 10)),
    ("Keeping a secret", revealing(tip_bps=5_000)),
    ("Keeping a secret", PUBLIC.assuming(waiting=20)),
    ("Revealing costs", revealing(bond=10**13)),
    ("not too long", lasting(3_200)),
    ("not too long", PUBLIC.assuming(defended=0.3)),
    ("whistleblowers join", numbers(jackpot_multiple=13)),
    ("own forced error", FREE_CLAIMS),
    ("Not making it", numbers(jackpot_multiple=30)),
    ("levy covers", Setting(PUBLIC.profile, replace(PUBLIC.job, levy_over_least=0.99), PUBLIC.assumed)),
    (
        "task of one's own",
        Setting(PUBLIC.profile, replace(PUBLIC.job, levy_over_least=0.1), PUBLIC.assumed).assuming(colluding=1.0),
    ),
]


@pytest.mark.parametrize(("words", "setting"), BROKEN, ids=[words for words, _ in BROKEN])
def test_worse_numbers_break_it(words: str, setting: Setting) -> None:
    assert named(words).sides(PUBLIC).holds
    assert not named(words).sides(setting).holds


def test_bound_on_steps_is_where_silence_or_condemning_begins_to_pay() -> None:
    edge = most_steps(PUBLIC)
    assert 320 < edge < 3_200
    growing = [named("Silence"), named("Condemning")]
    assert all(each.sides(lasting(edge)).holds for each in growing)
    assert not all(each.sides(lasting(edge + 1)).holds for each in growing)
    assert most_steps(PUBLIC.assuming(defended=0.0, looked_at=0.0)) == 0


def test_solver_answers_as_many_calls_as_its_free_stake_carries() -> None:
    assert (answered(PUBLIC), answered(PUBLIC.assuming(free_stake=0.0))) == (1, 1)
    assert answered(lasting(3_200)) == 14


def test_gas_of_a_reveal_is_no_more_than_reckoned() -> None:
    measured = json.loads((ROOT / "tests/snapshots/gas/RevealGasTest.json").read_text())
    assert REVEAL_GAS * 0.8 < int(measured["reveal"]) <= REVEAL_GAS


@pytest.mark.parametrize(
    ("words", "holds", "breaks"),
    [("no more than was measured", (0.1, 8), (0.11, 8)), ("A step left out", (0.1, 10), (0.1, 11))],
)
def test_tolerance_is_bounded(words: str, holds: tuple[float, int], breaks: tuple[float, int]) -> None:
    (each,) = [each for each in TOLERANT if words in each.name]
    assert each.sides(tolerant(*holds)).holds
    assert not each.sides(tolerant(*breaks)).holds


def test_every_inequality_can_break() -> None:
    assert {named(words).name for words, _ in BROKEN} == {each.name for each in (*INEQUALITIES, *BEYOND, *PLANTED)}


def test_finders_and_maker_get_what_the_contract_pays() -> None:
    jackpot, counts = 14 * 10**18, np.arange(6)
    finder = [0, jackpot, jackpot // 5, jackpot // 25, jackpot // 125, jackpot // 125]
    maker = [jackpot * 5 // 4, *(jackpot // (4 * 5 ** (min(n, 4) - 1)) for n in range(1, 6))]
    # five parts of the whole with one finder or none, and less with every other
    assert (finder_part(counts) * jackpot).tolist() == pytest.approx(finder)
    # a fifth for each finder: 5/4 J / 5^n
    assert (maker_part(counts) * jackpot).tolist() == pytest.approx(maker)
    together = finder_part(counts) * np.minimum(counts, 4) + maker_part(counts)
    assert together.max() == pytest.approx(1.25)


def test_own_finders_bring_nothing_but_their_cost() -> None:
    rate = looks(PUBLIC, PUBLIC.assumed.cost)
    gains = [made(PUBLIC, rate, own) for own in range(5)]
    assert gains == sorted(gains, reverse=True)
    free = [made(FREE_CLAIMS, rate, own) for own in range(5)]
    # the first four are paid: whoever is one of more than four who look takes a fifth's place, which is worth this much
    assert 0 < free[1] - free[0] < 1e-3 * free[0]
    assert max(free[2:]) < free[0] / 2


def test_without_forced_errors_theirs_are_not_asked() -> None:
    assert applicable(preset("local")) == (*INEQUALITIES, *BEYOND)
    assert applicable(PUBLIC) == (*INEQUALITIES, *BEYOND, *PLANTED)
    assert applicable(tolerant(0.1, 8)) == (*INEQUALITIES, *BEYOND, *TOLERANT, *PLANTED)


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


def test_lookers_part_is_that_of_random_orders() -> None:
    rng = np.random.default_rng(6)
    others = rng.poisson(2.5, 400_000)
    place = rng.integers(0, others + 1)
    table = np.array([1, 1 / 5, 1 / 25, 1 / 125])
    gains = table[np.minimum(others, 3)] * (place < 4)
    assert looker_part(2.5) == pytest.approx(gains.mean(), abs=0.002)
    assert looker_part(0.0) == 1.0


@given(st.floats(1.01, 5))
def test_free_entry_leaves_a_look_just_its_cost(reward: float) -> None:
    rate = free_entry(reward, 1.0)
    assert reward * looker_part(rate) == pytest.approx(1.0)
    assert 0 < somebody(rate) < 1


def test_nobody_enters_for_less_than_a_look_costs() -> None:
    assert free_entry(1.0, 1.0) == 0.0


def test_figures_of_the_document_are_the_formulas() -> None:
    assert entered(PUBLIC) == pytest.approx(1 - 1.4**-1.25, abs=0.002)
    assert entered(numbers(jackpot_multiple=13)) == pytest.approx(0.28, abs=0.002)
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
