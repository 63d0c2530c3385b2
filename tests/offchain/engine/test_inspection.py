"""Figures of a step against numbers worked out by hand or by eager PyTorch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from lockstep.engine.inspection import Inspector, quantised_operands, quantising_figures
from lockstep.engine.routes import same_bits
from lockstep.engine.run import Runner
from lockstep.engine.segment import initial_state
from lockstep.numerics.routes.contraction import exponent, quantize
from lockstep.program.capture import CapturedTask, capture
from lockstep.program.optimisers import SGD
from lockstep.program.selection import Dataset

SEED = 3


class Sinks(nn.Module):
    """A product whose left rows hold one giant among dwarfs."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(4, 5, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(x)


def dataset() -> Dataset:
    inputs = np.array([[1, 2**-20, 2**-20, 0], [1, 1, 0.5, 0.25], [2, 0, 2**-16, 2**-15]], np.float32)
    return Dataset(inputs, np.array([0, 1, 2], np.uint8))


def task(residual: tuple[str, ...] = ()) -> CapturedTask:
    torch.manual_seed(2)
    return capture(Sinks(), nn.CrossEntropyLoss(), SGD(lr=0.5), dataset(), batch_size=3, draw=False, residual=residual)


def figures_of(rows: list[list[float]]) -> tuple[float, float, float]:
    x = torch.tensor(rows, dtype=torch.float32)
    return quantising_figures(x, quantize(x, exponent(x, -113)))


def test_lost_share_counts_nonzero_entries_quantised_to_zero() -> None:
    # Mantissas are x * 2^13 to the nearest: 2^-14 is a tie, to 0; 2^-13 is 1.
    lost, saturated, crest = figures_of([[1.0, 2**-14, 2**-13, 0.0]])
    assert (lost, saturated) == (1 / 3, 0.0)
    assert crest == pytest.approx(1 / math.sqrt((1 + 2**-28 + 2**-26) / 4))


def test_saturated_share_counts_mantissas_at_their_limit() -> None:
    largest = float(np.nextafter(np.float32(2), np.float32(0)))  # rounds up to 2 * 2^13
    lost, saturated, crest = figures_of([[largest, 1.0], [1.0, -1.0]])
    assert (lost, saturated) == (0.0, 1 / 4)
    assert crest == pytest.approx((largest / math.sqrt((largest**2 + 1) / 2) + 1) / 2)


def test_rows_of_zeros_and_rows_that_are_not_finite_have_no_crest() -> None:
    assert figures_of([[0.0, 0.0]]) == (0.0, 0.0, 0.0)
    assert figures_of([[math.inf, 1.0], [3.0, 3.0]])[2] == 1.0


def test_parameters_figures_are_those_of_eager_training() -> None:
    torch.manual_seed(2)
    model, data, captured = Sinks(), dataset(), task()
    before = model.out.weight.detach().clone()
    nn.CrossEntropyLoss()(model(torch.from_numpy(data.inputs)), torch.tensor([0, 1, 2])).backward()
    assert model.out.weight.grad is not None
    gradient = model.out.weight.grad.norm().item()
    state = initial_state(captured.init, captured.constants, SEED)
    inspector = Inspector(captured.step, captured.constants, SEED, captured.parameters, captured.gradients)
    after, figures = inspector.step(state, 0)
    (found,) = figures.parameters
    assert found.name == "out.weight"
    assert found.weight_norm == pytest.approx(before.norm().item(), rel=1e-6)
    assert found.gradient_norm == pytest.approx(gradient, rel=1e-3)
    assert found.update_norm == pytest.approx(0.5 * gradient, rel=1e-3)
    assert found.update_ratio == found.update_norm / found.weight_norm
    wanted, metrics = Runner(captured.step, captured.constants, SEED).step(state, 0)
    assert figures.metrics == metrics
    assert all(
        same_bits(a, b.numpy(), entry.dtype) for a, b, entry in zip(after, wanted, captured.step.state, strict=True)
    )


def test_operands_figures_name_the_layer_that_loses_and_residual_parts_of_its_layer_bring_it_back() -> None:
    captured = task()
    state = initial_state(captured.init, captured.constants, SEED)
    inspector = Inspector(captured.step, captured.constants, SEED, captured.parameters, captured.gradients)
    operands = inspector.step(state, 0)[1].operands
    assert len(operands) == len(quantised_operands(captured.step)) == 4  # forward, and the weight's gradient
    (inputs,) = [o for o in operands if o.shape == (3, 4)]
    assert inputs.lost == pytest.approx(4 / 10)  # of ten that are not zero: two of 2^-20, and two far below 2
    assert inputs.is_warned_of
    assert "test_inspection.py:" in inputs.place
    assert inputs.layer == "out"
    mended = task(residual=(inputs.layer,))
    inspector = Inspector(mended.step, mended.constants, SEED, mended.parameters, mended.gradients)
    again = [o for o in inspector.step(state, 0)[1].operands if o.shape == (3, 4)]
    # With the weights, with what the weights lost, and what was lost itself.
    assert sorted((o.lost, o.residual) for o in again) == [(0.0, False), (0.4, True), (0.4, True)]
    assert not any(o.is_warned_of for o in again)
