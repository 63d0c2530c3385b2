"""What the numbers do not rule out, and how far they are from what they do: figures without a right side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lockstep.chain.amounts import amount_text
from lockstep.economics.beyond import REVEAL_GAS, most_steps
from lockstep.economics.chances import least_looked_at, met
from lockstep.economics.inequalities import INEQUALITIES
from lockstep.economics.planted import least_y
from lockstep.economics.setting import Setting

_SILENCE = next(each for each in INEQUALITIES if each.name.startswith("Silence"))


@dataclass(frozen=True, slots=True)
class Bound:
    """A figure about a deployment: its name, its formula, its value in words."""

    name: str
    formula: str
    value: Callable[[Setting], str]


def outside_gain(s: Setting) -> float:
    """Least gain, in c, that makes one bad segment pay."""
    return met(s.segments, s.audits, s.assumed.looked_at, s.assumed.searched) * s.solver_risk - 1


def most_colluding(s: Setting) -> float:
    """Least share of the stake with which silent verifiers and a submitter gain; 1 where none does."""
    return least_looked_at(lambda share: not _SILENCE.sides(s.assuming(colluding=share)).holds)


def finder_reward(s: Setting) -> float:
    """What the only finder of a passed lie gets, in c: of solver, verifier and bond."""
    shared = s.finder_share * (s.solver_deposit + s.claim_deposit)
    return shared + s.c(s.amounts.claim_bond // 2) - s.gas(s.gas_used.challenge + s.gas_used.blind_claim)


def paying_rate(s: Setting) -> float:
    """Least share of passed claims that must be lies for a look to pay, where nothing is planted."""
    return min(1.0, s.assumed.cost / finder_reward(s))


def bought_off(s: Setting) -> float:
    """Finders that a solver could pay for silence as much as finding brings them, before it costs as much as losing."""
    return (s.solver_deposit + s.fee) / (s.finder_share * s.solver_deposit)


def _outside_text(s: Setting) -> str:
    return f"{outside_gain(s):.2f} c = {outside_gain(s) / s.fee:.2f} C"


def _reroll(s: Setting) -> str:
    drawn = s.audits / s.segments
    spared = drawn * (1 - drawn) * s.assumed.looked_at * s.solver_risk
    return f"{spared:.2f} c ({amount_text(round(spared * s.amounts.replay_cost))}) to whoever left out one segment"


BOUNDS = (
    Bound("Least y that deters lazy verifiers and cheating solvers", "see above", lambda s: f"{least_y(s):.3f}"),
    Bound(
        "Gain from outside that makes one bad segment pay",
        "P(caught, 1) ((1 - phi) D_s + C) - c",
        _outside_text,
    ),
    Bound(
        "The same, where volunteers replay a fourth of what was not drawn",
        "P(z) ((1 - phi) D_s + C) - c",
        lambda s: _outside_text(s.assuming(searched=1 / 4)),
    ),
    Bound(
        "Share of bad claims below which looking does not pay, without forced errors",
        "k c / (phi (D_s + D_v) + B / 2 - gas)",
        lambda s: f"{paying_rate(s):.4f}: one in {1 / paying_rate(s):.0f}",
    ),
    Bound(
        "Share of the stake that wins by silence, with the submitter",
        "where the two sides meet",
        lambda s: f"{most_colluding(s):.3f}",
    ),
    Bound(
        "Chance that one hand audits every drawn segment",
        "f^q",
        lambda s: f"{s.assumed.colluding**s.audits:.2g}",
    ),
    Bound("What drawing again once is worth", "q/(S+1) (1 - q/(S+1)) y ((1 - phi) D_s + C)", _reroll),
    Bound(
        "Most steps of a task, in segments as long as these",
        "least of where silence and false condemnation begin to pay",
        lambda s: f"{most_steps(s):,}",
    ),
    Bound(
        "What a seat on the panel costs a year, for no pay",
        "interest x bond, and gas of each reveal",
        lambda s: (
            f"{amount_text(round(s.assumed.interest * s.profile.reveals.bond))} and"
            f" {amount_text(REVEAL_GAS * s.assumed.gas_price)} a draw"
        ),
    ),
    Bound(
        "Finders a solver could pay for silence",
        "(D_s + C) / (phi D_s)",
        lambda s: f"{bought_off(s):.1f}; none can be held to it, for claims are blind and accounts free",
    ),
    Bound(
        "What withheld data cost drawn verifiers, at most",
        "(r + 1) q m, against D_s + C of the solver",
        lambda s: (
            f"{(s.profile.parameters.redraws + 1) * s.audits * s.c(s.amounts.miss):.1f} c"
            f" against {s.solver_deposit + s.fee:.1f} c"
        ),
    ),
)
