"""The training jobs that have a name: model, loss, optimiser and data together, for ``lockstep submit NAME``.

Only names and descriptions are here when the module is loaded; PyTorch and the data come with the job that is built.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import nn

    from lockstep.data import Dataset, Splits
    from lockstep.program.optimisers import Optimiser
    from lockstep.program.tracing import Loss


class Job(NamedTuple):
    """What is trained; the same five things that a function of the user's own file returns, the last if it likes."""

    model: nn.Module
    loss: Loss
    optimiser: Optimiser
    train: Dataset
    evaluation: Dataset | None = None


@dataclass(frozen=True, slots=True)
class Preset:
    """A job with a name: what it is in a line, how many samples a step reads, how it is built."""

    summary: str
    batch_size: int
    build: Callable[[], Job]


def _mlp() -> Job:
    from lockstep.data import digits
    from lockstep.models import MLP

    return _classifier(MLP(), 3e-3, *digits())


def _cnn() -> Job:
    from lockstep.data import digits
    from lockstep.models import CNN

    return _classifier(CNN(), 3e-3, *digits(flat=False))


def _cnn_batch_norm() -> Job:
    from lockstep.data import digits
    from lockstep.models import CNN

    return _classifier(CNN(norm="batch"), 3e-3, *digits(flat=False))


def _cnn_fashion() -> Job:
    from lockstep.data import images, standardised
    from lockstep.models import CNN

    splits = standardised(images())
    return _classifier(CNN(size=28, widths=(32, 64), norm="batch"), 2e-3, splits.train, splits.validation)


def _attention() -> Job:
    from lockstep.data import digits
    from lockstep.models import AttentionClassifier

    return _classifier(AttentionClassifier(), 3e-3, *digits(flat=False))


def _resnet18() -> Job:
    from torch import nn

    from lockstep.data import Augmentation, images, standardised
    from lockstep.models import ResNet18
    from lockstep.program.optimisers import Momentum

    splits = standardised(images())
    train = replace(splits.train, augmentation=Augmentation(flip=True, padding=2))
    optimiser = Momentum(lr=0.02, momentum=0.9, nesterov=True, weight_decay=5e-4)
    return Job(ResNet18(), nn.CrossEntropyLoss(), optimiser, train, splits.validation)


def _gpt_small() -> Job:
    from lockstep.data import ByteTokenizer, next_token
    from lockstep.models import GPT

    return _language_model(GPT(), 1e-3, next_token(ByteTokenizer(), 64, stride=32))


def _gpt_mini() -> Job:
    from lockstep.data import books_bpe, next_token
    from lockstep.models import gpt_mini

    return _language_model(gpt_mini(), 3e-4, next_token(books_bpe(50_000), 128, stride=64))


def _bert_small() -> Job:
    from lockstep.data import ByteTokenizer, authors
    from lockstep.models import BERT

    splits = authors(ByteTokenizer(), 64)
    return _classifier(BERT(), 1e-3, splits.train, splits.validation)


def _bert_tiny() -> Job:
    from lockstep.data import authors, books_bpe
    from lockstep.models import bert_tiny

    splits = authors(books_bpe(30_000), 64, shortest=12, longest=48)
    return _classifier(bert_tiny(), 3e-4, splits.train, splits.validation)


def _lstm() -> Job:
    from lockstep.data import authors, books_bpe
    from lockstep.models import LSTMClassifier

    splits = authors(books_bpe(1_000), 24)
    return _classifier(LSTMClassifier(vocabulary=1_000), 3e-3, splits.train, splits.validation)


def _classifier(model: nn.Module, rate: float, train: Dataset, evaluation: Dataset) -> Job:
    from torch import nn

    from lockstep.program.optimisers import Adam

    return Job(model, nn.CrossEntropyLoss(), Adam(lr=rate), train, evaluation)


def _language_model(model: nn.Module, rate: float, splits: Splits) -> Job:
    from lockstep.models import next_token_loss
    from lockstep.program.optimisers import AdamW

    return Job(model, next_token_loss, AdamW(lr=rate), splits.train, splits.validation)


PRESETS: dict[str, Preset] = {
    "mlp": Preset("perceptron 64-128-10, handwritten digits", 64, _mlp),
    "cnn": Preset("convolutions with group norm, handwritten digits", 64, _cnn),
    "cnn-batch-norm": Preset("convolutions with batch norm, handwritten digits", 64, _cnn_batch_norm),
    "cnn-fashion": Preset("convolutions with batch norm, images of 28x28 (Fashion-MNIST or MNIST)", 64, _cnn_fashion),
    "attention": Preset("one block of self-attention, rows of handwritten digits", 64, _attention),
    "resnet18": Preset("ResNet-18, augmented images of 28x28 (Fashion-MNIST or MNIST)", 16, _resnet18),
    "gpt-small": Preset("GPT of 2 layers, bytes of three books", 16, _gpt_small),
    "gpt-mini": Preset("GPT of 6 layers and 50,000 tokens, byte pairs of three books", 8, _gpt_mini),
    "bert-small": Preset("BERT of 2 layers, who wrote a passage, bytes", 16, _bert_small),
    "bert-tiny": Preset("BERT of 4 layers and 30,000 tokens, who wrote a passage, byte pairs", 16, _bert_tiny),
    "lstm": Preset("LSTM, who wrote a passage, byte pairs", 16, _lstm),
}


def listing() -> str:
    """Every name with what it is, as a Markdown list for ``--help``."""
    return "\n".join(["The zoo (docs/MODELS.md):", "", *(f"- {name}: {p.summary}" for name, p in PRESETS.items())])
