"""Random well-formed nodes of every op, with the arrays they read."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from lockstep.numerics import contraction
from lockstep.numerics.dtypes import DType
from lockstep.numerics.float32 import canonical
from lockstep.program.graph import Attrs, Concat, Input, Node, Shape, TensorType, View
from lockstep.program.ops import (
    EXPONENT_FLOOR_QUANTIZE,
    EXPONENT_FLOOR_SUM,
    INIT_SITE_BIT,
    QUANTIZE_BITS,
    Family,
    InputKind,
    Op,
)
from lockstep.program.reference import evaluate_node, own_input
from tests.strategies.values import Array, Rng, e16_values, factorised, random_shape, values_of

T = TypeVar("T")
ALL_OPS = tuple(Op)
FLOAT_BINARY = (Op.ADD, Op.SUB, Op.MUL, Op.DIV, Op.MAX, Op.MIN)
FLOAT_COMPARE = (Op.LT, Op.LE, Op.EQ, Op.NE)
SHIFTS = (Op.SHL, Op.SHR, Op.SAR)
CARRIED = (DType.F32, DType.I32, DType.M16, DType.E16, DType.U8, DType.U16)
CASTS = (
    (DType.F32, DType.I32),
    *((source, DType.F32) for source in (DType.I32, DType.M16, DType.U8, DType.U16)),
    *((source, DType.I32) for source in (DType.M16, DType.E16, DType.U8, DType.U16)),
)


@dataclass(frozen=True, slots=True)
class NodeCase:
    """A well-formed node with everything that determines its value.

    ``arrays`` and ``types`` have one entry an input, None for STEP, SEED and literals. In a case that
    belongs to no program, a NODE, STATE or CONST input's ``value`` is its slot.
    """

    node: Node
    arrays: tuple[Array | None, ...]
    types: tuple[TensorType | None, ...]
    step: int
    seed: int

    def operand(self, slot: int) -> Array:
        """Array of any input, STEP, SEED and literals included."""
        array = self.arrays[slot]
        if array is None:
            array = own_input(self.node, self.node.inputs[slot], self.step, self.seed)
        assert array is not None
        return array

    def index(self, position: int) -> int:
        """Element of a gather's index tensor, as ``leaf_reads`` wants it."""
        return int(self.operand(1).reshape(-1)[position])

    def value(self) -> Array:
        """The reference's value of the node."""
        return evaluate_node(self.node, self.arrays, self.step, self.seed)


class Maker:
    """Makes one node: draws its shape and attributes and collects the operands it asks for.

    ``tensor`` is where operands come from: here each is a fresh array; a program's maker (``programs``)
    overrides it to take what the program has. Callers use what it returns, not what they offered.
    """

    def __init__(self, rng: Rng, elements: int, hostile: bool = False, literals: bool = True, site_bit: int = 0):
        self.rng, self.elements, self.hostile, self.literals = rng, elements, hostile, literals
        self.site_bit = site_bit
        self.inputs: list[Input] = []
        self.arrays: list[Array | None] = []
        self.types: list[TensorType | None] = []

    # Drawing

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def below(self, stop: int, start: int = 0) -> int:
        return int(self.rng.integers(start, stop))

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[self.below(len(choices))]

    def shape(self, low: int = 0, high: int = 4, elements: int | None = None) -> Shape:
        return random_shape(self.rng, elements or self.elements, low, high)

    def site(self) -> int:
        return self.below(2**31) | self.site_bit

    # Operands

    def accept(self, source: Input, array: Array | None, dtype: DType | None) -> None:
        self.inputs.append(source)
        self.arrays.append(array)
        self.types.append(None if array is None or dtype is None else TensorType(dtype, array.shape))

    def tensor(self, array: Array, dtype: DType) -> Array:
        """An operand that a proof would show: a node's output or, where its type may be, state or constant."""
        kinds = [InputKind.NODE]
        if dtype in (DType.F32, DType.I32):
            kinds += [InputKind.STATE, InputKind.CONST]
        elif dtype in (DType.U8, DType.U16):
            kinds += [InputKind.CONST]
        self.accept(Input(self.one_of(kinds), len(self.inputs)), array, dtype)
        return array

    def draw(self, dtype: DType, shape: Shape) -> Array:
        return self.tensor(values_of(self.rng, dtype, shape, self.hostile), dtype)

    def exponents(self, x: Array, floor: int) -> Array:
        """Exponents for rows of x: mostly the true ones."""
        true = self.chance(0.7)
        array = contraction.exponent(canonical(x), floor) if true else e16_values(self.rng, x.shape[:-1], self.hostile)
        return self.tensor(array, DType.E16)

    def operand(self, dtype: DType, shape: Shape, filled: bool = False) -> None:
        """A tensor, or STEP, SEED or a literal where one has this type (``filled``: of any shape)."""
        choices: list[Input] = []
        if dtype in (DType.F32, DType.I32) and (filled or shape == ()):
            kind = InputKind.F32 if dtype is DType.F32 else InputKind.I32
            bits = values_of(self.rng, dtype, (1,)).view(np.uint32)[0]
            choices.append(Input(kind, int(bits)))
        if dtype is DType.I32 and shape in ((), (2,)):
            choices.append(Input(InputKind.SEED if shape else InputKind.STEP))
        if self.literals and choices and self.chance(0.2):
            self.accept(self.one_of(choices), None, None)
        else:
            self.draw(dtype, shape)

    # Nodes

    def make(self, op: Op) -> Node:
        """A node of this op; its operands' arrays and types are left in ``arrays`` and ``types``."""
        if op.family in _BY_FAMILY:
            dtype, shape, attrs = _BY_FAMILY[op.family](self, op)
        else:
            dtype, shape, attrs = _BY_OP[op](self)
        return Node(op, dtype, shape, tuple(self.inputs), attrs)


