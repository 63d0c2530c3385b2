"""Activation checkpointing: another program, the same states, fewer bytes alive at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from lockstep.data import digits
from lockstep.engine.checkpoint import state_root
from lockstep.engine.native.lower import lower
from lockstep.engine.plan import make_plan
from lockstep.engine.run import Runner
from lockstep.engine.segment import initial_state
from lockstep.engine.stream import NodeStream
from lockstep.models import CNN, GPT
from lockstep.models.gpt import next_token_loss
from lockstep.program.capture import CapturedTask, capture
from lockstep.program.infer import ProgramError
from lockstep.program.ops import InputKind, Op
from lockstep.program.optimisers import SGD, Adam
from lockstep.program.recompute import working_bytes
from lockstep.program.selection import Dataset
from lockstep.program.spec import check_program
from lockstep.program.work import program_work

SEED = 0xC0DE


@cache
def gpt(recompute: int | None = None) -> CapturedTask:
    """With dropout, and two micro-batches a step."""
    torch.manual_seed(1)
    tokens = np.random.default_rng(2).integers(0, 40, (16, 17)).astype(np.int32)
    data = Dataset(np.ascontiguousarray(tokens[:, :-1]), np.ascontiguousarray(tokens[:, 1:]), scale=None)
    model = GPT(vocabulary=40, context=16, layers=3, width=16, heads=2, dropout=0.2, tied=True)
    return capture(model, next_token_loss, Adam(lr=1e-2), data, 16, accumulate=2, recompute=recompute)


@cache
def cnn(recompute: int | None = None) -> CapturedTask:
    """With batch norm, whose statistics the forward pass changes."""
    torch.manual_seed(1)
    model = CNN(widths=(8, 8), norm="batch")
    return capture(model, nn.CrossEntropyLoss(), SGD(lr=0.1), digits(flat=False)[0], 64, recompute=recompute)


def roots(task: CapturedTask, *, native: bool | None) -> list[bytes]:
    """Root of the state after each of two steps."""
    state, found = initial_state(task.init, task.constants, SEED), []
    runner = Runner(task.step, task.constants, SEED, native=native)
    for step in range(2):
        state, _ = runner.step(state, step)
        found.append(state_root(state))
    return found


def arena(task: CapturedTask) -> int:
    """Bytes of values that the native engine holds."""
    outputs = [source for source in task.step.nodes[-1].inputs if source.kind is InputKind.NODE]
    return lower(task.step, outputs, SEED).arena_bytes


@pytest.mark.parametrize(("build", "share", "native"), [(gpt, 0.6, None), (cnn, 0.88, False)], ids=["gpt", "cnn"])
def test_recomputed_step_has_the_same_states_in_less_memory(
    build: Callable[..., CapturedTask], share: float, native: bool | None
) -> None:
    plain = build()
    budget = int(working_bytes(plain.step) * share)
    task = build(budget)
    check_program(task.step)
    assert task.init == plain.init
    assert working_bytes(task.step) <= budget
    assert make_plan(task.step).peak_bytes < make_plan(plain.step).peak_bytes
    assert len(task.step.nodes) > len(plain.step.nodes)
    assert program_work(task.step) < 1.4 * program_work(plain.step)
    assert roots(task, native=native) == roots(plain, native=native)


def test_recomputed_transformer_takes_less_of_the_native_engine() -> None:
    plain = gpt()
    assert arena(gpt(int(working_bytes(plain.step) * 0.6))) < 0.85 * arena(plain)


def test_recomputed_program_keeps_what_its_author_knows() -> None:
    plain = gpt()
    task = gpt(int(working_bytes(plain.step) * 0.6))
    state = initial_state(task.init, task.constants, SEED)
    constants = [torch.from_numpy(array) for array in task.constants]
    mine, theirs = (
        NodeStream(found.step, constants, SEED).some(found.gradients.values(), state, 0, {}) for found in (task, plain)
    )
    assert task.gradients.keys() == plain.gradients.keys()
    for name, node in task.gradients.items():
        assert torch.equal(mine[node], theirs[plain.gradients[name]])
    for (node, slot), exact in task.step_literals.items():
        source = task.step.nodes[node].inputs[slot]
        assert source.kind is InputKind.F32
        assert np.float32(exact).view(np.uint32) == source.value
    assert len(task.step_literals) > len(plain.step_literals)
    assert len(task.step.names.nodes) > len(plain.step.names.nodes)
    assert set(task.step.names.nodes.values()) == set(plain.step.names.nodes.values())


def test_recomputed_program_draws_every_number_once() -> None:
    plain = gpt()
    task = gpt(int(working_bytes(plain.step) * 0.6))
    draws = [
        [node.attrs for node in found.step.nodes if node.op in (Op.RANDOM_BITS, Op.SHUFFLE)] for found in (task, plain)
    ]
    assert draws[0] == draws[1]
    assert len(draws[0]) > 8


def test_recompute_within_the_budget_changes_nothing() -> None:
    plain = gpt()
    assert gpt(working_bytes(plain.step)).step == plain.step


def test_recompute_beyond_what_is_possible_is_refused_with_a_sentence() -> None:
    with pytest.raises(ProgramError, match=r"values take at least [\d,]+ bytes at once, .* and 1,000 are allowed"):
        gpt(1000)
