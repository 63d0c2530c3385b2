"""One vector for a text of any length."""

from __future__ import annotations

from torch import Tensor


def mean_of_text(x: Tensor, text: Tensor) -> Tensor:
    """Mean over the places of f32 ``x`` [N, T, width] where bool ``text`` [N, T] is true -> f32 [N, width].

    Every sample has some text: the mean of none is NaN.
    """
    weights = text.to(x.dtype)[:, :, None]
    return (x * weights).sum(1) / weights.sum(1)
