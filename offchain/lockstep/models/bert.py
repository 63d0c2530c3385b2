"""An encoder of the BERT family with a head that classifies.

J. Devlin, M.-W. Chang, K. Lee, K. Toutanova, "BERT: Pre-training of Deep Bidirectional Transformers for Language
Understanding" (NAACL 2019), with the normalisation before each part and the mean over the text in place of a first
token of its own.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lockstep.models.pooling import mean_of_text
from lockstep.models.transformer import TransformerBlock


class BERT(nn.Module):
    """Tokens -> scores of the classes; places with the token ``pad`` are seen by nobody.

    Input integers [N, T], T at most ``context``, a token or more and padding after it; output f32 [N, classes]. By
    default the small one for tests: 2 layers, width 64, 4 heads, a token a byte.
    """

    def __init__(
        self,
        vocabulary: int = 256,
        context: int = 64,
        layers: int = 2,
        width: int = 64,
        heads: int = 4,
        classes: int = 3,
        dropout: float = 0.0,
        pad: int = 0,
    ) -> None:
        super().__init__()
        self.pad = pad
        self.tokens = nn.Embedding(vocabulary, width)
        self.places = nn.Parameter(torch.zeros(context, width))
        self.norm_in = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, heads, causal=False, dropout=dropout) for _ in range(layers)
        )
        self.norm_out = nn.LayerNorm(width)
        self.classify = nn.Linear(width, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Scores of the classes."""
        text = tokens != self.pad
        x = self.dropout(self.norm_in(self.tokens(tokens) + self.places[: tokens.shape[1]]))
        for block in self.blocks:
            x = block(x, text[:, None, None, :])
        scores: Tensor = self.classify(self.dropout(mean_of_text(self.norm_out(x), text)))
        return scores


def bert_tiny() -> BERT:
    """4 layers, width 256, 4 heads, 30,000 tokens, context 64: 10.9 million parameters."""
    return BERT(vocabulary=30_000, layers=4, width=256, heads=4)
