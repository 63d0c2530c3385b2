"""Layers of captured steps in float64 against eager float64: normalisation, attention, recurrence, embedding."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils import parametrizations

from lockstep.program.capture import CaptureError, capture
from lockstep.program.optimisers import SGD
from lockstep.program.selection import Dataset
from tests.offchain.program.capturing import (
    SEED,
    Of,
    check_against_eager,
    classification,
    mean_square,
    regression,
    start_state,
)
from tests.offchain.program.float64_interpreter import run

Pick = Callable[[Any], Tensor]


def all_of(output: Any) -> Tensor:
    """Everything a layer gives, in a row."""
    if isinstance(output, Tensor):
        return output.flatten()
    return torch.cat([all_of(part) for part in output if part is not None])


class Layer(nn.Module):
    """A parameterised input, so that gradients flow through the layer, and the layer."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([1.3]))
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return all_of(self.layer(x * self.scale))


class HandWrittenRMSNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight


class FrozenBatchNorm(nn.BatchNorm1d):
    def train(self, mode: bool = True) -> FrozenBatchNorm:
        return super().train(False)


NORMS: dict[str, Callable[[], nn.Module]] = {
    "layer": lambda: nn.LayerNorm(4),
    "layer_without_bias": lambda: nn.LayerNorm(4, bias=False),
    "layer_plain": lambda: nn.LayerNorm((3, 4), elementwise_affine=False),
    "rms": lambda: nn.RMSNorm(4, eps=1e-5),
    "rms_by_hand": HandWrittenRMSNorm,
    "batch": lambda: nn.BatchNorm1d(3),
    "batch_without_statistics": lambda: nn.BatchNorm1d(3, track_running_stats=False),
    "batch_plain": lambda: nn.BatchNorm1d(3, affine=False),
    "batch_frozen": lambda: FrozenBatchNorm(3),
    "instance": lambda: nn.InstanceNorm1d(3, affine=True),
    "instance_with_statistics": lambda: nn.InstanceNorm1d(3, track_running_stats=True),
    "group": lambda: nn.GroupNorm(3, 3),
    "weight": lambda: parametrizations.weight_norm(nn.Linear(4, 5)),
    "spectral": lambda: parametrizations.spectral_norm(nn.Linear(4, 5)),
    "prelu": lambda: nn.PReLU(3),
}


@pytest.mark.parametrize("name", NORMS)
def test_normalisation_of_captured_step_has_eager_gradient(name: str) -> None:
    torch.manual_seed(1)
    layer = NORMS[name]()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, 1.0, 0.3)
    check_against_eager(Layer(layer), mean_square, regression((3, 4), (1,)), tolerance=1e-10)


def test_running_statistics_are_state_and_the_evaluation_program_uses_them() -> None:
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, momentum=0.3), nn.Linear(3, 5))
    data = classification((4,), rows=8)
    task = capture(model, nn.CrossEntropyLoss(), SGD(0.2), data, 4, evaluation=data, draw=False)
    assert task.evaluate is not None
    state = start_state(task)
    for step in range(3):
        state, _ = run(task.step, state, task.constants, step, SEED, task.step_literals)
    after = task.state_dict(state)
    assert int(after["1.num_batches_tracked"]) == 3
    assert not torch.equal(after["1.running_mean"], torch.zeros(3, dtype=torch.float64))
    loaded = copy.deepcopy(model).double().eval()
    loaded.load_state_dict(after)
    _, values = run(task.evaluate, state, task.evaluation_constants, 0, SEED)
    expected = loaded(torch.from_numpy(data.inputs.astype(np.float64))).detach().numpy()
    np.testing.assert_allclose(values[task.outputs], expected, rtol=1e-6, atol=1e-6)


def test_cumulative_running_statistics_are_refused_with_the_line() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, momentum=None), nn.Linear(3, 5))
    with pytest.raises(CaptureError, match="depends on data"):
        capture(model, nn.CrossEntropyLoss(), SGD(0.2), classification((4,)), 4)


# attention


def lower(x: Tensor) -> Tensor:
    """[3, 3]: true on and below the diagonal."""
    return torch.arange(3).unsqueeze(0) <= torch.arange(3).unsqueeze(1)


ATTENTION: dict[str, Callable[[Tensor], Tensor]] = {
    "plain": lambda x: F.scaled_dot_product_attention(x, x * 2, x + 1, scale=0.3),
    "causal": lambda x: F.scaled_dot_product_attention(x, x * 2, x + 1, is_causal=True),
    "boolean": lambda x: F.scaled_dot_product_attention(x, x * 2, x + 1, attn_mask=lower(x)),
    "rows_masked_whole": lambda x: F.scaled_dot_product_attention(x, x * 2, x + 1, attn_mask=~lower(x)),
    "additive": lambda x: F.scaled_dot_product_attention(
        x, x * 2, x + 1, attn_mask=torch.zeros(3, 3, dtype=x.dtype).masked_fill(~lower(x), -torch.inf)
    ),
    "grouped": lambda x: F.scaled_dot_product_attention(x, x[:, :1], x[:, :1] + 1, enable_gqa=True),
    "by_hand": lambda x: torch.softmax((x @ x.transpose(-1, -2)).masked_fill(~lower(x), -1e9), -1) @ x,
}


