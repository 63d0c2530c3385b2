"""Training steps of the zoo's models, exact against torch.compile's float32: forward and backward compiled, Adam eager.

``torch.compile`` builds C++ for every model first, which takes a minute or more; that is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from benchmarks.measure import Result, interleaved, ratio
from benchmarks.step import eager_step, exact_step
from benchmarks.zoo import MODELS, captured_job, chosen, plain_job, tensors
from lockstep.engine.parallel.ranks import torch_threads


def measure(quick: bool = False) -> Iterator[Result]:
    """``step_compiled/MODEL`` at one thread."""
    for name in chosen(("mlp",) if quick else ("mlp", "cnn", *MODELS)):
        job = plain_job(name)
        task = captured_job(name, job)
        exact, runner = exact_step(task, 1)
        with torch_threads(1):
            torch._dynamo.reset()
            model = torch.compile(job.model)
            peer_step = eager_step(model, *tensors(job.train), task.batch_size, job.loss)
            ours, peer = interleaved(exact, peer_step, 0.5 if quick else 4.0)
        detail = f"batch {task.batch_size}, Adam; {runner}, against torch.compile float32"
        yield ratio(f"step_compiled/{name}", ours, peer, detail)
