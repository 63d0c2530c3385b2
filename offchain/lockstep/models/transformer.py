"""The block that GPT and BERT share: pre-norm self-attention by PyTorch's own operator, then two linear layers."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

FEED_FORWARD = 4
"""The hidden layer is this many times as wide as the block."""


class TransformerBlock(nn.Module):
    """f32 [N, T, width] -> f32 [N, T, width]; ``heads`` divides ``width``.

    ``causal``: a place sees itself and what comes before it. Else ``mask``, bool [N, 1, 1, T], says which places can be
    seen; None: all.
    """

    def __init__(self, width: int, heads: int, *, causal: bool, dropout: float) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.attention_norm = nn.LayerNorm(width)
        self.queries = nn.Linear(width, width)
        self.keys = nn.Linear(width, width)
        self.values = nn.Linear(width, width)
        self.join = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, FEED_FORWARD * width), nn.GELU(), nn.Linear(FEED_FORWARD * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """The block's output."""
        x = x + self.dropout(self.attend(self.attention_norm(x), mask))
        result: Tensor = x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        return result

    def attend(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """What every head sees, joined by a linear layer."""
        samples, length, width = x.shape
        split = (samples, length, self.heads, width // self.heads)
        queries, keys, values = (
            part(x).reshape(split).transpose(1, 2) for part in (self.queries, self.keys, self.values)
        )
        seen = scaled_dot_product_attention(queries, keys, values, attn_mask=mask, is_causal=self.causal)
        joined: Tensor = self.join(seen.transpose(1, 2).reshape(samples, length, width))
        return joined
