"""A folder in which one job is trained on this machine: which job, how far it is, the newest checkpoint.

``run.json`` names the programs and the seed, and has the root of every checkpoint so far. It is replaced after the
checkpoint's own file is whole, so whatever ends the process, the folder holds a checkpoint and its root, and the same
command goes on from there.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from torch import Tensor

from lockstep.cli.errors import CommandError
from lockstep.engine.checkpoint import read_checkpoint, state_root, write_checkpoint, write_whole
from lockstep.program.graph import Program

RECORD, LOCK, WEIGHTS = "run.json", "lock", "weights.safetensors"
RECORD_LIMIT = 64 << 20
"""Most bytes of a record that is read."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is trained: hashes of both programs (hex), the seed, steps between checkpoints; in which precision."""

    step_program: str
    init_program: str
    seed: int
    segment_steps: int
    precision: str = "exact"


@dataclass(slots=True)
class Record:
    """A job and the checkpoints done: (steps done, state root as hex) each, the start's first."""

    job: Job
    checkpoints: list[tuple[int, str]] = field(default_factory=list)


class LocalRun:
    """One job's folder, held by this process alone (``opened``)."""

    def __init__(self, folder: Path, job: Job) -> None:
        self.folder = folder
        self.record = self._read() or Record(job)
        if self.record.job != job:
            raise CommandError(
                f"{folder} holds another job: model, options, seed, --precision or --segment-steps differ. Pass another"
                " --out."
            )

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, job: Job) -> Iterator[LocalRun]:
        """The folder, made if it is not there.

        Raises:
            CommandError: another process trains in it, it holds another job, or its record is damaged

        """
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go of when the process ends, however it ends
            except BlockingIOError:
                raise CommandError(f"Another process trains in {folder}. Stop it, or pass another --out.") from None
            yield cls(folder, job)

    def _read(self) -> Record | None:
        path = self.folder / RECORD
        if not path.exists():
            return None
        try:
            if path.stat().st_size > RECORD_LIMIT:
                raise ValueError("it is too large")
            found = json.loads(path.read_bytes())
            checkpoints = [(int(steps), str(root)) for steps, root in found["checkpoints"]]
            return Record(Job(**found["job"]), checkpoints)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise CommandError(f"{path} cannot be read ({error}). Delete the folder to train from the start.") from None

    @property
    def done(self) -> int:
        """Steps up to the newest checkpoint; -1 where there is none, not even the start."""
        return self.record.checkpoints[-1][0] if self.record.checkpoints else -1

    def _checkpoint(self, steps: int) -> Path:
        return self.folder / f"checkpoint-{steps:08}.safetensors"

    def load(self, program: Program) -> list[Tensor]:
        """State at the newest checkpoint, held to its root.

        Raises:
            CheckpointError: the file is damaged, or is another state's

        """
        steps, root = self.record.checkpoints[-1]
        path = self._checkpoint(steps)
        if not path.is_file():
            raise CommandError(f"{path} is missing. Delete the folder to train from the start.")
        return read_checkpoint(path, program, bytes.fromhex(root))

    def save(self, program: Program, steps: int, state: Sequence[Tensor]) -> str:
        """Keep a checkpoint and its root, and let go of the one before it; the root as hex."""
        root = state_root(state).hex()
        before = self.done
        write_checkpoint(self._checkpoint(steps), program, state)
        self.record.checkpoints.append((steps, root))
        write_whole(self.folder / RECORD, [json.dumps(asdict(self.record), indent=1).encode()])
        if before >= 0:
            self._checkpoint(before).unlink(missing_ok=True)
        return root
