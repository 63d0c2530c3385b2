"""How much more everybody has after a task: twin of ``Finality.sol``, ``Judgement.sol`` and ``TaskMarket._payOut``.

Of forced errors the simulation knows expectations only, which ``simulation.py`` adds; histories that say what secrets
said are paid here (``jackpots.py``). What the treasury has not got counts as paid: it is owed.

Exact to the base unit: all divisions are made on Python's integers before arrays are filled, so only sums are left. The
arrays are int64 where every sum fits, else of Python integers: the same lines compute a million simulated tasks and one
real one. ``tests/e2e/test_payouts.py`` compares with the contracts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lockstep.chain.types import SlotState, TaskState
from lockstep.economics.amounts import MOST_FINDERS, Amounts, split
from lockstep.economics.histories import CHECKPOINT, NOBODY, Demander, End, Histories
from lockstep.economics.jackpots import is_faulty, jackpots

Units = NDArray[Any]
"""Amounts of either sign, base units: int64 or Python integers."""


@dataclass(frozen=True, slots=True)
class Decision:
    """How the segments ended.

    Attributes:
        round: (N, G) the deciding round; 0 for a segment that was called up
        state: (N, G) ``SlotState``: Passed, Failed, Withheld or Moot; None for one neither drawn nor called up
        standing: (N, G) place of the claim that stands in that round, ``NOBODY``

    """

    round: NDArray[np.intp]
    state: NDArray[np.int8]
    standing: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Payouts:
    """What a batch of tasks brought everybody; rows add up to zero.

    Attributes:
        outcome: (N,) ``TaskState``
        happened: (N, G, R) whether a round was drawn
        submitter, solver, treasury: (N,)
        claimant: (N, G, R, K) by place; place 0 is the drawn verifier's even where it was silent, or the caller's
        demander: (N, G) to whoever else demanded what was withheld

    """

    outcome: NDArray[np.int8]
    happened: NDArray[np.bool_]
    submitter: Units
    solver: Units
    treasury: Units
    claimant: Units
    demander: Units


def decide(histories: Histories, redraws: int) -> Decision:
    """Run every segment's rounds as ``Finality.decide`` does.

    Raises:
        ValueError: a segment would be drawn again and the history has no such round

    """
    tasks, segments, rounds, _ = histories.posted.shape
    final = np.full((tasks, segments), NOBODY, np.intp)
    state = np.zeros((tasks, segments), np.int8)
    standing = np.full((tasks, segments), NOBODY, np.intp)
    silent = np.ones((tasks, segments), bool)  # in every round so far
    for number in range(min(rounds, redraws + 1)):
        posted, root = histories.posted[:, :, number], histories.root[:, :, number]
        fit = posted & (histories.beaten_by[:, :, number] == NOBODY)
        first = np.where(fit.any(axis=2), fit.argmax(axis=2), NOBODY)
        condemns = (first != NOBODY) & (_at(root, first) != CHECKPOINT)
        claimed = posted[:, :, 0]
        silent &= ~claimed
        last = (number == redraws) | histories.undrawn  # the round of a called-up segment is above all redraws
        decided = np.where(claimed, first != NOBODY, condemns) | last
        verdict = np.where(condemns, SlotState.FAILED, SlotState.PASSED)
        verdict = np.where(last & silent & ~condemns, SlotState.MOOT, verdict)
        lapsed = histories.withheld == number
        verdict = np.where(lapsed, SlotState.WITHHELD, verdict)
        now = (decided | lapsed) & (final == NOBODY) & histories.judged
        final[now], state[now] = number, verdict[now]
        standing[now] = np.where(verdict > SlotState.FAILED, NOBODY, first)[now]
    audited = histories.end == End.AUDITED
    if np.any((final == NOBODY) & histories.judged & audited[:, None]):
        raise ValueError("A history ends before its segments are decided.")
    return Decision(np.maximum(final, 0), state, standing)


def pay(histories: Histories, amounts: Amounts) -> Payouts:
    """What everybody gained or lost, base units, gas and computing not counted.

    Raises:
        ValueError: a history ends before its segments are decided

    """
    tasks, segments, rounds, places = histories.posted.shape
    units = _dtype(amounts, segments * rounds * places * places)
    decision = decide(histories, amounts.redraws)
    audited = histories.end == End.AUDITED
    happened = (np.arange(rounds) <= decision.round[:, :, None]) & (histories.judged & audited[:, None])[:, :, None]
    claimant = np.zeros(histories.posted.shape, units)
    treasury, submitter, solver = (np.zeros(tasks, units) for _ in range(3))

    # bonds: a conviction's and a failed challenge's, half to who won
    convicted = (histories.beaten_by != NOBODY) & happened[..., None]
    failed = np.where(happened[..., None, None], histories.failed, 0).astype(units)
    half = amounts.opening_bond // 2
    claimant -= convicted.astype(units) * amounts.claim_bond
    claimant += _won(histories.beaten_by, convicted).astype(units) * (amounts.claim_bond // 2)
    claimant += failed.sum(axis=3) * half - failed.sum(axis=4) * amounts.opening_bond
    treasury += convicted.sum(axis=(1, 2, 3)).astype(units) * (amounts.claim_bond - amounts.claim_bond // 2)
    treasury += failed.sum(axis=(1, 2, 3, 4)) * (amounts.opening_bond - half)

    # misses; who waited for data has missed nothing
    lapsed = (decision.state == SlotState.WITHHELD) & audited[:, None]
    here = np.arange(rounds) == decision.round[:, :, None]
    missed = happened & ~histories.posted[..., 0] & ~(here & lapsed[:, :, None])
    claimant[..., 0] -= missed.astype(units) * amounts.miss
    treasury += missed.sum(axis=(1, 2)).astype(units) * amounts.miss

    # who found how a segment stands
    stood = np.where(decision.standing == NOBODY, CHECKPOINT, _at(_round(histories.root, decision), decision.standing))
    agrees = histories.posted & (histories.root == stood[:, :, None, None])
    finds = agrees & (here & (decision.standing != NOBODY)[:, :, None] & happened)[..., None]
    finds &= histories.beaten_by == NOBODY
    # a volunteer whose digest was convicted copied it; a drawn verifier's may have been forced
    finds &= (histories.digest_by == NOBODY) | _drawn_verifiers(histories)
    rank = finds.cumsum(axis=3) - 1
    finds &= rank < MOST_FINDERS
    rank = np.where(finds, rank, 0)
    count = finds.sum(axis=(2, 3))

    # wages, and the end of the task
    earned = (decision.standing == 0) & audited[:, None] & ~histories.undrawn
    fell = (decision.state == SlotState.FAILED) & audited[:, None]
    failures = (fell | lapsed).sum(axis=1)
    gone = ((decision.state > SlotState.FAILED) & audited[:, None]).any(axis=1)
    outcome = np.select(
        [histories.end == End.REFUNDED, histories.end == End.EXPIRED, fell.any(axis=1), gone],
        [TaskState.CANCELLED, TaskState.EXPIRED, TaskState.REJECTED, TaskState.UNAVAILABLE],
        TaskState.SETTLED,
    ).astype(np.int8)
    settled, fault = outcome == TaskState.SETTLED, (outcome == TaskState.EXPIRED) | (failures > 0)
    claimant[..., 0] += (here & earned[:, :, None]).astype(units) * amounts.wage
    treasury += settled.astype(units) * amounts.levy
    solver += settled.astype(units) * amounts.fee
    submitter -= settled.astype(units) * (amounts.fee + amounts.levy)
    submitter -= earned.sum(axis=1).astype(units) * amounts.wage

    # the solver's deposit
    shares = _table([[split(amounts.pot // max(1, n), k) for k in range(5)] for n in range(segments + 1)], units)
    found = shares[failures[:, None], count] * fell[:, :, None]
    claimant += _by_rank(found, rank, finds)
    own, first = _waited(histories, decision)
    halves = shares[failures[:, None], np.where(own, 1, 2), :2] * lapsed[:, :, None]
    waited, demander = halves[..., 0] * first, halves[..., 1]
    claimant[..., 0] += here * waited[:, :, None]
    treasury -= (waited + demander).sum(axis=1)
    solver -= fault.astype(units) * amounts.solver_deposit
    submitter += fault.astype(units) * amounts.compensation
    treasury += fault.astype(units) * (amounts.solver_deposit - amounts.compensation) - found.sum(axis=(1, 2))

    # claims' deposits
    judged = histories.posted & (happened & ~lapsed[:, :, None])[..., None]
    lied = judged & is_faulty(histories, stood)
    wrong = judged & ~lied & (histories.root != stood[:, :, None, None])
    claimant -= (lied | wrong).astype(units) * amounts.claim_deposit
    claimant += _won(histories.digest_by, lied).astype(units) * amounts.finders
    treasury += _left(lied, histories.digest_by, amounts.claim_deposit, amounts.finders, units)
    # a convicted digest costs the bond too, unless another conviction took it
    bonded = lied & ~convicted
    claimant -= bonded.astype(units) * amounts.claim_bond
    claimant += _won(histories.digest_by, bonded).astype(units) * (amounts.claim_bond // 2)
    treasury += _left(bonded, histories.digest_by, amounts.claim_bond, amounts.claim_bond // 2, units)
    each = _table([split(amounts.finders, k) for k in range(5)], units)[count]
    wrongs = wrong.sum(axis=(2, 3)).astype(units)
    claimant += _by_rank(each * wrongs[:, :, None], rank, finds)
    cleared = (wrongs * (decision.state == SlotState.PASSED)).sum(axis=1) * amounts.cleared
    solver += cleared
    treasury += (wrongs * (amounts.claim_deposit - each.sum(axis=2))).sum(axis=1) - cleared
    won = jackpots(histories, stood, here & happened & settled[:, None, None], amounts.jackpot, units)
    claimant += won
    treasury -= won.sum(axis=(1, 2, 3))
    return Payouts(outcome, happened, submitter, solver, treasury, claimant, demander)


def _left(lost: NDArray[np.bool_], winners: NDArray[np.int8], whole: int, part: int, units: Any) -> Units:
    """(N,) what remains of ``whole`` for each claim that lost it, after a part for who convicted it, if anybody did."""
    convicted = (lost & (winners != NOBODY)).sum(axis=(1, 2, 3)).astype(units)
    return np.asarray(lost.sum(axis=(1, 2, 3)).astype(units) * whole - convicted * part)


def _waited(histories: Histories, decision: Decision) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(N, G) whether the drawn verifier demanded what was withheld, and whether the first share is its own."""
    posted, root, beaten = (
        _round(values, decision)[..., 0] for values in (histories.posted, histories.root, histories.beaten_by)
    )
    own = histories.withheld_by == Demander.VERIFIER
    condemned = (root != CHECKPOINT) & (beaten == NOBODY)
    return own, own | np.where(posted, condemned, histories.withheld_by == Demander.OTHER)


