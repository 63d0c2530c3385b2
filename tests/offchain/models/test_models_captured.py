"""One captured step of a small model of each family that can be carried, against eager PyTorch in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lockstep.models import BERT, CNN, GPT, AttentionClassifier, LSTMClassifier, ResNet18, next_token_loss
from lockstep.program.selection import Dataset
from tests.offchain.program.capturing import check_against_eager, classification

VOCABULARY, LENGTH, ROWS = 11, 6, 5


def texts(*, targets_are_texts: bool) -> Dataset:
    """Tokens from 1 on, padded with 0 at the end where the targets are classes."""
    rng = np.random.default_rng(0)
    inputs = rng.integers(1, VOCABULARY, (ROWS, LENGTH)).astype(np.uint8)
    if targets_are_texts:
        return Dataset(inputs, np.roll(inputs, -1, 1), scale=None)
    inputs[np.arange(LENGTH) >= rng.integers(2, LENGTH + 1, (ROWS, 1))] = 0
    return Dataset(inputs, rng.integers(0, 3, ROWS).astype(np.uint8), scale=None)


Loss = Callable[[Tensor, Tensor], Tensor]
CASES: dict[str, tuple[Callable[[], nn.Module], Loss, Callable[[], Dataset]]] = {
    "cnn batch norm": (
        lambda: CNN(1, 4, (4,), 3, norm="batch"),
        nn.CrossEntropyLoss(),
        lambda: classification((1, 4, 4), 3),
    ),
    "attention": (
        lambda: AttentionClassifier(4, 3, 8, 2, 1, 3),
        nn.CrossEntropyLoss(),
        lambda: classification((4, 3), 3),
    ),
    "gpt": (lambda: GPT(VOCABULARY, LENGTH, 1, 8, 2), next_token_loss, lambda: texts(targets_are_texts=True)),
    "gpt tied": (
        lambda: GPT(VOCABULARY, LENGTH, 1, 8, 2, tied=True),
        next_token_loss,
        lambda: texts(targets_are_texts=True),
    ),
    # Sixteen rows: with few, the last batch norms (of one pixel a channel) are nearly singular, and rounding shows.
    "resnet": (lambda: ResNet18(1, 3, 2), nn.CrossEntropyLoss(), lambda: classification((1, 8, 8), 3, rows=16)),
    "lstm": (
        lambda: LSTMClassifier(VOCABULARY, 3, 4),
        nn.CrossEntropyLoss(),
        lambda: texts(targets_are_texts=False),
    ),
    "bert": (lambda: BERT(VOCABULARY, LENGTH, 1, 8, 2), nn.CrossEntropyLoss(), lambda: texts(targets_are_texts=False)),
}


@pytest.mark.parametrize("name", CASES)
def test_captured_step_is_the_eager_step(name: str) -> None:
    build, loss, data = CASES[name]
    torch.manual_seed(6)
    check_against_eager(build(), loss, data(), steps=2, tolerance=1e-12)
