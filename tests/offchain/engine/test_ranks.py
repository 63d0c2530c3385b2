"""Processes that share a step: one root with a single one, and a sentence where one of them is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from torch import Tensor

from lockstep.engine.errors import EngineError, LostRankError, MemoryLimitError
from lockstep.engine.parallel.ranks import MAX_RANKS, RanksBackend
from lockstep.engine.plan import estimate_memory
from lockstep.engine.routes import from_numpy
from lockstep.engine.run import Runner
from lockstep.engine.segment import run_segment
from tests.offchain.engine.small_programs import tiny_regression, tiny_state

SEED = 0x1234_5678_9ABC_DEF0


def others() -> list[int]:
    """Process ids of this process's other ranks."""
    found = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True)
    return [int(line.split()[0]) for line in found.stdout.splitlines() if "lockstep.engine.parallel.worker" in line]


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def start() -> list[Tensor]:
    return [from_numpy(x) for x in tiny_state()]


def test_processes_have_the_roots_of_one_and_end_when_one_is_killed() -> None:
    program, constants = tiny_regression()
    alone = run_segment(Runner(program, constants, SEED), start(), 0, 4)
    runner = Runner(program, constants, SEED, processes=2, threads=1)
    assert runner.name.startswith("2 processes, ")
    assert run_segment(runner, start(), 0, 4).root == alone.root
    # A state that the others do not have is handed out: the same segment again, from its start.
    again = run_segment(runner, start(), 0, 4)
    assert (again.root, again.metrics) == (alone.root, alone.metrics)
    assert any(name.startswith("exchange") for name, _ in runner.profile(start(), repeat=1))
    (other,) = others()
    os.kill(other, signal.SIGKILL)
    begun = time.monotonic()
    with pytest.raises(LostRankError, match=r"Process 1 of 2 was killed by signal 9\. The others were ended, too"):
        run_segment(runner, start(), 0, 4)
    assert time.monotonic() - begun < 60
    assert gone(other)
    with pytest.raises(LostRankError, match="have ended; start it again"):
        runner.step(start(), 0)


def test_others_end_when_closed() -> None:
    program, constants = tiny_regression()
    runner = Runner(program, constants, SEED, processes=3, threads=1, native=False)
    assert runner.name == "3 processes, torch"
    pids = others()
    assert len(pids) == 2
    runner.close()
    assert all(gone(pid) for pid in pids)


def test_more_processes_than_allowed_or_than_memory_holds_are_refused() -> None:
    program, constants = tiny_regression()
    with pytest.raises(EngineError, match=f"takes 1 to {MAX_RANKS}"):
        RanksBackend(program, [], SEED, MAX_RANKS + 1)
    with pytest.raises(MemoryLimitError):
        Runner(program, constants, SEED, processes=2, memory_limit=estimate_memory(program))
    assert others() == []
