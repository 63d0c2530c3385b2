"""The golden roots: the script that makes them, its tasks, and the file."""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "scripts" / "make_golden_roots.py"


@cache
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_golden_roots", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def captured(name: str, *, full: bool = False) -> Any:
    return script().captured(name, full=full)


@cache
def golden(*, full: bool = False) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((ROOT / script().path(full=full)).read_text())
    assert (content["seed"], content["steps"]) == (script().SEED, steps(full))
    tasks: dict[str, Any] = content["tasks"]
    return tasks


def steps(full: bool) -> int:
    count: int = script().FULL_STEPS if full else script().STEPS
    return count
