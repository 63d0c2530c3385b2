"""Emission of nodes: typed values, merging of equal nodes, folding of literals, removal of dead nodes.

``Emitter`` knows nodes and nothing composite; ``lockstep.program.builder`` adds a method an op and the
helpers. Nodes are merged by structure and numbered in order of emission, so the same calls give the
same program in every process.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy.typing as npt

from lockstep.commitments.tensor import tensor_root
from lockstep.numerics.dtypes import NUMPY, DType
from lockstep.program.fold import f32_bits, f32_value, fold, is_power_of_two
from lockstep.program.graph import (
    Attrs,
    ConstantEntry,
    Input,
    Names,
    Node,
    Program,
    Shape,
    StateEntry,
    TensorType,
    View,
)
from lockstep.program.infer import ELEMENTWISE, ProgramError, infer
from lockstep.program.ops import DRAW_WORDS, INIT_SITE_BIT, InputKind, Op
from lockstep.program.views import canonical, compose, is_contiguous, padded_axes

Array = npt.NDArray[Any]
LITERALS = frozenset({InputKind.F32, InputKind.I32})
_ONE, _ZERO, _MINUS_ZERO = f32_bits(1.0), f32_bits(0.0), f32_bits(-0.0)


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of the program under construction: where it comes from, and its type.

    A literal's value may have any shape (every element is the literal); it becomes a node only where
    an op needs a tensor of that shape. ``exact`` is the float64 an f32 literal was rounded from.
    """

    source: Input
    type: TensorType
    exact: float = 0.0

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self.type.dtype

    @property
    def shape(self) -> Shape:
        """Shape."""
        return self.type.shape

    @property
    def is_literal(self) -> bool:
        """Whether every element is one literal."""
        return self.source.kind in LITERALS


Operand = Value | float | int


@dataclass(slots=True)
class Built:
    """A finished program with what its author keeps beside it.

    ``index`` maps an emitted node to its number in the program (dead ones are missing).
    ``literals`` maps (node, input slot) to the float64 an f32 literal was rounded from.
    """

    program: Program
    constants: list[Array]
    index: dict[int, int] = field(default_factory=dict)
    literals: dict[tuple[int, int], float] = field(default_factory=dict)


