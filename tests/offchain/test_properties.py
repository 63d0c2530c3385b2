"""docs/PROPERTIES.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"


def named_tests() -> set[tuple[str, str]]:
    """(file, test) for every test the page names; a name without a file belongs to the file named before it."""
    found, file = set(), ""
    for path, name in re.findall(r"`([\w/]+\.[\w.]+)?::(\w+)`", (ROOT / "docs" / "PROPERTIES.md").read_text()):
        file = path or file
        found.add((file, name))
    return found


def test_every_test_the_page_names_exists() -> None:
    named = named_tests()
    assert len(named) > 200
    missing = [
        f"{file}::{name}"
        for file, name in sorted(named)
        if not (TESTS / file).exists() or not re.search(rf"(?:def|function) {name}\(", (TESTS / file).read_text())
    ]
    assert missing == []
