"""Whole disputes about real architectures: a lie deep inside a step, played through every phase by the agents."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lockstep.agents.replica import Tamper
from lockstep.agents.solver import Solver
from lockstep.agents.submitter import Submitter
from lockstep.agents.verifier import Verifier
from lockstep.agents.whistleblower import Whistleblower
from lockstep.agents.workload import Workload, make_workload
from lockstep.chain.lockstep import PostedTask
from lockstep.chain.types import TaskState
from lockstep.cli.demo.acts import make_verifier
from lockstep.cli.demo.stage import Stage, describe
from lockstep.program.ops import Op
from tests.zoo import zoo_task

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]

MODELS = ("lstm", *(pytest.param(name, marks=pytest.mark.long) for name in ("resnet18", "gpt-mini", "bert-tiny")))
"""Smaller ones of these architectures."""
STEPS, SEGMENT_STEPS, LIED_SEGMENT, LIED_STEP = 4, 2, 2, 1
REVEALS = ("revealStates", "revealStep", "revealNodes", "revealChunks", "revealData")
PICKS = ("pickStep", "pickBlock", "pickNode", "pickChunk", "prove")


def workload_of(model: str) -> Workload:
    task = zoo_task(model)
    return make_workload(task.init, task.step, task.constants, task.constants)


def middle_product(workload: Workload) -> int:
    """Of the products of more than a chunk, the node in the middle of the step."""
    nodes = workload.step.nodes
    large = [index for index, node in enumerate(nodes) if node.op is Op.MATMUL and node.type.elements > 256]
    return large[len(large) // 2]


def double(tensor: Tensor) -> Tensor:
    """The tensor with its largest element twice as large: the exponent's lowest bit, or the carry out of it."""
    changed = tensor.clone()
    flat = changed.reshape(-1)
    flat[int(torch.argmax(flat.abs()))] *= 2
    return changed


class LiarWithin(Verifier):
    """Condemns good work by a run in which one product in the middle of one step is wrong."""

    def __init__(self, *arguments: Any, node: int, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.node = node

    def tamper(self, posted: PostedTask, segment: int) -> Tamper | None:
        return {LIED_STEP: {self.node: double}} if segment == LIED_SEGMENT else None


@pytest.mark.parametrize("model", MODELS)
def test_lie_in_the_middle_of_a_step_is_convicted_move_by_move(stage: Stage, model: str) -> None:
    world, workload, prefix = stage.world, workload_of(model), f"14 {model}"
    submitter = world.agent(Submitter, f"{prefix} submitter")
    posted = submitter.submit(workload, stage.order(model, STEPS, SEGMENT_STEPS))
    task = posted.terms.id
    solver = world.agent(Solver, f"{prefix} solver", [task])
    liar = make_verifier(stage, LiarWithin, f"{prefix} verifier", posted, 3, node=middle_product(workload))
    watcher = world.agent(Whistleblower, f"{prefix} whistleblower", [task])
    world.gas_used()
    state = world.run(task, [solver, liar, watcher])
    world.dismiss(liar)
    assert state is TaskState.SETTLED
    assert describe(world, task, state) == f"settled; {prefix} verifier convicted"
    gas = world.gas_used()
    assert all(gas.get(move) for move in (*REVEALS, *PICKS)), sorted(gas)
    print(
        f"{model}: {sum(sum(gas[move]) for move in (*REVEALS, *PICKS))} gas in all moves, {sum(gas['prove'])} in prove"
    )
