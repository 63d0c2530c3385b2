"""Whether a look at a verifier's claim pays: the whistleblower's default strategy, as pure functions of what it sees.

Amounts are token base units. A look is a replay of the claim's segment. Of r rivals that do alike, each looks at a
claim with chance q, so the others who look are a binomial number n. A look then expects

    p J E[5^-n] + b (phi (D_s + D_v) + B / 2) E[1 / (n + 1)]
        = p J (1 - 4 q / 5)^r + b (phi (D_s + D_v) + B / 2) (1 - (1 - q)^(r + 1)) / ((r + 1) q)

where b is the share of claims that are false and were not told to be. Free entry sets it equal to what a look costs.
Derived in ``docs/ECONOMICS.md``, "Whistleblowers' entry" (many rivals: p J e^(-4 L / 5) = c with L = r q).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from lockstep.chain.amounts import amount_text

FINDERS_DIVIDE = 5
"""Each further finder of a forced error divides what every one of them gets by this."""
BISECTIONS = 50


class Choice(Enum):
    """What an account does best."""

    WHISTLEBLOWER = "whistleblower"
    VERIFIER = "verifier"
    SOLVER = "solver"
    REVEALER = "revealer"


@dataclass(frozen=True, slots=True)
class Outlook:
    """What can be seen of looking at a claim of a task.

    Attributes:
        rivals: accounts other than this one that placed blind claims recently, and did not defend work of their own
        judged: recent claims that were judged, forced errors left out
        false: those of them that were convicted
        forced: p J, what a lone finder expects of forced errors, base units a look
        found: phi (D_s + D_v) + B / 2, what a false claim pays its only finder, base units
        wage: what the drawn verifier is paid for a replay, base units
        work: units of work a look takes
        cost: what a look costs this account, base units
        least: what must be left of a look for this account to take part, base units
        room: share of the claims open now that this account can replay in a claim window; above 1 it has time to spare

    """

    rivals: int
    judged: int
    false: int
    forced: float
    found: int
    wage: int
    work: int
    cost: float
    least: float = 0.0
    room: float = 1.0

    @property
    def false_share(self) -> float:
        """b: the chance that the next claim is false, by Laplace's rule of succession: nothing seen is no proof."""
        return (self.false + 1) / (self.judged + 2)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the strategy says, and why.

    Attributes:
        outlook: what it was made from
        chance: share of the task's claims to look at, drawn at random
        expected: what a look brings while the rivals look at as many, base units
        choice: the role that pays best

    """

    outlook: Outlook
    chance: float
    expected: float
    choice: Choice

    def sentence(self) -> str:
        """The inputs and the decision, for people."""
        o = self.outlook

        def price(amount: float) -> str:
            return amount_text(round(amount * 1_000_000 / max(1, o.work)))

        seen = (
            f"{o.rivals} rival{'' if o.rivals == 1 else 's'} seen, {o.false:,} of {o.judged:,} judged claims false: "
            f"a look, {o.work:,} units of work, expects {price(self.expected)} and costs {price(o.cost)} per 10^6 units"
        )
        if o.least:
            seen += f", {price(o.least)} must be left"
        if o.room < 1:
            seen += f", and there is time for {100 * o.room:.0f} % of the open claims"
        if self.choice is Choice.WHISTLEBLOWER:
            return f"{seen}; it looks at {100 * self.chance:.0f} % of the claims, at random"
        if self.choice is Choice.VERIFIER:
            return f"{seen}; it stays away, and a verifier's wage of {price(o.wage)} pays better: `lockstep verify`"
        return f"{seen}; it stays away. No replay pays now; a seat on the beacon's panel takes none: `lockstep reveal`"


def expected_reward(outlook: Outlook, chance: float) -> float:
    """What a look expects, base units, while each rival looks at a claim with this chance."""
    rivals = outlook.rivals
    alone = (1 - chance * (1 - 1 / FINDERS_DIVIDE)) ** rivals
    share = (1 - (1 - chance) ** (rivals + 1)) / ((rivals + 1) * chance) if chance > 0 else 1.0
    return outlook.forced * alone + outlook.false_share * outlook.found * share


def look_chance(outlook: Outlook) -> float:
    """The share of claims to look at: all of them while that pays, else as many as leave a look just its cost.

    0 where a look would not pay even alone. Rivals that do the same make no look worth less than it costs.
    """
    needed = outlook.cost + outlook.least
    if expected_reward(outlook, 1.0) >= needed:
        return 1.0
    if expected_reward(outlook, 0.0) <= needed:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if expected_reward(outlook, middle) >= needed else (low, middle)
    return low


def decide(outlook: Outlook) -> Decision:
    """What to do about a task's claims: look at a share of them, or in which role there is more to earn."""
    chance = min(look_chance(outlook), outlook.room)
    if chance > 0:
        choice = Choice.WHISTLEBLOWER
    elif outlook.wage >= outlook.cost + outlook.least:
        choice = Choice.VERIFIER
    else:
        choice = Choice.REVEALER
    return Decision(outlook, chance, expected_reward(outlook, chance), choice)
