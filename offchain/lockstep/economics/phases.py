"""Phase diagrams: where honesty is the best reply as two numbers vary, by the inequalities and by simulation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lockstep.economics.chances import mean_number, met
from lockstep.economics.inequalities import INEQUALITIES
from lockstep.economics.payouts import pay
from lockstep.economics.planted import PLANTED, entered, least_y, planted
from lockstep.economics.population import Focus, Population, Solving, Verifying, play
from lockstep.economics.setting import Setting
from lockstep.economics.simulation import UNITS, solver_payoff, verifier_payoff

FINE, COARSE = 32, 6
_BY_NAME = {each.name.split(",")[0]: each for each in (*INEQUALITIES, *PLANTED)}
_CHEAT = _BY_NAME["A solver that leaves out segments loses"]
_POISONS = _BY_NAME["One bad segment does not pay"]
_SILENCE = _BY_NAME["Silence of colluding verifiers does not win a submitter its money back"]
_SKIPS = _BY_NAME["Not making it costs more than it may bring"]


@dataclass(frozen=True, slots=True)
class Axis:
    """A number that varies: from ``low`` to ``high``, in equal steps or equal ratios; ``whole`` numbers only."""

    label: str
    low: float
    high: float
    log: bool = False
    whole: bool = False

    def values(self, count: int) -> NDArray[np.float64]:
        """So many values, ends included; fewer where whole numbers coincide."""
        found = (np.geomspace if self.log else np.linspace)(self.low, self.high, count)
        return np.unique(np.rint(found)) if self.whole else found


@dataclass(frozen=True, slots=True)
class Phase:
    """A diagram.

    Attributes:
        name: a file's name
        title: for people
        x, y: what varies
        here: where the defaults are
        regions: names by number; 0 is honesty
        region: which region a point is in, by the inequalities
        honest: whether honesty is the best reply at a point, by simulation (x, y, tasks, seed)
        unseen: a region where payoffs of the roles that are simulated do not show what is wrong

    """

    name: str
    title: str
    x: Axis
    y: Axis
    here: tuple[float, float]
    regions: tuple[str, ...]
    region: Callable[[float, float], int]
    honest: Callable[[float, float, int, int], bool]
    unseen: int = 0

    def deters(self, x: float, y: float) -> bool:
        """Whether the simulation should find honesty the best reply, by the inequalities."""
        return self.region(x, y) in (0, self.unseen)

    def drawn(self) -> NDArray[np.int64]:
        """(y, x) regions on the fine grid."""
        return np.array([[self.region(x, y) for x in self.x.values(FINE)] for y in self.y.values(FINE)])

    def edge(self, along_x: bool) -> str:
        """Where, from the defaults along one axis, honesty ends first below and above; "none" within the picture."""
        axis = self.x if along_x else self.y
        at = self.here[0 if along_x else 1]
        values = np.arange(axis.low, axis.high + 1) if axis.whole else axis.values(400)

        def broken(value: float) -> bool:
            return self.region(value, self.here[1]) != 0 if along_x else self.region(self.here[0], value) != 0

        if broken(at):
            good = [value for value in values if not broken(value)]
            return f"honest only from {min(good):.3g} to {max(good):.3g}" if good else "nowhere honest"
        below = [value for value in values if value < at and broken(value)]
        above = [value for value in values if value > at and broken(value)]
        ends = [max(below)] if below else []
        return "; ".join(f"breaks at {value:.3g}" for value in [*ends, *sorted(above)[:1]]) or "none"


def accomplices(looked_at: float) -> Population:
    """Verifiers that pass whatever there is: only whistleblowers deter."""
    return replace(Population.honest(looked_at), verifying=np.eye(6)[Verifying.COPYING])


def honest_solver(s: Setting, tasks: int, seed: int) -> bool:
    """Whether no way to cheat brings a solver more, where only whistleblowers and volunteers look."""
    crowd = replace(accomplices(s.assumed.looked_at), volunteers=mean_number(s.assumed.searched))
    gains = {kind: solver_payoff(s, crowd, kind, tasks, seed).mean for kind in Solving}
    return max(gains, key=lambda kind: gains[kind]) == Solving.HONEST


def _jackpots(s: Setting) -> Phase:
    """Forced errors: how often (p) and for how much (J). The levy follows from both."""
    forced = planted(s)
    enough = least_y(s.assuming(safety=1.0))

    def at(percent: float, jackpot: float) -> Setting:
        return s.numbering(forced_bps=round(percent * 100), jackpot_multiple=int(jackpot)).assuming(safety=1.0)

    def region(percent: float, jackpot: float) -> int:
        here = at(percent, jackpot)
        if entered(here) < enough:
            return 1
        return 0 if _SKIPS.sides(here).holds else 2

    def honest(percent: float, jackpot: float, tasks: int, seed: int) -> bool:
        here = at(percent, jackpot)
        crowd = accomplices(entered(here, here.assumed.cost))
        ways = (Verifying.HONEST, Verifying.LAZY, Verifying.COPYING, Verifying.TIPPING)
        gains = {kind: verifier_payoff(here, crowd, kind, tasks, seed).mean for kind in ways}
        best = max(gains, key=lambda kind: gains[kind])
        return best in ways[:3:2] and honest_solver(here.assuming(looked_at=entered(here)), tasks, seed)

    return Phase(
        "forced",
        "Forced errors",
        Axis("p, share of claims that must plant an error, in percent", 2, 50, log=True, whole=True),
        Axis("J, jackpot, in c", 2, 60, log=True, whole=True),
        (forced.rate * 100, forced.jackpot),
        ("honest", "too few look", "skipping costs less than it may bring"),
        region,
        honest,
        unseen=2,
    )


def _audits(s: Setting) -> Phase:
    """How many segments are audited, and how often somebody looks."""

    def at(audits: float, looked_at: float) -> Setting:
        return Setting(
            s.profile, replace(s.job, audits=int(audits)), replace(s.assumed, looked_at=looked_at, safety=1.0)
        )

    def region(audits: float, looked_at: float) -> int:
        here = at(audits, looked_at)
        return 0 if _CHEAT.sides(here).holds else 1

    return Phase(
        "audits",
        "Audits and whistleblowers",
        Axis("q, audited segments", 1, s.segments, whole=True),
        Axis("y, chance that a claim is looked at", 0.01, 0.9),
        (s.audits, s.assumed.looked_at),
        ("honest", "leaving out segments pays"),
        region,
        lambda q, y, tasks, seed: honest_solver(at(q, y), tasks, seed),
    )


def _deposits(s: Setting) -> Phase:
    """The solver's deposit against what others pay for one bad segment."""
    numbers = s.profile.parameters

    def at(multiple: float, outside: float) -> Setting:
        profile = replace(s.profile, parameters=replace(numbers, solver_deposit_multiple=int(multiple)))
        return Setting(profile, s.job, replace(s.assumed, outside=outside, safety=1.0))

    def region(multiple: float, outside: float) -> int:
        here = at(multiple, outside)
        if not _CHEAT.sides(here).holds:
            return 1
        return 0 if _POISONS.sides(here).holds else 2

    return Phase(
        "deposits",
        "Deposit and gain from outside",
        Axis("solver deposit, in C", 1, 24, whole=True),
        Axis("outside gain for one bad segment, in C", 0.0, 1.5),
        (numbers.solver_deposit_multiple, s.assumed.outside),
        ("honest", "leaving out segments pays", "one bad segment pays"),
        region,
        lambda multiple, outside, tasks, seed: honest_solver(at(multiple, outside), tasks, seed),
    )


