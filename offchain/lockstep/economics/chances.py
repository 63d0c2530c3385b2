"""Chances and equilibria that the inequalities are made of."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

PAID_PLACES = 4
SHARE = 5
"""Each further finder of a planted error divides what everybody gets for it by this."""
BISECTIONS = 60
ALL_BUT_CERTAIN = 1 - 2**-30
OTHERS = np.arange(64)
"""Numbers of others who look."""
_LOG_FACTORIALS = np.array([math.lgamma(n + 1) for n in OTHERS])


def drawn_bad(segments: int, audits: int, bad: int) -> NDArray[np.float64]:
    """(audits + 1,) chances that 0, 1, .. of ``bad`` segments are among ``audits`` drawn of ``segments``, all alike."""
    whole = math.comb(segments, audits)
    return np.array([math.comb(bad, k) * math.comb(segments - bad, audits - k) / whole for k in range(audits + 1)])


def caught(segments: int, audits: int, bad: int, looked_at: float) -> float:
    """Chance that one of ``bad`` segments is drawn and looked at, each drawn one being looked at by itself."""
    drawn = drawn_bad(segments, audits, bad)
    return float(1 - drawn @ (1 - looked_at) ** np.arange(audits + 1))


def worst_cheating(segments: int, audits: int, looked_at: float, most: float) -> tuple[int, float]:
    """Number of bad segments at which the chance to be caught is least for what it saves, and that chance.

    Each saves 1, all together ``most``. The chance is concave in the number, so the worst is one, or about as many as
    save it all.
    """
    full = max(1, min(segments, math.floor(most)))
    ends = ((n, caught(segments, audits, n, looked_at)) for n in sorted({1, full, min(full + 1, segments), segments}))
    return min(ends, key=lambda end: end[1] / min(end[0], most))


def finder_part(finders: NDArray[np.int64]) -> NDArray[np.float64]:
    """What each paid finder of a planted error gets, in jackpots, where so many named it; 0 for none: twin of
    ``ForcedErrors.rewards``.
    """
    counted = np.minimum(finders, PAID_PLACES)
    return np.where(finders > 0, float(SHARE) ** (1 - counted), 0.0)


def maker_part(finders: NDArray[np.int64]) -> NDArray[np.float64]:
    """What the verifier that made it gets, in jackpots: 5/4, a fifth of it for each finder."""
    return 1.25 * float(SHARE) ** -np.minimum(finders, PAID_PLACES)


def poisson_mean(values: NDArray[np.float64], rate: float) -> float:
    """Mean of ``values[n]``, (64,), over a Poisson number n."""
    if rate == 0:
        return float(values[0])
    return float(np.exp(-rate + OTHERS * math.log(rate) - _LOG_FACTORIALS) @ values)


def looker_part(rate: float) -> float:
    """What one of those who find a planted error expects, in jackpots; the first four are paid.

    ``rate`` is the mean number of others who look, a Poisson variable; all orders are alike.
    """
    return poisson_mean(finder_part(OTHERS + 1) * np.minimum(1, PAID_PLACES / (OTHERS + 1)), rate)


def free_entry(reward: float, cost: float) -> float:
    """Mean number of lookers a claim at which looking pays just its cost; 0 where nobody would.

    ``reward`` is what a lone looker expects of one look, ``cost`` what a look costs, in the same unit.
    """
    if reward <= cost:
        return 0.0
    low, high = 0.0, 32.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if reward * looker_part(middle) > cost else (low, middle)
    return low


def somebody(rate: float) -> float:
    """y: chance that a Poisson number of lookers of this mean is not zero."""
    return -math.expm1(-rate)


def mean_number(chance: float) -> float:
    """Mean of a Poisson number that is not zero with this chance; of certainty, with all but certainty."""
    return -math.log1p(-min(chance, ALL_BUT_CERTAIN))


def met(segments: int, audits: int, looked_at: float, searched: float) -> float:
    """Chance that one bad segment is shown: drawn and looked at, or not drawn and replayed by a volunteer."""
    drawn = audits / segments
    return drawn * looked_at + (1 - drawn) * searched


def least_looked_at(holds: Callable[[float], bool]) -> float:
    """The least y at which a condition that grows with y holds; 1 where it never does."""
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
