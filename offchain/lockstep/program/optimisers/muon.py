"""Muon: momentum, orthogonalised, for matrices; another optimiser for everything else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from lockstep.program.builder import Builder
from lockstep.program.emitter import Value
from lockstep.program.graph import Shape
from lockstep.program.optimisers.adam import AdamW
from lockstep.program.optimisers.base import Optimiser, Result, Slot, Update, blend, descend
from lockstep.program.optimisers.schedules import Rate, check_numbers, check_rate, emit_rate

MAX_NEWTON_SCHULZ = 30


@dataclass(frozen=True, slots=True)
class Muon:
    """Muon (Jordan et al., https://kellerjordan.github.io/posts/muon, 2024), as ``torch.optim.Muon``.

    A parameter of two axes [rows, columns] takes ``m' = momentum m + (1 - momentum) g`` and moves by ``lr s O`` with O
    the orthogonalised ``m'`` (Nesterov: of ``momentum m' + (1 - momentum) g``); weight decay is decoupled. ``adjust``
    gives s: ``original`` is ``sqrt(max(1, rows / columns))``, ``match_rms_adamw`` is ``0.2 sqrt(max(rows, columns))``
    (Liu et al., arXiv 2502.16982), with which rates found for AdamW serve.

    Parameters of other ranks (biases, norms, kernels of convolutions) go to ``others``. Embeddings and the output
    layer are commonly kept from Muon, too: ``Groups`` gives them an optimiser by name.

    O is Newton and Schulz's iteration in exact contractions of 14-bit mantissas, so the singular values it brings to
    about 1 carry errors near 1e-3, where bfloat16, the usual choice, leaves some 1e-2.
    """

    lr: Rate = 0.02
    momentum: float = 0.95
    nesterov: bool = True
    weight_decay: float = 0.1
    ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315)
    ns_steps: int = 5
    eps: float = 1e-7
    adjust: Literal["original", "match_rms_adamw"] = "original"
    others: Optimiser = field(default_factory=AdamW)

    def __post_init__(self) -> None:
        check_rate("lr", self.lr)
        check_numbers({"eps": self.eps}, {"momentum": self.momentum}, {"weight_decay": self.weight_decay})
        if not 1 <= self.ns_steps <= MAX_NEWTON_SCHULZ:
            raise ValueError(f"ns_steps is {self.ns_steps}; it is 1 to {MAX_NEWTON_SCHULZ}.")
        if self.adjust not in ("original", "match_rms_adamw"):
            raise ValueError(f"adjust is {self.adjust!r}; it is original or match_rms_adamw.")

    def slots(self, shapes: Mapping[str, Shape]) -> list[Slot]:
        """One momentum a matrix, and what ``others`` needs for the rest, its names under ``others.``."""
        own = [Slot(f"momentum.{name}", name, shape) for name, shape in shapes.items() if len(shape) == 2]
        rest = {name: shape for name, shape in shapes.items() if len(shape) != 2}
        return own + [replace(slot, name=f"others.{slot.name}") for slot in (self.others.slots(rest) if rest else [])]

    def emit(self, b: Builder, update: Update) -> Result:
        """New parameters, momenta, and state of ``others``."""
        rate = emit_rate(b, self.lr)
        rest = {name: p for name, p in update.parameters.items() if len(p.shape) != 2}
        kept = {n.removeprefix("others."): v for n, v in update.slots.items() if n.startswith("others.")}
        new, given = self.others.emit(b, Update(rest, update.gradients, kept)) if rest else ({}, {})
        slots = {f"others.{name}": value for name, value in given.items()}
        for name, p in update.parameters.items():
            if len(p.shape) != 2:
                continue
            g = update.gradients[name]
            m = blend(b, update.slots[f"momentum.{name}"], g, 1.0 - self.momentum)
            slots[f"momentum.{name}"] = m
            direction = self._orthogonalised(b, blend(b, g, m, self.momentum) if self.nesterov else m)
            scaled = b.mul(rate, self._adjustment(*p.shape))
            new[name] = descend(b, p, direction, scaled, (self.weight_decay, self.lr))
        return new, slots

    def _adjustment(self, rows: int, columns: int) -> float:
        if self.adjust == "original":
            return math.sqrt(max(1.0, rows / columns))
        return 0.2 * math.sqrt(max(rows, columns))

    def _orthogonalised(self, b: Builder, g: Value) -> Value:
        """``X <- a X + (b A + c A A) X`` with ``A = X X^T``, from ``X = g / max(|g|, eps)``: f32, the shape of ``g``.

        |g| is Frobenius' norm, at least the largest singular value. X has its shorter side first, so A is the smaller
        of the two Gram matrices. A is symmetric to the bit, being exact sums of products, so ``A A^T`` is ``A A``.
        """
        tall = g.shape[0] > g.shape[1]
        x = b.transpose(g) if tall else g
        norm = b.sqrt(b.sum_axes(b.mul(x, x), (0, 1)))
        x = b.div(x, b.expand(b.maximum(self.eps, norm), x.shape))
        first, second, third = self.ns_coefficients
        for _ in range(self.ns_steps):
            gram = b.contract(x, x)
            polynomial = b.add(b.mul(gram, second), b.mul(b.contract(gram, gram), third))
            x = b.add(b.mul(x, first), b.matmul(polynomial, x))
        return b.transpose(x) if tall else x
