"""Tokenizers: a token a byte, or byte pairs learned from the texts.

R. Sennrich, B. Haddow, A. Birch, "Neural Machine Translation of Rare Words with Subword Units" (ACL 2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lockstep.data.errors import DataError
from lockstep.data.texts import BOOKS, book

PAD = 0
"""The token that fills up short samples; no text has it."""
_PAD_NAME = "<pad>"
_BYTES = 256


class Tokenizer(Protocol):
    """Text to tokens and back; ``size`` tokens, numbered from 0, of which ``PAD`` is none of the text's."""

    @property
    def size(self) -> int:
        """How many tokens there are."""

    def encode(self, text: str) -> npt.NDArray[Any]:
        """Tokens of a text, uint8 or uint16 [N]."""

    def decode(self, tokens: Sequence[int] | npt.NDArray[Any]) -> str:
        """The text of tokens; ``decode(encode(text))`` is ``text``."""


class ByteTokenizer:
    """A token a byte of UTF-8. Byte 0 is the padding."""

    size = _BYTES

    def encode(self, text: str) -> npt.NDArray[np.uint8]:
        """Bytes of a text, uint8 [N]."""
        if "\0" in text:
            raise DataError("The text has a character NUL, which stands for padding.")
        return np.frombuffer(text.encode(), np.uint8)

    def decode(self, tokens: Sequence[int] | npt.NDArray[Any]) -> str:
        """The text of bytes, without padding; bytes that are no UTF-8 show as U+FFFD."""
        return bytes(int(token) for token in tokens if token != PAD).decode(errors="replace")


class BytePairTokenizer:
    """Pairs of bytes merged, the most frequent of ``text`` first, until there are ``size`` tokens or no more pairs.

    The start is the 256 bytes, so every text can be encoded. The same text and size give the same tokens.
    """

    def __init__(self, text: str, size: int) -> None:
        if not _BYTES < size <= 2**16:
            raise DataError(f"A vocabulary of {size} tokens: it has {_BYTES + 1} (padding and the bytes) to {2**16}.")
        # here, since every command loads this module and few train
        from tokenizers import Tokenizer as Trained
        from tokenizers import decoders, models, pre_tokenizers, trainers

        self._trained = Trained(models.BPE())
        self._trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        self._trained.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=1,
            show_progress=False,
            special_tokens=[_PAD_NAME],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        )
        self._trained.train_from_iterator([text], trainer)
        # As a special token it would be found in texts, too; from here on "<pad>" is five characters like any others.
        self._trained.encode_special_tokens = True

    @property
    def size(self) -> int:
        """How many tokens there are: what was asked for, or fewer where the text has no more pairs."""
        return int(self._trained.get_vocab_size())

    def encode(self, text: str) -> npt.NDArray[np.uint16]:
        """Tokens of a text, uint16 [N]."""
        return np.array(self._trained.encode(text).ids, np.uint16)

    def decode(self, tokens: Sequence[int] | npt.NDArray[Any]) -> str:
        """The text of tokens, without padding."""
        return str(self._trained.decode([int(token) for token in tokens if token != PAD]))


@cache
def books_bpe(size: int) -> BytePairTokenizer:
    """Byte pairs learned from the three books."""
    return BytePairTokenizer("".join(map(book, BOOKS)), size)
