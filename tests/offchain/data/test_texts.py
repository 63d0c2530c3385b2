"""Tokenizers there and back, windows, and the tasks made of the books."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.data import (
    BytePairTokenizer,
    ByteTokenizer,
    DataError,
    Splits,
    authors,
    books_bpe,
    next_token,
    windows,
)
from lockstep.data.texts import BOOKS, book, words
from lockstep.data.tokens import PAD, Tokenizer

SIZE = 400
ODD = ["", " ", "<pad>", "Alice's  `tea'\t\r\n", "naïve 中文 🙂", "\u0301", "a" * 300]


def bpe() -> BytePairTokenizer:
    return books_bpe(SIZE)


@pytest.mark.parametrize("build", [ByteTokenizer, bpe], ids=["bytes", "byte pairs"])
@given(text=st.one_of(st.sampled_from(ODD), st.text(st.characters(exclude_characters="\0", codec="utf-8"))))
def test_round_trip(build: Callable[[], Tokenizer], text: str) -> None:
    tokenizer = build()
    tokens = tokenizer.encode(text)
    assert tokenizer.decode(tokens) == text
    assert PAD not in tokens
    assert all(0 < token < tokenizer.size for token in tokens)
    assert tokenizer.decode([*tokens, PAD, PAD]) == text


@pytest.mark.parametrize("name", BOOKS)
def test_books_survive_and_byte_pairs_shorten_them(name: str) -> None:
    text = book(name)
    assert ByteTokenizer().decode(ByteTokenizer().encode(text)) == text
    tokens = bpe().encode(text)
    assert bpe().decode(tokens) == text
    assert len(tokens) < 0.7 * len(text)


def vocabulary_digest() -> str:
    """Which token every number stands for, hashed; in a process of its own, too."""
    tokenizer = BytePairTokenizer("".join(map(book, BOOKS)), SIZE)
    return hashlib.sha256(repr([tokenizer.decode([token]) for token in range(1, SIZE)]).encode()).hexdigest()


def test_byte_pairs_are_the_same_in_every_process() -> None:
    code = "from tests.offchain.data.test_texts import vocabulary_digest; print(vocabulary_digest())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == vocabulary_digest()


def test_vocabulary_is_as_large_as_asked_or_as_the_text_allows() -> None:
    assert bpe().size == SIZE
    assert BytePairTokenizer("abab", 1_000).size == 256 + 1 + 2  # padding; ab, abab


@pytest.mark.parametrize("size", [0, 256, 2**16 + 1])
def test_vocabulary_of_impossible_size_is_refused(size: int) -> None:
    with pytest.raises(DataError, match=r"257 .* to 65536"):
        BytePairTokenizer("text", size)


def test_byte_that_stands_for_padding_is_refused() -> None:
    with pytest.raises(DataError, match="NUL"):
        ByteTokenizer().encode("a\0b")


def test_windows_slide_and_targets_are_one_place_on() -> None:
    inputs, targets = windows(np.arange(10, dtype=np.uint8), 4, 3)
    assert inputs.tolist() == [[0, 1, 2, 3], [3, 4, 5, 6]]
    assert targets.tolist() == [[1, 2, 3, 4], [4, 5, 6, 7]]
    assert windows(np.arange(5), 4, 9)[1].tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize(("length", "stride"), [(0, 1), (4, 0), (10, 1)])
def test_windows_that_do_not_fit_are_refused(length: int, stride: int) -> None:
    with pytest.raises(DataError):
        windows(np.arange(10), length, stride)


def test_language_model_parts_hold_different_text_of_every_book() -> None:
    splits = next_token(ByteTokenizer(), 64, stride=32)
    assert splits.train.inputs.dtype == np.uint8
    assert all(part.scale is None and part.inputs.shape == part.targets.shape for part in splits)
    for number, part in enumerate(splits):
        rows = ["".join(map(chr, row)) for row in part.inputs]
        for name in BOOKS:
            text = book(name)
            pieces = [
                text[: len(text) * 18 // 20],
                text[len(text) * 18 // 20 :][: len(text) // 20],
                text[-len(text) // 20 :],
            ]
            found = [any(row in piece for row in rows[:: len(rows) // 90]) for piece in pieces]
            assert found == [number == place for place in range(3)]


@pytest.mark.parametrize("build", [ByteTokenizer, bpe], ids=["bytes", "byte pairs"])
def test_passages_are_of_their_authors_and_in_one_part_only(build: Callable[[], Tokenizer]) -> None:
    tokenizer = build()
    splits = authors(tokenizer, 128)
    texts = [" ".join(words(name)) for name in BOOKS]
    every: list[str] = []
    for part in splits:
        decoded = [tokenizer.decode(row) for row in part.inputs]
        every += decoded
        assert all(passage in texts[label] for passage, label in zip(decoded, part.targets, strict=True))
        assert min(np.bincount(part.targets, minlength=3)) > len(part) / 4
        assert all(6 <= len(passage.split()) <= 12 for passage in decoded)
    assert len(set(every)) > 0.999 * len(every)
    assert sum(len(passage) + 1 for passage in every) <= sum(len(text) + 1 for text in texts)


def test_passages_are_cut_and_padded_at_the_end() -> None:
    part = authors(ByteTokenizer(), 40).train
    lengths = (part.inputs != PAD).sum(1)
    assert part.inputs.shape[1] == lengths.max() == 40
    assert lengths.min() < 40
    for row, length in zip(part.inputs, lengths, strict=True):
        assert (row[:length] != PAD).all()


def test_data_are_the_same_every_time() -> None:
    def digest(splits: Splits) -> str:
        return hashlib.sha256(b"".join(part.inputs.tobytes() + part.targets.tobytes() for part in splits)).hexdigest()[
            :16
        ]

    assert digest(authors(ByteTokenizer(), 64)) == "25e355ad714b5655"
    assert digest(next_token(ByteTokenizer(), 64)) == "64067e2abdbd6884"


def test_passages_of_impossible_length_are_refused() -> None:
    with pytest.raises(DataError, match="both are 1 or more"):
        authors(ByteTokenizer(), 64, shortest=5, longest=4)
