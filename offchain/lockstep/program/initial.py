"""What a parameter is at step 0: drawn from the seed as its module draws it, or the value it has.

``nn.Linear`` and the convolutions draw weights and biases uniformly from +-1 / sqrt(fan in)
(Kaiming-uniform with a = sqrt 5, as their ``reset_parameters``), recurrent layers from +-1 / sqrt(hidden size),
``nn.MultiheadAttention`` its projections from +-sqrt(6 / (fan in + fan out)) (Xavier-uniform), ``nn.Embedding`` from
the standard normal. A parameter of such a module is drawn when its present values look like such a draw; values of
any other kind (loaded, zeroed, initialised otherwise) are kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lockstep.numerics.dtypes import DType
from lockstep.program import composites
from lockstep.program.builder import Builder
from lockstep.program.emitter import Value

BLOCK = 1 << 22
"""Elements of a tensor that are looked at together."""


@dataclass(frozen=True, slots=True)
class Initial:
    """Start of one state tensor. ``kind``: ``uniform`` (from +-``number``), ``normal`` (``number``: standard
    deviation), ``fill`` (``number`` everywhere) or ``given`` (the tensor's own values, a constant)."""

    kind: str
    number: float = 0.0

    def emit(self, b: Builder, shape: tuple[int, ...], dtype: DType, given: Value | None) -> Value:
        """The value at step 0, in an init program."""
        match self.kind:
            case "uniform":
                return composites.uniform(b, shape, -self.number, self.number)
            case "normal":
                return composites.normal(b, shape, self.number)
            case "fill":
                return b.f32(self.number, shape) if dtype is DType.F32 else b.i32(int(self.number), shape)
        assert given is not None, "A given start has a constant."
        return given


_UNIFORM = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d)
_RECURRENT = (nn.RNNBase, nn.RNNCellBase)


def _bound(module: nn.Module, own: str) -> float | None:
    """What a module's ``reset_parameters`` draws a parameter's elements uniformly within, None where it does not."""
    if isinstance(module, _UNIFORM) and own in ("weight", "bias"):
        return 1.0 / math.sqrt(math.prod(module.weight.shape[1:]))
    if isinstance(module, _RECURRENT) and isinstance(module.hidden_size, int):
        return 1.0 / math.sqrt(module.hidden_size)
    if isinstance(module, nn.MultiheadAttention) and own.endswith("proj_weight"):
        return math.sqrt(6.0 / sum(getattr(module, own).shape))
    return None


def initial_values(model: nn.Module, *, draw: bool) -> dict[str, Initial]:
    """How every parameter of a model starts, by its name; ``draw`` False keeps all present values."""
    owners: dict[int, tuple[nn.Module, str]] = {}
    for module in model.modules():
        for own, parameter in module.named_parameters(recurse=False):
            owners.setdefault(id(parameter), (module, own))
    return {name: _initial(p.detach(), *owners[id(p)], draw=draw) for name, p in model.named_parameters()}


def _initial(value: Tensor, module: nn.Module, own: str, *, draw: bool) -> Initial:
    first = float(value.reshape(-1)[0])
    bound = _bound(module, own) if draw else None
    if bound is not None and _looks_uniform(value, bound):
        return Initial("uniform", bound)
    if draw and isinstance(module, nn.Embedding) and module.padding_idx is None and _looks_normal(value):
        return Initial("normal", 1.0)
    if (
        value.dtype is torch.float32
        and bool((value == first).all())
        and not (first == 0 and math.copysign(1, first) < 0)
    ):
        return Initial("fill", first)
    return Initial("given")


def _moments(value: Tensor, scale: float) -> tuple[float, float, float]:
    """Mean, mean square and largest magnitude of ``value / scale`` in float64; block by block, for large tensors."""
    total, squares, largest = 0.0, 0.0, 0.0
    for block in torch.split(value.reshape(-1), BLOCK):
        x = block.double() / scale
        total, squares = total + float(x.sum()), squares + float((x * x).sum())
        largest = max(largest, float(x.abs().max()))
    return total / value.numel(), squares / value.numel(), largest


def _looks_uniform(value: Tensor, bound: float) -> bool:
    """Whether values could be a draw from +-bound: within it, and with its first two moments up to 6 sigma."""
    n = value.numel()
    if not bool(torch.isfinite(value).all()) or (n > 1 and bool((value == value.reshape(-1)[0]).all())):
        return False
    mean, square, largest = _moments(value, bound)
    within = largest <= 1 + 1e-6 and abs(mean) <= 6 * math.sqrt(1 / 3 / n)
    return within and abs(square - 1 / 3) <= 6 * math.sqrt(4 / 45 / n)


def _looks_normal(value: Tensor) -> bool:
    """Whether values could be a draw from the standard normal, by their first two moments up to 6 sigma."""
    mean, square, _ = _moments(value, 1.0)
    n = value.numel()
    return abs(mean) <= 6 / math.sqrt(n) and abs(square - 1) <= 6 * math.sqrt(2 / n)


def from_buffer(value: Tensor) -> Initial:
    """How a buffer that training changes starts: filled where it is constant, else with its values."""
    first = float(value.reshape(-1)[0])
    return Initial("fill", first) if bool((value == first).all()) else Initial("given")
