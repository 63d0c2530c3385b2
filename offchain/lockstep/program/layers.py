"""Layers that are named to be computed with residual parts of both operands (docs/NUMERICS.md).

While such a module runs, every node that is traced carries a mark, and so do the backward nodes of what it computed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from fnmatch import fnmatchcase
from typing import Any

from torch import fx, nn

from lockstep.program.infer import ProgramError

META = "custom"
"""The metadata key that ``make_fx`` copies from the current meta to every node, for marks of one's own."""
_MARK = "lockstep.precise"
PRECISE: dict[str, Any] = {_MARK: True}
"""The metadata under ``META`` of a node of a named layer."""


def is_precise(node: fx.Node) -> bool:
    """Whether a traced node is of a named layer, or of its backward pass."""
    return _MARK in node.meta.get(META, {})


@contextlib.contextmanager
def watched(model: nn.Module, patterns: Collection[str]) -> Iterator[Callable[[], bool]]:
    """Says, while it is entered, whether a module runs whose name one of the patterns matches.

    Names are those of ``model.named_modules()``; patterns are as in a shell (``blocks.*.queries``), and ``*`` is all of
    the model. ``ProgramError`` for one that matches nothing.
    """
    names = dict(model.named_modules())
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ProgramError(f"No layer is called {pattern!r}; they are {', '.join(name for name in names if name)}.")
    running: list[nn.Module] = []
    hooks = []
    for name, module in names.items():
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            hooks.append(module.register_forward_pre_hook(lambda module, _inputs: running.append(module)))
            hooks.append(module.register_forward_hook(lambda _module, _inputs, _output: _leave(running)))
    try:
        yield lambda: bool(running)
    finally:
        for hook in hooks:
            hook.remove()


def _leave(running: list[nn.Module]) -> None:
    running.pop()
