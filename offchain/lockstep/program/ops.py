"""The closed set of operations: one enum and one table, shared with Solidity by generation.

``contracts/types/Op.sol`` is generated from this file; ``docs/PROGRAM.md`` says in words what each op means.
The high nibble of a code is its family, by which the on-chain executor dispatches.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Family(IntEnum):
    """Op family: high nibble of the op code, and one executor contract (or a part of one) each."""

    FLOAT = 0x1
    TRANSCENDENTAL = 0x2
    INTEGER = 0x3
    COMPARE = 0x4
    CAST = 0x5
    CONTRACTION = 0x6
    ROW = 0x7
    MOVEMENT = 0x8
    GENERATOR = 0x9
    STATE = 0xA


class Op(IntEnum):
    """Operation of a node. Names are NumPy's or IEEE-754's; integer ops carry i / u prefixes."""

    # f32 elementwise, round to nearest even
    ADD = 0x10
    SUB = 0x11
    MUL = 0x12
    DIV = 0x13
    MAX = 0x14  # a if a > b else b
    MIN = 0x15  # a if a < b else b
    SQRT = 0x18
    FLOOR = 0x19
    CEIL = 0x1A
    RNE = 0x1B
    TRUNC = 0x1C
    NEG = 0x1D
    ABS = 0x1E
    # f32 elementwise, fixed sequences of the above
    EXP = 0x20
    LOG = 0x21
    TANH = 0x22
    ERF = 0x23
    # i32 elementwise, wrapping
    IADD = 0x30
    ISUB = 0x31
    IMUL = 0x32
    UDIV = 0x33
    UMOD = 0x34
    AND = 0x35
    OR = 0x36
    XOR = 0x37
    SHL = 0x38
    SHR = 0x39
    SAR = 0x3A
    # comparisons give i32 0 / 1
    LT = 0x40
    LE = 0x41
    EQ = 0x42
    NE = 0x43
    ILT = 0x44
    ILE = 0x45
    IEQ = 0x46
    INE = 0x47
    ULT = 0x48
    ULE = 0x49
    SELECT = 0x4C  # a where condition != 0 else b
    # casts
    CAST = 0x50
    BITCAST = 0x51
    # block quantisation and exact contraction
    EXPONENT = 0x60
    QUANTIZE = 0x61
    MATMUL = 0x62
    # reductions and orders along the last axis
    SUM = 0x70
    REDUCE_MAX = 0x71
    ARGMAX = 0x72
    SORT = 0x73
    ARGSORT = 0x74
    # movement
    VIEW = 0x80
    CONCAT = 0x81
    GATHER = 0x82
    SCATTER_ADD = 0x83
    # generators
    IOTA = 0x90
    RANDOM_BITS = 0x91
    SHUFFLE = 0x92
    # the new state
    STATE = 0xA0

    @property
    def family(self) -> Family:
        """Family of the op: the high nibble of its code."""
        return Family(self.value >> 4)


class InputKind(IntEnum):
    """Where an input of a node comes from. The value is its code in the encoding."""

    NODE = 0
    """Output of an earlier node of this program; value: node index."""
    STATE = 1
    """Element of the state before this step; value: index."""
    CONST = 2
    """Committed tensor that never changes; value: index."""
    COMMITTED = 3
    """Element of the checkpoint that the segment must end in; value: index, or their number for the draw: the beacon
    value under which the segment is audited, i32 of shape (``DRAW_WORDS``,). Init programs and ``state`` have none."""
    STEP = 4
    """The global step number, i32 of shape (); value 0."""
    SEED = 5
    """The task's seed, i32 of shape (2,): low word, high word; value 0."""
    F32 = 6
    """A literal: the f32 with these bits, in the shape of the output of an elementwise node,
    of shape () elsewhere; value: the bits, NaN only as ``CANONICAL_NAN``."""
    I32 = 7
    """A literal: the i32 with these bits, shaped as an F32 literal; value: the bits."""


DRAW_WORDS = 8
"""i32 words of a draw's beacon value, as its 32 bytes lie."""

ELEMENTWISE_FAMILIES = frozenset({Family.FLOAT, Family.TRANSCENDENTAL, Family.INTEGER, Family.COMPARE, Family.CAST})
"""Families whose output element j reads exactly element j of each operand."""


@dataclass(frozen=True, slots=True)
class OpInfo:
    """What is fixed about an op besides its arithmetic.

    ``arity`` is the number of inputs (None: any number from 1 up). ``attrs`` are the names and
    encodings of its attributes in order: ``u8``, ``i16``, ``u32``; ``view`` and ``concat`` have
    layouts of their own. ``summary`` is one line, which ``Op.sol`` repeats.
    """

    arity: int | None
    attrs: tuple[tuple[str, str], ...]
    summary: str


