"""Python's structs are the ABI's, field by field, and its enums the interfaces', member by member."""

from __future__ import annotations

import re
from dataclasses import fields
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest

from lockstep.chain import types
from lockstep.chain.artifacts import abi, available
from lockstep.program.faults import FaultKind, ProgramFault


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
] + [ProgramFault]


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_struct_has_the_abi_fields_in_order(struct: type) -> None:
    expected = [entry["name"] for entry in structs()[struct.__name__]]
    assert [camel(field.name) for field in fields(struct)] == expected


ENUMS = [
    value
    for value in vars(types).values()
    if isinstance(value, type) and issubclass(value, IntEnum) and value is not IntEnum
] + [FaultKind]


def declared(name: str) -> list[str]:
    """Members of a Solidity enum, from the interfaces' source: the ABI does not have them."""
    interfaces = Path(__file__).parents[3] / "contracts" / "interfaces"
    for file in sorted(interfaces.glob("*.sol")):
        found = re.search(rf"^enum {name} \{{(.*?)^\}}", file.read_text(), re.MULTILINE | re.DOTALL)
        if found:
            return [word for line in found[1].splitlines() for word in re.findall(r"\w+", line.split("//")[0])]
    raise AssertionError(f"No interface declares {name}.")


@pytest.mark.parametrize("enum", ENUMS, ids=lambda enum: enum.__name__)
def test_enum_has_the_interface_members_in_order(enum: type[IntEnum]) -> None:
    assert [member.name.replace("_", "") for member in enum] == [name.upper() for name in declared(enum.__name__)]
    assert [member.value for member in enum] == list(range(len(enum)))
