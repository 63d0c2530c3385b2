"""A lower layer never imports a higher one, and no layer imports a library that belongs to a higher one.

The layers are offchain/lockstep's folders, in the order of LAYERS. Imports inside functions count too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "offchain" / "lockstep"

LAYERS = (
    "numerics",
    "commitments",
    "program",
    "engine",
    "storage",
    "chain",
    "dispute",
    "agents",
    "economics",
    "models",
    "data",
    "cli",
    "explorer",
)
"""Each may import itself and those before it."""

CONTENT = {"models": {"numerics", "program"}, "data": {"numerics", "program"}}
"""Layers that hold content rather than machinery: beside themselves they may import only these."""

FIRST_USER = {
    "torch": "numerics",
    "fsspec": "storage",
    "web3": "chain",
    "eth_account": "chain",
    "eth_abi": "chain",
    "eth_utils": "chain",
    "sqlite3": "agents",
    "sklearn": "data",
    "mlxtend": "data",
    "tokenizers": "data",
    "typer": "cli",
    "rich": "cli",
    "matplotlib": "cli",
}
"""The lowest layer that may import a library; the pure layers below know nothing of it."""


def allowed_layers(layer: str) -> set[str]:
    """Return the layers that ``layer`` may import."""
    return {layer} | CONTENT.get(layer, set(LAYERS[: LAYERS.index(layer)]))


def imported_names(file: Path, package: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the absolute dotted name of everything a file imports, wherever in the file."""
    parts = (package.name, *file.relative_to(package).with_suffix("").parts)
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            # a relative import starts at the folder the file lies in; __init__ is a module of its folder like any other
            base = ".".join(parts[: len(parts) - node.level]) if node.level else ""
            source = ".".join(filter(None, (base, node.module)))
            for alias in node.names:
                yield node.lineno, f"{source}.{alias.name}"
        elif isinstance(node, ast.Call) and _is_import_call(node.func) and node.args:
            argument = node.args[0]
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield node.lineno, argument.value


def _is_import_call(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in {"import_module", "__import__"}


def violations(package: Path) -> list[str]:
    """Return a sentence for each import that goes up."""
    found = []
    for file in sorted(package.rglob("*.py")):
        inside = file.relative_to(package).parts
        # what lies beside the layers (the package's __init__, its errors) is below them all and imports none
        layer = inside[0] if len(inside) > 1 else None
        allowed = allowed_layers(layer) if layer else set()
        height = LAYERS.index(layer) if layer else -1
        for line, name in imported_names(file, package):
            top, _, rest = name.partition(".")
            target = rest.partition(".")[0]
            where = f"{file.relative_to(package.parent)}:{line}"
            if top == package.name and target in LAYERS and target not in allowed:
                found.append(f"{where} imports {name}: {layer or 'the package itself'} may not import {target}")
            elif top in FIRST_USER and height < LAYERS.index(FIRST_USER[top]):
                found.append(f"{where} imports {name}: {top} belongs to {FIRST_USER[top]} and above")
    return found


def test_package_no_layer_imports_a_higher_one() -> None:
    assert violations(PACKAGE) == []


def test_package_every_folder_is_a_known_layer() -> None:
    folders = {file.relative_to(PACKAGE).parts[0] for file in PACKAGE.rglob("*.py") if file.parent != PACKAGE}
    assert folders <= set(LAYERS), "give each new folder its place in LAYERS"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("numerics/a.py", "import lockstep.program.graph"),
        ("numerics/a.py", "from lockstep import engine"),
        ("numerics/a.py", "from ..program import graph"),
        ("numerics/__init__.py", "from ..program import graph"),
        ("numerics/deep/a.py", "from ...chain import anvil"),
        ("program/a.py", "def f():\n    from lockstep.engine import run"),
        ("program/a.py", "import importlib\nimportlib.import_module('lockstep.cli.main')"),
        ("program/a.py", "from web3 import Web3"),
        ("commitments/a.py", "import eth_utils"),
        ("agents/a.py", "import rich.table"),
        ("models/a.py", "from lockstep.chain.anvil import Anvil"),
        ("models/a.py", "import lockstep.engine"),
        ("__init__.py", "from lockstep.numerics import matmul"),
        ("errors.py", "import web3"),
    ],
)
def test_planted_import_upwards_is_found(tmp_path: Path, path: str, code: str) -> None:
    assert violations(_package(tmp_path, path, code)) != []


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("program/a.py", "import lockstep.numerics.matmul"),
        ("program/a.py", "from . import graph"),
        ("program/a.py", "from ..commitments.merkle import root"),
        ("program/a.py", "from lockstep.errors import LockstepError"),
        ("chain/a.py", "import web3"),
        ("models/a.py", "from lockstep.program import capture"),
        ("cli/main.py", "import rich, lockstep.agents.solver, lockstep.models.mlp"),
    ],
)
def test_planted_import_downwards_is_allowed(tmp_path: Path, path: str, code: str) -> None:
    assert violations(_package(tmp_path, path, code)) == []


def _package(folder: Path, path: str, code: str) -> Path:
    package = folder / "lockstep"
    file = package / path
    file.parent.mkdir(parents=True)
    file.write_text(code)
    return package


UNSAFE_MODULES = frozenset({"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"})
"""What they read may run code of whoever wrote it."""
UNSAFE_CALLS = frozenset({"eval", "exec", "compile", "torch.load", "np.load", "numpy.load", "os.system"})


def unsafe(package: Path) -> list[str]:
    """Return a sentence for each import or call that could run what a stranger wrote."""
    found = []
    for file in sorted(package.rglob("*.py")):
        where = file.relative_to(package.parent)
        for line, name in imported_names(file, package):
            if name.partition(".")[0] in UNSAFE_MODULES:
                found.append(f"{where}:{line} imports {name}")
        found += [
            f"{where}:{node.lineno} calls {ast.unparse(node.func)}"
            for node in ast.walk(ast.parse(file.read_text(), str(file)))
            if isinstance(node, ast.Call) and ast.unparse(node.func) in UNSAFE_CALLS
        ]
    return found


def test_nothing_unpickles_or_evaluates() -> None:
    assert unsafe(PACKAGE) == []


@pytest.mark.parametrize(
    "code", ["import pickle", "from marshal import loads", "import torch\ntorch.load(x)", "eval(x)"]
)
def test_what_unpickles_or_evaluates_is_found(tmp_path: Path, code: str) -> None:
    package = tmp_path / "lockstep"
    package.mkdir()
    (package / "x.py").write_text(code)
    assert len(unsafe(package)) == 1