_E = ()
OP_TABLE: dict[Op, OpInfo] = {
    Op.ADD: OpInfo(2, _E, "a + b"),
    Op.SUB: OpInfo(2, _E, "a - b"),
    Op.MUL: OpInfo(2, _E, "a * b"),
    Op.DIV: OpInfo(2, _E, "a / b"),
    Op.MAX: OpInfo(2, _E, "a if a > b else b"),
    Op.MIN: OpInfo(2, _E, "a if a < b else b"),
    Op.SQRT: OpInfo(1, _E, "square root"),
    Op.FLOOR: OpInfo(1, _E, "round toward minus infinity"),
    Op.CEIL: OpInfo(1, _E, "round toward plus infinity"),
    Op.RNE: OpInfo(1, _E, "round to nearest integer, ties to even"),
    Op.TRUNC: OpInfo(1, _E, "round toward zero"),
    Op.NEG: OpInfo(1, _E, "flip the sign bit (NaN stays the canonical NaN)"),
    Op.ABS: OpInfo(1, _E, "clear the sign bit"),
    Op.EXP: OpInfo(1, _E, "e**x"),
    Op.LOG: OpInfo(1, _E, "natural logarithm"),
    Op.TANH: OpInfo(1, _E, "hyperbolic tangent"),
    Op.ERF: OpInfo(1, _E, "error function"),
    Op.IADD: OpInfo(2, _E, "a + b modulo 2**32"),
    Op.ISUB: OpInfo(2, _E, "a - b modulo 2**32"),
    Op.IMUL: OpInfo(2, _E, "a * b modulo 2**32"),
    Op.UDIV: OpInfo(2, _E, "unsigned quotient, 0 for a zero divisor"),
    Op.UMOD: OpInfo(2, _E, "unsigned remainder, 0 for a zero divisor"),
    Op.AND: OpInfo(2, _E, "bitwise and"),
    Op.OR: OpInfo(2, _E, "bitwise or"),
    Op.XOR: OpInfo(2, _E, "bitwise exclusive or"),
    Op.SHL: OpInfo(1, (("count", "u8"),), "shift left by 0..31"),
    Op.SHR: OpInfo(1, (("count", "u8"),), "shift right by 0..31, zeros in"),
    Op.SAR: OpInfo(1, (("count", "u8"),), "shift right by 0..31, sign in"),
    Op.LT: OpInfo(2, _E, "f32 a < b, 0 with NaN"),
    Op.LE: OpInfo(2, _E, "f32 a <= b, 0 with NaN"),
    Op.EQ: OpInfo(2, _E, "f32 a == b, 0 with NaN"),
    Op.NE: OpInfo(2, _E, "f32 a != b, 1 with NaN"),
    Op.ILT: OpInfo(2, _E, "i32 signed a < b"),
    Op.ILE: OpInfo(2, _E, "i32 signed a <= b"),
    Op.IEQ: OpInfo(2, _E, "i32 a == b"),
    Op.INE: OpInfo(2, _E, "i32 a != b"),
    Op.ULT: OpInfo(2, _E, "i32 unsigned a < b"),
    Op.ULE: OpInfo(2, _E, "i32 unsigned a <= b"),
    Op.SELECT: OpInfo(3, _E, "a where the i32 condition is not 0, else b"),
    Op.CAST: OpInfo(1, _E, "f32 <-> i32; m16, u8, u16 -> i32, f32; e16 -> i32"),
    Op.BITCAST: OpInfo(1, _E, "f32 <-> i32, the bits (NaN canonical on the f32 side)"),
    Op.EXPONENT: OpInfo(1, (("floor", "i16"),), "block exponent of each row (last axis)"),
    Op.QUANTIZE: OpInfo(2, (("bits", "u8"),), "mantissas of x under the rows' exponents"),
    Op.MATMUL: OpInfo(4, _E, "exact contraction of mantissa rows, rounded once"),
    Op.SUM: OpInfo(2, _E, "exact sum of each row, rounded once"),
    Op.REDUCE_MAX: OpInfo(1, _E, "largest of each row in the total order"),
    Op.ARGMAX: OpInfo(1, _E, "index of the largest of each row, lowest of equals"),
    Op.SORT: OpInfo(1, _E, "each row ascending in the total order"),
    Op.ARGSORT: OpInfo(1, _E, "indices that sort each row, stable"),
    Op.VIEW: OpInfo(1, _E, "affine re-indexing with a fill value"),
    Op.CONCAT: OpInfo(None, _E, "join along an axis"),
    Op.GATHER: OpInfo(2, _E, "rows of a table by index, 0 out of range"),
    Op.SCATTER_ADD: OpInfo(3, _E, "exact sums of entries that share an index"),
    Op.IOTA: OpInfo(0, _E, "row-major element number"),
    Op.RANDOM_BITS: OpInfo(1, (("site", "u32"),), "Threefry-2x32 words"),
    Op.SHUFFLE: OpInfo(2, (("n", "u32"), ("site", "u32")), "swap-or-not permutation of 0..n-1"),
    Op.STATE: OpInfo(None, _E, "tensor roots of the new state"),
}

# Limits of a valid program; also generated into Solidity.
VERSION = 1
MAX_NODES = 65_536
MAX_RANK = 8
MAX_DIM = 2**31 - 1
MAX_ELEMENTS = 2**30
MAX_STATE = 4_096
MAX_CONSTANTS = 4_096
MAX_METRICS = 64
MAX_CONCAT = 256
ROW_BLOCK = 4_096
"""Elements of a row that one leaf carries (exponent, sum, reduce_max, argmax, matmul's K); longer ones are cut."""
SCATTER_BLOCK = 2_048
"""The same for scatter_add, whose leaf carries the indices, too."""
MAX_ROW_BLOCKS = 4_096
"""Blocks of a row: so many partial results of 8 bytes are one reveal of a dispute."""
MAX_ROW = ROW_BLOCK * MAX_ROW_BLOCKS
MAX_SCATTER_ROW = SCATTER_BLOCK * MAX_ROW_BLOCKS
MAX_SUM_ROW = 16_384
"""Keeps every partial sum of any order below 2**48, so float64 holds it."""
MAX_SORT_ROW = 1_024
MAX_VIEW_REACH = 2**40
"""Bound on |offset| + sum |stride| * (extent - 1) along any source axis of a view."""
MAX_WORK = 2**62
QUANTIZE_BITS = 14
EXPONENT_FLOOR_QUANTIZE = -113
EXPONENT_FLOOR_SUM = -126
INIT_SITE_BIT = 1 << 31
