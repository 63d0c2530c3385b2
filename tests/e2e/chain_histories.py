"""A task's history as the chain tells it, in the form that the payout function takes.

What a secret says of a claim is worked out from the secret, which whoever opened it has sent, not from what the court
made of it.
"""

from __future__ import annotations

from collections import defaultdict

from lockstep.chain import lots
from lockstep.chain.lockstep import Lockstep, PostedClaim, PostedDemand, PostedTask
from lockstep.chain.types import CALLED_ROUND, ClaimRef, DemandState, SlotState, TaskState
from lockstep.dispute import claims as claim_rules
from lockstep.dispute import forced
from lockstep.dispute.digest import ENTRY_BYTES
from lockstep.dispute.transition import Outcome
from lockstep.economics.amounts import Amounts
from lockstep.economics.histories import MOST_NAMED, Demander, End, Histories, Said
from lockstep.economics.payouts import pay

ENDS = {TaskState.CANCELLED: End.REFUNDED, TaskState.EXPIRED: End.EXPIRED}
PLACES = 8


def predicted(chain: Lockstep, posted: PostedTask, treasury: str) -> dict[str, int]:
    """What the payout function says a task brought every account, base units, by address (``treasury`` for it)."""
    terms, task = posted.terms, posted.terms.id
    segments = chain.audited_segments(task)
    rounds = chain.parameters.redraws + 1
    history = Histories.blank(1, max(1, len(segments)), rounds, PLACES)
    history.undrawn[0, len(chain.drawn_segments(task)) :] = bool(segments)
    history.end[:] = ENDS.get(chain.state(task), End.AUDITED)
    accounts: dict[tuple[int, int, int], str] = {}
    labels: dict[tuple[int, bytes], int] = {}
    lapsed: dict[int, str] = {}
    for where, segment in enumerate(segments):
        for drawn in chain._logs("AuditCourt", "SegmentDrawn", task=task, segment=segment):
            accounts[where, drawn["args"]["round"], 0] = drawn["args"]["verifier"]
        for number, round_ in enumerate(chain.slot(task, segment).rounds):
            claims = chain.claims(task, segment, round_)
            # an index is an opening's; a place is a commitment's
            blind = sorted((claim for claim in claims if claim.ref.index), key=lambda claim: claim.order)
            places = {claim.ref.index: place for place, claim in enumerate(blind, start=1)} | {0: 0}
            for claim in claims:
                at = (0, where, number, places[claim.ref.index])
                accounts[where, number, at[3]] = claim.claimant
                history.posted[at] = True
                root = (segment, claim.body.end_root)
                passes = claim.body.end_root == claim.body.checkpoint_root
                history.root[at] = 0 if passes else labels.setdefault(root, len(labels) + 1)
                record = chain.claim(claim.ref)
                assert record.claimant == claim.claimant
                if record.digest_convicted:
                    finder = next(c for c in claims if c.claimant == record.digest_finder)
                    history.digest_by[at] = places[finder.ref.index]
                if record.convicted:
                    history.beaten_by[at] = places[_first_winner(chain, claim.ref)]
            _read_secrets(chain, posted, history, (where, number), claims)
            for dispute in map(chain.dispute, chain.disputes(task)):
                where_ = (dispute.segment, dispute.round)
                if where_ == (segment, round_) and dispute.outcome == Outcome.CHALLENGE_FAILED:
                    at = (0, where, number, places[dispute.challenger_index], places[dispute.defender_index])
                    history.failed[at] += 1
        if chain.slot(task, segment).state == SlotState.WITHHELD:
            demand = _lapsed(chain, task, segment)
            lapsed[where] = demand.demander
            history.withheld[0, where] = len(chain.slot(task, segment).rounds) - 1
            history.withheld_by[0, where] = _demander(chain, demand)
    amounts = Amounts.of(chain.deployment.profile, terms, terms.audits, terms.wage, terms.levy)
    paid = pay(history, amounts)
    gains: dict[str, int] = defaultdict(int)
    gains[terms.submitter] += int(paid.submitter[0])
    gains[treasury] += int(paid.treasury[0])
    solver = chain.solver(task)
    if solver is not None:
        gains[solver] += int(paid.solver[0])
    for (where, number, place), account in accounts.items():
        gains[account] += int(paid.claimant[0, where, number, place])
    for where, account in lapsed.items():
        gains[account] += int(paid.demander[0, where])
    _pay_fees(chain, task, treasury, gains)
    _pay_lots(chain, posted, treasury, gains)
    for account in set(gains) - {treasury}:  # every account has played this one task
        owed = int(chain.view(chain.treasury, "arrearsOf", account))
        gains[account] -= owed
        gains[treasury] += owed
    unowned = paid.claimant.sum() - sum(int(paid.claimant[0, w, r, p]) for w, r, p in accounts)
    assert unowned == 0, "The payout function pays a claim that nobody made."
    return dict(gains)


