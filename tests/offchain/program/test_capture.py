"""Captured tasks: optimisers over many steps, refusals with source lines, hashes, dropout, starts, exact runs."""

from __future__ import annotations

import copy
import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lockstep.data import digits
from lockstep.models import CNN, MLP
from lockstep.numerics.dtypes import DType
from lockstep.program import reference
from lockstep.program.capture import CapturedTask, CaptureError, capture
from lockstep.program.encoding import commit_program, decode_program, encode_node
from lockstep.program.infer import ProgramError
from lockstep.program.ops import MAX_NODES, Op
from lockstep.program.optimisers import SGD, Adam, AdamW, Momentum
from lockstep.program.selection import Dataset
from lockstep.program.spec import check_program
from lockstep.program.work import program_work
from tests.offchain.program.capturing import SEED, check_against_eager, classification, start_state
from tests.offchain.program.float64_interpreter import run

CHUNKS_OF_ONE_REVEAL = 64
BYTES_OF_ONE_REVEAL = CHUNKS_OF_ONE_REVEAL * 1024


def tiny() -> nn.Module:
    torch.manual_seed(4)
    return nn.Sequential(nn.Linear(6, 7), nn.GELU(), nn.Linear(7, 5))


OPTIMISERS: dict[str, tuple[Any, Callable[[Any], torch.optim.Optimizer]]] = {
    "sgd": (SGD(0.1), lambda p: torch.optim.SGD(p, 0.1)),
    "sgd_decay": (SGD(0.1, weight_decay=0.02), lambda p: torch.optim.SGD(p, 0.1, weight_decay=0.02)),
    "momentum": (Momentum(0.1, 0.8), lambda p: torch.optim.SGD(p, 0.1, momentum=0.8)),
    "nesterov": (
        Momentum(0.1, 0.8, nesterov=True, weight_decay=0.01),
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.8, nesterov=True, weight_decay=0.01),
    ),
    "adam": (Adam(0.02), lambda p: torch.optim.Adam(p, 0.02)),
    "adam_decay": (
        Adam(0.02, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.05),
        lambda p: torch.optim.Adam(p, 0.02, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.05),
    ),
    "adamw": (AdamW(0.02), lambda p: torch.optim.AdamW(p, 0.02)),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_chained_steps_follow_torch_optim(name: str) -> None:
    optimiser, eager = OPTIMISERS[name]
    data = classification((6,), rows=23)
    check_against_eager(
        tiny(), nn.CrossEntropyLoss(), data, optimiser=optimiser, eager=eager, batch_size=5, steps=12, tolerance=1e-11
    )


def test_every_epoch_reads_distinct_rows_in_another_order() -> None:
    data = classification((6,), rows=23)
    task = capture(tiny(), nn.CrossEntropyLoss(), SGD(0.1), data, 5)
    assert task.steps_per_epoch == 4
    state = start_state(task)
    epochs = []
    for epoch in range(3):
        rows = []
        for step in range(4):
            _, values = run(task.step, state, task.constants, 4 * epoch + step, SEED)
            rows += next(v for n, v in zip(task.step.nodes, values, strict=False) if n.op is Op.SHUFFLE).tolist()
        assert len(set(rows)) == 20
        assert set(rows) <= set(range(23))
        epochs.append(rows)
    assert all(a != b for a, b in pairwise(epochs))


# refusals


class Odd(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 5)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.linear(x))


HIDDEN_TABLE = torch.arange(5.0)

