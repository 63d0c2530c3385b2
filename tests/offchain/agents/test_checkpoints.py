"""A solver's checkpoints are stored beside its training; what the journal names is in the store, whatever happens."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lockstep.agents import checkpoints
from lockstep.agents.checkpoints import CheckpointLog, CheckpointWriter, Stored
from lockstep.agents.journal import Journal
from lockstep.engine.checkpoint import checkpoint_parts, parse_checkpoint, state_root
from lockstep.numerics.dtypes import DType
from lockstep.program.graph import Program, StateEntry
from lockstep.storage.store import ArtifactStore, StorageError, artifact_name

PROGRAM = Program((), (StateEntry(DType.F32, (300,)), StateEntry(DType.I32, ())))
LIMIT = 10_000


def a_state(number: int) -> list[Tensor]:
    return [torch.full((300,), float(number)), torch.tensor(number, dtype=torch.int32)]


def expected(number: int) -> Stored:
    return state_root(a_state(number)).hex(), artifact_name(b"".join(checkpoint_parts(PROGRAM, a_state(number))))


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(str(tmp_path / "store"))


@pytest.fixture
def log(tmp_path: Path) -> CheckpointLog:
    return CheckpointLog(Journal(tmp_path / "journal.sqlite"), "deployment/7")


def require_readable(store: ArtifactStore, stored: Sequence[Stored]) -> None:
    for root, name in stored:
        parse_checkpoint(store.get_buffer(name, LIMIT), PROGRAM, bytes.fromhex(root))


def test_all_checkpoints_are_stored_and_recorded_in_order_when_the_context_ends(
    store: ArtifactStore, log: CheckpointLog
) -> None:
    with CheckpointWriter(store, log, PROGRAM, 0) as writer:
        for number in range(30):
            writer.put(a_state(number))
    with CheckpointWriter(store, log, PROGRAM, 30) as writer:  # a later life
        writer.put(a_state(30))
    assert log.read() == [expected(number) for number in range(31)]
    require_readable(store, log.read())


def test_states_handed_in_are_stored_where_training_fails(store: ArtifactStore, log: CheckpointLog) -> None:
    def train() -> None:
        with CheckpointWriter(store, log, PROGRAM, 0) as writer:
            writer.put(a_state(0))
            writer.put(a_state(1))
            raise RuntimeError("a rank died")

    with pytest.raises(RuntimeError, match="a rank died"):
        train()
    assert log.read() == [expected(0), expected(1)]


class FullStore(ArtifactStore):
    """Takes two artifacts, and has no room for more."""

    taken = 0

    def put_hashed(self, digest: bytes, parts: Sequence[bytes | memoryview]) -> str:
        self.taken += 1
        if self.taken > 2:
            raise StorageError("disk full")
        return super().put_hashed(digest, parts)


@pytest.mark.parametrize("many", [False, True], ids=["at the end", "while training"])
def test_error_of_the_store_reaches_the_training_and_nothing_is_recorded_after_it(
    tmp_path: Path, log: CheckpointLog, monkeypatch: pytest.MonkeyPatch, many: bool
) -> None:
    monkeypatch.setattr(checkpoints, "WAITING", 1)
    full = FullStore(str(tmp_path / "full"))

    def train() -> None:
        with CheckpointWriter(full, log, PROGRAM, 0) as writer:
            for number in itertools.count() if many else range(3):  # `many`: until `put` says it
                writer.put(a_state(number))

    with pytest.raises(StorageError, match="disk full"):
        train()
    assert full.taken == 3
    assert log.read() == [expected(0), expected(1)][: len(log.read())]
    require_readable(full, log.read())
    assert "checkpoints" not in {thread.name for thread in threading.enumerate()}


class CountingStore(ArtifactStore):
    """Knows how many artifacts it was given."""

    given = 0

    def put_hashed(self, digest: bytes, parts: Sequence[bytes | memoryview]) -> str:
        time.sleep(0.002)  # slower than the training
        name = super().put_hashed(digest, parts)
        self.given += 1
        return name


@pytest.mark.parametrize(("states", "size", "room"), [(3, 1 << 20, 3), (64, 2 * 1204, 2), (64, 1203, 0)])
def test_training_waits_while_too_much_is_on_its_way(
    tmp_path: Path, log: CheckpointLog, monkeypatch: pytest.MonkeyPatch, states: int, size: int, room: int
) -> None:
    monkeypatch.setattr(checkpoints, "WAITING", states)
    monkeypatch.setattr(checkpoints, "WAITING_BYTES", size)
    counting = CountingStore(str(tmp_path / "counting"))
    ahead: list[int] = []
    with CheckpointWriter(counting, log, PROGRAM, 0) as writer:
        for number in range(20):
            writer.put(a_state(number))
            ahead.append(number + 1 - counting.given)
    assert max(ahead) == room
    assert log.read() == [expected(number) for number in range(20)]


def test_short_segments_share_a_record_and_the_last_is_not_kept_waiting(
    store: ArtifactStore, log: CheckpointLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    add = CheckpointLog.add

    def counted(self: CheckpointLog, first: int, stored: Sequence[Stored]) -> None:
        sizes.append(len(stored))
        add(self, first, stored)

    monkeypatch.setattr(CheckpointLog, "add", counted)
    monkeypatch.setattr(checkpoints, "RECORD_SECONDS", 0.3)
    with CheckpointWriter(store, log, PROGRAM, 0) as writer:
        for number in range(20):
            writer.put(a_state(number))
        deadline = time.monotonic() + 30
        while len(log.read()) < 20:  # while training goes on
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert sum(sizes) == 20 > len(sizes)


def test_checkpoints_recorded_by_a_process_that_is_killed_are_in_the_store(tmp_path: Path) -> None:
    script = f"""
import torch
from lockstep.agents.checkpoints import CheckpointLog, CheckpointWriter
from lockstep.agents.journal import Journal
from lockstep.storage.store import ArtifactStore
from tests.offchain.agents.test_checkpoints import PROGRAM, a_state
log = CheckpointLog(Journal({str(tmp_path / "journal.sqlite")!r}), "1/7")
with CheckpointWriter(ArtifactStore({str(tmp_path / "store")!r}), log, PROGRAM, 0) as writer:
    for number in range(100_000):
        writer.put(a_state(number))
        print(number, flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    log = CheckpointLog(Journal(tmp_path / "journal.sqlite"), "1/7")
    while len(log.read()) < 40:
        child.stdout.readline()
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    stored = log.read()
    assert len(stored) >= 40
    assert stored == [expected(number) for number in range(len(stored))]
    require_readable(ArtifactStore(str(tmp_path / "store")), stored)
