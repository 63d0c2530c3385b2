"""Moves with claims and disputes. Each is played by real transactions."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.griefing.ground import PROFILE, Ground, Party, root
from benchmarks.griefing.losses import Loss, Row
from lockstep.chain.errors import Reverted


def drawn(g: Ground) -> tuple[Party, Party, Party, Sequence[int]]:
    """A committed task whose audits are drawn: solver, an attacker, the drawn verifier, the segments.

    The last of them in order has several steps.
    """
    submitter, solver, attacker = g.party("submitter"), g.party("solver"), g.party("attacker")
    g.submit(submitter)
    verifier = g.verifier("verifier", 4 * g.claim_lock + PROFILE.parameters.weight_unit)
    g.commit(solver)
    return solver, attacker, verifier, sorted(g.draw(g.party("drawer")))


def blind_never_opened(g: Ground) -> Row:
    solver, attacker, verifier, segments = drawn(g)
    for segment in segments:
        g.claim(verifier, segment)
    commitment = g.place(attacker, segment)
    caller = g.party("keeper")
    g.end(caller, contested=False)
    g.wait(g.world.anvil.now() + 2 * PROFILE.parameters.max_claim_window + PROFILE.parameters.unblind_window)
    caller.court("forfeitBlind", attacker.address, commitment)
    g.dismiss(verifier)
    return Row(
        "place a blind claim and never open it",
        "placeBlind",
        "anybody",
        "solver",
        Loss(attacker.lost, attacker.gas()),
        Loss(solver.lost + g.numbers.fee, 0),
    )


def right_claim_for_delay(g: Ground) -> Row:
    solver, attacker, verifier, segments = drawn(g)
    for segment in segments:
        g.claim(verifier, segment)
    g.place(attacker, segment)
    g.unblind(attacker, segment)
    caller = g.party("keeper")
    try:
        g.end(caller, contested=False)
    except Reverted:
        due = g.world.anvil.now()
    else:
        raise AssertionError("A segment with two claims did not wait for disputes.")
    g.end(caller)
    delay = g.world.anvil.now() - due
    g.dismiss(verifier)
    locked = g.numbers.fee + g.numbers.solver_deposit
    return Row(
        "claim what is right, so that the segment waits for disputes",
        "placeBlind, unblind",
        "anybody",
        "solver",
        Loss(attacker.lost, attacker.gas(), locked=g.claim_lock, seconds=PROFILE.parameters.unblind_window + delay),
        Loss(solver.lost + g.numbers.fee, 0, locked=locked, seconds=delay),
    )


def frivolous_challenge(g: Ground) -> Row:
    _, attacker, verifier, segments = drawn(g)
    for segment in segments:
        g.claim(verifier, segment)
    lie = root("lie")
    begun = g.chain.windows(g.task, segment).open
    number = g.contest(attacker, segment, lie)
    steps = g.posted.terms.segment_steps
    states = [*(root("state", i) for i in range(steps - 1)), g.roots[segment]]
    g.wait(g.clock_end(number) - 60)
    verifier.game("revealStates", number, states)
    g.time_out(verifier, number)
    seconds = g.world.anvil.now() - begun
    g.finish(verifier)
    wages = 2 * g.posted.terms.wage
    return Row(
        "challenge a right claim and let both clocks run out",
        "placeBlind, unblind, open",
        "anybody",
        "verifier",
        Loss(attacker.lost, attacker.gas(), locked=g.claim_lock, seconds=seconds),
        Loss(verifier.lost + wages, verifier.gas("revealStates", "timeout"), 0, 2 * g.claim_lock, seconds),
    )


def false_claim(g: Ground) -> Row:
    solver, _, verifier, segments = drawn(g)
    other, segment = segments
    g.claim(verifier, segment, root("lie"))
    g.claim(verifier, other)
    g.time_out(solver, g.contest(solver, segment))
    g.finish(verifier)
    fee, wages = g.numbers.fee, g.posted.terms.wage
    clock = PROFILE.disputes.clock
    return Row(
        "condemn good work, and say nothing in the dispute",
        "postClaim",
        "verifier",
        "solver",
        Loss(verifier.lost + wages, verifier.gas("postClaim")),
        Loss(solver.lost + fee, solver.gas("placeBlind", "unblind", "open", "timeout"), 0, g.claim_lock, clock),
    )


def false_call(g: Ground) -> Row:
    solver, attacker, verifier, segments = drawn(g)
    for segment in segments:
        g.claim(verifier, segment)
    due = g.chain.windows(g.task, segments[0]).unblind
    called = next(each for each in range(1, len(g.roots)) if each not in segments)
    g.wait(g.chain.deadline(g.task) - 60)
    g.call_up(attacker, called, root("lie"))
    g.time_out(solver, g.contest(solver, called))
    delay, locked = g.finish(verifier) - due, g.numbers.fee + g.numbers.solver_deposit + g.claim_lock
    return Row(
        "call up a good segment that was not drawn, in the last minute, and say nothing in the dispute",
        "callUp",
        "anybody",
        "solver",
        Loss(attacker.lost, attacker.gas("callUp")),
        Loss(solver.lost + g.numbers.fee, solver.gas("placeBlind", "unblind", "open", "timeout"), 0, locked, delay),
    )
