"""Contractions of windows run as convolutions, each within the bound of a contraction, forward and both gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lockstep.engine.mixed.convolutions import find_convolution
from lockstep.engine.mixed.forms import find_forms
from lockstep.engine.routes import to_numpy
from lockstep.engine.segment import initial_state
from lockstep.program.capture import capture
from lockstep.program.graph import Program
from lockstep.program.optimisers import SGD
from lockstep.program.selection import Dataset
from tests.offchain.engine.test_mixed_nodes import Steps, assert_close
from tests.strategies.programs import ProgramCase

SEED = 11
BATCH = 5


def convolved(size: tuple[int, int], **options: Any) -> ProgramCase:
    """A training step of a convolution between two others, on images of this size."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 6, **options), nn.Tanh(), nn.Flatten()]
    with torch.no_grad():
        count = nn.Sequential(*layers)(torch.zeros(1, 2, *size)).numel()
    model = nn.Sequential(*layers, nn.Linear(count, 3))
    generator = np.random.default_rng(1)
    inputs = generator.standard_normal((12, 2, *size)).astype(np.float32)
    targets = generator.integers(0, 3, 12).astype(np.int32)
    task = capture(model, nn.CrossEntropyLoss(), SGD(lr=0.1), Dataset(inputs, targets), batch_size=BATCH)
    state = tuple(to_numpy(tensor) for tensor in initial_state(task.init, task.constants, SEED))
    return ProgramCase(task.step, state, tuple(np.asarray(array) for array in task.constants), 3, SEED)


def kinds(program: Program) -> list[str]:
    """What the convolutions of a program are, in order."""
    found = [find_convolution(program, program.nodes[index]) for index in sorted(find_forms(program).contractions)]
    return ["by weights" if each.is_kernel_gradient else "by image" for each in found if each is not None]


@pytest.mark.parametrize(
    ("size", "options", "many"),
    [
        ((8, 8), {"kernel_size": 3, "padding": 1}, 5),
        ((9, 7), {"kernel_size": 3}, 3),
        ((8, 9), {"kernel_size": (5, 2), "padding": (2, 1)}, 4),
        ((12, 11), {"kernel_size": 3, "padding": 2, "dilation": 2}, 5),
        ((13, 15), {"kernel_size": 3, "padding": 1, "stride": 2}, 5),
        ((15, 12), {"kernel_size": 4, "padding": 1, "stride": (2, 1), "dilation": (1, 2)}, 5),
        ((13, 13), {"kernel_size": 5, "padding": 4, "stride": 3}, 3),
        ((7, 6), {"kernel_size": (7, 6), "padding": 3}, 4),
    ],
)
def test_convolution_and_its_gradients_are_within_a_contractions_bound(
    size: tuple[int, int], options: dict[str, Any], many: int
) -> None:
    case = convolved(size, **options)
    assert len(kinds(case.program)) >= many
    assert set(kinds(case.program)) == {"by weights", "by image"}
    steps = Steps(case)
    for index in find_forms(steps.program).contractions:
        assert_close(steps, index)


def test_groups_and_single_pixels_are_products_still() -> None:
    case = convolved((8, 8), kernel_size=1)
    assert len(kinds(case.program)) == 2
    case = convolved((8, 8), kernel_size=3, padding=1, groups=2)
    assert len(kinds(case.program)) == 2
    steps = Steps(case)
    for index in find_forms(steps.program).contractions:
        assert_close(steps, index)


def test_small_images_weights_are_products_of_windows() -> None:
    assert kinds(convolved((4, 4), kernel_size=3, padding=1).program).count("by weights") == 0
