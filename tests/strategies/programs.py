"""Random valid programs: a step over its own state and constants, of nodes of every op."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from lockstep.commitments.tensor import tensor_root
from lockstep.numerics.dtypes import DType
from lockstep.program.graph import ConstantEntry, Input, Node, Program, StateEntry, TensorType, View
from lockstep.program.ops import EXPONENT_FLOOR_QUANTIZE, INIT_SITE_BIT, QUANTIZE_BITS, InputKind, Op
from lockstep.program.reference import evaluate_node
from tests.strategies.nodes import ALL_OPS, Maker, random_seed, random_step
from tests.strategies.values import Array, Rng, f32_values, values_of


@dataclass(frozen=True, slots=True)
class ProgramCase:
    """A valid program with a state, constants, a step number and a seed to run it on."""

    program: Program
    state: tuple[Array, ...]
    constants: tuple[Array, ...]
    step: int
    seed: int


class _Builder:
    """Grows a program node by node and knows the value of every tensor on the way."""

    def __init__(self, rng: Rng, elements: int, init: bool) -> None:
        self.rng, self.elements, self.init = rng, elements, init
        self.step, self.seed = (0 if init else random_step(rng)), random_seed(rng)
        self.nodes: list[Node] = []
        self.values: list[Array] = []
        self.state: list[tuple[StateEntry, Array]] = []
        self.constants: list[tuple[ConstantEntry, Array]] = []

    def add(self, node: Node, arrays: Sequence[Array | None]) -> Input:
        self.nodes.append(node)
        self.values.append(evaluate_node(node, arrays, self.step, self.seed))
        return Input(InputKind.NODE, len(self.nodes) - 1)

    def source(self, array: Array, dtype: DType) -> tuple[Input, Array]:
        """A tensor of this type: an existing one perhaps, else one made for the purpose."""
        same = [i for i, node in enumerate(self.nodes) if node.type == TensorType(dtype, array.shape)]
        if same and self.rng.random() < 0.5:
            at = same[int(self.rng.integers(0, len(same)))]
            return Input(InputKind.NODE, at), self.values[at]
        match dtype:
            case DType.M16:
                return self._mantissas(array.shape)
            case DType.E16:
                x = f32_values(self.rng, (*array.shape, int(self.rng.integers(1, 4))))
                return self.exponent(*self.source(x, DType.F32), EXPONENT_FLOOR_QUANTIZE)
            case DType.U8 | DType.U16:
                return self._constant(array, dtype)
            case _:
                if self.init or self.rng.random() < 0.3:
                    return self._constant(array, dtype)
                self.state.append((StateEntry(dtype, array.shape, bool(self.rng.random() < 0.2)), array))
                return Input(InputKind.STATE, len(self.state) - 1), array

    def _constant(self, array: Array, dtype: DType) -> tuple[Input, Array]:
        self.constants.append((ConstantEntry(dtype, array.shape, tensor_root(array, dtype)), array))
        return Input(InputKind.CONST, len(self.constants) - 1), array

    def exponent(self, source: Input, x: Array, floor: int) -> tuple[Input, Array]:
        """The block exponents of a tensor's rows."""
        node = Node(Op.EXPONENT, DType.E16, x.shape[:-1], (source,), (floor,))
        return self.add(node, [x]), self.values[-1]

    def _mantissas(self, shape: tuple[int, ...]) -> tuple[Input, Array]:
        row = shape or (1,)
        source, x = self.source(f32_values(self.rng, row), DType.F32)
        exponent, e = self.exponent(source, x, EXPONENT_FLOOR_QUANTIZE)
        made = self.add(Node(Op.QUANTIZE, DType.M16, row, (source, exponent), (QUANTIZE_BITS,)), [x, e])
        if shape != row:
            made = self.add(Node(Op.VIEW, DType.M16, shape, (made,), View((), (), ())), [self.values[-1]])
        return made, self.values[-1]

    def grow(self, op: Op) -> None:
        """Add a node of this op, and whatever it needs."""
        maker = _ProgramMaker(self)
        node = maker.make(op)
        self.add(node, maker.arrays)

    def finish(self) -> ProgramCase:
        """Close the program: each state entry becomes some node's value of its type, else itself."""
        if not self.state:
            array = values_of(self.rng, DType.F32, ())
            self.state.append((StateEntry(DType.F32, ()), array))
        inputs: list[Input] = []
        arrays: list[Array] = []
        for j, (entry, array) in enumerate(self.state):
            same = [i for i, node in enumerate(self.nodes) if node.type == entry.type]
            if same and not entry.frozen:
                at = same[int(self.rng.integers(0, len(same)))]
                inputs.append(Input(InputKind.NODE, at))
                arrays.append(self.values[at])
            elif self.init:
                raise AssertionError("An init program makes all of its state.")
            else:
                inputs.append(Input(InputKind.STATE, j))
                arrays.append(array)
        self.add(Node(Op.STATE, DType.ROOT, (len(inputs),), tuple(inputs)), arrays)
        scalars = [i for i, node in enumerate(self.nodes) if node.type == TensorType(DType.F32, ())]
        program = Program(
            tuple(self.nodes),
            tuple(entry for entry, _ in self.state),
            tuple(entry for entry, _ in self.constants),
            tuple(scalars[:3]),
        )
        state, constants = tuple(a for _, a in self.state), tuple(a for _, a in self.constants)
        return ProgramCase(program, state, constants, self.step, self.seed)


