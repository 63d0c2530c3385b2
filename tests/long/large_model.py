"""A training step of 200 million parameters: ``python -m tests.long.large_model KIND``, a process of its own each.

``exact`` captures, initialises, does a step, opens it and keeps a checkpoint; ``recomputed`` does so in less memory;
``eager`` is PyTorch's step in float32. Prints seconds and MiB of each part's peak as JSON.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from lockstep.engine.checkpoint import read_checkpoint, state_root, write_checkpoint
from lockstep.engine.plan import estimate_memory
from lockstep.engine.run import Runner
from lockstep.engine.segment import initial_state
from lockstep.engine.stream import total_bytes
from lockstep.engine.trace import open_step
from lockstep.models.gpt import GPT, next_token_loss
from lockstep.program.capture import CapturedTask, capture
from lockstep.program.liveness import node_inputs
from lockstep.program.ops import Op
from lockstep.program.optimisers import AdamW
from lockstep.program.recompute import working_bytes
from lockstep.program.selection import Dataset
from lockstep.program.work import program_work

T = TypeVar("T")
SEED = 0x4C6F636B73746570
LAYERS, WIDTH, HEADS, VOCABULARY, PLACES, BATCH = 12, 1024, 16, 50_000, 128, 4
RATE = 3e-4
LIMIT = 16 << 30
"""Bytes of address space a process may have."""
RECOMPUTE = 1300 << 20
"""Bytes of a step's values, for ``recomputed``."""


class Gauge:
    """Seconds and peak MiB of the parts of a run."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.peak: dict[str, int] = {}

    def __call__(self, part: str, work: Callable[[], T]) -> T:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # the peak is this part's
        begun = time.perf_counter()
        result = work()
        self.seconds[part] = round(time.perf_counter() - begun, 1)
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                self.peak[part] = int(line.split()[1]) >> 10
        print(f"{part}: {self.seconds[part]} s, {self.peak[part]} MiB", file=sys.stderr, flush=True)
        return result


def _model() -> GPT:
    torch.manual_seed(0)
    return GPT(VOCABULARY, PLACES, LAYERS, WIDTH, HEADS, tied=True)


def _tokens() -> np.ndarray:
    return np.random.default_rng(0).integers(0, VOCABULARY, (64, PLACES + 1)).astype(np.int32)


def captured(recompute: int | None) -> CapturedTask:
    """The task; the model is let go of."""
    tokens = _tokens()
    data = Dataset(np.ascontiguousarray(tokens[:, :-1]), np.ascontiguousarray(tokens[:, 1:]), scale=None)
    return capture(_model(), next_token_loss, AdamW(lr=RATE), data, BATCH, recompute=recompute)


def stepped(gauge: Gauge, task: CapturedTask, start: list[Tensor]) -> tuple[bytes, float]:
    """Root of the state after a step, and the loss; a checkpoint of it is written and read."""
    runner = gauge("prepare", lambda: Runner(task.step, task.constants, SEED))
    out = runner.empty_state()
    after, metrics = gauge("step", lambda: runner.step(start, 0, out))
    root = gauge("root", lambda: state_root(after))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "checkpoint"
        gauge("write", lambda: write_checkpoint(file, task.step, after))
        read = gauge("read", lambda: read_checkpoint(file, task.step, root))
        assert torch.equal(read[0], after[0])
    return root, metrics[0]


def opened(gauge: Gauge, task: CapturedTask, start: list[Tensor], root: bytes) -> bytes:
    """Root of the step's tree; one node with what it reads is asked for, as in a dispute."""
    opening = gauge("trace", lambda: open_step(task.step, task.constants, SEED, start, 0))
    assert opening.state_root == root
    product = max(i for i, node in enumerate(task.step.nodes) if node.op is Op.MATMUL)
    nodes = [product, *node_inputs(task.step.nodes[product])]
    shown = gauge("dispute", lambda: [opening.node(index) for index in nodes])
    assert [found.root for found in shown] == [opening.node_roots[index] for index in nodes]
    return opening.root


def exact(recompute: int | None) -> dict[str, object]:
    """Capture, init, a step with its checkpoint, and the same step opened."""
    gauge = Gauge()
    task = gauge("capture", lambda: captured(recompute))
    start = gauge("init", lambda: initial_state(task.init, task.constants, SEED))
    root, loss = stepped(gauge, task, start)
    return {
        "parameters": sum(task.step.state[entry].type.elements for entry in task.parameters.values()),
        "nodes": len(task.step.nodes),
        "work": program_work(task.step),
        "values": total_bytes(task.step) >> 20,
        "working": working_bytes(task.step) >> 20,
        "estimate": estimate_memory(task.step) >> 20,
        "step root": opened(gauge, task, start, root).hex(),
        "seconds": gauge.seconds,
        "peak": gauge.peak,
        "loss": loss,
        "root": root.hex(),
    }


def eager() -> dict[str, object]:
    """The same model's step in PyTorch: forward, loss, backward, AdamW."""
    gauge = Gauge()
    model = gauge("model", _model)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE)
    tokens = torch.from_numpy(_tokens()[:BATCH]).long()

    def step() -> float:
        optimiser.zero_grad()
        loss = next_token_loss(model(tokens[:, :-1]), tokens[:, 1:])
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    losses = [gauge(part, step) for part in ("first step", "step")]
    return {"seconds": gauge.seconds, "peak": gauge.peak, "losses": losses}


KINDS: dict[str, Callable[[], dict[str, object]]] = {
    "exact": lambda: exact(None),
    "recomputed": lambda: exact(RECOMPUTE),
    "eager": eager,
}

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
    print(json.dumps(KINDS[sys.argv[1]]()))
