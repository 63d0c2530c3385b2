"""Residual parts: what they are for, where the rules put them, and layers that are named for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lockstep.engine.run import Runner
from lockstep.program.builder import Builder
from lockstep.program.capture import CapturedTask, capture
from lockstep.program.infer import ProgramError
from lockstep.program.ops import Op
from lockstep.program.optimisers import SGD
from lockstep.program.selection import Dataset
from tests.offchain.program.capturing import check_against_eager, classification, regression

Array = np.ndarray[Any, Any]
NEITHER, FIRST, BOTH = (False, False), (True, False), (True, True)


def error(a: Array, b: Array, residuals: tuple[bool, bool]) -> float:
    """Of the exact product ``a b^T`` of f32 [M, K] and [N, K]: the norm of what is wrong over that of what is right."""
    builder = Builder()
    left, right = builder.add_constant("a", a.astype(np.float32)), builder.add_constant("b", b.astype(np.float32))
    product = builder.contract(left, right, residuals=residuals)
    builder.add_state("product", product.dtype, product.shape)
    built = builder.finish([product])
    (found,), _ = Runner(built.program, built.constants, 0).step([], 0)
    truth = a.astype(np.float32).astype(np.float64) @ b.astype(np.float32).astype(np.float64).T
    return float(np.linalg.norm(found.numpy() - truth) / np.linalg.norm(truth))


def logits_gradient(words: int, rows: int = 8) -> tuple[Array, Array]:
    """Softmax less the target, and embeddings with a common direction, as those of trained models have."""
    rng = np.random.default_rng(0)
    gradient = np.exp(rng.standard_normal((rows, words)))
    gradient /= gradient.sum(1, keepdims=True)
    gradient[np.arange(rows), rng.integers(0, words, rows)] -= 1
    return gradient, rng.standard_normal((16, words)) + 1.5


def sink(places: int) -> tuple[Array, Array]:
    """Attention that gives one place nine tenths, and values that are small there, as those of a sink are."""
    rng = np.random.default_rng(0)
    seen = 0.1 * rng.dirichlet(np.ones(places), 64)
    values = rng.standard_normal((32, places))
    seen[:, 0], values[:, 0] = 0.9, values[:, 0] / 100
    return seen, values


def outlier_channel(times: float) -> tuple[Array, Array]:
    """Activations with a channel so many times as large as the others, and weights that make up for it."""
    rng = np.random.default_rng(0)
    activations, weights = rng.standard_normal((64, 256)), rng.standard_normal((256, 256))
    activations[:, 3] *= times
    weights[:, 3] /= times
    return activations, weights


def test_few_words_need_no_residual() -> None:
    assert error(*logits_gradient(1_000), NEITHER) < 1e-3


def test_logits_of_many_words_lose_a_tenth_of_their_gradient_without_a_residual() -> None:
    operands = logits_gradient(50_000)
    assert error(*operands, NEITHER) > 0.1
    assert error(*operands, FIRST) < 2e-4


def test_attention_with_a_sink_keeps_what_the_sink_hides_with_a_residual() -> None:
    operands = sink(1_024)
    assert error(*operands, NEITHER) > 0.04
    assert error(*operands, FIRST) < 8e-3
    assert error(*operands, BOTH) < 1e-5


def test_outlier_channel_needs_the_residuals_of_both_operands() -> None:
    operands = outlier_channel(1_000)
    assert error(*operands, NEITHER) > 0.02
    assert error(*operands, FIRST) < 8e-3
    assert error(*operands, BOTH) < 1e-5


def products(task: CapturedTask) -> int:
    return sum(node.op is Op.MATMUL for node in task.step.nodes)


def classes(count: int, rows: int = 6) -> tuple[nn.Module, Dataset]:
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, count))
    return model, classification((6,), 200, rows=rows)


@pytest.mark.parametrize(("count", "rows", "more"), [(1_000, 1_100, 0), (1_100, 6, 1), (1_100, 1_100, 2)])
def test_logits_get_a_residual_where_rows_have_1024_entries(count: int, rows: int, more: int) -> None:
    """Over the classes in the gradient by the inputs, over the samples in that by the weights."""
    model, data = classes(count, rows)
    plain = capture(model, nn.CrossEntropyLoss(), SGD(0.1), data, rows, residual=None)
    task = capture(model, nn.CrossEntropyLoss(), SGD(0.1), data, rows)
    assert products(task) - products(plain) == more


class Attention(nn.Module):
    """Attention of 2 heads, with dropout or without, by PyTorch's operator or written out."""

    def __init__(self, places: int, dropout: float = 0.0, *, written_out: bool = False) -> None:
        super().__init__()
        self.project = nn.Linear(4, 12)
        self.shape, self.dropout, self.written_out = (-1, places, 3, 2, 2), dropout, written_out

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.project(x).reshape(self.shape).permute(2, 0, 3, 1, 4)
        if not self.written_out:
            return nn.functional.scaled_dot_product_attention(q, k, v)
        seen = torch.softmax(q @ k.transpose(2, 3), -1)
        return nn.functional.dropout(seen, self.dropout) @ v


