"""Who plays: populations of agents, and what they make of thousands of tasks, as arrays.

Places of a claim in a round: 0 the drawn verifier, or whoever called the segment up, 1 a griefing whistleblower, 2 to
5 honest volunteers and whistleblowers (of more, only four can be paid), 6 the solver that defends good work. Griefers
come before everybody honest: the whistleblower before all blind claims, the false caller before all volunteers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from lockstep.economics.beyond import answered
from lockstep.economics.chances import mean_number, somebody
from lockstep.economics.histories import CHECKPOINT, NOBODY, Histories
from lockstep.economics.setting import Setting

VERIFIER, GRIEFER, FIRST_LOOKER, DEFENDER, PLACES = 0, 1, 2, 6, 7
LOOKERS = DEFENDER - FIRST_LOOKER
TRUTH, LIE, GRIEF = 1, 2, 3
"""Labels of end roots: of bad work done well, of a verifier or caller that condemns good work, of a griefer."""
MOST_CALLED = 64
"""Segments of a task that may be called up."""


class Solving(IntEnum):
    """What a solver does."""

    HONEST = 0
    ONE = 1
    """Leaves out one segment."""
    ALL = 2
    """Leaves out every segment."""


class Verifying(IntEnum):
    """What a drawn verifier does."""

    HONEST = 0
    LAZY = 1
    """Passes what it did not look at, with a digest it made up."""
    COPYING = 2
    """Passes what it did not look at, with a digest from the solver: where work is bad, an accomplice."""
    GRIEFING = 3
    """Claims another end whatever the work is."""
    SILENT = 4
    TIPPING = 5
    """Honest, but tells accounts of its own where it planted an error."""


@dataclass(frozen=True, slots=True)
class Population:
    """Shares of each role's kinds; numbers of whistleblowers.

    Attributes:
        solving: (3,) shares of ``Solving``
        verifying: (6,) shares of ``Verifying``, by stake
        lookers: mean number of honest whistleblowers that replay a given claim
        griefers: share of claims that a griefing whistleblower contests
        volunteers: mean number of honest volunteers that replay a given segment that was not drawn
        callers: share of the segments that were not drawn which a griefer calls up unseen

    """

    solving: NDArray[np.float64]
    verifying: NDArray[np.float64]
    lookers: float
    griefers: float = 0.0
    volunteers: float = 0.0
    callers: float = 0.0

    @property
    def looked_at(self) -> float:
        """y: chance that somebody replays a given claim."""
        return somebody(self.lookers)

    @property
    def searched(self) -> float:
        """z: chance that a volunteer replays a given segment that was not drawn."""
        return somebody(self.volunteers)

    @classmethod
    def honest(cls, looked_at: float, griefers: float = 0.0, searched: float = 0.0) -> Population:
        """Honest solvers and verifiers, whistleblowers and volunteers that look with a chance."""
        return cls(
            np.eye(3)[Solving.HONEST],
            np.eye(6)[Verifying.HONEST],
            mean_number(looked_at),
            griefers,
            mean_number(searched),
        )


@dataclass(frozen=True, slots=True)
class Play:
    """What a population did in N tasks; the drawn segments come first.

    Attributes:
        histories: what the contracts saw
        solving: (N,) ``Solving``
        verifying: (N, G, R) ``Verifying``; of an undrawn segment that of its caller, ``SILENT`` where nobody called
        lookers: (N, G, R) honest whistleblowers that replayed the claim, whether or not they claimed
        volunteers: (N, G) honest volunteers that replayed an undrawn segment, whether or not they called
        convicting: (N, G, R) convictions, each at the cost of a dispute

    """

    histories: Histories
    solving: NDArray[np.int64]
    verifying: NDArray[np.int64]
    lookers: NDArray[np.int64]
    volunteers: NDArray[np.int64]
    convicting: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Focus:
    """Whose payoff is asked for.

    A solver of every task; the verifier or one whistleblower of a first claim; one volunteer of a first segment that
    was not drawn, or its false caller.
    """

    solving: Solving | None = None
    verifying: Verifying | None = None
    looker: bool = False
    volunteer: bool = False
    caller: bool = False


def play(rng: Generator, setting: Setting, population: Population, tasks: int, focus: Focus) -> Play:
    """Let a population play ``tasks`` tasks; what is in focus plays its part in every one.

    Segments that were not drawn are among the histories' only where somebody may call one up.
    """
    rounds, drawn = setting.profile.parameters.redraws + 1, setting.audits
    calls = population.volunteers > 0 or population.callers > 0 or focus.volunteer or focus.caller
    shape = (tasks, setting.segments if calls else drawn, rounds)
    solving = rng.choice(3, tasks, p=population.solving)
    if focus.solving is not None:
        solving[:] = focus.solving
    left_out = np.choose(solving, [0, 1, setting.segments])
    # the segments are a random order of all; those drawn are the first of it
    order = rng.random((tasks, setting.segments)).argsort(axis=1)[:, : shape[1]]
    bad = np.broadcast_to((order < left_out[:, None])[:, :, None], shape)
    verifying = rng.choice(6, shape, p=population.verifying)
    lookers = rng.poisson(population.lookers, shape)
    if focus.verifying is not None:
        verifying[:, 0, 0] = focus.verifying
    if focus.looker:
        lookers[:, 0, 0] += 1
    made = Histories.blank(*shape, PLACES)
    made.undrawn[:, drawn:] = True
    volunteers = np.zeros(shape[:2], np.int64)
    if calls:
        volunteers[:, drawn:] = _call_up(rng, population, bad[:, drawn:, 0], verifying[:, drawn:], focus)
        lookers[:, drawn:, 1:] = 0
    truth = np.where(bad, TRUTH, CHECKPOINT)
    _post(made, rng, setting, population, verifying, lookers, volunteers, truth)
    convicting = _convict(made, verifying, truth)
    return Play(made, solving, verifying, lookers, volunteers, convicting)


def _call_up(
    rng: Generator, population: Population, bad: NDArray[np.bool_], calling: NDArray[np.int64], focus: Focus
) -> NDArray[np.int64]:
    """How many volunteers replay each undrawn segment, (N, U); fills in who calls it up, (N, U, R).

    A volunteer calls up what is bad. A false caller is there before it, whatever the segment is.
    """
    volunteers = rng.poisson(population.volunteers, bad.shape)
    false = rng.random(bad.shape) < population.callers
    if focus.volunteer:
        volunteers[:, 0] += 1
    if focus.caller:
        false[:, 0] = True
    called = false | (bad & (volunteers > 0))
    called &= called.cumsum(axis=1) <= MOST_CALLED
    calling[:] = Verifying.SILENT
    calling[:, :, 0] = np.select([called & false, called], [Verifying.GRIEFING, Verifying.HONEST], Verifying.SILENT)
    return volunteers


def _post(
    made: Histories,
    rng: Generator,
    setting: Setting,
    population: Population,
    verifying: NDArray[np.int64],
    lookers: NDArray[np.int64],
    volunteers: NDArray[np.int64],
    truth: NDArray[np.int64],
) -> None:
    replays = np.isin(verifying, (Verifying.HONEST, Verifying.TIPPING))
    posted, root = made.posted, made.root
    posted[..., VERIFIER] = verifying != Verifying.SILENT
    root[..., VERIFIER] = np.where(replays, truth, np.where(verifying == Verifying.GRIEFING, LIE, CHECKPOINT))
    # about a segment that was neither drawn nor called up nobody can claim anything
    open_ = ~made.undrawn[..., None] | posted[..., VERIFIER]
    griefed = (rng.random(truth.shape) < population.griefers) & open_
    posted[..., GRIEFER], root[..., GRIEFER] = griefed, GRIEF
    # a whistleblower claims where its replay does not end in the checkpoint, the claim is wrong, or nobody claimed
    wrong = posted[..., VERIFIER] & ((root[..., VERIFIER] != truth) | (verifying == Verifying.LAZY))
    reason = ((truth != CHECKPOINT) | wrong | ~posted[..., VERIFIER]) & open_
    places = np.arange(LOOKERS)
    blind = lookers.copy()
    # volunteers that did not call the segment up join, ahead of those who heard of it by the call
    blind[..., 0] += volunteers - (made.undrawn & (verifying[..., 0] == Verifying.HONEST))
    posted[..., FIRST_LOOKER:DEFENDER] = reason[..., None] & (places < blind[..., None])
    root[..., FIRST_LOOKER:DEFENDER] = truth[..., None]
    condemned = (truth == CHECKPOINT) & ((posted[..., VERIFIER] & (root[..., VERIFIER] != CHECKPOINT)) | griefed)
    posted[..., DEFENDER] = condemned & (rng.random(truth.shape) < setting.assumed.defended)
    _keep_to_stake(made, setting)
    root[..., DEFENDER] = CHECKPOINT
    # a griefer's challenge of a right claim fails
    made.failed[..., GRIEFER, VERIFIER] = griefed & posted[..., VERIFIER] & (root[..., VERIFIER] == truth)


def _keep_to_stake(made: Histories, setting: Setting) -> None:
    """A solver answers no more calls than its free stake carries."""
    answers = made.posted[:, :, 0, DEFENDER] & made.undrawn
    made.posted[:, :, 0, DEFENDER] &= ~made.undrawn | (answers.cumsum(axis=1) <= answered(setting))


def _convict(made: Histories, verifying: NDArray[np.int64], truth: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first honest claimant convicts every false claim before its own, and a made-up digest; how many it did."""
    right = made.posted & (made.root == truth[..., None])
    disputes = right.copy()
    disputes[..., VERIFIER] &= np.isin(verifying, (Verifying.HONEST, Verifying.TIPPING))
    first = np.where(disputes.any(axis=3), disputes.argmax(axis=3), 0)[..., None]
    false = made.posted & ~right & (np.arange(PLACES) < first)
    made.beaten_by[:] = np.where(false, first, NOBODY)
    made_up = right[..., VERIFIER] & (verifying == Verifying.LAZY) & made.posted[..., FIRST_LOOKER]
    made.digest_by[..., VERIFIER] = np.where(made_up, FIRST_LOOKER, NOBODY)
    return np.asarray(false.sum(axis=3) + made_up)
