"""The inequalities a deployment must satisfy: the one source of ``lockstep economics check`` and of the docs' table.

Each says that one amount exceeds another, in c (or seconds where it says so). What is conservative is said with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lockstep.chain.terms import last_draw
from lockstep.economics.chances import met, worst_cheating
from lockstep.economics.setting import Setting

ANSWER_GAS, ANSWER_BYTE_GAS = 150_000, 43
"""Most gas of an answer to a demand, and for each byte of it; ``DemandGas.t.sol`` holds answers to them."""
SECOND_SHARE = 1 / 4
"""Part of the finders' share that goes to whoever demanded in vain and was not drawn."""
LEAST_PIECE, MOST_PIECE = 1024, 33 * 1024
"""Bytes that demands pay for."""
BLOCKS_REMEMBERED = 8191
"""How far back a chain knows its blocks' hashes (EIP-2935)."""


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides with their numbers filled in.

    Attributes:
        left: what must be at least ``right``
        numbers: the formula with numbers, for people

    """

    left: float
    right: float
    numbers: str

    @property
    def margin(self) -> float:
        """Left over right: 1 is the edge."""
        return self.left / self.right if self.right > 0 else float("inf")

    @property
    def holds(self) -> bool:
        """Whether the inequality holds, its edge included."""
        return self.left >= self.right


@dataclass(frozen=True, slots=True)
class Inequality:
    """One condition on a deployment's numbers.

    Attributes:
        name: for people, what holds if it holds
        sets: the parameters it bounds
        formula: in symbols
        assumes: what must be true of the world for it to mean anything
        sides: evaluates it

    """

    name: str
    sets: str
    formula: str
    assumes: str
    sides: Callable[[Setting], Sides]


def _lazy(s: Setting) -> Sides:
    y, loss = s.assumed.looked_at, (1 - s.finder_share) * s.claim_deposit
    right = s.assumed.safety
    return Sides(y * loss, right, f"{y:.2f} x {loss:.1f} c = {y * loss:.2f} c >= {right:.2f} c")


def _cheat(s: Setting) -> Sides:
    safety = s.assumed.safety
    n, chance = worst_cheating(s.segments, s.audits, s.assumed.looked_at, s.fee)
    left, right = chance * s.solver_risk, safety * min(n, s.fee)
    return Sides(left, right, f"n = {n}: {chance:.3f} x {s.solver_risk:.1f} c = {left:.2f} c >= {right:.2f} c")


def _outside(s: Setting) -> Sides:
    chance = met(s.segments, s.audits, s.assumed.looked_at, s.assumed.searched)
    left, right = chance * s.solver_risk, s.assumed.outside * s.fee + 1
    return Sides(left, right, f"{chance:.3f} x {s.solver_risk:.1f} c = {left:.2f} c >= {right:.2f} c")


def _false_positive(s: Setting) -> Sides:
    paid = s.finder_share + s.cleared_share
    return Sides(0.5, paid, f"0.50 >= {s.finder_share:.2f} + {s.cleared_share:.2f}")


def _true_positive(s: Setting) -> Sides:
    paid = s.finder_share * s.solver_deposit + s.compensation * s.fee
    return Sides(s.solver_deposit / 2, paid, f"{s.solver_deposit / 2:.1f} c >= {paid:.1f} c")


def _withholding(s: Setting) -> Sides:
    left = (1 - s.finder_share * SECOND_SHARE) * s.solver_deposit + s.fee
    return Sides(left, s.solver_risk, f"{left:.1f} c >= {s.solver_risk:.1f} c")


def _answer_fee(s: Setting) -> Sides:
    numbers, price = s.profile.demands, s.assumed.gas_price
    worst = min(
        (LEAST_PIECE, MOST_PIECE),
        key=lambda length: (numbers.flat_fee + length * numbers.byte_fee) / (ANSWER_GAS + ANSWER_BYTE_GAS * length),
    )
    left = s.c(numbers.flat_fee + worst * numbers.byte_fee)
    right = s.c((ANSWER_GAS + ANSWER_BYTE_GAS * worst) * price)
    return Sides(left, right, f"{worst:,} bytes: {left:.5f} c >= {right:.5f} c")


def _demands_fit(s: Setting) -> Sides:
    left, right = s.claim_window, 2 * s.profile.demands.response
    return Sides(left, right, f"{left:,.0f} s >= 2 x {s.profile.demands.response:,} s")


def _silent_audit(s: Setting) -> Sides:
    miss, f, rounds = s.c(s.amounts.miss), s.assumed.colluding, s.profile.parameters.redraws + 1
    chance = 1 - (1 - f**rounds) ** s.audits
    gain = s.fee + s.c(s.amounts.levy)
    wages = s.audits * f**rounds * s.c(s.amounts.wage)
    left, right = s.audits * miss * sum(f**k for k in range(1, rounds + 1)), chance * gain + wages
    return Sides(left, right, f"{left:.3f} c >= {chance:.5f} x {gain:.1f} c + {wages:.4f} c = {right:.3f} c")


def _condemning(s: Setting) -> Sides:
    d = 1 - (1 - s.assumed.defended) * (1 - s.assumed.looked_at)
    loss = (1 - s.finder_share) * s.claim_deposit
    gain = s.finder_share * s.solver_deposit + (1 + s.compensation) * s.fee + s.c(s.amounts.levy)
    return Sides(d * loss, (1 - d) * gain, f"{d:.2f} x {loss:.1f} c = {d * loss:.2f} c >= {1 - d:.2f} x {gain:.1f} c")


def _answers(s: Setting) -> Sides:
    left = s.c(s.amounts.miss + s.amounts.wage)
    right = s.assumed.cost + s.gas(s.gas_used.claim)
    return Sides(left, right, f"{left:.2f} c >= {right:.2f} c")


def _verifier_lives(s: Setting) -> Sides:
    left, locked = s.c(s.amounts.wage), s.claim_deposit + s.c(s.amounts.claim_bond)
    time = s.claim_window + s.profile.parameters.unblind_window
    parts = s.assumed.cost, s.gas(s.gas_used.claim), s.time_value(locked, time)
    return Sides(left, sum(parts), f"{left:.2f} c >= {' + '.join(f'{part:.3f}' for part in parts)} c")


def _solver_lives(s: Setting) -> Sides:
    numbers = s.profile.parameters
    time = numbers.draw_window + s.claim_window + numbers.unblind_window
    parts = s.assumed.cost * s.fee, s.gas(s.gas_used.solve), s.time_value(s.solver_deposit, time)
    return Sides(s.fee, sum(parts), f"{s.fee:.2f} c >= {' + '.join(f'{part:.3f}' for part in parts)} c")


def _opening_bond(s: Setting) -> Sides:
    bond = s.c(s.profile.disputes.opening_bond) / 2
    delayed = s.fee + s.solver_deposit + s.audits * s.claim_deposit
    parts = s.gas(s.gas_used.defend), s.time_value(delayed, s.dispute_time)
    return Sides(bond, sum(parts), f"{bond:.2f} c >= {parts[0]:.3f} + {parts[1]:.3f} c")


def _claim_bond(s: Setting) -> Sides:
    bond = s.c(s.amounts.claim_bond // 2)
    delayed = s.fee + s.solver_deposit + s.audits * s.claim_deposit
    parts = s.gas(s.gas_used.challenge + s.gas_used.blind_claim), s.time_value(delayed, s.dispute_time)
    return Sides(bond, sum(parts), f"{bond:.2f} c >= {parts[0]:.3f} + {parts[1]:.3f} c")


def _blind_bond(s: Setting) -> Sides:
    left, right = s.c(s.profile.parameters.blind_bond), s.gas(s.gas_used.blind_claim)
    return Sides(left, right, f"{left:.3f} c >= {right:.3f} c")


def _windows(s: Setting) -> Sides:
    numbers = s.profile.parameters
    found = {
        "claim": s.claim_window,
        "unblind": numbers.unblind_window,
        "dispute": numbers.dispute_window,
        "draw": numbers.draw_window,
        "clock": s.profile.disputes.clock,
        "response": s.profile.demands.response,
    }
    if s.forced is not None:
        found["opening"] = numbers.opening_window
    shortest = min(found, key=lambda name: found[name])
    right = 2 * s.assumed.censorship
    return Sides(found[shortest], right, f"{shortest}: {found[shortest]:,.0f} s >= 2 x {s.assumed.censorship:,} s")


def _beacon_memory(s: Setting) -> Sides:
    left, right = BLOCKS_REMEMBERED * s.assumed.block_seconds, s.profile.parameters.draw_window
    return Sides(left, right, f"{BLOCKS_REMEMBERED} x {s.assumed.block_seconds:g} s = {left:,.0f} s >= {right:,} s")


def _notice(s: Setting) -> Sides:
    numbers = s.profile.parameters
    left, right = numbers.withdrawal_delay, last_draw(numbers, s.job.plan, s.assumed.solve_window)
    return Sides(left, right, f"{left:,} s >= {right:,.0f} s")


INEQUALITIES = (
    Inequality(
        "A verifier that does not replay loses",
        "claim deposit",
        "y (1 - phi) D_v >= 1.5 c",
        "somebody replays a given claim with chance y; a friend is the finder and brings phi D_v back",
        _lazy,
    ),
    Inequality(
        "A solver that leaves out segments loses, however many",
        "audits, solver deposit",
        "P(caught, n) ((1 - phi) D_s + C) >= 1.5 min(n c, C) for every n",
        "as above, by itself for each drawn segment; drawn verifiers help nothing; a friend is the finder",
        _cheat,
    ),
    Inequality(
        "One bad segment does not pay, with what others pay for it",
        "audits, solver deposit",
        "P(z) ((1 - phi) D_s + C) >= G + c, P(z) = y q/(S+1) + z (1 - q/(S+1))",
        "G is what the work being bad is worth to somebody, z the share that volunteers replay: zero unless you say",
        _outside,
    ),
    Inequality(
        "Nobody gains by slashing a claim of its own",
        "finder share, cleared solver",
        "1/2 >= phi + cleared",
        "none: the treasury keeps half of every verdict's slash",
        _false_positive,
    ),
    Inequality(
        "Nobody gains by slashing a solver of its own",
        "finder share, compensation",
        "D_s / 2 >= phi D_s + compensation C",
        "none",
        _true_positive,
    ),
    Inequality(
        "Withholding costs a solver no less than being shown wrong",
        "solver deposit",
        "(1 - phi / 4) D_s + C >= (1 - phi) D_s + C",
        "somebody demands what is withheld, a friend first; a drawn one gets phi D_s, as where it shows the work wrong",
        _withholding,
    ),
    Inequality(
        "A demand pays for its answer, so a flood of them costs its maker all and the solver nothing",
        "flat fee, byte fee",
        "flat + byte x length >= gas of an answer, for every length",
        "gas costs what is said; at twice that the maker still loses as much as the solver",
        _answer_fee,
    ),
    Inequality(
        "Whoever looks has its answer while it can still claim",
        "response",
        "claim window >= 2 x response",
        "it asks in the first half of the window, of an empty queue",
        _demands_fit,
    ),
    Inequality(
        "Silence of colluding verifiers does not win a submitter its money back",
        "miss, redraws",
        "q m (f + .. + f^(r+1)) >= (1 - (1 - f^(r+1))^q) (C + levy) + q f^(r+1) w",
        "one hand holds the share f of the stake and is the submitter; r redraws",
        _silent_audit,
    ),
    Inequality(
        "Condemning good work loses",
        "claim deposit",
        "d (1 - phi) D_v >= (1 - d) (phi D_s + (1 + compensation) C + levy)",
        "the solver, or somebody, defends with chance d; submitter, verifier and finder are one",
        _condemning,
    ),
    Inequality(
        "A drawn verifier claims rather than be silent",
        "miss, wage",
        "m + w >= k c + gas of a claim",
        "replaying costs k of its price, and the data are there",
        _answers,
    ),
    Inequality(
        "A verifier lives on its wage",
        "least wage",
        "w >= k c + gas of a claim + time value of D_v + B",
        "as above; stake is locked until the unblind window ends",
        _verifier_lives,
    ),
    Inequality(
        "A solver lives on its fee",
        "solver deposit",
        "C >= k C + gas + time value of D_s",
        "k as above; the deposit is locked through draw, claim and unblind windows",
        _solver_lives,
    ),
    Inequality(
        "A frivolous challenge pays for the defence and the delay",
        "opening bond",
        "O / 2 >= gas of a defence + time value of what is delayed",
        "half of the bond reaches the defender",
        _opening_bond,
    ),
    Inequality(
        "Convicting a liar pays for the dispute and the delay",
        "claim bond",
        "B / 2 >= gas of claim and challenge + time value of what is delayed",
        "half of the bond reaches the challenger",
        _claim_bond,
    ),
    Inequality(
        "A blind claim that is never opened costs its maker more than opening it",
        "blind bond",
        "blind bond >= gas of placing and opening",
        "none",
        _blind_bond,
    ),
    Inequality(
        "Every window outlasts twice the censorship it may meet",
        "windows, clock",
        "shortest window >= 2 x censorship",
        "nobody is kept off the chain for longer at a time",
        _windows,
    ),
    Inequality(
        "A draw cannot be let expire while somebody wants it",
        "draw window",
        "8191 blocks >= draw window",
        "a block takes what is said",
        _beacon_memory,
    ),
    Inequality(
        "Who is in the draws when a task is accepted cannot leave before its last draw",
        "withdrawal delay",
        "notice >= acknowledge + solve + draw windows + redraws (claim + unblind + draw windows)",
        "the solver has as long as is said, and every drawn verifier but the last is silent",
        _notice,
    ),
)
