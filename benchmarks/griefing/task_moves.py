"""Moves before the audit: accepting, applying, cancelling, committing. Each is played by real transactions."""

from __future__ import annotations

from benchmarks.griefing.ground import DAY, PROFILE, Ground, Party, program
from benchmarks.griefing.losses import Loss, Row
from lockstep.chain.types import TaskState
from lockstep.commitments import merkle
from lockstep.program.encoding import HEADER
from lockstep.program.faults import FaultKind, ProgramFault


def never_acknowledge(g: Ground) -> Row:
    return _hold_up(g, "accept and never acknowledge", "accept", to_the_end=True)


def give_back(g: Ground) -> Row:
    return _hold_up(g, "accept and give back at the last moment", "accept, giveBack", to_the_end=False)


def _hold_up(g: Ground, name: str, calls: str, *, to_the_end: bool) -> Row:
    """Accept, and let the acknowledgement window pass; before its end the solver gives back, after it the submitter."""
    submitter, solver = g.party("submitter"), g.party("solver")
    g.submit(submitter)
    g.accept(solver)
    window = PROFILE.parameters.acknowledge_window - (0 if to_the_end else 60)
    g.wait(g.chain.deadline(g.task) if to_the_end else g.world.anvil.now() + window)
    (submitter if to_the_end else solver).market("giveBack", g.terms)
    return Row(
        name,
        calls,
        "solver",
        "submitter",
        Loss(solver.lost, solver.gas(), locked=g.numbers.solver_deposit, seconds=window),
        Loss(submitter.lost - g.posted.escrow, submitter.gas("giveBack"), locked=g.posted.escrow, seconds=window),
    )


def apply_and_vanish(g: Ground) -> Row:
    submitter, solver = g.party("submitter"), g.party("solver")
    g.submit(submitter, apply_window=3600)
    _apply(g, solver)
    g.wait(g.world.anvil.now() + 3600)
    submitter.market("closeApplications", g.terms)
    g.draw_blocks()
    submitter.market("drawSolver", g.terms)
    g.wait(g.chain.deadline(g.task))
    submitter.market("giveBack", g.terms)
    seconds = 3600 + PROFILE.parameters.acknowledge_window
    return Row(
        "apply, be drawn, never acknowledge",
        "applyToSolve",
        "solver",
        "submitter",
        Loss(solver.lost, solver.gas(), locked=g.numbers.solver_deposit, seconds=seconds),
        Loss(submitter.lost - g.posted.escrow, submitter.gas() - submitter.gas("submit"), 0, g.posted.escrow, seconds),
    )


def cancel_on_applicants(g: Ground) -> Row:
    submitter, solver = g.party("submitter"), g.party("solver")
    g.submit(submitter, apply_window=3600)
    _apply(g, solver)
    g.wait(g.world.anvil.now() + 3500)
    submitter.market("cancel", g.terms)
    solver.market("releaseApplication", g.terms, solver.address)
    return Row(
        "cancel once somebody has applied",
        "submit, cancel",
        "submitter",
        "one applicant",
        Loss(submitter.lost, submitter.gas(), locked=g.posted.escrow, seconds=3500),
        Loss(solver.lost, solver.gas(), locked=g.numbers.solver_deposit, seconds=3500),
        "applicants are paid a 256th of the fee each, a quarter of it together at most",
    )


def _apply(g: Ground, solver: Party) -> None:
    stake = g.numbers.solver_deposit
    solver.chain.ensure_stake(stake)
    solver.market("applyToSolve", g.terms, stake, (0, 0, 0))


def never_commit(g: Ground) -> Row:
    submitter, solver = g.party("submitter"), g.party("solver")
    g.submit(submitter)
    g.accept(solver)
    solver.market("acknowledge", g.terms)
    g.wait(g.chain.deadline(g.task))
    submitter.market("expire", g.terms)
    return Row(
        "acknowledge and never commit",
        "accept, acknowledge",
        "solver",
        "submitter",
        Loss(solver.lost, solver.gas()),
        Loss(submitter.lost, submitter.gas(), locked=g.posted.escrow, seconds=DAY),
    )


def invalid_program(g: Ground) -> Row:
    submitter, solver = g.party("submitter"), g.party("solver")

    def one_chunk_too_many(header: bytes) -> bytes:
        values = list(HEADER.unpack(header))
        values[5] += 1
        return HEADER.pack(*values)

    g.submit(submitter, header_change=one_chunk_too_many)
    g.accept(solver)
    solver.market("acknowledge", g.terms)
    commitment = program(g.plan.step_work, False)
    proof = tuple(merkle.inclusion_proof(commitment.state.levels[0], 0))
    header = one_chunk_too_many(commitment.header)
    fault = ProgramFault(FaultKind.STATE_END, False, header, 0, (commitment.state_bytes[0],), (proof,))
    solver.market("voidInvalidProgram", g.terms, fault.abi())
    assert g.chain.state(g.task) is TaskState.VOID
    return Row(
        "submit an invalid program to a solver that does not look before it accepts",
        "submit",
        "submitter",
        "solver",
        Loss(submitter.lost, submitter.gas()),
        Loss(solver.lost, solver.gas(), locked=g.numbers.solver_deposit, seconds=0),
        "the solver that ships looks first, and loses a download; a part of the escrow to who shows it would mend it",
    )
