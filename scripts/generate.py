"""Write, or check, every file that is generated from another.

    scripts/generate.py           write them
    scripts/generate.py --check   write nothing; fail and show the difference when a file is not what it should be

To add a generator, write a function without arguments that returns the files it makes, their text by their path from
the root of the repository, and name it in GENERATORS. It must give the same text on every machine.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHOWN_LINES = 20


@dataclass(frozen=True)
class Generator:
    """Where some of the repository's files come from.

    Attributes:
        title: what it makes, for people
        function: "module:function" of the function that returns the files
        owns: glob patterns, from the root, of every file it is responsible for; one it no longer makes is stale

    """

    title: str
    function: str
    owns: tuple[str, ...]

    def files(self) -> Mapping[str, str]:
        """Return the text of each file by its path from the root."""
        module, _, name = self.function.partition(":")
        function: Callable[[], Mapping[str, str]] = getattr(importlib.import_module(module), name)
        return function()


GENERATORS = (
    Generator(
        "what Python and Solidity share: types, ops, limits",
        "lockstep.program.codegen:files",
        owns=tuple(
            f"contracts/types/{name}.sol" for name in ("DType", "InputKind", "Limits", "Op", "TranscendentalConstants")
        ),
    ),
    Generator(
        "known answers of the commitments",
        "make_vectors_commitments:files",
        owns=tuple(f"tests/vectors/{name}.json" for name in ("merkle", "program", "tensor")),
    ),
    Generator(
        "known answers of every op",
        "make_vectors_ops:files",
        owns=("tests/vectors/ops/*.json",),
    ),
    Generator(
        "known answers of rows of several blocks",
        "make_vectors_rows:files",
        owns=("tests/vectors/long_rows.json",),
    ),
    Generator(
        "which operators a capture carries",
        "make_coverage:files",
        owns=("docs/COVERAGE.md",),
    ),
    Generator(
        "what the economic inequalities say of the defaults",
        "make_economics:files",
        owns=("docs/ECONOMICS.md",),
    ),
    Generator(
        "contracts' ABIs, sizes and storage layouts",
        "snapshots:files",
        owns=("tests/snapshots/abi/*.txt", "tests/snapshots/storage/*.txt", "tests/snapshots/sizes.txt"),
    ),
)


def differences(generator: Generator, root: Path = ROOT) -> dict[str, tuple[str | None, str | None]]:
    """Return (present, wanted) text of each file that is not as it should be; None stands for no file."""
    wanted = generator.files()
    present = {file.relative_to(root).as_posix() for pattern in generator.owns for file in root.glob(pattern)}
    found = {}
    for path in sorted(present | set(wanted)):
        file = root / path
        now = file.read_text() if file.exists() else None
        if now != wanted.get(path):
            found[path] = (now, wanted.get(path))
    return found


def show(path: str, present: str | None, wanted: str | None) -> None:
    """Print how a file differs from what it should be."""
    lines = list(
        difflib.unified_diff(
            (present or "").splitlines(),
            (wanted or "").splitlines(),
            f"{path} as it is",
            f"{path} generated",
            lineterm="",
        )
    )
    print("\n".join(lines[:SHOWN_LINES]))
    if len(lines) > SHOWN_LINES:
        print(f"... and {len(lines) - SHOWN_LINES} lines more")


def apply(path: str, wanted: str | None, root: Path = ROOT) -> None:
    """Write one file, or remove it."""
    file = root / path
    if wanted is None:
        file.unlink()
        print(f"removed {path}")
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(wanted)
        print(f"wrote {path}")


def main() -> None:
    """Read the command line; write or check."""
    parser = argparse.ArgumentParser(description="Write every generated file, or check that they are up to date.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    check = parser.parse_args().check
    stale = 0
    for generator in GENERATORS:
        for path, (present, wanted) in differences(generator).items():
            stale += 1
            if check:
                print(f"{path} ({generator.title}) is out of date:")
                show(path, present, wanted)
            else:
                apply(path, wanted)
    if check and stale:
        sys.exit(f"{stale} generated files are out of date. Run scripts/generate.py and commit what it changes.")


if __name__ == "__main__":
    main()