def _drawn_verifiers(histories: Histories) -> NDArray[np.bool_]:
    """(N, G, 1, K) whether a place is a drawn verifier's."""
    return np.asarray((~histories.undrawn)[:, :, None, None] & (np.arange(histories.posted.shape[3]) == 0))


def _dtype(amounts: Amounts, terms: int) -> Any:
    """A type that holds a sum of so many amounts."""
    moved = (amounts.escrow, amounts.solver_deposit, amounts.claim_deposit, amounts.claim_bond, amounts.opening_bond)
    most = max(*moved, 2 * amounts.jackpot)
    return np.int64 if most * 8 * terms < 2**63 else object


def _table(rows: Any, units: Any) -> Units:
    return np.array(rows, dtype=units)


def _at(values: NDArray[Any], place: NDArray[np.intp]) -> NDArray[Any]:
    """(N, G) values of (N, G, K) at a place; of place 0 for ``NOBODY``."""
    return np.take_along_axis(values, np.maximum(place, 0)[..., None], axis=2)[..., 0]


def _round(values: NDArray[Any], decision: Decision) -> NDArray[Any]:
    """(N, G, K) values of (N, G, R, K) in the deciding round."""
    return np.take_along_axis(values, decision.round[:, :, None, None], axis=2)[:, :, 0]


def _by_rank(shares: Units, rank: NDArray[np.intp], finds: NDArray[np.bool_]) -> Units:
    """(N, G, R, K) what each finder gets of (N, G, 4) shares."""
    tasks, segments, *_ = rank.shape
    chosen = np.take_along_axis(shares, rank.reshape(tasks, segments, -1), axis=2).reshape(rank.shape)
    return chosen * finds


def _won(winners: NDArray[np.int8], counts: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(N, G, R, K) convictions that each place won, of those that count."""
    places = winners.shape[3]
    wins = (winners[..., None] == np.arange(places)) & counts[..., None]
    return np.asarray(wins.sum(axis=3))
