"""Which implementation runs an op in this process: chosen in order of speed, trusted after a test.

A route is one implementation of one op. Before its first use in a process it must reproduce the
reference on the op's edge cases (``lockstep.engine.cases``); one that does not, or that raises, is
left out, with a line in the log (``lockstep.engine``). The last route of every op is the reference.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lockstep.commitments.tensor import tensor_root
from lockstep.engine.cases import Case, cases
from lockstep.numerics import transcendental
from lockstep.numerics.dtypes import NUMPY, DType
from lockstep.numerics.routes import contraction, elementwise, generators, movement, rows
from lockstep.numerics.routes.carriers import canonical, literal
from lockstep.program.graph import Concat, Input, Node, View
from lockstep.program.ops import ELEMENTWISE_FAMILIES, InputKind, Op
from lockstep.program.reference import evaluate_node

log = logging.getLogger("lockstep.engine")

Run = Callable[[Node, Sequence[Tensor], int], Tensor]
"""(node, inputs, seed) -> value. Literals come as tensors of shape ()."""


@dataclass(frozen=True, slots=True)
class Route:
    """One implementation of an op: its name (for logs and benchmarks) and its function."""

    name: str
    run: Run


def from_numpy(array: np.ndarray) -> Tensor:
    """Tensor over an array's memory; copied where the array is not writable or not in C order."""
    array = np.asarray(array)
    if not array.flags.writeable or not array.flags.c_contiguous:
        array = array.copy(order="C")
    return torch.from_numpy(array)


def to_numpy(tensor: Tensor) -> np.ndarray:
    """Array of a tensor, f32 NaNs canonical; shares memory where it can."""
    tensor = tensor.detach().cpu().contiguous()
    return (canonical(tensor) if tensor.dtype == torch.float32 else tensor).numpy()


def state_value(inputs: Sequence[Tensor]) -> Tensor:
    """uint8 [n, 32]: tensor roots of f32 and i32 tensors."""
    roots = [tensor_root(to_numpy(x), DType.F32 if x.dtype == torch.float32 else DType.I32) for x in inputs]
    return torch.from_numpy(np.frombuffer(b"".join(roots), np.uint8).reshape(len(roots), 32).copy())


def _reference(node: Node, inputs: Sequence[Tensor], seed: int) -> Tensor:
    arrays = [to_numpy(x) for x in inputs]
    if node.op.family in ELEMENTWISE_FAMILIES:
        arrays = [np.broadcast_to(x, node.shape) for x in arrays]
    bare = tuple(Input(InputKind.NODE, slot) for slot in range(len(arrays)))
    value = evaluate_node(Node(node.op, node.dtype, node.shape, bare, node.attrs), arrays, 0, seed)
    return from_numpy(value).to(inputs[0].device if inputs else "cpu")


REFERENCE = Route("reference", _reference)
"""The specification itself: slow, never wrong."""

_PLAIN: dict[Op, Callable[..., Tensor]] = {
    Op.ADD: elementwise.add,
    Op.SUB: elementwise.sub,
    Op.MUL: elementwise.mul,
    Op.DIV: elementwise.div,
    Op.MAX: elementwise.maximum,
    Op.MIN: elementwise.minimum,
    Op.SQRT: elementwise.sqrt,
    Op.FLOOR: torch.floor,
    Op.CEIL: torch.ceil,
    Op.RNE: torch.round,
    Op.TRUNC: torch.trunc,
    Op.NEG: torch.neg,
    Op.ABS: torch.abs,
    Op.EXP: transcendental.exp_torch,
    Op.LOG: transcendental.log_torch,
    Op.TANH: transcendental.tanh_torch,
    Op.ERF: transcendental.erf_torch,
    Op.IADD: elementwise.iadd,
    Op.ISUB: elementwise.isub,
    Op.IMUL: elementwise.imul,
    Op.UDIV: elementwise.udiv,
    Op.UMOD: elementwise.umod,
    Op.AND: torch.bitwise_and,
    Op.OR: torch.bitwise_or,
    Op.XOR: torch.bitwise_xor,
    Op.LT: elementwise.lt,
    Op.LE: elementwise.le,
    Op.EQ: elementwise.eq,
    Op.NE: elementwise.ne,
    Op.ILT: elementwise.lt,
    Op.ILE: elementwise.le,
    Op.IEQ: elementwise.eq,
    Op.INE: elementwise.ne,
    Op.ULT: elementwise.ult,
    Op.ULE: elementwise.ule,
    Op.SELECT: elementwise.select,
    Op.SUM: rows.exact_sum,
    Op.QUANTIZE: contraction.quantize,
    Op.REDUCE_MAX: rows.reduce_max,
    Op.ARGMAX: rows.argmax,
    Op.SORT: rows.sort,
    Op.ARGSORT: rows.argsort,
    Op.GATHER: movement.gather,
}
"""Ops whose value is a function of the inputs alone."""

