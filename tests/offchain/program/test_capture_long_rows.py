"""Rows longer than one leaf carries: contractions, gradients, exponents and maxima are one node all the same."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from lockstep.numerics.dtypes import DType
from lockstep.program import reference
from lockstep.program.builder import Builder
from lockstep.program.ops import ROW_BLOCK, SCATTER_BLOCK, Op
from lockstep.program.selection import Dataset
from lockstep.program.spec import check_program
from tests.offchain.program.capturing import check_against_eager, classification

LONG = ROW_BLOCK + 5


def test_linear_layer_over_a_long_row_has_eager_gradient() -> None:
    torch.manual_seed(1)
    data = Dataset(np.ones((2, LONG), np.uint8), np.arange(2, dtype=np.uint8), scale=2.0**-8)
    task = check_against_eager(nn.Linear(LONG, 2), nn.CrossEntropyLoss(), data)
    rows = [task.step.nodes[n.inputs[0].value].shape[-1] for n in task.step.nodes if n.op is Op.MATMUL]
    assert max(rows) == LONG


def test_weight_gradients_over_many_places_have_eager_values() -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 24 * 24, 3))
    check_against_eager(model, nn.CrossEntropyLoss(), classification((1, 24, 24), 3, rows=30), tolerance=1e-11)


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 2)
        self.out = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(self.embed(x))).mean(1)


def test_embedding_and_bias_gradients_over_many_positions_have_eager_values() -> None:
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    words = rng.integers(0, 7, (2, SCATTER_BLOCK + 9)).astype(np.uint8)
    data = Dataset(words, np.arange(2, dtype=np.uint8), scale=None)
    task = check_against_eager(Words(), nn.CrossEntropyLoss(), data)
    assert sum(node.op is Op.SCATTER_ADD for node in task.step.nodes) == 1


def test_exponent_and_largest_of_a_long_row_are_the_rows_own() -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((3, LONG)).astype(np.float32)
    x[0, 7], x[1, LONG - 1], x[2, ROW_BLOCK + 1] = -3e5, 77.0, np.nan
    b = Builder()
    table = b.add_constant("x", x)
    place = b.argmax_rows(table)
    scaled, exponent = b.quantize(table)
    state = b.add_state("place", DType.I32, (3,)), b.add_state("exponent", DType.I32, (3,))
    built = b.finish([place, b.cast(exponent, DType.I32)], {})
    assert len(state) == 2
    assert scaled.shape == x.shape
    check_program(built.program)
    found, _ = reference.evaluate(built.program, [np.zeros(3, np.int32)] * 2, built.constants, 0, 0)
    assert found[0].tolist() == [int(x[0].argmax()), LONG - 1, ROW_BLOCK + 1]
    assert found[1].tolist() == [18, 6, 255]


def test_exact_contraction_over_a_long_row_is_close_to_float64() -> None:
    rng = np.random.default_rng(3)
    a, c = (rng.standard_normal((2, LONG)).astype(np.float32) for _ in range(2))
    b = Builder()
    values = [b.add_constant(name, array) for name, array in (("a", a), ("c", c))]
    state = b.add_state("product", DType.F32, (2, 2))
    built = b.finish([b.contract(*values)])
    check_program(built.program)
    found, _ = reference.evaluate(built.program, [np.zeros(state.shape, np.float32)], built.constants, 0, 0)
    np.testing.assert_allclose(found[0], a.astype(np.float64) @ c.astype(np.float64).T, rtol=0, atol=0.1)
