"""A solver's checkpoints: hashed, stored and recorded beside the training, in the order in which they come.

A checkpoint is recorded in the journal once its artifact is whole in the store, and never before an earlier one. So
whatever ends the process, the journal names the checkpoints that can be gone on from; what was not yet recorded is
computed again. A record waits for the disk: where segments are short, many checkpoints share one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from types import TracebackType

from torch import Tensor

from lockstep.agents.journal import Journal
from lockstep.engine.checkpoint import header_of, make_checkpoint
from lockstep.program.graph import Program
from lockstep.storage.store import ArtifactStore

WAITING_BYTES = 256 << 20
"""Bytes of states that may wait beside the training; a state larger than this is waited for."""
WAITING = 64
"""States that may wait, whatever their size."""
RECORD_SECONDS = 0.25
"""How long a stored checkpoint may wait for its record."""

Stored = tuple[str, str]
"""A checkpoint's root (hex) and the name of its artifact."""


class CheckpointLog:
    """The checkpoints of one task as the journal has them, numbered from 0 without gaps."""

    def __init__(self, journal: Journal, scope: str) -> None:
        """Of the task with this scope in the journal."""
        self._journal = journal
        self._scope = f"{scope}/checkpoints"

    def read(self) -> list[Stored]:
        """All that were recorded, in order."""
        return [(root, name) for root, name in self._journal.all(self._scope).values()]

    def add(self, first: int, checkpoints: Sequence[Stored]) -> None:
        """Record some that follow each other, all of them or none."""
        self._journal.put_all(self._scope, {f"{first + i:010}": found for i, found in enumerate(checkpoints)})


class CheckpointWriter:
    """Hashes, stores and records a task's checkpoints in a thread of its own. A context: at its end all of them are.

    What goes wrong there, a full disk for one, is raised by the next call and at the latest at the context's end;
    nothing is recorded after it.
    """

    def __init__(self, store: ArtifactStore, log: CheckpointLog, program: Program, first: int) -> None:
        """For states of ``program``; the first that comes is checkpoint ``first``."""
        self._store, self._log, self._header, self._next = store, log, header_of(program), first
        self._waiting: deque[Sequence[Tensor]] = deque()
        self._unfinished = 0
        self._unrecorded: list[Stored] = []
        self._recorded_at = -RECORD_SECONDS
        self._changed = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, name="checkpoints")

    def __enter__(self) -> CheckpointWriter:
        """Start the thread."""
        self._thread.start()
        return self

    def put(self, state: Sequence[Tensor]) -> None:
        """Hand in the next checkpoint's state, whose tensors nobody may change from now on.

        Returns at once, unless too much is waiting.
        """
        with self._changed:
            self._raise()
            self._waiting.append(state)
            self._unfinished += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._error is not None or self._unfinished <= self._room())

    def _room(self) -> int:
        """How many states may be on their way."""
        return min(WAITING, WAITING_BYTES // max(self._header.size, 1))

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until everything is stored, also where training failed; its error comes before one of storing."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        if error is None:
            self._raise()

    def _serve(self) -> None:
        try:
            while self._await():
                while state := self._take():
                    self._store_one(state)
                self._record()
        except BaseException as error:  # whatever it is, the training's thread has to know
            with self._changed:
                self._error = error
                self._waiting.clear()
                self._changed.notify_all()

    def _await(self) -> bool:
        """Wait for a state, or for the time of a record; False once there is nothing more to come or to record."""
        with self._changed:
            patience = self._due() if self._unrecorded else None
            self._changed.wait_for(lambda: self._waiting or self._closed, patience)
            return bool(self._waiting or self._unrecorded or not self._closed)

    def _due(self) -> float:
        """Seconds until the next record may be made."""
        return max(0.0, self._recorded_at + RECORD_SECONDS - time.monotonic())

    def _take(self) -> Sequence[Tensor] | None:
        with self._changed:
            return self._waiting.popleft() if self._waiting else None

    def _store_one(self, state: Sequence[Tensor]) -> None:
        made = make_checkpoint(self._header, state)
        self._unrecorded.append((made.root.hex(), self._store.put_hashed(made.digest, made.parts)))
        with self._changed:
            self._unfinished -= 1
            self._changed.notify_all()

    def _record(self) -> None:
        """Record what is stored, unless that is better done with what comes next."""
        if self._unrecorded and (self._closed or not self._due()):
            self._log.add(self._next, self._unrecorded)
            self._next += len(self._unrecorded)
            self._unrecorded = []
            self._recorded_at = time.monotonic()
