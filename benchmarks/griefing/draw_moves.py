"""Moves about draws: silence, stake that is not there, crowds, secrets. Each is played by real transactions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from benchmarks.griefing.ground import PROFILE, Ground, Party
from benchmarks.griefing.losses import Loss, Row
from lockstep.agents.block_secrets import BlockSecrets
from lockstep.chain.types import TaskState


def silent_verifier(g: Ground) -> Row:
    submitter, solver = g.party("submitter"), g.party("solver")
    g.submit(submitter)
    verifier = g.verifier("verifier", 2 * g.claim_lock + PROFILE.parameters.weight_unit)
    g.commit(solver)
    caller = g.party("keeper")
    segments = g.draw(caller)
    begun = g.world.anvil.now()
    caller.chain.client.gas.clear()
    _miss(g, caller, segments)
    seconds, lost = g.world.anvil.now() - begun, verifier.lost
    locked = g.numbers.fee + g.numbers.solver_deposit
    verifier.court("retireVerifier")
    return Row(
        "be drawn and say nothing, once a segment",
        "(none)",
        "verifier",
        "solver, and who calls for another draw",
        Loss(lost, 0, locked=2 * g.claim_lock, seconds=seconds),
        Loss(0, caller.gas(), locked=locked, seconds=seconds),
    )


def _miss(g: Ground, caller: Party, segments: Sequence[int]) -> None:
    """Let every window pass, and have the silent verifiers' segments drawn again."""
    for segment in segments:
        g.wait(g.chain.windows(g.task, segment).unblind)
        caller.court("finalize", g.terms, segment, 64)


def silent_verifiers_all_rounds(g: Ground) -> Row:
    submitter, solver = g.party("submitter"), g.party("solver")
    g.submit(submitter)
    verifier = g.verifier("verifier", 20 * g.claim_lock)
    g.commit(solver)
    caller = g.party("keeper")
    segments = g.draw(caller)
    for round_ in range(PROFILE.parameters.redraws + 1):
        _miss(g, caller, segments)
        if round_ < PROFILE.parameters.redraws:
            g.draw_blocks()
            for segment in segments:
                caller.court("redraw", g.terms, segment)
    caller.market("settle", g.terms)
    assert g.chain.state(g.task) is TaskState.UNAVAILABLE
    verifier.court("retireVerifier")
    gas, fee = solver.gas("accept", "acknowledge", "commit"), g.numbers.fee
    return Row(
        "hold all verifiers' stake, and say nothing in every round",
        "(none)",
        "verifiers",
        "solver",
        Loss(verifier.lost, verifier.gas("registerVerifier")),
        Loss(solver.lost, gas, work=fee),
        "the solver is whole but unpaid; a share f of the stake has a chance of f^3 a segment",
    )


def free_no_stake(g: Ground) -> Row:
    submitter, solver = g.party("submitter"), g.party("solver")
    g.submit(submitter)
    verifier = g.verifier("verifier", 2 * g.claim_lock + PROFILE.parameters.weight_unit)
    g.commit(solver)
    stake = verifier.chain.free_stake(verifier.address)
    verifier.chain.send(verifier.chain.vault, "requestWithdrawal", stake, doing="unbond")
    caller = g.party("keeper")
    assert not g.draw(caller)
    g.wait(g.chain.deadline(g.task))
    caller.market("expireUndrawn", g.terms)
    return Row(
        "be the only verifier, and unbond before the draw",
        "registerVerifier, requestWithdrawal",
        "verifier",
        "solver",
        Loss(verifier.lost, verifier.gas(), locked=stake, seconds=PROFILE.parameters.withdrawal_delay),
        Loss(solver.lost, solver.gas(), work=g.numbers.fee),
        "the solver is whole but unpaid; the one that ships does not accept where so few have stake",
    )


def crowd_of_verifiers(g: Ground) -> Row:
    submitter, solver, crowd = g.party("submitter"), g.party("solver"), 16
    g.submit(submitter)
    honest = g.verifier("honest verifier", 40 * g.claim_lock)
    alone = _draw_gas(g, solver)
    spam = [g.verifier(f"verifier {i}", PROFILE.parameters.weight_unit) for i in range(crowd)]
    second, other = g.party("second submitter"), g.party("second solver")
    g.submit(second)
    crowded = _draw_gas(g, other)
    for party in (honest, *spam):
        party.court("retireVerifier")
    return Row(
        f"register {crowd} verifiers with the least stake",
        "registerVerifier",
        "verifiers",
        "who draws, a draw of two",
        Loss(0, sum(party.gas("registerVerifier") for party in spam)),
        Loss(0, max(0, crowded - alone)),
        "every later draw pays that again: some 330 of them cost what the crowd did, whose stake lies idle",
    )


def _draw_gas(g: Ground, solver: Party) -> int:
    """Gas of a draw of the present task's audits."""
    g.commit(solver)
    caller = g.party(f"keeper of {g.task}")
    assert g.draw(caller)
    return caller.gas("drawAudits")


def withhold_secret(g: Ground) -> Row:
    revealer, caller = g.party("revealer"), g.party("keeper")
    first = g.chain.block_number() + 1
    tree = BlockSecrets(hashlib.sha256(b"seed").digest(), revealer.address, first, 1024)
    revealer.chain.ensure_stake(PROFILE.reveals.bond)
    beacon = revealer.chain.beacon
    revealer.chain.send(beacon, "join", tree.root, first, 1024, doing="join")
    g.world.anvil.mine(PROFILE.parameters.beacon_delay + 1)
    submitter, solver = g.party("submitter"), g.party("solver")
    g.submit(submitter)
    g.verifier("verifier", 2 * g.claim_lock + PROFILE.parameters.weight_unit)
    g.commit(solver)
    g.world.anvil.mine(PROFILE.parameters.beacon_delay + PROFILE.reveals.window_blocks + 1)
    key = g.task.to_bytes(32, "big")
    caller.chain.send(caller.chain.beacon, "strike", g.chain.market.address, key, doing="strike")
    seconds = (PROFILE.reveals.window_blocks + PROFILE.parameters.beacon_delay) * 12
    return Row(
        "keep a secret that a draw waits for",
        "join",
        "revealer",
        "solver, and who calls time",
        Loss(revealer.lost, revealer.gas()),
        Loss(caller.lost, caller.gas(), locked=g.numbers.fee + g.numbers.solver_deposit, seconds=seconds),
    )
