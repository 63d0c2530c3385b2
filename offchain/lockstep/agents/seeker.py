"""What a claimant does where a replay's data are not to be had: demand them on chain, wait, put the answers together.

Nothing is remembered but the chain: which pieces were demanded and answered is in its logs. What is put together goes
into the store, and its name into the journal. Answers were held to the commitments by the contract, and are held to
them again where they are read.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import save

from lockstep.agents import pieces
from lockstep.agents.base import RECOVERED
from lockstep.agents.reader import DataMissingError, Link
from lockstep.agents.workload import WorkloadError, load_constant, load_program
from lockstep.chain.amounts import amount_text
from lockstep.chain.errors import Reverted
from lockstep.chain.lockstep import BATCH, PostedDemand, PostedTask
from lockstep.chain.options import TaskOptions
from lockstep.chain.terms import WHOLE_BPS
from lockstep.chain.types import DemandState, Piece, PieceKind, Place
from lockstep.engine.checkpoint import header_of
from lockstep.engine.committed import reads_committed
from lockstep.numerics.dtypes import NUMPY
from lockstep.program.encoding import EncodingError, ProgramCommitment, hash_header
from lockstep.program.graph import Program
from lockstep.storage.manifest import TaskManifest, get_manifest, put_manifest
from lockstep.storage.store import StorageError

if TYPE_CHECKING:
    from lockstep.agents.claimant import Claimant

RACE_ERRORS = frozenset({"AlreadyDemanded", "NotOpen", "NotAudited", "NotWaiting", "WrongDemand", "DemandOverdue"})
"""Refusals that mean: somebody asked or answered first, or it is too late to ask."""
UNKNOWN_START = f"sha256:{'0' * 64}"
"""Stands for what a stacked task starts from where nobody named it: there is no such artifact, so it is demanded."""

Made = tuple[Program, ProgramCommitment]
Want = tuple[Piece, ProgramCommitment | None, bytes]
"""A piece, the commitment of its program where that is there, and the program's header."""


