"""Operands that the native engine copies, turns over or tiles before a contraction keep the reference's bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lockstep.engine.checkpoint import state_root
from lockstep.engine.native import library
from lockstep.engine.native.engine import NativeEngine
from lockstep.engine.native.lower import Lowering
from lockstep.engine.routes import from_numpy
from lockstep.engine.run import Runner
from lockstep.engine.segment import initial_state
from lockstep.numerics.dtypes import DType
from lockstep.program.builder import Builder
from lockstep.program.capture import CapturedTask, capture
from lockstep.program.emitter import Value
from lockstep.program.ops import Op
from lockstep.program.optimisers import Momentum
from lockstep.program.reference import evaluate
from lockstep.program.selection import Dataset

pytestmark = pytest.mark.skipif(library.load() is None, reason="There is no native engine here.")

SEED, ROWS, CLASSES = 11, 5, 3


class Shortcut(nn.Module):
    """Two strided convolutions that read one image, as a residual network's block: windows and single pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 16, 3, padding=1)
        self.wide = nn.Conv2d(16, 24, 3, stride=2, padding=1)
        self.short = nn.Conv2d(16, 24, 1, stride=2)
        self.linear = nn.Linear(24, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.first(x))
        return self.linear(torch.relu(self.wide(y) + self.short(y)).mean((2, 3)))


def shortcut() -> CapturedTask:
    torch.manual_seed(3)
    rng = np.random.default_rng(8)
    images = rng.standard_normal((ROWS, 2, 9, 10)).astype(np.float32)
    data = Dataset(images, rng.integers(0, CLASSES, ROWS).astype(np.uint8))
    return capture(Shortcut(), nn.CrossEntropyLoss(), Momentum(0.1), data, ROWS)


def test_image_read_by_two_convolutions_is_quantised_for_each() -> None:
    task = shortcut()
    outputs = [source for source in task.step.nodes[-1].inputs if source.kind.name == "NODE"]
    assert Lowering(task.step, outputs, SEED).products.copies, "The test no longer reaches what it is for."
    state = initial_state(task.init, task.constants, SEED)
    native, torch_only = (Runner(task.step, task.constants, SEED, native=native) for native in (True, False))
    for step in range(3):
        (mine, measured), (other, metrics) = native.step(state, step), torch_only.step(state, step)
        assert state_root(mine) == state_root(other)
        assert measured == metrics
        state = mine


def heads(b: Builder, x: Value) -> Value:
    """[3, 10, 4 * 9] -> [3, 4, 10, 9], as attention splits its heads."""
    return b.permute(b.reshape(x, (3, 10, 4, 9)), (0, 2, 1, 3))


CASES: dict[str, tuple[tuple[int, ...], Callable[[Builder, Value], Value]]] = {
    # rows beside each other in every matrix of a batch
    "columns": ((5, 40, 70), lambda b, x: b.contract(b.transpose(x), b.transpose(x))),
    "columns_short": ((5, 9, 8), lambda b, x: b.contract(b.transpose(x), b.transpose(x))),
    "columns_of_heads": ((3, 10, 36), lambda b, x: b.contract(b.transpose(heads(b, x)), b.transpose(heads(b, x)))),
    "sums_of_columns": ((4, 33, 65), lambda b, x: b.sum_rows(b.transpose(x))),
    "sums_over_two_axes": ((6, 7, 20), lambda b, x: b.sum_axes(x, [0, 1])),
    # rows that take turns in runs of nine, as the weights of a convolution by their input channel
    "short_runs": (
        (40, 24, 9),
        lambda b, x: b.contract(*(b.reshape(b.permute(x, (1, 0, 2)), (24, 360)),) * 2),
    ),
    # few terms, many terms, and a length that the parts of a long row do not divide
    "few_terms": ((50, 3), lambda b, x: b.contract(x, x)),
    "uneven_parts": ((20, 1_234), lambda b, x: b.contract(x, x)),
    "batch_of_tiny": ((9, 8, 8), lambda b, x: b.contract(x, x)),
    # rows that are runs of memory, one after the other and not, of more and fewer than sixteen
    "rows_of_heads": ((3, 10, 36), lambda b, x: b.contract(heads(b, x), heads(b, x))),
    "sums_of_heads": ((3, 10, 36), lambda b, x: b.sum_rows(heads(b, x))),
    "long_rows": ((3, 5_000), lambda b, x: b.contract(x, x)),
}
TWICE: dict[str, tuple[tuple[int, ...], Callable[[Builder, Value], Value]]] = {
    "twice": ((37, 50), lambda b, x: b.contract(x, x, residuals=(True, False))),
    "twice_long": ((5, 3_000), lambda b, x: b.contract(x, x, residuals=(False, True))),
    "twice_columns": ((2, 90, 71), lambda b, x: b.contract(b.transpose(x), b.transpose(x), residuals=(True, True))),
    "twice_heads": ((3, 10, 36), lambda b, x: b.contract(heads(b, x), heads(b, x), residuals=(True, True))),
    "twice_scattered": (
        (12, 6, 20),
        lambda b, x: b.contract(*(b.reshape(b.permute(x, (1, 0, 2)), (6, 240)),) * 2, residuals=(True, True)),
    ),
}
"""Rows that are quantised twice, in one pass."""
CASES |= TWICE


@pytest.mark.parametrize("name", TWICE)
def test_residual_parts_are_made_in_the_pass_that_quantises(name: str) -> None:
    shape, make = TWICE[name]
    b = Builder()
    source = b.add_state("x", DType.F32, shape, frozen=True)
    result = make(b, b.add(source, 0.0))
    b.add_state("y", DType.F32, result.shape)
    program = b.finish([source, result]).program
    names = Lowering(program, [program.nodes[-1].inputs[1]], SEED).lower().names
    made = [index for index, node in enumerate(program.nodes) if node.op is Op.SUB]
    assert sum(each.startswith("exponents ") for each in names) == len(made)


@pytest.mark.parametrize("special", [False, True], ids=["finite", "special"])
@pytest.mark.parametrize("name", CASES)
def test_rearranged_rows_equal_the_reference(name: str, special: bool) -> None:
    shape, make = CASES[name]
    rng = np.random.default_rng(17)
    x = (rng.standard_normal(shape) * np.exp2(rng.integers(-20, 20, shape))).astype(np.float32)
    if special:
        places = rng.integers(0, x.size, 12)
        x.reshape(-1)[places] = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-40, 3e38, -3e38, 1.0, 2.0**-126, -1.0]
    b = Builder()
    source = b.add_state("x", DType.F32, shape, frozen=True)
    result = make(b, b.add(source, 0.0))
    b.add_state("y", DType.F32, result.shape)
    program = b.finish([source, result]).program
    wanted = evaluate(program, [x, np.zeros(result.shape, np.float32)], [], 0, SEED)[0][1]
    state = [from_numpy(x), torch.zeros(result.shape)]
    for threads in (1, 2):
        engine = NativeEngine(program, [program.nodes[-1].inputs[1]], [], SEED, threads)
        (found,) = engine.run(state, 0)
        assert np.array_equal(found.numpy().view(np.uint32), wanted.view(np.uint32))
