"""The contracts' surface as text: what a change to a contract changes for others shows up as a changed line.

One line a function, error and event in tests/snapshots/abi, one line a storage variable in tests/snapshots/storage,
one line a contract's size in tests/snapshots/sizes.txt. Gas snapshots are forge's (tests/snapshots/gas).
"""

from __future__ import annotations

import json
from typing import Any

import build_artifacts

FOLDER = "tests/snapshots"


def files() -> dict[str, str]:
    """Return the snapshots of the contracts as scripts/build_artifacts.py last built them."""
    build_artifacts.build(if_changed=True)
    if not build_artifacts.REPORT.exists():
        return {}
    report = json.loads(build_artifacts.REPORT.read_text())
    found = {}
    for file in sorted(build_artifacts.ARTIFACTS.glob("*.json")):
        lines = sorted(filter(None, map(describe, json.loads(file.read_text())["abi"])))
        if lines:
            found[f"{FOLDER}/abi/{file.stem}.txt"] = "\n".join(lines) + "\n"
    for name, lines in report["storage"].items():
        if lines:
            found[f"{FOLDER}/storage/{name}.txt"] = "\n".join(lines) + "\n"
    sizes = [f"{name} {size}" for name, size in sorted(report["sizes"].items()) if size > SMALLEST_SHOWN]
    if sizes:
        found[f"{FOLDER}/sizes.txt"] = "\n".join(sizes) + "\n"
    return found


SMALLEST_SHOWN = 100
"""Bytes; a library whose functions are all internal has a few dozen bytes of code and nothing to watch."""


def describe(entry: dict[str, Any]) -> str:
    """Return one ABI entry as a line of Solidity."""
    kind = entry["type"]
    text = f"{kind} {entry['name']}" if "name" in entry else kind
    text += f"({_parameters(entry.get('inputs', []))})"
    if entry.get("stateMutability", "nonpayable") != "nonpayable":
        text += f" {entry['stateMutability']}"
    if entry.get("anonymous"):
        text += " anonymous"
    if entry.get("outputs"):
        text += f" returns ({_parameters(entry['outputs'])})"
    return text


def _parameters(parameters: list[dict[str, Any]]) -> str:
    return ", ".join(
        " ".join(filter(None, (_type(parameter), "indexed" if parameter.get("indexed") else "", parameter["name"])))
        for parameter in parameters
    )


def _type(parameter: dict[str, Any]) -> str:
    kind: str = parameter["type"]
    if kind.startswith("tuple"):
        return f"({_parameters(parameter['components'])}){kind.removeprefix('tuple')}"
    return kind
