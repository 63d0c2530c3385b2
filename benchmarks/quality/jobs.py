"""The trainings that are compared: a model of the zoo, its data, optimiser, batch and length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from lockstep.data import Augmentation, ByteTokenizer, Dataset, authors, books_bpe, digits, next_token, standardised
from lockstep.data.images import fashion_mnist
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
from lockstep.program.optimisers import Adam, AdamW, Cosine, Momentum, Optimiser, Warmup
from lockstep.program.tracing import Loss

Parts = tuple[Dataset, Dataset]
"""Training and test set."""


@dataclass(frozen=True, slots=True)
class Job:
    """One training. ``goal`` is what its test metric should reach, for people.

    ``metric`` is "accuracy" or "loss". ``data`` takes the folder of Fashion-MNIST's files.
    """

    what: str
    model: Callable[[], nn.Module]
    data: Callable[[Path], Parts]
    optimiser: Optimiser
    batch_size: int
    steps: int
    metric: str = "accuracy"
    goal: str = ""
    loss: Loss = nn.functional.cross_entropy

    @property
    def settings(self) -> str:
        """Everything that decides the training but seed and arithmetic; a run with others is another run."""
        return f"{self.what}; {self.optimiser!r}; {self.steps} steps of {self.batch_size}"


def _clothes(folder: Path) -> Parts:
    splits = standardised(fashion_mnist(folder))
    return splits.train, splits.test


def _moved_clothes(folder: Path) -> Parts:
    train, test = _clothes(folder)
    return replace(train, augmentation=Augmentation(flip=True, padding=2)), test


def _passages(length: int, vocabulary: int | None, shortest: int, longest: int) -> Callable[[Path], Parts]:
    def build(_folder: Path) -> Parts:
        tokenizer = ByteTokenizer() if vocabulary is None else books_bpe(vocabulary)
        splits = authors(tokenizer, length, shortest, longest)
        return splits.train, splits.test

    return build


def _books(length: int, stride: int, vocabulary: int | None = None) -> Callable[[Path], Parts]:
    def build(_folder: Path) -> Parts:
        splits = next_token(ByteTokenizer() if vocabulary is None else books_bpe(vocabulary), length, stride)
        return splits.train, splits.test

    return build


def _falling(peak: float, steps: int) -> Cosine:
    return Cosine(peak, steps, peak / 100)


def _warm(peak: float, steps: int, rise: int) -> Warmup:
    return Warmup(rise, _falling(peak, steps - rise))


JOBS: dict[str, Job] = {
    "mlp": Job("digits", MLP, lambda _: digits(), Adam(_falling(3e-3, 600)), 64, 600),
    "cnn": Job("digits", CNN, lambda _: digits(flat=False), Adam(_falling(3e-3, 600)), 64, 600),
    "cnn-batch-norm": Job(
        "digits", lambda: CNN(norm="batch"), lambda _: digits(flat=False), Adam(_falling(3e-3, 600)), 64, 600
    ),
    "attention": Job("digits", AttentionClassifier, lambda _: digits(flat=False), Adam(_falling(3e-3, 900)), 64, 900),
    "lstm": Job(
        "who wrote 6 to 12 words",
        lambda: LSTMClassifier(vocabulary=1_000),
        _passages(24, 1_000, 6, 12),
        Adam(_falling(3e-3, 1_500)),
        16,
        1_500,
    ),
    "bert-small": Job(
        "who wrote 6 to 12 words", BERT, _passages(64, None, 6, 12), Adam(_warm(1e-3, 1_000, 100)), 16, 1_000
    ),
    "gpt-small": Job(
        "bytes of three books",
        GPT,
        _books(64, 32),
        AdamW(_warm(3e-3, 1_500, 100)),
        16,
        1_500,
        "loss",
        "within 0.01 nats of float32",
        next_token_loss,
    ),
    "cnn-fashion": Job(
        "Fashion-MNIST",
        lambda: CNN(size=28, widths=(32, 64), norm="batch"),
        _clothes,
        Adam(_warm(2e-3, 2_577, 100)),
        64,
        2_577,
        goal="0.90 or more",
    ),
    "bert-tiny": Job(
        "who wrote 12 to 48 words",
        bert_tiny,
        _passages(64, 30_000, 12, 48),
        Adam(_warm(3e-4, 400, 50)),
        16,
        400,
    ),
    "resnet18-width-16": Job(
        "Fashion-MNIST, flipped and cropped",
        lambda: ResNet18(width=16),
        _moved_clothes,
        Momentum(_warm(0.1, 4_295, 100), nesterov=True, weight_decay=5e-4),
        64,
        4_295,
        goal="0.92 or more",
    ),
    "gpt-mini": Job(
        "byte pairs of three books",
        gpt_mini,
        _books(128, 64, 50_000),
        AdamW(_warm(3e-4, 30, 5)),
        8,
        30,
        "loss",
        "within 0.01 nats of float32",
        next_token_loss,
    ),
}
"""By name: a preset's, or that of a smaller one of its kind."""
