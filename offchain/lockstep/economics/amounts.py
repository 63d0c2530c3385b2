"""What moves in a task, base units: twins of ``TaskMath.sol``, ``FinderShares.sol`` and the court's shares."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Self

from lockstep.chain import terms as arithmetic
from lockstep.chain.parameters import Profile
from lockstep.chain.terms import WHOLE_BPS, Shape

MOST_FINDERS = 4


def split(amount: int, count: int) -> list[int]:
    """What each finder gets of an amount, first to last: weights 27, 9, 3, 1, rounded down; 0 for the rest of four."""
    weights = [27, 9, 3, 1][:count]
    return [amount * weight // sum(weights) for weight in weights] + [0] * (MOST_FINDERS - count)


@dataclass(frozen=True, slots=True)
class Amounts:
    """A task's amounts, base units."""

    fee: int
    replay_cost: int
    escrow: int
    wage: int
    levy: int
    solver_deposit: int
    compensation: int
    pot: int
    """Finders' share of the solver's deposit."""
    claim_deposit: int
    claim_bond: int
    opening_bond: int
    miss: int
    finders: int
    """Finders' share of a claim's deposit."""
    cleared: int
    """A cleared solver's share of a claim's deposit."""
    jackpot: int
    """J, for a lone finder of a forced error; 0 where there are none."""
    redraws: int

    @classmethod
    def of(cls, profile: Profile, terms: Shape, audits: int, wage: int, levy: int) -> Self:
        """The amounts of a task with these terms on a deployment with these numbers."""
        p = profile.parameters
        fee, cost = arithmetic.fee(terms), arithmetic.replay_cost(terms)
        deposit, claim = fee * p.solver_deposit_multiple, cost * p.claim_deposit_multiple
        return cls(
            fee=fee,
            replay_cost=cost,
            escrow=fee + fee * p.margin_bps // WHOLE_BPS + wage * audits + levy,
            wage=wage,
            levy=levy,
            solver_deposit=deposit,
            compensation=fee * p.compensation_bps // WHOLE_BPS,
            pot=deposit * p.finder_bps // WHOLE_BPS,
            claim_deposit=claim,
            claim_bond=p.claim_bond,
            opening_bond=profile.disputes.opening_bond,
            miss=cost * p.miss_multiple,
            finders=claim * p.finder_bps // WHOLE_BPS,
            cleared=claim * p.cleared_solver_bps // WHOLE_BPS,
            jackpot=cost * p.jackpot_multiple if p.forced_bps else 0,
            redraws=p.redraws,
        )

    def counted_in(self, unit: float) -> Amounts:
        """The same amounts, each rounded to a multiple of ``unit`` base units: small enough for int64."""
        whole = {name: round(value / unit) for name, value in asdict(self).items()}
        return Amounts(**whole | {"redraws": self.redraws})