@pytest.mark.parametrize("name", ATTENTION)
def test_attention_of_captured_step_has_eager_gradient(name: str) -> None:
    torch.manual_seed(1)
    check_against_eager(Of(ATTENTION[name], (2, 3, 4)), mean_square, regression((2, 3, 4), (1,)), tolerance=1e-11)


class SelfAttention(nn.Module):
    def __init__(self, *, weights: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.register_buffer("mask", torch.triu(torch.ones(3, 3, dtype=torch.bool), 1))
        self.register_buffer("padding", torch.tensor([[False, False, True]]))
        self.weights = weights

    def forward(self, x: Tensor) -> Any:
        if self.weights:
            return self.attention(x, x, x)
        padding = self.padding.expand(x.shape[0], -1)
        return self.attention(x, x, x, attn_mask=self.mask, key_padding_mask=padding, need_weights=False)


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.decoder = nn.TransformerDecoderLayer(4, 2, 8, dropout=0.0, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(x, x * 2)


def encoder(**options: Any) -> nn.Module:
    return nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True, **options)


class Causal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.TransformerEncoder(encoder(), 1)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x, mask=self.mask)


TRANSFORMERS: dict[str, Callable[[], nn.Module]] = {
    "masked": lambda: SelfAttention(weights=False),
    "weights": lambda: SelfAttention(weights=True),
    "encoder_layer_norm_first": lambda: encoder(norm_first=True, activation="gelu"),
    "encoder": lambda: nn.TransformerEncoder(encoder(), 1, norm=nn.LayerNorm(4)),
    "causal_encoder": Causal,
    "decoder_layer": Decoder,
}


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformer_of_captured_step_has_eager_gradient(name: str) -> None:
    torch.manual_seed(1)
    check_against_eager(Layer(TRANSFORMERS[name]()), mean_square, regression((3, 4), (1,)), tolerance=1e-11)


# recurrence

RECURRENT: dict[str, Callable[[], nn.Module]] = {
    "lstm": lambda: nn.LSTM(4, 3, batch_first=True),
    "lstm_deep": lambda: nn.LSTM(4, 3, num_layers=2, bidirectional=True, batch_first=True),
    "lstm_projected": lambda: nn.LSTM(4, 3, proj_size=2, batch_first=True),
    "gru": lambda: nn.GRU(4, 3, batch_first=True),
    "gru_both_ways": lambda: nn.GRU(4, 3, bidirectional=True),
    "rnn": lambda: nn.RNN(4, 3, num_layers=2, batch_first=True),
    "rnn_relu": lambda: nn.RNN(4, 3, nonlinearity="relu", bias=False),
    "lstm_cell": lambda: Cells(nn.LSTMCell(4, 3)),
    "gru_cell": lambda: Cells(nn.GRUCell(4, 3)),
}


class Cells(nn.Module):
    """A cell along the second axis, written out."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Any:
        state = None
        for step in x.unbind(1):
            state = self.cell(step, state)
        return state


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_layer_of_captured_step_has_eager_gradient(name: str) -> None:
    torch.manual_seed(1)
    check_against_eager(Layer(RECURRENT[name]()), mean_square, regression((3, 4), (1,), rows=3), tolerance=1e-11)


# embedding


class Words(nn.Module):
    """Words to words, the classes' weights being the words'; padded positions masked."""

    def __init__(self, padding: int | None) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 6, padding_idx=padding)
        self.mix = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True)
        self.out = nn.Linear(6, 11, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.mix(self.embed(x), src_key_padding_mask=x == 3))


@pytest.mark.parametrize("padding", [None, 3])
def test_tied_embedding_of_captured_step_has_eager_gradient(padding: int | None) -> None:
    torch.manual_seed(1)
    rng = np.random.default_rng(3)
    words = rng.integers(0, 11, (5, 4))
    words[:, 0] = 5
    data = Dataset(words.astype(np.uint16), rng.integers(0, 11, (5, 4)).astype(np.int32), scale=None)
    task = check_against_eager(
        Words(padding), lambda o, t: F.cross_entropy(o.flatten(0, 1), t.flatten()), data, tolerance=1e-11
    )
    assert "embed.weight" in task.names.state
    assert "out.weight" not in task.names.state


def test_bilinear_layer_of_captured_step_has_eager_gradient() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.both = nn.Bilinear(4, 3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.both(x, x[:, 1:] * 2)

    check_against_eager(Layer(Both()), mean_square, regression((4,), (1,)))


def test_start_of_recurrent_and_attention_layers_is_drawn_from_the_seed() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = nn.LSTM(8, 9, batch_first=True)
            self.attention = nn.MultiheadAttention(9, 3, batch_first=True)
            self.up = nn.ConvTranspose1d(3, 2, 2)

        def forward(self, x: Tensor) -> Tensor:
            h = self.recurrent(x)[0]
            return self.up(self.attention(h, h, h)[0]).mean(1)

    torch.manual_seed(1)
    task = capture(Both(), nn.CrossEntropyLoss(), SGD(0.1), classification((3, 8)), 6)
    assert task.names.constants == ("inputs", "targets")
    start = dict(zip(task.names.state, start_state(task), strict=True))
    bounds = {"recurrent.weight_hh_l0": 1 / 3, "recurrent.bias_ih_l0": 1 / 3, "up.weight": 1 / 2}
    bounds["attention.in_proj_weight"] = (6 / (27 + 9)) ** 0.5
    for name, bound in bounds.items():
        assert 0.8 * bound < np.abs(start[name]).max() <= bound
    assert not start["attention.in_proj_bias"].any()
