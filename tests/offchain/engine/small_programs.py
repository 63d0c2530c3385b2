"""Small programs written out node by node, for tests of the engine."""

from __future__ import annotations

import numpy as np

from lockstep.commitments.tensor import tensor_root
from lockstep.numerics.dtypes import DType
from lockstep.program.graph import Attrs, ConstantEntry, Input, Node, Program, StateEntry, TensorType, View
from lockstep.program.infer import infer
from lockstep.program.ops import ELEMENTWISE_FAMILIES, InputKind, Op


class Nodes:
    """Collects nodes; each method returns the Input that denotes the new node."""

    def __init__(self, state: list[StateEntry], constants: list[ConstantEntry]) -> None:
        self.nodes: list[Node] = []
        self.program = Program((), tuple(state), tuple(constants))

    def type(self, source: Input, shape: tuple[int, ...] | None = None) -> TensorType:
        if source.kind is InputKind.NODE:
            return self.nodes[source.value].type
        return self.program.input_type(source, shape)

    def add(
        self, op: Op, *inputs: Input, shape: tuple[int, ...] = (), dtype: DType = DType.F32, attrs: Attrs = ()
    ) -> Input:
        draft = Node(op, dtype, shape, inputs, attrs)
        literal = shape if op.family in ELEMENTWISE_FAMILIES else None
        found = infer(draft, [self.type(source, literal) for source in inputs])
        self.nodes.append(Node(op, found.dtype, found.shape, inputs, attrs))
        return Input(InputKind.NODE, len(self.nodes) - 1)

    def finish(self, outputs: list[Input], metrics: list[Input]) -> Program:
        self.add(Op.STATE, *outputs, dtype=DType.ROOT, shape=(len(outputs),))
        return Program(
            tuple(self.nodes), self.program.state, self.program.constants, tuple(source.value for source in metrics)
        )


def f32(value: float) -> Input:
    """A literal."""
    return Input(InputKind.F32, int(np.float32(value).view(np.uint32)))


def state(index: int) -> Input:
    return Input(InputKind.STATE, index)


def const(index: int) -> Input:
    return Input(InputKind.CONST, index)


def transpose(nodes: Nodes, x: Input) -> Input:
    rows, columns = nodes.type(x).shape
    return nodes.add(Op.VIEW, x, shape=(columns, rows), attrs=View((rows, columns), (0, 0), ((1, 1), (0, 1))))


def expand(nodes: Nodes, x: Input, shape: tuple[int, ...], axis: int) -> Input:
    """A vector spread along all axes of ``shape`` but ``axis``."""
    mapping = tuple((0, 1) if a == axis else (0, 0) for a in range(len(shape)))
    return nodes.add(Op.VIEW, x, shape=shape, dtype=nodes.type(x).dtype, attrs=View((shape[axis],), (0,), mapping))


def contract(nodes: Nodes, a: Input, b: Input) -> Input:
    """f32 [M, K], [N, K] -> [M, N], each row with its exponent."""
    parts: list[Input] = []
    for x in (a, b):
        e = nodes.add(Op.EXPONENT, x, attrs=(-113,))
        parts += [nodes.add(Op.QUANTIZE, x, e, attrs=(14,)), e]
    return nodes.add(Op.MATMUL, *parts)


def row_sum(nodes: Nodes, x: Input) -> Input:
    return nodes.add(Op.SUM, x, nodes.add(Op.EXPONENT, x, attrs=(-126,)))


def tiny_regression(batch: int = 12, features: int = 7, hidden: int = 5) -> tuple[Program, list[np.ndarray]]:
    """Two layers with tanh, squared error, SGD on random rows of a table; constants returned beside it."""
    rng = np.random.Generator(np.random.PCG64(7))
    table = rng.standard_normal((40, features)).astype(np.float32)
    target = rng.standard_normal(40).astype(np.float32)
    constants = [table, target]
    entries = [ConstantEntry(DType.F32, x.shape, tensor_root(x, DType.F32)) for x in constants]
    states = [StateEntry(DType.F32, (hidden, features)), StateEntry(DType.F32, (hidden,))]
    g = Nodes(states, entries)
    counter = g.add(Op.IOTA, shape=(batch,), dtype=DType.I32)
    base = g.add(Op.IMUL, Input(InputKind.STEP), Input(InputKind.I32, batch), dtype=DType.I32)
    spread = g.add(Op.VIEW, base, shape=(batch,), dtype=DType.I32, attrs=View((1,), (0,), ((0, 0),)))
    place = g.add(Op.IADD, counter, spread, shape=(batch,), dtype=DType.I32)
    place = g.add(Op.UMOD, place, Input(InputKind.I32, 40), shape=(batch,), dtype=DType.I32)
    rows = g.add(Op.SHUFFLE, place, Input(InputKind.I32, 0), shape=(batch,), dtype=DType.I32, attrs=(40, 3))
    x = g.add(Op.GATHER, const(0), rows)
    y = g.add(Op.GATHER, const(1), rows)
    h = g.add(Op.TANH, contract(g, x, state(0)), shape=(batch, hidden))
    bits = g.add(Op.RANDOM_BITS, Input(InputKind.STEP), shape=(batch, hidden), dtype=DType.I32, attrs=(9,))
    keep = g.add(
        Op.ULT,
        g.add(Op.SHR, bits, shape=(batch, hidden), dtype=DType.I32, attrs=(8,)),
        Input(InputKind.I32, 14_000_000),
        shape=(batch, hidden),
        dtype=DType.I32,
    )
    kept = g.add(Op.SELECT, keep, h, f32(0.0), shape=(batch, hidden))
    prediction = row_sum(g, g.add(Op.MUL, kept, expand(g, state(1), (batch, hidden), 1), shape=(batch, hidden)))
    error = g.add(Op.SUB, prediction, y, shape=(batch,))
    loss = row_sum(g, g.add(Op.MUL, error, error, shape=(batch,)))
    wide = expand(g, error, (batch, hidden), 0)
    grad_v = row_sum(g, transpose(g, g.add(Op.MUL, wide, kept, shape=(batch, hidden))))
    slope = g.add(Op.SUB, f32(1.0), g.add(Op.MUL, h, h, shape=(batch, hidden)), shape=(batch, hidden))
    back = g.add(Op.MUL, wide, expand(g, state(1), (batch, hidden), 1), shape=(batch, hidden))
    back = g.add(Op.MUL, back, slope, shape=(batch, hidden))
    back = g.add(Op.SELECT, keep, back, f32(0.0), shape=(batch, hidden))
    grad_w = contract(g, transpose(g, back), transpose(g, x))
    outputs = []
    for index, grad in ((0, grad_w), (1, grad_v)):
        shape = states[index].shape
        scaled = g.add(Op.MUL, grad, f32(0.05), shape=shape)
        outputs.append(g.add(Op.SUB, state(index), scaled, shape=shape))
    return g.finish(outputs, [loss]), constants


def tiny_state(hidden: int = 5, features: int = 7) -> list[np.ndarray]:
    rng = np.random.Generator(np.random.PCG64(8))
    return [
        rng.standard_normal((hidden, features)).astype(np.float32) * np.float32(0.3),
        rng.standard_normal(hidden).astype(np.float32),
    ]
