"""What the contracts' structs and enums are in Python.

Field order is the ABI's: ``tests/offchain/chain/test_types.py`` holds every dataclass equal to the compiled ABI.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from enum import IntEnum
from typing import Any, Self


class TaskState(IntEnum):
    """Where a task stands; twin of ``TaskState`` in ``ITaskMarket.sol``."""

    NONE = 0
    OPEN = 1
    ACCEPTED = 2
    SOLVING = 3
    COMMITTED = 4
    AUDITING = 5
    SETTLED = 6
    REJECTED = 7
    UNAVAILABLE = 8
    VOID = 9
    CANCELLED = 10
    EXPIRED = 11

    @property
    def terminal(self) -> bool:
        """Whether the task has ended."""
        return self >= TaskState.SETTLED


class SlotState(IntEnum):
    """Where a drawn segment stands; twin of ``SlotState`` in ``IAuditCourt.sol``."""

    NONE = 0
    DRAWN = 1
    REDRAWING = 2
    PASSED = 3
    FAILED = 4
    WITHHELD = 5
    MOOT = 6


class Role(IntEnum):
    """What an account is known for; twin of ``Role`` in ``IReputationLedger.sol``."""

    SOLVER = 0
    VERIFIER = 1
    WHISTLEBLOWER = 2


class PieceKind(IntEnum):
    """What of a segment's start and end can be demanded; twin of ``PieceKind`` in ``IDataDemands.sol``."""

    LINK = 0
    ITEMS = 1
    CONSTANT = 2
    STATE = 3
    COMMITTED = 4


class DemandState(IntEnum):
    """Where a demand stands; twin of ``DemandState`` in ``IDataDemands.sol``."""

    NONE = 0
    OPEN = 1
    ANSWERED = 2
    LAPSED = 3
    DROPPED = 4


class _Struct:
    """A dataclass that travels as an ABI tuple."""

    def abi(self) -> tuple[Any, ...]:
        """The values in ABI order."""
        return astuple(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_abi(cls, values: Any) -> Self:
        """From a tuple in ABI order, or from the mapping web3 makes of an event's struct."""
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        if isinstance(values, tuple | list):
            return cls(*values)
        camel = [name.split("_")[0] + "".join(part.title() for part in name.split("_")[1:]) for name in names]
        return cls(*(values[name] for name in camel))


@dataclass(frozen=True, slots=True)
class TaskOffer(_Struct):
    """What a submitter offers; see ``ITaskMarket.TaskOffer``."""

    step_header: bytes
    init_header: bytes
    seed: int
    steps: int
    segment_steps: int
    audits: int
    price: int
    wage: int
    levy: int
    accept_deadline: int
    solve_window: int
    uri: str
    options: int = 0


@dataclass(frozen=True, slots=True)
class TaskTerms(_Struct):
    """A task's terms; see ``ITaskMarket.TaskTerms``. ``work_root``: 32 bytes, zero until the solver has committed."""

    id: int
    submitter: str
    step_program: bytes
    init_program: bytes
    step_work: int
    init_work: int
    state_chunks: int
    node_count: int
    init_node_count: int
    seed: int
    steps: int
    segment_steps: int
    audits: int
    price: int
    wage: int
    levy: int
    accept_deadline: int
    solve_window: int
    options: int = 0
    work_root: bytes = bytes(32)


@dataclass(frozen=True, slots=True)
class Declaration(_Struct):
    """What an applicant says it can do; see ``ISolverSelection.Declaration``. ``rate``: 10^6 units of work a second."""

    families: int
    memory_mib: int
    rate: int


@dataclass(frozen=True, slots=True)
class Selection(_Struct):
    """Where the draw of a task's solver stands; see ``ISolverSelection.Selection``."""

    total: int
    count: int
    solve_window: int
    closed: bool
    compensation: int


MALFORMED = 2**16 - 1
"""``Slot.standing`` of a segment whose start was malformed."""


CALLED_ROUND = 255
"""The only round of a segment that was not drawn but called up; ``CourtKeys.CALLED``."""


@dataclass(frozen=True, slots=True)
class Slot(_Struct):
    """What the court stores of a drawn or called-up segment; see ``IAuditCourt.Slot``."""

    state: int
    round: int
    misses: int
    verifier: str
    claim_deadline: int
    claims: int
    open_disputes: int
    standing: int
    beacon_value: bytes
    held: bool

    @property
    def is_called(self) -> bool:
        """Whether a volunteer called the segment up, and nobody drew it."""
        return self.round == CALLED_ROUND

    @property
    def rounds(self) -> range:
        """Numbers of the rounds so far."""
        return range(self.round if self.is_called else 0, self.round + 1)


@dataclass(frozen=True, slots=True)
class ClaimRecord(_Struct):
    """What the court stores of a claim; see ``IAuditCourt.ClaimRecord``."""

    body_hash: bytes
    end_root: bytes
    claimant: str
    order: int
    passes: bool
    convicted: bool
    digest_convicted: bool
    closed: bool
    open_disputes: int
    digest_finder: str


@dataclass(frozen=True, slots=True)
class ClaimRef(_Struct):
    """Names a claim: its segment, draw round and position in that round; see ``IAuditCourt.ClaimRef``."""

    task: int
    segment: int
    round: int
    index: int


@dataclass(frozen=True, slots=True)
class ClaimBody(_Struct):
    """What a claimant states about a segment; see ``IAuditCourt.ClaimBody``. Roots are 32 bytes."""

    start_root: bytes
    checkpoint_root: bytes
    end_root: bytes
    digest: bytes
    commitment: bytes = bytes(32)
    trace_root: bytes = bytes(32)


@dataclass(frozen=True, slots=True)
class Dispute(_Struct):
    """What the game stores of a dispute; see ``IDisputeGame.Dispute``."""

    task: int
    segment: int
    round: int
    defender_index: int
    challenger_index: int
    phase: int
    outcome: int
    digest: bool
    digest_step: int
    steps: int
    step: int
    level: int
    node_count: int
    node: int
    index: int
    defender: str
    turn_start: int
    defender_clock: int
    challenger: str
    challenger_clock: int
    target: bytes
    previous_state: bytes
    state: bytes
    node_hash: bytes


@dataclass(frozen=True, slots=True)
class Seat(_Struct):
    """A place on the beacon's panel; see ``IRevealers``. Moments are blocks; ``left_at`` 0 while on the panel."""

    account: str
    joined_at: int
    left_at: int
    struck: bool
    root: bytes
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Draw(_Struct):
    """A value asked of the beacon; see ``IRevealers``. ``members`` and ``missing`` have one bit a seat."""

    target: int
    members: int
    missing: int
    recorded: bool


@dataclass(frozen=True, slots=True)
class Piece(_Struct):
    """What can be demanded at once: a run of 32 entries or chunks; see ``IDataDemands.Piece``."""

    task: int
    segment: int
    kind: int
    init: bool
    index: int
    run: int


@dataclass(frozen=True, slots=True)
class Place(_Struct):
    """What shows that a piece exists; see ``IDataDemands.Place``."""

    header: bytes = b""
    entry: bytes = b""
    proof: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Subject(_Struct):
    """What an answer is held against; see ``IDataDemands.Subject``."""

    root: bytes
    form: bytes
    size: int
    entries: int
    length: int


@dataclass(frozen=True, slots=True)
class Demand(_Struct):
    """What is stored of a demand; see ``IDataDemands.Demand``."""

    demander: str
    deadline: int
    state: int
    round: int
    pauses: bool
    subject: bytes