class Emitter:
    """Collects state entries, constants and nodes; ``finish`` gives the program.

    ``init`` makes an init program: random sites get the top bit, and there is no state to read.
    """

    def __init__(self, *, init: bool = False) -> None:
        self.init = init
        self.location = ""
        """The user's source line that nodes emitted now come from."""
        self._nodes: list[Node] = []
        self._names: dict[int, str] = {}
        self._literals: dict[tuple[int, int], float] = {}
        self._known: dict[Node, int] = {}
        self._state: list[tuple[str, StateEntry]] = []
        self._constants: list[tuple[str, ConstantEntry]] = []
        self._arrays: list[Array] = []
        self._sites = INIT_SITE_BIT if init else 0

    # what the program reads

    def add_state(self, name: str, dtype: DType, shape: Shape, *, frozen: bool = False) -> Value:
        """Append a state entry; its value before the step."""
        self._state.append((name, StateEntry(dtype, tuple(shape), frozen)))
        return Value(Input(InputKind.STATE, len(self._state) - 1), TensorType(dtype, tuple(shape)))

    def add_constant(self, name: str, array: Array) -> Value:
        """Append a constant (float32, int32, uint8 or uint16 array) under its root."""
        dtypes = {NUMPY[dtype]: dtype for dtype in (DType.F32, DType.I32, DType.U8, DType.U16)}
        if array.dtype not in dtypes:
            raise ProgramError(f"Constant {name} is {array.dtype}; it is float32, int32, uint8 or uint16.")
        dtype = dtypes[array.dtype]
        self._arrays.append(array)
        return self.declare_constant(name, ConstantEntry(dtype, array.shape, tensor_root(array, dtype)))

    def declare_constant(self, name: str, entry: ConstantEntry) -> Value:
        """Append a constant whose array somebody else has."""
        self._constants.append((name, entry))
        return Value(Input(InputKind.CONST, len(self._constants) - 1), entry.type)

    @property
    def emitted(self) -> int:
        """Nodes emitted so far."""
        return len(self._nodes)

    @property
    def step(self) -> Value:
        """The global step number, i32 of shape ()."""
        return Value(Input(InputKind.STEP), TensorType(DType.I32, ()))

    @property
    def seed(self) -> Value:
        """The task's seed, i32 of shape (2,): low word, high word."""
        return Value(Input(InputKind.SEED), TensorType(DType.I32, (2,)))

    def f32(self, value: float, shape: Shape = ()) -> Value:
        """An f32 literal: ``value`` rounded to nearest, in every element of ``shape``."""
        return Value(Input(InputKind.F32, f32_bits(value)), TensorType(DType.F32, shape), float(value))

    def i32(self, value: int, shape: Shape = ()) -> Value:
        """An i32 literal: ``value`` modulo 2**32, in every element of ``shape``."""
        return Value(Input(InputKind.I32, int(value) & 0xFFFFFFFF), TensorType(DType.I32, shape), float(value))

    def next_site(self) -> int:
        """A random site that no other call of this builder gets."""
        self._sites += 1
        return self._sites - 1

    @contextlib.contextmanager
    def at(self, location: str) -> Iterator[None]:
        """Nodes emitted inside come from this source line, unless a line is known already inside."""
        outer, self.location = self.location, location or self.location
        try:
            yield
        finally:
            self.location = outer

    # nodes

    def literal_like(self, operand: Operand, dtype: DType) -> Value:
        """A value from an operand: numbers become literals of ``dtype``."""
        if isinstance(operand, Value):
            return operand
        return self.f32(operand) if dtype is DType.F32 else self.i32(int(operand))

    def emit(self, op: Op, inputs: Sequence[Value], dtype: DType, shape: Shape, attrs: Attrs = ()) -> Value:
        """A node, or the equal one emitted before. ``ProgramError`` where the types do not fit."""
        if op not in ELEMENTWISE:
            inputs = [self.materialise(v) if v.is_literal and v.shape else v for v in inputs]
        node = Node(op, dtype, tuple(shape), tuple(v.source for v in inputs), attrs)
        if node in self._known:
            index = self._known[node]
        else:
            types = [TensorType(v.dtype, node.shape) if v.is_literal and op in ELEMENTWISE else v.type for v in inputs]
            try:
                found = infer(node, types)
                if found != node.type:
                    raise ProgramError(f"it declares {node.type}; its inputs give {found}.")
            except ProgramError as error:
                raise ProgramError(f"{self.location or 'A node'}: {op.name.lower()}: {error}") from None
            index = len(self._nodes)
            self._nodes.append(node)
            self._known[node] = index
            if self.location:
                self._names[index] = self.location
            for slot, v in enumerate(inputs):
                if v.source.kind is InputKind.F32:
                    self._literals[index, slot] = v.exact
        return Value(Input(InputKind.NODE, index), node.type)

    def elementwise(self, op: Op, operands: Sequence[Value], dtype: DType, attrs: tuple[int, ...] = ()) -> Value:
        """An elementwise node; literals fit any shape. Folds and drops what is exactly nothing."""
        shapes = {v.shape for v in operands if not v.is_literal} or {v.shape for v in operands if v.shape}
        if len(shapes) > 1:
            listed = " and ".join(str(list(v.shape)) for v in operands if not v.is_literal)
            raise ProgramError(f"{self.location or 'A node'}: {op.name.lower()}: operands have shapes {listed}.")
        shape = shapes.pop() if shapes else ()
        if all(v.is_literal for v in operands):
            folded = fold(op, dtype, [(v.source.value, v.exact) for v in operands], *attrs)
            if folded is not None:
                kind = InputKind.F32 if dtype is DType.F32 else InputKind.I32
                return Value(Input(kind, folded[0]), TensorType(dtype, shape), folded[1])
        simpler = self._simplify(op, operands, shape)
        return simpler if simpler is not None else self.emit(op, operands, dtype, shape, attrs)

    def _simplify(self, op: Op, operands: Sequence[Value], shape: Shape) -> Value | None:
        """An operand, or a cheaper node, that has the same bits for every input; else None."""
        a, b = (operands[0], operands[-1])
        bits = [v.source.value if v.source.kind is InputKind.F32 else None for v in (a, b)]
        match op:
            case Op.MUL if bits[1] == _ONE:
                return a
            case Op.MUL if bits[0] == _ONE:
                return b
            case Op.DIV if bits[1] is not None and is_power_of_two(bits[1]):
                inverse = self.f32(1.0 / float(f32_value(bits[1])))
                return self.elementwise(Op.MUL, [a, replace(inverse, exact=1.0 / b.exact)], DType.F32)
            case Op.SUB if bits[1] == _ZERO:
                return a
            case Op.ADD if bits[1] == _MINUS_ZERO:
                return a
            case Op.SELECT if a.source.kind is InputKind.I32:
                chosen = operands[1] if a.source.value else operands[2]
                return replace(chosen, type=TensorType(chosen.dtype, shape)) if chosen.is_literal else chosen
        return None

    def view(self, x: Value, attrs: View, shape: Shape) -> Value:
        """``x`` seen through a view; views of views become one where that is one, nothing where it is none."""
        shape = tuple(shape)
        if x.is_literal:
            unpadded = canonical(attrs, shape)
            if unpadded.fill == x.source.value or not padded_axes(unpadded, shape):
                return replace(x, type=TensorType(x.dtype, shape))
            x = self.materialise(x)
        best = canonical(attrs, shape)
        while x.source.kind is InputKind.NODE:
            node = self._nodes[x.source.value]
            if not isinstance(node.attrs, View) or node.inputs[0].kind in LITERALS:
                break
            merged = compose(node.attrs, node.shape, attrs, shape)
            if merged is None:
                break
            source = node.inputs[0]
            x = Value(source, self.type_of(source))
            attrs = best = merged
        if is_contiguous(best, shape) and x.shape == shape:
            return x
        return self.emit(Op.VIEW, [x], x.dtype, shape, best)

    def materialise(self, x: Value) -> Value:
        """A literal as a tensor of its shape; other values as they are."""
        if not x.is_literal:
            return x
        scalar = replace(x, type=TensorType(x.dtype, ()))
        return self.emit(Op.VIEW, [scalar], x.dtype, x.shape, View((1,), (0,), ((0, 0),) * len(x.shape)))

    def type_of(self, source: Input) -> TensorType:
        """Type of an input of this program."""
        match source.kind:
            case InputKind.NODE:
                return self._nodes[source.value].type
            case InputKind.COMMITTED if source.value == len(self._state):
                return TensorType(DType.I32, (DRAW_WORDS,))
            case InputKind.STATE | InputKind.COMMITTED:
                return self._state[source.value][1].type
            case InputKind.CONST:
                return self._constants[source.value][1].type
            case InputKind.SEED:
                return TensorType(DType.I32, (2,))
            case _:
                return TensorType(DType.F32 if source.kind is InputKind.F32 else DType.I32, ())

    def node_of(self, x: Value) -> Node | None:
        """The node a value is the output of, None for other kinds of input."""
        return self._nodes[x.source.value] if x.source.kind is InputKind.NODE else None

    # the end

    def finish(self, state: Sequence[Value], metrics: Mapping[str, Value] | None = None) -> Built:
        """The program: ``state`` are the new values of the state entries, in order.

        A metric is an f32 scalar. Nodes that neither reaches are dropped.
        """
        if len(state) != len(self._state):
            raise ProgramError(f"{len(state)} new values for {len(self._state)} state entries.")
        outputs = [self.materialise(v) for v in state]
        reported = {name: self._as_node(v) for name, v in (metrics or {}).items()}
        live: set[int] = set()
        pending = [v.source for v in (*outputs, *reported.values())]
        while pending:
            source = pending.pop()
            if source.kind is InputKind.NODE and source.value not in live:
                live.add(source.value)
                pending += self._nodes[source.value].inputs
        index = {old: new for new, old in enumerate(sorted(live))}

        def moved(source: Input) -> Input:
            return Input(source.kind, index[source.value]) if source.kind is InputKind.NODE else source

        nodes = [replace(self._nodes[old], inputs=tuple(map(moved, self._nodes[old].inputs))) for old in sorted(live)]
        nodes.append(Node(Op.STATE, DType.ROOT, (len(outputs),), tuple(moved(v.source) for v in outputs)))
        names = Names(
            tuple(name for name, _ in self._state),
            tuple(name for name, _ in self._constants),
            tuple(reported),
            {index[old]: name for old, name in self._names.items() if old in live},
        )
        program = Program(
            tuple(nodes),
            tuple(entry for _, entry in self._state),
            tuple(entry for _, entry in self._constants),
            tuple(index[v.source.value] for v in reported.values()),
            names,
        )
        literals = {(index[old], slot): x for (old, slot), x in self._literals.items() if old in live}
        return Built(program, list(self._arrays), index, literals)

    def _as_node(self, x: Value) -> Value:
        """A value as the output of a node, for what must be one."""
        if x.source.kind is InputKind.NODE:
            return x
        if x.is_literal:
            return self.materialise(x)
        src = x.shape or (1,)
        whole = View(src, (0,) * len(src), tuple((axis, 1) for axis in range(len(x.shape))))
        return self.emit(Op.VIEW, [x], x.dtype, x.shape, canonical(whole, x.shape))