@pytest.mark.parametrize(("places", "more"), [(63, 0), (64, 1), (1_024, 2)])
@pytest.mark.parametrize(("dropout", "written_out"), [(0.0, False), (0.0, True), (0.1, True)])
def test_attention_gets_a_residual_where_it_sees_64_places(
    places: int, more: int, dropout: float, written_out: bool
) -> None:
    """In the product with the values; from 1,024 places on in the values' gradient, too."""
    model, data = Attention(places, dropout, written_out=written_out), regression((places, 4), (2, places, 2), 2)

    def loss(output: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.mse_loss(output, targets)

    plain, task = (capture(model, loss, SGD(0.1), data, 2, residual=r) for r in (None, ()))
    assert products(task) - products(plain) == more


def test_named_layers_and_no_others_get_residuals_of_both_operands() -> None:
    model, data = classes(10)
    data = Dataset(data.inputs, data.targets % 10)
    plain, one, every = (
        check_against_eager(model, nn.CrossEntropyLoss(), data, residual=names) for names in ((), ("2",), ("*",))
    )
    # forward, by the inputs, by the weights: of the first layer nobody wants the gradient by the inputs
    assert [products(task) for task in (plain, one, every)] == [5, 5 + 2 * 3, 5 + 2 * 5]
    assert capture(model, nn.CrossEntropyLoss(), SGD(0.1), data, 6, residual=("2",), evaluation=data).evaluate


@pytest.mark.parametrize(
    "layer",
    [lambda: nn.Conv2d(2, 4, 3, stride=2, groups=2), lambda: nn.ConvTranspose2d(2, 3, 3, stride=2)],
    ids=["strided", "transposed"],
)
def test_named_convolution_is_nearly_float64(layer: Callable[[], nn.Module]) -> None:
    """Outlier pixels hide the others of their image: with residuals every gradient is right to f32's own rounding."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 2, 1), layer(), nn.Flatten())
    data = regression((2, 7, 7), (1,))
    data.inputs[:, 0, 0, 0] *= 1000
    losses = {names: _distance_from_float64(model, data, names) for names in ((), ("0", "1"))}
    assert losses[()] > 1e-4
    assert losses["0", "1"] < 2e-6


def _distance_from_float64(model: nn.Module, data: Dataset, residual: tuple[str, ...]) -> float:
    """How far the exact gradient of the layers' weights is from float64's, relative to it."""
    task = capture(
        model, lambda output, _: (output * output).mean(), SGD(1.0), data, 6, draw=False, metrics={}, residual=residual
    )
    wide = [p.detach().double().requires_grad_() for p in model.parameters()]
    output = torch.func.functional_call(
        model,
        dict(zip((n for n, _ in model.named_parameters()), wide, strict=True)),
        torch.from_numpy(data.inputs).double(),
    )
    gradients = torch.autograd.grad((output * output).mean(), wide)
    start = [p.detach().contiguous() for p in model.parameters()]
    after, _ = Runner(task.step, task.constants, 0).step(start, 0)
    worst = 0.0
    for before, new, gradient in zip(start, after, gradients, strict=True):
        found = before.double() - new.double()
        worst = max(worst, float((found - gradient).norm() / gradient.norm()))
    return worst


def test_pattern_that_names_no_layer_is_refused_with_their_names() -> None:
    model, data = classes(10)
    with pytest.raises(ProgramError, match="No layer is called 'head'; they are 0, 1, 2"):
        capture(model, nn.CrossEntropyLoss(), SGD(0.1), data, 6, residual=("head",))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