_SHIFT: dict[Op, Callable[[Tensor, int], Tensor]] = {
    Op.SHL: elementwise.shl,
    Op.SHR: elementwise.shr,
    Op.SAR: elementwise.sar,
}


def _torch(node: Node, inputs: Sequence[Tensor], seed: int) -> Tensor:
    value = _torch_value(node, inputs, seed)
    return value if value.shape == node.shape or node.op is Op.STATE else value.expand(node.shape)


def _torch_value(node: Node, inputs: Sequence[Tensor], seed: int) -> Tensor:
    op, attrs = node.op, node.attrs
    if op in _PLAIN:
        return _PLAIN[op](*inputs)
    if isinstance(attrs, View):
        return movement.view(inputs[0], attrs.src_shape, attrs.offset, attrs.mapping, attrs.fill, node.shape)
    if isinstance(attrs, Concat):
        return movement.concat(inputs, attrs.axis)
    if op in _SHIFT:
        return _SHIFT[op](inputs[0], attrs[0])
    match op:
        case Op.CAST:
            if inputs[0].dtype == torch.float32:
                return elementwise.f32_to_i32(inputs[0])
            return elementwise.to_f32(inputs[0]) if node.dtype is DType.F32 else elementwise.to_i32(inputs[0])
        case Op.BITCAST:
            return (elementwise.bits_f32 if node.dtype is DType.F32 else elementwise.f32_bits)(inputs[0])
        case Op.EXPONENT:
            return contraction.exponent(inputs[0], attrs[0])
        case Op.SCATTER_ADD:
            return rows.scatter_add(inputs[0], inputs[1], inputs[2], node.shape[1])
        case Op.IOTA:
            return generators.iota(node.shape)
        case Op.RANDOM_BITS:
            return generators.random_bits(seed, int(inputs[0]), attrs[-1], node.shape, inputs[0].device, *attrs[:-1])
        case Op.SHUFFLE:
            return generators.shuffle(inputs[0], seed, int(inputs[1]), attrs[0], attrs[1])
        case Op.STATE:
            return state_value(inputs)
    raise AssertionError(f"{op.name} has no torch route.")


TORCH_ROUTE = Route("torch", _torch)
MATMUL_FLOAT64 = Route("float64", lambda node, inputs, seed: contraction.matmul_float64(*inputs))
MATMUL_INT8 = Route("int8", lambda node, inputs, seed: contraction.matmul_int8(*inputs))
"""Four int8 products by ``torch._int_mm``: wrong on x86 without VNNI (saturating pairs), hence tested."""


def candidates(op: Op) -> tuple[Route, ...]:
    """Routes of an op, fastest first; the reference is the last."""
    if op is Op.MATMUL:
        return (MATMUL_INT8, MATMUL_FLOAT64, REFERENCE)
    return (TORCH_ROUTE, REFERENCE)


def same_bits(value: Tensor, expected: np.ndarray, dtype: DType) -> bool:
    """Whether a value has the expected carrier, shape and bits (any NaN stands for the canonical one)."""
    found = to_numpy(value)
    if dtype is DType.ROOT:
        return found.shape == expected.shape and bool((found == expected).all())
    if found.dtype != NUMPY[dtype] or found.shape != expected.shape:
        return False
    integer = np.dtype(f"u{found.dtype.itemsize}")
    return bool((np.ascontiguousarray(found).view(integer) == np.ascontiguousarray(expected).view(integer)).all())


