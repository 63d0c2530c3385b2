"""Steps on stated sums: the same bits as the step itself, on both engines; a false sum is caught wherever it is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lockstep.data import digits
from lockstep.engine.errors import EngineError
from lockstep.engine.freivalds import CheckedRunner
from lockstep.engine.native.library import load
from lockstep.engine.routes import same_bits
from lockstep.engine.run import Runner
from lockstep.engine.segment import initial_state
from lockstep.engine.sums import FalseSumsError, Summing, carried_nodes
from lockstep.models import CNN, GPT, MLP, AttentionClassifier, next_token_loss
from lockstep.numerics.contraction import integer_sums
from lockstep.numerics.dtypes import DType
from lockstep.program.capture import CapturedTask, capture
from lockstep.program.graph import Input, Node, Program, StateEntry, View
from lockstep.program.ops import InputKind, Op
from lockstep.program.optimisers import Adam
from lockstep.program.reference import evaluate_node
from lockstep.program.selection import Dataset

SEED, STEP = 11, 3
NAMES = ("mlp", "cnn", "attention", "gpt")
ENGINES = [pytest.param(False, id="torch"), pytest.param(True, id="native")]


@dataclass(frozen=True)
class Scene:
    """A captured step with the sums of all its contractions, and what it ends in."""

    task: CapturedTask
    carried: tuple[int, ...]
    state: list[Tensor]
    sums: list[np.ndarray]
    after: list[Tensor]
    metrics: list[float]


def captured(name: str) -> CapturedTask:
    loss, adam = nn.CrossEntropyLoss(), Adam(lr=3e-3)
    torch.manual_seed(1)
    match name:
        case "mlp":
            return capture(MLP(), loss, adam, digits()[0], batch_size=16)
        case "cnn":
            return capture(CNN(), loss, adam, digits(flat=False)[0], batch_size=8)
        case "attention":
            return capture(AttentionClassifier(), loss, adam, digits(flat=False)[0], batch_size=4)
    words = np.random.default_rng(1).integers(0, 200, (20, 9)).astype(np.uint8)
    data = Dataset(words[:, :-1], words[:, 1:], scale=None)
    return capture(GPT(200, 8, layers=1, width=32, heads=2), next_token_loss, adam, data, batch_size=4)


@cache
def scene(name: str) -> Scene:
    task = captured(name)
    carried = carried_nodes(task.step, 0)
    state = initial_state(task.init, task.constants, SEED)
    sums = [tensor.numpy() for tensor in Summing(task.step, task.constants, SEED, carried).run(state, STEP)]
    after, metrics = Runner(task.step, task.constants, SEED).step(state, STEP)
    return Scene(task, carried, state, sums, after, metrics)


def checked(name: str, native: bool) -> CheckedRunner:
    if native and load() is None:
        pytest.skip("There is no native engine here (no compiler, or LOCKSTEP_NATIVE=0).")
    s = scene(name)
    runner = CheckedRunner(s.task.step, s.task.constants, SEED, s.carried, native=native)
    assert runner.is_native == native
    return runner


@pytest.mark.parametrize("native", ENGINES)
@pytest.mark.parametrize("name", NAMES)
def test_step_on_right_sums_ends_as_the_step_does(name: str, native: bool) -> None:
    s = scene(name)
    assert len(s.carried) == sum(node.op is Op.MATMUL for node in s.task.step.nodes)
    after, metrics = checked(name, native).step(s.state, STEP, s.sums, b"entropy")
    assert metrics == s.metrics
    for found, wanted, entry in zip(after, s.after, s.task.step.state, strict=True):
        assert same_bits(found, wanted.numpy(), entry.dtype)


@pytest.mark.parametrize("name", NAMES)
def test_one_sum_changed_by_one_is_caught_in_every_contraction(name: str) -> None:
    s, runner = scene(name), checked(name, native=True)
    rng = np.random.default_rng(5)
    for place, (node, honest) in enumerate(zip(s.carried, s.sums, strict=True)):
        for change in (1, -1):
            wrong = honest.copy()
            wrong.reshape(-1)[rng.integers(wrong.size)] += change
            with pytest.raises(FalseSumsError) as caught:
                runner.step(s.state, STEP, [*s.sums[:place], wrong, *s.sums[place + 1 :]], b"entropy")
            assert caught.value.node == node
            assert f"node {node} (matmul f32[" in str(caught.value)
    runner.step(s.state, STEP, s.sums, b"entropy")  # a refusal leaves nothing behind


def test_one_sum_changed_by_one_is_caught_without_the_native_engine() -> None:
    s, runner = scene("mlp"), checked("mlp", native=False)
    for place, (node, honest) in enumerate(zip(s.carried, s.sums, strict=True)):
        wrong = honest.copy()
        wrong.reshape(-1)[-1] -= 1
        with pytest.raises(FalseSumsError) as caught:
            runner.step(s.state, STEP, [*s.sums[:place], wrong, *s.sums[place + 1 :]], b"entropy")
        assert caught.value.node == node


@pytest.mark.parametrize("native", ENGINES)
def test_sums_of_another_step_are_caught(native: bool) -> None:
    s = scene("mlp")
    other = [t.numpy() for t in Summing(s.task.step, s.task.constants, SEED, s.carried).run(s.after, STEP + 1)]
    with pytest.raises(FalseSumsError):
        checked("mlp", native).step(s.state, STEP, other, b"entropy")


def test_sums_of_both_engines_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    s = scene("cnn")
    monkeypatch.setenv("LOCKSTEP_NATIVE", "0")
    plain = Summing(s.task.step, s.task.constants, SEED, s.carried).run(s.state, STEP)
    assert all((a.numpy() == b).all() for a, b in zip(plain, s.sums, strict=True))


def product(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[Program, list[np.ndarray]]:
    """One contraction, of any mantissas and of exponents of every kind, as a program with its state."""
    rng = np.random.default_rng(math.prod(left))
    arrays = []
    for shape in (left, right):
        arrays.append(rng.integers(-(1 << 14), (1 << 14) + 1, shape).astype(np.int16))
        arrays.append(rng.choice(np.array([-113, -100, -60, 0, 3, 60, 127, 255, -114, 128], np.int16), shape[:-1]))
    dtypes = (DType.M16, DType.E16, DType.M16, DType.E16)
    inputs = tuple(Input(InputKind.STATE, place) for place in range(4))
    out = Node(Op.MATMUL, DType.F32, (*left[:-1], right[-2]), inputs)
    entries = [StateEntry(d, a.shape) for d, a in zip(dtypes, arrays, strict=True)]
    last = Node(Op.STATE, DType.ROOT, (5,), (*inputs, Input(InputKind.NODE, 0)))
    return Program((out, last), (*entries, StateEntry(DType.F32, out.shape)), ()), arrays


@pytest.mark.parametrize("native", ENGINES)
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((1, 1), (1, 1)),
        ((17, 33), (5, 33)),
        ((3, 2, 65, 7), (3, 2, 19, 7)),
        ((70, 5), (9001, 5)),
        ((3, 50_000), (20, 50_000)),
    ],
)
def test_rounding_and_check_of_one_contraction(left: tuple[int, ...], right: tuple[int, ...], native: bool) -> None:
    if native and load() is None:
        pytest.skip("There is no native engine here (no compiler, or LOCKSTEP_NATIVE=0).")
    program, arrays = product(left, right)
    node = program.nodes[0]
    wanted = evaluate_node(node, arrays, 0, 0)
    sums = integer_sums(arrays[0], arrays[2])
    state = [*arrays, np.zeros(node.shape, np.float32)]
    for threads in (1, 2) if native else (1,):
        runner = CheckedRunner(program, (), 0, (0,), threads=threads, native=native)
        after, _ = runner.step(state, 0, [sums], b"entropy")
        assert same_bits(after[4], wanted, DType.F32)
        for place in (0, sums.size // 2, sums.size - 1):
            for value in (sums.reshape(-1)[place] + 1, 1 << 62, -(1 << 63)):
                wrong = sums.copy()
                wrong.reshape(-1)[place] = value
                with pytest.raises(FalseSumsError):
                    runner.step(state, 0, [wrong], b"entropy")


def transposed(program: Program, arrays: list[np.ndarray]) -> tuple[Program, list[np.ndarray]]:
    """The same contraction with both operands' mantissas lying column by column."""
    node, last = program.nodes
    views, types, lying = [], list(program.state), list(arrays)
    for place in (0, 2):
        rows, terms = arrays[place].shape
        lying[place] = np.ascontiguousarray(arrays[place].T)
        types[place] = StateEntry(DType.M16, (terms, rows))
        turn = View((terms, rows), (0, 0), ((1, 1), (0, 1)), 0)
        views.append(Node(Op.VIEW, DType.M16, (rows, terms), (Input(InputKind.STATE, place),), turn))
    inputs = (Input(InputKind.NODE, 0), node.inputs[1], Input(InputKind.NODE, 1), node.inputs[3])
    ends = (*last.inputs[:4], Input(InputKind.NODE, 2))
    return Program((*views, replace(node, inputs=inputs), replace(last, inputs=ends)), tuple(types), ()), lying


