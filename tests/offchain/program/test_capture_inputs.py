"""Models that take several tensors and give several."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lockstep.data import Column
from lockstep.engine.run import Runner
from lockstep.engine.segment import initial_state, mean_metrics, run_segment
from lockstep.program import reference
from lockstep.program.augmentation import Augmentation
from lockstep.program.capture import CapturedTask, capture
from lockstep.program.infer import ProgramError
from lockstep.program.optimisers import SGD
from lockstep.program.selection import Dataset
from tests.offchain.program.capturing import SEED, check_against_eager

WORDS, LENGTH, ROWS = 11, 5, 7


class Masked(nn.Module):
    """Tokens, a mask and the text's age -> scores of three classes, and of every token."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, 6)
        self.age = nn.Linear(1, 6)
        self.classify = nn.Linear(6, 3)
        self.words = nn.Linear(6, WORDS)

    def forward(self, tokens: Tensor, mask: Tensor, age: Tensor) -> tuple[Tensor, Tensor]:
        seen = torch.tanh(self.embed(tokens) + self.age(age)[:, None])
        text = (seen * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        return self.classify(text), self.words(seen)


def both(output: tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
    scores, words = output
    return nn.functional.cross_entropy(scores, targets) + 0.1 * (words * words).mean()


def texts() -> Dataset:
    rng = np.random.default_rng(2)
    mask = (np.arange(LENGTH) < rng.integers(1, LENGTH + 1, (ROWS, 1))).astype(np.uint8)
    return Dataset(
        rng.integers(0, WORDS, (ROWS, LENGTH)).astype(np.uint16),
        rng.integers(0, 3, ROWS).astype(np.uint8),
        scale=None,
        further=(Column(mask, scale=None), Column(rng.integers(0, 90, (ROWS, 1)).astype(np.uint8), 0.01, -0.5)),
    )


def captured(**settings: object) -> CapturedTask:
    torch.manual_seed(1)
    return capture(Masked(), both, SGD(0.5), texts(), 3, **settings)  # type: ignore[arg-type]


def test_several_inputs_and_outputs_have_eager_gradients() -> None:
    task = check_against_eager(Masked(), both, texts(), batch_size=3, steps=2)
    assert task.names.constants[:4] == ("inputs", "targets", "inputs.1", "inputs.2")


def test_several_inputs_give_the_reference_and_the_engine_the_same_bits() -> None:
    task = captured(accumulate=3)
    exact = reference.evaluate(task.init, [], task.constants, 0, SEED)[0]
    state = initial_state(task.init, task.constants, SEED)
    end = run_segment(Runner(task.step, task.constants, SEED), state, 0, 2).state
    for step in range(2):
        exact, _ = reference.evaluate(task.step, exact, task.constants, step, SEED)
    for want, found in zip(exact, end, strict=True):
        np.testing.assert_array_equal(np.asarray(want).view(np.uint8), found.numpy().view(np.uint8))


def test_evaluation_reads_all_inputs_and_measures_the_first_output() -> None:
    task = captured(evaluation=texts(), draw=False)
    assert task.evaluate is not None
    torch.manual_seed(1)
    model, data = Masked(), texts()
    tokens, mask = (torch.from_numpy(column.values.astype(np.int64)) for column in data.columns[:2])
    age = torch.from_numpy(data.further[1].values.astype(np.float32)) * 0.01 - 0.5
    output, targets = model(tokens, mask, age), torch.from_numpy(data.targets.astype(np.int64))
    runner = Runner(task.evaluate, task.evaluation_constants, 0)
    loss, accuracy = mean_metrics(runner, initial_state(task.init, task.constants, 0), task.evaluation_steps)
    assert loss == pytest.approx(both(output, targets).item(), rel=1e-3)
    assert accuracy == pytest.approx((output[0].argmax(-1) == targets).float().mean().item())


def test_rows_are_chosen_from_every_column() -> None:
    part = texts().rows([4, 1])
    assert len(part) == 2
    for chosen, column in zip(part.columns, texts().columns, strict=True):
        np.testing.assert_array_equal(chosen.values, column.values[[4, 1]])
        assert (chosen.scale, chosen.shift) == (column.scale, column.shift)


def test_augmentation_moves_the_first_input_alone() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, 1, 6, 6)).astype(np.uint8)
    data = Dataset(images, np.zeros(4, np.uint8), 1.0, 0.0, Augmentation(padding=3), (Column(images),))

    class Difference(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2))

        def forward(self, moved: Tensor, still: Tensor) -> Tensor:
            return self.weight * torch.stack([moved.sum((1, 2, 3)), still.sum((1, 2, 3))], 1)

    def loss(output: Tensor, _targets: Tensor) -> Tensor:
        return output[:, 0].sum()

    def kept(output: Tensor, _targets: Tensor) -> Tensor:
        return output[:, 1].sum()

    task = capture(Difference(), loss, SGD(0.0001), data, 4, metrics={"kept": kept})
    _, (moved, still) = Runner(task.step, task.constants, 0).step(initial_state(task.init, task.constants, 0), 0)
    assert still == images.sum()
    assert moved < still


def test_what_does_not_fit_is_refused_with_a_sentence() -> None:
    with pytest.raises(ProgramError, match="3 rows of a further input and 7 targets"):
        replace(texts(), further=(Column(np.zeros(3, np.int32)),))
    with pytest.raises(ProgramError, match="inputs are float64; constants are"):
        Column(np.zeros(3))
    with pytest.raises(ProgramError, match="The evaluation data have 2 inputs, and the training data 3"):
        captured(evaluation=replace(texts(), further=texts().further[:1]))
    with pytest.raises(ProgramError, match=r"forward\(\) missing 2 required positional arguments"):
        capture(Masked(), both, SGD(0.5), replace(texts(), further=()), 3)


class Counts(nn.Linear):
    def forward(self, x: Tensor) -> tuple[Tensor, int]:  # type: ignore[override]
        return super().forward(x), len(x)


def test_outputs_that_are_no_tensors_are_refused() -> None:
    data = Dataset(np.ones((2, 1), np.float32), np.zeros(2, np.float32))
    with pytest.raises(ProgramError, match="gives a tensor, or tensors in a tuple, a list or a dictionary"):
        capture(Counts(1, 2), lambda output, _: output[0].mean(), SGD(0.1), data, 2)
    with pytest.raises(ProgramError, match="is a tensor of one number"):
        capture(nn.Linear(1, 2), lambda output, _: output, SGD(0.1), data, 2)
