"""Accumulation, loss scaling and early stopping of a captured task."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lockstep.data import digits
from lockstep.engine.plan import estimate_memory
from lockstep.models import CNN
from lockstep.program import reference
from lockstep.program.builder import Builder
from lockstep.program.capture import CapturedTask, capture
from lockstep.program.infer import ProgramError
from lockstep.program.ops import Op
from lockstep.program.optimisers import SGD, Momentum
from lockstep.program.stopping import EarlyStopping
from lockstep.program.work import program_work
from tests.offchain.program.capturing import SEED, batch_of, classification, regression, start_state
from tests.offchain.program.float64_interpreter import run

Array = np.ndarray[Any, Any]
LOSS = nn.CrossEntropyLoss()


def tiny() -> nn.Module:
    torch.manual_seed(4)
    return nn.Sequential(nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, 5))


def steps_of(task: CapturedTask, steps: int) -> tuple[list[Array], list[list[float]]]:
    """State after some float64 steps, and each step's metrics."""
    state, metrics = start_state(task), []
    for step in range(steps):
        state, values = run(task.step, state, task.constants, step, SEED, task.step_literals)
        metrics.append([float(values[node]) for node in task.step.metrics])
    return state, metrics


# accumulation


def test_accumulated_batch_gives_the_update_of_the_whole_batch() -> None:
    data = classification((6,), rows=23)
    whole, cut = (capture(tiny(), LOSS, Momentum(0.1), data, 12, draw=False, accumulate=k) for k in (1, 3))
    assert cut.batch_size == whole.batch_size
    assert cut.steps_per_epoch == whole.steps_per_epoch
    assert cut.step.state == whole.step.state  # checkpoints are no larger
    (state, metrics), (expected, wanted) = steps_of(cut, 5), steps_of(whole, 5)
    np.testing.assert_allclose(metrics, wanted, rtol=1e-12)
    for value, want in zip(state, expected, strict=True):
        np.testing.assert_allclose(value, want, rtol=0, atol=1e-13)


def test_accumulated_batch_hands_batch_norms_statistics_on() -> None:
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(6, 7), nn.BatchNorm1d(7), nn.Linear(7, 5))
    data = classification((6,), rows=20)
    task = capture(model, LOSS, SGD(0.1), data, 12, draw=False, accumulate=3, metrics={})
    eager = copy.deepcopy(model).double()
    optimiser = torch.optim.SGD(eager.parameters(), 0.1)
    state = start_state(task)
    for step in range(3):
        state, values = run(task.step, state, task.constants, step, SEED, task.step_literals)
        (x,), y = batch_of(task, data, values)
        optimiser.zero_grad()
        losses = [LOSS(eager(part), targets) for part, targets in zip(x.chunk(3), y.chunk(3), strict=True)]
        loss = torch.stack(losses).mean()
        loss.backward()
        optimiser.step()
        assert abs(float(values[task.step.metrics[0]]) - loss.item()) < 1e-12
    for name, want in eager.state_dict().items():
        np.testing.assert_allclose(state[task.parameters[name]], want.numpy(), rtol=0, atol=1e-11, err_msg=name)


def test_accumulated_batch_draws_dropout_for_every_part() -> None:
    model = nn.Sequential(nn.Linear(6, 7), nn.Dropout(0.5), nn.Linear(7, 5))
    task = capture(model, LOSS, SGD(0.1), classification((6,), rows=8), 8, accumulate=4)
    sites = [node.attrs for node in task.step.nodes if node.op is Op.RANDOM_BITS]
    assert len(set(sites)) == len(sites) == 4


def test_accumulated_batch_needs_less_memory_for_about_the_same_work() -> None:
    train, _ = digits(flat=False)
    whole, cut = (capture(CNN(), LOSS, SGD(0.1), train, 64, accumulate=k).step for k in (1, 4))
    assert estimate_memory(cut) < estimate_memory(whole) / 2.5
    assert program_work(cut) < program_work(whole)


@pytest.mark.parametrize("parts", [0, 5, 13])
def test_parts_that_are_not_equal_are_refused(parts: int) -> None:
    with pytest.raises(ProgramError, match="micro-batches are of equal size"):
        capture(tiny(), LOSS, SGD(0.1), classification((6,), rows=23), 12, accumulate=parts)


# loss scaling


def test_loss_scale_changes_neither_update_nor_loss_in_float64() -> None:
    data = classification((6,), rows=23)
    plain, scaled = (capture(tiny(), LOSS, SGD(0.1), data, 12, draw=False, loss_scale=s) for s in (1.0, 2.0**12))
    (state, metrics), (expected, wanted) = steps_of(scaled, 3), steps_of(plain, 3)
    assert metrics == wanted
    for value, want in zip(state, expected, strict=True):
        np.testing.assert_allclose(value, want, rtol=0, atol=1e-14)


