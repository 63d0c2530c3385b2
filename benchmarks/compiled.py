"""Training steps of the zoo's models, exact against torch.compile's float32: forward and backward compiled, Adam eager.

``torch.compile`` builds C++ for every model first, which takes a minute or more; that is not counted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import torch

from benchmarks.measure import Result, interleaved, ratio, torch_threads
from benchmarks.step import RATE, eager_step, exact_step
from benchmarks.zoo import MODELS, tensors
from lockstep.cli.zoo import PRESETS
from lockstep.program.capture import capture
from lockstep.program.optimisers import Adam


def measure(quick: bool = False) -> Iterator[Result]:
    """``step_compiled/MODEL`` at one thread."""
    named = os.environ.get("LOCKSTEP_BENCH", "")
    for name in named.split(",") if named else ("mlp",) if quick else ("mlp", "cnn", *MODELS):
        preset = PRESETS[name]
        job = preset.build()
        data = replace(job.train, augmentation=None)
        task = capture(job.model, job.loss, Adam(lr=RATE), data, batch_size=preset.batch_size)
        exact, runner = exact_step(task, 1)
        with torch_threads(1):
            torch._dynamo.reset()
            model = torch.compile(job.model)
            peer_step = eager_step(model, *tensors(data), preset.batch_size, job.loss)
            ours, peer = interleaved(exact, peer_step, 0.5 if quick else 4.0)
        detail = f"batch {preset.batch_size}, Adam; {runner}, against torch.compile float32"
        yield ratio(f"step_compiled/{name}", ours, peer, detail)
