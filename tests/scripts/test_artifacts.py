"""What the Python package ships is what forge tests."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / "offchain" / "lockstep" / "chain" / "artifacts"

pytestmark = pytest.mark.chain


@pytest.fixture(scope="module")
def forge_output() -> Path:
    subprocess.run([ROOT / "scripts" / "forge", "build"], check=True, capture_output=True)
    return ROOT / tomllib.loads((ROOT / "foundry.toml").read_text())["profile"]["default"]["out"]


def shipped() -> list[dict]:
    subprocess.run([sys.executable, ROOT / "scripts/build_artifacts.py", "--if-changed"], check=True)
    return [json.loads(file.read_text()) for file in sorted(ARTIFACTS.glob("*.json"))]


def in_order(abi: list[dict]) -> list[str]:
    return sorted(json.dumps(entry, sort_keys=True) for entry in abi)


def test_artifacts_equal_what_forge_builds(forge_output: Path) -> None:
    found = shipped()
    assert found, "no artifacts were built"
    for artifact in found:
        file = forge_output / Path(artifact["source"]).name / f"{artifact['name']}.json"
        theirs = json.loads(file.read_text())
        assert artifact["bytecode"] == theirs["bytecode"]["object"], artifact["name"]
        assert artifact["deployed_bytecode"] == theirs["deployedBytecode"]["object"], artifact["name"]
        assert in_order(artifact["abi"]) == in_order(theirs["abi"]), artifact["name"]


def test_artifacts_hold_no_path_of_this_machine() -> None:
    for artifact in shipped():
        assert str(ROOT) not in json.dumps(artifact)
