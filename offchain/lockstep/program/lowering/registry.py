"""The rules that lower ATen operators: one function an operator, found by its overload's name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import fx

from lockstep.program.builder import Builder
from lockstep.program.emitter import Array, Value
from lockstep.program.graph import Input, Shape
from lockstep.program.ops import Op
from lockstep.program.tracing import CaptureError

Result = Any
Rule = Callable[..., Result]
R = TypeVar("R", bound=Callable[..., Any])
RULES: dict[str, Rule] = {}
"""Rule of each overload, by ``aten`` name without the namespace: ``addmm``, ``sum.dim_IntList``."""


def lowers(*names: str) -> Callable[[R], R]:
    """Register a rule for overloads (``.default`` is left out of their names).

    A rule is called as ``rule(context, *args, **kwargs)`` with the operator's own arguments, tensors
    replaced by values; it returns a value, or a tuple of values (None for outputs nobody reads).
    """

    def register(rule: R) -> R:
        for name in names:
            assert name not in RULES, f"{name} has two rules"
            RULES[name] = rule
        return rule

    return register


@dataclass(slots=True)
class Context:
    """What a rule may ask: the builder, the node it lowers, and facts about the task.

    ``known`` holds all values that some inputs of the program can have (targets of the data set).
    ``residual`` holds values whose contractions get a residual part (``Builder.contract``). ``sites``
    maps a dropout's number in the model to its random site.
    """

    b: Builder
    node: fx.Node
    known: dict[Input, Array] = field(default_factory=dict)
    residual: set[Input] = field(default_factory=set)
    sites: dict[int, int] = field(default_factory=dict)

    @property
    def shape(self) -> Shape:
        """Shape of the node's output (of a single tensor)."""
        return tuple(int(extent) for extent in self.node.meta["val"].shape)

    def refuse(self, why: str, instead: str = "") -> CaptureError:
        """An error about this operator: what of it cannot be carried, and what can."""
        place = self.b.location
        return CaptureError(
            f"{place + ': ' if place else ''}{self.node.target}: {why}.{' ' + instead if instead else ''}"
        )

    def wants_residual(self, value: Value) -> bool:
        """Whether this value, or what it is a view of, was marked for a residual contraction."""
        return any(source in self.residual for source in self._origins(value, {Op.VIEW}))

    def may_be(self, value: Value, number: int) -> bool:
        """Whether an element of an integer value may be this number, as far as one can tell."""
        for source in self._origins(value, {Op.VIEW, Op.CAST}):
            if source in self.known:
                return bool((self.known[source] == number).any())
        return True

    def _origins(self, value: Value, through: set[Op]) -> Iterator[Input]:
        """The value's source, and those of what it was moved or cast from."""
        source = value.source
        while True:
            yield source
            node = self.b.node_of(Value(source, self.b.type_of(source)))
            if node is None or node.op not in through:
                return
            source = node.inputs[0]


def rule_name(target: Any) -> str:
    """Name of an overload as rules are registered under: ``aten.addmm.default`` is ``addmm``."""
    name = str(target)
    for prefix in ("aten.", "prims."):
        name = name.removeprefix(prefix)
    return name.removesuffix(".default")


INSTEAD = {
    "native_dropout": "Use nn.Dropout or torch.nn.functional.dropout, which are drawn from the task's seed.",
    "bernoulli": "Use nn.Dropout, which is drawn from the task's seed.",
    "rand": "Randomness comes from the task's seed: use nn.Dropout, or draw before the task and register a buffer.",
    "_local_scalar_dense": ".item() and float(tensor) leave the program; keep the number as a tensor.",
    "nonzero": "Its shape depends on data; use torch.where with three arguments.",
    "index": "Indexing by a tensor is not carried yet; use nn.Embedding, slices or torch.where.",
    "index_put": "Assignment by a tensor index is not carried yet; use torch.where.",
    "masked_select": "Its shape depends on data; use torch.where.",
    "_to_copy": "Only float32, int64, int32 and bool tensors are carried.",
    "gather": "Use a product with a one-hot mask, or nn.Embedding for rows.",
    "upsample_nearest2d": "Repeat with torch.repeat_interleave is not carried either; use expand and reshape.",
}


def nearest(name: str) -> str:
    """A sentence about the nearest thing that can be carried; empty where nothing is near."""
    base = name.split(".")[0]
    if base.startswith("rand"):
        return INSTEAD["rand"]
    if base in INSTEAD:
        return INSTEAD[base]
    close = difflib.get_close_matches(base, sorted({rule.split(".")[0] for rule in RULES}), 1, 0.6)
    return f"The nearest that can be carried is {close[0]}." if close else ""
