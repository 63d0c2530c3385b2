"""The typing rule of every op: what output type its inputs and attributes give, or why they give none.

Everything here is integer arithmetic on shapes in unbounded Python integers; nothing is allocated. The
twin on chain is ``contracts/executor/ProgramChecker.sol``; the rules in words are ``docs/PROGRAM.md``,
"What makes a program valid".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from lockstep.numerics.dtypes import CANONICAL_NAN, DType
from lockstep.program.graph import Concat, Node, Shape, TensorType, View
from lockstep.program.ops import (
    ELEMENTWISE_FAMILIES,
    EXPONENT_FLOOR_QUANTIZE,
    EXPONENT_FLOOR_SUM,
    INIT_SITE_BIT,
    MAX_CONCAT,
    MAX_DIM,
    MAX_ELEMENTS,
    MAX_RANK,
    MAX_ROW,
    MAX_SCATTER_ROW,
    MAX_SORT_ROW,
    MAX_SUM_ROW,
    MAX_VIEW_REACH,
    OP_TABLE,
    QUANTIZE_BITS,
    Family,
    Op,
)


class ProgramError(ValueError):
    """A program, or a node of it, that is not valid; the message is a sentence that says why."""


F32, I32, M16, E16, U8, U16, ROOT = (
    DType.F32,
    DType.I32,
    DType.M16,
    DType.E16,
    DType.U8,
    DType.U16,
    DType.ROOT,
)
ELEMENTWISE = frozenset(op for op in Op if op.family in ELEMENTWISE_FAMILIES)
"""Ops whose operands and literals have the shape of the output."""
_INTEGER_OPERANDS = frozenset(op for op in Op if op.family is Family.INTEGER or Op.ILT <= op <= Op.ULE)
_INTEGER_RESULTS = frozenset(op for op in Op if op.family in (Family.INTEGER, Family.COMPARE))
_CASTS = {F32: (I32, M16, U8, U16), I32: (F32, M16, E16, U8, U16)}
"""Source dtypes of a cast, by its output dtype."""
_I32_MIN, _I32_MAX = -(2**31), 2**31 - 1

_FILLS: dict[DType, Callable[[int], bool]] = {
    F32: lambda bits: bits == CANONICAL_NAN or (bits & 0x7FFFFFFF) <= 0x7F800000,
    I32: lambda bits: True,
    M16: lambda bits: bits <= 0x4000 or 0xC000 <= bits <= 0xFFFF,
    E16: lambda bits: bits <= 127 or bits == 255 or 0x10000 - 126 <= bits <= 0xFFFF,
    U8: lambda bits: bits <= 0xFF,
    U16: lambda bits: bits <= 0xFFFF,
}
"""Whether 32 bits hold an element of the dtype, zero-extended (f32: NaN only as the canonical one)."""


def is_canonical_f32(bits: int) -> bool:
    """Whether 32 bits are an f32 that a program may hold: any but a NaN other than the canonical one."""
    return _FILLS[F32](bits)


def check_shape(shape: Shape, what: str) -> None:
    """Refuse a rank above 8, an extent outside 1..2**31 - 1, and more than 2**30 elements."""
    if len(shape) > MAX_RANK:
        raise ProgramError(f"{what} has rank {len(shape)}; at most {MAX_RANK} is allowed.")
    for extent in shape:
        if type(extent) is not int or not 1 <= extent <= MAX_DIM:
            raise ProgramError(f"{what} has extent {extent}; extents are integers from 1 to {MAX_DIM}.")
    if math.prod(shape) > MAX_ELEMENTS:
        raise ProgramError(f"{what} has {math.prod(shape)} elements; at most {MAX_ELEMENTS} are allowed.")


def _want(slot: int, given: TensorType, dtype: DType) -> None:
    if given.dtype is not dtype:
        raise ProgramError(f"input {slot} is {given.dtype.name.lower()}; {dtype.name.lower()} is needed.")


def _row(slot: int, given: TensorType, limit: int = MAX_ROW, hint: str = "") -> None:
    if not given.shape:
        raise ProgramError(f"input {slot} has shape (); a row op needs rank 1 or more.")
    if given.shape[-1] > limit:
        raise ProgramError(f"input {slot} has rows of {given.shape[-1]} elements; at most {limit} are allowed.{hint}")


def _same(slot: int, given: Shape, wanted: Shape) -> None:
    if given != wanted:
        raise ProgramError(f"input {slot} has shape {list(given)}; {list(wanted)} is needed.")


def _elementwise(node: Node, types: Sequence[TensorType]) -> DType:
    op = node.op
    for slot, given in enumerate(types):
        _same(slot, given.shape, node.shape)
    if op is Op.CAST:
        if node.dtype not in _CASTS or types[0].dtype not in _CASTS[node.dtype]:
            raise ProgramError(f"there is no cast from {types[0].dtype.name.lower()} to {node.dtype.name.lower()}.")
        return node.dtype
    if op is Op.BITCAST:
        if {types[0].dtype, node.dtype} != {F32, I32}:
            raise ProgramError("a bitcast goes from f32 to i32 or from i32 to f32.")
        return node.dtype
    if op is Op.SELECT:
        _want(0, types[0], I32)
        if types[1].dtype not in (F32, I32):
            raise ProgramError("input 1 of a select is f32 or i32.")
        _want(2, types[2], types[1].dtype)
        return types[1].dtype
    operand = I32 if op in _INTEGER_OPERANDS else F32
    for slot, given in enumerate(types):
        _want(slot, given, operand)
    return I32 if op in _INTEGER_RESULTS else F32


def _matmul(types: Sequence[TensorType]) -> TensorType:
    a, ea, b, eb = types
    for slot, dtype in enumerate((M16, E16, M16, E16)):
        _want(slot, types[slot], dtype)
    hint = " Split the contraction and add the parts."
    for slot in (0, 2):
        _row(slot, types[slot], hint=hint)
        if len(types[slot].shape) < 2:
            raise ProgramError(f"input {slot} has shape {list(types[slot].shape)}; rank 2 or more is needed.")
    if a.shape[-1] != b.shape[-1]:
        raise ProgramError(f"the rows of the operands have {a.shape[-1]} and {b.shape[-1]} elements.")
    if a.shape[:-2] != b.shape[:-2]:
        raise ProgramError(f"the leading axes {list(a.shape[:-2])} and {list(b.shape[:-2])} differ.")
    _same(1, ea.shape, a.shape[:-1])
    _same(3, eb.shape, b.shape[:-1])
    return TensorType(F32, (*a.shape[:-1], b.shape[-2]))


def _view(node: Node, source: TensorType) -> TensorType:
    view = node.attrs
    assert isinstance(view, View)
    if source.dtype not in _FILLS:
        raise ProgramError(f"a view of {source.dtype.name.lower()} is not possible.")
    check_shape(view.src_shape, "its source shape")
    rank = len(view.src_shape)
    if math.prod(view.src_shape) != source.elements:
        raise ProgramError(
            f"its source shape {list(view.src_shape)} has {math.prod(view.src_shape)} elements,"
            f" the source {source.elements}."
        )
    if len(view.offset) != rank:
        raise ProgramError(f"it has {len(view.offset)} offsets for {rank} source axes.")
    if len(view.mapping) != len(node.shape):
        raise ProgramError(f"it maps {len(view.mapping)} axes and has {len(node.shape)}.")
    reach = [0] * rank
    for axis, offset in enumerate(view.offset):
        if not _I32_MIN <= offset <= _I32_MAX:
            raise ProgramError(f"its offset {offset} does not fit 32 bits.")
        reach[axis] = abs(offset)
    for extent, (axis, stride) in zip(node.shape, view.mapping, strict=True):
        if not 0 <= axis < rank:
            raise ProgramError(f"it maps to source axis {axis} of {rank}.")
        if not _I32_MIN <= stride <= _I32_MAX:
            raise ProgramError(f"its stride {stride} does not fit 32 bits.")
        if stride == 0 and axis != 0:
            raise ProgramError("a stride of 0 is written with axis 0.")
        reach[axis] += abs(stride) * (extent - 1)
    if any(far > MAX_VIEW_REACH for far in reach):
        raise ProgramError(f"it reaches {max(reach)} elements along an axis; at most {MAX_VIEW_REACH} are allowed.")
    if not 0 <= view.fill <= 0xFFFFFFFF or not _FILLS[source.dtype](view.fill):
        raise ProgramError(f"its fill {view.fill:#x} is no element of {source.dtype.name.lower()}.")
    return TensorType(source.dtype, node.shape)


def _concat(attrs: Concat, types: Sequence[TensorType]) -> TensorType:
    if len(types) > MAX_CONCAT:
        raise ProgramError(f"it joins {len(types)} tensors; at most {MAX_CONCAT} are allowed.")
    first = types[0]
    if first.dtype not in _FILLS:
        raise ProgramError(f"a concat of {first.dtype.name.lower()} is not possible.")
    if not 0 <= attrs.axis < len(first.shape):
        raise ProgramError(f"its axis {attrs.axis} is not one of the {len(first.shape)} axes of its inputs.")
    if len(attrs.extents) != len(types):
        raise ProgramError(f"it has {len(attrs.extents)} extents for {len(types)} inputs.")
    axis = attrs.axis
    for slot, (given, extent) in enumerate(zip(types, attrs.extents, strict=True)):
        _want(slot, given, first.dtype)
        _same(slot, given.shape, (*first.shape[:axis], extent, *first.shape[axis + 1 :]))
    return TensorType(first.dtype, (*first.shape[:axis], sum(attrs.extents), *first.shape[axis + 1 :]))


def _gather(types: Sequence[TensorType]) -> TensorType:
    table, index = types
    _want(1, index, I32)
    if table.dtype not in _FILLS:
        raise ProgramError(f"a gather from {table.dtype.name.lower()} is not possible.")
    if not table.shape:
        raise ProgramError("input 0 has shape (); a gather needs a table of rank 1 or more.")
    return TensorType(table.dtype, (*index.shape, *table.shape[1:]))


def _scatter_add(node: Node, types: Sequence[TensorType]) -> TensorType:
    for slot, dtype in enumerate((F32, I32, E16)):
        _want(slot, types[slot], dtype)
    _row(0, types[0], MAX_SCATTER_ROW)
    if len(types[0].shape) != 2 or len(node.shape) != 2:
        raise ProgramError("input 0 and the output of a scatter_add have rank 2.")
    rows, length = types[0].shape
    _same(1, types[1].shape, (length,))
    _same(2, types[2].shape, (rows,))
    return TensorType(F32, (rows, node.shape[1]))


def check_attrs(node: Node) -> None:
    """Refuse attributes of the wrong kind or number, or that their encoding could not hold."""
    attrs, op = node.attrs, node.op
    if op is Op.VIEW or op is Op.CONCAT:
        wanted = View if op is Op.VIEW else Concat
        if not isinstance(attrs, wanted):
            raise ProgramError(f"its attributes are not those of a {op.name.lower()}.")
        return
    names = OP_TABLE[op].attrs
    if not isinstance(attrs, tuple) or len(attrs) != len(names):
        raise ProgramError(f"it takes {len(names)} attributes.")
    for (name, _), value in zip(names, attrs, strict=True):
        if type(value) is not int:
            raise ProgramError(f"its {name} is not an integer.")
        match name:
            case "count":
                valid = 0 <= value <= 31
            case "floor":
                valid = value in (EXPONENT_FLOOR_QUANTIZE, EXPONENT_FLOOR_SUM)
            case "bits":
                valid = value == QUANTIZE_BITS
            case "n":
                valid = 1 <= value < 2**32
            case _:
                valid = 0 <= value < 2**32
        if not valid:
            raise ProgramError(f"its {name} may not be {value}.")


def check_site(op: Op, attrs: Sequence[int], *, init: bool) -> int | None:
    """The random site of a node, None for ops without one; its top bit is set iff in an init program."""
    if op not in (Op.RANDOM_BITS, Op.SHUFFLE):
        return None
    site = attrs[-1]
    if bool(site & INIT_SITE_BIT) is not init:
        raise ProgramError(
            f"its site {site:#010x} has the top bit {'clear' if init else 'set'}; "
            "it is set in init programs and clear in all others."
        )
    return site


def infer(node: Node, types: Sequence[TensorType]) -> TensorType:
    """The output type a node has, from its inputs' types (a literal's as ``Program.input_type`` gives it).

    Reads the node's own dtype and shape only where they are free: both for the shape of elementwise ops
    (operands must match), casts, ``view``, ``iota``, ``random_bits``, the extent of ``scatter_add``.
    ``ProgramError`` says what does not fit; the caller names the node.
    """
    op = node.op
    arity = OP_TABLE[op].arity
    if arity is None and not types:
        raise ProgramError("it takes one input or more.")
    if arity is not None and len(types) != arity:
        raise ProgramError(f"it takes {arity} input{'s' if arity != 1 else ''} and has {len(types)}.")
    check_attrs(node)
    if op in ELEMENTWISE:
        return TensorType(_elementwise(node, types), node.shape)
    match op:
        case Op.MATMUL:
            return _matmul(types)
        case Op.VIEW:
            return _view(node, types[0])
        case Op.CONCAT:
            assert isinstance(node.attrs, Concat)
            return _concat(node.attrs, types)
        case Op.GATHER:
            return _gather(types)
        case Op.SCATTER_ADD:
            return _scatter_add(node, types)
        case Op.IOTA:
            return TensorType(I32, node.shape)
        case Op.RANDOM_BITS:
            _want(0, types[0], I32)
            _same(0, types[0].shape, ())
            return TensorType(I32, node.shape)
        case Op.SHUFFLE:
            _want(0, types[0], I32)
            _want(1, types[1], I32)
            _same(1, types[1].shape, ())
            return types[0]
        case Op.STATE:
            return TensorType(ROOT, (len(types),))
    _want(0, types[0], F32)
    if op is Op.QUANTIZE:
        if not types[0].shape:
            raise ProgramError("input 0 has shape (); a row op needs rank 1 or more.")
        _want(1, types[1], E16)
        _same(1, types[1].shape, types[0].shape[:-1])
        return TensorType(M16, types[0].shape)
    _row(0, types[0], {Op.SORT: MAX_SORT_ROW, Op.ARGSORT: MAX_SORT_ROW, Op.SUM: MAX_SUM_ROW}.get(op, MAX_ROW))
    rows = types[0].shape[:-1]
    match op:
        case Op.EXPONENT:
            return TensorType(E16, rows)
        case Op.SUM:
            _want(1, types[1], E16)
            _same(1, types[1].shape, rows)
            return TensorType(F32, rows)
        case Op.REDUCE_MAX:
            return TensorType(F32, rows)
        case Op.ARGMAX:
            return TensorType(I32, rows)
        case Op.SORT:
            return types[0]
        case Op.ARGSORT:
            return TensorType(I32, types[0].shape)
    raise AssertionError(f"{op.name} has no typing rule.")
