"""Random draws in captured models come from the task's seed; forward and backward see the same ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from lockstep.program.capture import CapturedTask, capture
from lockstep.program.ops import Op
from lockstep.program.optimisers import SGD
from tests.offchain.program.capturing import SEED, Of, regression, start_state
from tests.offchain.program.float64_interpreter import run

ROWS = 64


def output_mean(output: Tensor, target: Tensor) -> Tensor:
    return output.mean()


def drawn(function: Callable[[Tensor], Tensor]) -> tuple[CapturedTask, np.ndarray]:
    """A captured task of a function and the output of one step in float64."""
    task = capture(Of(function, (50,)), output_mean, SGD(1.0), regression((50,), (1,), rows=ROWS), ROWS, draw=False,
                   evaluation=regression((50,), (1,), rows=ROWS), metrics={})  # fmt: skip
    assert task.evaluate is not None
    return task, run(task.evaluate, start_state(task), task.evaluation_constants, 3, SEED)[1][task.outputs]


MOMENTS: dict[str, tuple[Callable[[Tensor], Tensor], float, float]] = {
    "rand": (lambda x: torch.rand_like(x) + 0 * x, 1 / 2, 1 / 12),
    "rand_of_shape": (lambda x: torch.rand(64, 50) + 0 * x, 1 / 2, 1 / 12),
    "randn": (lambda x: torch.randn_like(x) + 0 * x, 0, 1),
    "normal": (lambda x: torch.empty_like(x).normal_(2.0, 3.0) + 0 * x, 2, 9),
    "uniform": (lambda x: torch.empty_like(x).uniform_(-1.0, 3.0) + 0 * x, 1, 16 / 12),
    "exponential": (lambda x: torch.empty_like(x).exponential_(2.0) + 0 * x, 1 / 2, 1 / 4),
    "bernoulli": (lambda x: torch.bernoulli(torch.full_like(x, 0.3)) + 0 * x, 0.3, 0.21),
    "integers": (lambda x: torch.randint(2, 7, (64, 50)) + 0 * x, 4, 2),
    "permutation": (lambda x: torch.randperm(50) + 0 * x, 24.5, (50**2 - 1) / 12),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_draws_have_their_distributions_moments(name: str) -> None:
    function, mean, variance = MOMENTS[name]
    output = drawn(function)[1]
    assert abs(output.mean() - mean) < 6 * np.sqrt(variance / output.size) + 1e-6
    assert abs(output.var() - variance) < 0.15 * variance


def test_reparameterised_noise_is_the_same_in_forward_and_backward() -> None:
    task, _ = drawn(lambda x: torch.randn_like(x) * x)
    state = start_state(task)
    new, values = run(task.step, state, task.constants, 0, SEED, task.step_literals)
    (site,) = [i for i, node in enumerate(task.step.nodes) if node.op is Op.RANDOM_BITS]
    assert task.step.nodes[site].shape == (ROWS, 50)
    # the loss is linear in the weight: its gradient's product with the weight is the loss
    index = task.parameters["weight"]
    gradient = state[index] - new[index]
    assert abs((gradient * state[index]).sum() - values[task.step.metrics[0]]) < 1e-12
    _, again = run(task.step, state, task.constants, 1, SEED)
    assert not np.array_equal(values[site], again[site])


class Encoder(nn.Module):
    """Every layer of it drops something: the attention, the layer's own dropouts, and channels."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.recurrent = nn.LSTM(8, 8, num_layers=2, dropout=0.2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout1d(self.recurrent(self.layer(x))[0], 0.3, self.training)


def test_dropout_inside_composite_layers_has_a_site_each_and_none_in_evaluation() -> None:
    data = regression((2, 8), (1,))
    task = capture(Encoder(), output_mean, SGD(1.0), data, 4, evaluation=data, metrics={})
    assert task.evaluate is not None
    sites = [node.attrs for node in task.step.nodes if node.op is Op.RANDOM_BITS]
    # attention, after attention, between the two linear layers, after them; between the LSTMs; channels
    assert len(set(sites)) == len(sites) == 6
    assert not any(node.op is Op.RANDOM_BITS for node in task.evaluate.nodes)
