"""The payout function conserves money, never drains the treasury, and pays no coalition for slashing itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lockstep.chain.parameters import LOCAL, PUBLIC, TOKEN
from lockstep.chain.terms import Plan
from lockstep.chain.types import SlotState, TaskState
from lockstep.economics.amounts import Amounts, split
from lockstep.economics.histories import NOBODY, Demander, End, Histories, Said
from lockstep.economics.jackpots import rewards
from lockstep.economics.payouts import Payouts, Units, decide, pay
from tests.offchain.economics.histories import PLANS, amounts, random_histories

SIZES = st.tuples(st.integers(1, 4), st.integers(2, 6))
SEEDS = st.integers(0, 2**32)
ROUNDS = PUBLIC.parameters.redraws + 1


def total(paid: Payouts) -> list[int]:
    """The sum over everybody, by task."""
    return (paid.treasury + outside(paid)).tolist()


def outside(paid: Payouts) -> Units:
    """The sum over everybody but the treasury, by task."""
    return paid.submitter + paid.solver + paid.claimant.sum(axis=(1, 2, 3)) + paid.demander.sum(axis=1)


@given(PLANS, SIZES, SEEDS)
def test_nothing_is_made_and_nothing_is_lost(plan: Plan, size: tuple[int, int], seed: int) -> None:
    histories = random_histories(np.random.default_rng(seed), 20, size[0], ROUNDS, size[1])
    paid = pay(histories, amounts(plan, size[0], spare=seed))
    assert total(paid) == [0] * 20
    assert min(paid.treasury.tolist()) >= 0


@given(PLANS, SIZES, SEEDS)
def test_secrets_make_nothing_and_cost_the_treasury_no_more_than_the_jackpots(
    plan: Plan, size: tuple[int, int], seed: int
) -> None:
    histories = random_histories(np.random.default_rng(seed), 20, size[0], ROUNDS, size[1], secrets=True)
    numbers = amounts(plan, size[0])
    paid = pay(histories, numbers)
    assert total(paid) == [0] * 20
    settled = paid.outcome == TaskState.SETTLED
    made = (histories.said == Said.MADE).any(axis=2).sum(axis=1) * settled
    most = [-int(n) * (numbers.jackpot * 5 // 4) for n in made]
    assert all(got >= floor for got, floor in zip(paid.treasury.tolist(), most, strict=True))


@given(PLANS, SIZES, SEEDS)
def test_small_and_large_amounts_are_computed_alike(plan: Plan, size: tuple[int, int], seed: int) -> None:
    histories = random_histories(np.random.default_rng(seed), 10, size[0], ROUNDS, size[1])
    flat = replace(PUBLIC, parameters=replace(PUBLIC.parameters, claim_bond=1001, blind_bond=1))
    flat = replace(flat, disputes=replace(flat.disputes, opening_bond=77))
    small = amounts(replace(plan, price=1, step_work=plan.step_work % 10**6 + 1, init_work=1), size[0], flat)
    scaled = {name: getattr(small, name) for name in small.__slots__}
    # twice as much of everything that is not divided on the way is twice as much for everybody
    fast = pay(histories, small)
    assert fast.solver.dtype == np.int64
    exact = pay(histories, replace(small, claim_bond=scaled["claim_bond"] + 2 * 10**30))
    assert exact.solver.dtype == object
    convicted = bonds_lost(histories, fast, small)
    assert (exact.solver == fast.solver).all()
    assert (exact.submitter == fast.submitter).all()
    assert (exact.treasury - fast.treasury).tolist() == [10**30 * int(n) for n in convicted.sum(axis=(1, 2, 3))]


@given(PLANS, SIZES, SEEDS, st.sampled_from([LOCAL, PUBLIC]))
def test_no_verdict_costs_the_treasury_and_none_gains_by_slashing_itself(
    plan: Plan, size: tuple[int, int], seed: int, profile: object
) -> None:
    """Whatever is slashed, at least half of it reaches the treasury: everybody else together loses that much."""
    histories = random_histories(np.random.default_rng(seed), 20, size[0], ROUNDS, size[1])
    numbers = amounts(plan, size[0])
    paid = pay(histories, numbers)
    happened = paid.happened[..., None]
    settled = paid.outcome == TaskState.SETTLED
    fault = at_fault(histories, paid, numbers)
    convicted = bonds_lost(histories, paid, numbers).sum(axis=(1, 2, 3))
    failed = (histories.failed * happened[..., None]).sum(axis=(1, 2, 3, 4))
    decision = decide(histories, numbers.redraws)
    waits = (decision.state == SlotState.WITHHELD)[..., None] & (np.arange(ROUNDS) == decision.round[..., None])
    misses = (paid.happened & ~histories.posted[..., 0] & ~waits).sum(axis=(1, 2))
    least = [
        numbers.levy * bool(s)
        + (numbers.solver_deposit // 2) * bool(f)
        + (numbers.claim_bond // 2) * int(c)
        + (numbers.opening_bond // 2) * int(o)
        + numbers.miss * int(m)
        for s, f, c, o, m in zip(settled, fault, convicted, failed, misses, strict=True)
    ]
    assert all(got >= floor for got, floor in zip(paid.treasury.tolist(), least, strict=True))


@given(PLANS, SEEDS)
def test_who_slashes_itself_loses_at_least_half_of_the_slash(plan: Plan, seed: int) -> None:
    """One account is submitter, solver and every claimant: it never gains, and loses half of what is slashed."""
    histories = random_histories(np.random.default_rng(seed), 20, 3, ROUNDS, 5)
    numbers = amounts(plan, 3)
    paid = pay(histories, numbers)
    alone = outside(paid).tolist()
    assert max(alone) <= 0
    slashed = at_fault(histories, paid, numbers)
    assert all(-lost >= numbers.solver_deposit // 2 for lost, fell in zip(alone, slashed, strict=True) if fell)


def bonds_lost(histories: Histories, paid: Payouts, numbers: Amounts) -> NDArray[np.bool_]:
    """(N, G, R, K) claims whose bond is gone: a digest costs nothing where data were withheld."""
    excused = decide(histories, numbers.redraws).state == SlotState.WITHHELD
    digest = (histories.digest_by != NOBODY) & ~excused[..., None, None]
    return ((histories.beaten_by != NOBODY) | digest) & paid.happened[..., None]


def at_fault(histories: Histories, paid: Payouts, numbers: Amounts) -> NDArray[np.bool_]:
    """(N,) whether the solver lost its deposit."""
    state = decide(histories, numbers.redraws).state
    failed = np.isin(state, (SlotState.FAILED, SlotState.WITHHELD)).any(axis=1) & (histories.end == End.AUDITED)
    return failed | (paid.outcome == TaskState.EXPIRED)


PLAN = Plan(steps=20, segment_steps=10, step_work=10**6, init_work=10**6, price=TOKEN)
"""C = 21 tokens, c = 10 tokens."""


def one(end: End = End.AUDITED) -> tuple[Histories, Amounts]:
    histories = Histories.blank(1, 1, ROUNDS, 6)
    histories.end[:] = end
    return histories, amounts(PLAN, 1)


def test_honest_task_pays_fee_wage_and_levy() -> None:
    histories, numbers = one()
    histories.posted[:, :, 0, 0] = True
    paid = pay(histories, numbers)
    assert paid.outcome.tolist() == [TaskState.SETTLED]
    assert (paid.solver[0], paid.claimant[0, 0, 0, 0], paid.treasury[0]) == (21 * TOKEN, 10 * TOKEN, 20 * TOKEN)
    assert paid.submitter[0] == -51 * TOKEN


def test_expired_task_costs_the_solver_and_refunds_the_submitter() -> None:
    histories, numbers = one(End.EXPIRED)
    paid = pay(histories, numbers)
    assert (paid.solver[0], paid.submitter[0]) == (-63 * TOKEN, 21 * TOKEN // 2)


def test_first_four_finders_share_by_thirds_and_the_fifth_gets_nothing() -> None:
    histories, numbers = one()
    histories.posted[:, :, 0] = True
    histories.root[:, :, 0, 1:] = 1
    histories.beaten_by[:, :, 0, 0] = 1
    paid = pay(histories, numbers)
    assert paid.outcome.tolist() == [TaskState.REJECTED]
    pot, deposit = 63 * TOKEN * 3 // 10, 200 * TOKEN * 3 // 10
    shares = [27, 9, 3, 1, 0]
    gains = [int(paid.claimant[0, 0, 0, place]) for place in range(1, 6)]
    bond = PUBLIC.parameters.claim_bond // 2
    assert gains == [
        pot * share // 40 + deposit * share // 40 + (bond if place == 0 else 0) for place, share in enumerate(shares)
    ]


def test_three_silent_verifiers_cost_the_solver_and_a_late_claim_saves_it() -> None:
    histories, numbers = one()
    paid = pay(histories, numbers)
    assert paid.outcome.tolist() == [TaskState.UNAVAILABLE]
    assert paid.happened.all()
    assert (paid.solver[0], paid.submitter[0]) == (0, 0)
    assert paid.claimant[0, 0, :, 0].tolist() == [-20 * TOKEN] * 3
    histories.posted[:, :, 2, 0] = True
    assert pay(histories, numbers).outcome.tolist() == [TaskState.SETTLED]


def withheld(by: Demander) -> tuple[Histories, Amounts]:
    histories, numbers = one()
    histories.withheld[:], histories.withheld_by[:] = 0, by
    return histories, numbers


POT = 63 * TOKEN * 3 // 10
WAITED = {
    Demander.VERIFIER: (POT, 0),
    Demander.OTHER: (POT * 27 // 36, POT * 9 // 36),
    Demander.LATE: (0, POT * 9 // 36),
}


@pytest.mark.parametrize("by", Demander)
def test_withheld_data_cost_the_deposit_and_pay_who_demanded_behind_the_drawn_verifier(by: Demander) -> None:
    paid = pay(*withheld(by))
    assert paid.outcome.tolist() == [TaskState.UNAVAILABLE]
    assert (paid.solver[0], paid.submitter[0]) == (-63 * TOKEN, 21 * TOKEN // 2)
    assert (paid.claimant[0, 0, 0, 0], paid.demander[0, 0]) == WAITED[by]


def test_withheld_data_leave_claims_whole_and_pay_a_verifier_that_condemned() -> None:
    histories, numbers = withheld(Demander.LATE)
    histories.posted[:, :, 0, 0] = True
    assert pay(histories, numbers).claimant[0, 0, 0, 0] == 0
    histories.root[:, :, 0, 0] = 1
    assert pay(histories, numbers).claimant[0, 0, 0, 0] == POT * 27 // 36


def test_volunteer_alone_condemns_and_never_passes() -> None:
    histories, numbers = one()
    histories.posted[:, :, 0, 1] = True
    assert pay(histories, numbers).outcome.tolist() == [TaskState.UNAVAILABLE]
    histories.root[:, :, 0, 1] = 1
    assert pay(histories, numbers).outcome.tolist() == [TaskState.REJECTED]


def called(*, segments: int = 2) -> tuple[Histories, Amounts]:
    """One drawn segment that its verifier passes, and others that were not drawn, of which the first is called up."""
    histories = Histories.blank(1, segments, ROUNDS, 6)
    histories.undrawn[:, 1:] = True
    histories.posted[:, 0, 0, 0] = True
    histories.posted[:, 1, 0, 0] = True
    histories.root[:, 1, 0, 0] = 1
    return histories, amounts(PLAN, 1)


BOND = PUBLIC.parameters.claim_bond


def test_call_that_stands_takes_the_finders_share_and_no_wage() -> None:
    histories, numbers = called(segments=4)
    paid = pay(histories, numbers)
    assert paid.outcome.tolist() == [TaskState.REJECTED]
    assert paid.happened[0, :, 0].tolist() == [True, True, False, False]
    assert not paid.happened[0, 1:, 1:].any()
    assert (paid.claimant[0, 0, 0, 0], paid.claimant[0, 1, 0, 0]) == (10 * TOKEN, POT)
    # of the escrow one wage is paid: a caller earns none
    assert paid.submitter[0] == 21 * TOKEN // 2 - 10 * TOKEN


def test_false_call_falls_to_the_solver_and_the_task_settles() -> None:
    histories, numbers = called()
    histories.posted[:, 1, 0, 1] = True
    histories.beaten_by[:, 1, 0, 0] = 1
    paid = pay(histories, numbers)
    assert paid.outcome.tolist() == [TaskState.SETTLED]
    assert paid.claimant[0, 1, 0, :2].tolist() == [-200 * TOKEN - BOND, 60 * TOKEN + BOND // 2]
    assert paid.solver[0] == (21 + 40) * TOKEN


def test_called_segment_about_which_nothing_stands_passes_and_is_not_drawn_again() -> None:
    histories, numbers = called()
    histories.posted[:, 1, 0, 1] = True
    histories.root[:, 1, 0, 1] = 2
    histories.beaten_by[0, 1, 0, :2] = [1, 0]
    paid = pay(histories, numbers)
    assert paid.outcome.tolist() == [TaskState.SETTLED]
    assert not paid.happened[0, 1, 1:].any()
    assert paid.claimant[0, 1, 0, :2].tolist() == [-200 * TOKEN - BOND + BOND // 2] * 2
    assert paid.solver[0] == (21 + 2 * 40) * TOKEN


def test_caller_with_a_convicted_digest_is_no_finder_though_its_claim_stands() -> None:
    """Nobody forces a volunteer to err: where a drawn verifier would be a finder, it is none."""
    histories, numbers = called()
    histories.posted[:, 1, 0, 1] = True
    histories.root[:, 1, 0, 1] = 1
    histories.digest_by[0, 1, 0, 0] = 1
    paid = pay(histories, numbers)
    assert paid.outcome.tolist() == [TaskState.REJECTED]
    assert paid.claimant[0, 1, 0, :2].tolist() == [-200 * TOKEN - BOND, POT + 60 * TOKEN + BOND // 2]
    drawn = replace(histories, undrawn=np.zeros_like(histories.undrawn))
    assert pay(drawn, numbers).claimant[0, 1, 0, 0] == numbers.wage + POT * 27 // 36 - 200 * TOKEN - BOND


def test_called_up_and_drawn_failures_share_one_pot() -> None:
    histories, numbers = called()
    histories.root[:, 0, 0, 0] = 1
    paid = pay(histories, numbers)
    assert paid.outcome.tolist() == [TaskState.REJECTED]
    assert paid.claimant[0, :, 0, 0].tolist() == [10 * TOKEN + POT // 2, POT // 2]


def test_call_makes_silence_a_rejection() -> None:
    histories, numbers = called()
    histories.posted[:, 0] = False
    paid = pay(histories, numbers)
    assert paid.outcome.tolist() == [TaskState.REJECTED]
    assert paid.claimant[0, :, :, 0].tolist() == [[-20 * TOKEN] * 3, [POT, 0, 0]]


def test_withheld_data_of_a_called_segment_pay_the_caller_first() -> None:
    histories, numbers = called()
    histories.withheld[0, 1], histories.withheld_by[0, 1] = 0, Demander.LATE
    paid = pay(histories, numbers)
    assert paid.outcome.tolist() == [TaskState.UNAVAILABLE]
    assert (paid.claimant[0, 1, 0, 0], paid.demander[0, 1]) == (POT * 27 // 36, POT * 9 // 36)


def test_call_that_condemns_nothing_and_a_second_round_of_it_are_refused() -> None:
    histories, _ = called()
    with pytest.raises(ValueError, match="condemns"):
        replace(histories, root=np.zeros_like(histories.root))
    with pytest.raises(ValueError, match="one round"):
        replace(histories, withheld=np.array([[NOBODY, 1]], np.int8))


def test_digest_alone_costs_deposit_and_bond_and_the_claim_stands() -> None:
    histories, numbers = one()
    histories.posted[:, :, 0, :3] = True
    histories.digest_by[0, 0, 0, 0] = 2
    paid = pay(histories, numbers)
    assert paid.outcome.tolist() == [TaskState.SETTLED]
    bond = PUBLIC.parameters.claim_bond
    assert paid.claimant[0, 0, 0, :3].tolist() == [(10 - 200) * TOKEN - bond, 0, 60 * TOKEN + bond // 2]
    histories.beaten_by[0, 0, 0, 0] = 1
    both = pay(histories, numbers).claimant[0, 0, 0, :3].tolist()
    assert both == [-200 * TOKEN - bond, bond // 2, 60 * TOKEN]


J = 14 * 10 * TOKEN
LOST = -(200 * TOKEN + BOND)
WAGE = 10 * TOKEN


def told(said: Said, *, convicted: bool = False, named: int = 0) -> tuple[Histories, Amounts]:
    """A drawn verifier that passes good work, and two others; a digest is convicted by the first of them."""
    histories, numbers = one()
    histories.posted[:, :, 0, :3] = True
    histories.said[:, :, 0] = said
    histories.named[:, :, 0, 1 : 1 + named] = True
    if convicted:
        histories.digest_by[:, :, 0, 0] = 1
    return histories, numbers


CONVICTOR = 60 * TOKEN + BOND // 2
SECRETS = [
    (Said.NOTHING, False, 0, [WAGE, 0, 0]),
    (Said.NOTHING, True, 0, [WAGE + LOST, CONVICTOR, 0]),
    (Said.FAULTY, False, 0, [WAGE + LOST, 0, 0]),
    (Said.FAULTY, True, 2, [WAGE + LOST, CONVICTOR, 0]),
    (Said.UNOPENED, False, 0, [WAGE + LOST, 0, 0]),
    (Said.MADE, False, 1, [WAGE + J * 5 // 4, 0, 0]),
    (Said.MADE, True, 1, [WAGE + J // 4, J, 0]),
    (Said.MADE, True, 0, [WAGE + J // 4, J, 0]),
    (Said.MADE, True, 2, [WAGE + J // 20, J // 5, J // 5]),
]


@pytest.mark.parametrize(("said", "convicted", "named", "gains"), SECRETS)
def test_secret_decides_what_a_digest_costs_and_brings(
    said: Said, convicted: bool, named: int, gains: list[int]
) -> None:
    """The table of docs/PROTOCOL.md, row by row."""
    paid = pay(*told(said, convicted=convicted, named=named))
    assert paid.outcome.tolist() == [TaskState.SETTLED]
    assert paid.claimant[0, 0, 0, :3].tolist() == gains


def test_forced_error_is_paid_in_settled_tasks_alone_and_not_to_who_is_wrong() -> None:
    histories, numbers = told(Said.MADE, convicted=True, named=2)
    histories.root[:, :, 0, 2] = 1
    histories.beaten_by[:, :, 0, 2] = 1
    # both who are right share what the third loses: the verifier is a finder of that
    gains = [WAGE + J // 4 + 45 * TOKEN, J + 15 * TOKEN + BOND // 2]
    assert pay(histories, numbers).claimant[0, 0, 0, :2].tolist() == gains
    # bad work: what was forced is forgiven, and brings nothing
    histories, numbers = told(Said.MADE, convicted=True, named=2)
    histories.root[:, :, 0, :3] = 1
    paid = pay(histories, numbers)
    assert paid.outcome.tolist() == [TaskState.REJECTED]
    assert paid.claimant[0, 0, 0, :3].tolist() == [WAGE + POT * 27 // 39, POT * 9 // 39, POT * 3 // 39]


def test_call_beside_forced_errors_stops_their_pay_where_it_stands_and_not_where_it_falls() -> None:
    histories, numbers = called()
    histories.said[:, 0, 0] = Said.MADE
    assert pay(histories, numbers).claimant[0, :, 0, 0].tolist() == [WAGE, POT]
    histories.posted[:, 1, 0, 1] = True
    histories.beaten_by[:, 1, 0, 0] = 1
    assert pay(histories, numbers).claimant[0, 0, 0, 0] == WAGE + J * 5 // 4


def test_names_and_secrets_that_cannot_be_are_refused() -> None:
    histories, _ = called()
    with pytest.raises(ValueError, match="drawn verifiers"):
        replace(histories, said=np.full_like(histories.said, Said.MADE))
    with pytest.raises(ValueError, match="blind claims"):
        replace(histories, named=histories.posted.copy())


@given(st.integers(0, 2**96 - 1), st.integers(0, 4))
def test_finders_and_maker_of_a_forced_error_share_no_more_than_five_fourths(jackpot: int, count: int) -> None:
    finder, maker = rewards(jackpot, count)
    assert count * finder + maker <= jackpot * 5 // 4
    alone = rewards(jackpot, count + 1)
    # a finder of one's own brings back what it takes, but for what is rounded away
    assert abs(maker - sum(alone)) <= 2


def test_redraw_that_is_not_there_is_refused() -> None:
    histories = Histories.blank(1, 1, 1, 2)
    with pytest.raises(ValueError, match="before its segments are decided"):
        pay(histories, amounts(PLAN, 1))


def test_conviction_by_nobodys_claim_is_refused() -> None:
    histories, _ = one()
    beaten = histories.beaten_by.copy()
    beaten[0, 0, 0, 0] = 3
    with pytest.raises(ValueError, match="another claim"):
        replace(histories, beaten_by=beaten)


@given(st.integers(0, 2**96 - 1), st.integers(1, 4))
def test_shares_fall_by_thirds_and_never_exceed_the_whole(amount: int, count: int) -> None:
    shares = split(amount, count)
    assert sum(shares) <= amount
    assert sum(shares) >= amount - count
    assert all(abs(shares[i] - 3 * shares[i + 1]) <= 3 for i in range(count - 1))
