"""``lockstep challenge``: open one dispute by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.chain.amounts import amount_text
from lockstep.cli.console import moment_text, output, relative_text, short
from lockstep.cli.errors import CommandError
from lockstep.cli.options import Account, Connection, Role, bundled

if TYPE_CHECKING:
    from lockstep.agents.claimant import Claimant
    from lockstep.chain.lockstep import PostedClaim, PostedTask
    from lockstep.chain.types import Slot


@bundled
def challenge(
    connection: Connection,
    account: Account,
    task: Annotated[int, typer.Argument(min=0, help="Number of the task.")],
    segment: Annotated[int, typer.Argument(min=0, help="Number of the segment.")],
    claim: Annotated[int, typer.Argument(min=0, help="Index of the claim, as `lockstep status TASK` lists them.")],
    digest_step: Annotated[
        int | None,
        typer.Option("--digest-step", min=0, help="Dispute this digest entry, not the end root.", show_default=False),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Even where your replay agrees with the claim; you lose the bond.")
    ] = False,
) -> None:
    """Open one dispute against a claim, after replaying the segment; says why where there is nothing to challenge.

    You need a claim of your own on the segment: `lockstep whistleblow` places one in the claim window. The opening bond
    is lost when the challenge fails. Then keep `lockstep whistleblow` running: it makes your moves.

    Examples:

        lockstep challenge 1 3 0
        lockstep challenge 1 3 0 --digest-step 5
    """
    from lockstep.agents.journal import Journal
    from lockstep.agents.whistleblower import Whistleblower
    from lockstep.cli.session import Session
    from lockstep.cli.voice import Voice

    session = Session(connection, account, Role.WHISTLEBLOWER)
    lockstep = session.lockstep
    posted = lockstep.task(task)
    voice = Voice(output(), Role.WHISTLEBLOWER)
    # Nothing is journalled: the account's whistleblower may run at the same time.
    agent = Whistleblower(lockstep, session.store, Journal(":memory:"), narrate=voice.say)
    slot = _slot(agent, posted, segment)
    target = _claim(agent, posted, segment, slot, claim)
    own = _own_claim(agent, posted, segment, slot, target)
    if digest_step is None:
        _check_end(agent, posted, segment, target, own, force=force)
    else:
        _check_entry(agent, posted, segment, slot, target, digest_step, force=force)
    agent.open(posted, target, own, digest_step)
    number, bond = lockstep.disputes(task)[-1], lockstep.dispute_parameters.opening_bond
    session.note(f"This is dispute {number}; {amount_text(bond)} are at stake.")
    session.note(f"Your moves are made by: lockstep whistleblow --task {task}")


def _slot(agent: Claimant, posted: PostedTask, segment: int) -> Slot:
    """The segment's slot, if disputes may be opened on it now."""
    from lockstep.chain.types import SlotState, TaskState

    task, lockstep = posted.terms.id, agent.lockstep
    state = lockstep.state(task)
    if state is not TaskState.AUDITING:
        raise CommandError(f"Task {task} is {state.name.lower()}; disputes are opened while it is audited.")
    audited = lockstep.audited_segments(task)
    if segment not in audited:
        listed = ", ".join(map(str, sorted(audited)))
        raise CommandError(
            f"Segment {segment} of task {task} was neither drawn nor called up, so nobody claims it. "
            f"There are claims on: {listed}."
        )
    slot = lockstep.slot(task, segment)
    if slot.state != SlotState.DRAWN:
        raise CommandError(f"Segment {segment} is {SlotState(slot.state).name.lower()}: its disputes are over.")
    windows, now = lockstep.windows(task, segment), lockstep.now()
    if now <= windows.unblind:
        opens = windows.unblind + 1
        raise CommandError(
            f"Disputes open {relative_text(opens, now)}, at {moment_text(opens)}, when all claims are known."
        )
    if now > windows.open:
        raise CommandError(f"The dispute window of segment {segment} closed {relative_text(windows.open, now)}.")
    return slot


def _claim(agent: Claimant, posted: PostedTask, segment: int, slot: Slot, index: int) -> PostedClaim:
    made = agent.round_claims(posted, segment, slot)
    for claim in made:
        if claim.ref.index == index:
            if agent.lockstep.claim(claim.ref).convicted:
                raise CommandError(f"Claim {index} on segment {segment} is convicted already.")
            return claim
    listed = ", ".join(f"{claim.ref.index} ({short(claim.claimant)})" for claim in made) or "none"
    raise CommandError(f"There is no claim {index} on segment {segment} in round {slot.round}. Claims: {listed}.")


def _own_claim(agent: Claimant, posted: PostedTask, segment: int, slot: Slot, target: PostedClaim) -> PostedClaim:
    if target.claimant == agent.address:
        raise CommandError(f"Claim {target.ref.index} is your own.")
    own = agent.own_claim(posted, segment, slot)
    if own is None:
        raise CommandError(
            f"{agent.address} has no claim on segment {segment}, and only claimants dispute: run "
            "`lockstep whistleblow` in the claim window, or pass the key of a claimant."
        )
    for number in agent.lockstep.disputes(posted.terms.id):
        dispute = agent.lockstep.dispute(number)
        place = (dispute.segment, dispute.round, dispute.defender_index, dispute.challenger)
        if place == (segment, slot.round, target.ref.index, agent.address):
            raise CommandError(f"You dispute claim {target.ref.index} already: dispute {number}.")
    return own


def _check_end(
    agent: Claimant, posted: PostedTask, segment: int, target: PostedClaim, own: PostedClaim, *, force: bool
) -> None:
    """Refuse a dispute about the end root that cannot be won."""
    if target.body.end_root == own.body.end_root:
        step = agent.wrong_entry(posted, segment, agent.lockstep.slot(posted.terms.id, segment), target)
        hint = f" Its digest is wrong, though: --digest-step {step}." if step is not None else ""
        raise CommandError(
            f"There is nothing to challenge: claim {target.ref.index} and yours give the same end root.{hint}"
        )
    if not force and agent.check(posted, segment).end_root == target.body.end_root:
        raise CommandError(
            f"There is nothing to challenge: your replay of segment {segment} ends as claim {target.ref.index} says; "
            "it is your own claim that differs. A dispute would cost you the bond."
        )


def _check_entry(
    agent: Claimant, posted: PostedTask, segment: int, slot: Slot, target: PostedClaim, step: int, *, force: bool
) -> None:
    """Refuse a dispute about a digest entry that cannot be won."""
    from lockstep.dispute import claims
    from lockstep.dispute.digest import ENTRY_BYTES

    steps = claims.segment_steps(posted.terms, segment)
    if step >= steps:
        raise CommandError(f"Segment {segment} has {steps} steps, so its digests have the entries 0 to {steps - 1}.")
    expected = agent.digest(posted, segment, slot, target.claimant)
    entry = slice(step * ENTRY_BYTES, (step + 1) * ENTRY_BYTES)
    if not force and expected[entry] == target.body.digest[entry]:
        wrong = agent.wrong_entry(posted, segment, slot, target)
        hint = f" Entry {wrong} is wrong: --digest-step {wrong}." if wrong is not None else " So are all others."
        raise CommandError(f"There is nothing to challenge: entry {step} is what your replay gives.{hint}")
