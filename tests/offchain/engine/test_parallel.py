"""Training split over ranks has the roots of one process, on every model and number of ranks."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._C._distributed_c10d import HashStore

from lockstep.cli.sources import captured_task
from lockstep.cli.zoo import PRESETS
from lockstep.data import Augmentation, Dataset
from lockstep.engine.checkpoint import state_root
from lockstep.engine.native import library
from lockstep.engine.parallel import selftest
from lockstep.engine.parallel.communicator import Communicator
from lockstep.engine.parallel.sharding import batch_gathers, place
from lockstep.engine.parallel.share import rank_steps, share
from lockstep.engine.routes import from_numpy
from lockstep.engine.run import Runner
from lockstep.engine.segment import initial_state, run_segment
from lockstep.numerics.routes import generators
from lockstep.numerics.threefry import random_bits
from lockstep.program.capture import CapturedTask, capture
from lockstep.program.ops import Op
from lockstep.program.optimisers import Adam, ClipNorm, Muon
from lockstep.program.work import node_work
from tests.offchain.engine.ranks import ROUTES, run_ranks

SEED = 0xFEED_0000_0000_0007
STEPS = 2
SMALL = ("mlp", "cnn", "cnn-batch-norm", "gpt-small")
LARGE = ("cnn-fashion", "attention", "bert-small", "lstm", "resnet18", "gpt-mini", "bert-tiny")
NATIVE = library.load() is not None


class Noisy(nn.Module):
    """Convolution, batch norm, pooling and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(16, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def noisy(batch: int, accumulate: int = 1) -> CapturedTask:
    """Augmented images, clipped gradients; random bits of odd counts."""
    rng = np.random.default_rng(5)
    data = Dataset(
        rng.integers(0, 256, (40, 2, 4, 4), np.uint8),
        rng.integers(0, 3, 40).astype(np.uint8),
        1 / 255,
        augmentation=Augmentation(flip=True, padding=1),
    )
    optimiser = ClipNorm(Adam(1e-2), 0.5)
    return capture(Noisy(), nn.CrossEntropyLoss(), optimiser, data, batch, accumulate=accumulate)


@cache
def zoo(name: str) -> CapturedTask:
    torch.manual_seed(0)
    return captured_task(name)


def check(task: CapturedTask, counts: tuple[int, ...], routes: tuple[str, ...]) -> None:
    """After two steps every rank has the root and the metrics of the runner that works alone."""
    constants = [from_numpy(np.asarray(x)) for x in task.constants]
    start = initial_state(task.init, constants, SEED)
    alone = run_segment(Runner(task.step, constants, SEED), start, 0, STEPS)
    for ranks in counts:
        makes = [ROUTES[route] for route in routes]
        for state, metrics in run_ranks(task.step, constants, SEED, start, ranks, makes, range(STEPS)):
            assert state_root(state) == alone.root, ranks
            assert metrics == alone.metrics


@pytest.mark.parametrize("name", SMALL)
def test_zoo_model_over_ranks_has_the_roots_of_one_process(name: str) -> None:
    check(zoo(name), (1, 2, 4) if name == "mlp" else (2, 4), ("native",) if NATIVE else ("torch",))


@pytest.mark.long
@pytest.mark.parametrize("name", LARGE)
def test_large_zoo_model_over_ranks_has_the_roots_of_one_process(name: str) -> None:
    check(zoo(name), (2, 4), ("native",) if NATIVE else ("torch",))


def test_every_preset_is_compared() -> None:
    assert {*SMALL, *LARGE} == set(PRESETS)


@pytest.mark.parametrize(("batch", "accumulate"), [(5, 1), (7, 1), (3, 1), (8, 2)])
def test_uneven_batches_draws_and_accumulation_have_the_roots_of_one_process(batch: int, accumulate: int) -> None:
    check(noisy(batch, accumulate), (2, 3, 4), ("torch",))


@pytest.mark.skipif(not NATIVE, reason="There is no native engine here.")
def test_ranks_that_compute_in_different_ways_have_one_root() -> None:
    check(noisy(5), (3,), ("native", "torch"))


def test_matrix_optimiser_over_ranks_has_the_roots_of_one_process() -> None:
    data = Dataset(np.arange(240, dtype=np.uint8).reshape(40, 6), (np.arange(40) % 3).astype(np.uint8), 1 / 240)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    check(capture(model, nn.CrossEntropyLoss(), Muon(1e-2), data, 6), (2, 3), ("torch",))


@pytest.mark.parametrize(
    "name",
    [
        *SMALL,
        *(pytest.param(name, marks=pytest.mark.long) for name in ("attention", "bert-small", "resnet18")),
    ],
)
def test_nearly_all_of_a_models_work_is_cut(name: str) -> None:
    """The optimiser and the weights' mantissas are left, which do not grow with the batch."""
    program = zoo(name).step
    placed = place(program, batch_gathers(program, 2))
    whole = total = 0
    for index, placement in placed.items():
        node = program.nodes[index]
        work = node_work(node, [program.input_type(source, node.shape) for source in node.inputs])
        total += work
        whole += work if placement.layout is None and placement.join is None else 0
    assert whole < (0.15 if name == "mlp" else 0.02) * total


def test_exchanges_are_few_where_samples_do_not_meet() -> None:
    """Without batch norm all exponents travel at once, then all sums: the batch meets only in the gradients."""
    assert len(share(zoo("cnn").step, 0, 2).stages) == 3


@pytest.mark.parametrize("op", [Op.MATMUL, Op.SUM, Op.SCATTER_ADD])
@pytest.mark.skipif(not NATIVE, reason="There is no native engine here.")
def test_native_sums_before_rounding_are_the_references(op: Op) -> None:
    assert selftest.passes_raw(op)


@pytest.mark.skipif(not NATIVE, reason="There is no native engine here.")
def test_wrong_native_sums_leave_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    program, group = noisy(5).step, Communicator(HashStore(), 0, 1)
    constants = [from_numpy(np.asarray(x)) for x in noisy(5).constants]
    local = share(program, 0, 2)  # of two, so that there are sums to exchange
    assert rank_steps(local, constants, SEED, group, 1).name.startswith("native")
    right = selftest.reference_sums
    monkeypatch.setattr(selftest, "reference_sums", lambda node, inputs: right(node, inputs) + 1)
    selftest.passes_raw.cache_clear()
    assert rank_steps(local, constants, SEED, group, 1).name == "torch"
    selftest.passes_raw.cache_clear()


@pytest.mark.parametrize(("first", "count"), [(0, 5), (2, 7), (6, 1), (1_000_000, 64)])
def test_random_bits_from_an_element_on_are_a_part_of_the_whole(first: int, count: int) -> None:
    whole = random_bits(SEED, 3, 9, (first + count,))[first:]
    assert np.array_equal(random_bits(SEED, 3, 9, (count,), first), whole)
    assert np.array_equal(generators.random_bits(SEED, 3, 9, (count,), first=first).numpy(), whole)
