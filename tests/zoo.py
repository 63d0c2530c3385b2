"""The zoo's training steps as tests take them: captured once a process, the largest models smaller where asked.

A smaller model has the architecture, loss and optimiser of the one it stands for; its step takes a moment on any route.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from lockstep.cli.zoo import PRESETS, Job
from lockstep.data import Augmentation, authors, books_bpe, next_token, standardised
from lockstep.data.images import mnist_5k
from lockstep.data.splits import Splits
from lockstep.models import BERT, GPT, LSTMClassifier, ResNet18
from lockstep.program.capture import CapturedTask, capture

TOKENS = 600
"""Vocabulary of the smaller language models: more tokens than bytes, so that there are pairs."""


def _digits_28() -> Splits:
    """The images that every machine has; ``lockstep.data.images`` takes others where they are installed."""
    return standardised(mnist_5k())


def _resnet18() -> Job:
    job = PRESETS["resnet18"].build()
    train = replace(_digits_28().train, augmentation=Augmentation(flip=True, padding=2))
    return job._replace(train=train)


def _small_resnet18() -> Job:
    return _resnet18()._replace(model=ResNet18(width=8))


def _small_gpt_mini() -> Job:
    job = PRESETS["gpt-small"].build()
    model = GPT(vocabulary=TOKENS, context=16, layers=2, width=48, heads=8, tied=True)
    return job._replace(model=model, train=next_token(books_bpe(TOKENS), 16).train)


def _small_bert_tiny() -> Job:
    job = PRESETS["bert-small"].build()
    model = BERT(vocabulary=TOKENS, context=32, layers=2, width=32, heads=4)
    return job._replace(model=model, train=authors(books_bpe(TOKENS), 32, shortest=12, longest=48).train)


def _small_lstm() -> Job:
    job = PRESETS["lstm"].build()
    return job._replace(model=LSTMClassifier(TOKENS, 16, 32), train=authors(books_bpe(TOKENS), 6).train)


SMALLER: dict[str, tuple[int, Callable[[], Job]]] = {
    "gpt-small": (2, PRESETS["gpt-small"].build),
    "bert-small": (2, PRESETS["bert-small"].build),
    "resnet18": (2, _small_resnet18),
    "gpt-mini": (4, _small_gpt_mini),
    "bert-tiny": (4, _small_bert_tiny),
    "lstm": (4, _small_lstm),
}
"""Batch size and job of a smaller model or step, by the preset it stands for; the other presets are small already."""
LARGEST = ("resnet18", "gpt-mini", "bert-tiny")
"""Presets whose step at full size takes seconds and gigabytes."""


@cache
def zoo_task(name: str, *, full: bool = False) -> CapturedTask:
    """The captured step of a preset, without its evaluation; ``full``: at its own size, whatever that costs."""
    preset = PRESETS[name]
    batch, build = preset.batch_size, preset.build
    if name in SMALLER and not full:
        batch, build = SMALLER[name]
    elif name == "resnet18":
        build = _resnet18
    job = build()
    return capture(job.model, job.loss, job.optimiser, job.train, batch)
