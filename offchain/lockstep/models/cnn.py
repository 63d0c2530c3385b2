"""A small convolutional network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lockstep.models.norms import Norm, norm2d


class CNN(nn.Module):
    """Blocks of convolution 3x3, normalisation, GELU and max pool 2x2, then one linear layer.

    Input f32 [N, channels, size, size]; output f32 [N, classes]. ``size`` is a multiple of 2 for each
    block of ``widths``. ``norm`` is "group" (of ``groups``) or "batch".
    """

    def __init__(
        self,
        channels: int = 1,
        size: int = 8,
        widths: Sequence[int] = (16, 32),
        classes: int = 10,
        groups: int = 4,
        dropout: float = 0.0,
        norm: Norm = "group",
    ) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for width in widths:
            blocks += [
                nn.Conv2d(channels, width, 3, padding=1),
                norm2d(norm, width, groups),
                nn.GELU(),
                nn.MaxPool2d(2),
            ]
            channels, size = width, size // 2
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(channels * size * size, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the classes."""
        scores: Tensor = self.classify(self.dropout(self.blocks(x).flatten(1)))
        return scores
