"""The zoo's models in eager PyTorch: shapes, parameter counts, what each must and must not see."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lockstep.models import (
    BERT,
    CNN,
    GPT,
    MLP,
    AttentionClassifier,
    LSTMClassifier,
    ResNet18,
    bert_tiny,
    gpt_mini,
    next_token_loss,
)
from lockstep.models.attention import AttentionBlock


def pixels(*shape: int) -> Tensor:
    return torch.rand(shape)


def tokens(*shape: int, vocabulary: int = 256) -> Tensor:
    return torch.randint(1, vocabulary, shape)


MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor], tuple[int, ...], int]] = {
    "mlp": (MLP, lambda: pixels(3, 64), (3, 10), 9_610),
    "cnn": (CNN, lambda: pixels(3, 1, 8, 8), (3, 10), 6_186),
    "cnn batch norm": (lambda: CNN(norm="batch"), lambda: pixels(3, 1, 8, 8), (3, 10), 6_186),
    "resnet 28x28x1": (ResNet18, lambda: pixels(2, 1, 28, 28), (2, 10), 11_172_810),
    "resnet 32x32x3": (lambda: ResNet18(3), lambda: pixels(2, 3, 32, 32), (2, 10), 11_173_962),
    "resnet group norm": (lambda: ResNet18(3, 5, 16, "group"), lambda: pixels(1, 3, 32, 32), (1, 5), 700_821),
    "attention": (AttentionClassifier, lambda: pixels(3, 1, 8, 8), (3, 10), 9_482),
    "gpt": (GPT, lambda: tokens(2, 64), (2, 64, 256), 136_960),
    "gpt tied": (lambda: GPT(tied=True), lambda: tokens(2, 9), (2, 9, 256), 120_576),
    "gpt-mini": (gpt_mini, lambda: tokens(1, 8, vocabulary=50_000), (1, 8, 50_000), 44_580_864),
    "bert": (BERT, lambda: tokens(2, 64), (2, 3), 120_899),
    "bert-tiny": (bert_tiny, lambda: tokens(2, 9, vocabulary=30_000), (2, 3), 10_857_219),
    "lstm": (LSTMClassifier, lambda: tokens(2, 24), (2, 3), 33_475),
}


@pytest.mark.parametrize("name", MODELS)
def test_shape_and_parameter_count(name: str) -> None:
    build, example, shape, count = MODELS[name]
    torch.manual_seed(0)
    model = build()
    assert sum(parameter.numel() for parameter in model.parameters()) == count
    with torch.no_grad():
        output = model(example())
    assert output.shape == shape
    assert output.dtype is torch.float32
    assert bool(output.isfinite().all())


@pytest.mark.parametrize("build", [CNN, ResNet18], ids=["cnn", "resnet"])
def test_norm_is_the_one_asked_for(build: Callable[..., nn.Module]) -> None:
    size = {"width": 8} if build is ResNet18 else {}
    for norm, wanted, other in (("batch", nn.BatchNorm2d, nn.GroupNorm), ("group", nn.GroupNorm, nn.BatchNorm2d)):
        modules = list(build(norm=norm, **size).modules())
        assert any(isinstance(module, wanted) for module in modules)
        assert not any(isinstance(module, other) for module in modules)


def test_resnet_every_stage_but_the_first_halves_the_image() -> None:
    model = ResNet18(width=8)
    sizes = []
    x = model.stem(pixels(1, 1, 28, 28))
    for block in model.stages:
        x = block(x)
        sizes.append(tuple(x.shape[1:]))
    assert sizes[::2] == sizes[1::2] == [(8, 28, 28), (16, 14, 14), (32, 7, 7), (64, 4, 4)]


def test_attention_written_out_equals_the_fused_operator() -> None:
    torch.manual_seed(1)
    block = AttentionBlock(16, 4, 32)
    x = torch.randn(2, 5, 16)
    split = [part(x).reshape(2, 5, 4, 4).transpose(1, 2) for part in (block.queries, block.keys, block.values)]
    fused = nn.functional.scaled_dot_product_attention(*split).transpose(1, 2).reshape(2, 5, 16)
    torch.testing.assert_close(block.attend(x), block.join(fused))


def test_gpt_no_place_sees_what_comes_after_it() -> None:
    torch.manual_seed(2)
    model = GPT()
    text = tokens(1, 10)
    changed = text.clone()
    changed[0, 6] = text[0, 6] % 255 + 1
    before, after = model(text)[0], model(changed)[0]
    torch.testing.assert_close(before[:6], after[:6], rtol=0, atol=0)
    assert all(not torch.equal(before[place], after[place]) for place in range(6, 10))


def test_gpt_places_are_told_apart_once_learned() -> None:
    torch.manual_seed(3)
    model = GPT()
    nn.init.normal_(model.places)
    same = torch.full((1, 4), 65)
    assert not torch.allclose(model(same)[0, 0], model(same)[0, 3])


@pytest.mark.parametrize("build", [BERT, LSTMClassifier], ids=["bert", "lstm"])
def test_padding_changes_nothing(build: Callable[[], nn.Module]) -> None:
    torch.manual_seed(4)
    model = build()
    text = tokens(2, 7)
    padded = torch.cat([text, torch.zeros(2, 5, dtype=torch.int64)], 1)
    torch.testing.assert_close(model(text), model(padded))
    assert not torch.allclose(model(padded)[0], model(padded)[1])


def test_next_token_loss_is_the_mean_over_all_places() -> None:
    scores, targets = torch.randn(2, 3, 5), torch.randint(0, 5, (2, 3))
    log = torch.log_softmax(scores, -1)
    expected = -sum(log[n, t, targets[n, t]] for n in range(2) for t in range(3)) / 6
    torch.testing.assert_close(next_token_loss(scores, targets), expected)


def test_tied_scores_start_near_one() -> None:
    torch.manual_seed(5)
    assert 0.5 < float(GPT(tied=True)(tokens(4, 64)).detach().std()) < 2.0
