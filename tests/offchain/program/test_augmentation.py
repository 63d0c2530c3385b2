"""Flips and crops: which pixels, how often, the same for the same step and seed, and never in evaluation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lockstep.engine.run import Runner
from lockstep.numerics.dtypes import DType
from lockstep.numerics.threefry import random_bits
from lockstep.program import reference
from lockstep.program.augmentation import Augmentation
from lockstep.program.builder import Builder
from lockstep.program.capture import capture
from lockstep.program.graph import Program
from lockstep.program.infer import ProgramError
from lockstep.program.ops import Op
from lockstep.program.optimisers import SGD
from lockstep.program.selection import Dataset, select
from lockstep.program.spec import check_program

Array = np.ndarray[Any, Any]
SEED = 0x0123456789ABCDEF
KINDS = [Augmentation(flip=True), Augmentation(padding=2), Augmentation(flip=True, padding=1)]
ids = [f"flip {kind.flip} padding {kind.padding}" for kind in KINDS]


def stored(rows: int = 6, channels: int = 2) -> Array:
    """Pixels without a zero, so that the frame's zeros are told apart."""
    return (1 + np.arange(rows * channels * 5 * 7) % 255).astype(np.uint8).reshape(rows, channels, 5, 7)


def program_of(images: Array, augmentation: Augmentation | None) -> Program:
    """A step whose state becomes the batch: rows 0, 1, 2 ... augmented."""
    b = Builder()
    b.add_state("seen", DType.F32, images.shape)
    table = b.add_constant("inputs", images)
    batch = select(b, table, b.iota((len(images),)), 0.5, 3.0, augmentation)
    return b.finish([batch]).program


def seen(images: Array, augmentation: Augmentation | None, step: int, seed: int = SEED) -> Array:
    state = [np.zeros(images.shape, np.float32)]
    return reference.evaluate(program_of(images, augmentation), state, [images], step, seed)[0][0]


def plain(images: Array, augmentation: Augmentation, step: int, seed: int = SEED) -> Array:
    """The same in NumPy: pad, cut, flip, an image at a time."""
    words = random_bits(seed, step, 0, (3, len(images))).astype(np.int64) & 0xFFFFFFFF
    p, (height, width) = augmentation.padding, images.shape[2:]
    out = []
    for image, flip, down, right in zip(images, *words, strict=True):
        framed = np.pad(image, ((0, 0), (p, p), (p, p)))
        top, left = down % (2 * p + 1), right % (2 * p + 1)
        cut = framed[:, top : top + height, left : left + width]
        out.append(cut[:, :, ::-1] if augmentation.flip and flip & 1 else cut)
    return np.stack(out).astype(np.float32) * np.float32(0.5) + np.float32(3.0)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("augmentation", KINDS, ids=ids)
def test_pixels_equal_a_plain_computation_from_the_same_draws(augmentation: Augmentation, channels: int) -> None:
    images = stored(channels=channels)
    check_program(program_of(images, augmentation))
    for step in (0, 1, 77):
        np.testing.assert_array_equal(seen(images, augmentation, step), plain(images, augmentation, step))


@pytest.mark.parametrize("native", [False, None], ids=["torch", "fastest"])
def test_engine_gives_the_reference_pixels(native: bool | None) -> None:
    images, augmentation = stored(), KINDS[2]
    runner = Runner(program_of(images, augmentation), [images], SEED, native=native)
    after, _ = runner.step([torch.zeros(images.shape)], 5)
    np.testing.assert_array_equal(after[0].numpy(), seen(images, augmentation, 5))


def test_same_step_and_seed_give_the_same_pixels_and_others_give_others() -> None:
    images, augmentation = stored(rows=16), KINDS[2]
    first = seen(images, augmentation, 3)
    np.testing.assert_array_equal(first, seen(images, augmentation, 3))
    assert not np.array_equal(first, seen(images, augmentation, 4))
    assert not np.array_equal(first, seen(images, augmentation, 3, seed=SEED + 1))


def test_half_of_the_images_are_flipped_and_every_window_is_cut_as_often() -> None:
    rows = 6000
    images = np.zeros((rows, 1, 3, 3), np.uint8)
    images[:, 0, 1, 1], images[:, 0, 1, 2] = 10, 20  # the centre, and its right neighbour
    found = seen(images, Augmentation(flip=True, padding=1), 9)[:, 0] * 2 - 6
    places = np.zeros((3, 3))
    centres = np.argwhere(found == 10)
    assert len(centres) == rows  # a padding of 1 never cuts the centre off
    np.add.at(places, (centres[:, 1], centres[:, 2]), 1)
    assert np.abs(places - rows / 9).max() < 5 * np.sqrt(rows / 9)
    inner = centres[centres[:, 2] == 1]
    flipped = found[inner[:, 0], inner[:, 1], 0] == 20
    assert abs(flipped.mean() - 0.5) < 5 * np.sqrt(0.25 / len(inner))


def test_training_is_augmented_and_evaluation_is_not() -> None:
    rows = 8
    data = Dataset(stored(rows), np.zeros(rows, np.uint8), 1 / 255)
    model = nn.Sequential(nn.Flatten(), nn.Linear(70, 2))
    plainly = capture(model, nn.CrossEntropyLoss(), SGD(0.1), data, 4, evaluation=data)
    augmented = replace(data, augmentation=Augmentation(flip=True, padding=1))
    task = capture(model, nn.CrossEntropyLoss(), SGD(0.1), augmented, 4, evaluation=augmented)
    assert task.evaluate == plainly.evaluate
    assert sum(node.op is Op.RANDOM_BITS for node in task.step.nodes) == 1
    assert not any(node.op is Op.RANDOM_BITS for node in plainly.step.nodes)


def test_nothing_asked_for_adds_nothing() -> None:
    images = stored()
    assert program_of(images, Augmentation()) == program_of(images, None)


def test_padding_out_of_range_is_refused() -> None:
    for padding in (-1, 65):
        with pytest.raises(ProgramError, match="0 to 64"):
            Augmentation(padding=padding)


def test_inputs_that_are_no_images_are_refused() -> None:
    data = Dataset(np.zeros((4, 6), np.uint8), np.zeros(4, np.uint8), augmentation=Augmentation(flip=True))
    with pytest.raises(ProgramError, match=r"\[rows, C, H, W\]"):
        capture(nn.Linear(6, 2), nn.CrossEntropyLoss(), SGD(0.1), data, 2)
