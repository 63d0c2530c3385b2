"""Compiled contracts as they ship in the package: ABI and bytecode by name."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from lockstep.chain.errors import ChainError


@cache
def artifact(name: str) -> dict[str, Any]:
    """Artifact of a contract: ``name``, ``abi``, ``bytecode``, ``link_references`` (scripts/build_artifacts.py).

    Raises:
        ChainError: when the package was built without it

    """
    try:
        text = (resources.files("lockstep.chain") / "artifacts" / f"{name}.json").read_text()
    except FileNotFoundError:
        raise ChainError(
            f"The compiled contract {name} is missing. Run scripts/setup to compile the contracts."
        ) from None
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def abi(name: str) -> list[dict[str, Any]]:
    """ABI of a contract."""
    entries: list[dict[str, Any]] = artifact(name)["abi"]
    return entries


def available() -> list[str]:
    """Names of all artifacts in the package."""
    folder = resources.files("lockstep.chain") / "artifacts"
    return sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json"))
