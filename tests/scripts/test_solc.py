"""The wrapper around the compiler: its command line is a native solc's, and it reads only what it may."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

SOLC = Path(__file__).resolve().parents[2] / "scripts" / "solc"
PINNED = json.loads((SOLC.parents[1] / "package.json").read_text())["dependencies"]["solc"]


def solc(*arguments: str, request: object = None, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    text = json.dumps(request) if request is not None else ""
    return subprocess.run([SOLC, *arguments], input=text, capture_output=True, text=True, cwd=folder, check=False)


def compile_source(source: str, *arguments: str, folder: Path) -> dict:
    request = {
        "language": "Solidity",
        "sources": {"Main.sol": {"content": source}},
        "settings": {"outputSelection": {"*": {"*": ["abi"]}}},
    }
    done = solc("--standard-json", *arguments, request=request, folder=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_version_is_the_pinned_one_in_native_format() -> None:
    lines = solc("--version").stdout.splitlines()
    assert len(lines) == 2
    assert re.fullmatch(rf"Version: {re.escape(PINNED)}\+commit\.[0-9a-f]{{8}}\..+", lines[1])


def test_standard_json_import_inside_the_base_path_is_read(tmp_path: Path) -> None:
    (tmp_path / "Other.sol").write_text("contract Other {}")
    output = compile_source('import "Other.sol"; contract Main is Other {}', "--base-path", ".", folder=tmp_path)
    assert set(output["contracts"]) == {"Main.sol", "Other.sol"}


def test_standard_json_import_from_an_include_path_is_read(tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "Other.sol").write_text("contract Other {}")
    output = compile_source('import "Other.sol";', "--include-path=library", folder=tmp_path)
    assert "Other" in output["contracts"]["Other.sol"]


@pytest.mark.parametrize("allowed", [False, True])
def test_standard_json_absolute_import_is_read_only_when_allowed(tmp_path: Path, allowed: bool) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "Other.sol").write_text("contract Other {}")
    arguments = ("--allow-paths", str(outside)) if allowed else ()
    output = compile_source(f'import "{outside}/Other.sol";', *arguments, folder=inside)
    errors = [message["message"] for message in output.get("errors", []) if message["severity"] == "error"]
    assert bool(errors) != allowed
    assert allowed or "outside the allowed folders" in errors[0]


def many(count: int, last: str) -> dict:
    """A request of so many files, each with a contract that deploys the one before."""
    sources = {"File0.sol": "contract C0 { function f() external pure returns (uint256) { return 7; } }"}
    for i in range(1, count):
        sources[f"File{i}.sol"] = f'import "File{i - 1}.sol"; contract C{i} {{ C{i - 1} c = new C{i - 1}(); }}'
    sources[f"File{count - 1}.sol"] += last
    selection = {"*": {"*": ["evm.bytecode.object"]}}
    return {
        "language": "Solidity",
        "sources": {name: {"content": content} for name, content in sources.items()},
        "settings": {"viaIR": True, "optimizer": {"enabled": True}, "outputSelection": selection},
    }


def test_many_files_compiled_in_parts_are_what_each_is_alone(tmp_path: Path) -> None:
    request = many(40, "")
    whole = json.loads(solc("--standard-json", request=request, folder=tmp_path).stdout)["contracts"]
    assert {name for contracts in whole.values() for name in contracts} == {f"C{i}" for i in range(40)}
    for file in ("File0.sol", "File7.sol"):
        request["settings"]["outputSelection"] = {file: {"*": ["evm.bytecode.object"]}}
        alone = json.loads(solc("--standard-json", request=request, folder=tmp_path).stdout)["contracts"]
        assert alone[file] == whole[file]


def test_mistake_in_one_of_many_files_is_told_once(tmp_path: Path) -> None:
    output = json.loads(
        solc("--standard-json", request=many(40, " contract X { uint x = y; }"), folder=tmp_path).stdout
    )
    errors = [message["message"] for message in output["errors"] if message["severity"] == "error"]
    assert errors == ["Undeclared identifier."]


def test_unknown_option_is_refused_with_a_sentence(tmp_path: Path) -> None:
    done = solc("--asm", folder=tmp_path)
    assert done.returncode != 0
    assert "--asm" in done.stderr
