"""What each way to play brings in a population, by simulation: the contracts' payouts less computing, gas and time.

A payoff is of one task for a solver, of one claim for a verifier, of one look for a whistleblower or a volunteer, of
one call for a false caller; all in c.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lockstep.chain.types import TaskState
from lockstep.economics.chances import PAID_PLACES, finder_part, maker_part
from lockstep.economics.payouts import Payouts, Units, pay
from lockstep.economics.planted import claim_cost, planted
from lockstep.economics.population import (
    DEFENDER,
    FIRST_LOOKER,
    VERIFIER,
    Focus,
    Play,
    Population,
    Solving,
    Verifying,
    play,
)
from lockstep.economics.setting import Setting

SEED = 2026
PLANTING = (Verifying.HONEST, Verifying.COPYING, Verifying.TIPPING)
"""Verifiers that know the right digest, and so can make one entry of it wrong where they must."""
TIPPED_ACCOUNTS = 1
"""More bring less."""
LEAST_LOOKERS = 0.01
"""Where nobody looks, nobody would learn that looking pays; nor that volunteering does, where it was ever tried."""
UNITS = 10**6
"""The simulation counts in millionths of c."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and its standard error."""

    mean: float
    error: float

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Estimate:
        """Of independent values."""
        return cls(float(values.mean()), float(values.std() / np.sqrt(len(values))))


@dataclass(frozen=True, slots=True)
class Payoffs:
    """What each way to play brings: by ``Solving``, by ``Verifying`` (without forced errors none tips), and a look.

    ``volunteering`` is a look at a segment that was not drawn, ``calling`` a call without a look; None where every
    segment is drawn.
    """

    solving: dict[Solving, Estimate]
    verifying: dict[Verifying, Estimate]
    looking: Estimate
    volunteering: Estimate | None
    calling: Estimate | None

    @property
    def best_solving(self) -> Solving:
        """The solver's best reply."""
        return max(self.solving, key=lambda kind: self.solving[kind].mean)

    @property
    def best_verifying(self) -> Verifying:
        """The verifier's best reply."""
        return max(self.verifying, key=lambda kind: self.verifying[kind].mean)


def payoffs(setting: Setting, population: Population, tasks: int, seed: int = SEED) -> Payoffs:
    """Every way to play tried in the same population, each in ``tasks`` tasks with the same random numbers."""
    ways = [kind for kind in Verifying if kind != Verifying.TIPPING or setting.forced is not None]
    return Payoffs(
        {kind: solver_payoff(setting, population, kind, tasks, seed) for kind in Solving},
        {kind: verifier_payoff(setting, population, kind, tasks, seed) for kind in ways},
        looker_payoff(setting, population, tasks, seed),
        volunteer_payoff(setting, population, tasks, seed) if undrawn(setting) else None,
        caller_payoff(setting, population, tasks, seed) if undrawn(setting) else None,
    )


def undrawn(setting: Setting) -> int:
    """Segments of a task that are not drawn."""
    return setting.segments - setting.audits


def solver_payoff(setting: Setting, population: Population, kind: Solving, tasks: int, seed: int = SEED) -> Estimate:
    """A solver's payoff of one task; one that is shown wrong has a friend find it first."""
    _, paid = _played(setting, population, tasks, seed, Focus(solving=kind))
    left_out = {Solving.HONEST: 0, Solving.ONE: 1, Solving.ALL: setting.segments}[kind]
    k, outside = setting.assumed.cost, setting.assumed.outside * setting.fee
    gains = _in_c(paid.solver) - k * max(0.0, setting.fee - left_out) - setting.gas(setting.gas_used.solve)
    if left_out:
        # computing is saved at its price, as the inequalities have it, and finders' shares of its deposit come back
        gains += (1 - k) * min(left_out, setting.fee)
        shown_wrong = paid.solver < 0
        gains += outside * ~shown_wrong + setting.finder_share * setting.solver_deposit * shown_wrong
    return Estimate.of(gains)


def verifier_payoff(
    setting: Setting, population: Population, kind: Verifying, tasks: int, seed: int = SEED
) -> Estimate:
    """A drawn verifier's payoff of one claim."""
    played, paid = _played(setting, population, tasks, seed, Focus(verifying=kind))
    gains = _in_c(paid.claimant[:, 0, 0, 0])
    locked = setting.claim_deposit + setting.c(setting.amounts.claim_bond)
    gains -= setting.time_value(locked, setting.claim_window + setting.profile.parameters.unblind_window)
    if kind != Verifying.SILENT:
        gains -= setting.gas(setting.gas_used.claim)
    if kind in (Verifying.HONEST, Verifying.GRIEFING, Verifying.TIPPING):
        gains -= setting.assumed.cost
    if setting.forced is not None and kind in PLANTING:
        gains += _planter_gains(setting, kind, played.lookers[:, 0, 0], seed) * _settled(paid)
    return Estimate.of(gains)


