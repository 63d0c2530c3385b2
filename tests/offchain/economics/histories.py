"""Random histories: anything the contracts let happen, likely or not."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from lockstep.chain.parameters import PUBLIC, TOKEN, Profile
from lockstep.chain.terms import Plan
from lockstep.economics.amounts import Amounts
from lockstep.economics.histories import CHECKPOINT, MOST_NAMED, NOBODY, Demander, End, Histories, Said

PLANS = st.builds(
    Plan,
    steps=st.integers(1, 500),
    segment_steps=st.integers(1, 64),
    step_work=st.integers(1, 10**9),
    init_work=st.integers(1, 10**9),
    price=st.integers(1, TOKEN),
)


def amounts(plan: Plan, audits: int, profile: Profile = PUBLIC, spare: int = 0) -> Amounts:
    """Amounts of a task that offers the least wage and levy, and ``spare`` base units more of each."""
    least = Amounts.of(profile, plan, 0, 0, 0).replay_cost
    numbers = profile.parameters
    wage, levy = least * numbers.min_wage_multiple + spare, least * numbers.min_levy_multiple + spare
    return Amounts.of(profile, plan, audits, wage, levy)


def random_histories(
    rng: np.random.Generator, tasks: int, segments: int, rounds: int, places: int, *, secrets: bool = False
) -> Histories:
    """Histories of audited tasks and a few others; every round is filled, whether or not it is come to."""
    made = Histories.blank(tasks, segments, rounds, places)
    shape = made.posted.shape
    made.posted[:] = rng.random(shape) < rng.choice([0.3, 0.6, 0.95])
    made.root[:] = np.where(rng.random(shape) < 0.6, 0, rng.integers(0, 4, shape))
    winner = rng.integers(0, places, shape)
    possible = np.take_along_axis(made.posted, winner, axis=3) & made.posted & (winner != np.arange(places))
    convicted = possible & (rng.random(shape) < 0.4)
    made.beaten_by[:] = np.where(convicted, winner, NOBODY)
    made.digest_by[:] = np.where(possible & (rng.random(shape) < 0.3), winner, NOBODY)
    both = made.posted[..., :, None] & made.posted[..., None, :] & ~np.eye(places, dtype=bool)
    made.failed[:] = both * (rng.random((*shape, places)) < 0.1)
    # at least one segment is drawn; of the others some are called up, by a claim that condemns
    made.undrawn[:, 1:] = rng.random((tasks, segments - 1)) < rng.choice([0.0, 0.5])
    caller = made.root[:, :, 0, 0]
    caller[made.undrawn & (caller == CHECKPOINT)] = 1
    lapses = rng.random(shape[:2]) < rng.choice([0.0, 0.2])
    lapsed_in = np.where(made.undrawn, 0, rng.integers(0, rounds, shape[:2]))
    made.withheld[:] = np.where(lapses, lapsed_in, NOBODY)
    made.withheld_by[:] = rng.choice(list(Demander), shape[:2])
    made.end[:] = rng.choice([End.AUDITED, End.AUDITED, End.AUDITED, End.EXPIRED, End.REFUNDED], tasks)
    if secrets:
        drawn = ~made.undrawn[:, :, None] & made.posted[..., 0]
        made.said[:] = np.where(drawn, rng.choice(list(Said), shape[:3]), Said.NOTHING)
        names = made.posted & (rng.random(shape) < 0.5)
        names[..., 0] = False
        made.named[:] = names & (names.cumsum(axis=3) <= MOST_NAMED)
    return made