def _volunteers(s: Setting) -> Phase:
    """Who replays what was not drawn, against what others pay for one bad segment."""

    def at(searched: float, outside: float) -> Setting:
        return s.assuming(searched=searched, outside=outside, safety=1.0)

    def honest(searched: float, outside: float, tasks: int, seed: int) -> bool:
        return honest_solver(at(searched, outside), tasks, seed)

    def region(searched: float, outside: float) -> int:
        here = at(searched, outside)
        if _POISONS.sides(here).holds:
            return 0
        # the inequality lets the gain be had in any case; here it is lost with the task
        shown = met(here.segments, here.audits, here.assumed.looked_at, searched)
        return 1 if shown * here.solver_risk >= (1 - shown) * outside * here.fee + 1 else 2

    return Phase(
        "volunteers",
        "Volunteers and gain from outside",
        Axis("z, chance that an undrawn segment is replayed", 0.0, 0.9),
        Axis("outside gain for one bad segment, in C", 0.0, 3.0),
        (s.assumed.searched, s.assumed.outside),
        ("honest", "pays if worth it even where it is shown", "poisoning one segment pays"),
        region,
        honest,
        unseen=1,
    )


def _collusion(s: Setting) -> Phase:
    """Colluding verifiers that say nothing, and how many segments a task has."""

    def at(share: float, segments: float) -> Setting:
        job = replace(s.job, plan=replace(s.job.plan, steps=int(segments) * s.job.plan.segment_steps))
        return Setting(s.profile, job, replace(s.assumed, colluding=share))

    def honest(share: float, segments: float, tasks: int, seed: int) -> bool:
        return silence_gain(at(share, segments), tasks, seed) <= 0

    return Phase(
        "collusion",
        "Silent verifiers that are the submitter's",
        Axis("f, colluding share of the stake", 0.01, 0.9),
        Axis("training segments", 2, 400, log=True, whole=True),
        (s.assumed.colluding, s.segments - 1),
        ("honest", "silence pays"),
        lambda share, segments: 0 if _SILENCE.sides(at(share, segments)).holds else 1,
        honest,
    )


def silence_gain(s: Setting, tasks: int, seed: int) -> float:
    """What submitter and silent verifiers of one hand gain on an honest task, by simulation, in c."""
    f = s.assumed.colluding
    crowd = replace(
        Population.honest(0.0), verifying=(1 - f) * np.eye(6)[Verifying.HONEST] + f * np.eye(6)[Verifying.SILENT]
    )
    played = play(np.random.default_rng(seed), s, crowd, tasks, Focus())
    amounts = s.amounts.counted_in(s.amounts.replay_cost / UNITS)
    paid = pay(played.histories, amounts)
    lost = np.where(played.verifying == Verifying.SILENT, paid.claimant[..., 0], 0).sum(axis=(1, 2))
    honestly = -(amounts.fee + amounts.levy + s.audits * amounts.wage)
    return float((paid.submitter + lost - honestly).mean() / UNITS)


def phases(s: Setting) -> list[Phase]:
    """All diagrams, around a setting; but for their own, without volunteers."""
    audited = s.assuming(searched=0.0)
    return [
        *([_jackpots(audited)] if s.forced is not None else []),
        _audits(audited),
        _deposits(audited),
        *([_volunteers(s)] if s.segments > s.audits else []),
        _collusion(audited),
    ]