Made = tuple[DType, Shape, Attrs]


def _elementwise(m: Maker, dtypes: Sequence[DType]) -> Shape:
    shape = m.one_of([m.shape(), m.shape(), (2,), ()])
    for dtype in dtypes:
        m.operand(dtype, shape, filled=True)
    return shape


def _float(m: Maker, op: Op) -> Made:
    return DType.F32, _elementwise(m, [DType.F32] * (2 if op in FLOAT_BINARY else 1)), ()


def _integer(m: Maker, op: Op) -> Made:
    shape = _elementwise(m, [DType.I32] * (1 if op in SHIFTS else 2))
    return DType.I32, shape, (m.one_of([0, 1, 31, m.below(32)]),) if op in SHIFTS else ()


def _compare(m: Maker, op: Op) -> Made:
    if op is Op.SELECT:
        dtype = m.one_of([DType.F32, DType.I32])
        return dtype, _elementwise(m, [DType.I32, dtype, dtype]), ()
    return DType.I32, _elementwise(m, [DType.F32 if op in FLOAT_COMPARE else DType.I32] * 2), ()


def _cast(m: Maker, op: Op) -> Made:
    if op is Op.BITCAST:
        source, dtype = m.one_of([(DType.F32, DType.I32), (DType.I32, DType.F32)])
    else:
        source, dtype = m.one_of(CASTS)
    return dtype, _elementwise(m, [source]), ()


