"""Which normalisation a convolutional network uses."""

from __future__ import annotations

from typing import Literal

from torch import nn

Norm = Literal["batch", "group"]


def norm2d(norm: Norm, width: int, groups: int) -> nn.Module:
    """A layer f32 [N, width, H, W] -> the same shape: over the batch, or over each sample's ``groups`` of channels."""
    return nn.BatchNorm2d(width) if norm == "batch" else nn.GroupNorm(groups, width)
