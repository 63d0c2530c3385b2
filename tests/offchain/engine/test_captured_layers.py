"""Captured steps run to the same bits on the reference and on the engine's routes: a small model of each family."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lockstep.engine.checkpoint import state_root
from lockstep.engine.routes import from_numpy
from lockstep.engine.run import Runner
from lockstep.program.capture import CapturedTask, capture
from lockstep.program.optimisers import Momentum
from lockstep.program.reference import evaluate
from lockstep.program.selection import Dataset

SEED = 0x1234_5678_9ABC_DEF0
STEPS = 2
ROWS, WORDS, CLASSES = 4, 7, 3


def dataset(*shape: int, words: bool = False) -> Dataset:
    rng = np.random.default_rng(5)
    targets = rng.integers(0, CLASSES, ROWS).astype(np.uint8)
    if words:
        return Dataset(rng.integers(0, WORDS, (ROWS, *shape)).astype(np.uint8), targets, scale=None)
    return Dataset(rng.standard_normal((ROWS, *shape)).astype(np.float32), targets)


class Words(nn.Module):
    """Embedding, an encoder layer with dropout and padding, tied classes cut to three."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, 4, padding_idx=0)
        self.mix = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.2, batch_first=True, activation="gelu")
        self.norm = nn.RMSNorm(4)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.norm(self.mix(self.embed(x), src_key_padding_mask=x == 0))
        return (mixed @ self.embed.weight.T).mean(1)[:, :CLASSES]


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 3, batch_first=True)
        self.gru = nn.GRU(3, CLASSES, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.gru(self.lstm(x)[0])[0][:, -1]


class Indexed(nn.Module):
    """Orders, indices, running sums and draws."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x)
        best = y.topk(CLASSES, -1).values + y.cumsum(-1)[:, [0, 2, -1]]
        noise = torch.randn_like(best) * torch.nn.functional.softplus(best)
        return best + noise + y.gather(1, y.argmax(-1, keepdim=True)) + torch.expm1(y[:, ::2].sort(-1).values)


CASES: dict[str, tuple[Callable[[], nn.Module], Dataset]] = {
    "words": (Words, dataset(3, words=True)),
    "recurrent": (Recurrent, dataset(3, 3)),
    "indexed": (Indexed, dataset(6)),
    "long": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(8_712, CLASSES)),
        dataset(1, 66, 66),
    ),
    "images": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect"),
            nn.BatchNorm2d(4),
            nn.Mish(),
            nn.MaxPool2d(2),
            nn.ConvTranspose2d(4, 4, 3, stride=2, groups=2),
            nn.Hardswish(),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.PixelUnshuffle(2),
            nn.AdaptiveAvgPool2d((2, 3)),
            nn.Flatten(),
            nn.Linear(96, CLASSES),
        ),
        dataset(2, 4, 4),
    ),
}


def captured(name: str) -> CapturedTask:
    torch.manual_seed(2)
    make, data = CASES[name]
    weights = torch.linspace(0.5, 1.5, CLASSES)
    return capture(make(), nn.CrossEntropyLoss(weight=weights, label_smoothing=0.1), Momentum(0.1), data, ROWS)


@pytest.mark.parametrize("name", CASES)
def test_captured_layers_run_to_the_same_roots_on_every_route(name: str) -> None:
    task = captured(name)
    state: list[np.ndarray[Any, Any]] = evaluate(task.init, [], task.constants, 0, SEED)[0]
    runners = [Runner(task.step, task.constants, SEED, native=native) for native in (False, None)]
    for step in range(STEPS):
        after, values = evaluate(task.step, state, task.constants, step, SEED)
        metrics = [float(values[node]) for node in task.step.metrics]
        assert all(np.isfinite(metric) for metric in metrics)
        wanted = state_root([from_numpy(array) for array in after])
        for runner in runners:
            found, measured = runner.step([from_numpy(array) for array in state], step)
            assert state_root(found) == wanted, (runner.name, step)
            assert measured == metrics
        state = after
