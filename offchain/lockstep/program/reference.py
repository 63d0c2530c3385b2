"""The slow interpreter: what a node's value and a step's result are. The specification of a step.

One line an op from ``Node`` to the reference arithmetic of ``lockstep.numerics``. Everything faster
(``lockstep.engine``) and everything on chain (``contracts/executor``) is held to this, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lockstep.commitments.tensor import tensor_root
from lockstep.numerics import casts, contraction, elementwise, movement, rows, threefry, transcendental
from lockstep.numerics.dtypes import NUMPY, DType
from lockstep.program.graph import Concat, Input, Node, Program, View
from lockstep.program.ops import ELEMENTWISE_FAMILIES, InputKind, Op

Array = npt.NDArray[Any]

_PLAIN: dict[Op, Callable[..., Array]] = {
    Op.ADD: elementwise.add,
    Op.SUB: elementwise.sub,
    Op.MUL: elementwise.mul,
    Op.DIV: elementwise.div,
    Op.MAX: elementwise.maximum,
    Op.MIN: elementwise.minimum,
    Op.SQRT: elementwise.sqrt,
    Op.FLOOR: elementwise.floor,
    Op.CEIL: elementwise.ceil,
    Op.RNE: elementwise.rne,
    Op.TRUNC: elementwise.trunc,
    Op.NEG: elementwise.neg,
    Op.ABS: elementwise.absolute,
    Op.EXP: transcendental.exp_numpy,
    Op.LOG: transcendental.log_numpy,
    Op.TANH: transcendental.tanh_numpy,
    Op.ERF: transcendental.erf_numpy,
    Op.IADD: elementwise.iadd,
    Op.ISUB: elementwise.isub,
    Op.IMUL: elementwise.imul,
    Op.UDIV: elementwise.udiv,
    Op.UMOD: elementwise.umod,
    Op.AND: elementwise.bit_and,
    Op.OR: elementwise.bit_or,
    Op.XOR: elementwise.bit_xor,
    Op.LT: elementwise.lt,
    Op.LE: elementwise.le,
    Op.EQ: elementwise.eq,
    Op.NE: elementwise.ne,
    Op.ILT: elementwise.ilt,
    Op.ILE: elementwise.ile,
    Op.IEQ: elementwise.ieq,
    Op.INE: elementwise.ine,
    Op.ULT: elementwise.ult,
    Op.ULE: elementwise.ule,
    Op.SELECT: elementwise.select,
    Op.MATMUL: contraction.matmul,
    Op.SUM: rows.row_sum,
    Op.REDUCE_MAX: rows.reduce_max,
    Op.ARGMAX: rows.argmax,
    Op.SORT: rows.sort,
    Op.ARGSORT: rows.argsort,
    Op.GATHER: movement.gather,
}
"""Ops whose value is a function of the inputs alone."""

_SHIFT: dict[Op, Callable[[Array, int], Array]] = {
    Op.SHL: elementwise.shl,
    Op.SHR: elementwise.shr,
    Op.SAR: elementwise.sar,
}


def literal_shape(node: Node) -> tuple[int, ...]:
    """Shape of a literal operand of a node: the output's for elementwise ops, () elsewhere."""
    return node.shape if node.op.family in ELEMENTWISE_FAMILIES else ()


def own_input(node: Node, source: Input, step: int, seed: int) -> Array | None:
    """The tensor of an input that needs no proof (STEP, SEED, a literal); None for the other kinds."""
    match source.kind:
        case InputKind.STEP:
            return movement.filled(step, (), NUMPY[DType.I32])
        case InputKind.SEED:
            return np.array(threefry.seed_words(seed), np.uint32).view(np.int32)
        case InputKind.F32:
            return movement.filled(source.value, literal_shape(node), NUMPY[DType.F32])
        case InputKind.I32:
            return movement.filled(source.value, literal_shape(node), NUMPY[DType.I32])
        case _:
            return None


def _cast(x: Array, dtype: DType) -> Array:
    if x.dtype == np.float32:
        return casts.f32_to_i32(x)
    return casts.integer_to_f32(x) if dtype is DType.F32 else casts.integer_to_i32(x)


