"""What a task costs, from its terms or before it has any; twin of ``contracts/market/TaskMath.sol``.

Amounts are token base units; prices are per 10^6 units of work, rounded up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lockstep.chain.parameters import Parameters

PRICE_UNIT = 1_000_000
WHOLE_BPS = 10_000
STAKE_SHARE = 1_000
"""Stake that a claim locks over the least wage, and over the least levy of a claim: ``ParametersLib.STAKE_SHARE``."""


class Shape(Protocol):
    """What of a task's terms, or of an offer with its work, decides segments and prices."""

    @property
    def steps(self) -> int: ...  # noqa: D102
    @property
    def segment_steps(self) -> int: ...  # noqa: D102
    @property
    def step_work(self) -> int: ...  # noqa: D102
    @property
    def init_work(self) -> int: ...  # noqa: D102
    @property
    def price(self) -> int: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Plan:
    """A task's shape before it is posted."""

    steps: int
    segment_steps: int
    step_work: int
    init_work: int
    price: int


def segment_count(terms: Shape) -> int:
    """Segments with the init segment, S + 1."""
    return -(-terms.steps // terms.segment_steps) + 1


def price_of(terms: Shape, work: int) -> int:
    """What ``work`` units cost at the task's price."""
    return -(-work * terms.price // PRICE_UNIT)


def whole_work(terms: Shape) -> int:
    """Work of all steps and of the start."""
    return terms.step_work * terms.steps + terms.init_work


def fee(terms: Shape) -> int:
    """C: what the whole work costs."""
    return price_of(terms, whole_work(terms))


def reroll_worth(fee: int, solver_deposit: int, audits: int, segments: int) -> int:
    """Most that another draw is worth to a solver with bad segments that were drawn, token base units.

    It then loses fee and deposit unless the new draw misses them all, which one bad segment is by a chance of
    1 - q / (S + 1), and more of them by less: (1 - q / (S + 1)) (D_s + C).
    """
    return (fee + solver_deposit) * (segments - audits) // segments


def least_levy(parameters: Parameters, cost: int, audits: int) -> int:
    """The least levy of a task.

    What the deployment asks for, what its forced errors may cost in the mean, and a share of the stake that its claims
    lock. ``cost``: c, base units.
    """
    forced = cost * parameters.jackpot_multiple * parameters.forced_bps * 5 * audits
    stake = -(-audits * claim_stake(parameters, cost) // STAKE_SHARE)
    return max(parameters.min_levy_multiple * cost, -(-forced // (4 * WHOLE_BPS)), stake)


def least_wage(parameters: Parameters, cost: int) -> int:
    """The least wage of a claim: what the deployment asks for, and a share of the stake that a claim locks."""
    return max(parameters.min_wage_multiple * cost, -(-claim_stake(parameters, cost) // STAKE_SHARE))


def claim_stake(parameters: Parameters, cost: int) -> int:
    """What a claim locks, base units: its deposit and its bond. ``cost``: c."""
    return parameters.claim_deposit_multiple * cost + parameters.claim_bond


def replay_cost(terms: Shape) -> int:
    """c: what replaying the dearest segment costs."""
    full = min(terms.steps, terms.segment_steps) * terms.step_work
    return price_of(terms, max(full, terms.init_work))


def claim_window(parameters: Parameters, terms: Shape) -> float:
    """Seconds in which a drawn segment may be claimed: with the time of the dearest replay."""
    work = max(min(terms.steps, terms.segment_steps) * terms.step_work, terms.init_work)
    return parameters.claim_window + (work / parameters.work_rate if parameters.work_rate else 0)


def last_draw(parameters: Parameters, terms: Shape, solve_window: int) -> float:
    """Seconds from a task's acceptance to its last draw of verifiers, all windows used up.

    Of every round but the last the drawn verifiers are silent: where one claims, there is nobody left to draw for.
    """
    silent = claim_window(parameters, terms) + parameters.unblind_window + parameters.draw_window
    work = parameters.acknowledge_window + solve_window + parameters.draw_window
    return work + parameters.redraws * silent
