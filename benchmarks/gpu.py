"""On a CUDA device: exact and mixed against eager float32, TF32 and bfloat16, matmul and steps of GPT-mini."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks.measure import Result, interleaved, ratio, turn_about
from benchmarks.step import SEED, eager_step, steps
from benchmarks.zoo import captured_job, chosen, plain_job, tensors
from lockstep.engine.mixed.runner import MixedRunner
from lockstep.engine.routes import matmul_route
from lockstep.engine.run import Runner
from lockstep.engine.segment import initial_state
from lockstep.numerics.routes import contraction

SIZES = (2048, 4096, 8192)
MODELS = ("gpt-mini",)
PRECISIONS = ("float32", "TF32", "bfloat16")
MIXED = {"float32": "f32", "TF32": "tf32", "bfloat16": "bf16"}
DEVICE = "cuda"


@contextlib.contextmanager
def precision(name: str) -> Iterator[None]:
    """Torch's products in this precision, float32 tensors in and out."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if name == "TF32" else "highest")
    try:
        with torch.autocast(DEVICE, torch.bfloat16, enabled=name == "bfloat16"):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def awaited(call: Callable[[], object]) -> Callable[[], object]:
    """The call, and what it has started on the device."""

    def whole() -> object:
        value = call()
        torch.cuda.synchronize()
        return value

    return whole


def exact_product(a: Tensor, b: Tensor) -> tuple[Callable[[], Tensor], str]:
    """A call that multiplies f32 a [M, K] by b [N, K] exactly, quantisation included, and its route's name."""
    route = matmul_route((a.shape[0], b.shape[0]), a.shape[1], DEVICE).name
    product = {"int8": contraction.matmul_int8, "float64": contraction.matmul_float64}[route]

    def call() -> Tensor:
        ea, eb = contraction.exponent(a, -113), contraction.exponent(b, -113)
        return product(contraction.quantize(a, ea), ea, contraction.quantize(b, eb), eb)

    return call, route


def products(quick: bool) -> Iterator[Result]:
    """``gpu_matmul/N/PRECISION``."""
    for size in SIZES[:1] if quick else SIZES:
        generator = torch.Generator(DEVICE).manual_seed(size)
        a, b = (torch.randn(size, size, generator=generator, device=DEVICE) for _ in range(2))
        exact, route = exact_product(a, b)
        for name in PRECISIONS:
            with precision(name):
                ours, peer = interleaved(awaited(exact), awaited(lambda a=a, b=b: a @ b.t()), 0.5 if quick else 3.0)
            yield ratio(f"gpu_matmul/{size}/{name}", ours, peer, f"{route}, against torch {name}")


def trainings(quick: bool) -> Iterator[Result]:
    """``gpu_step/MODEL/PRECISION``; ``gpu_mixed/MODEL/PRECISION``: the program in the same precision as its peer."""
    for model in chosen(MODELS):
        task = captured_job(model, plain_job(model))
        runner = Runner(task.step, task.constants, SEED, device=DEVICE)
        start = initial_state(task.init, task.constants, SEED)
        exact = steps(runner, start)
        for name in PRECISIONS:
            job = plain_job(model)
            data = [tensor.to(DEVICE) for tensor in tensors(job.train)]
            eager = eager_step(job.model.to(DEVICE), data[0], data[1], task.batch_size, job.loss)
            native = MixedRunner(task.step, task.constants, SEED, precision=MIXED[name], device=DEVICE)
            with precision(name):
                calls = [awaited(call) for call in (exact, steps(native, start), eager)]
                ours, mixed, peer = turn_about(calls, 1.0 if quick else 12.0)
            detail = f"batch {task.batch_size}; {{}}, against eager torch {name}"
            yield ratio(f"gpu_step/{model}/{name}", ours, peer, detail.format(runner.name))
            yield ratio(f"gpu_mixed/{model}/{name}", mixed, peer, detail.format(native.name))


def measure(quick: bool = False) -> Iterator[Result]:
    """``gpu_matmul/N/PRECISION``, ``gpu_step/MODEL/PRECISION`` and ``gpu_mixed/MODEL/PRECISION``."""
    if not torch.cuda.is_available():
        from benchmarks.run import Unavailable

        raise Unavailable("there is no CUDA device here, or this PyTorch was built without CUDA.")
    yield from products(quick)
    yield from trainings(quick)
