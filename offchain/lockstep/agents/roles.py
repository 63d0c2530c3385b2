"""In which role there is more to earn, and when to change it: pure functions of what is seen.

Amounts are token base units. Incomes are means over the tasks that were posted lately, for one such task; each is what
is paid less what the work costs this account:

    whistleblower   q L (R(L) - c)              L the share of the claims at which a look pays just its cost
    verifier        n (w + 5/4 p J (1 - 4 L / 5)^r - c)     n = min(q s / (s + S), claims its stake can carry)
    solver          (F - C) / (m + 1)           m others solve

with q claims a task, R as in ``agents/entry.py``, r whistleblowers beside this account, s its weight in the draws and S
that of the others. A role is left only for one that has paid more by some share, for some time, and not soon after it
was taken: then accounts that do alike come to rest where none gains by changing (``docs/ECONOMICS.md``, "Changing
roles").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lockstep.agents.entry import FINDERS_DIVIDE, Choice, Outlook, expected_reward, look_chance
from lockstep.chain.amounts import amount_text

ROLES = (Choice.WHISTLEBLOWER, Choice.VERIFIER, Choice.SOLVER)
"""Between these it changes."""
TOLD_PAYS = 1.25
"""What a forced error that nobody finds pays its verifier, in jackpots."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """What a task like one posted lately promises in each role.

    Attributes:
        outlook: of looking at its claims
        claims: segments drawn, each claimed by a drawn verifier
        weight: share of the draws that this account would have as a verifier, 0 to 1
        carried: claims that its stake as a verifier can stand for at once
        fee: what its solver is paid, base units
        solving: what solving it costs this account, base units
        solvers: others who solve such tasks
        solvable: whether this account could lock the deposit, and would accept

    """

    outlook: Outlook
    claims: int
    weight: float
    carried: int
    fee: int
    solving: float
    solvers: int
    solvable: bool = True


@dataclass(frozen=True, slots=True)
class Rules:
    """When to change: for ``gain`` more (a share of what the role now brings), seen for ``patience`` seconds, and not
    within ``dwell`` seconds after the last change.
    """

    gain: float = 0.25
    patience: int = 0
    dwell: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """An account's role: since when (timestamp), which role looks better, since when, and whether it is being left."""

    role: Choice
    since: int = 0
    better: Choice | None = None
    better_since: int = 0
    leaving: bool = False


def watching(prospect: Prospect) -> float:
    """Income of a whistleblower from one task, base units."""
    outlook = prospect.outlook
    chance = look_chance(outlook)
    surplus = expected_reward(outlook, chance) - outlook.cost
    return prospect.claims * min(chance, outlook.room) * max(0.0, surplus)


def verifying(prospect: Prospect) -> float:
    """Income of a verifier from one task, base units; below 0 where the wage does not pay a replay."""
    outlook = prospect.outlook
    unfound = (1 - look_chance(outlook) * (1 - 1 / FINDERS_DIVIDE)) ** outlook.rivals
    paid = outlook.wage + TOLD_PAYS * outlook.forced * unfound - outlook.cost
    return min(prospect.claims * prospect.weight, prospect.carried) * paid


def solving(prospect: Prospect) -> float:
    """Income of a solver from one task, base units."""
    return (prospect.fee - prospect.solving) / (prospect.solvers + 1) if prospect.solvable else 0.0


def incomes(prospects: Sequence[Prospect]) -> dict[Choice, float]:
    """Mean income from a task in each role, base units; nothing where no task was seen."""
    kinds = zip(ROLES, (watching, verifying, solving), strict=True)
    count = max(1, len(prospects))
    return {role: sum(income(prospect) for prospect in prospects) / count for role, income in kinds}


def best(found: Mapping[Choice, float], role: Choice, gain: float) -> Choice | None:
    """The role that brings most, if that is ``gain`` more than the present one's; None: stay."""
    most = max(found, key=lambda each: (found[each], each is role))
    return most if found[most] > max(0.0, found[role]) * (1 + gain) else None


def watch(standing: Standing, found: Mapping[Choice, float], now: int, rules: Rules) -> Standing:
    """What is kept in mind after another look at the incomes."""
    better = best(found, standing.role, rules.gain)
    if better is standing.better:
        return standing
    return replace(standing, better=better, better_since=now)


def goal(standing: Standing, now: int, rules: Rules) -> Choice | None:
    """The role to leave the present one for now, None to stay."""
    waited = now - standing.better_since >= rules.patience and now - standing.since >= rules.dwell
    return standing.better if waited else None


def sentence(standing: Standing, found: Mapping[Choice, float], prospects: Sequence[Prospect], rules: Rules) -> str:
    """The inputs and the decision, for people."""

    def text(amount: float) -> str:
        return amount_text(round(amount))

    if not prospects:
        return f"it is a {standing.role.value}; no task was posted yet to compare roles by"
    newest = prospects[-1]
    outlook = newest.outlook
    told = (
        f"a task of the last {len(prospects)} brings a whistleblower {text(found[Choice.WHISTLEBLOWER])} "
        f"(rivals: {outlook.rivals}), a verifier {text(found[Choice.VERIFIER])} ({100 * newest.weight:.0f} % of the "
        f"draws, stake for {newest.carried} claims, wage {text(outlook.wage)}, a replay costs {text(outlook.cost)}), "
        f"a solver {text(found[Choice.SOLVER])} (fee {text(newest.fee)}, costs {text(newest.solving)}, "
        f"rivals: {newest.solvers}{'' if newest.solvable else ', not to be accepted now'})"
    )
    if standing.leaving and standing.better is not None:
        return f"{told}; it becomes a {standing.better.value} once nothing of it is open"
    better = best(found, standing.role, rules.gain)
    if better is None:
        return f"{told}; it stays a {standing.role.value}"
    return (
        f"{told}; as a {better.value} there is more than {100 * rules.gain:.0f} % more than as a "
        f"{standing.role.value}, and it changes once that was so for {rules.patience} s"
    )
