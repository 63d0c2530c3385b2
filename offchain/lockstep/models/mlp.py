"""A perceptron with hidden layers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class MLP(nn.Module):
    """``features`` -> hidden layers with ReLU (and dropout) -> ``classes`` scores.

    Input f32 [N, ...] with ``features`` elements a sample; output f32 [N, classes].
    """

    def __init__(
        self, features: int = 64, hidden: Sequence[int] = (128,), classes: int = 10, dropout: float = 0.0
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        for width in hidden:
            layers += [nn.Linear(features, width), nn.ReLU()]
            if dropout:
                layers.append(nn.Dropout(dropout))
            features = width
        layers.append(nn.Linear(features, classes))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the classes."""
        scores: Tensor = self.layers(x)
        return scores
