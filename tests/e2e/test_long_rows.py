"""A lie in an element whose row one leaf does not carry, convicted on chain by agents alone, to the last move."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

from lockstep.agents.claimant import MOVES
from lockstep.agents.defender import Defender
from lockstep.agents.replica import Tamper
from lockstep.agents.solver import Solver
from lockstep.agents.submitter import Submitter
from lockstep.agents.verifier import Verifier
from lockstep.agents.workload import Workload, make_workload
from lockstep.chain.lockstep import PostedTask
from lockstep.chain.types import TaskState
from lockstep.cli.demo.acts import make_verifier
from lockstep.cli.demo.stage import Stage, describe
from lockstep.dispute.evidence import Evidence
from lockstep.dispute.moves import Move, RevealParts
from lockstep.dispute.position import Position
from lockstep.numerics.dtypes import DType
from lockstep.program.builder import Builder
from lockstep.program.ops import ROW_BLOCK, Op
from tests.offchain.dispute.long_world import forged_reveal

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]

LENGTH = ROW_BLOCK + 7
SEGMENT = 4
F32, I32 = DType.F32, DType.I32
ENTRIES = {
    Op.MATMUL: ("product", F32, (1, 1)),
    Op.SUM: ("sum", F32, (1,)),
    Op.REDUCE_MAX: ("largest", F32, (1,)),
    Op.ARGMAX: ("place", I32, (1,)),
    Op.EXPONENT: ("exponent", I32, (1,)),
    Op.SCATTER_ADD: ("sums", F32, (1, 2)),
}
"""What the task keeps of each op's node."""


def with_entries(b: Builder) -> Builder:
    b.add_state("row", F32, (1, LENGTH))
    for name, dtype, shape in ENTRIES.values():
        b.add_state(name, dtype, shape)
    return b


@cache
def workload() -> Workload:
    """A row of random numbers that each step negates, and one node of every op that reduces it."""
    init = with_entries(Builder(init=True))
    row = init.cast(init.shr(init.random_bits((1, LENGTH)), 8), F32)
    zeros = [init.cast(init.isub(init.iota(shape), init.iota(shape)), dtype) for _, dtype, shape in ENTRIES.values()]
    first = init.finish([row, *zeros]).program

    b = Builder()
    row = b.neg(b.add_state("row", F32, (1, LENGTH)))
    for name, dtype, shape in ENTRIES.values():
        b.add_state(name, dtype, shape)
    made = {
        Op.MATMUL: b.contract(row, row),
        Op.SUM: b.sum_rows(row),
        Op.REDUCE_MAX: b.max_rows(row),
        Op.ARGMAX: b.argmax_rows(row),
        Op.EXPONENT: b.cast(b.exponent(row), I32),
        Op.SCATTER_ADD: b.scatter_add(row, b.bit_and(b.iota((LENGTH,)), 1), 2),
    }
    step = b.finish([row, *(made[op] for op in ENTRIES)]).program
    return make_workload(first, step, [], [])


def next_bits(value: Tensor) -> Tensor:
    """The value with the first element's bits one higher."""
    changed = value.clone()
    flat = changed.reshape(-1)
    (flat.view(torch.int32) if value.dtype == torch.float32 else flat)[0] += 1
    return changed


class ForgingVerifier(Verifier):
    """Gets one element of one node wrong in a segment's last step, and hides that in a part of the element's row."""

    def __init__(self, *arguments: object, op: Op, **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        self.op = op

    def tamper(self, posted: PostedTask, segment: int) -> Tamper | None:
        if segment != 1:
            return None
        nodes = self.bench(posted).workload.step.nodes
        return {SEGMENT - 1: {next(index for index, node in enumerate(nodes) if node.op is self.op): next_bits}}

    def reveal(self, position: Position, evidence: Evidence) -> Move | None:
        move = super().reveal(position, evidence)
        if not isinstance(move, RevealParts):
            return move
        forged = forged_reveal(move, position, evidence, 1)
        assert forged is not None
        return forged


@pytest.mark.parametrize(
    "op",
    [op if op is Op.MATMUL else pytest.param(op, marks=pytest.mark.long) for op in ENTRIES],
    ids=lambda op: op.name.lower(),
)
def test_lie_in_a_long_row_falls_to_the_solver(stage: Stage, op: Op) -> None:
    world, name = stage.world, op.name.lower()
    submitter = world.agent(Submitter, f"{name} submitter")
    posted = submitter.submit(workload(), stage.order("a long row", 2 * SEGMENT, SEGMENT))
    task = posted.terms.id
    verifier = make_verifier(stage, ForgingVerifier, f"{name} verifier", posted, 3, op=op)
    solver = world.agent(Solver, f"{name} solver", [task])
    lines: tuple[list[str], list[str]] = [], []
    defender = Defender(solver.lockstep, solver.store, solver.journal, lines[0].append, only=[task])
    verifier.narrate = lines[1].append
    state = world.run(task, [solver, defender, verifier])
    world.dismiss(verifier)
    assert state is TaskState.SETTLED
    assert describe(world, task, state) == f"settled; {name} verifier convicted"
    for move in ("revealParts", "pickElement", "provePart"):
        assert sum(line.startswith(MOVES[move]) for line in lines[move == "revealParts"]) == 1