class Seeker:
    """Demands for one claimant.

    ``limit`` bounds the fees it pays for one segment, base units; None: what the finders of a solver that does not
    answer share, for that is what demanding can bring. Where all that is missing costs more, it demands as much of it
    as that, picked at random.
    """

    def __init__(self, party: Claimant, limit: int | None = None) -> None:
        self.party = party
        self.limit = limit

    def seek(self, posted: PostedTask, segment: int) -> bool:
        """Take one step towards a segment's data; whether anything was done. To be repeated until they are there."""
        task = posted.terms.id
        demands = self.party.lockstep.demands(task)
        search = _Search(self.party, posted, segment, demands)
        if search.recover():
            return True
        asked = {demand.piece for demand in demands}
        wanted = {want[0]: want for want in search.wanted}
        joined = self._join(posted, segment, [demand for demand in demands if demand.piece in wanted])
        left = [want for piece, want in wanted.items() if piece not in asked]
        return (self._demand(posted, segment, left, demands) if left else False) or joined

    def _join(self, posted: PostedTask, segment: int, others: Sequence[PostedDemand]) -> bool:
        """Wait for what somebody else demanded, so that the clock stands still; only a drawn verifier may."""
        chain = self.party.lockstep
        if not others or chain.slot(posted.terms.id, segment).verifier != self.party.address:
            return False
        held = [(demand, chain.demand(demand.id)) for demand in others if demand.deadline >= chain.now()]
        calls = [(demand.piece.abi(),) for demand, now in held if now.state == DemandState.OPEN and not now.pauses]
        if not calls:
            return False
        try:
            chain.send_all("join", calls, doing="wait for data", contract=chain.data_demands)
        except Reverted as error:
            if error.error not in RACE_ERRORS:
                self.party.complain(str(error))
            return False
        self.party.narrate(f"waits for {len(calls)} pieces that others demanded of segment {segment}")
        return True

    def _demand(
        self, posted: PostedTask, segment: int, wanted: Sequence[Want], demands: Sequence[PostedDemand]
    ) -> bool:
        """Demand what is wanted, as far as the limit goes."""
        chain, terms = self.party.lockstep, posted.terms
        numbers, parameters = chain.demand_parameters, chain.parameters
        limit = self.limit
        if limit is None:
            limit = chain.numbers(terms).solver_deposit * parameters.finder_bps // WHOLE_BPS
        spent = sum(d.fee for d in demands if d.demander == self.party.address and d.piece.segment == segment)
        queue = max(0, int(chain.view(chain.data_demands, "queueEndOf", terms.id)) - chain.now())
        calls, fees, left_out = [], 0, 0
        for piece, made, header in sorted(wanted, key=lambda want: (want[0].kind, secrets.randbits(32))):
            place = Place(header) if made is None else pieces.place_of(piece, made)
            length = pieces.paid_length(piece, place, self._entry(piece, made))
            plain = numbers.flat_fee + length * numbers.byte_fee
            fee = plain + plain * queue // numbers.doubling
            if spent + fees + fee > limit:
                left_out += 1
                continue
            calls.append((terms.abi(), piece.abi(), place.abi()))
            fees += fee
            queue += -(-length // numbers.rate)
        if left_out:
            self.party.complain(
                f"leaves {left_out} pieces of segment {segment} of task {terms.id} undemanded: all would cost more "
                f"than {amount_text(limit)}"
            )
        if not calls:
            return False
        chain.ensure_stake(fees, on_duty=True)
        try:
            for start in range(0, len(calls), BATCH):
                batch = calls[start : start + BATCH]
                chain.send_all("demand", batch, doing="demand data", contract=chain.data_demands)
        except Reverted as error:
            if error.error not in RACE_ERRORS:
                self.party.complain(str(error))
            return False
        self.party.narrate(
            f"demands {len(calls)} pieces of what segment {segment} of task {terms.id} needs, for {amount_text(fees)}"
        )
        return True

    def _entry(self, piece: Piece, made: ProgramCommitment | None) -> pieces.Entry | None:
        if made is None or piece.kind in (PieceKind.LINK, PieceKind.ITEMS):
            return None
        return pieces.entry_of(piece, made)


class _Search:
    """One look for what a segment's replay needs: what is there, what was answered, what is wanted."""

    def __init__(self, party: Claimant, posted: PostedTask, segment: int, demands: Sequence[PostedDemand]) -> None:
        self.party, self.posted, self.segment = party, posted, segment
        self.wanted: list[Want] = []
        # A program's pieces serve every segment.
        self._answers = {self._key(d.piece): d.answer for d in demands if d.answer is not None}

    @property
    def _is_stacked(self) -> bool:
        return bool(TaskOptions.unpack(self.posted.terms.options).parent)

    def _key(self, piece: Piece) -> tuple[int, int, bool, int, int]:
        own = piece.kind in (PieceKind.LINK, PieceKind.STATE, PieceKind.COMMITTED)
        return piece.segment if own else -1, piece.kind, piece.init, piece.index, piece.run

    def recover(self) -> bool:
        """Put together what is all answered; whether there was anything. What is not is in ``wanted``."""
        programs = self._programs()
        recovered = programs is not None and self._workload(programs)
        link = self._link()
        if link is None or programs is None:
            return recovered
        made = programs[self.segment == 0]
        if self.segment and self._lacks(self.party.start):
            recovered |= self._state(link.start, made, PieceKind.STATE)
        if reads_committed(made[0]) and self._lacks(self.party.committed):
            recovered |= self._state(link.checkpoint, made, PieceKind.COMMITTED)
        return recovered

    def _take(self, wanted: Sequence[Piece], made: ProgramCommitment | None, header: bytes) -> list[bytes] | None:
        """The answers for pieces, if all are there; else those that are not are wanted."""
        found = [self._answers.get(self._key(piece)) for piece in wanted]
        self.wanted += [(piece, made, header) for piece, data in zip(wanted, found, strict=True) if data is None]
        whole = [data for data in found if data is not None]
        return whole if len(whole) == len(found) else None

    def _link(self) -> Link | None:
        """Roots of the start and the end, where they are known."""
        try:
            return self.party.link(self.posted, self.segment)
        except DataMissingError:
            self._take([pieces.link_piece(self.posted.terms.id, self.segment)], None, b"")
            return None

    # Programs and constants

    def _manifest(self) -> TaskManifest | None:
        with suppress(StorageError):
            return get_manifest(self.party.store, self.party.uri(self.posted), TaskManifest)
        return None

    def _programs(self) -> dict[bool, Made] | None:
        """Step (False) and init (True) program; None where one is wanted. A stacked task has no init program."""
        manifest = self._manifest()
        made: dict[bool, Made] = {}
        for init in (False,) if self._is_stacked else (False, True):
            program = self._program(manifest, init=init)
            if program is not None:
                made[init] = program
        return made if len(made) == (1 if self._is_stacked else 2) else None

    def _program(self, manifest: TaskManifest | None, *, init: bool) -> Made | None:
        store, terms = self.party.store, self.posted.terms
        program_hash, what = (terms.init_program, "init") if init else (terms.step_program, "step")
        if manifest is not None:
            with suppress(StorageError, EncodingError, WorkloadError):
                return load_program(store, (manifest.init or "") if init else manifest.step, program_hash, what)
        headers = self.party.lockstep.program_headers(terms.id)
        if headers is None or hash_header(headers[init]) != program_hash:
            self.party.complain(f"cannot demand the programs of task {terms.id}: their headers are in no direct call")
            return None
        header = headers[init]
        answers = self._take(pieces.item_pieces(terms.id, self.segment, header, init=init), None, header)
        if answers is None:
            return None
        return load_program(store, store.put(pieces.program_file(header, answers)), program_hash, what)

    def _workload(self, programs: dict[bool, Made]) -> bool:
        """Make a manifest of what was answered, where the submitter's does not do."""
        with suppress(WorkloadError):
            self.party.bench(self.posted)
            return False
        store, manifest = self.party.store, self._manifest()
        names = {init: self._constants(manifest, made, init=init) for init, made in programs.items()}
        step, init = names[False], names.get(True, [])
        if step is None or init is None:
            return False
        uri = put_manifest(
            store,
            TaskManifest(
                step=store.put(programs[False][1].file_bytes()),
                init=store.put(programs[True][1].file_bytes()) if True in programs else None,
                start=self._start_name(manifest),
                constants=step,
                init_constants=init,
            ),
        )
        if uri == self.party.uri(self.posted):
            return False  # what is wrong with it is not that it is missing
        self.party.journal.put(self.party.scope(self.posted.terms.id), RECOVERED, uri)
        self.party.narrate(f"puts programs and data of task {self.posted.terms.id} together from answers on chain")
        return True

    def _start_name(self, manifest: TaskManifest | None) -> str | None:
        """Artifact that a stacked task starts from, as far as anybody named it; None where the task is not stacked."""
        if not self._is_stacked:
            return None
        return UNKNOWN_START if manifest is None or manifest.start is None else manifest.start

    def _constants(self, manifest: TaskManifest | None, made: Made, *, init: bool) -> list[str] | None:
        """Names of a program's constants in the store; None where one is wanted."""
        (program, commitment), store, task = made, self.party.store, self.posted.terms.id
        stored = [] if manifest is None else manifest.init_constants if init else manifest.constants
        names: list[str | None] = []
        for index, entry in enumerate(program.constants):
            if index < len(stored):
                with suppress(StorageError, WorkloadError):
                    load_constant(store, stored[index], entry)
                    names.append(stored[index])
                    continue
            wanted = pieces.constant_pieces(task, self.segment, program, index, init=init)
            answers = self._take(wanted, commitment, commitment.header)
            names.append(None if answers is None else store.put(save({"data": _array(answers, entry)})))
        found = [name for name in names if name is not None]
        return found if len(found) == len(names) else None

    # The state

    def _lacks(self, read: Callable[[PostedTask, int], object]) -> bool:
        """Whether a checkpoint cannot be had as it is."""
        with suppress(DataMissingError, WorkloadError):
            read(self.posted, self.segment)
            return False
        return True

    def _state(self, root: bytes, made: Made, kind: PieceKind) -> bool:
        """Store the checkpoint that the segment starts from, or must end in, where all of it was answered."""
        scope, name = self.party.scope(self.posted.terms.id), f"checkpoint/{root.hex()}"
        program, commitment = made
        wanted = pieces.state_pieces(self.posted.terms.id, self.segment, program, kind)
        answers = self._take(wanted, commitment, commitment.header)
        if answers is None or self.party.journal.get(scope, name) is not None:
            return False
        parts: dict[int, list[bytes]] = {}
        for piece, data in zip(wanted, answers, strict=True):
            parts.setdefault(piece.index, []).append(data)
        # Byte for byte, whatever they say: what is no state of the program can be shown to be none.
        file = [header_of(program).data, *(part for index in range(len(program.state)) for part in parts[index])]
        self.party.journal.put(scope, name, self.party.store.put_parts([memoryview(part) for part in file]))
        which = "start" if kind == PieceKind.STATE else "end"
        self.party.narrate(
            f"puts the {which} of segment {self.segment} of task {self.posted.terms.id} together from answers on chain"
        )
        return True


def _array(parts: Sequence[bytes], entry: pieces.Entry) -> np.ndarray:
    """A tensor from the bytes of its runs, in memory of its own."""
    return np.frombuffer(bytearray(b"".join(parts)), NUMPY[entry.dtype]).reshape(entry.shape)
