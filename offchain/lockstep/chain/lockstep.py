"""A deployment of Lockstep as an agent reads it: tasks, segments, claims, disputes, balances.

Everything is rebuilt from events and views, so an agent that was killed needs nothing but the chain (and its
journal for what only it knows).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak
from web3.contract import Contract

from lockstep.chain import terms as arithmetic
from lockstep.chain.amounts import amount_text
from lockstep.chain.client import Client, Sent
from lockstep.chain.deployment import Deployment
from lockstep.chain.draws import drawn_segments
from lockstep.chain.errors import ChainError, Reverted
from lockstep.chain.index import Index
from lockstep.chain.lots import ticket_id
from lockstep.chain.options import TaskOptions
from lockstep.chain.parameters import DemandParameters, DisputeParameters, Parameters, Profile, RevealParameters
from lockstep.chain.types import (
    CALLED_ROUND,
    ClaimBody,
    ClaimRecord,
    ClaimRef,
    Demand,
    Dispute,
    Draw,
    Piece,
    Role,
    Seat,
    Selection,
    Slot,
    SlotState,
    Subject,
    TaskOffer,
    TaskState,
    TaskTerms,
)
from lockstep.program.faults import ProgramFault

ZERO_ADDRESS = "0x" + "00" * 20
BATCH = 32
"""Most calls in one: 32 claims take some 3M gas, well below what a transaction may have."""


@dataclass(frozen=True, slots=True)
class PostedTask:
    """A task as its submitter posted it; its terms as they stand, with the work root once there is one."""

    terms: TaskTerms
    escrow: int
    uri: str


@dataclass(frozen=True, slots=True)
class Work:
    """What a solver committed."""

    root: bytes
    final_root: bytes
    uri: str


@dataclass(frozen=True, slots=True)
class PostedClaim:
    """A claim as it was posted."""

    ref: ClaimRef
    claimant: str
    body: ClaimBody
    order: int


@dataclass(frozen=True, slots=True)
class ForcedError:
    """An entry that a verifier was told to make wrong: whether it did, and how many found it."""

    segment: int
    round: int
    verifier: str
    step: int
    made: bool
    finders: int


@dataclass(frozen=True, slots=True)
class PostedTree:
    """A verifier's tree of secrets: its number, the tasks it serves for, and the block it was committed in."""

    number: int
    root: bytes
    first_task: int
    last_task: int
    block: int


@dataclass(frozen=True, slots=True)
class PostedDemand:
    """A demand for data as it was made; ``answer`` is what was posted for it, None before."""

    id: bytes
    demander: str
    piece: Piece
    subject: Subject
    deadline: int
    fee: int
    answer: bytes | None


@dataclass(frozen=True, slots=True)
class TaskNumbers:
    """Amounts of a task, token base units; order as ``ITaskMarket.quote``."""

    fee: int
    escrow: int
    solver_deposit: int
    claim_deposit: int
    miss: int


@dataclass(frozen=True, slots=True)
class Windows:
    """Last seconds of a segment's windows (timestamps)."""

    claim: int
    unblind: int
    open: int