@pytest.mark.parametrize("turned", [False, True], ids=["rows", "columns"])
@pytest.mark.parametrize(
    ("left", "right"),
    [((1100, 3), (2000, 3)), ((1050, 4101), (70, 4101)), ((30, 9), (4500, 9)), ((2, 2050), (530, 2050))],
)
def test_large_contraction_however_it_lies_is_rounded_and_checked(
    left: tuple[int, ...], right: tuple[int, ...], turned: bool
) -> None:
    """Results past the cache, rows of several stretches, strips and parts that are not whole."""
    if load() is None:
        pytest.skip("There is no native engine here (no compiler, or LOCKSTEP_NATIVE=0).")
    program, arrays = product(left, right)
    sums = integer_sums(arrays[0], arrays[2])
    if turned:
        program, arrays = transposed(program, arrays)
    index = len(program.nodes) - 2
    state = [*arrays, np.zeros(sums.shape, np.float32)]
    wanted, _ = Runner(program, (), 0, threads=1).step(state, 0)
    for threads in (1, 2):
        runner = CheckedRunner(program, (), 0, (index,), threads=threads, native=True)
        after, _ = runner.step(state, 0, [sums], b"entropy")
        assert same_bits(after[4], wanted[4].numpy(), DType.F32)
        for place in (0, sums.size // 3, sums.size - 1):
            sums.reshape(-1)[place] -= 1
            with pytest.raises(FalseSumsError):
                runner.step(state, 0, [sums], b"entropy")
            sums.reshape(-1)[place] += 1


def test_only_contractions_dearer_to_do_than_to_check_are_carried() -> None:
    program = scene("gpt").task.step
    assert carried_nodes(program) == ()
    some = carried_nodes(program, 4)
    assert 0 < len(some) < len(scene("gpt").carried)
    for index in scene("gpt").carried:
        node = program.nodes[index]
        left, right = (program.input_type(node.inputs[slot]) for slot in (0, 2))
        work = node.type.elements * left.shape[-1]
        assert (index in some) == (work >= 4 * (left.elements + right.elements + node.type.elements))


def test_false_sums_are_an_engine_error() -> None:
    assert issubclass(FalseSumsError, EngineError)
