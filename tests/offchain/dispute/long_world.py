"""Tasks with one element whose row has two blocks, and a defender that lies about it down to the parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from lockstep.commitments.tensor import tensor_root
from lockstep.dispute.evidence import Evidence
from lockstep.dispute.moves import Move, RevealParts
from lockstep.dispute.position import Position
from lockstep.engine.trace import StepOpening
from lockstep.numerics.dtypes import ITEMSIZE, DType
from lockstep.program.graph import ConstantEntry, Input, Node, Program, StateEntry
from lockstep.program.long_rows import combine, decode_parts, encode_parts
from lockstep.program.ops import EXPONENT_FLOOR_QUANTIZE, EXPONENT_FLOOR_SUM, QUANTIZE_BITS, InputKind, Op
from tests.offchain.dispute.world import Match, TestRun, World, changed

F32, I32, M16, E16 = DType.F32, DType.I32, DType.M16, DType.E16
WORD = 2**32 - 1


def long_world(op: Op, length: int, rng: np.random.Generator) -> World:
    """A step whose node of ``op`` reduces the state's row of ``length``, a constant's, or an earlier node's.

    The matmul's rows are mantissas, so nodes; the other ops take the row from where the generator says. An
    exponent is cast to i32, since no state holds one.
    """
    x = torch.from_numpy(rng.integers(-(2**20), 2**20, (1, length)).astype(np.float32))
    index = torch.from_numpy(rng.integers(-1, 3, length).astype(np.int32))
    nodes: list[Node] = []

    def add(op: Op, dtype: DType, shape: tuple[int, ...], *inputs: Input, attrs: tuple[int, ...] = ()) -> Input:
        nodes.append(Node(op, dtype, shape, inputs, attrs))
        return Input(InputKind.NODE, len(nodes) - 1)

    place = int(rng.integers(0, 3))
    row = Input(InputKind.STATE, 0) if place == 0 else Input(InputKind.CONST, 0)
    if place == 2:
        row = add(Op.NEG, F32, x.shape, row)
    match op:
        case Op.MATMUL:
            e = add(Op.EXPONENT, E16, (1,), row, attrs=(EXPONENT_FLOOR_QUANTIZE,))
            m = add(Op.QUANTIZE, M16, (1, length), row, e, attrs=(QUANTIZE_BITS,))
            out = add(op, F32, (1, 1), m, e, m, e)
        case Op.SUM | Op.SCATTER_ADD:
            e = add(Op.EXPONENT, E16, (1,), row, attrs=(EXPONENT_FLOOR_SUM,))
            if op is Op.SUM:
                out = add(op, F32, (1,), row, e)
            else:
                out = add(op, F32, (1, 2), row, Input(InputKind.CONST, 1), e)
        case Op.EXPONENT:
            out = add(Op.CAST, I32, (1,), add(op, E16, (1,), row, attrs=(EXPONENT_FLOOR_SUM,)))
        case _:
            out = add(op, I32 if op is Op.ARGMAX else F32, (1,), row)
    made = nodes[out.value]
    entries = (StateEntry(F32, (1, length), True), StateEntry(made.dtype, made.shape))
    nodes.append(Node(Op.STATE, DType.ROOT, (2,), (Input(InputKind.STATE, 0), out)))
    constants = tuple(
        ConstantEntry(dtype, tuple(value.shape), tensor_root(value.numpy(), dtype))
        for dtype, value in ((F32, x), (I32, index))
    )
    start = torch.zeros(made.shape, dtype=torch.int32 if made.dtype is I32 else torch.float32)
    return World(Program(tuple(nodes), entries, constants), [x, start], [x, index], steps=1, segment_steps=1)


def node_of(world: World, op: Op) -> int:
    """The last node of an op."""
    return max(index for index, node in enumerate(world.step.nodes) if node.op is op)


def lying_run(world: World, op: Op, rng: np.random.Generator) -> TestRun:
    """A run that gets one element of the op's node wrong; what follows is computed from that."""
    run = world.run()
    node = node_of(world, op)

    def override(honest: StepOpening) -> Mapping[int, Tensor]:
        value = honest.value(node)
        if op is Op.EXPONENT:
            return {node: value + 1}
        return {node: changed(value, world.step.nodes[node].dtype, rng)}

    run.overrides[0] = override
    return run


def forged_parts(
    node: Node, exponents: Sequence[int], truth: Sequence[int], stated: bytes, hidden: int
) -> list[int] | None:
    """Parts that combine to the element stated, most of them true; None where none do.

    ``hidden`` is the block whose part is changed first.
    """
    parts = list(truth)
    bits = int.from_bytes(stated, "little")
    if node.op in (Op.MATMUL, Op.SUM, Op.SCATTER_ADD):
        value = float(np.uint32(bits).view(np.float32))
        power = sum(exponents) - (26 if node.op is Op.MATMUL else 33)
        parts[hidden] += round(value * 2.0**-power) - sum(truth)
    else:
        if node.op is Op.EXPONENT:
            target = int(np.uint16(bits).view(np.int16))
        else:
            signed = int(np.uint32(bits).view(np.int32))
            target = signed ^ (0x7FFFFFFF if signed < 0 else 0)
            if node.op is Op.ARGMAX:
                target = (max(truth) >> 32 << 32) + WORD - bits
        parts = [min(part, target) for part in parts]
        parts[hidden] = target
    return parts if combine(node, exponents, parts) == stated else None


def forged_reveal(move: RevealParts, position: Position, evidence: Evidence, hidden: int) -> RevealParts | None:
    """The reveal with a lie in it that makes the element stated; None where there is none."""
    dispute = position.dispute
    packed = int.from_bytes(dispute.target, "big")
    node = evidence.program(dispute.step).nodes[dispute.node]
    exponents = [int(np.uint16(packed >> shift & 0xFFFF).view(np.int16)) for shift in (64, 80)]
    stated = (packed & WORD).to_bytes(4, "little")[: ITEMSIZE[node.dtype]]
    count = {Op.MATMUL: 2, Op.SUM: 1, Op.SCATTER_ADD: 1}.get(node.op, 0)
    forged = forged_parts(node, exponents[:count], decode_parts(move.parts), stated, hidden)
    return None if forged is None else RevealParts(move.node, encode_parts(forged))


class LyingMatch(Match):
    """A match whose defender hides its lie in the parts, where it can."""

    hidden = 0

    def reveal(self, position: Position) -> Move | None:
        move = super().reveal(position)
        if not isinstance(move, RevealParts):
            return move
        forged = forged_reveal(move, position, self.evidence[0], self.hidden)
        return move if forged is None else forged
