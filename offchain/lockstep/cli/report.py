"""What stands on chain as plain documents: read by ``lockstep status``, which shows them as tables or as JSON.

Amounts are decimal strings of base units (seeds are strings too), roots and hashes hex without 0x, moments seconds
since 1970 by the chain's clock.
"""

from __future__ import annotations

from typing import Any

from lockstep.chain import terms as arithmetic
from lockstep.chain.lockstep import Lockstep, PostedClaim, PostedDemand, PostedTask
from lockstep.chain.options import TaskOptions
from lockstep.chain.types import ClaimRef, DemandState, PieceKind, SlotState, TaskState
from lockstep.dispute import claims
from lockstep.dispute.transition import TURNS, Outcome, Phase

Document = dict[str, Any]


def deployment_report(lockstep: Lockstep) -> Document:
    """Where the contracts are, and the deployment's numbers."""
    deployment, profile = lockstep.deployment, lockstep.deployment.profile
    return {
        "chain": deployment.chain_id,
        "block": deployment.block,
        "now": lockstep.now(),
        "addresses": deployment.addresses,
        "parameters": profile.parameters.to_dict(),
        "disputes": profile.disputes.to_dict(),
        "reveals": profile.reveals.to_dict(),
        "demands": profile.demands.to_dict(),
        "panel": lockstep.panel(),
        "treasury": str(lockstep.view(lockstep.treasury, "balance")),
    }


def task_line(lockstep: Lockstep, posted: PostedTask) -> Document:
    """A task in short."""
    terms, task = posted.terms, posted.terms.id
    state = lockstep.state(task)
    deadline = terms.accept_deadline if state is TaskState.OPEN else lockstep.deadline(task)
    return {
        "task": task,
        "state": state.name.lower(),
        "submitter": terms.submitter,
        "solver": lockstep.solver(task),
        "steps": terms.steps,
        "segments": arithmetic.segment_count(terms),
        "audits": terms.audits,
        "fee": str(lockstep.numbers(terms).fee),
        "escrow": str(posted.escrow),
        "deadline": None if state.terminal or not deadline else deadline,
    }


def task_report(lockstep: Lockstep, posted: PostedTask) -> Document:
    """A task with its terms, work, segments, claims and disputes."""
    terms, task = posted.terms, posted.terms.id
    work, numbers, options = lockstep.work(task), lockstep.numbers(terms), TaskOptions.unpack(terms.options)
    return task_line(lockstep, posted) | {
        "now": lockstep.now(),
        "manifest": posted.uri,
        "step_program": terms.step_program.hex(),
        "init_program": None if options.parent else terms.init_program.hex(),
        "parent": options.parent or None,
        "start_root": terms.init_program.hex() if options.parent else None,
        "first_step": options.first_step,
        "apply_until": options.apply_deadline or None,
        "applicants": lockstep.applicants(task),
        "seed": str(terms.seed),
        "segment_steps": terms.segment_steps,
        "step_work": terms.step_work,
        "init_work": terms.init_work,
        "price": str(terms.price),
        "wage": str(terms.wage),
        "levy": str(terms.levy),
        "solver_deposit": str(numbers.solver_deposit),
        "claim_deposit": str(numbers.claim_deposit),
        "work_root": work.root.hex() if work else None,
        "final_root": work.final_root.hex() if work else None,
        "work_manifest": work.uri if work else None,
        "audited": [_segment(lockstep, posted, segment) for segment in sorted(lockstep.audited_segments(task))],
        "disputes": [_dispute(lockstep, number) for number in lockstep.disputes(task)],
        "demands": [_demand(lockstep, demand) for demand in lockstep.demands(task)],
    }


def _demand(lockstep: Lockstep, demand: PostedDemand) -> Document:
    piece = demand.piece
    return {
        "demand": demand.id.hex(),
        "segment": piece.segment,
        "of": PieceKind(piece.kind).name.lower(),
        "program": "init" if piece.init else "step",
        "index": piece.index,
        "run": piece.run,
        "demander": demand.demander,
        "fee": str(demand.fee),
        "state": DemandState(lockstep.demand(demand.id).state).name.lower(),
        "answer_until": demand.deadline,
    }


def _segment(lockstep: Lockstep, posted: PostedTask, segment: int) -> Document:
    terms, task = posted.terms, posted.terms.id
    slot, windows = lockstep.slot(task, segment), lockstep.windows(task, segment)
    first = claims.first_step(terms, segment)
    rounds = [lockstep.claims(task, segment, round_) for round_ in slot.rounds]
    return {
        "segment": segment,
        "steps": None if segment == 0 else [first, first + claims.segment_steps(terms, segment) - 1],
        "state": SlotState(slot.state).name.lower(),
        "called_up": slot.is_called,
        "round": slot.round,
        "verifier": slot.verifier,
        "open_disputes": slot.open_disputes,
        "claims_until": windows.claim,
        "unblind_until": windows.unblind,
        "disputes_until": windows.open,
        "claims": [_claim(lockstep, claim) for made in rounds for claim in made],
    }


def _claim(lockstep: Lockstep, claim: PostedClaim) -> Document:
    record = lockstep.claim(claim.ref)
    return {
        "round": claim.ref.round,
        "claim": claim.ref.index,
        "claimant": claim.claimant,
        "passes": record.passes,
        "end_root": claim.body.end_root.hex(),
        "trace_root": claim.body.trace_root.hex() if any(claim.body.trace_root) else None,
        "convicted": record.convicted,
        "digest_convicted": record.digest_convicted,
        "judged": record.closed,
        "forced_error": _forced(lockstep, claim),
    }


def _forced(lockstep: Lockstep, claim: PostedClaim) -> Document | None:
    """What the claimant's opened secret told it to do; None where it told nothing, or is not opened."""
    for error in lockstep.forced_errors(claim.ref.task):
        if claim.ref.index == 0 and (error.segment, error.round) == (claim.ref.segment, claim.ref.round):
            return {"entry": error.step, "made": error.made, "finders": error.finders}
    return None


def _dispute(lockstep: Lockstep, number: int) -> Document:
    dispute = lockstep.dispute(number)
    phase, outcome = Phase(dispute.phase), Outcome(dispute.outcome)
    turn = TURNS.get(phase) if outcome is Outcome.NONE else None
    return {
        "dispute": number,
        "segment": dispute.segment,
        "round": dispute.round,
        "defender": dispute.defender,
        "defender_claim": dispute.defender_index,
        "challenger": dispute.challenger,
        "challenger_claim": dispute.challenger_index,
        "digest_entry": dispute.digest_step if dispute.digest else None,
        "phase": phase.name.lower(),
        "outcome": None if outcome is Outcome.NONE else outcome.name.lower(),
        "to_move": turn.side.value if turn else None,
        "move_until": int(lockstep.view(lockstep.game, "deadlineOf", number)) if turn else None,
        "defender_convicted": lockstep.claim(
            ClaimRef(dispute.task, dispute.segment, dispute.round, dispute.defender_index)
        ).convicted,
    }


def account_report(lockstep: Lockstep, account: str) -> Document:
    """What an account has, and where."""
    unbonding, available = lockstep.view(lockstep.vault, "unbondingOf", account)
    return {
        "account": account,
        "wallet": str(lockstep.tokens(account)),
        "free_stake": str(lockstep.free_stake(account)),
        "locked": str(lockstep.locked(account)),
        "unbonding": str(unbonding),
        "unbonding_until": available or None,
        "on_duty": str(lockstep.on_duty(account)),
        "owed": str(lockstep.owed(account)),
        "weight": lockstep.weight(account),
    }