def _read_secrets(
    chain: Lockstep, posted: PostedTask, history: Histories, at: tuple[int, int], claims: list[PostedClaim]
) -> None:
    """Fill in what the secret of a round's drawn verifier says of its claim, and who named the entry."""
    first = next((claim for claim in claims if claim.ref.index == 0 and claim.ref.round != CALLED_ROUND), None)
    if first is None or chain.parameters.forced_bps == 0:
        return
    opening = _opening(chain, first.ref)
    if opening is None:
        history.said[0, *at] = Said.UNOPENED
        return
    ref, rules = first.ref, chain.parameters
    assignment = claim_rules.assignment_id(ref.task, ref.segment, ref.round)
    steps = claim_rules.segment_steps(posted.terms, ref.segment)
    value = chain.beacon_value(ref.task, ref.segment, ref.round)
    errs, step = forced.told(opening["secret"], value, assignment, steps, rules.forced_bps)
    if not errs:
        return
    wrong = first.body.digest[ENTRY_BYTES * step : ENTRY_BYTES * (step + 1)]
    made = wrong == forced.forced_entry(opening["secret"], assignment) != opening["entry"]
    if chain.claim(ref).digest_convicted:
        made &= _proven_entry(chain, ref) == step
    history.said[0, *at] = Said.MADE if made else Said.FAULTY
    blind = sorted((claim for claim in claims if claim.ref.index), key=lambda claim: claim.order)
    naming = [claim for claim in claims if claim.ref.index and claim.body.commitment == forced.naming(step)]
    for claim in naming[:MOST_NAMED]:
        history.named[0, *at, 1 + blind.index(claim)] = True


def _opening(chain: Lockstep, ref: ClaimRef) -> dict[str, bytes] | None:
    """The opening that closed a claim; None if something else did."""
    closed = [
        log
        for log in chain._logs("AuditCourt", "ClaimClosed", task=ref.task, segment=ref.segment)
        if (log["args"]["round"], log["args"]["index"]) == (ref.round, ref.index)
    ]
    if not closed:
        raise AssertionError("Payouts are compared once every claim is closed.")
    sent = chain.client.web3.eth.get_transaction(closed[-1]["transactionHash"])
    function, arguments = chain.court.decode_function_input(sent["input"])
    *_, opening = arguments.values()  # the contract's argument has no name
    return dict(opening) if function.fn_name == "openSecret" else None


def _proven_entry(chain: Lockstep, ref: ClaimRef) -> int | None:
    """Which entry of a claim's digest was proven wrong; None where its owner fell silent."""
    for number in chain.disputes(ref.task):
        dispute = chain.dispute(number)
        place = (dispute.segment, dispute.round, dispute.defender_index)
        if dispute.digest and place == (ref.segment, ref.round, ref.index):
            (ended,) = chain._logs("DisputeGame", "Resolved", id=number)
            if bytes(ended["args"]["reason"]).rstrip(b"\0") == b"digest":
                return int(dispute.digest_step)
    return None


def _pay_lots(chain: Lockstep, posted: PostedTask, treasury: str, gains: dict[str, int]) -> None:
    """Add what the solver collected of its lots, owed or paid."""
    task, solver = posted.terms.id, chain.solver(posted.terms.id)
    won = chain.won_lots(task)
    if solver is None or not won:
        return
    bonus = lots.bonus(posted.terms, posted.terms.audits, posted.terms.levy, chain.parameters)
    paid = bonus * (len(won) - len(chain.open_lots(task)))
    gains[solver] += paid
    gains[treasury] -= paid


def _lapsed(chain: Lockstep, task: int, segment: int) -> PostedDemand:
    """The demand by which a segment failed."""
    (found,) = [
        demand
        for demand in chain.demands(task)
        if demand.piece.segment == segment and chain.demand(demand.id).state == DemandState.LAPSED
    ]
    return found


def _demander(chain: Lockstep, demand: PostedDemand) -> Demander:
    """Whose demand it was that lapsed."""
    task, segment = demand.piece.task, demand.piece.segment
    slot = chain.slot(task, segment)
    if demand.demander == slot.verifier:
        return Demander.VERIFIER
    closed = chain._logs("DataDemands", "Closed", id=demand.id)[-1]
    when = chain.client.web3.eth.get_block(closed["blockNumber"])["timestamp"]
    return Demander.OTHER if when <= slot.claim_deadline else Demander.LATE


def _pay_fees(chain: Lockstep, task: int, treasury: str, gains: dict[str, int]) -> None:
    """What answered demands cost who made them: the plain fee to the solver, the rest to the treasury."""
    numbers, solver = chain.demand_parameters, chain.solver(task)
    for demand in chain.demands(task):
        if demand.answer is not None:
            assert solver is not None
            plain = numbers.flat_fee + demand.subject.length * numbers.byte_fee
            gains[demand.demander] -= demand.fee
            gains[solver] += plain
            gains[treasury] += demand.fee - plain


def _first_winner(chain: Lockstep, ref: ClaimRef) -> int:
    """Index of the claim whose owner convicted a claim first."""
    moments = []
    for log in chain._logs("DisputeGame", "OneShot", task=ref.task):
        args = log["args"]
        if (args["segment"], args["round"], args["index"]) == (ref.segment, ref.round, ref.index):
            moments.append((log["blockNumber"], args["challenger"]))
    for number in chain.disputes(ref.task):
        dispute = chain.dispute(number)
        place = (dispute.segment, dispute.round, dispute.defender_index)
        about_root = not dispute.digest
        if (
            about_root
            and place == (ref.segment, ref.round, ref.index)
            and dispute.outcome == Outcome.DEFENDER_CONVICTED
        ):
            ended = chain._logs("DisputeGame", "Resolved", id=number)[-1]
            moments.append((ended["blockNumber"], dispute.challenger_index))
    return int(min(moments)[1])
