"""Compile the contracts and write what the Python package needs to deploy and to call them.

    scripts/build_artifacts.py                compile, and write offchain/lockstep/chain/artifacts/<Contract>.json
    scripts/build_artifacts.py --if-changed   the same, unless nothing that matters has changed
    scripts/build_artifacts.py --strict       fail when the compiler has warnings or code is too large

The settings are foundry.toml's, so that the bytecode is the one forge tests (a test holds them equal). Each file has
``name``, ``source``, ``abi``, ``bytecode``, ``deployed_bytecode`` and ``link_references``; the same sources give the
same bytes on every machine. Storage layouts and warnings go to build/contracts.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ROOT / "contracts"
ARTIFACTS = ROOT / "offchain" / "lockstep" / "chain" / "artifacts"
REPORT = ROOT / "build" / "contracts" / "report.json"
SOLC = ROOT / "scripts" / "solc"
CODE_SIZE_LIMIT = 24_576  # bytes of deployed code a contract may have (EIP-170)


def sources() -> dict[str, str]:
    """Return every contract's source by its path from the root of the repository."""
    return {file.relative_to(ROOT).as_posix(): file.read_text() for file in sorted(CONTRACTS.rglob("*.sol"))}


def settings() -> dict[str, Any]:
    """Return the compiler's settings, read from foundry.toml's default profile."""
    profile = tomllib.loads((ROOT / "foundry.toml").read_text())["profile"]["default"]
    return {
        "remappings": profile["remappings"],
        "optimizer": {"enabled": profile["optimizer"], "runs": profile["optimizer_runs"]},
        "viaIR": profile["via_ir"],
        "evmVersion": profile["evm_version"],
        "metadata": {"bytecodeHash": profile["bytecode_hash"], "appendCBOR": profile["cbor_metadata"]},
        "outputSelection": {
            "*": {
                "*": [
                    "abi",
                    "storageLayout",
                    "evm.bytecode.object",
                    "evm.bytecode.linkReferences",
                    "evm.deployedBytecode.object",
                ]
            }
        },
    }


def digest() -> str:
    """Return a digest of everything the artifacts depend on."""
    state = hashlib.sha256()
    for name in ("foundry.toml", "package-lock.json", "scripts/build_artifacts.py"):
        state.update((ROOT / name).read_bytes())
    state.update(json.dumps(sources(), sort_keys=True).encode())
    return state.hexdigest()


def compile_contracts() -> dict[str, Any]:
    """Run the compiler and return its standard JSON output; exit with its message when the sources are wrong."""
    import solcx
    from solcx.exceptions import SolcError

    request = {
        "language": "Solidity",
        "sources": {name: {"content": content} for name, content in sources().items()},
        "settings": settings(),
    }
    os.chdir(ROOT)  # imports are read from the working folder
    try:
        output: dict[str, Any] = solcx.compile_standard(request, solc_binary=SOLC, allow_paths=str(ROOT))
    except SolcError as error:
        sys.exit(f"error: the contracts do not compile.\n{error.message}")
    return output


def artifacts(output: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return each of our contracts, interfaces included, by name."""
    found: dict[str, dict[str, Any]] = {}
    for source, contracts in output.get("contracts", {}).items():
        if not source.startswith("contracts/"):
            continue
        for name, contract in contracts.items():
            if name in found:
                sys.exit(
                    f"error: {source} and {found[name]['source']} both define {name}; contract names are unique here."
                )
            evm = contract["evm"]
            found[name] = {
                "name": name,
                "source": source,
                "abi": contract["abi"],
                "bytecode": "0x" + evm["bytecode"]["object"],
                "deployed_bytecode": "0x" + evm["deployedBytecode"]["object"],
                "link_references": evm["bytecode"]["linkReferences"],
                "storage_layout": contract["storageLayout"],
            }
    return found


def write(found: dict[str, dict[str, Any]]) -> None:
    """Write the artifacts, and remove those whose contract is gone."""
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    for stale in {file.stem for file in ARTIFACTS.glob("*.json")} - set(found):
        (ARTIFACTS / f"{stale}.json").unlink()
    for name, artifact in found.items():
        kept = {key: value for key, value in artifact.items() if key != "storage_layout"}
        file = ARTIFACTS / f"{name}.json"
        text = json.dumps(kept, sort_keys=True, separators=(",", ":")) + "\n"
        if not file.exists() or file.read_text() != text:
            partial = file.with_suffix(f".{os.getpid()}")
            partial.write_text(text)
            partial.replace(file)  # a reader sees the old file or the new one, never half of one


def report(output: dict[str, Any], found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what scripts/generate.py and --strict read: warnings, sizes and storage layouts."""
    ours = [
        message["formattedMessage"]
        for message in output.get("errors", [])
        if not message.get("sourceLocation", {}).get("file", "").startswith("node_modules/")
    ]
    return {
        "warnings": ours,
        "sizes": {
            name: len(artifact["deployed_bytecode"]) // 2 - 1
            for name, artifact in found.items()
            if artifact["deployed_bytecode"] != "0x"
        },
        "storage": {name: _storage(artifact["storage_layout"]) for name, artifact in found.items()},
    }


def _storage(layout: dict[str, Any]) -> list[str]:
    """Return one line a variable, without the compiler's identifiers, which change with every edit."""
    types = layout.get("types") or {}
    return [
        f"slot {entry['slot']} offset {entry['offset']}: {types[entry['type']]['label']} {entry['label']}"
        for entry in layout.get("storage", [])
    ]


def build(*, if_changed: bool) -> dict[str, Any]:
    """Build, and return the report; an empty one when there is nothing to compile."""
    if not any(CONTRACTS.rglob("*.sol")):
        print("There are no contracts to compile yet.", file=sys.stderr)
        return {}
    current = digest()
    built: dict[str, Any] = json.loads(REPORT.read_text()) if REPORT.exists() and ARTIFACTS.is_dir() else {}
    if if_changed and built.get("digest") == current:
        return built
    print("Compiling the contracts", file=sys.stderr)
    output = compile_contracts()
    found = artifacts(output)
    write(found)
    built = {"digest": current, **report(output, found)}
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(built, indent=1, sort_keys=True) + "\n")
    for warning in built["warnings"]:
        print(warning, file=sys.stderr)
    return built


def main() -> None:
    """Read the command line and build."""
    parser = argparse.ArgumentParser(description="Compile the contracts into the Python package.")
    parser.add_argument("--if-changed", action="store_true", help="do nothing when the last build still holds")
    parser.add_argument(
        "--strict", action="store_true", help="fail when the compiler has warnings or code is too large"
    )
    options = parser.parse_args()

    built = build(if_changed=options.if_changed)
    if not options.strict or not built:
        return
    for name, size in built["sizes"].items():
        if size > CODE_SIZE_LIMIT:
            sys.exit(f"error: {name} has {size} bytes of code; a contract may have {CODE_SIZE_LIMIT}. Split it.")
    if built["warnings"]:
        sys.exit("error: the compiler has warnings:\n" + "\n".join(built["warnings"]))


if __name__ == "__main__":
    main()
