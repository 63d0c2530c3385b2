"""What forced errors pay and cost once secrets are opened: twin of ``Judgement.openSecret`` and what it calls."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lockstep.economics.chances import SHARE
from lockstep.economics.histories import MOST_NAMED, NOBODY, Histories, Said


def rewards(jackpot: int, finders: int) -> tuple[int, int]:
    """What each of so many finders of a forced error gets, and the verifier that made it, base units."""
    if finders == 0:
        return 0, jackpot * 5 // 4
    parts = SHARE ** (finders - 1)
    return jackpot // parts, jackpot // (4 * parts)


def is_faulty(histories: Histories, stood: NDArray[np.int16]) -> NDArray[np.bool_]:
    """(N, G, R, K) claims that lose deposit and bond whatever they say: by a digest, or by a secret.

    ``stood`` (N, G) is the label of the end root that stands. A convicted digest is forgiven where a secret asked for
    it. A secret that nobody opened costs a claim that is right just as much; a wrong one loses its deposit anyhow.
    """
    faulty = histories.digest_by != NOBODY
    said, right = histories.said, histories.root[..., 0] == stood[:, :, None]
    faulty[..., 0] &= said != Said.MADE
    faulty[..., 0] |= (said == Said.FAULTY) | ((said == Said.UNOPENED) & right)
    return np.asarray(faulty & histories.posted)


def jackpots(
    histories: Histories, stood: NDArray[np.int16], pays: NDArray[np.bool_], jackpot: int, units: Any
) -> NDArray[Any]:
    """(N, G, R, K) what each place gets for forced errors, of the type ``units``.

    ``pays`` (N, G, R) are the rounds that decided, of tasks that paid their levy. Finders are the right, unconvicted
    claims that named the entry, once it is proven; if none did, who proved it.
    """
    proven = histories.digest_by[..., 0]
    right = histories.posted & (histories.root == stood[:, :, None, None])
    made = pays & (histories.said == Said.MADE) & right[..., 0]
    if not made.any():
        return np.zeros(histories.posted.shape, units)
    whole = (histories.beaten_by == NOBODY) & (histories.digest_by == NOBODY)
    finds = histories.named & right & whole
    alone = ~finds.any(axis=3)[..., None] & (proven[..., None] == np.arange(finds.shape[3]))
    finds = (finds | alone) & (made & (proven != NOBODY))[..., None]
    count = finds.sum(axis=3)
    each = np.array([rewards(jackpot, n) for n in range(MOST_NAMED + 1)], dtype=units)[count]
    won = finds.astype(units) * each[..., None, 0]
    won[..., 0] += made.astype(units) * each[..., 1]
    return np.asarray(won)
