"""Python's structs and enums are the ABI's, field by field."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from lockstep.chain import types
from lockstep.chain.artifacts import abi, available


def structs() -> dict[str, list[dict[str, Any]]]:
    """Every struct that occurs in any ABI, by its Solidity name."""
    found: dict[str, list[dict[str, Any]]] = {}

    def visit(entries: list[dict[str, Any]]) -> None:
        for entry in entries:
            if entry["type"].startswith("tuple"):
                name = entry["internalType"].removeprefix("struct ").split("[")[0].split(".")[-1]
                found[name] = entry["components"]
                visit(entry["components"])

    for contract in available():
        for item in abi(contract):
            visit(item.get("inputs", []))
            visit(item.get("outputs", []))
    return found


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


STRUCTS = [
    value
    for value in vars(types).values()
    if isinstance(value, type) and issubclass(value, types._Struct) and value is not types._Struct
]


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_struct_has_the_abi_fields_in_order(struct: type) -> None:
    expected = [entry["name"] for entry in structs()[struct.__name__]]
    assert [camel(field.name) for field in fields(struct)] == expected
