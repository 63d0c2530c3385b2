"""Which PyTorch operators a capture carries, how each lowers, and what the dearest leaf it leads to costs.

    scripts/make_coverage.py    print docs/COVERAGE.md

``scripts/generate.py`` writes and checks the file. Everything comes from the source: the rules' docstrings, the ops
their code may emit (found by following calls in the syntax tree), the measured costs of leaves.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType

from lockstep.program import builder, composites, lowering
from lockstep.program.lowering import INSTEAD, RULES
from lockstep.program.lowering.registry import Rule
from lockstep.program.ops import Op

ROOT = Path(__file__).resolve().parent.parent
COSTS = ROOT / "docs" / "data" / "leaf_costs.json"
PATH = "docs/COVERAGE.md"

Key = tuple[str, str]
"""Module (its last name; ``Builder`` for the builder's methods) and function."""

_LIMITS = frozenset({"MAX_SUM_ROW"})
_EMITTER = {"view": {Op.VIEW}, "materialise": {Op.VIEW}}

HEAD = """\
# What a capture carries

Written by `scripts/generate.py` from the rules in `offchain/lockstep/program/lowering`; [CAPTURE.md](CAPTURE.md) says
how a model becomes a program. A model is written in PyTorch's modules and functions; this page lists what these become
when they are traced: ATen's operators, forward and backward, by family. {count} operators are carried.

*Ops* are those of [PROGRAM.md](PROGRAM.md) that a rule may emit; which ones, a call's arguments decide. *Dearest leaf*
is the most that proving one element of any of them costs in a transaction, at the largest shape a program may have: an
upper bound, in gas. Rows longer than one leaf carries (4,096; for `scatter_add` 2,048) are opened block by block in a
dispute; sums of more than 16,384 are made in two levels. Neither is refused.
"""

REFUSED = """\
## Refused

Every other operator, by name and with the line of the source it comes from, before anything is posted; and what a rule
says it cannot carry. So are:

- values that leave the program: `.item()`, `float(tensor)`, `if` on a tensor, `nonzero`, boolean indexing that is read
  (writing one number where a mask holds is carried);
- tensors that are neither parameters nor buffers of the model or the loss (those written out in the source, as
  `torch.tensor([1.0, 2.0])`, are constants of the program);
- tensors of other types than float32, integers and truth values: float64, half precision, complex numbers;
- draws made again in the backward pass (dropout inside activation checkpointing).

What stands near some of the operators that are not carried:

| operator | instead |
| --- | --- |
"""


def _modules() -> dict[str, ModuleType]:
    families = {name: getattr(lowering, name) for name in lowering.__all__ if inspect.ismodule(getattr(lowering, name))}
    return families | {"composites": composites, "builder": builder}


@cache
def _functions() -> dict[Key, ast.FunctionDef]:
    """Every function of the lowering, the composites and the builder, by module and name."""
    found: dict[Key, ast.FunctionDef] = {}
    for name, module in _modules().items():
        for node in ast.parse(inspect.getsource(module)).body:
            if isinstance(node, ast.FunctionDef):
                found[name, node.name] = node
            elif isinstance(node, ast.ClassDef) and node.name == "Builder":
                found |= {("Builder", item.name): item for item in node.body if isinstance(item, ast.FunctionDef)}
    return found


@cache
def _methods() -> dict[str, set[Op]]:
    """The builder's methods that are one op each: ``add = _binary(Op.ADD, ...)``."""
    found = dict(_EMITTER)
    (builder_class,) = [
        node for node in ast.parse(inspect.getsource(builder)).body
        if isinstance(node, ast.ClassDef) and node.name == "Builder"
    ]  # fmt: skip
    for node in builder_class.body:
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            calls = value.elts if isinstance(value, ast.Tuple) else [value]
            for name, call in zip(names, calls, strict=True):
                assert isinstance(name, ast.Name)
                found[name.id] = set(_named_ops(call))
    return found


def _named_ops(node: ast.AST) -> Iterator[Op]:
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == "Op":
            yield Op[part.attr]


@cache
def _imports(module: str) -> dict[str, str]:
    """Module each imported function of ours comes from."""
    found: dict[str, str] = {}
    if module in _modules():
        for node in ast.parse(inspect.getsource(_modules()[module])).body:
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("lockstep."):
                found |= {alias.name: node.module.rsplit(".", 1)[-1] for alias in node.names}
    return found


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """As ``ast.walk`` without the branches for sums longer than a leaf carries."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _LIMITS & {n.id for n in ast.walk(child.test) if isinstance(n, ast.Name)}:
            continue
        yield from _walk(child)


def _ops_of(key: Key, seen: set[Key]) -> set[Op]:
    """Ops a function may emit, following the functions it names."""
    if key in seen or key not in _functions():
        return set()
    seen.add(key)
    module, found = key[0], set[Op]()
    function = _functions()[key]
    own = {argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)}
    own |= {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for node in _walk(function):
        if isinstance(node, ast.Name) and node.id not in own:
            home = _imports(module).get(node.id, module)
            found |= _ops_of((home, node.id), seen)
        elif isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id == "Op":
                found.add(Op[node.attr])
            elif isinstance(node.value, ast.Name) and node.value.id in ("math", "np"):
                continue
            elif isinstance(node.value, ast.Name) and node.value.id == "composites":
                found |= _ops_of(("composites", node.attr), seen)
            else:
                found |= _methods().get(node.attr, set()) | _ops_of(("Builder", node.attr), seen)
    return found


def ops_of(rule: Rule) -> list[Op]:
    """Ops a rule may emit, in the order of their codes; a rule made by another function names its ops in strings."""
    names = [cell.cell_contents for cell in rule.__closure__ or ()]
    found = set().union(*(_methods().get(name, set()) for name in names if isinstance(name, str)))
    maker = rule.__qualname__.split(".")[0]
    return sorted(found | _ops_of((rule.__module__.rsplit(".", 1)[-1], maker), set()))


def _row(names: list[str], rule: Rule, costs: Mapping[str, int]) -> str:
    ops = ops_of(rule)
    text = " ".join((inspect.getdoc(rule) or "").split("\n\n")[0].split()).replace("|", "\\|")
    assert text, f"The rule of {names[0]} has no docstring."
    dearest = max(ops, key=lambda op: costs[op.name.lower()], default=None)
    cost = f"{dearest.name.lower()}, {costs[dearest.name.lower()]:,}" if dearest is not None else "none"
    listed = " ".join(op.name.lower() for op in ops) or "none: the operand itself"
    return f"| {', '.join(f'`{name}`' for name in names)} | {text} | {listed} | {cost} |"


def document() -> str:
    """The page's text."""
    costs = {entry["op"]: int(entry["transaction_gas"]) for entry in json.loads(COSTS.read_text())}
    families: dict[str, dict[Rule, list[str]]] = {}
    for name, rule in sorted(RULES.items()):
        families.setdefault(rule.__module__, {}).setdefault(rule, []).append(name)
    lines = [HEAD.format(count=len(RULES))]
    for module in sorted(families):
        family = module.rsplit(".", 1)[-1]
        about = (inspect.getdoc(_modules()[family]) or "").split("\n\n")[0].replace("\n", " ")
        lines += [f"## {family.capitalize()}", "", about, "", "| operator | meaning | ops | dearest leaf |"]
        lines += ["| --- | --- | --- | --- |"]
        lines += [_row(names, rule, costs) for rule, names in families[module].items()] + [""]
    refused = [f"| `{name}` | {text} |" for name, text in sorted(INSTEAD.items())]
    return "\n".join([*lines, REFUSED + "\n".join(refused), ""])


def files() -> Mapping[str, str]:
    """The generated file's text by its path."""
    return {PATH: document()}


if __name__ == "__main__":
    print(document())
