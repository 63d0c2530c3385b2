"""What is learned from the books: the next token, and who wrote a passage."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from lockstep.data.errors import DataError
from lockstep.data.splits import Splits, split_rows, splitmix64
from lockstep.data.texts import BOOKS, book, words
from lockstep.data.tokens import PAD, Tokenizer
from lockstep.program.selection import Dataset

Array = npt.NDArray[Any]


def windows(tokens: Array, length: int, stride: int) -> tuple[Array, Array]:
    """Sliding windows over a text and the tokens that come next.

    Tokens [N] -> inputs and targets [W, length]: window w is ``tokens[w * stride : w * stride + length]``, its targets
    are the tokens one place on. What is left at the end is in no window.

    Raises:
        DataError: the text is too short for one window

    """
    if length < 1 or stride < 1:
        raise DataError(f"Windows of {length} tokens every {stride} tokens: both are 1 or more.")
    if len(tokens) <= length:
        raise DataError(f"A text of {len(tokens)} tokens has no window of {length} tokens and one that comes next.")
    starts = np.arange(0, len(tokens) - length, stride)
    places = starts[:, None] + np.arange(length)
    return tokens[places], tokens[places + 1]


def next_token(tokenizer: Tokenizer, length: int, stride: int | None = None) -> Splits:
    """The books as windows for a language model; inputs and targets uint8 or uint16 [N, length].

    The first nine tenths of every book are for training, a twentieth each for validation and test; no token is in two
    parts. Windows of the training part begin every ``stride`` tokens (``length`` by default), the others' lie side by
    side.
    """
    parts: list[list[tuple[Array, Array]]] = [[], [], []]
    for name in BOOKS:
        text = book(name)
        ends = [0, len(text) * 18 // 20, len(text) * 19 // 20, len(text)]
        for part, (begin, end) in enumerate(pairwise(ends)):
            step = stride or length if part == 0 else length
            parts[part].append(windows(tokenizer.encode(text[begin:end]), length, step))
    return Splits(*(_joined(part) for part in parts))


def _joined(part: list[tuple[Array, Array]]) -> Dataset:
    inputs, targets = (np.concatenate(side) for side in zip(*part, strict=True))
    return Dataset(inputs, targets, scale=None)


def authors(tokenizer: Tokenizer, length: int, shortest: int = 6, longest: int = 12) -> Splits:
    """Passages of the books and which of ``BOOKS`` each is from: inputs uint8 or uint16 [N, length], targets uint8 [N].

    A passage has ``shortest`` to ``longest`` words, as many as a fixed generator says, whoever wrote it, and ``length``
    tokens: cut off, or filled with ``PAD`` at the end. No two passages overlap. Eight tenths are for training, a tenth
    each for validation and test.
    """
    passages: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(BOOKS):
        cut = _passages(words(name), shortest, longest)
        passages += cut
        labels += [label] * len(cut)
    encoded = [tokenizer.encode(passage)[:length] for passage in passages]
    inputs = np.full((len(encoded), length), PAD, encoded[0].dtype)
    for row, tokens in zip(inputs, encoded, strict=True):
        row[: len(tokens)] = tokens
    targets = np.array(labels, np.uint8)
    tenth = len(inputs) // 10
    parts = split_rows(len(inputs), len(inputs) - 2 * tenth, tenth, tenth)
    return Splits(*(Dataset(inputs[rows], targets[rows], scale=None) for rows in parts))


def _passages(text: list[str], shortest: int, longest: int) -> list[str]:
    if not 1 <= shortest <= longest:
        raise DataError(f"Passages of {shortest} to {longest} words: both are 1 or more, the first the smaller.")
    drawn = splitmix64(len(text)) % np.uint64(longest - shortest + 1)
    ends = np.cumsum(drawn.astype(np.int64) + shortest)
    ends = ends[ends <= len(text)]
    return [" ".join(text[begin:end]) for begin, end in pairwise([0, *ends])]
