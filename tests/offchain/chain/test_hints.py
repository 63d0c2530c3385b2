"""Sentences for custom errors: each is of an error there is, and names only arguments that it has."""

from __future__ import annotations

import string

import pytest

from lockstep.chain import hints
from lockstep.chain.artifacts import abi, available


def custom_errors() -> dict[str, list[list[str]]]:
    """Names of arguments of every custom error in any ABI; an error may be declared more than once."""
    found: dict[str, list[list[str]]] = {}
    for contract in available():
        for entry in abi(contract):
            if entry["type"] == "error":
                found.setdefault(entry["name"], []).append([given["name"] for given in entry["inputs"]])
    return found


@pytest.mark.parametrize("error", sorted(hints._SENTENCES))
def test_sentence_names_arguments_of_its_error(error: str) -> None:
    named = {name for _, name, _, _ in string.Formatter().parse(hints._SENTENCES[error]) if name}
    declarations = custom_errors()[error]
    for arguments in declarations:
        assert named <= set(arguments)


def test_times_beyond_the_calendar_are_said_too() -> None:
    window = hints.sentence("WrongWindow", {"opens": 1_800_000_000, "closes": 2**64 - 1})
    assert window == "this is possible from 2027-01-15 08:00:00 UTC on; try again then."
    assert "the end of time" in hints.sentence("DeadlineNotPassed", {"deadline": 2**64 - 1})


def test_unknown_error_lists_what_it_carries() -> None:
    assert hints.sentence("Strange", {"a": 1, "b": b"\x02"}) == "the contract answered Strange(a = 1, b = 0x02)."
