"""The same bits on a CUDA device: every op by a route tested there, whole steps by the golden roots."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lockstep.engine.checkpoint import state_root
from lockstep.engine.errors import EngineError
from lockstep.engine.mixed.runner import MixedRunner
from lockstep.engine.routes import REFERENCE, best_route, matmul_route
from lockstep.engine.run import Runner
from lockstep.engine.segment import initial_state, segment_state_roots
from lockstep.program.ops import Op
from tests.offchain.engine.golden_roots import captured, golden, script, steps

needs_cuda = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="There is no CUDA device here, or this PyTorch was built without CUDA."
)


def roots_on(device: str, name: str) -> list[str]:
    task, seed = captured(name), script().SEED
    state = initial_state(task.init, task.constants, seed)
    runner = Runner(task.step, task.constants, seed, device=device)
    roots = (state_root(state), *segment_state_roots(runner, state, 0, steps(full=False)))
    return [root.hex() for root in roots]


@needs_cuda
@pytest.mark.parametrize("op", [op for op in Op if best_route(op) is not REFERENCE], ids=lambda op: op.name)
def test_op_has_a_route_of_its_own_there(op: Op) -> None:
    assert best_route(op, "cuda") is not REFERENCE


@needs_cuda
def test_large_products_are_made_of_slices_there() -> None:
    assert matmul_route((4096, 4096), 4096, "cuda").name == "int8"


@needs_cuda
@pytest.mark.parametrize("name", script().names())
def test_golden_roots_cuda(name: str) -> None:
    assert roots_on("cuda", name) == golden()[name]["roots"]


@pytest.mark.parametrize("wrong", [{"processes": 2}, {"native": True}])
def test_what_a_device_cannot_do_is_refused_with_a_sentence(wrong: dict[str, Any]) -> None:
    task = captured("mlp")
    with pytest.raises(EngineError, match="On cuda one process runs, with torch"):
        Runner(task.step, task.constants, 0, device="cuda", **wrong)


@needs_cuda
@pytest.mark.parametrize(("precision", "most"), [("f32", 2.0**-10), ("tf32", 2.0**-7), ("bf16", 2.0**-6)])
@pytest.mark.parametrize("name", script().names())
def test_native_precisions_are_close_there(name: str, precision: str, most: float) -> None:
    task, seed = captured(name), script().SEED
    state = initial_state(task.init, task.constants, seed)
    exact, (loss, *_) = Runner(task.step, task.constants, seed).step(state, 0)
    runner = MixedRunner(task.step, task.constants, seed, precision=precision, device="cuda")
    found, metrics = runner.step(state, 0)
    assert metrics[0] == pytest.approx(loss, rel=most)
    for x, y in zip(found, exact, strict=True):
        assert x.device.type == "cuda"
        assert torch.equal(x.cpu(), y) if y.dtype != torch.float32 else bool(torch.isfinite(x).all())
    again, _ = runner.step(found, 1)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in again if tensor.dtype == torch.float32)
