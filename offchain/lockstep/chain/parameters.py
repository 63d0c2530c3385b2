"""A deployment's numbers; twins of ``contracts/types/Parameters.sol`` and of the structs of that name.

Multiples are of C (a task's fee) or c (the cost of replaying its dearest segment), shares in 1/10,000, windows and
clocks in seconds, bonds in token base units. ``LOCAL`` suits one machine, ``PUBLIC`` a public chain.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from lockstep.chain.amounts import TOKEN
from lockstep.chain.errors import ChainError
from lockstep.chain.types import _Struct

__all__ = [
    "LOCAL",
    "PROFILES",
    "PUBLIC",
    "TOKEN",
    "DemandParameters",
    "DisputeParameters",
    "Parameters",
    "Profile",
    "RevealParameters",
]


class _Numbers(_Struct):
    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """From names and numbers; unknown or missing names are refused with a sentence."""
        names = {field.name for field in fields(cls)}  # type: ignore[arg-type]
        odd = sorted(set(values) ^ names)
        if odd:
            raise ChainError(f"The deployment's {cls.__name__} does not fit this version: look at {', '.join(odd)}.")
        return cls(**values)

    def to_dict(self) -> dict[str, int]:
        """Names and numbers."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]


@dataclass(frozen=True, slots=True)
class Parameters(_Numbers):
    """What market, court and vault are built with; see ``contracts/types/Parameters.sol``."""

    solver_deposit_multiple: int = 3
    claim_deposit_multiple: int = 20
    miss_multiple: int = 2
    min_wage_multiple: int = 1
    min_levy_multiple: int = 2
    margin_bps: int = 0
    finder_bps: int = 3_000
    compensation_bps: int = 5_000
    cleared_solver_bps: int = 2_000
    forced_bps: int = 1_000
    jackpot_multiple: int = 14
    claim_bond: int = 10 * TOKEN
    blind_bond: int = 1 * TOKEN
    weight_unit: int = TOKEN
    min_audits: int = 2
    redraws: int = 2
    beacon_delay: int = 2
    draw_window: int = 24 * 3600
    acknowledge_window: int = 3600
    claim_window: int = 12 * 3600
    max_claim_window: int = 14 * 24 * 3600
    unblind_window: int = 6 * 3600
    dispute_window: int = 6 * 3600
    opening_window: int = 24 * 3600
    work_rate: int = 10_000_000
    withdrawal_delay: int = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class DisputeParameters(_Numbers):
    """What the dispute game is built with; see ``DisputeParameters`` in ``IDisputeGame.sol``."""

    opening_bond: int = 5 * TOKEN
    clock: int = 24 * 3600
    increment: int = 3600
    work_rate: int = 10_000_000


@dataclass(frozen=True, slots=True)
class RevealParameters(_Numbers):
    """What the beacon's panel is built with; see ``RevealParameters`` in ``IRevealers.sol``."""

    seats: int = 4
    bond: int = 1_000 * TOKEN
    window_blocks: int = 250
    tip_bps: int = 500


@dataclass(frozen=True, slots=True)
class DemandParameters(_Numbers):
    """What demands for data are built with; see ``DemandParameters`` in ``IDataDemands.sol``."""

    flat_fee: int = TOKEN // 5_000
    byte_fee: int = 50 * 10**9
    rate: int = 2_000
    response: int = 6 * 3600
    doubling: int = 3600


@dataclass(frozen=True, slots=True)
class Profile:
    """The numbers of a whole deployment."""

    parameters: Parameters
    disputes: DisputeParameters
    reveals: RevealParameters = field(default_factory=RevealParameters)
    demands: DemandParameters = field(default_factory=DemandParameters)


PUBLIC = Profile(Parameters(), DisputeParameters())
"""Windows of hours, clocks of a day: above what a public chain's builders can be expected to censor."""

LOCAL = Profile(
    Parameters(
        forced_bps=0,
        beacon_delay=1,
        draw_window=3600,
        acknowledge_window=600,
        claim_window=300,
        max_claim_window=24 * 3600,
        unblind_window=120,
        dispute_window=120,
        opening_window=600,
        withdrawal_delay=4 * 3600,
    ),
    DisputeParameters(clock=600, increment=120),
    RevealParameters(window_blocks=200),
    DemandParameters(rate=100_000, response=120, doubling=60),
)
"""Windows of minutes, for one machine whose clock may be moved. No forced errors: a scene ends the same each time."""

PROFILES = {"local": LOCAL, "public": PUBLIC}
