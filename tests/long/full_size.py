"""What a preset of the zoo costs at full size: ``python -m tests.long.full_size NAME`` prints it as JSON.

A process of its own, so that its peak is that of this model alone.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from lockstep.engine.checkpoint import state_root
from lockstep.engine.plan import estimate_memory
from lockstep.engine.run import Runner
from lockstep.engine.segment import initial_state
from lockstep.program.work import program_work
from tests.zoo import zoo_task

T = TypeVar("T")
SEED = 0x4C6F636B73746570
"""As in the golden roots."""


def measure(name: str) -> dict[str, object]:
    """Capture, init and two steps; seconds of each part, MiB of the process's peak after it."""
    seconds: dict[str, float] = {}
    peak: dict[str, int] = {}

    def timed(part: str, work: Callable[[], T]) -> T:
        begun = time.perf_counter()
        result = work()
        seconds[part] = round(time.perf_counter() - begun, 2)
        peak[part] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        return result

    task = timed("capture", lambda: zoo_task(name, full=True))
    start = timed("init", lambda: initial_state(task.init, task.constants, SEED))
    runner = timed("prepare", lambda: Runner(task.step, task.constants, SEED))
    first, losses = timed("first step", lambda: runner.step(start, 0))
    second, later = timed("second step", lambda: runner.step(first, 1))
    roots = timed("roots", lambda: [state_root(state).hex() for state in (start, first, second)])
    return {
        "parameters": sum(task.step.state[entry].type.elements for entry in task.parameters.values()),
        "nodes": len(task.step.nodes),
        "work": program_work(task.step),
        "estimate": estimate_memory(task.step) >> 20,
        "runner": runner.name,
        "seconds": seconds,
        "peak": peak,
        "losses": [losses[0], later[0]],
        "roots": roots,
    }


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))
