"""The rules that lower ATen operators: one function an operator, found by its overload's name."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import fx

from lockstep.program import layers
from lockstep.program.builder import Builder
from lockstep.program.emitter import Array, Value
from lockstep.program.graph import Input, Shape, View
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
    ``residual`` holds the values that are marked for a residual part (``mark_residual``); None: no rule marks any.
    ``sites`` maps a dropout's number in the model to its random site.
    ``row_totals`` has the sums of the rows of matrices that are zero but for one place a row.
    """

    b: Builder
    node: fx.Node
    known: dict[Input, Array] = field(default_factory=dict)
    residual: dict[Input, int] | None = field(default_factory=dict)
    sites: dict[int, int] = field(default_factory=dict)
    row_totals: dict[Input, Value] = field(default_factory=dict)

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

    @property
    def is_precise(self) -> bool:
        """Whether the operator is part of a layer that was named for residual parts of both operands."""
        return layers.is_precise(self.node)

    def mark_residual(self, value: Value, least: int) -> None:
        """Give contractions of ``value`` a residual part; over its own rows only if they have ``least`` entries."""
        if self.residual is not None:
            self.residual[value.source] = least

    def wants_residual(self, rows: Value) -> bool:
        """Whether an operand, to be contracted along its last axis, gets a residual part (docs/NUMERICS.md).

        In a named layer always. Else if it is a marked value, moved or masked, and its rows are long enough: what the
        mark says where they are the value's own rows, ``MANY`` where they run across these.
        """
        if self.is_precise:
            return True
        length, own = rows.shape[-1], True
        for source in self._origins(rows, {Op.VIEW, Op.MUL}):
            least = (self.residual or {}).get(source)
            if least is not None:
                return length >= (least if own else MANY)
            node = self.b.node_of(Value(source, self.b.type_of(source)))
            if node is not None and isinstance(node.attrs, View):
                own = own and _keeps_rows(node.attrs, node.shape, self.b.type_of(node.inputs[0]).shape)
        return False

    def may_be(self, value: Value, number: int) -> bool:
        """Whether an element of an integer value may be this number, as far as one can tell."""
        for source in self._origins(value, {Op.VIEW, Op.CAST}):
            if source in self.known:
                return bool((self.known[source] == number).any())
        return True

    def is_permutation(self, value: Value) -> bool:
        """Whether the rows of an integer value are known to name nothing twice: places of a sorted row."""
        nodes = [self.b.node_of(Value(s, self.b.type_of(s))) for s in self._origins(value, {Op.VIEW})]
        return any(node is not None and node.op is Op.ARGSORT for node in nodes)

    def _origins(self, value: Value, through: set[Op]) -> Iterator[Input]:
        """The value's source, and those of what it was moved or cast from."""
        source = value.source
        while True:
            yield source
            node = self.b.node_of(Value(source, self.b.type_of(source)))
            if node is None or node.op not in through:
                return
            source = node.inputs[0]


MANY = 1_024
"""Entries of a row from which those that one large one hides are too much to lose, whatever they are."""


def _keeps_rows(view: View, shape: Shape, source: Shape) -> bool:
    """Whether the rows of a view are whole rows of its source: as long, and one element after the other."""
    axis, stride = view.mapping[-1] if view.mapping else (0, 0)
    return stride * math.prod(view.src_shape[axis + 1 :]) == 1 and shape[-1] == source[-1]


def rule_name(target: Any) -> str:
    """Name of an overload as rules are registered under: ``aten.addmm.default`` is ``addmm``."""
    name = str(target)
    for prefix in ("aten.", "prims."):
        name = name.removeprefix(prefix)
    return name.removesuffix(".default")


INSTEAD = {
    "_local_scalar_dense": ".item() and float(tensor) leave the program; keep the number as a tensor.",
    "nonzero": "Its shape depends on data; use torch.where with three arguments.",
    "masked_select": "Its shape depends on data; use torch.where.",
    "_to_copy": "Only float32, int64, int32 and bool tensors are carried.",
    "as_strided": "Use slices, unfold or expand.",
    "as_strided_scatter": "Use slices, unfold or expand.",
    "_embedding_bag": "Use nn.Embedding and a mean or a sum over the positions.",
    "embedding_renorm": "max_norm changes the table in place; leave it out.",
    "upsample_bicubic2d": "Use mode='bilinear'.",
    "upsample_nearest3d": "Images of one and two dimensions are carried; fold the third into the batch.",
    "upsample_trilinear3d": "Images of one and two dimensions are carried; fold the third into the batch.",
    "grid_sampler_2d": "Use interpolation by whole factors, or a product with fixed weights.",
    "max_pool3d_with_indices": "Reshape and use amax over the window's axes.",
    "avg_pool3d": "Reshape and use mean over the window's axes.",
    "rrelu_with_noise_functional": "Use leaky_relu.",
    "prod": "Use exp(sum(log(x))) of positive numbers, or products of slices.",
    "cumprod": "Use exp(cumsum(log(x))) of positive numbers.",
    "logcumsumexp": "Use cumsum of exponentials about the largest.",
    "median": "Use sort and a slice.",
    "kthvalue": "Use topk.",
    "_cdist_forward": "Write the distance out: ((a.unsqueeze(1) - b.unsqueeze(0)) ** 2).sum(-1).sqrt().",
    "multi_margin_loss": "Write it out with torch.relu and torch.gather, or use cross_entropy.",
    "_ctc_loss": "Use cross_entropy of aligned targets.",
    "std_mean": "Use torch.var_mean and sqrt.",
    "_fft_r2c": "Use a product with a matrix of cosines and sines (register_buffer).",
    "view_as_complex": "Programs have no complex numbers: write real and imaginary parts out.",
    "linalg_inv_ex": "Decompositions of matrices are not carried.",
    "searchsorted": "Compare with the boundaries and sum.",
    "bucketize": "Compare with the boundaries and sum.",
}


def nearest(name: str) -> str:
    """A sentence about the nearest thing that can be carried; empty where nothing is near."""
    base = name.split(".")[0]
    if base in INSTEAD:
        return INSTEAD[base]
    if base.endswith("_backward") or base.endswith("_scatter"):
        return ""
    close = difflib.get_close_matches(base, sorted({rule.split(".")[0] for rule in RULES}), 1, 0.6)
    return f"The nearest that can be carried is {close[0]}." if close else ""
