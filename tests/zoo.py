"""The zoo's training steps as tests take them: captured once a process, the largest models smaller where asked.

A smaller model has the architecture, loss and optimiser of the one it stands for; its step takes a moment on any route.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from lockstep.cli.zoo import PRESETS, Job
from lockstep.data import authors, books_bpe, next_token, standardised
from lockstep.data.images import mnist_5k
from lockstep.models import BERT, GPT, LSTMClassifier, ResNet18
from lockstep.program.capture import CapturedTask, capture

TOKENS = 600
"""Vocabulary of the smaller language models: more tokens than bytes, so that there are pairs."""


IMAGES = ("cnn-fashion", "resnet18")
"""Presets on ``lockstep.data.images``: here on those that every machine has, wherever others are installed."""


def _small_resnet18() -> Job:
    return PRESETS["resnet18"].build()._replace(model=ResNet18(width=8))


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
    "cnn-fashion": (4, PRESETS["cnn-fashion"].build),
    "resnet18": (2, _small_resnet18),
    "gpt-mini": (4, _small_gpt_mini),
    "bert-tiny": (4, _small_bert_tiny),
    "lstm": (4, _small_lstm),
}
"""Batch size and job of a smaller model or step, by the preset it stands for; the other presets are small already."""


@cache
def zoo_task(name: str, *, full: bool = False) -> CapturedTask:
    """The captured step of a preset, without its evaluation; ``full``: at its own size, whatever that costs."""
    preset = PRESETS[name]
    batch, build = preset.batch_size, preset.build
    if name in SMALLER and not full:
        batch, build = SMALLER[name]
    job = build()
    if name in IMAGES:
        data = replace(standardised(mnist_5k()).train, augmentation=job.train.augmentation)
        job = job._replace(train=data)
    return capture(job.model, job.loss, job.optimiser, job.train, batch)
