"""What the inequalities are about: a deployment's numbers, a task, and what is assumed of the world.

Everything a ``Setting`` gives is in multiples of c, the price of replaying the task's dearest segment.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from lockstep.chain.parameters import LOCAL, PUBLIC, TOKEN, Profile
from lockstep.chain.terms import WHOLE_BPS, Plan, claim_window, least_levy, least_wage, segment_count
from lockstep.economics.amounts import Amounts
from lockstep.economics.calibration import Gas, calibration

YEAR = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Forced:
    """Forced errors of a deployment.

    Attributes:
        rate: p, share of claims that must plant an error
        jackpot: J, what one that a single finder named pays it, in c

    """

    rate: float
    jackpot: float

    @property
    def reward(self) -> float:
        """p J, what a lone looker expects of one look, in c."""
        return self.rate * self.jackpot

    @property
    def most(self) -> float:
        """The most that one costs, in c: 5/4 J, where nobody found it, or one finder and its maker together."""
        return 1.25 * self.jackpot


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What the contracts cannot know.

    Attributes:
        looked_at: y, chance that somebody honest replays a given claim, beside its drawn verifier
        searched: z, chance that somebody honest replays a given segment that was not drawn
        colluding: f, share of the registered stake in one hand
        defended: chance that a solver whose good work is condemned claims in time
        cost: what replaying costs over what it is priced at, where taking part is the question; cheats are held to 1
        safety: factor by which deterrence must exceed gain
        gas_price: token base units a unit of gas
        interest: a year's return on capital
        censorship: seconds that somebody can keep a party's transactions off the chain
        block_seconds: between blocks
        outside: what somebody else pays for one bad segment, in fees C
        free_stake: what a solver keeps free to answer calls, in fees C
        waiting: draws of one hand that wait for one reveal
        solve_window: seconds that a task's solver has

    """

    looked_at: float = 1 / 3
    searched: float = 0.0
    colluding: float = 0.1
    defended: float = 0.9
    cost: float = 0.8
    safety: float = 1.5
    gas_price: int = 10**9
    interest: float = 0.1
    censorship: int = 3 * 3600
    block_seconds: float = 12.0
    outside: float = 0.0
    free_stake: float = 4.0
    waiting: int = 16
    solve_window: int = 24 * 3600


ON_PUBLIC_CHAIN = Assumptions()
ON_ONE_MACHINE = Assumptions(censorship=60, block_seconds=1.0, solve_window=600)
"""Nobody else orders transactions, and blocks come as fast as one likes."""


@dataclass(frozen=True, slots=True)
class Job:
    """A task: its shape, audits, and what it offers over the least wage and levy (1: the least).

    ``tolerance`` is the share of a segment's update that a checkpoint may be off by; None for an exact task.
    """

    plan: Plan
    audits: int = 2
    wage_over_least: float = 1.0
    levy_over_least: float = 1.0
    tolerance: float | None = None


def reference_job() -> Job:
    """What ``lockstep submit`` offers by default, with the work of the demo's MLP: 320 steps, 11 segments, 2 audits."""
    measured = calibration()
    return Job(Plan(320, 32, measured.step_work, measured.init_work, TOKEN // 1000))


@dataclass(frozen=True)
class Setting:
    """A deployment, a task, and assumptions; multiples of c are derived."""

    profile: Profile
    job: Job = field(default_factory=reference_job)
    assumed: Assumptions = ON_PUBLIC_CHAIN
    amounts: Amounts = field(init=False)

    def __post_init__(self) -> None:
        least = Amounts.of(self.profile, self.job.plan, 0, 0, 0).replay_cost
        numbers = self.profile.parameters
        wage = round(least_wage(numbers, least) * self.job.wage_over_least)
        levy = round(least_levy(numbers, least, self.audits) * self.job.levy_over_least)
        made = Amounts.of(self.profile, self.job.plan, self.audits, wage, levy)
        object.__setattr__(self, "amounts", made)

    @property
    def segments(self) -> int:
        """S + 1."""
        return segment_count(self.job.plan)

    @property
    def audits(self) -> int:
        """q, at most as many as there are segments."""
        return min(self.job.audits, self.segments)

    def c(self, units: float) -> float:
        """Base units as a multiple of c."""
        return units / self.amounts.replay_cost

    @property
    def forced(self) -> Forced | None:
        """Forced errors, or None where the deployment has none."""
        numbers = self.profile.parameters
        return Forced(numbers.forced_bps / WHOLE_BPS, numbers.jackpot_multiple) if numbers.forced_bps else None

    @property
    def fee(self) -> float:
        """C."""
        return self.c(self.amounts.fee)

    @property
    def solver_deposit(self) -> float:
        """D_s."""
        return self.c(self.amounts.solver_deposit)

    @property
    def claim_deposit(self) -> float:
        """D_v."""
        return self.c(self.amounts.claim_deposit)

    @property
    def finder_share(self) -> float:
        """phi, finders' part of a slashed deposit."""
        return self.profile.parameters.finder_bps / WHOLE_BPS

    @property
    def cleared_share(self) -> float:
        """A cleared solver's part of a slashed claim deposit."""
        return self.profile.parameters.cleared_solver_bps / WHOLE_BPS

    @property
    def compensation(self) -> float:
        """A compensated submitter's part of C."""
        return self.profile.parameters.compensation_bps / WHOLE_BPS

    @property
    def solver_risk(self) -> float:
        """What a solver loses whose fraud is shown, its own finder's share won back: (1 - phi) D_s + C."""
        return (1 - self.finder_share) * self.solver_deposit + self.fee

    @property
    def gas_used(self) -> Gas:
        """Gas of each part, units, as measured."""
        return calibration().gas

    def gas(self, used: int) -> float:
        """What gas costs."""
        return self.c(used * self.assumed.gas_price)

    def time_value(self, amount: float, seconds: float) -> float:
        """What having an amount locked for so long costs."""
        return amount * self.assumed.interest * seconds / YEAR

    @property
    def claim_window(self) -> float:
        """Seconds claims of this task may take."""
        return claim_window(self.profile.parameters, self.job.plan)

    @property
    def dispute_time(self) -> float:
        """Seconds a dispute may take: two clocks, each with the time of a replay."""
        disputes, plan = self.profile.disputes, self.job.plan
        work = min(plan.steps, plan.segment_steps) * plan.step_work
        return 2 * (disputes.clock + (work / disputes.work_rate if disputes.work_rate else 0))

    def numbering(self, **changes: int) -> Setting:
        """The same with other parameters."""
        return Setting(
            replace(self.profile, parameters=replace(self.profile.parameters, **changes)), self.job, self.assumed
        )

    def assuming(self, **changes: object) -> Setting:
        """The same with other assumptions."""
        return Setting(self.profile, self.job, replace(self.assumed, **changes))  # type: ignore[arg-type]


def preset(name: str) -> Setting:
    """The setting of a profile of ``chain/parameters.py``, with the reference job."""
    if name == "local":
        return Setting(LOCAL, assumed=ON_ONE_MACHINE)
    return Setting(PUBLIC)
