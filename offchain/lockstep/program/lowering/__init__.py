"""Lowering: one rule an ATen operator, a file a family of operators."""

from lockstep.program.lowering import (
    contraction,
    convolution,
    loss,
    movement,
    normalisation,
    pointwise,
    pooling,
    reduction,
)
from lockstep.program.lowering.registry import INSTEAD, RULES, Context, lowers, nearest, rule_name

__all__ = [
    "INSTEAD",
    "RULES",
    "Context",
    "contraction",
    "convolution",
    "loss",
    "lowers",
    "movement",
    "nearest",
    "normalisation",
    "pointwise",
    "pooling",
    "reduction",
    "rule_name",
]
