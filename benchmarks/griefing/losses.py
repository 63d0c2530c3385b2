"""What a move cost two parties, in one unit, and the row it makes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lockstep.economics.setting import ON_PUBLIC_CHAIN, YEAR

GAS_PRICE, INTEREST = ON_PUBLIC_CHAIN.gas_price, ON_PUBLIC_CHAIN.interest


@dataclass(frozen=True, slots=True)
class Loss:
    """What a party lost.

    Attributes:
        tokens: base units it has less than before; negative: it gained
        gas: units of its transactions that served nothing but the move
        work: base units that computing in vain would have been paid
        locked: base units that were not at its disposal, for ``seconds``

    """

    tokens: int
    gas: int
    work: int = 0
    locked: int = 0
    seconds: int = 0

    @property
    def total(self) -> int:
        """All of it, base units, with the gas price and the interest of ``docs/ECONOMICS.md``."""
        time = round(self.locked * INTEREST * self.seconds / YEAR)
        return self.tokens + self.gas * GAS_PRICE + self.work + time


@dataclass(frozen=True, slots=True)
class Row:
    """A move and whom it harms: the calls that make it, both losses, and a remark where the ratio is above 1."""

    name: str
    calls: str
    attacker_role: str
    victim_role: str
    attacker: Loss
    victim: Loss
    remark: str = ""

    @property
    def ratio(self) -> float | None:
        """The victim's loss over the attacker's; None where the victim loses nothing."""
        return self.victim.total / self.attacker.total if self.victim.total > 0 else None

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Row:
        """From those."""
        losses = {side: Loss(**values[side]) for side in ("attacker", "victim")}
        return cls(**{**values, **losses})
