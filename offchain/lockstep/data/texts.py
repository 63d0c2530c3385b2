"""Three public-domain books inside the package; their source and licence stand in ``books/README.md``."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

BOOKS = ("alice_in_wonderland", "as_you_like_it", "paradise_lost")
"""Works of Lewis Carroll, William Shakespeare and John Milton: also the classes of ``authors``, in this order."""

_NOT_THE_AUTHORS = {
    "alice_in_wonderland": r"(?s:\A.*?)(?=^ *CHAPTER I$)|^ *CHAPTER .*\n\n.*$|^[ *]+$|THE END",
    "as_you_like_it": r"(?s:\A.*?)(?=^ACT I$)|^ACT .*$|^SCENE.*$|^[A-Z][A-Za-z ]*\t|\[[^]]*\]",
    "paradise_lost": r"^Book .*$",
}
"""What would give a book away: its title and headings, who speaks, stage directions."""


@cache
def book(name: str) -> str:
    """The whole text of one of ``BOOKS``, as it is in its file."""
    return (resources.files("lockstep.data") / "books" / f"{name}.txt").read_text("ascii")


def words(name: str) -> list[str]:
    """The words of one of ``BOOKS`` with their punctuation, in lower case, without headings and stage directions."""
    return re.sub(_NOT_THE_AUTHORS[name], " ", book(name), flags=re.MULTILINE).lower().split()
