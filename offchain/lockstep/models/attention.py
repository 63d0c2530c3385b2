"""Self-attention written out, product by product.

A. Vaswani et al., "Attention Is All You Need" (NeurIPS 2017), with the normalisation before each part.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class AttentionBlock(nn.Module):
    """Self-attention with one softmax a head, then two linear layers, each beside a shortcut.

    f32 [N, T, width] -> f32 [N, T, width]; ``heads`` divides ``width``.
    """

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.queries = nn.Linear(width, width)
        self.keys = nn.Linear(width, width)
        self.values = nn.Linear(width, width)
        self.join = nn.Linear(width, width)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """The block's output."""
        x = x + self.attend(self.norm(x))
        result: Tensor = x + self.feed_forward(x)
        return result

    def attend(self, x: Tensor) -> Tensor:
        """softmax(Q K^T / sqrt(D)) V of every head, D = width / heads, joined by a linear layer."""
        samples, length, width = x.shape
        split = (samples, length, self.heads, width // self.heads)
        queries, keys, values = (
            part(x).reshape(split).transpose(1, 2) for part in (self.queries, self.keys, self.values)
        )
        scores = queries @ keys.transpose(2, 3) / math.sqrt(width // self.heads)
        seen = torch.softmax(scores, dim=-1) @ values
        joined: Tensor = self.join(seen.transpose(1, 2).reshape(samples, length, width))
        return joined


class AttentionClassifier(nn.Module):
    """A sequence of vectors -> linear layer, learned places, attention blocks, mean over the sequence, scores.

    Input f32 [N, length, features], or [N, 1, length, features]: an image, a row of pixels a vector. Output f32
    [N, classes].
    """

    def __init__(
        self,
        length: int = 8,
        features: int = 8,
        width: int = 32,
        heads: int = 4,
        layers: int = 1,
        classes: int = 10,
    ) -> None:
        super().__init__()
        self.length, self.features = length, features
        self.embed = nn.Linear(features, width)
        self.places = nn.Parameter(torch.zeros(length, width))
        self.blocks = nn.Sequential(*(AttentionBlock(width, heads, 2 * width) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.classify = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the classes."""
        embedded = self.embed(x.reshape(-1, self.length, self.features)) + self.places
        scores: Tensor = self.classify(self.norm(self.blocks(embedded)).mean(1))
        return scores
