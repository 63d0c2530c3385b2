"""A language model of the GPT family.

A. Radford et al., "Language Models are Unsupervised Multitask Learners" (2019): learned positions, the normalisation
before each part.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lockstep.models.transformer import TransformerBlock


class GPT(nn.Module):
    """Tokens -> scores of the token that comes next, at every place.

    Input integers [N, T], T at most ``context``; output f32 [N, T, vocabulary]. By default the small one for tests:
    2 layers, width 64, 4 heads, a token a byte.

    Embeddings start from the standard normal, as ``nn.Embedding`` does, so that a task's seed draws them; places start
    from 0. ``tied``: the scores are products with the same embeddings, divided by the root of the width, so that they
    start near 1.
    """

    def __init__(
        self,
        vocabulary: int = 256,
        context: int = 64,
        layers: int = 2,
        width: int = 64,
        heads: int = 4,
        dropout: float = 0.0,
        *,
        tied: bool = False,
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.places = nn.Parameter(torch.zeros(context, width))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(TransformerBlock(width, heads, causal=True, dropout=dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.scores = None if tied else nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Scores of the next token, before softmax."""
        x = self.dropout(self.tokens(tokens) + self.places[: tokens.shape[1]])
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        if self.scores is None:
            return nn.functional.linear(x / math.sqrt(x.shape[-1]), self.tokens.weight)
        scores: Tensor = self.scores(x)
        return scores


def gpt_mini() -> GPT:
    """6 layers, width 512, 8 heads, 50,000 tokens, context 128, tied embeddings: 44.6 million parameters."""
    return GPT(vocabulary=50_000, context=128, layers=6, width=512, heads=8, tied=True)


def next_token_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy over all places: f32 [N, T, V], integers [N, T] -> f32 []."""
    return nn.functional.cross_entropy(scores.flatten(0, 1), targets.flatten())