REFUSED: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "unknown": (lambda x: torch.cumprod(x, -1), "aten.cumprod.default"),
    "many_writes": (lambda x: x.scatter(-1, (x > 0).long(), x), "Use scatter_add"),
    "write_at_integers": (lambda x: x.index_put((torch.arange(6), x.argmax(-1)), x[0, 0]), "Use torch.where"),
    "odd_norm": (lambda x: x / x.norm(p=3), "3-norm is not carried"),
    "bicubic": (lambda x: nn.functional.interpolate(x[:, None, None], (2, 5), mode="bicubic")[:, 0, 0], "bilinear"),
    "redrawn": (lambda x: checkpoint(lambda y: nn.functional.dropout(y).exp(), x, use_reentrant=False), "checkpoint"),
    "item": (lambda x: x * x.sum().item(), "depends on data"),
    "branch": (lambda x: x if x.sum() > 0 else -x, "depends on data"),
    "nonzero": (lambda x: x[torch.nonzero(x[0])[:, 0]], "depends on data"),
    "boolean_index": (lambda x: x[x > 0].sum() * x, "depends on data"),
    "double": (lambda x: x.double().exp().float(), "float64"),
    "half": (lambda x: x.to(torch.bfloat16).float(), "bfloat16"),
    "closure": (lambda x: x * HIDDEN_TABLE, "register_buffer"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_unsupported_operator_is_refused_with_the_source_line(name: str) -> None:
    function, what = REFUSED[name]
    line = inspect.getsourcelines(function)[1]
    with pytest.raises(CaptureError) as refused:
        capture(Odd(function), nn.CrossEntropyLoss(), SGD(0.1), classification((6,)), 6)
    assert what in str(refused.value)
    assert f"test_capture.py:{line}" in str(refused.value)


def test_all_unsupported_operators_are_reported_at_once() -> None:
    with pytest.raises(CaptureError) as refused:
        capture(
            Odd(lambda x: torch.cumprod(x, -1) + torch.median(x, -1, True).values),
            nn.CrossEntropyLoss(),
            SGD(0.1),
            classification((6,)),
            6,
        )
    assert "aten.cumprod" in str(refused.value)
    assert "aten.median" in str(refused.value)


@pytest.mark.parametrize("batch_size", [0, 7])
def test_batch_that_the_data_set_cannot_fill_is_refused(batch_size: int) -> None:
    with pytest.raises(CaptureError, match="it has 1 to 6"):
        capture(tiny(), nn.CrossEntropyLoss(), SGD(0.1), classification((6,)), batch_size)


def test_data_of_a_type_no_constant_has_is_refused() -> None:
    with pytest.raises(ProgramError, match="float64"):
        Dataset(np.zeros((3, 2)), np.zeros(3, np.uint8))


# what a capture gives


@cache
def capture_mlp() -> CapturedTask:
    train, test = digits()
    torch.manual_seed(0)
    return capture(MLP(), nn.CrossEntropyLoss(), Adam(3e-3), train, 64, evaluation=test)


@cache
def capture_cnn() -> CapturedTask:
    train, test = digits(flat=False)
    torch.manual_seed(0)
    return capture(CNN(dropout=0.1), nn.CrossEntropyLoss(), AdamW(3e-3), train, 32, evaluation=test)


def test_mlp_step_is_small_enough_for_short_disputes() -> None:
    task = capture_mlp()
    assert len(task.step.nodes) < 160
    widest = max(node.type.elements * 4 for node in task.step.nodes)
    assert widest <= BYTES_OF_ONE_REVEAL
    assert task.names.metrics == ("loss", "accuracy")
    assert any("mlp.py" in name for name in task.names.nodes.values())


def test_captured_programs_are_valid_and_survive_their_encoding() -> None:
    for task in (capture_mlp(), capture_cnn()):
        programs = [(task.init, True), (task.step, False)]
        assert task.evaluate is not None
        programs.append((task.evaluate, False))
        for program, init in programs:
            commitment = commit_program(program, program_work(program))
            decoded, header = decode_program(commitment.file_bytes())
            check_program(decoded, header, init=init)
            assert decoded == program
            assert len(program.nodes) <= MAX_NODES
            assert all(len(encode_node(node)) < 2**16 for node in program.nodes)


def hashes() -> list[str]:
    """Program hashes of the MLP's and the CNN's programs."""
    return [
        commit_program(program, 0).hash.hex()
        for task in (capture_mlp(), capture_cnn())
        for program in (task.init, task.step, task.evaluate)
        if program is not None
    ]


def test_program_hashes_do_not_depend_on_the_process_or_the_hash_seed() -> None:
    script = (
        "import sys; sys.path.insert(0, '.'); from tests.offchain.program import test_capture as t; print(t.hashes())"
    )
    environment = os.environ | {"PYTHONHASHSEED": "4321", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(hashes())


def test_start_is_drawn_from_the_seed_as_the_modules_draw_it() -> None:
    task = capture_mlp()
    first, second = (reference.evaluate(task.init, [], task.constants, 0, seed)[0] for seed in (1, 2))
    weight = first[task.parameters["layers.1.weight"]]
    assert weight.dtype == np.float32
    assert np.abs(weight).max() <= 1 / 8
    assert abs(weight.std() - 1 / 8 / np.sqrt(3)) < 1e-3
    assert abs(weight.mean()) < 3e-3
    assert not np.array_equal(weight, second[0])
    for name, value in zip(task.names.state, first, strict=True):
        if name.startswith(("first.", "second.", "correction.")):
            assert not value.any()


def test_values_that_no_initialisation_draws_are_kept() -> None:
    model = nn.Sequential(nn.Linear(40, 30), nn.LayerNorm(30), nn.Linear(30, 5))
    nn.init.normal_(model[0].weight)
    nn.init.zeros_(model[2].bias)
    task = capture(model, nn.CrossEntropyLoss(), SGD(0.1), classification((40,)), 6)
    state = reference.evaluate(task.init, [], task.constants, 0, 9)[0]
    start = dict(zip(task.names.state, state, strict=True))
    assert task.names.constants == ("inputs", "targets", "initial.0.weight")
    np.testing.assert_array_equal(start["0.weight"], model[0].weight.detach().numpy())
    assert (start["1.weight"] == 1).all()
    assert not start["2.bias"].any()
    assert not np.array_equal(start["2.weight"], model[2].weight.detach().numpy())


def test_model_stays_in_its_mode_and_keeps_its_values() -> None:
    model = tiny().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    capture(model, nn.CrossEntropyLoss(), SGD(0.1), classification((6,)), 3)
    assert not model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


# dropout


class Dropped(nn.Module):
    def __init__(self, probability: float) -> None:
        super().__init__()
        self.first = nn.Linear(64, 64)
        self.drop = nn.Dropout(probability)
        self.second = nn.Linear(64, 5)
        self.masks: list[Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.first(x))
        if self.masks is not None:
            return self.second(h * self.masks[0]) * self.masks[1]
        return nn.functional.dropout(self.second(self.drop(h)), 0.25, self.training)


def masks_of(task: CapturedTask, values: list[Any]) -> list[Any]:
    """Values of the dropout masks, in the order of their sites."""
    drawn = [i for i, node in enumerate(task.step.nodes) if node.op is Op.RANDOM_BITS]
    masks = []
    for index in drawn:
        shape = task.step.nodes[index].shape
        masks.append(
            next(
                values[i]
                for i in range(index, len(values))
                if task.step.nodes[i].op is Op.SELECT and task.step.nodes[i].shape == shape
            )
        )
    return masks


def test_dropout_keeps_the_right_share_and_its_gradient_sees_the_same_mask() -> None:
    torch.manual_seed(5)
    model = Dropped(0.4)
    data = classification((64,), rows=64)
    task = capture(model, nn.CrossEntropyLoss(), SGD(1.0), data, 64, draw=False)
    state = start_state(task)
    new, values = run(task.step, state, task.constants, 3, SEED, task.step_literals)
    masks = masks_of(task, values)
    assert set(np.unique(masks[0])) == {0.0, 1 / 0.6}
    assert abs((masks[0] == 0).mean() - 0.4) < 0.03
    assert abs((masks[1] == 0).mean() - 0.25) < 0.1
    again = masks_of(task, run(task.step, state, task.constants, 4, SEED)[1])
    assert not np.array_equal(masks[0], again[0])

    rows = next(v for n, v in zip(task.step.nodes, values, strict=False) if n.op is Op.SHUFFLE)
    model = model.double()
    model.masks = [torch.from_numpy(mask) for mask in masks]
    output = model(torch.from_numpy(data.inputs[rows].astype(np.float64)))
    nn.functional.cross_entropy(output, torch.from_numpy(data.targets[rows].astype(np.int64))).backward()
    for name, parameter in model.named_parameters():
        index = task.parameters[name]
        assert parameter.grad is not None
        np.testing.assert_allclose(state[index] - new[index], parameter.grad.numpy(), rtol=0, atol=1e-12)


def test_evaluation_program_has_no_dropout_and_keeps_the_state() -> None:
    train, test = digits()
    task = capture(MLP(dropout=0.5), nn.CrossEntropyLoss(), SGD(0.1), train, 64, evaluation=test)
    assert task.evaluate is not None
    assert not any(node.op is Op.RANDOM_BITS for node in task.evaluate.nodes)
    state = start_state(task)
    after, values = run(task.evaluate, state, task.evaluation_constants, 1, SEED)
    assert all(np.array_equal(a, b) for a, b in zip(state, after, strict=True))
    assert task.evaluation_batch * task.evaluation_steps == len(test)
    assert values[task.outputs].shape == (task.evaluation_batch, 10)


def test_evaluation_program_gives_what_the_model_gives_in_evaluation_mode() -> None:
    torch.manual_seed(6)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(64, 5)
    )
    data = classification((1, 6, 6), rows=24)
    task = capture(model, nn.CrossEntropyLoss(), Momentum(0.1), data, 8, evaluation=data, draw=False)
    assert task.evaluate is not None
    state = start_state(task)
    for step in range(3):
        state, _ = run(task.step, state, task.constants, step, SEED, task.step_literals)
    loaded = copy.deepcopy(model).double().eval()
    missing = loaded.load_state_dict(task.state_dict(state), strict=True)
    assert not missing.missing_keys
    assert int(loaded[1].num_batches_tracked) == 3
    _, values = run(task.evaluate, state, task.evaluation_constants, 0, SEED)
    expected = loaded(torch.from_numpy(data.inputs.astype(np.float64))).detach().numpy()
    np.testing.assert_allclose(values[task.outputs], expected, rtol=1e-6, atol=1e-6)


# exact runs


def test_exact_steps_follow_float64_closely() -> None:
    data = classification((6,), rows=23)
    task = capture(tiny(), nn.CrossEntropyLoss(), Adam(0.02), data, 8, draw=False)
    exact = reference.evaluate(task.init, [], task.constants, 0, SEED)[0]
    wide = start_state(task)
    for step in range(5):
        exact, values = reference.evaluate(task.step, exact, task.constants, step, SEED)
        wide, wide_values = run(task.step, wide, task.constants, step, SEED)
        loss = task.step.metrics[0]
        assert task.step.nodes[loss].dtype is DType.F32
        assert abs(float(values[loss]) - float(wide_values[loss])) < 1e-3
    for a, b in zip(exact, wide, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=3e-3)


@pytest.mark.parametrize("make", [capture_mlp, capture_cnn], ids=["mlp", "cnn"])
def test_exact_training_learns_digits(make: Callable[[], CapturedTask], long: bool) -> None:
    task = make()
    steps = 250 if long else 12
    state = reference.evaluate(task.init, [], task.constants, 0, SEED)[0]
    losses = []
    for step in range(steps):
        state, values = reference.evaluate(task.step, state, task.constants, step, SEED)
        losses.append(float(values[task.step.metrics[0]]))
    assert losses[-1] < losses[0]
    if long:
        assert task.evaluate is not None
        scores = []
        for step in range(task.evaluation_steps):
            values = reference.evaluate(task.evaluate, state, task.evaluation_constants, step, SEED)[1]
            scores.append(float(values[task.evaluate.metrics[1]]))
        assert np.mean(scores) >= 0.95
