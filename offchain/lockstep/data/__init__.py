"""Real data sets, as arrays that become constants of a program."""

from lockstep.data.digits import digits
from lockstep.data.errors import DataError
from lockstep.data.images import fashion_mnist, images, mnist_5k
from lockstep.data.splits import Splits, normalised, split_rows, standardised
from lockstep.data.text_tasks import authors, next_token, windows
from lockstep.data.tokens import BytePairTokenizer, ByteTokenizer, books_bpe
from lockstep.program.augmentation import Augmentation
from lockstep.program.selection import Column, Dataset

__all__ = [
    "Augmentation",
    "BytePairTokenizer",
    "ByteTokenizer",
    "Column",
    "DataError",
    "Dataset",
    "Splits",
    "authors",
    "books_bpe",
    "digits",
    "fashion_mnist",
    "images",
    "mnist_5k",
    "next_token",
    "normalised",
    "split_rows",
    "standardised",
    "windows",
]
