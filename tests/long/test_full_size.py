"""The two largest models of the zoo at full size: captured, initialised, stepped, to the roots of every machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARAMETERS = {"gpt-mini": 44_580_864, "bert-tiny": 10_857_219}
GOLDEN = json.loads((ROOT / "tests" / "vectors" / "golden_roots_full.json").read_text())["tasks"]

pytestmark = [pytest.mark.long, pytest.mark.timeout(0)]


@pytest.mark.parametrize("name", PARAMETERS)
def test_largest_model_takes_its_steps_within_the_estimated_memory(name: str) -> None:
    """Its peak above what capturing took is at most the estimate by which agents refuse a task; ``-s`` shows all."""
    command = [sys.executable, "-m", "tests.long.full_size", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(f"\n{name}: {json.dumps(found, indent=1)}")
    assert found["parameters"] == PARAMETERS[name]
    assert found["roots"] == GOLDEN[name]["roots"]
    assert found["losses"][0] > 0
    assert found["peak"]["second step"] - found["peak"]["capture"] <= found["estimate"]
