"""Inequalities of calls on undrawn segments, of the panel that reveals, of long tasks, and of tolerance.

They have the form of those in ``inequalities.py``; ``docs/ECONOMICS.md`` derives them.
"""

from __future__ import annotations

from dataclasses import replace

from lockstep.chain.terms import WHOLE_BPS, reroll_worth
from lockstep.economics.inequalities import INEQUALITIES, Inequality, Sides
from lockstep.economics.setting import Setting

REVEAL_GAS = 80_000
"""Most gas of a reveal; ``RevealGas.t.sol`` measures it."""
MOST_STEPS = 2**20
"""Beyond this length no bound is looked for."""
LARGEST_SHARE = 0.1
"""Most of a segment's update that a tolerant task may let a checkpoint be off by: what was measured goes no further."""

_LENGTH = tuple(each for each in INEQUALITIES if each.name.startswith(("Silence", "Condemning")))
"""Those in which what is won grows with the task, and what is lost does not."""


def answered(s: Setting) -> int:
    """Calls at once that a solver can answer with the free stake it is assumed to keep: at least one."""
    each = s.claim_deposit + s.c(s.amounts.claim_bond)
    return max(1, int(s.assumed.free_stake * s.fee / each))


def most_steps(s: Setting) -> int:
    """Steps of the longest task, of these segments and prices, against which neither silence nor a false claim pays.

    0 where even one step is too many, ``MOST_STEPS`` where none is.
    """
    low, high = 0, MOST_STEPS
    while low < high:
        middle = (low + high + 1) // 2
        job = replace(s.job, plan=replace(s.job.plan, steps=middle))
        safe = all(each.sides(Setting(s.profile, job, s.assumed)).holds for each in _LENGTH)
        low, high = (middle, high) if safe else (low, middle - 1)
    return low


def _calls(s: Setting) -> Sides:
    count, lost = answered(s), s.claim_deposit + s.c(s.amounts.claim_bond)
    gain = s.finder_share * s.solver_deposit + (1 + s.compensation) * s.fee + s.c(s.amounts.levy)
    return Sides(count * lost, gain, f"{count} x {lost:.1f} c = {count * lost:.1f} c >= {gain:.1f} c")


def _withheld_secret(s: Setting) -> Sides:
    reveals, n = s.profile.reveals, s.assumed.waiting
    left = s.c(reveals.bond - reveals.bond * reveals.tip_bps // WHOLE_BPS)
    reroll = s.c(reroll_worth(s.amounts.fee, s.amounts.solver_deposit, s.audits, s.segments))
    bonus = 2 * s.c(s.amounts.levy)
    numbers = f"{left:.1f} c >= {n} x ({reroll:.1f} + {bonus:.1f} c) = {n * (reroll + bonus):.1f} c"
    if not reveals.seats:
        numbers = "no panel: who builds the block chooses the draw"
    return Sides(left if reveals.seats else float("inf"), n * (reroll + bonus), numbers)


def _reveals(s: Setting) -> Sides:
    left = s.c(s.profile.reveals.bond)
    right = s.gas(REVEAL_GAS)
    return Sides(left, right, f"{left:.1f} c >= {right:.5f} c")


def _length(s: Setting) -> Sides:
    most, steps = most_steps(s), s.job.plan.steps
    return Sides(most, steps, f"{most:,} steps >= {steps:,}")


def _tolerance_share(s: Setting) -> Sides:
    share = s.job.tolerance
    assert share is not None, "These are evaluated only where there is a tolerance."
    return Sides(LARGEST_SHARE, share, f"{LARGEST_SHARE:.2f} >= {share:.2f}")


def _tolerance_steps(s: Setting) -> Sides:
    share, steps = s.job.tolerance, min(s.job.plan.segment_steps, s.job.plan.steps)
    assert share is not None, "These are evaluated only where there is a tolerance."
    return Sides(1 / steps, share, f"1 / {steps} = {1 / steps:.3f} >= {share:.3f}")


BEYOND = (
    Inequality(
        "False calls, as many as a solver can answer, lose more than one that it cannot answer wins",
        "claim deposit, free stake",
        "n (D_v + B) >= phi D_s + (1 + compensation) C + levy, n = floor(free stake / (D_v + B)), at least 1",
        "a solver keeps 4 C free, a claim's deposit and bond at least; all callers and the submitter are one",
        _calls,
    ),
    Inequality(
        "Keeping a secret costs more than all draws that wait for it may bring",
        "reveal bond, tip",
        "bond (1 - tip) >= n ((1 - q/(S+1)) (D_s + C) + 2 levy)",
        "at most n = 16 such tasks of one hand wait for one reveal; another draw wins each, and all its lots",
        _withheld_secret,
    ),
    Inequality(
        "Revealing costs a seat less than keeping silent",
        "reveal bond",
        "bond >= gas of a reveal",
        "revealers are paid nothing: the bond alone makes them reveal, and what else they have at stake makes them sit",
        _reveals,
    ),
    Inequality(
        "A task is not too long for silence and false condemnation to lose",
        "steps, miss, claim deposit",
        "most steps at which both lose >= steps",
        "as those two; segments stay as long as they are",
        _length,
    ),
)
TOLERANT = (
    Inequality(
        "A tolerant task lets a checkpoint be off by no more than was measured",
        "tolerance share",
        "1/10 >= share",
        "benchmarks/spoofs.py: nothing that saves work passed at a tenth",
        _tolerance_share,
    ),
    Inequality(
        "A step left out of a tolerant task's segment is seen",
        "tolerance share, segment steps",
        "1/K >= share",
        "each of K steps moves the state by about as much, so one left out is off by 1/K of the segment's update",
        _tolerance_steps,
    ),
)
"""Asked of tolerant tasks alone."""
