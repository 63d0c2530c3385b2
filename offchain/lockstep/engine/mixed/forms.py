"""What of a program native floating point may take another way, decided before anything runs.

A contraction of two quantised tensors stands for the product of the tensors themselves where every mantissa is
contracted under the exponent it was made with. That is so in every captured program; in a program that anybody may
have written it is checked here, element by element, on numbers that stand for the exponents. What fails the check is
computed exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lockstep.engine.mixed.residuals import residual_sums
from lockstep.numerics.dtypes import DType
from lockstep.numerics.routes import movement
from lockstep.program.graph import Concat, Input, Node, Program, View
from lockstep.program.ops import (
    EXPONENT_FLOOR_QUANTIZE,
    EXPONENT_FLOOR_SUM,
    Family,
    InputKind,
    Op,
)

_ZERO = -1
"""Stands where a view fills a tensor of mantissas with zeros: any exponent suits them."""
_FILLED = -2
"""Stands where a view fills a tensor of exponents."""
_MOST_NUMBERS = 1 << 30


@dataclass(frozen=True, slots=True)
class Forms:
    """Nodes by what they become.

    ``contractions`` are products of floats, ``sums`` (``sum``, ``scatter_add``) sums of floats; ``flags`` are
    comparisons of which only the truth is read; ``passed`` maps a sum of a product and its residual part to the input
    that has both.
    """

    contractions: frozenset[int]
    sums: frozenset[int]
    flags: frozenset[int]
    passed: Mapping[int, Input]


def find_forms(program: Program) -> Forms:
    """The forms of a well-formed program's nodes."""
    numbers = _Numbers(program)
    nodes = program.nodes
    return Forms(
        frozenset(i for i, n in enumerate(nodes) if n.op is Op.MATMUL and numbers.agree(n)),
        frozenset(i for i, n in enumerate(nodes) if n.op in (Op.SUM, Op.SCATTER_ADD) and _is_own_sum(program, n)),
        _flags(program),
        residual_sums(program),
    )


def own_exponent(program: Program, source: Input, of: Input, floor: int) -> bool:
    """Whether an e16 input is the exponents of exactly the rows of ``of``."""
    if source.kind is not InputKind.NODE:
        return False
    node = program.nodes[source.value]
    return node.op is Op.EXPONENT and node.inputs == (of,) and node.attrs == (floor,)


def _is_own_sum(program: Program, node: Node) -> bool:
    return own_exponent(program, node.inputs[-1], node.inputs[0], EXPONENT_FLOOR_SUM)


def _flags(program: Program) -> frozenset[int]:
    """Comparisons that only ``select`` and casts to f32 read."""
    found = {i for i, node in enumerate(program.nodes) if node.op.family is Family.COMPARE and node.op is not Op.SELECT}
    for node in program.nodes:
        for slot, source in enumerate(node.inputs):
            reads_truth = (node.op is Op.SELECT and slot == 0) or (node.op is Op.CAST and node.dtype is DType.F32)
            if source.kind is InputKind.NODE and not reads_truth:
                found.discard(source.value)
    return frozenset(found)


class _Numbers:
    """Moves numbers, one an exponent, as mantissas and exponents are moved, to see whether they arrive together."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._first: dict[int, int] = {}
        self._used = 0

    def agree(self, node: Node) -> bool:
        """Whether both operands of a contraction come with the exponents they were quantised under."""
        return all(self._operand(node.inputs[slot], node.inputs[slot + 1]) for slot in (0, 2))

    def _operand(self, mantissas: Input, exponents: Input) -> bool:
        made = self.program.nodes[mantissas.value]
        if made.op is Op.QUANTIZE and made.inputs[1] == exponents:
            return self._is_own(made)
        under = self._mantissas(mantissas)
        beside = None if under is None else self._exponents(exponents)
        if under is None or beside is None:
            return False
        return bool(((under == beside.unsqueeze(-1)) | (under == _ZERO)).all())

    def _is_own(self, node: Node) -> bool:
        return own_exponent(self.program, node.inputs[1], node.inputs[0], EXPONENT_FLOOR_QUANTIZE)

    def _mantissas(self, source: Input) -> Tensor | None:
        """int32 of the tensor's shape: the number of the exponent each mantissa was made with; None: unknown."""
        node = self.program.nodes[source.value]
        if node.op is Op.QUANTIZE:
            rows = self._rows(node.inputs[1].value) if self._is_own(node) else None
            return None if rows is None else rows.unsqueeze(-1).expand(node.shape)
        if isinstance(node.attrs, View) and node.attrs.fill:
            return None
        return self._moved(node, self._mantissas, _ZERO)

    def _exponents(self, source: Input) -> Tensor | None:
        """int32 of the tensor's shape: the number of each exponent; None: unknown."""
        node = self.program.nodes[source.value]
        if node.op is Op.EXPONENT:
            return self._rows(source.value)
        return self._moved(node, self._exponents, _FILLED)

    def _rows(self, exponent: int) -> Tensor | None:
        """Numbers of one node's exponents, different from every other node's."""
        shape = self.program.nodes[exponent].shape
        count = math.prod(shape)
        if exponent not in self._first:
            if self._used + count > _MOST_NUMBERS:
                return None
            self._first[exponent] = self._used
            self._used += count
        first = self._first[exponent]
        return torch.arange(first, first + count, dtype=torch.int32).reshape(shape)

    @staticmethod
    def _moved(node: Node, numbers: Callable[[Input], Tensor | None], fill: int) -> Tensor | None:
        """What a view or a concatenation makes of its inputs' numbers; None for a gather, whose rows no plan knows."""
        if node.op is Op.GATHER:
            return None
        parts = [numbers(source) for source in node.inputs]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        if isinstance(node.attrs, Concat):
            return movement.concat(known, node.attrs.axis)
        assert isinstance(node.attrs, View)
        attrs = node.attrs
        return movement.view(known[0], attrs.src_shape, attrs.offset, attrs.mapping, fill, node.shape)
