"""What a replay needs of a task: programs, data, and the solver's checkpoints, as published or as answered to demands.

What breaks the rules in it is shown to the chain: an invalid program, a checkpoint that is no state of the program.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from lockstep.agents.base import Agent
from lockstep.agents.pieces import link_piece, read_link
from lockstep.agents.workload import WorkloadError, find_fault, read_start
from lockstep.chain.errors import Reverted
from lockstep.chain.lockstep import PostedTask
from lockstep.dispute import claims
from lockstep.dispute.starts import find_malformed
from lockstep.engine.checkpoint import parse_checkpoint
from lockstep.engine.committed import committed_tensors, reads_committed
from lockstep.engine.errors import EngineError
from lockstep.program.faults import ProgramFault
from lockstep.storage.manifest import WorkManifest, get_manifest
from lockstep.storage.store import StorageError

STARTS, ENDS = "convictMalformedStart", "convictMalformedEnd"
"""Functions that show a malformed checkpoint: the one a segment starts from, the one it must end in."""


class DataMissingError(RuntimeError):
    """What the solver must publish is missing, damaged, or not what it committed to."""


@dataclass(frozen=True, slots=True)
class Link:
    """Roots of the checkpoints a segment starts from and ends in, and their proof under the work root."""

    start: bytes
    checkpoint: bytes
    proof: list[bytes]


class Reader(Agent):
    """Reads what the submitter and the solver of a task must have published."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._examined: set[tuple[int, str]] = set()
        self._accused: set[tuple[int, int, bytes]] = set()

    def exposes(self, posted: PostedTask) -> bool:
        """Void a task whose program breaks the rules, where the chain can be shown how; whether that was done.

        A drawn verifier can replay nothing of it, and would pay for silence.
        """
        task, uri = posted.terms.id, self.uri(posted)
        if (task, uri) in self._examined:
            return False
        try:
            self.bench(posted)
            return False
        except WorkloadError as error:
            self._examined.add((task, uri))
            self.complain(f"cannot work on task {task}: {error}")
        try:
            for program, fault in find_fault(self.store, posted.terms, uri):
                if self.lockstep.is_fault(program, fault):
                    return self._void(posted, fault)
        except WorkloadError:
            pass  # said above
        return False

    def _void(self, posted: PostedTask, fault: ProgramFault) -> bool:
        market, terms = self.lockstep.market, posted.terms
        try:
            self.lockstep.send(market, "voidInvalidProgram", terms.abi(), fault.abi(), doing="void a task")
        except Reverted as error:
            if error.error != "WrongState":
                raise
            return False  # somebody else was first
        self.narrate(f"voids task {terms.id}: its program is invalid ({fault.kind.name.lower()} {fault.index})")
        return True

    def convicts_start(self, posted: PostedTask, segment: int) -> bool:
        """Show the chain that a segment starts from no state of the program; whether that was done.

        Nobody can replay it, and a drawn verifier would pay for silence. The same of what it must end in, where its
        program reads that.
        """
        try:
            link, workload = self.link(posted, segment), self.bench(posted).workload
        except (DataMissingError, WorkloadError):
            return False  # said where the replay needs them
        roots = (link.start, link.checkpoint)
        if segment:
            path = claims.start_inclusion(posted.terms, segment, roots, link.proof)
            if self._shows(posted, segment, STARTS, link.start, path):
                return True
        if not reads_committed(workload.program(segment)):
            return False
        path = claims.end_inclusion(posted.terms, segment, roots, link.proof)
        return self._shows(posted, segment, ENDS, link.checkpoint, path)

    def _shows(self, posted: PostedTask, segment: int, function: str, root: bytes, path: Sequence[bytes]) -> bool:
        """Show what is wrong with a checkpoint, where its file is there and says so, once."""
        task, workload = posted.terms.id, self.bench(posted).workload
        key = (task, segment, root)
        index = segment - 1 if function == STARTS else segment
        data = None if key in self._accused else self._file(posted, index, root)
        if data is None:
            return False  # said where the replay needs it
        self._accused.add(key)
        found = find_malformed(data, workload.step, workload.step_commitment, root)
        if found is None:
            return False
        arguments = posted.terms.abi(), segment, root, path, found.abi()
        try:
            self.lockstep.send(self.lockstep.starts, function, *arguments, doing="show a malformed checkpoint")
        except Reverted as error:
            if error.error != "WrongSlot":
                raise
            return False  # somebody else was first
        what = "starts from" if function == STARTS else "must end in"
        self.narrate(f"shows that segment {segment} of task {task} {what} no state of the program")
        return True

    # Checkpoints

    def published(self, posted: PostedTask) -> WorkManifest:
        """What the solver published: its checkpoint roots, held to the work root, and their files.

        Raises:
            DataMissingError: it is missing, damaged, or not what the solver committed to

        """
        work = self.lockstep.work(posted.terms.id)
        if work is None:
            raise DataMissingError(f"Task {posted.terms.id} has no committed work.")
        try:
            manifest = get_manifest(self.store, work.uri, WorkManifest)
        except StorageError as error:
            raise DataMissingError(str(error)) from error
        segments = claims.last_segment(posted.terms) + 1
        if len(manifest.roots) != segments or claims.work_tree(checkpoint_roots(manifest)).root != work.root:
            raise DataMissingError("The solver's manifest does not list the checkpoints it committed to.")
        if len(manifest.checkpoints) != segments:
            raise DataMissingError("The solver's manifest does not name a file for each checkpoint.")
        return manifest

    def link(self, posted: PostedTask, segment: int) -> Link:
        """The checkpoints a segment starts from and ends in: as published, or as answered to a demand on chain.

        Raises:
            DataMissingError: there is neither

        """
        try:
            roots = checkpoint_roots(self.published(posted))
        except DataMissingError:
            task = posted.terms.id
            for demand in self.lockstep.demands(task):
                if demand.piece == link_piece(task, segment) and demand.answer is not None:
                    return Link(*read_link(demand.answer))
            raise
        start = claims.INIT_START_ROOT if segment == 0 else roots[segment - 1]
        return Link(start, roots[segment], claims.checkpoint_proof(roots, segment))

    def start(self, posted: PostedTask, segment: int) -> list[Tensor]:
        """State a segment starts from, as published or as put together from answers; nothing for the init segment.

        Raises:
            DataMissingError: it cannot be had
            WorkloadError: the task's programs or data cannot be had or break the rules

        """
        if segment == 0:
            return []
        workload, root = self.bench(posted).workload, self.link(posted, segment).start
        if segment == 1 and workload.start is not None and not self._recovered(posted, root):
            return read_start(self.store, workload, posted.terms)
        return self._checkpoint(posted, segment - 1, root)

    def committed(self, posted: PostedTask, segment: int) -> list[Tensor]:
        """What the segment's program reads of the checkpoint it must end in, and of its draw; else nothing.

        Raises:
            DataMissingError: it cannot be had
            WorkloadError: the task's programs or data cannot be had or break the rules

        """
        if not reads_committed(self.bench(posted).workload.program(segment)):
            return []
        state = self._checkpoint(posted, segment, self.link(posted, segment).checkpoint)
        return committed_tensors(state, self.lockstep.slot(posted.terms.id, segment).beacon_value)

    def _checkpoint(self, posted: PostedTask, index: int, root: bytes) -> list[Tensor]:
        """A checkpoint's state, as published or as put together from answers, or ``DataMissingError``."""
        workload = self.bench(posted).workload
        try:
            name = self._checkpoint_name(posted, index, root)
            return parse_checkpoint(self.store.get_buffer(name, workload.checkpoint_limit), workload.step, root)
        except (StorageError, EngineError) as error:
            raise DataMissingError(str(error)) from error

    def _recovered(self, posted: PostedTask, root: bytes) -> str | None:
        """Artifact of a checkpoint that was put together from answers."""
        name: str | None = self.journal.get(self.scope(posted.terms.id), f"checkpoint/{root.hex()}")
        return name

    def _checkpoint_name(self, posted: PostedTask, index: int, root: bytes) -> str:
        """Artifact of a checkpoint, as put together from answers or as published."""
        return self._recovered(posted, root) or self.published(posted).checkpoints[index]

    def _file(self, posted: PostedTask, index: int, root: bytes) -> memoryview | None:
        """A checkpoint's file as it is, None where it cannot be had."""
        try:
            name = self._checkpoint_name(posted, index, root)
            return self.store.get_buffer(name, self.bench(posted).workload.checkpoint_limit)
        except (DataMissingError, StorageError):
            return None


def checkpoint_roots(manifest: WorkManifest) -> list[bytes]:
    """The checkpoint roots a manifest lists."""
    return [bytes.fromhex(root) for root in manifest.roots]