class _ProgramMaker(Maker):
    """A maker whose operands are the growing program's tensors."""

    def __init__(self, builder: _Builder) -> None:
        super().__init__(builder.rng, builder.elements, site_bit=INIT_SITE_BIT if builder.init else 0)
        self.builder = builder

    def site(self) -> int:
        """Unique in the program: the number of the node it will be, roughly; draws in between grow it."""
        return (len(self.builder.nodes) + 1) | self.site_bit

    def exponents(self, x: Array, floor: int) -> Array:
        """True exponents come from a node over the same tensor, which is the op's first input."""
        if self.chance(0.3):
            return super().exponents(x, floor)
        source, found = self.builder.exponent(self.inputs[0], x, floor)
        self.accept(source, found, DType.E16)
        return found

    def tensor(self, array: Array, dtype: DType) -> Array:
        source, found = self.builder.source(array, dtype)
        self.accept(source, found, dtype)
        return found


def random_program_case(
    rng: Rng, nodes: int = 12, *, elements: int = 40, init: bool = False, ops: Sequence[Op] = ALL_OPS
) -> ProgramCase:
    """A valid step of ``nodes`` random nodes of ``ops`` and those that make their operands.

    The last node is ``state``. ``init``: an init program, which reads no state and draws at init sites;
    its state are some of its nodes' values.
    """
    builder = _Builder(rng, elements, init)
    choices = [op for op in ops if op is not Op.STATE]
    for _ in range(nodes):
        builder.grow(choices[int(rng.integers(0, len(choices)))])
    if init:
        kept = [n.type for n in builder.nodes if n.dtype in (DType.F32, DType.I32)][:5]
        if not kept:
            builder.grow(Op.IOTA)
            kept = [builder.nodes[-1].type]
        for kind in kept:
            array = np.zeros(kind.shape, np.float32 if kind.dtype is DType.F32 else np.int32)
            builder.state.append((StateEntry(kind.dtype, kind.shape), array))
    return builder.finish()


def program_cases(nodes: int = 12, *, elements: int = 40, init: bool = False) -> st.SearchStrategy[ProgramCase]:
    """``random_program_case`` as a Hypothesis strategy; a failing case names the generator's seed."""
    return st.integers(0, 2**32 - 1).map(
        lambda seed: random_program_case(np.random.default_rng(seed), nodes, elements=elements, init=init)
    )
