"""Inequalities of forced errors: what they must satisfy once a deployment has them.

None has: numbers are those of the design, and stand in ``Assumptions.forced``. ``docs/ECONOMICS.md`` derives them.
"""

from __future__ import annotations

from lockstep.economics.chances import first_shares, fixed_shares, free_entry, least_looked_at, somebody
from lockstep.economics.inequalities import INEQUALITIES, Inequality, Sides
from lockstep.economics.setting import Forced, Setting

DETERRENCE = INEQUALITIES[:2]
"""The two whose left sides grow with y."""


def planted(s: Setting) -> Forced:
    """The forced errors that are assumed."""
    forced = s.assumed.forced
    assert forced is not None, "These are evaluated only where forced errors are assumed."
    return forced


def looks(s: Setting, replay: float = 1.0) -> float:
    """Mean number of lookers a claim at free entry: a look costs ``replay`` c and, where it finds something, gas."""
    forced = planted(s)
    cost = replay + forced.rate * s.gas(s.gas_used.blind_claim)
    return free_entry(forced.reward, cost, fixed_shares if forced.fixed_pot else first_shares)


def entered(s: Setting, replay: float = 1.0) -> float:
    """y at free entry."""
    return somebody(looks(s, replay))


def least_y(s: Setting) -> float:
    """The least y at which lazy verifiers and cheating solvers lose."""
    return least_looked_at(lambda y: all(each.sides(s.assuming(looked_at=y)).holds for each in DETERRENCE))


def _enough(s: Setting) -> Sides:
    left, right = entered(s), least_y(s)
    return Sides(left, right, f"{left:.3f} (lookers a claim: {looks(s):.2f}) >= {right:.3f}")


def _tip_second(s: Setting) -> Sides:
    y, forced = entered(s, s.assumed.cost), planted(s)
    left, right = forced.uncaught - 1, y / (3 * (1 - y))
    return Sides(left, right, f"{left:.2f} >= {y:.2f} / (3 x {1 - y:.2f}) = {right:.2f}")


def _tip_first(s: Setting) -> Sides:
    y, forced = entered(s, s.assumed.cost), planted(s)
    left, right = forced.uncaught * (1 - y), forced.most_shared
    return Sides(left, right, f"{forced.uncaught:.2f} x {1 - y:.2f} = {left:.2f} >= {right:.2f}")


def _solvent(s: Setting) -> Sides:
    forced, levy = planted(s), s.c(s.amounts.levy)
    most = max(forced.uncaught, forced.most_shared) * forced.reward
    right = s.audits * most
    return Sides(levy, right, f"{levy:.2f} c >= {s.audits} x {most:.2f} c = {right:.2f} c")


def _farming(s: Setting) -> Sides:
    forced, f = planted(s), s.assumed.colluding
    most = max(forced.uncaught, forced.most_shared) * forced.reward
    left = s.c(s.amounts.levy) + (1 - f) * s.audits * s.c(s.amounts.wage)
    right = f * s.audits * most
    return Sides(left, right, f"{left:.2f} c >= {f:.2f} x {s.audits} x {most:.2f} c = {right:.2f} c")


PLANTED = (
    Inequality(
        "Enough whistleblowers join",
        "p, J",
        "y at free entry >= y that deters",
        "p J g(L) = cost of a look, here c: more would join if it cost less; y = 1 - e^-L",
        _enough,
    ),
    Inequality(
        "Tipping off one friend loses, if it comes after who found it honestly",
        "r_0 / J",
        "r_0 / J - 1 >= y / (3 (1 - y))",
        "the design's: the friend is second wherever somebody looked; a look costs k c, so that more join",
        _tip_second,
    ),
    Inequality(
        "Tipping off accounts of one's own, first in line, loses",
        "r_0 / J, shares",
        "(1 - y) r_0 >= (1 + 1/3 + 1/9 + 1/27) J, or J where one is shared",
        "who need not replay places its claims first; accounts are free; y as above",
        _tip_first,
    ),
    Inequality(
        "A task's levy covers the most its forced errors may cost",
        "levy, p, J",
        "levy >= q p max(r_0, most that is shared)",
        "the design says p x max; each of q audits may be forced",
        _solvent,
    ),
    Inequality(
        "A task of one's own, audited by one's own verifiers, does not pay",
        "levy, p, J",
        "levy + (1 - f) q w >= f q p max(r_0, most that is shared)",
        "one hand is submitter, solver, finder, and has the share f of the stake",
        _farming,
    ),
)


def applicable(s: Setting) -> tuple[Inequality, ...]:
    """The inequalities that a setting must satisfy."""
    return (*INEQUALITIES, *PLANTED) if s.assumed.forced is not None else INEQUALITIES