def _row(m: Maker) -> Shape:
    """Shape of rank at least 1 whose last extent may be long."""
    if m.chance(0.3):
        return (*m.shape(0, 2, max(m.elements // 40, 1)), m.below(m.elements, 1) if m.elements > 1 else 1)
    return m.shape(1, 4)


def _exponent(m: Maker) -> Made:
    x = m.draw(DType.F32, _row(m))
    return DType.E16, x.shape[:-1], (m.one_of([EXPONENT_FLOOR_QUANTIZE, EXPONENT_FLOOR_SUM]),)


def _quantize(m: Maker) -> Made:
    x = m.draw(DType.F32, _row(m))
    m.exponents(x, EXPONENT_FLOOR_QUANTIZE)
    return DType.M16, x.shape, (QUANTIZE_BITS,)


def _matmul(m: Maker) -> Made:
    lead = m.one_of([(), (), m.shape(0, 2, 6)])
    k = m.one_of([1, m.below(20, 1), m.below(max(m.elements, 2), 1)])
    rows, columns = m.below(6, 1), m.below(6, 1)
    for extent in (rows, columns):
        m.draw(DType.M16, (*lead, extent, k))
        m.draw(DType.E16, (*lead, extent))
    return DType.F32, (*lead, rows, columns), ()


def _sum(m: Maker) -> Made:
    x = m.draw(DType.F32, _row(m))
    m.exponents(x, EXPONENT_FLOOR_SUM)
    return DType.F32, x.shape[:-1], ()


def _reduce(dtype: DType) -> Callable[[Maker], Made]:
    return lambda m: (dtype, m.draw(DType.F32, _row(m)).shape[:-1], ())


def _order(dtype: DType) -> Callable[[Maker], Made]:
    return lambda m: (dtype, m.draw(DType.F32, _row(m)).shape, ())


def _view(m: Maker) -> Made:
    dtype = m.one_of(CARRIED)
    if m.literals and dtype in (DType.F32, DType.I32) and m.chance(0.1):
        m.operand(dtype, ())
    else:
        m.draw(dtype, m.shape())
    given = m.types[0]
    count = given.elements if given else 1
    src_rank = m.below(5) if count == 1 else m.below(5, 1)
    if src_rank == 0:  # no axis to map to: a scalar to a scalar
        return dtype, (), View((), (), ())
    src_shape = factorised(m.rng, count, src_rank)
    kind = m.below(3)
    if kind == 0:  # a transpose, perhaps flipped, with nothing outside
        axes = [int(axis) for axis in m.rng.permutation(src_rank)]
        signs = [m.one_of([1, 1, -1]) for _ in axes]
        shape = tuple(src_shape[axis] for axis in axes)
        backward = {axis for axis, sign in zip(axes, signs, strict=True) if sign < 0}
        offset = tuple(extent - 1 if d in backward else 0 for d, extent in enumerate(src_shape))
        mapping = tuple(zip(axes, signs, strict=True))
    else:
        shape = m.one_of([m.shape(), m.shape(0, 8), (*src_shape, *m.shape(0, 2, 4))])
        strides = [m.one_of([0, 1, 1, 1, -1, 2, -3]) for _ in shape]
        mapping = tuple((m.below(src_rank) if stride else 0, stride) for stride in strides)
        offset = tuple(m.one_of([0, 0, -1, m.below(extent + 2, -3)]) for extent in src_shape)
    fill = values_of(m.rng, dtype, (1,))
    bits = 0 if m.chance(0.5) else int.from_bytes(fill.tobytes(), "little")
    return dtype, shape, View(src_shape, offset, mapping, bits)


def _concat(m: Maker) -> Made:
    dtype = m.one_of(CARRIED)
    shape = m.shape(1, 4, max(m.elements // 3, 1))
    axis = m.below(len(shape))
    extents = tuple(m.below(5, 1) for _ in range(m.below(5, 1)))
    for extent in extents:
        m.operand(dtype, (*shape[:axis], extent, *shape[axis + 1 :]))
    return dtype, (*shape[:axis], sum(extents), *shape[axis + 1 :]), Concat(axis, extents)


def _gather(m: Maker) -> Made:
    dtype = m.one_of(CARRIED)
    rows, *rest = m.shape(1, 3)
    if m.literals and m.chance(0.1):
        dtype, rows, rest = DType.I32, 2, []
        m.accept(Input(InputKind.SEED), None, None)
    else:
        m.draw(dtype, (rows, *rest))
    if m.literals and m.chance(0.15):
        m.operand(DType.I32, ())
        index: Shape = ()
    else:
        drawn = np.asarray(m.rng.integers(-1, rows + 1, m.shape(0, 2, 12)), np.int32)
        if m.chance(0.2):
            drawn = values_of(m.rng, DType.I32, drawn.shape)
        index = m.tensor(drawn, DType.I32).shape
    return dtype, (*index, *rest), ()


def _scatter_add(m: Maker) -> Made:
    n, rows = m.below(max(m.elements // 4, 2), 1), m.below(8, 1)
    x = m.draw(DType.F32, (m.below(4, 1), n))
    index = np.asarray(m.rng.integers(-1, rows + 1, n), np.int32)
    if m.chance(0.2):
        index = values_of(m.rng, DType.I32, (n,))
    if m.literals and n == 2 and m.chance(0.3):
        m.accept(Input(InputKind.SEED), None, None)
    else:
        m.tensor(index, DType.I32)
    m.exponents(x, EXPONENT_FLOOR_SUM)
    return DType.F32, (x.shape[0], rows), ()


def _random_bits(m: Maker) -> Made:
    m.operand(DType.I32, ())
    return DType.I32, m.shape(), (m.site(),)


def _shuffle(m: Maker) -> Made:
    n = m.one_of([1, 2, 3, 10, 2**31, 2**32 - 1, m.below(2**32, 1), m.below(100, 1)])
    shape = m.shape()
    if m.chance(0.7):
        inside = m.rng.integers(0, n + (n < 2**32 - 1), shape)
        m.tensor(np.asarray(inside, np.uint32).reshape(shape).view(np.int32), DType.I32)
    else:
        m.operand(DType.I32, shape)
    m.operand(DType.I32, ())
    return DType.I32, shape, (n, m.site())


def _state(m: Maker) -> Made:
    count = m.below(6, 1)
    for _ in range(count):
        m.draw(m.one_of([DType.F32, DType.I32]), m.shape())
    return DType.ROOT, (count,), ()


_BY_FAMILY: dict[Family, Callable[[Maker, Op], Made]] = {
    Family.FLOAT: _float,
    Family.TRANSCENDENTAL: _float,
    Family.INTEGER: _integer,
    Family.COMPARE: _compare,
    Family.CAST: _cast,
}
_BY_OP: dict[Op, Callable[[Maker], Made]] = {
    Op.EXPONENT: _exponent,
    Op.QUANTIZE: _quantize,
    Op.MATMUL: _matmul,
    Op.SUM: _sum,
    Op.REDUCE_MAX: _reduce(DType.F32),
    Op.ARGMAX: _reduce(DType.I32),
    Op.SORT: _order(DType.F32),
    Op.ARGSORT: _order(DType.I32),
    Op.VIEW: _view,
    Op.CONCAT: _concat,
    Op.GATHER: _gather,
    Op.SCATTER_ADD: _scatter_add,
    Op.IOTA: lambda m: (DType.I32, m.shape(), ()),
    Op.RANDOM_BITS: _random_bits,
    Op.SHUFFLE: _shuffle,
    Op.STATE: _state,
}


def random_step(rng: Rng) -> int:
    """A step number, the first and the last among them."""
    return int(rng.choice([0, 1, 2, int(rng.integers(0, 2**31)), 2**31 - 1]))


def random_seed(rng: Rng) -> int:
    """A 64-bit seed."""
    return int(rng.choice([0, 1, 2**32])) if rng.random() < 0.2 else int(rng.integers(0, 2**64, dtype=np.uint64))


def random_node_case(
    rng: Rng,
    op: Op | None = None,
    *,
    elements: int = 60,
    hostile: bool = False,
    literals: bool = True,
    init: bool = False,
) -> NodeCase:
    """A well-formed node of ``op`` (any op by default) with its inputs.

    ``elements`` bounds an operand's size (roughly) and the length of rows. ``hostile`` fills operands
    with what only a liar commits too: exponents and mantissas out of their ranges, NaNs that are not
    canonical; the reference and the executor are total there, engines never meet it. ``literals``
    allows STEP, SEED and literal operands; ``init`` sets the top bit of random sites.
    """
    maker = Maker(rng, elements, hostile, literals, INIT_SITE_BIT if init else 0)
    node = maker.make(op if op is not None else ALL_OPS[int(rng.integers(0, len(ALL_OPS)))])
    return NodeCase(node, tuple(maker.arrays), tuple(maker.types), random_step(rng), random_seed(rng))


def node_cases(
    op: Op | None = None, *, elements: int = 60, hostile: bool = False, literals: bool = True
) -> st.SearchStrategy[NodeCase]:
    """``random_node_case`` as a Hypothesis strategy; a failing case names the generator's seed."""
    return st.integers(0, 2**32 - 1).map(
        lambda seed: random_node_case(
            np.random.default_rng(seed), op, elements=elements, hostile=hostile, literals=literals
        )
    )


def elements_of(rng: Rng, node: Node, count: int) -> list[int]:
    """Up to ``count`` element indices of a node's output, first and last among them."""
    total = math.prod(node.shape)
    drawn = {0, total - 1, *(int(e) for e in rng.integers(0, total, count))}
    return sorted(drawn)[:count] if total > 1 else [0]


def per_op() -> settings:
    """Fewer examples than the profile's, for tests that are repeated for every op."""
    return settings(max_examples=max(20, settings().max_examples // 8))
