"""Functions of captured steps in float64 against eager float64: activations, powers, orders, indices, losses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from lockstep.program.selection import Dataset
from tests.offchain.program.capturing import Of, check_against_eager, classification, mean_square, regression

Function = Callable[[Tensor], Tensor]
FLOAT32_CONSTANTS = 1e-8
"""Tolerance where PyTorch itself computes with constants rounded to float32."""


def joined(*functions: Function) -> Function:
    """Several functions of one input, their results in a row: one capture tests them all."""
    return lambda x: torch.cat([function(x).flatten() for function in functions])


ACTIVATIONS: dict[str, Function] = {
    "softplus": joined(F.softplus, lambda x: F.softplus(x, 3.0, 1.0)),
    "elu": joined(F.elu, lambda x: F.elu(x, 0.7), F.selu, lambda x: F.celu(x, 1.5)),
    "hard": joined(F.hardswish, F.hardsigmoid, F.relu6, F.hardtanh, lambda x: F.hardswish(x * 9)),
    "smooth": joined(F.mish, F.logsigmoid, F.softsign, F.tanhshrink),
    "glu": joined(F.glu, lambda x: F.glu(x.transpose(1, 2), 1)),
    "shrink": joined(lambda x: F.softshrink(x, 0.3), lambda x: F.hardshrink(x, 0.3)),
    "threshold": joined(lambda x: F.threshold(x, 0.1, 0.2), lambda x: F.softmin(x, -1)),
}

ELEMENTARY: dict[str, Function] = {
    "exponentials": joined(torch.expm1, torch.exp2, torch.sinh, torch.cosh, torch.erfc),
    "turns": joined(torch.sin, torch.cos, lambda x: torch.tan(x / 3), lambda x: torch.sin(x * 40) + torch.cos(x * 77)),
    "logarithms": joined(
        lambda x: torch.log1p(x * x), lambda x: torch.log2(x * x + 1), lambda x: torch.log10(x * x + 1)
    ),
    "powers": joined(
        lambda x: x**11, lambda x: (x * x + 1) ** 0.5, lambda x: (x * x + 1) ** -2.5, lambda x: (x * x + 1) ** 0.3
    ),
    "powers_of_tensors": joined(lambda x: torch.pow(x * x + 1, x), lambda x: 2.0**x),
    "pairs": joined(
        lambda x: torch.hypot(x, x + 3),
        lambda x: torch.logaddexp(x, 2 * x),
        lambda x: torch.xlogy(x * x + 1, x * x + 1),
    ),
    "fused": joined(
        lambda x: torch.lerp(x, x * 2, 0.3),
        lambda x: torch.lerp(x, x * 2, x),
        lambda x: torch.addcmul(x, x, x, value=0.5),
        lambda x: torch.addcdiv(x, x, x * x + 1, value=0.5),
    ),
    "quotients": joined(
        lambda x: torch.remainder(x, 0.7),
        lambda x: torch.fmod(x, 0.7),
        torch.frac,
        lambda x: x * (torch.arange(-2, 2) // 3) + x * (torch.arange(-2, 2) % 3),
        lambda x: x * torch.div(x, 0.7, rounding_mode="trunc"),
    ),
    "bounds": joined(
        lambda x: x.clamp(x * 0 - 0.5, x * 0 + 0.3),
        lambda x: torch.clamp_max(x, 0.4),
        lambda x: x.clamp(min=1.2) + x.clamp(max=-0.3),
        lambda x: torch.nan_to_num(x / (x > 0).to(x.dtype), posinf=2.0, neginf=-3.0),
        lambda x: torch.where(torch.isnan(x) | torch.isinf(x) | ~torch.isfinite(x), x, x * 2),
    ),
    "truth": joined(
        lambda x: x * ((x > 0) ^ (x > 1)).to(x.dtype),
        lambda x: x * (x > 0).any(-1, keepdim=True).to(x.dtype),
        lambda x: x * (x > -0.5).all(1, keepdim=True).to(x.dtype),
        lambda x: x * (x > -9).all(),
    ),
    "norms": joined(
        lambda x: F.normalize(x, dim=-1),
        lambda x: x.norm(p=1, dim=-1),
        lambda x: x.norm(),
        lambda x: x.norm(torch.inf, 1),
    ),
    "distances": joined(
        lambda x: F.cosine_similarity(x, x * x, dim=-1),
        lambda x: F.pairwise_distance(x, x * 2),
        lambda x: torch.dist(x, -x),
    ),
    "statistics": joined(
        lambda x: x.std(-1), lambda x: x.logsumexp(-1), lambda x: torch.logsumexp(x, (1, 2)), lambda x: x.var((0, 2))
    ),
}

ORDERS: dict[str, Function] = {
    "extremes": joined(
        lambda x: x.max(-1).values,
        lambda x: x.min(1).values,
        lambda x: x.max() * x,
        lambda x: x.min() * x,
        lambda x: x.amin(1),
    ),
    "sort": joined(lambda x: x.sort(-1).values, lambda x: x.sort(1, descending=True).values),
    "topk": joined(lambda x: x.topk(2, -1).values, lambda x: x.topk(2, 1, largest=False).values),
    "argsort": lambda x: torch.take_along_dim(x, x.detach().argsort(-1), -1) * x,
    "cumsum": joined(lambda x: x.cumsum(-1), lambda x: x.cumsum(1), lambda x: (x * x).cumsum(0)),
    "cummax": lambda x: torch.cummax(x, 1).values,
}

INDICES: dict[str, Function] = {
    "gather": joined(
        lambda x: x.gather(-1, x.argmax(-1, keepdim=True)),
        lambda x: x.gather(1, torch.tensor([2, 0]).view(1, 2, 1).expand(6, 2, 4)),
    ),
    "index_select": joined(lambda x: x.index_select(-1, torch.tensor([2, 0, 0])), lambda x: x[:, [0, 2, 2, -1]]),
    "pairs": joined(
        lambda x: x[torch.arange(6), x[:, :, 0].argmax(-1)],
        lambda x: x[:, torch.tensor([0, 1]), torch.tensor([2, 3])],
        lambda x: x[torch.tensor([[0], [5]]), :, torch.tensor([1, 2, 2])],
    ),
    "scatter": joined(
        lambda x: torch.zeros_like(x).scatter(-1, x.argmax(-1, keepdim=True), 1.0) * x,
        lambda x: torch.zeros_like(x).scatter_add(-1, (x > 0).long(), x),
        lambda x: torch.zeros_like(x).index_add(1, torch.tensor([0, 1, 1]), x),
        lambda x: F.one_hot(x.argmax(-1), 4) * x,
    ),
    "masks": joined(lambda x: _written(x), lambda x: x.masked_fill(x > 0, torch.tensor(3.0))),
    "triangles": joined(
        lambda x: torch.tril(x) + torch.triu(x, 1),
        lambda x: torch.diagonal(x, 1, 1, 2),
        torch.diag_embed,
        lambda x: x + torch.eye(4, dtype=x.dtype)[:3],
    ),
    "windows": joined(
        lambda x: x.unfold(-1, 2, 1),
        lambda x: x.roll(1, -1) * x,
        lambda x: x.roll((1, 2), (1, 2)),
        lambda x: x.roll(5) * x,
    ),
    "strided_assignment": lambda x: _assigned(x),
    "numbers": joined(
        lambda x: x * torch.linspace(0, 1, 4, dtype=x.dtype),
        lambda x: x * torch.arange(1, 9, 2),
        lambda x: x * torch.tensor([1, 2, 3, 4]),
    ),
    "einsum": joined(
        lambda x: torch.einsum("bij,bkj->bik", x, x),
        lambda x: torch.einsum("bij,bij->b", x, x),
        lambda x: torch.einsum("bij,kj->bk", x, x[0]),
        lambda x: torch.tensordot(x, x, dims=([1, 2], [1, 2])),
    ),
    "repeat_interleave": joined(lambda x: x.repeat_interleave(3, 1), lambda x: x.tile(2, 2)),
}


def _written(x: Tensor) -> Tensor:
    y = x * x
    y[x > 0] = 0.5
    y[:, x[0, :, 0] > 0.3] = -1.0
    return y


def _assigned(x: Tensor) -> Tensor:
    y = x * 1
    y[:, 0, 1:3] = x[:, 1, 1:3] * 2
    y[..., ::2] = x[..., 1::2]
    return y


FUNCTIONS = ACTIVATIONS | ELEMENTARY | ORDERS | INDICES


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_of_captured_step_has_eager_gradient(name: str) -> None:
    torch.manual_seed(1)
    data = regression((3, 4), (1,))
    check_against_eager(Of(FUNCTIONS[name], (3, 4)), mean_square, data, tolerance=FLOAT32_CONSTANTS)


class Squared(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        return grad * 3 * x


class StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):  # type: ignore[no-untyped-def]
        return torch.sign(x)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        return grad


def test_custom_autograd_functions_keep_their_own_gradient() -> None:
    data = regression((3, 4), (1,))
    own = joined(lambda x: Squared.apply(x) * x, lambda x: StraightThrough.apply(x) * x)
    check_against_eager(Of(own, (3, 4)), mean_square, data)


# losses

WEIGHTS = torch.tensor([0.5, 1.0, 2.0, 0.1, 0.7])

CLASS_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "weighted": nn.CrossEntropyLoss(weight=WEIGHTS),
    "weighted_sum": nn.CrossEntropyLoss(weight=WEIGHTS, reduction="sum"),
    "weighted_smoothed": nn.CrossEntropyLoss(weight=WEIGHTS, label_smoothing=0.1),
    "weighted_ignoring": nn.CrossEntropyLoss(weight=WEIGHTS, ignore_index=2),
    "smoothed_ignoring": nn.CrossEntropyLoss(ignore_index=2, label_smoothing=0.1),
    "weights_made": lambda o, t: F.cross_entropy(o, t, _ramp(o), reduction="none").square().sum(),
    "picked": lambda o, t: -F.log_softmax(o, -1).gather(1, t[:, None]).mean() - o[torch.arange(6), t].mean(),
    "brier": lambda o, t: F.mse_loss(o.softmax(-1), F.one_hot(t, 5).to(o.dtype)),
}


def _ramp(o: Tensor) -> Tensor:
    return torch.linspace(0.5, 1.5, 5, dtype=o.dtype)


@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_classification_loss_of_captured_step_has_eager_gradient(name: str) -> None:
    torch.manual_seed(3)
    task = check_against_eager(nn.Linear(7, 5), CLASS_LOSSES[name], classification((7,)), tolerance=FLOAT32_CONSTANTS)
    assert ("loss.weight" in task.names.constants) == name.startswith("weighted")


def test_cross_entropy_of_sequences_has_eager_gradient() -> None:
    rng = np.random.default_rng(3)
    data = Dataset(rng.standard_normal((5, 4, 6)).astype(np.float32), rng.integers(0, 7, (5, 4)).astype(np.int32))
    for loss in (nn.CrossEntropyLoss(), nn.CrossEntropyLoss(ignore_index=3), nn.CrossEntropyLoss(reduction="sum")):
        check_against_eager(nn.Linear(6, 7), lambda o, t, loss=loss: loss(o.transpose(1, 2), t), data)


def _positive(t: Tensor, o: Tensor) -> Tensor:
    return (t > 0).to(o.dtype)


NUMBER_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": lambda o, t: F.l1_loss(o, t) + F.l1_loss(o, t, reduction="sum"),
    "smooth_l1": lambda o, t: F.smooth_l1_loss(o, t) + F.smooth_l1_loss(o, t, beta=0.3, reduction="sum"),
    "huber": lambda o, t: F.huber_loss(o, t) + F.huber_loss(o, t, delta=0.4, reduction="none").square().sum(),
    "kl": lambda o, t: F.kl_div(F.log_softmax(o, -1), F.softmax(t, -1), reduction="batchmean"),
    "kl_log": lambda o, t: F.kl_div(F.log_softmax(o, -1), F.log_softmax(t, -1), reduction="sum", log_target=True),
    "bce": lambda o, t: F.binary_cross_entropy(o.sigmoid(), _positive(t, o)),
    "bce_weighted": lambda o, t: F.binary_cross_entropy_with_logits(o, _positive(t, o), t.exp(), pos_weight=t.exp()[0]),
    "soft_targets": lambda o, t: F.cross_entropy(o, F.softmax(t, -1), label_smoothing=0.1),
    "soft_margin": lambda o, t: F.soft_margin_loss(o, t.sign()),
    "poisson": nn.PoissonNLLLoss(),
    "hinge": lambda o, t: F.hinge_embedding_loss(o, t.sign()) + F.margin_ranking_loss(o, t, t.sign()),
    "multilabel": lambda o, t: F.multilabel_soft_margin_loss(o, _positive(t, o)),
    "triplet": lambda o, t: F.triplet_margin_loss(o, t, t + 1),
}


@pytest.mark.parametrize("name", NUMBER_LOSSES)
def test_regression_loss_of_captured_step_has_eager_gradient(name: str) -> None:
    torch.manual_seed(3)
    check_against_eager(nn.Linear(7, 3), NUMBER_LOSSES[name], regression((7,), (3,)), tolerance=FLOAT32_CONSTANTS)