class Lockstep:
    """The contracts of one deployment, seen by one account.

    ``client`` sends; functions here that do not send cost nothing.
    """

    def __init__(self, client: Client, deployment: Deployment) -> None:
        self.client = client
        self.deployment = deployment

    def _contract(self, name: str) -> Contract:
        return self.client.contract(name, self.deployment.addresses[name])

    @cached_property
    def token(self) -> Contract:
        """The settlement token."""
        return self._contract("FaucetToken")

    @cached_property
    def vault(self) -> Contract:
        """``StakeVault``."""
        return self._contract("StakeVault")

    @cached_property
    def market(self) -> Contract:
        """``TaskMarket``."""
        return self._contract("TaskMarket")

    @cached_property
    def court(self) -> Contract:
        """``AuditCourt``."""
        return self._contract("AuditCourt")

    @cached_property
    def starts(self) -> Contract:
        """``StartChecker``."""
        return self._contract("StartChecker")

    @cached_property
    def game(self) -> Contract:
        """``DisputeGame``."""
        return self._contract("DisputeGame")

    @cached_property
    def treasury(self) -> Contract:
        """``JackpotTreasury``."""
        return self._contract("JackpotTreasury")

    @cached_property
    def beacon(self) -> Contract:
        """``RandomBeacon``."""
        return self._contract("RandomBeacon")

    @cached_property
    def ledger(self) -> Contract:
        """``ReputationLedger``."""
        return self._contract("ReputationLedger")

    @cached_property
    def lots(self) -> Contract:
        """``UsefulWorkDraw``."""
        return self._contract("UsefulWorkDraw")

    @cached_property
    def data_demands(self) -> Contract:
        """``DataDemands``."""
        return self._contract("DataDemands")

    @cached_property
    def program_faults(self) -> Contract:
        """``ProgramFaults``."""
        return self._contract("ProgramFaults")

    # Numbers

    @property
    def parameters(self) -> Parameters:
        """The deployment's numbers."""
        return self.deployment.profile.parameters

    @property
    def dispute_parameters(self) -> DisputeParameters:
        """The dispute game's numbers."""
        return self.deployment.profile.disputes

    @property
    def reveal_parameters(self) -> RevealParameters:
        """The numbers of the beacon's panel."""
        return self.deployment.profile.reveals

    @property
    def demand_parameters(self) -> DemandParameters:
        """The numbers of demands for data."""
        return self.deployment.profile.demands

    def profile_on_chain(self) -> Profile:
        """The numbers as the contracts have them, whatever the deployment file says."""
        return Profile(
            Parameters.from_abi(self.view(self.market, "parameters")),
            DisputeParameters.from_abi(self.view(self.game, "parameters")),
            RevealParameters.from_abi(self.view(self.beacon, "revealParameters")),
            DemandParameters.from_abi(self.view(self.data_demands, "parameters")),
        )

    def numbers(self, terms: TaskTerms) -> TaskNumbers:
        """What a task's parties lock, pay and get."""
        parameters, cost, fee = self.parameters, arithmetic.replay_cost(terms), arithmetic.fee(terms)
        return TaskNumbers(
            fee=fee,
            escrow=fee + fee * parameters.margin_bps // arithmetic.WHOLE_BPS + terms.wage * terms.audits + terms.levy,
            solver_deposit=parameters.solver_deposit_multiple * fee,
            claim_deposit=parameters.claim_deposit_multiple * cost,
            miss=parameters.miss_multiple * cost,
        )

    def quote(self, offer: TaskOffer) -> TaskNumbers:
        """The same of an offer, from the contract; a malformed offer is refused with a sentence."""
        return TaskNumbers(*self.view(self.market, "quote", offer.abi()))

    # Reading

    def view(self, contract: Contract, function: str, *arguments: Any) -> Any:
        """Result of a view function."""
        key = (contract.address, function, arguments)
        return self._index.view(
            key, lambda: self.client.call(contract.functions[function](*arguments), f"read {function}")
        )

    def _look_at(self, contract: Contract, function: str, arguments: Sequence[tuple[Any, ...]]) -> None:
        """Read one view for many arguments in one call; ``view`` remembers what they were."""
        for start in range(0, len(arguments), BATCH):
            keys = [(contract.address, function, each) for each in arguments[start : start + BATCH]]
            self._index.views(
                keys,
                lambda missing: self.client.call_many(
                    contract,
                    [(key[1], key[2]) for key in missing],  # type: ignore[index]
                    f"read {function}",
                ),
            )

    @cached_property
    def _index(self) -> Index:
        contracts = {
            "StakeVault": self.vault,
            "TaskMarket": self.market,
            "AuditCourt": self.court,
            "DisputeGame": self.game,
            "RandomBeacon": self.beacon,
            "DataDemands": self.data_demands,
        }
        return Index(self.client, contracts, self.deployment.block)

    def hold(self) -> AbstractContextManager[None]:
        """Read as of one block; a second later, or after a transaction of this account, as of a newer one."""
        return self._index.hold()

    def now(self) -> int:
        """Timestamp of the latest block, seconds."""
        return self._index.head().timestamp

    def block_number(self) -> int:
        """Number of the latest block."""
        return self._index.head().number

    def _logs(self, contract: str, event: str, **arguments: Any) -> list[Any]:
        return self._index.logs(contract, event, **arguments)

    def tasks(self) -> list[PostedTask]:
        """All tasks ever submitted, oldest first."""
        roots = self._work_roots()
        return [_posted(log, roots) for log in self._logs("TaskMarket", "TaskSubmitted")]

    def task(self, task: int) -> PostedTask:
        """One task; ``ChainError`` when there is none of that number."""
        found = self._logs("TaskMarket", "TaskSubmitted", id=task)
        if not found:
            raise ChainError(f"There is no task {task} on this deployment; `lockstep status` lists them.")
        return _posted(found[-1], self._work_roots())

    def _work_roots(self) -> dict[int, bytes]:
        """Work roots of the tasks whose solvers have committed, by task."""

        def read() -> dict[int, bytes]:
            committed = (log["args"] for log in self._logs("TaskMarket", "WorkCommitted"))
            return {args["id"]: bytes(args["workRoot"]) for args in committed}

        return self._index.view("work roots", read)

    def is_fault(self, program: bytes, fault: ProgramFault) -> bool:
        """Whether the chain finds a program at fault as accused."""
        try:
            return bool(self.view(self.program_faults, "isFault", program, fault.abi()))
        except Reverted:
            return False

    def task_count(self) -> int:
        """Id of the newest task."""
        return int(self.view(self.market, "taskCount"))

    def state(self, task: int) -> TaskState:
        """Where a task stands."""
        return TaskState(self.view(self.market, "stateOf", task))

    def solver(self, task: int) -> str | None:
        """A task's solver, None before there is one."""
        address: str = self.view(self.market, "solverOf", task)
        return None if address == ZERO_ADDRESS else address

    def deadline(self, task: int) -> int:
        """Timestamp of the deadline of the task's present state, 0 for none."""
        return int(self.view(self.market, "deadlineOf", task))

    def selection(self, task: int) -> Selection:
        """Where the draw of a task's solver stands; all zero where it is not drawn, or nobody applied."""
        return Selection.from_abi(self.view(self.market, "selectionOf", task))

    def applicants(self, task: int) -> list[str]:
        """Accounts that applied to solve a task, in order."""
        return [log["args"]["account"] for log in self._logs("TaskMarket", "SolverApplied", id=task)]

    def application(self, task: int, account: str) -> int:
        """Stake that an account's application holds, 0 for none."""
        key = keccak(encode(["string", "uint256", "address"], ["application", task, account]))
        return int(self.view(self.vault, "engagementOf", self.market.address, key)[1])

    def is_draw_over(self, posted: PostedTask) -> bool:
        """Whether an open task's solver is not to be drawn any more: then whoever accepts first has it."""
        task, options, now = posted.terms.id, TaskOptions.unpack(posted.terms.options), self.now()
        selection = self.selection(task)
        if selection.closed:
            return now > self.deadline(task)
        return now > (posted.terms.accept_deadline if selection.count else options.apply_deadline)

    def reputation(self, account: str, role: Role) -> int:
        """What an account has earned in a role, base units of levy."""
        return int(self.view(self.ledger, "earnedOf", account, role))

    def open_lots(self, task: int) -> list[int]:
        """Segments of ``won_lots`` whose bonus was not collected."""
        return [each for each in self.won_lots(task) if not self.view(self.treasury, "paid", ticket_id(task, each))]

    def won_lots(self, task: int) -> list[int]:
        """Audited segments of a settled task whose lot wins; their states may have stayed."""
        if self.state(task) is not TaskState.SETTLED:
            return []
        return [each for each in self.drawn_segments(task) if each and self.view(self.lots, "wins", task, each)]

    def work(self, task: int) -> Work | None:
        """What the solver committed, None before it did."""
        found = self._logs("TaskMarket", "WorkCommitted", id=task)
        if not found:
            return None
        args = found[-1]["args"]
        return Work(args["workRoot"], args["finalRoot"], args["uri"])

    def drawn_segments(self, task: int) -> list[int]:
        """Segments drawn for audit, in order of the draw; empty before it."""
        found = self._logs("AuditCourt", "AuditsDrawn", task=task)
        return list(found[-1]["args"]["segments"]) if found else []

    def coming_slots(self, posted: PostedTask) -> dict[int, Slot]:
        """What a draw of a committed task's audits would make of its segments in the next block, in the draw's order.

        Nothing is sent. Empty where no draw can be made now, or it would find nobody.
        """
        task, terms = posted.terms.id, posted.terms.abi()

        def read() -> dict[int, Slot]:
            doing = f"foresee the draw of task {task}"
            record = self.beacon.functions.record(self.market.address, task.to_bytes(32, "big"))
            try:
                segments = drawn_segments(posted.terms, self.client.call(record, doing))
                views = [("slotOf", (task, segment)) for segment in segments]
                _, *slots = self.client.call_many(self.court, [("drawAudits", (terms,)), *views], doing)
            except Reverted:
                return {}
            found = {segment: Slot.from_abi(slot) for segment, slot in zip(segments, slots, strict=True)}
            return found if all(slot.state == SlotState.DRAWN for slot in found.values()) else {}

        return self._index.view(("coming slots", task), read)

    def called_segments(self, task: int) -> list[int]:
        """Segments that volunteers called up, in their order."""
        return [log["args"]["segment"] for log in self._logs("AuditCourt", "SegmentCalled", task=task)]

    def audited_segments(self, task: int) -> list[int]:
        """Segments about which there are claims: the drawn ones, then the called-up ones."""
        return self.drawn_segments(task) + self.called_segments(task)

    def live_segments(self, task: int) -> list[int]:
        """Drawn and called-up segments of a task that is being audited; empty for any other task."""
        return self.audited_segments(task) if self.state(task) is TaskState.AUDITING else []

    def slot(self, task: int, segment: int) -> Slot:
        """Where a segment stands; all that are audited of the task are read at once."""
        audited = self.audited_segments(task)
        if segment in audited:
            self._look_at(self.court, "slotOf", [(task, each) for each in audited])
        return Slot.from_abi(self.view(self.court, "slotOf", task, segment))

    def windows(self, task: int, segment: int) -> Windows:
        """An audited segment's windows, from its claim deadline and the deployment's numbers."""
        claim = self.slot(task, segment).claim_deadline
        unblind = claim + self.parameters.unblind_window
        return Windows(claim, unblind, unblind + self.parameters.dispute_window)

    def claims(self, task: int, segment: int, round_: int) -> list[PostedClaim]:
        """Claims of a draw round, by index."""
        found = self._logs("AuditCourt", "ClaimPosted", task=task, segment=segment)
        claims = [
            PostedClaim(
                ClaimRef(task, segment, args["round"], args["index"]),
                args["claimant"],
                ClaimBody.from_abi(args["body"]),
                args["order"],
            )
            for args in (log["args"] for log in found)
            if args["round"] == round_
        ]
        return sorted(claims, key=lambda claim: claim.ref.index)

    def claim(self, ref: ClaimRef) -> ClaimRecord:
        """What the court stores of a claim; all of the task's are read at once."""
        found = [log["args"] for log in self._logs("AuditCourt", "ClaimPosted", task=ref.task)]
        known = [(ref.task, args["segment"], args["round"], args["index"]) for args in found]
        if ref.abi() in known:
            self._look_at(self.court, "claimOf", [(each,) for each in known])
        return ClaimRecord.from_abi(self.view(self.court, "claimOf", ref.abi()))

    def verifiers(self) -> dict[str, int]:
        """Weight of every account in the draws, in units of ``weight_unit``, as it was registered last."""
        registered = (log["args"] for log in self._logs("AuditCourt", "VerifierRegistered"))
        weights = {args["verifier"]: int(args["weight"]) for args in registered}
        return {verifier: weight for verifier, weight in weights.items() if weight}

    def trees(self, verifier: str) -> list[PostedTree]:
        """A verifier's trees of secrets, oldest first."""
        return [
            PostedTree(args["number"], args["root"], args["firstTask"], args["lastTask"], log["blockNumber"])
            for log in self._logs("AuditCourt", "SecretsCommitted", verifier=verifier)
            for args in (log["args"],)
        ]

    def beacon_value(self, task: int, segment: int, round_: int) -> bytes:
        """The value that drew a segment's verifier in a round, 32 bytes."""
        found = self._logs("AuditCourt", "SegmentDrawn", task=task, segment=segment, round=round_)
        return bytes(found[-1]["args"]["beaconValue"])

    def forced_errors(self, task: int) -> list[ForcedError]:
        """What opened secrets said about a task's claims: those that were to have a wrong entry."""
        return [
            ForcedError(args["segment"], args["round"], args["verifier"], args["step"], args["made"], args["finders"])
            for args in (log["args"] for log in self._logs("AuditCourt", "ForcedError", task=task))
        ]

    def awaits_secret(self, claim: PostedClaim) -> bool:
        """Whether only the claimant's secret can close a claim of an ended task now: by time it is slashed."""
        ref = claim.ref
        return (
            ref.index == 0
            and ref.round != CALLED_ROUND
            and self.parameters.forced_bps != 0
            and self.state(ref.task) != TaskState.VOID
            and self.now() <= self.deadline(ref.task)
            and not self.claim(ref).convicted
        )

    def is_placed(self, commitment: bytes) -> bool:
        """Whether this account placed a blind claim."""
        placed = self._logs("AuditCourt", "BlindPlaced", commitment=commitment)
        return any(log["args"]["claimant"] == self.client.address for log in placed)

    def placed_blinds(self) -> dict[tuple[str, bytes], int]:
        """When each blind claim was placed last (timestamp), by claimant and commitment; opened ones too."""
        placed = (log["args"] for log in self._logs("AuditCourt", "BlindPlaced"))
        return {(args["claimant"], bytes(args["commitment"])): int(args["order"]) for args in placed}

    def held_engagements(self) -> dict[tuple[str, bytes], tuple[str, int]]:
        """(account, amount) of every engagement that holds something, by module and key; from the vault's events."""
        held: dict[tuple[str, bytes], int] = {}
        owners: dict[tuple[str, bytes], str] = {}
        for event, sign in (("Locked", 1), ("Released", -1), ("Slashed", -1)):
            for args in (log["args"] for log in self._logs("StakeVault", event)):
                key = (args["module"], bytes(args["engagement"]))
                held[key] = held.get(key, 0) + sign * int(args["amount"])
                if event == "Locked":
                    owners[key] = args["account"]
        return {key: (owners[key], amount) for key, amount in held.items() if amount > 0}

    def is_engaged(self, account: str) -> bool:
        """Whether an account has a claim, a blind claim, a challenge, an application, a seat or a task that is open."""
        return self.locked(account) > 0

    def audited(self) -> list[tuple[int, int]]:
        """(task, block of the draw) of every task whose audits were drawn, oldest first."""
        return [(log["args"]["task"], log["blockNumber"]) for log in self._logs("AuditCourt", "AuditsDrawn")]

    def blind_claimants(self, block: int) -> set[str]:
        """Accounts that placed blind claims in this block or later."""
        placed = self._logs("AuditCourt", "BlindPlaced")
        return {log["args"]["claimant"] for log in placed if log["blockNumber"] >= block}

    def draw(self, consumer: str, key: bytes) -> Draw:
        """A value asked of the beacon, as it stands; ``consumer`` is the market or the court."""
        return Draw.from_abi(self.view(self.beacon, "drawOf", consumer, key))

    def requested_draws(self) -> list[tuple[str, bytes]]:
        """(consumer, key) of every value ever asked of the beacon, oldest first, each once."""
        logs = self._logs("RandomBeacon", "Requested")
        return list(dict.fromkeys((log["args"]["consumer"], bytes(log["args"]["key"])) for log in logs))

    def seat(self, account: str) -> tuple[int, Seat] | None:
        """An account's seat and what stands of it, on the panel or leaving it; None for none."""
        seated, number = self.view(self.beacon, "seatOf", account)
        return (number, Seat.from_abi(self.view(self.beacon, "seatAt", number))) if seated else None

    def panel(self) -> list[str]:
        """Accounts whose secrets the next value needs, by seat."""
        bits = int(self.view(self.beacon, "panel"))
        return [self.view(self.beacon, "seatAt", seat)[0] for seat in range(bits.bit_length()) if bits >> seat & 1]

    def demands(self, task: int) -> list[PostedDemand]:
        """All demands for data ever made about a task, oldest first."""
        answers = {log["args"]["id"]: log["args"]["data"] for log in self._logs("DataDemands", "Answered", task=task)}
        return [
            PostedDemand(
                args["id"],
                args["demander"],
                Piece.from_abi(args["piece"]),
                Subject.from_abi(args["subject"]),
                args["deadline"],
                args["fee"],
                answers.get(args["id"]),
            )
            for args in (log["args"] for log in self._logs("DataDemands", "Demanded", task=task))
        ]

    def demand(self, number: bytes) -> Demand:
        """A demand as it stands."""
        return Demand.from_abi(self.view(self.data_demands, "demandOf", number))

    def program_headers(self, task: int) -> tuple[bytes, bytes] | None:
        """Encoded headers (step, init) from the transaction that posted a task; None where it was no direct call."""
        posted = self._logs("TaskMarket", "TaskSubmitted", id=task)[-1]
        for function in ("submit", "submitStacked"):
            called = self.client.arguments(self.market, function, posted["transactionHash"])
            if called is not None:
                return bytes(called["offer"]["stepHeader"]), bytes(called["offer"]["initHeader"])
        return None

    def disputes(self, task: int) -> list[int]:
        """Numbers of all disputes ever opened about a task."""
        return [log["args"]["id"] for log in self._logs("DisputeGame", "Opened", task=task)]

    def dispute(self, number: int) -> Dispute:
        """A dispute as it stands."""
        return Dispute.from_abi(self.view(self.game, "disputeOf", number))

    def is_moot(self, dispute: Dispute) -> bool:
        """Whether a dispute decides nothing any more: its segment ended, or its claim fell for that reason elsewhere.

        A claim convicted about its end root may still have its digest contested, because that costs the deposit.
        """
        if self.slot(dispute.task, dispute.segment).state != SlotState.DRAWN:
            return True
        claim = self.claim(ClaimRef(dispute.task, dispute.segment, dispute.round, dispute.defender_index))
        return claim.digest_convicted if dispute.digest else claim.convicted

    def moves(self, number: int) -> tuple[int, int]:
        """(defender's, challenger's) moves in a dispute: reveals; picks and the proof."""
        reveals = len(self._logs("DisputeGame", "Revealed", id=number))
        picks = len(self._logs("DisputeGame", "Picked", id=number))
        ends = self._logs("DisputeGame", "Resolved", id=number)
        proven = any(log["args"]["reason"].rstrip(b"\0") in (b"leaf", b"part", b"digest") for log in ends)
        return reveals, picks + proven

    def revealed(self, path: bytes) -> bytes | None:
        """What was revealed under a path: hashes one after the other or a chunk's bytes; None if nothing."""
        found = self._logs("DisputeGame", "Revealed", path=path)
        return bytes(found[-1]["args"]["data"]) if found else None

    def tokens(self, account: str) -> int:
        """Settlement tokens in an account's wallet."""
        return int(self.view(self.token, "balanceOf", account))

    def locked(self, account: str) -> int:
        """What engagements and the tasks' pool hold of an account: deposits, bonds."""
        logs = self._logs("StakeVault", "Locked", account=account)
        engagements = {(log["args"]["module"], bytes(log["args"]["engagement"])) for log in logs}
        amounts = (self.view(self.vault, "engagementOf", *engagement) for engagement in engagements)
        return sum(int(amount) for holder, amount in amounts if holder == account) + self._held(account)

    def _held(self, account: str) -> int:
        """What the tasks' pool holds of an account: as solver, and as drawn verifier that nobody has answered."""
        accepted = {
            log["args"]["id"]: log["args"]["deposit"]
            for log in self._logs("TaskMarket", "TaskAccepted", solver=account)
        }
        held = sum(
            int(deposit)
            for task, deposit in accepted.items()
            if TaskState.ACCEPTED <= self.state(task) <= TaskState.AUDITING and self.solver(task) == account
        )
        drawn = {
            (log["args"]["task"], log["args"]["segment"])
            for log in self._logs("AuditCourt", "SegmentDrawn", verifier=account)
        }
        for task, segment in drawn:
            slot = self.slot(task, segment)
            if slot.held and slot.verifier == account:
                held += self.numbers(self.task(task).terms).claim_deposit + self.parameters.claim_bond
        return held

    def unbonding(self, account: str) -> int:
        """Free stake that an account has asked to withdraw."""
        return int(self.view(self.vault, "unbondingOf", account)[0])

    def weight(self, account: str) -> int:
        """An account's weight in the draws, units of stake; 0: it is in none."""
        return int(self.view(self.court, "weightOf", account))

    def notice_end(self, account: str) -> int:
        """When the notice that an account gave is over (timestamp), and it may leave the draws; 0: it gave none."""
        return int(self.view(self.vault, "unbondingOf", account)[1])

    def on_duty(self, account: str) -> int:
        """Free stake that an account is weighed by, and can use for nothing else."""
        return int(self.view(self.vault, "dutyOf", account))

    def stake(self, account: str) -> int:
        """An account's whole stake: free and locked."""
        return self.free_stake(account) + self.locked(account)

    def free_stake(self, account: str) -> int:
        """An account's stake that no engagement holds."""
        return int(self.view(self.vault, "freeStakeOf", account))

    def idle_stake(self, account: str) -> int:
        """An account's free stake that is not on duty."""
        return max(0, self.free_stake(account) - self.on_duty(account))

    def owed(self, account: str) -> int:
        """What an account may withdraw at once."""
        return int(self.view(self.vault, "owedTo", account))

    def worth(self, account: str) -> int:
        """Everything an account has: wallet, stake, payouts."""
        return self.tokens(account) + self.stake(account) + self.owed(account)

    # Sending

    def send(self, contract: Contract, function: str, *arguments: Any, doing: str) -> Sent:
        """Send a transaction; its kind in gas tables is the function's name."""
        return self.client.send(contract.functions[function](*arguments), function, doing)

    def send_all(
        self, function: str, calls: Sequence[tuple[Any, ...]], doing: str, contract: Contract | None = None
    ) -> None:
        """Send calls of one function, many to a transaction; either all in it take effect, or none.

        ``contract`` is the court unless another is named.
        """
        contract = contract or self.court
        for start in range(0, len(calls), BATCH):
            batch = calls[start : start + BATCH]
            if len(batch) == 1:
                self.send(contract, function, *batch[0], doing=doing)
                continue
            data = [contract.encode_abi(function, args=list(arguments)) for arguments in batch]
            self.client.send(contract.functions.multicall(data), f"{function}, many", doing)

    def allow(self, spender: Contract, amount: int) -> None:
        """Let a contract take ``amount`` tokens from the wallet, if it may not already."""
        allowed = self.view(self.token, "allowance", self.client.address, spender.address)
        if allowed < amount:
            self.send(self.token, "approve", spender.address, 2**256 - 1, doing="approve the token")

    def deposit(self, amount: int) -> None:
        """Add ``amount`` from the wallet to the account's stake."""
        self.allow(self.vault, amount)
        self.send(self.vault, "deposit", amount, doing=f"deposit {amount_text(amount)} of stake")

    def can_stake(self, needed: int) -> bool:
        """Whether idle stake and wallet of this account have so much together."""
        address = self.client.address
        return self.idle_stake(address) + self.tokens(address) >= needed

    def ensure_stake(self, needed: int, *, on_duty: bool = False) -> None:
        """Deposit what is missing to have ``needed`` idle stake; ``on_duty``: to have so much of any free stake.

        Draws, disputes and demands may take stake that is on duty, nothing else.
        """
        address = self.client.address
        missing = needed - (self.free_stake(address) if on_duty else self.idle_stake(address))
        if missing > 0:
            self.deposit(missing)


def _posted(log: Any, roots: Mapping[int, bytes]) -> PostedTask:
    args = log["args"]
    terms = TaskTerms.from_abi(args["terms"])
    return PostedTask(replace(terms, work_root=roots.get(terms.id, terms.work_root)), args["escrow"], args["uri"])
