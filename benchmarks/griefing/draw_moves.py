"""Moves about draws: silence, stake that is not there, crowds, secrets. Each is played by real transactions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from web3.contract import Contract

from benchmarks.griefing.ground import DAY, PROFILE, Ground, Party
from benchmarks.griefing.losses import Loss, Row
from lockstep.agents.backing import read_backings
from lockstep.agents.block_secrets import BlockSecrets
from lockstep.agents.caution import Caution, misgiving
from lockstep.chain import terms as arithmetic
from lockstep.chain.errors import Reverted
from lockstep.chain.lockstep import Lockstep
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
    g.dismiss(verifier)
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
    return _say_nothing(
        g,
        "hold all verifiers' stake, and say nothing in every round",
        "(none)",
        "the solver is whole but unpaid; a share f of the stake has a chance of f^3 a segment",
        flees=False,
    )


def flee_after_acceptance(g: Ground) -> Row:
    return _say_nothing(
        g,
        "hold all verifiers' stake, give notice once the task is accepted, and try to be gone before the draw",
        "requestWithdrawal, retireVerifier, withdrawStake",
        "notice takes longer than all draws, and stake on duty can be locked nowhere else: it is drawn, and silent",
        flees=True,
    )


def _say_nothing(g: Ground, name: str, calls: str, note: str, *, flees: bool) -> Row:
    submitter, solver = g.party("submitter"), g.party("solver")
    g.submit(submitter)
    stake = 40 * g.claim_lock
    verifier = g.verifier("verifier", stake)
    g.accept(solver)
    solver.market("acknowledge", g.terms)
    if flees:
        _flee(g, verifier, stake)
    g.publish(solver)
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
    own = (verifier.lost, verifier.gas("registerVerifier", "requestWithdrawal"))
    if flees:
        g.wait(verifier.chain.notice_end(verifier.address))
        verifier.court("retireVerifier")
    else:
        g.dismiss(verifier)
    gas, fee = solver.gas("accept", "acknowledge", "commit"), g.numbers.fee
    return Row(name, calls, "verifiers", "solver", Loss(*own), Loss(solver.lost, gas, work=fee), note)


def _flee(g: Ground, verifier: Party, stake: int) -> None:
    """Every way out of the draws: each must be refused."""
    chain = verifier.chain
    chain.send(chain.vault, "requestWithdrawal", stake, doing="requestWithdrawal")
    blind = bytes(32)
    for contract, function, arguments, error in (
        (chain.vault, "withdrawStake", (), "WithdrawalNotReady"),
        (chain.court, "retireVerifier", (), "WithdrawalNotReady"),
        (chain.court, "placeBlind", (blind,), "StakeOnDuty"),
        (chain.beacon, "join", (b"\1" * 32, chain.block_number(), 2**10), "StakeOnDuty"),
    ):
        assert _refusal(chain, contract, function, arguments) == error, f"{function} is a way out of the draws"
    chain.send(chain.court, "refreshVerifier", verifier.address, doing="refreshVerifier")
    assert chain.weight(verifier.address) == stake // PROFILE.parameters.weight_unit


def _refusal(chain: Lockstep, contract: Contract, function: str, arguments: tuple[Any, ...]) -> str | None:
    """Name of the error that a transaction is refused with; None where it is not."""
    try:
        chain.send(contract, function, *arguments, doing=function)
    except Reverted as refused:
        return refused.error
    return None


def notice_before_acceptance(g: Ground) -> Row:
    submitter, solver = g.party("submitter"), g.party("solver")
    g.submit(submitter)
    stake = g.audits * g.claim_lock + PROFILE.parameters.weight_unit
    pair = [g.verifier(f"{name} verifier", stake) for name in ("first", "second")]

    def doubt() -> str | None:
        backings = read_backings(solver.chain, g.posted, solver.address)
        return misgiving(backings, g.claim_lock, g.audits, Caution())

    assert doubt() is None, "until they give notice they are good enough"
    for party in pair:
        party.court("retireVerifier")
    assert doubt() is None, "notice takes longer than the task"
    submitter.market("cancel", g.terms)
    g.wait(pair[0].chain.notice_end(pair[0].address) - DAY)
    g.submit(submitter)
    assert doubt() is not None
    submitter.market("cancel", g.terms)
    g.wait(pair[1].chain.notice_end(pair[1].address))
    for party in pair:
        party.court("retireVerifier")
    gas = sum(party.gas("registerVerifier", "retireVerifier") for party in pair)
    return Row(
        "hold all verifiers' stake, give notice before a task, and be gone before its draw",
        "registerVerifier, retireVerifier",
        "verifiers",
        "solver",
        Loss(0, gas, locked=2 * stake, seconds=PROFILE.parameters.withdrawal_delay),
        Loss(solver.lost, solver.gas()),
        "notice is seen by everybody: the solver that ships does not accept; one that does not look loses its work",
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
    g.dismiss(honest, *spam)
    return Row(
        f"register {crowd} verifiers with the least stake",
        "registerVerifier",
        "verifiers",
        "who draws, a draw of two",
        Loss(0, sum(party.gas("registerVerifier") for party in spam)),
        Loss(0, max(0, crowded - alone)),
        "every later draw pays that again: some 330 of them cost what the crowd did, whose stake lies idle",
    )


def worthless_tasks(g: Ground) -> Row:
    submitter, solver = g.party("submitter"), g.party("solver")
    audits = arithmetic.segment_count(g.plan)
    verifier = g.verifier("verifier", audits * PROFILE.parameters.claim_bond + PROFILE.parameters.weight_unit * audits)
    free = verifier.chain.free_stake(verifier.address)
    g.submit(submitter, price=1, audits=audits)
    g.commit(solver)
    attacker = g.party("keeper")
    segments = g.draw(attacker)
    held = free - verifier.chain.free_stake(verifier.address)
    assert held == audits * g.claim_lock
    begun = g.world.anvil.now()
    for segment in segments:
        g.claim(verifier, segment)
    g.end(attacker, contested=False)
    seconds = g.world.anvil.now() - begun
    g.dismiss(verifier)
    gas = submitter.gas() + solver.gas() + attacker.gas("drawAudits")
    return Row(
        f"post a task that costs nothing, solve it, and have it audited {audits} times",
        "submit, accept, commit, drawAudits",
        "submitter and solver",
        "verifiers",
        Loss(submitter.lost + solver.lost, gas, locked=g.posted.escrow, seconds=seconds),
        Loss(verifier.lost, verifier.gas("postClaim"), locked=held, seconds=seconds),
        "a thousandth of the stake that claims lock is their wage at least, and as much goes to the treasury",
    )


def fill_the_draws(g: Ground) -> Row:
    submitter, solver = g.party("submitter"), g.party("solver")
    g.submit(submitter)
    need = g.claim_lock
    verifier = g.verifier("verifier", 4 * need)
    g.commit(solver)
    victim = g.posted
    own, keeper = (g.party("attacker submitter"), g.party("attacker solver")), g.party("attacker keeper")
    fillers = []
    for _ in range(2):
        g.submit(own[0], price=1, audits=arithmetic.segment_count(g.plan))
        g.commit(own[1])
        fillers.append((g.posted, g.roots))
    for g.posted, g.roots in fillers:
        segments = g.draw(keeper)  # in the block in which the one before frees the stake
        assert verifier.chain.free_stake(verifier.address) < need
        keeper.chain.send(keeper.chain.court, "drawAudits", victim.terms.abi(), doing="the victim's draw")
        assert g.chain.state(victim.terms.id) is TaskState.COMMITTED
        for segment in segments:
            g.claim(verifier, segment)
        if g.posted is fillers[0][0]:
            g.end(keeper, contested=False)
    g.wait(g.chain.deadline(victim.terms.id))
    keeper.chain.send(keeper.chain.market, "expireUndrawn", victim.terms.abi(), doing="the victim's end")
    attacker = (*own, keeper)
    return Row(
        "fill all verifiers' stake, four claims of the victim's, with audits of worthless tasks until its draw is over",
        "submit, accept, commit, drawAudits",
        "anybody",
        "solver",
        Loss(
            sum(party.lost for party in attacker),
            sum(party.gas(*FILLING) for party in attacker),
        ),
        Loss(solver.lost, solver.gas(), work=g.chain.numbers(victim.terms).fee),
        "it costs a 500th of that stake for each 18 hours: the ratio is below 1 where there is some 250 times the fee "
        "of it; the solver is whole but unpaid",
    )


FILLING = ("submit", "accept", "acknowledge", "commit", "drawAudits")


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