def _state(inputs: Sequence[Array]) -> Array:
    roots = [tensor_root(x, DType.F32 if x.dtype == np.float32 else DType.I32) for x in inputs]
    return np.frombuffer(b"".join(roots), np.uint8).reshape(len(roots), 32)


def _compute(node: Node, inputs: Sequence[Array], seed: int) -> Array:
    op, attrs = node.op, node.attrs
    if op in _PLAIN:
        return _PLAIN[op](*inputs)
    if isinstance(attrs, View):
        return movement.view(inputs[0], attrs.src_shape, attrs.offset, attrs.mapping, node.shape, attrs.fill)
    if isinstance(attrs, Concat):
        return movement.concat(inputs, attrs.axis)
    if op in _SHIFT:
        return _SHIFT[op](inputs[0], attrs[0])
    match op:
        case Op.CAST:
            return _cast(inputs[0], node.dtype)
        case Op.BITCAST:
            return casts.f32_from_bits(inputs[0]) if node.dtype is DType.F32 else casts.f32_bits(inputs[0])
        case Op.EXPONENT:
            return contraction.exponent(inputs[0], attrs[0])
        case Op.QUANTIZE:
            return contraction.quantize(inputs[0], inputs[1])
        case Op.SCATTER_ADD:
            return rows.scatter_add(inputs[0], inputs[1], inputs[2], node.shape[1])
        case Op.IOTA:
            return movement.iota(node.shape)
        case Op.RANDOM_BITS:
            return threefry.random_bits(seed, int(inputs[0]), attrs[-1], node.shape, *attrs[:-1])
        case Op.SHUFFLE:
            return threefry.shuffle(inputs[0], seed, int(inputs[1]), attrs[0], attrs[1])
        case Op.STATE:
            return _state(inputs)
    raise AssertionError(f"{op.name} has no reference.")


def evaluate_node(node: Node, inputs: Sequence[Array | None], step: int, seed: int) -> Array:
    """The value of a well-formed node.

    ``inputs`` has one entry an input of the node: the array of a NODE, STATE or CONST input, in its
    shape and its dtype's NumPy carrier (``dtypes.NUMPY``); whatever stands for STEP, SEED and literals
    (None, say) is replaced here. ``step`` is the global step number, ``seed`` the task's 64-bit seed.

    The result has the node's shape and carrier; f32 NaNs are canonical. A ``state`` node gives uint8
    of shape (n, 32), one tensor root a row.
    """
    own = [own_input(node, source, step, seed) for source in node.inputs]
    arrays = [mine if mine is not None else given for mine, given in zip(own, inputs, strict=True)]
    value = np.asarray(_compute(node, [np.asarray(x) for x in arrays], seed))
    if node.op is not Op.STATE:
        assert value.shape == node.shape, f"{node.op.name}: shape {value.shape} is not {node.shape}"
        assert value.dtype == NUMPY[node.dtype], f"{node.op.name}: dtype {value.dtype} is not {node.dtype.name}"
    return value


def evaluate(
    program: Program,
    state: Sequence[Array],
    constants: Sequence[Array],
    step: int,
    seed: int,
    committed: Sequence[Array] = (),
) -> tuple[list[Array], list[Array]]:
    """One step: (new state, value of every node).

    ``state`` and ``constants`` hold one array an entry of the program, in its shape and carrier; ``committed``, where
    the program reads it, the state that the segment must end in, and the draw (i32 [8]). The
    new state are the tensors the last node (``state``) lists; its own value are their roots.
    """
    values: list[Array] = []

    def tensor(source: Input) -> Array | None:
        match source.kind:
            case InputKind.NODE:
                return values[source.value]
            case InputKind.STATE:
                return movement.read(np.asarray(state[source.value]))
            case InputKind.CONST:
                return movement.read(np.asarray(constants[source.value]))
            case InputKind.COMMITTED:
                return movement.read(np.asarray(committed[source.value]))
            case _:
                return None

    for node in program.nodes:
        value = evaluate_node(node, [tensor(source) for source in node.inputs], step, seed)
        values.append(value)
    last = program.nodes[-1]
    assert last.op is Op.STATE, "The last node of a program is its state."
    new_state = []
    for source in last.inputs:
        mine = own_input(last, source, step, seed)
        given = mine if mine is not None else tensor(source)
        assert given is not None
        new_state.append(given)
    return new_state, values
