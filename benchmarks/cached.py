"""A program from its file: seconds to the first step, and memory at the peak of a step, beside eager torch's.

Each is measured in a process of its own, after everything is imported. Run as a module with a kind, a preset and a
folder this is that process.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from benchmarks.measure import Result
from benchmarks.step import eager_step
from benchmarks.zoo import MODELS, captured_job, chosen, plain_job, tensors
from lockstep.cli.zoo import PRESETS
from lockstep.engine.run import Runner
from lockstep.engine.segment import initial_state
from lockstep.program.capture import CapturedTask
from lockstep.program.encoding import commit_program, decode_program
from lockstep.program.spec import check_task_programs
from lockstep.program.work import program_work

STEPS = 3
FIRST_STEP_LIMIT = 2.0
_STATUS = Path("/proc/self/status")


def _memory(field: str) -> float:
    """A field of this process's memory in MiB; 0 where the system does not tell."""
    if not _STATUS.exists():
        return 0.0
    for line in _STATUS.read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return 0.0


def _forget_peak() -> None:
    gc.collect()
    if _STATUS.exists():
        Path("/proc/self/clear_refs").write_text("5")


def save(task: CapturedTask, folder: Path) -> None:
    """A captured task's programs and constants as a solver gets them."""
    for name, program in (("init", task.init), ("step", task.step)):
        (folder / name).write_bytes(commit_program(program, program_work(program)).file_bytes())
    save_file({str(i): torch.from_numpy(array) for i, array in enumerate(task.constants)}, folder / "constants")


def exact(folder: Path) -> dict[str, float]:
    """Seconds from the files to the first step done, and the peak of some steps above the start in MiB."""
    base = _memory("VmRSS")
    _forget_peak()
    start = time.perf_counter()
    (init, _), (step, _) = (decode_program((folder / name).read_bytes()) for name in ("init", "step"))
    check_task_programs(init, step)
    found = load_file(folder / "constants")
    constants = [found[str(i)] for i in range(len(found))]
    runner = Runner(step, constants, 1, threads=1)
    state = initial_state(init, constants, 1)
    buffers = (runner.empty_state(), runner.empty_state())
    state, _ = runner.step(state, 0, buffers[0])
    seconds = time.perf_counter() - start
    for number in range(1, STEPS):
        state, _ = runner.step(state, number, buffers[number % 2])
    return {"seconds": seconds, "peak": _memory("VmHWM") - base}


def eager(name: str) -> dict[str, float]:
    """The same of the eager model: seconds from its construction, data at hand."""
    base = _memory("VmRSS")
    _forget_peak()
    start = time.perf_counter()
    job = plain_job(name)
    step = eager_step(job.model, *tensors(job.train), PRESETS[name].batch_size, job.loss)
    step()
    seconds = time.perf_counter() - start
    for _ in range(1, STEPS):
        step()
    return {"seconds": seconds, "peak": _memory("VmHWM") - base}


def _in_a_process(kind: str, name: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.cached", kind, name, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(quick: bool = False) -> Iterator[Result]:
    """``memory/MODEL`` (ratio to eager) and ``first_step_s/MODEL`` (peer is the limit)."""
    for name in chosen(MODELS[:2] if quick else MODELS):
        task = captured_job(name, plain_job(name))
        with tempfile.TemporaryDirectory() as folder:
            save(task, Path(folder))
            ours = _in_a_process("exact", name, Path(folder))
            peer = _in_a_process("eager", name, Path(folder))
        detail = f"peak of {STEPS} steps above the imports, batch {task.batch_size}, data set included"
        yield Result(f"memory/{name}", ours["peak"], peer["peak"], ours["peak"] / peer["peak"], "MiB", detail)
        detail = f"from the program's file to the first step done, checks included; eager {peer['seconds']:.2f} s"
        yield Result(f"first_step_s/{name}", ours["seconds"], FIRST_STEP_LIMIT, None, "s", detail)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(exact(Path(sys.argv[3])) if sys.argv[1] == "exact" else eager(sys.argv[2])))
