"""A recurrent classifier of texts.

S. Hochreiter, J. Schmidhuber, "Long Short-Term Memory" (Neural Computation, 1997).
"""

from __future__ import annotations

from torch import Tensor, nn

from lockstep.models.pooling import mean_of_text


class LSTMClassifier(nn.Module):
    """Tokens -> embeddings -> LSTM -> mean of its outputs over the text -> scores of the classes.

    Input integers [N, T], padding (the token ``pad``) at the end; output f32 [N, classes].
    """

    def __init__(
        self, vocabulary: int = 256, width: int = 32, hidden: int = 64, classes: int = 3, pad: int = 0
    ) -> None:
        super().__init__()
        self.pad = pad
        self.tokens = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, hidden, batch_first=True)
        self.classify = nn.Linear(hidden, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Scores of the classes."""
        outputs, _ = self.lstm(self.tokens(tokens))
        scores: Tensor = self.classify(mean_of_text(outputs, tokens != self.pad))
        return scores
