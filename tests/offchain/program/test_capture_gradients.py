"""Gradients of captured steps, in float64, against eager PyTorch in float64: one small module an operator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lockstep.program.selection import Dataset
from tests.offchain.program.capturing import Of, check_against_eager, classification, mean_square, regression

POINTWISE: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": nn.functional.relu,
    "relu_in_place": lambda x: nn.functional.relu_(x + 1),
    "leaky_relu": lambda x: nn.functional.leaky_relu(x, 0.1),
    "gelu": nn.functional.gelu,
    "gelu_tanh": lambda x: nn.functional.gelu(x, approximate="tanh"),
    "silu": nn.functional.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "erf": torch.erf,
    "exp_log": lambda x: torch.log(torch.exp(x) + 2),
    "sqrt": lambda x: torch.sqrt(x * x + 0.5),
    "rsqrt": lambda x: torch.rsqrt(x * x + 0.5),
    "reciprocal": lambda x: 1 / (x * x + 1.5),
    "power": lambda x: x**3 + (x * x + 1) ** 1.5 + (x * x + 1) ** -1,
    "arithmetic": lambda x: 2 - x / 3 + x * 0.5 - x.neg() * x.abs(),
    "clamp": lambda x: x.clamp(-0.5, 0.7) * x,
    "where": lambda x: torch.where(x > 0.2, x * x, -x),
    "maximum": lambda x: torch.maximum(x, x * x - 0.5) + torch.minimum(x, -x),
    "floor": lambda x: x * torch.floor(x * 3) + x.round(),
    "softmax": lambda x: torch.softmax(x, -1),
    "softmax_other_axis": lambda x: torch.softmax(x, 1),
    "log_softmax": lambda x: nn.functional.log_softmax(x, -1),
    "mean": lambda x: x - x.mean(-1, keepdim=True),
    "sum_middle": lambda x: x * x.sum(1, keepdim=True),
    "var": lambda x: x / (x.var(-1, keepdim=True) + 1),
    "amax": lambda x: x - x.amax(-1, keepdim=True).detach(),
    "transpose": lambda x: x.transpose(1, 2) @ x,
    "permute": lambda x: x.permute(2, 0, 1).reshape(4, -1) * 2,
    "slices": lambda x: x[:, 1:, ::2] * x[:, :-1, 1::2],
    "select": lambda x: x[:, 0] * x[:, -1],
    "flip": lambda x: x.flip(1) * x,
    "cat": lambda x: torch.cat([x, x * x], 1),
    "stack": lambda x: torch.stack([x, x * x], 2),
    "chunk": lambda x: x.chunk(2, -1)[0] * x.chunk(2, -1)[1],
    "pad": lambda x: nn.functional.pad(x, (1, 2, 0, 1)) * 3,
    "expand": lambda x: x.unsqueeze(1).expand(-1, 2, -1, -1) * 2,
    "repeat": lambda x: x.repeat(1, 2, 3),
    "squeeze": lambda x: x.unsqueeze(-1).squeeze(-1) * x,
    "masked_fill": lambda x: x.masked_fill(x < 0, 0.25),
    "assign_in_place": lambda x: _assigned(x),
    "attention": lambda x: nn.functional.scaled_dot_product_attention(x, x * 2, x + 1),
    "causal_attention": lambda x: nn.functional.scaled_dot_product_attention(x, x * 2, x + 1, is_causal=True),
}


def _assigned(x: Tensor) -> Tensor:
    y = x * x
    y[:, 0] = 0.5
    y[:, 1].mul_(3.0)
    return y


@pytest.mark.parametrize("name", POINTWISE)
def test_function_of_captured_step_has_eager_gradient(name: str) -> None:
    torch.manual_seed(1)
    data = regression((3, 4), (1,))
    check_against_eager(Of(POINTWISE[name], (3, 4)), mean_square, data, tolerance=1e-11)


IMAGES: dict[str, Callable[[], nn.Module]] = {
    "conv": lambda: nn.Conv2d(2, 3, 3),
    "conv_padded": lambda: nn.Conv2d(2, 3, 3, padding=1),
    "conv_strided": lambda: nn.Conv2d(2, 3, 3, stride=2, padding=1),
    "conv_uneven": lambda: nn.Conv2d(2, 3, (2, 3), stride=(3, 2), padding=(0, 1), dilation=(2, 1)),
    "conv_apart": lambda: nn.Conv2d(2, 3, 2, stride=3, padding=1),
    "conv_shortcut": lambda: nn.Conv2d(2, 3, 1, stride=2),
    "conv_large_kernel": lambda: nn.Conv2d(2, 3, (4, 5), stride=(3, 2), padding=(2, 1)),
    "conv_dilated": lambda: nn.Conv2d(2, 4, 2, dilation=2, padding=2),
    "conv_groups": lambda: nn.Conv2d(2, 4, 3, groups=2, padding=1, stride=2),
    "conv_depthwise": lambda: nn.Conv2d(2, 2, 3, groups=2, bias=False),
    "conv_pointwise": lambda: nn.Conv2d(2, 5, 1),
    "max_pool": lambda: nn.MaxPool2d(2),
    "max_pool_remainder": lambda: nn.MaxPool2d(3),
    "max_pool_overlapping": lambda: nn.MaxPool2d(3, stride=2, padding=1),
    "max_pool_dilated": lambda: nn.MaxPool2d(2, stride=1, dilation=2),
    "max_pool_ceil": lambda: nn.MaxPool2d(3, stride=2, ceil_mode=True),
    "avg_pool": lambda: nn.AvgPool2d(2),
    "avg_pool_overlapping": lambda: nn.AvgPool2d(3, stride=2, padding=1),
    "adaptive": lambda: nn.AdaptiveAvgPool2d(2),
    "global": lambda: nn.AdaptiveAvgPool2d(1),
    "group_norm": lambda: nn.GroupNorm(1, 2),
    "group_norm_plain": lambda: nn.GroupNorm(2, 2, affine=False),
    "batch_norm": lambda: nn.BatchNorm2d(2),
    "layer_norm": lambda: nn.LayerNorm((2, 6, 8)),
}


class Between(nn.Module):
    """A convolution, the layer under test, and a linear layer."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.before = nn.Conv2d(2, 2, 1)
        self.layer = layer
        with torch.no_grad():
            features = layer(torch.zeros(2, 2, 6, 8)).flatten(1).shape[1]
        self.after = nn.Linear(features, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.layer(self.before(x)).flatten(1))


