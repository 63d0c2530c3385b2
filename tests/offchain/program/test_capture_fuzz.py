"""Random small modules: a captured step in float64 against eager float64, and its bits on two routes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from lockstep.engine.routes import from_numpy, same_bits
from lockstep.engine.run import Runner
from lockstep.program.encoding import commit_program, decode_program
from lockstep.program.reference import evaluate
from lockstep.program.spec import check_program
from lockstep.program.work import program_work
from tests.offchain.program.capturing import SEED, check_against_eager, classification

Shape = tuple[int, ...]
CASES, LONG_CASES = 8, 400
DEEPEST = 5
CLASSES = 4
MAX_ELEMENTS = 400


class Call(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Twice(nn.Module):
    """A layer used twice, its parameters shared, with the input added."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.layer(x), self.layer(x * 0.5)], -1)


class First(nn.Module):
    """The first of what a layer gives."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


class Attending(nn.Module):
    """Self attention, which takes its input three times."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x, x, x)[0]


def even(extent: int, most: int = 3) -> int:
    """A divisor of an extent."""
    return max(d for d in range(1, most + 1) if extent % d == 0)


ACTIVATIONS = [nn.ReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.ELU, nn.Mish, nn.Hardswish]
ANYWHERE: list[Callable[[np.random.Generator, Shape], nn.Module]] = [
    lambda r, s: nn.Linear(s[-1], int(r.integers(1, 7)), bias=bool(r.integers(2))),
    lambda r, s: nn.LayerNorm(s[-1]),
    lambda r, s: nn.RMSNorm(s[-1], eps=1e-4),
    lambda r, s: r.choice(
        [nn.ReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.ELU, nn.Mish, nn.Hardswish]
    )(),
    lambda r, s: Twice(nn.Linear(s[-1], 2)),
    lambda r, s: Call(lambda x: x.softmax(-1) * x),
    lambda r, s: Call(lambda x: x.flip(-1) + x.cumsum(-1)),
    lambda r, s: Call(lambda x: x.sort(-1).values),
    lambda r, s: Call(lambda x: torch.where(x > 0.1, x * x, -0.3 * x)),
    lambda r, s: Call(lambda x: x[..., ::2] if x.shape[-1] > 1 else x),
    lambda r, s: Call(lambda x: x.roll(1, -1) * torch.rsqrt(x * x + 0.5)),
    lambda r, s: Call(lambda x: x / (x.norm(dim=-1, keepdim=True) + 1)),
    lambda r, s: Call(lambda x: x - x.amax(-1, keepdim=True) + x.mean(0)),
]
SEQUENCES: list[Callable[[np.random.Generator, Shape], nn.Module]] = [
    lambda r, s: Call(lambda x: x.transpose(1, 2)),
    lambda r, s: nn.Conv1d(s[0], 2 * even(s[0]), even(s[1]), groups=even(s[0]), padding=int(r.integers(2))),
    lambda r, s: nn.ConvTranspose1d(s[0], 3, 2, stride=int(r.integers(1, 3))),
    lambda r, s: nn.BatchNorm1d(s[0]),
    lambda r, s: nn.GroupNorm(even(s[0]), s[0]),
    lambda r, s: nn.AvgPool1d(2, ceil_mode=bool(r.integers(2))) if s[1] > 1 else nn.Identity(),
    lambda r, s: nn.MaxPool1d(2) if s[1] > 1 else nn.Identity(),
    lambda r, s: nn.AdaptiveAvgPool1d(int(r.integers(1, s[1] + 1))),
    lambda r, s: nn.Upsample(scale_factor=2, mode=str(r.choice(["nearest", "linear"]))),
    lambda r, s: First(r.choice([nn.LSTM, nn.GRU, nn.RNN])(s[1], 2, batch_first=True)),
    lambda r, s: Attending(nn.MultiheadAttention(s[1], even(s[1]), batch_first=True)),
    lambda r, s: Call(lambda x: F.scaled_dot_product_attention(x, x * 2, x - 1, is_causal=True)),
    lambda r, s: Call(lambda x: torch.einsum("bij,bkj->bik", x, x)),
    lambda r, s: nn.ReplicationPad1d((1, 2)),
]


def layer_for(rng: np.random.Generator, shape: Shape) -> nn.Module:
    """A random layer for inputs of this shape (without the batch)."""
    menu = [*ANYWHERE, *SEQUENCES] if len(shape) == 2 else ANYWHERE
    return menu[rng.integers(len(menu))](rng, shape)


def random_model(rng: np.random.Generator, shape: Shape) -> nn.Module:
    """A chain of random layers between a linear layer and classes."""
    layers: list[nn.Module] = [nn.Linear(shape[-1], shape[-1])]
    for _ in range(rng.integers(1, DEEPEST + 1)):
        layer = layer_for(rng, shape)
        with torch.no_grad():
            after = tuple(layer.eval()(torch.zeros(2, *shape)).shape[1:])
        if np.prod(after) > MAX_ELEMENTS:
            continue
        layers.append(layer)
        shape = after
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(int(np.prod(shape)), CLASSES)).train()


def test_random_modules_are_captured_exactly(long: bool) -> None:
    for case in range(LONG_CASES if long else CASES):
        rng = np.random.default_rng(case)
        torch.manual_seed(case)
        shape: Shape = (3, 4) if rng.integers(4) else (6,)
        model = random_model(rng, shape)
        data = classification(shape, CLASSES, rows=4, seed=case)
        try:
            task = check_against_eager(model, nn.CrossEntropyLoss(), data, tolerance=1e-9)
        except AssertionError as error:
            raise AssertionError(f"Case {case}: {model}") from error
        commitment = commit_program(task.step, program_work(task.step))
        decoded, header = decode_program(commitment.file_bytes())
        check_program(decoded, header)
        state = evaluate(task.init, [], task.constants, 0, SEED)[0]
        after = evaluate(task.step, state, task.constants, 0, SEED)[0]
        found, _ = Runner(task.step, task.constants, SEED, native=False).step([from_numpy(x) for x in state], 0)
        for value, wanted, entry in zip(found, after, task.step.state, strict=True):
            assert same_bits(value, wanted, entry.dtype), f"Case {case}: {model}"
