"""In which precision contractions read their operands; everything else is float32 on every one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from enum import StrEnum

import numpy as np
import torch
from torch import Tensor

from lockstep.engine.errors import EngineError

_SPLITTER = 65_537.0
"""2^16 + 1: Veltkamp's splitting leaves 24 - 16 = 8 of a float32's significant bits."""


class Precision(StrEnum):
    """Operands of contractions; sums are in float32 whatever they are."""

    F32 = "f32"
    BF16 = "bf16"
    TF32 = "tf32"
    PERTURBED = "perturbed"


class Arithmetic:
    """Operands and products of one precision on one device. ``EngineError`` where there is no such precision there.

    ``perturbed`` is for measuring: operands are rounded to 8 significant bits on a grid shifted at random, by a factor
    in [1, 2) that ``noise`` decides for each step and operand. So a run differs from the exact one about as a bfloat16
    run does, and differently for each ``noise``.
    """

    def __init__(self, precision: str, device: str, noise: int = 0) -> None:
        known = ", ".join(Precision)
        if precision not in set(Precision):
            raise EngineError(f"There is no precision {precision!r}; there are {known}.")
        self.precision = Precision(precision)
        self._cuda = torch.device(device).type == "cuda"
        if self.precision is Precision.TF32 and not self._cuda:
            raise EngineError(
                f"tf32 is a precision of CUDA devices, and this is {device}; bf16 and f32 run everywhere."
            )
        self._noise = noise
        # A product of bfloat16 tensors with a float32 result exists on CUDA alone. Elsewhere rounded operands stay in
        # float32, and torch may multiply them in bfloat16, which changes nothing of a rounded operand.
        self._half = self._cuda and self.precision is Precision.BF16

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Torch's own settings for products and convolutions of float32 tensors, put back afterwards."""
        before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
        rounded = {Precision.TF32: "high", Precision.BF16: "medium"}
        torch.set_float32_matmul_precision(rounded.get(self.precision, "highest"))
        torch.backends.cudnn.allow_tf32 = self.precision in rounded  # more digits than bfloat16 has
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before[0])
            torch.backends.cudnn.allow_tf32 = before[1]

    def operand(self, x: Tensor, step: int, node: int) -> Tensor:
        """What a contraction reads of f32 ``x``; the node is that which quantises it."""
        match self.precision:
            case Precision.BF16:
                rounded = x.bfloat16()
                return rounded if self._half else rounded.float()
            case Precision.PERTURBED:
                scale = 1.0 + float(np.random.default_rng((self._noise, step, node)).random(dtype=np.float32))
                return round8(x * scale) / scale
            case _:
                return x

    def contract(self, a: Tensor, b: Tensor) -> Tensor:
        """f32 [L.., M, N] of operands [L.., M, K], [L.., N, K]."""
        if not self._half:
            return torch.matmul(a, b.transpose(-1, -2))
        if a.dim() == 2:
            return torch.mm(a, b.t(), out_dtype=torch.float32)
        lead = a.shape[:-2]
        left, right = a.reshape(-1, *a.shape[-2:]), b.reshape(-1, *b.shape[-2:])
        product = torch.bmm(left, right.transpose(1, 2), out_dtype=torch.float32)
        return product.reshape(*lead, *product.shape[1:])


def round8(x: Tensor) -> Tensor:
    """f32 rounded to 8 significant bits; not for magnitudes above 2^111, whose product with 2^16 + 1 overflows."""
    c = x * _SPLITTER
    return c - (c - x)
