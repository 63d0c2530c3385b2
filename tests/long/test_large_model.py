"""200 million parameters: captured, initialised, stepped and opened within 16 GiB of address space."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.long.large_model import KINDS

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.long, pytest.mark.timeout(0)]


def test_large_model_fits_and_recomputing_changes_no_state() -> None:
    """``-s`` shows every part's seconds and peak, beside eager PyTorch's."""
    found: dict[str, dict[str, Any]] = {}
    for kind in KINDS:
        command = [sys.executable, "-m", "tests.long.large_model", kind]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found[kind] = json.loads(done.stdout)
        print(f"\n{kind}: {json.dumps(found[kind], indent=1)}")
    plain, less, eager = found["exact"], found["recomputed"], found["eager"]
    assert plain["parameters"] > 200_000_000
    assert less["root"] == plain["root"]
    assert less["peak"]["step"] < plain["peak"]["step"]
    for kind in (plain, less):
        assert kind["peak"]["step"] <= kind["estimate"] + kind["peak"]["capture"]
        assert kind["peak"]["trace"] < kind["values"] / 2
        assert max(kind["peak"].values()) < 4 * max(eager["peak"].values())
