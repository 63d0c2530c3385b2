"""What checkpoints cost: root and artifact of the state after every segment of 32 steps, as a share of the solving."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator

from benchmarks.measure import Result
from benchmarks.step import SEED
from benchmarks.zoo import MODELS, captured_job, chosen, plain_job
from lockstep.engine.checkpoint import checkpoint_parts, state_root
from lockstep.engine.parallel.ranks import torch_threads
from lockstep.engine.run import Runner
from lockstep.engine.segment import initial_state
from lockstep.storage.store import ArtifactStore

SEGMENT = 32
LIMIT = 2.0


def measure(quick: bool = False) -> Iterator[Result]:
    """``checkpoint_share/MODEL`` in per cent of a segment's time; the peer is the limit."""
    for name in chosen(MODELS[:2] if quick else MODELS):
        task = captured_job(name, plain_job(name))
        runner = Runner(task.step, task.constants, SEED, threads=1)
        state = initial_state(task.init, task.constants, SEED)
        buffers = (runner.empty_state(), runner.empty_state())
        steps, ends = [], []
        with torch_threads(1), tempfile.TemporaryDirectory() as folder:
            store = ArtifactStore(folder)
            for number in range(5 if quick else 12):
                start = time.perf_counter()
                state, _ = runner.step(state, number, buffers[number % 2])
                middle = time.perf_counter()
                state_root(state)
                store.put_parts(checkpoint_parts(task.step, state))
                steps.append(middle - start)
                ends.append(time.perf_counter() - middle)
        end, segment = statistics.median(ends), SEGMENT * statistics.median(steps)
        detail = f"root and artifact {end * 1e3:.1f} ms, {SEGMENT} steps {segment * 1e3:.0f} ms, one thread"
        yield Result(f"checkpoint_share/{name}", 100 * end / (end + segment), LIMIT, None, "%", detail)