def test_loss_scale_keeps_gradients_that_quantisation_would_lose() -> None:
    def faint(output: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.mse_loss(output, targets) * 2.0**-120

    torch.manual_seed(6)
    model, data = nn.Linear(4, 2, bias=False), regression((4,), (2,))
    moved = []
    for scale in (1.0, 2.0**60):
        task = capture(model, faint, SGD(2.0**118), data, 6, draw=False, loss_scale=scale)
        start = reference.evaluate(task.init, [], task.constants, 0, SEED)[0]
        after = reference.evaluate(task.step, start, task.constants, 0, SEED)[0]
        moved.append(after[0] - start[0])
    x, y = torch.from_numpy(data.inputs), torch.from_numpy(data.targets)
    nn.functional.mse_loss(model(x), y).backward()
    assert model.weight.grad is not None
    want = -model.weight.grad.numpy() / 4
    assert np.abs(moved[1] - want).max() < 1e-3 * np.abs(want).max() < np.abs(moved[0] - want).max()


@pytest.mark.parametrize("scale", [0.0, 3.0, -2.0, float("inf"), float("nan"), 2.0**65])
def test_loss_scale_that_is_no_power_of_two_is_refused(scale: float) -> None:
    with pytest.raises(ProgramError, match="it is a power of two"):
        capture(tiny(), LOSS, SGD(0.1), classification((6,)), 6, loss_scale=scale)


# early stopping


def stops(stopping: EarlyStopping, losses: list[float]) -> list[float]:
    """The metric of each step, in exact arithmetic."""
    b = Builder()
    state = stopping.add_state(b)
    loss = b.gather(b.add_constant("losses", np.array(losses, np.float32)), b.step)
    after = stopping.emit(b, state, loss)
    program = b.finish(list(after.values()), {"stop": stopping.metric(b, after)})
    values: list[Array] = [np.zeros((), np.float32) for _ in state]
    found = []
    for step in range(len(losses)):
        values, nodes = reference.evaluate(program.program, values, program.constants, step, SEED)
        found.append(float(nodes[program.program.metrics[0]]))
    return found


def expected_stops(patience: int, smoothing: float, min_delta: float, losses: list[float]) -> list[float]:
    """The docstring's words in float64."""
    average, best, stale, found = 0.0, np.inf, 0, []
    for count, loss in enumerate(losses, 1):
        average = smoothing * average + (1 - smoothing) * loss
        running = average / (1 - smoothing**count)
        if stale < patience:
            stale = 0 if running < best - min_delta else stale + 1
            best = running if stale == 0 else best
        found.append(float(stale >= patience))
    return found


@pytest.mark.parametrize(("patience", "smoothing", "min_delta"), [(5, 0.0, 0.0), (3, 0.9, 0.0), (4, 0.5, 0.03)])
def test_stop_is_raised_after_patience_steps_without_progress_and_stays(
    patience: int, smoothing: float, min_delta: float
) -> None:
    rng = np.random.default_rng(8)
    curve = 1.0 / np.arange(1, 41) + 0.02 * rng.standard_normal(40)
    losses = [float(x) for x in np.concatenate([curve, np.linspace(0.2, 2.0, 10), np.full(4, -3.0)])]
    found = stops(EarlyStopping(patience, smoothing, min_delta), losses)
    assert found == expected_stops(patience, smoothing, min_delta, losses)
    assert found[0] == 0.0
    assert found[-1] == 1.0


def test_stop_is_not_raised_while_the_loss_falls() -> None:
    assert set(stops(EarlyStopping(1, 0.9), list(np.linspace(3.0, 1.0, 30)))) == {0.0}


def test_stop_is_raised_when_the_loss_is_nan() -> None:
    assert stops(EarlyStopping(3), [1.0, float("nan"), 0.5, 0.4, 0.3]) == [0.0, 0.0, 0.0, 1.0, 1.0]


def test_stop_is_a_metric_of_step_and_evaluation() -> None:
    data = classification((6,), rows=24)
    stopping = EarlyStopping(2, smoothing=0.0, min_delta=100.0)  # nothing but the first step is progress
    task = capture(tiny(), LOSS, SGD(0.1), data, 12, evaluation=data, early_stopping=stopping)
    assert task.names.metrics == ("loss", "accuracy", "stop")
    assert task.evaluate is not None
    assert task.evaluate.names.metrics == task.names.metrics
    assert task.names.state[-4:] == stopping.names
    state, metrics = steps_of(task, 4)
    assert [row[-1] for row in metrics] == [0.0, 0.0, 1.0, 1.0]
    kept, values = run(task.evaluate, state, task.evaluation_constants, 0, SEED)
    assert float(values[task.evaluate.metrics[-1]]) == 1.0
    assert all(np.array_equal(a, b) for a, b in zip(kept, state, strict=True))


def test_metric_of_the_same_name_is_refused() -> None:
    data, metrics = classification((6,)), {"stop": LOSS}
    with pytest.raises(ProgramError, match="give it another name"):
        capture(tiny(), LOSS, SGD(0.1), data, 6, metrics=metrics, early_stopping=EarlyStopping(2))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"patience": 0}, "patience is 0"),
        ({"patience": 2, "smoothing": 1.0}, "smoothing is 1.0"),
        ({"patience": 2, "min_delta": -1.0}, "min_delta is -1.0"),
    ],
)
def test_early_stopping_out_of_range_is_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        EarlyStopping(**settings)
