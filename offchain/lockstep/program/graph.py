"""The tensor program: immutable nodes over the closed op set.

A program is data. Nothing here executes it; ``spec`` says whether it is well formed, ``encoding``
turns it to bytes and back, ``lockstep.engine`` runs it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from lockstep.numerics.dtypes import DType
from lockstep.program.ops import DRAW_WORDS, InputKind, Op

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TensorType:
    """Element type and shape of a tensor."""

    dtype: DType
    shape: Shape

    @property
    def elements(self) -> int:
        """Number of elements (1 for shape ())."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a node: where it comes from and which one (a literal: its 32 bits)."""

    kind: InputKind
    value: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """Attributes of ``view``: affine re-indexing of a row-major source.

    The source is first read as ``src_shape`` (same element count). For output index ``o`` the
    source index along axis d is ``offset[d] + sum(stride_j * o_j for j with map_j = (d, stride_j))``
    in unbounded integers; where any axis falls outside ``[0, src_shape[d])`` the result is the
    fill. ``mapping`` has one (axis, stride) per output axis; stride 0 (expansion) is written with
    axis 0. ``fill`` holds the bits of the fill element, zero-extended to 32 bits.
    """

    src_shape: Shape
    offset: tuple[int, ...]
    mapping: tuple[tuple[int, int], ...]
    fill: int = 0


@dataclass(frozen=True, slots=True)
class Concat:
    """Attributes of ``concat``: the axis, and each input's extent along it."""

    axis: int
    extents: tuple[int, ...]


Attrs = tuple[int, ...] | View | Concat


@dataclass(frozen=True, slots=True)
class Node:
    """One operation: ``inputs`` in the op's order, ``attrs`` in the op table's order."""

    op: Op
    dtype: DType
    shape: Shape
    inputs: tuple[Input, ...] = ()
    attrs: Attrs = ()

    @property
    def type(self) -> TensorType:
        """Type of the node's output."""
        return TensorType(self.dtype, self.shape)


@dataclass(frozen=True, slots=True)
class StateEntry:
    """One tensor of the training state. A frozen entry never changes and is not sampled by
    replay digests; it must be the ``state`` node's input at its own position."""

    dtype: DType
    shape: Shape
    frozen: bool = False

    @property
    def type(self) -> TensorType:
        """Type of the tensor."""
        return TensorType(self.dtype, self.shape)


@dataclass(frozen=True, slots=True)
class ConstantEntry:
    """One committed tensor that never changes: a data set, a table, a frozen model."""

    dtype: DType
    shape: Shape
    root: bytes

    @property
    def type(self) -> TensorType:
        """Type of the tensor."""
        return TensorType(self.dtype, self.shape)


@dataclass(frozen=True, slots=True)
class Names:
    """Names for people, outside every commitment: what state entries, constants, metrics and
    nodes are called, and the user's source line a node came from."""

    state: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    nodes: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Program:
    """A static step: nodes in topological order, the last of which is ``state``.

    ``metrics`` are indices of nodes whose values are reported (scalars of f32).
    An init program has the same ``state`` entries and no STATE inputs.
    """

    nodes: tuple[Node, ...]
    state: tuple[StateEntry, ...]
    constants: tuple[ConstantEntry, ...] = ()
    metrics: tuple[int, ...] = ()
    names: Names = field(default_factory=Names, compare=False)

    def input_type(self, source: Input, elementwise_shape: Shape | None = None) -> TensorType:
        """Type of the tensor an input denotes; a literal takes ``elementwise_shape`` if given."""
        match source.kind:
            case InputKind.NODE:
                return self.nodes[source.value].type
            case InputKind.COMMITTED if source.value == len(self.state):
                return TensorType(DType.I32, (DRAW_WORDS,))
            case InputKind.STATE | InputKind.COMMITTED:
                return self.state[source.value].type
            case InputKind.CONST:
                return self.constants[source.value].type
            case InputKind.STEP:
                return TensorType(DType.I32, ())
            case InputKind.SEED:
                return TensorType(DType.I32, (2,))
            case InputKind.F32:
                return TensorType(DType.F32, elementwise_shape or ())
            case InputKind.I32:
                return TensorType(DType.I32, elementwise_shape or ())
