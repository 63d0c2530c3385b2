"""Several processes on this machine that do a program's steps together; this one is rank 0 and starts the others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from lockstep.engine.errors import EngineError, LostRankError
from lockstep.engine.parallel.communicator import Communicator
from lockstep.engine.parallel.share import rank_steps, share
from lockstep.engine.parallel.worker import CONSTANT, PROGRAM, meeting
from lockstep.engine.plan import make_plan
from lockstep.engine.routes import to_numpy
from lockstep.program.encoding import commit_program
from lockstep.program.graph import Program
from lockstep.program.work import program_work

MAX_RANKS = 64
_WORKER = "lockstep.engine.parallel.worker"
_END_SECONDS = 5.0
"""How long processes that should end may take before they are killed."""


def extra_memory(program: Program, ranks: int) -> int:
    """Bytes that ``ranks`` processes need beyond the estimate for one: what each has whole, and sums in exchange."""
    plan = make_plan(program)
    return (ranks - 1) * (2 * plan.state_bytes + plan.static_bytes) + 2 * ranks * plan.state_bytes


class RanksBackend:
    """A runner's steps by ``ranks`` processes that split each batch, with ``threads`` each.

    The others keep the state from step to step; a state they do not have is handed out first. When one of them ends,
    a step raises ``LostRankError`` and the others are ended.
    """

    def __init__(
        self,
        program: Program,
        constants: Sequence[Tensor],
        seed: int,
        ranks: int,
        threads: int | None = None,
        native: bool = True,
    ) -> None:
        if not 1 <= ranks <= MAX_RANKS:
            raise EngineError(f"{ranks} processes cannot share a step; it takes 1 to {MAX_RANKS}.")
        self.program, self.ranks = program, ranks
        self._threads = max(1, torch.get_num_threads() // ranks) if threads is None else threads
        self._known: list[Tensor] | None = None
        self._others: list[_Other] = []
        self._end = weakref.finalize(self, _end, self._others)
        folder = Path(tempfile.mkdtemp(prefix="lockstep-ranks-"))
        try:
            _fill(folder, program, constants)
            for rank in range(1, ranks):
                self._others.append(_Other(folder, rank, ranks, seed, self._threads, native))
            local = share(program, 0, ranks)
            self._hear("ready")
            self._tell("meet")
            self._group = Communicator(meeting(folder, ranks), 0, ranks)
            self._steps = rank_steps(local, constants, seed, self._group, self._threads, native)
            self._hear("met")
        except BaseException:
            self._end()
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self.name = f"{ranks} processes, {self._steps.name}"

    def step(
        self, state: Sequence[Tensor], step: int, out: Sequence[Tensor] | None
    ) -> tuple[list[Tensor], list[float]]:
        """As ``Runner.step``; ``out`` is not needed."""
        if not self._end.alive:
            raise LostRankError("The processes that shared this work have ended; start it again.")
        known = self._known is not None and all(map(_same_bits, state, self._known))
        try:
            self._tell(f"step {step} {'known' if known else 'given'}")
            if not known:
                for tensor in state:
                    self._group.spread(tensor)
            with torch_threads(self._threads):
                after, metrics = self._steps.step(state, step)
        except BaseException as error:
            reason = self._lost() if isinstance(error, LostRankError) else None
            self._end()
            if reason is None:
                raise
            raise LostRankError(reason) from error
        self._known = [tensor.clone() for tensor in after]
        return after, metrics

    def profile(self, state: Sequence[Tensor], step: int, repeat: int) -> list[tuple[str, float]]:
        """Mean seconds over ``repeat`` runs that rank 0 spends in each stage and in each exchange, with waiting."""
        self.step(state, step, None)
        self._steps.seconds.clear()
        for _ in range(repeat):
            self.step(state, step, None)
        return [(name, seconds / repeat) for name, seconds in self._steps.seconds.items()]

    def close(self) -> None:
        """End the other processes."""
        self._end()

    # the others

    def _tell(self, line: str) -> None:
        for other in self._others:
            other.tell(line)

    def _hear(self, word: str) -> None:
        """Wait until every process has said a word."""
        for other in self._others:
            if other.hear() != word:
                raise LostRankError(self._lost() or f"Process {other.rank} of {self.ranks} did not start.")

    def _lost(self) -> str | None:
        """A sentence on the first process that has ended; None if all are there a while after a failure."""
        stop = time.monotonic() + _END_SECONDS
        while time.monotonic() < stop:
            for other in self._others:
                how = other.ended()
                if how is not None:
                    return f"Process {other.rank} of {self.ranks} {how}. The others were ended, too; start it again."
            time.sleep(0.05)
        return None


class _Other:
    """Another rank's process."""

    def __init__(self, folder: Path, rank: int, ranks: int, seed: int, threads: int, native: bool) -> None:
        self.rank = rank
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        arguments = [str(folder), *map(str, (rank, ranks, seed, threads, int(native)))]
        paths = [path or str(Path.cwd()) for path in sys.path]
        self.process = subprocess.Popen(
            [sys.executable, "-m", _WORKER, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": str(threads)},
            start_new_session=True,  # Ctrl-C is for the first process, which ends the others
        )

    def tell(self, line: str) -> None:
        """Write a line; one that nobody reads any more is noticed in the step."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError as error:
            raise LostRankError(f"Process {self.rank} does not listen any more.") from error

    def hear(self) -> str:
        """The next line it says; empty where it has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ended(self) -> str | None:
        """How it has ended, in words; None while it runs."""
        code = self.process.poll()
        if code is None:
            return None
        if code < 0:
            return f"was killed by signal {-code}"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"ended with code {code}" + (f" ({lines[-1]})" if lines else "")

    def end(self, patience: float) -> None:
        """Close its input and wait; then kill it."""
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._errors.close()


def _end(others: Sequence[_Other]) -> None:
    stop = time.monotonic() + _END_SECONDS
    for other in others:
        other.end(max(0.0, stop - time.monotonic()))


def _fill(folder: Path, program: Program, constants: Sequence[Tensor]) -> None:
    """The files that the other processes read."""
    (folder / PROGRAM).write_bytes(commit_program(program, program_work(program)).file_bytes())
    for index, constant in enumerate(constants):
        to_numpy(constant).tofile(folder / CONSTANT.format(index))


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Torch with this many threads inside an operation."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _same_bits(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one.view(torch.int32), other.view(torch.int32))