@pytest.mark.parametrize("name", IMAGES)
def test_image_layer_of_captured_step_has_eager_gradient(name: str) -> None:
    torch.manual_seed(2)
    model = Between(IMAGES[name]())
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    check_against_eager(model, nn.CrossEntropyLoss(), classification((2, 6, 8)))


def test_conv1d_of_captured_step_has_eager_gradient() -> None:
    model = nn.Sequential(nn.Conv1d(2, 3, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(15, 5))
    check_against_eager(model, nn.CrossEntropyLoss(), classification((2, 10)))


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": nn.CrossEntropyLoss(),
    "cross_entropy_sum": nn.CrossEntropyLoss(reduction="sum"),
    "cross_entropy_each": lambda o, t: (nn.functional.cross_entropy(o, t, reduction="none") ** 2).mean(),
    "cross_entropy_smoothed": nn.CrossEntropyLoss(label_smoothing=0.1),
    "cross_entropy_ignoring": nn.CrossEntropyLoss(ignore_index=2),
    "nll": lambda o, t: nn.functional.nll_loss(nn.functional.log_softmax(o, -1), t),
}


@pytest.mark.parametrize("name", LOSSES)
def test_classification_loss_of_captured_step_has_eager_gradient(name: str) -> None:
    check_against_eager(nn.Linear(7, 5), LOSSES[name], classification((7,)))


@pytest.mark.parametrize(
    "loss", [nn.MSELoss(), nn.MSELoss(reduction="sum"), nn.BCEWithLogitsLoss()], ids=["mean", "sum", "bce"]
)
def test_regression_loss_of_captured_step_has_eager_gradient(loss: nn.Module) -> None:
    data = regression((7,), (3,))
    data = Dataset(data.inputs, (data.targets > 0).astype(np.float32))
    check_against_eager(nn.Linear(7, 3), loss, data)


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.norm = nn.LayerNorm(6)
        self.register_buffer("position", torch.randn(4, 6))

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.embed(x) + self.position)
        # tied weights: the classes are the words
        return (h @ self.embed.weight.T).mean(1)


def test_embedding_with_tied_weights_and_a_table_has_eager_gradient() -> None:
    rng = np.random.default_rng(3)
    data = Dataset(rng.integers(0, 11, (5, 4)).astype(np.uint16), rng.integers(0, 11, 5).astype(np.int32), scale=None)
    task = check_against_eager(Tokens(), nn.CrossEntropyLoss(), data)
    assert task.names.constants[:3] == ("inputs", "targets", "position")


def test_frozen_and_unused_parameters_pass_through() -> None:
    model = nn.Sequential(nn.Linear(7, 6), nn.ReLU(), nn.Linear(6, 5))
    model[0].weight.requires_grad_(False)
    model.register_parameter("unused", nn.Parameter(torch.ones(3)))
    task = check_against_eager(model, nn.CrossEntropyLoss(), classification((7,)))
    frozen = {name for name, entry in zip(task.names.state, task.step.state, strict=True) if entry.frozen}
    assert frozen == {"unused", "0.weight"}