@functools.cache
def expected_values(op: Op) -> tuple[tuple[Case, np.ndarray], ...]:
    """An op's edge cases with the reference's values."""
    answers = []
    for node, arrays in cases(op):
        full = [np.broadcast_to(x, node.shape) if op.family in ELEMENTWISE_FAMILIES else x for x in arrays]
        answers.append(((node, arrays), evaluate_node(node, full, 0, SELF_TEST_SEED)))
    return tuple(answers)


SELF_TEST_SEED = 0x0123456789ABCDEF


@functools.cache
def passes(op: Op, route: Route, device: str = "cpu") -> bool:
    """Whether a route reproduces the reference on the op's edge cases; tested once a process."""
    if route is REFERENCE:
        return True
    try:
        for (node, arrays), expected in expected_values(op):
            inputs = [_strided(x).to(device) for x in arrays]
            if not same_bits(route.run(node, inputs, SELF_TEST_SEED), expected, node.dtype):
                log.warning(
                    "The %s route of %s on %s differs from the reference; it is not used.", route.name, op.name, device
                )
                return False
    except Exception as error:  # a route that cannot run is a route that is not there
        log.warning("The %s route of %s on %s does not run (%s); it is not used.", route.name, op.name, device, error)
        return False
    return True


def _strided(array: np.ndarray) -> Tensor:
    """Tensor with the array's own strides, so that strided cases stay strided."""
    return torch.from_numpy(array.copy(order="K"))


@functools.cache
def best_route(op: Op, device: str = "cpu") -> Route:
    """The first route of an op that passes; later ones are not even tested."""
    return next(route for route in candidates(op) if passes(op, route, device))


SLICED_WORK = 1024**3
"""Multiply-adds of a product from which slices by ``torch._int_mm`` beat float64, splitting and joining included."""


def matmul_route(shape: Sequence[int], length: int, device: str = "cpu") -> Route:
    """The route for a contraction [.., M, N] over ``length``: int8 slices for large 2-D products, else float64."""
    sliced = len(shape) == 2 and shape[0] * shape[1] * length >= SLICED_WORK
    order = (MATMUL_INT8, MATMUL_FLOAT64) if sliced else (MATMUL_FLOAT64, MATMUL_INT8)
    return next((r for r in order if passes(Op.MATMUL, r, device)), REFERENCE)


def own_input(node: Node, source: Input, step: int, seed: int, device: str = "cpu") -> Tensor | None:
    """STEP, SEED or a literal (shape ()) as a tensor; None for the other kinds."""
    match source.kind:
        case InputKind.STEP:
            return torch.tensor(step, dtype=torch.int32, device=device)
        case InputKind.SEED:
            words = np.array([seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF], np.uint32).view(np.int32)
            return torch.from_numpy(words.copy()).to(device)
        case InputKind.F32:
            return literal(DType.F32, source.value, device)
        case InputKind.I32:
            return literal(DType.I32, source.value, device)
        case _:
            return None


def input_value(
    node: Node,
    source: Input,
    values: Mapping[int, Tensor],
    state: Sequence[Tensor],
    constants: Sequence[Tensor],
    step: int,
    seed: int,
    device: str = "cpu",
) -> Tensor:
    """What ``node`` reads through ``source``: a node's value, a state or constant tensor, or as ``own_input``."""
    match source.kind:
        case InputKind.NODE:
            return values[source.value]
        case InputKind.STATE:
            return state[source.value]
        case InputKind.CONST:
            return constants[source.value]
        case _:
            own = own_input(node, source, step, seed, device)
            assert own is not None
            return own


def run_node(node: Node, inputs: Sequence[Tensor], seed: int, device: str = "cpu") -> Tensor:
    """A node's value by the best route that passed its test; f32 NaNs of any payload."""
    if node.op is Op.MATMUL:
        route = matmul_route(node.shape, inputs[0].shape[-1], device)
    else:
        route = best_route(node.op, device)
    return route.run(node, inputs, seed)
