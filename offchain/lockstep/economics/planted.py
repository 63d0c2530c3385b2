"""Inequalities of forced errors: what a deployment that has them must satisfy. ``docs/ECONOMICS.md`` derives them."""

from __future__ import annotations

from lockstep.chain.terms import WHOLE_BPS
from lockstep.economics.beyond import BEYOND, TOLERANT
from lockstep.economics.chances import (
    OTHERS,
    PAID_PLACES,
    finder_part,
    free_entry,
    least_looked_at,
    maker_part,
    poisson_mean,
    somebody,
)
from lockstep.economics.inequalities import INEQUALITIES, Inequality, Sides
from lockstep.economics.setting import Forced, Setting

DETERRENCE = INEQUALITIES[:2]
"""The two whose left sides grow with y."""


def planted(s: Setting) -> Forced:
    """The deployment's forced errors."""
    forced = s.forced
    assert forced is not None, "These are evaluated only where there are forced errors."
    return forced


def looks(s: Setting, replay: float = 1.0) -> float:
    """Mean number of lookers a claim at free entry: a look costs ``replay`` c and, where it finds something, gas."""
    forced = planted(s)
    return free_entry(forced.reward, replay + forced.rate * s.gas(s.gas_used.blind_claim))


def entered(s: Setting, replay: float = 1.0) -> float:
    """y at free entry."""
    return somebody(looks(s, replay))


def least_y(s: Setting) -> float:
    """The least y at which lazy verifiers and cheating solvers lose."""
    return least_looked_at(lambda y: all(each.sides(s.assuming(looked_at=y)).holds for each in DETERRENCE))


def claim_cost(s: Setting) -> float:
    """Gas and locked stake of a blind claim, in c."""
    locked = s.claim_deposit + s.c(s.amounts.claim_bond)
    return s.gas(s.gas_used.blind_claim) + s.time_value(locked, s.profile.parameters.unblind_window)


def made(s: Setting, rate: float, own: int) -> float:
    """What a forced error brings who made it, with so many accounts of its own that come first, in c."""
    forced, others = planted(s), OTHERS + own
    return forced.jackpot * poisson_mean(own * finder_part(others) + maker_part(others), rate) - own * claim_cost(s)


def _enough(s: Setting) -> Sides:
    left, right = entered(s), least_y(s)
    return Sides(left, right, f"{left:.3f} (lookers a claim: {looks(s):.2f}) >= {right:.3f}")


def _own_accounts(s: Setting) -> Sides:
    rate = looks(s, s.assumed.cost)
    left, right = made(s, rate, 0), max(made(s, rate, own) for own in range(1, PAID_PLACES + 1))
    return Sides(left, right, f"{left:.3f} c >= {right:.3f} c")


def _skips(s: Setting) -> Sides:
    left, right = s.claim_deposit + s.c(s.amounts.claim_bond), planted(s).most
    return Sides(left, right, f"{left:.1f} c >= {right:.1f} c")


def _solvent(s: Setting) -> Sides:
    numbers, audits = s.profile.parameters, s.audits
    # quotients of whole numbers: the edge, where a task's levy is by default, is not lost in rounding
    left = s.c(s.amounts.levy)
    right = numbers.forced_bps * numbers.jackpot_multiple * 5 * audits / (4 * WHOLE_BPS)
    return Sides(
        left, right, f"{left:.2f} c >= {audits} x {planted(s).rate:.2f} x {planted(s).most:.2f} c = {right:.2f} c"
    )


def _farming(s: Setting) -> Sides:
    forced, f = planted(s), s.assumed.colluding
    left = s.c(s.amounts.levy) + (1 - f) * s.audits * s.c(s.amounts.wage)
    right = f * s.audits * forced.rate * forced.most
    return Sides(
        left, right, f"{left:.2f} c >= {f:.2f} x {s.audits} x {forced.rate * forced.most:.2f} c = {right:.2f} c"
    )


PLANTED = (
    Inequality(
        "Enough whistleblowers join",
        "p, J",
        "y at free entry >= y that deters",
        "p J g(L) = cost of a look, here c: more would join if it cost less; y = 1 - e^-L",
        _enough,
    ),
    Inequality(
        "Naming one's own forced error, by however many accounts, loses",
        "shares",
        "E v(n) >= E (m f(n + m) + v(n + m)) - m x (gas and time value of a claim), m = 1 .. 4",
        "accounts are free and come first; n others look, Poisson, a look costing k c",
        _own_accounts,
    ),
    Inequality(
        "Not making it costs more than it may bring",
        "claim deposit, J",
        "D_v + B >= 5/4 J",
        "none: secrets are always opened",
        _skips,
    ),
    Inequality(
        "A task's levy covers what its forced errors cost in the mean, at most",
        "levy, p, J",
        "levy >= q p 5/4 J",
        "none: each of q audits may be forced",
        _solvent,
    ),
    Inequality(
        "A task of one's own, audited by one's own verifiers, does not pay",
        "levy, p, J",
        "levy + (1 - f) q w >= f q p 5/4 J",
        "one hand is submitter, solver, finder, and has the share f of the stake; the beacon is fair",
        _farming,
    ),
)


def applicable(s: Setting) -> tuple[Inequality, ...]:
    """The inequalities that a setting must satisfy."""
    forced = PLANTED if s.forced is not None else ()
    tolerant = TOLERANT if s.job.tolerance is not None else ()
    return (*INEQUALITIES, *BEYOND, *tolerant, *forced)