def looker_payoff(setting: Setting, population: Population, tasks: int, seed: int = SEED) -> Estimate:
    """A whistleblower's payoff of one look, whichever of those who look at the claim it is."""
    played, paid = _played(setting, population, tasks, seed, Focus(looker=True))
    together = _in_c(paid.claimant[:, 0, 0, FIRST_LOOKER:DEFENDER].sum(axis=1))
    claims = played.histories.posted[:, 0, 0, FIRST_LOOKER:DEFENDER].sum(axis=1)
    wins = played.convicting[:, 0, 0] * (claims > 0)
    spent = claims * setting.gas(setting.gas_used.blind_claim) + wins * setting.gas(setting.gas_used.challenge)
    count = played.lookers[:, 0, 0]
    gains = (together - spent) / count - setting.assumed.cost
    if setting.forced is not None:
        found = _is_forced(setting, tasks, seed) & np.isin(played.verifying[:, 0, 0], PLANTING) & _settled(paid)
        own = TIPPED_ACCOUNTS * (played.verifying[:, 0, 0] == Verifying.TIPPING)
        paid_lookers = np.minimum(count, PAID_PLACES - own)
        gains += found * paid_lookers * finder_part(count + own) * planted(setting).jackpot / count
    return Estimate.of(gains)


def volunteer_payoff(setting: Setting, population: Population, tasks: int, seed: int = SEED) -> Estimate:
    """A volunteer's payoff of one look at a segment that was not drawn, whichever of the volunteers there it is."""
    played, paid = _played(setting, population, tasks, seed, Focus(volunteer=True))
    first = setting.audits
    count = played.volunteers[:, first]
    called = played.verifying[:, first, 0] == Verifying.HONEST
    # who calls is one of them, and of the blind claims theirs come first
    blind = np.arange(DEFENDER - FIRST_LOOKER) < (count - called)[:, None]
    blind &= played.histories.posted[:, first, 0, FIRST_LOOKER:DEFENDER]
    won = _in_c(paid.claimant[:, first, 0])
    together = won[:, VERIFIER] * called + (won[:, FIRST_LOOKER:DEFENDER] * blind).sum(axis=1)
    wins = played.convicting[:, first, 0] * ~called * blind[:, 0]
    spent = called * setting.gas(setting.gas_used.call)
    spent += blind.sum(axis=1) * setting.gas(setting.gas_used.blind_claim)
    spent += wins * setting.gas(setting.gas_used.challenge)
    return Estimate.of((together - spent) / count - setting.assumed.cost)


def caller_payoff(setting: Setting, population: Population, tasks: int, seed: int = SEED) -> Estimate:
    """A griefer's payoff of one call for which it has not looked, without what its friends make of the task's end."""
    _, paid = _played(setting, population, tasks, seed, Focus(caller=True))
    return Estimate.of(_in_c(paid.claimant[:, setting.audits, 0, VERIFIER]) - setting.gas(setting.gas_used.call))


def _played(setting: Setting, population: Population, tasks: int, seed: int, focus: Focus) -> tuple[Play, Payouts]:
    played = play(np.random.default_rng(seed), setting, population, tasks, focus)
    return played, pay(played.histories, setting.amounts.counted_in(setting.amounts.replay_cost / UNITS))


def _in_c(units: Units) -> NDArray[np.float64]:
    return units.astype(np.float64) / UNITS


def _settled(paid: Payouts) -> NDArray[np.bool_]:
    """(N,) whether the task paid its levy: no other pays for forced errors."""
    return np.asarray(paid.outcome == TaskState.SETTLED)


def _is_forced(setting: Setting, tasks: int, seed: int) -> NDArray[np.bool_]:
    """(N,) whether the first claim of each task must plant an error."""
    return np.asarray(np.random.default_rng([seed, 1]).random(tasks) < planted(setting).rate)


def _planter_gains(setting: Setting, kind: Verifying, lookers: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """(N,) what planting an error brings its verifier, with what accounts of its own are paid that come first."""
    own = TIPPED_ACCOUNTS if kind == Verifying.TIPPING else 0
    finders = lookers + own
    each = (own * finder_part(finders) + maker_part(finders)) * planted(setting).jackpot - own * claim_cost(setting)
    return np.asarray(_is_forced(setting, len(lookers), seed) * each)


def settle_on(setting: Setting, start: Population, steps: int, tasks: int, seed: int = SEED) -> Iterator[Population]:
    """Best replies, one step a little after the other, and free entry of whistleblowers: the way populations go.

    Yields the population after each step. Step t moves a share 1 / (t + 3) of every role to its best reply; looking
    grows where it pays, and falls where it does not. Volunteers come and go like whistleblowers, where there are any;
    false callers stay as many as they are.
    """
    population = start
    for step in range(steps):
        found = payoffs(setting, population, tasks, seed + step)
        share = 1 / (step + 3)
        population = replace(
            population,
            solving=(1 - share) * population.solving + share * np.eye(3)[found.best_solving],
            verifying=(1 - share) * population.verifying + share * np.eye(6)[found.best_verifying],
            lookers=_entered(population.lookers, share, found.looking),
            volunteers=_entered(population.volunteers, share, found.volunteering),
        )
        yield population


def _entered(number: float, share: float, looking: Estimate | None) -> float:
    """How many look after a step, where ``number`` do now: more where a look pays."""
    if number == 0 or looking is None:
        return number
    return max(LEAST_LOOKERS, number * float(np.exp(share * np.clip(looking.mean, -2, 2))))
