"""Optimisers, clipping and groups: chained updates in float64 against PyTorch's or the published formula."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lockstep.engine.checkpoint import state_root
from lockstep.engine.run import Runner
from lockstep.engine.segment import initial_state, segment_state_roots
from lockstep.numerics.dtypes import DType
from lockstep.program import reference
from lockstep.program.builder import Builder
from lockstep.program.capture import capture
from lockstep.program.infer import ProgramError
from lockstep.program.ops import MAX_CONCAT, MAX_SUM_ROW
from lockstep.program.optimisers import (
    SGD,
    Adam,
    AdamW,
    ClipNorm,
    ClipValue,
    Cosine,
    Groups,
    Linear,
    Lion,
    Momentum,
    MultiStep,
    Muon,
    Optimiser,
    StepDecay,
    Update,
    Warmup,
)
from tests.offchain.program.capturing import SEED, classification
from tests.offchain.program.float64_interpreter import run

Array = np.ndarray[Any, Any]
Parameters = Mapping[str, nn.Parameter]
Eager = Callable[[Parameters], Callable[[], None]]
"""From parameters to what makes one update of them from their ``grad``."""

STEPS = 9
TOLERANCE = 1e-12
SHAPES = {"wide.weight": (3, 7), "tall.weight": (5, 3), "tall.bias": (5,), "scale": (), "kernel": (2, 3, 2)}


def drawn(step: int, size: float = 0.1) -> dict[str, Array]:
    """Values of f32 in float64, of another size for every parameter."""
    rng = np.random.default_rng(step)
    return {
        name: np.asarray(rng.standard_normal(shape) * size * 3.0**i, np.float32).astype(np.float64)
        for i, (name, shape) in enumerate(SHAPES.items())
    }


def chained(optimiser: Optimiser) -> list[list[Array]]:
    """Parameters after each step of a program that reads its gradients from constants by STEP."""
    b = Builder()
    parameters = {name: b.add_state(name, DType.F32, shape) for name, shape in SHAPES.items()}
    slots = {slot.name: b.add_state(slot.name, DType.F32, slot.shape) for slot in optimiser.slots(SHAPES)}
    gradients = {}
    for name in SHAPES:
        table = np.stack([drawn(step)[name] for step in range(STEPS)]).astype(np.float32)
        gradients[name] = b.gather(b.add_constant(name, table), b.step)
    new, kept = optimiser.emit(b, Update(parameters, gradients, slots))
    assert set(kept) == set(slots)
    built = b.finish([*(new[name] for name in parameters), *(kept[name] for name in slots)])
    state = [*drawn(99, 1.0).values(), *(np.zeros(slot.shape) for slot in slots.values())]
    found = []
    for step in range(STEPS):
        state, _ = run(built.program, state, built.constants, step, 0, built.literals)
        found.append(state[: len(SHAPES)])
    return found


def check(optimiser: Optimiser, eager: Eager) -> None:
    """Hold every parameter after every step to eager float64."""
    parameters = {name: nn.Parameter(torch.from_numpy(value)) for name, value in drawn(99, 1.0).items()}
    update = eager(parameters)
    for step, found in enumerate(chained(optimiser)):
        for name, gradient in drawn(step).items():
            parameters[name].grad = torch.from_numpy(gradient)
        update()
        for (name, parameter), value in zip(parameters.items(), found, strict=True):
            want = parameter.detach().numpy()
            np.testing.assert_allclose(
                value, want, rtol=0, atol=TOLERANCE * np.abs(want).max(), err_msg=f"{name} {step}"
            )


def by(*makers: Callable[[Parameters], Any]) -> Eager:
    """Eager optimisers, or schedulers of them, called in turn."""

    def eager(parameters: Parameters) -> Callable[[], None]:
        made = [make(parameters) for make in makers]

        def update() -> None:
            for each in made:
                each.step()

        return update

    return eager


def of(make: Callable[[list[nn.Parameter]], torch.optim.Optimizer], *, rank: int | None = None) -> Eager:
    """An eager optimiser of all parameters, or of those of a rank (-2: all but matrices)."""

    def chosen(parameters: Parameters) -> list[nn.Parameter]:
        return [p for p in parameters.values() if rank is None or (p.dim() == 2) == (rank == 2)]

    return by(lambda parameters: make(chosen(parameters)))


def scheduled(
    make: Callable[[list[nn.Parameter]], torch.optim.Optimizer],
    schedule: Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler],
) -> Eager:
    def eager(parameters: Parameters) -> Callable[[], None]:
        optimiser = make(list(parameters.values()))
        scheduler = schedule(optimiser)

        def update() -> None:
            optimiser.step()
            scheduler.step()

        return update

    return eager


def both(first: Eager, second: Eager) -> Eager:
    def eager(parameters: Parameters) -> Callable[[], None]:
        updates = [first(parameters), second(parameters)]
        return lambda: [update() for update in updates] and None

    return eager


class PublishedLion:
    """Algorithm 2 of Chen et al., "Symbolic Discovery of Optimization Algorithms" (2023), as it is written there."""

    def __init__(self, parameters: Parameters, lr: float, betas: tuple[float, float], weight_decay: float) -> None:
        self.parameters, self.lr, self.betas, self.weight_decay = list(parameters.values()), lr, betas, weight_decay
        self.momenta = [np.zeros(tuple(p.shape)) for p in self.parameters]

    def step(self) -> None:
        for i, p in enumerate(self.parameters):
            assert p.grad is not None
            g, m, theta = p.grad.numpy(), self.momenta[i], p.detach().numpy()
            c = self.betas[0] * m + (1 - self.betas[0]) * g
            theta = theta - self.lr * (np.sign(c) + self.weight_decay * theta)
            self.momenta[i] = self.betas[1] * m + (1 - self.betas[1]) * g
            p.data = torch.from_numpy(np.asarray(theta))


def after(change: Callable[[list[Tensor]], Any], then: Eager) -> Eager:
    """``then`` after a change of all the gradients in place."""

    def eager(parameters: Parameters) -> Callable[[], None]:
        update = then(parameters)

        def changed() -> None:
            change(list(parameters.values()))
            update()

        return changed

    return eager


RATE = 0.03
CASES: dict[str, tuple[Optimiser, Eager]] = {
    "sgd": (SGD(RATE, weight_decay=0.02), of(lambda p: torch.optim.SGD(p, RATE, weight_decay=0.02))),
    "momentum": (Momentum(RATE, 0.8), of(lambda p: torch.optim.SGD(p, RATE, momentum=0.8))),
    "nesterov": (
        Momentum(RATE, 0.8, nesterov=True, weight_decay=0.01),
        of(lambda p: torch.optim.SGD(p, RATE, momentum=0.8, nesterov=True, weight_decay=0.01)),
    ),
    "adam": (Adam(RATE, weight_decay=0.1), of(lambda p: torch.optim.Adam(p, RATE, weight_decay=0.1))),
    "adamw": (
        AdamW(RATE, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.3),
        of(lambda p: torch.optim.AdamW(p, RATE, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.3)),
    ),
    "lion": (
        Lion(RATE, betas=(0.8, 0.95), weight_decay=0.3),
        by(lambda p: PublishedLion(p, RATE, (0.8, 0.95), 0.3)),
    ),
    "clipped_by_norm": (
        ClipNorm(Adam(RATE), 2.5),
        after(lambda p: torch.nn.utils.clip_grad_norm_(p, 2.5), of(lambda p: torch.optim.Adam(p, RATE))),
    ),
    "clipped_by_value": (
        ClipValue(Momentum(RATE), 0.4),
        after(
            lambda p: torch.nn.utils.clip_grad_value_(p, 0.4),
            of(lambda p: torch.optim.SGD(p, RATE, momentum=0.9)),
        ),
    ),
    "grouped": (
        Groups(Adam(RATE), {"*.bias": SGD(0.1), "tall.*": Adam(0.02, betas=(0.5, 0.9))}),
        by(
            lambda p: torch.optim.Adam([p["wide.weight"], p["scale"], p["kernel"]], RATE),
            lambda p: torch.optim.SGD([p["tall.bias"]], 0.1),
            lambda p: torch.optim.Adam([p["tall.weight"]], 0.02, betas=(0.5, 0.9)),
        ),
    ),
    "grouped_under_one_norm": (
        ClipNorm(Groups(SGD(RATE), {"scale": SGD(0.2)}), 1.5),
        after(
            lambda p: torch.nn.utils.clip_grad_norm_(p, 1.5),
            by(
                lambda p: torch.optim.SGD([v for n, v in p.items() if n != "scale"], RATE),
                lambda p: torch.optim.SGD([p["scale"]], 0.2),
            ),
        ),
    ),
    "scheduled_adamw": (
        AdamW(Warmup(3, Cosine(RATE, 5, 0.01)), weight_decay=0.2),
        scheduled(
            lambda p: torch.optim.AdamW(p, RATE, weight_decay=0.2),
            lambda o: torch.optim.lr_scheduler.SequentialLR(
                o,
                [
                    torch.optim.lr_scheduler.LinearLR(o, 1 / 4, total_iters=3),
                    torch.optim.lr_scheduler.LambdaLR(
                        o, lambda s: (0.01 + 0.02 * (1 + math.cos(math.pi * min(s, 5) / 5)) / 2) / RATE
                    ),
                ],
                [3],
            ),
        ),
    ),
    "scheduled_momentum": (
        Momentum(MultiStep(RATE, (2, 5)), 0.9),
        scheduled(
            lambda p: torch.optim.SGD(p, RATE, momentum=0.9),
            lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [2, 5]),
        ),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_chained_updates_follow_pytorch_or_the_publication(name: str) -> None:
    check(*CASES[name])


MUONS: dict[str, tuple[Muon, dict[str, Any]]] = {
    "defaults": (Muon(RATE), {}),
    "plain": (
        Muon(RATE, momentum=0.8, nesterov=False, weight_decay=0.0, ns_steps=3),
        {"momentum": 0.8, "nesterov": False, "weight_decay": 0.0, "ns_steps": 3},
    ),
    "adjusted": (Muon(RATE, adjust="match_rms_adamw"), {"adjust_lr_fn": "match_rms_adamw"}),
}


@pytest.mark.parametrize("name", MUONS)
def test_muon_follows_pytorchs_where_that_computes_in_float64(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "bfloat16", Tensor.clone)  # its iteration rounds to bfloat16 otherwise
    optimiser, settings = MUONS[name]
    matrices = of(lambda p: torch.optim.Muon(p, **{"lr": RATE} | settings), rank=2)
    check(optimiser, both(matrices, of(torch.optim.AdamW, rank=-2)))


def test_muon_in_exact_arithmetic_brings_singular_values_near_one() -> None:
    b = Builder()
    shape = (12, 20)
    weight, slot = b.add_state("weight", DType.F32, shape), b.add_state("momentum.weight", DType.F32, shape)
    gradient = b.add_constant("gradient", np.random.default_rng(3).standard_normal(shape).astype(np.float32))
    optimiser = Muon(1.0, weight_decay=0.0, ns_steps=8)
    new, slots = optimiser.emit(b, Update({"weight": weight}, {"weight": gradient}, {"momentum.weight": slot}))
    built = b.finish([new["weight"], slots["momentum.weight"]])
    zeros = np.zeros(shape, np.float32)
    moved = reference.evaluate(built.program, [zeros, zeros], built.constants, 0, SEED)[0][0]
    wide = run(built.program, [zeros, zeros], built.constants, 0, SEED, built.literals)[0][0]
    values = np.linalg.svd(moved.astype(np.float64), compute_uv=False)
    assert 0.6 < values.min() <= values.max() < 1.3  # the iteration's own band, not its rounding
    assert np.abs(moved - wide).max() < 5e-3


# edges of clipping


def norm_factor(gradients: Sequence[Array], norm: float) -> list[Array]:
    """Gradients after ``ClipNorm``, in the exact arithmetic: what SGD with rate 1 subtracts from 0."""
    b = Builder()
    names = [str(i) for i in range(len(gradients))]
    parameters = {n: b.add_state(n, DType.F32, g.shape) for n, g in zip(names, gradients, strict=True)}
    given = {n: b.add_constant(n, g.astype(np.float32)) for n, g in zip(names, gradients, strict=True)}
    new, _ = ClipNorm(SGD(1.0), norm).emit(b, Update(parameters, given, {}))
    program = b.finish([new[n] for n in names])
    zeros = [np.zeros(g.shape, np.float32) for g in gradients]
    return [-x for x in reference.evaluate(program.program, zeros, program.constants, 0, SEED)[0]]


def test_clip_norm_over_rows_longer_than_a_leaf_and_more_tensors_than_a_concat() -> None:
    gradients = [np.full((2, MAX_SUM_ROW), 0.5), *(np.full((), 1.0) for _ in range(MAX_CONCAT + 3))]
    norm = math.sqrt(2 * MAX_SUM_ROW * 0.25 + MAX_CONCAT + 3)
    clipped = norm_factor(gradients, 2.0)
    assert abs(float(clipped[0][0, 0]) / (0.5 * 2.0 / norm) - 1) < 1e-6
    assert abs(float(clipped[-1]) / (2.0 / norm) - 1) < 1e-6


def test_clip_norm_leaves_small_gradients_as_they_are() -> None:
    small = np.linspace(-0.1, 0.1, 7, dtype=np.float32)
    np.testing.assert_array_equal(norm_factor([small], 1.0)[0], small)


def test_clip_norm_of_a_gradient_that_is_nan_is_nan_everywhere() -> None:
    found = norm_factor([np.array([1.0, np.nan]), np.array([1.0])], 1.0)
    assert np.isnan(found[0]).all()
    assert np.isnan(found[1]).all()


def test_clip_value_leaves_nan() -> None:
    b = Builder()
    weight = b.add_state("weight", DType.F32, (3,))
    gradient = b.add_constant("gradient", np.array([np.nan, 5.0, -5.0], np.float32))
    new, _ = ClipValue(SGD(1.0), 2.0).emit(b, Update({"weight": weight}, {"weight": gradient}, {}))
    built = b.finish([new["weight"]])
    moved = reference.evaluate(built.program, [np.zeros(3, np.float32)], built.constants, 0, SEED)[0][0]
    np.testing.assert_array_equal(moved, np.array([np.nan, -2.0, 2.0], np.float32))


# what is refused


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: SGD(0.0), "lr is 0.0; it is positive"),
        (lambda: Lion(1e-4, betas=(0.9, 1.0)), r"betas\[1\] is 1.0; it is at least 0 and below 1"),
        (lambda: Muon(ns_steps=0), "ns_steps is 0; it is 1 to 30"),
        (lambda: Muon(adjust="other"), "it is original or match_rms_adamw"),  # type: ignore[arg-type]
        (lambda: Adam(weight_decay=-1.0), "weight_decay is -1.0; it is 0 or more"),
        (lambda: ClipNorm(SGD(0.1), math.inf), "norm is inf; it is positive"),
        (lambda: ClipValue(SGD(0.1), 0.0), "bound is 0.0; it is positive"),
        (lambda: Groups(SGD(0.1), {"": SGD(0.2)}), "there is one or more, and none is empty"),
    ],
)
def test_setting_out_of_range_is_refused_with_a_sentence(make: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()


def test_pattern_that_matches_no_parameter_is_refused_with_their_names() -> None:
    with pytest.raises(ProgramError, match=r"'\*\.biass'; they are wide\.weight, tall\.weight"):
        Groups(SGD(0.1), {"*.biass": SGD(0.2)}).slots(SHAPES)


# exact runs


def test_every_optimiser_has_the_same_roots_on_the_reference_and_the_torch_routes() -> None:
    torch.manual_seed(4)
    model = nn.Sequential(nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, 5))
    data = classification((6,), rows=23)
    schedules = (Warmup(2, Cosine(0.02, 3)), Linear(0.1, 0.0, 3), StepDecay(0.1, 1), MultiStep(0.1, (1, 2)))
    optimisers: list[Optimiser] = [
        ClipNorm(Muon(schedules[0], others=Lion(0.01)), 1.0),
        ClipValue(Groups(Momentum(schedules[1], nesterov=True), {"0.*": AdamW(schedules[2])}), 0.1),
        SGD(schedules[3]),
    ]
    for optimiser in optimisers:
        task = capture(model, nn.CrossEntropyLoss(), optimiser, data, 6, accumulate=2, loss_scale=64.0)
        exact = reference.evaluate(task.init, [], task.constants, 0, SEED)[0]
        start = initial_state(task.init, task.constants, SEED)
        runner = Runner(task.step, task.constants, SEED, native=False)
        roots = segment_state_roots(runner, start, 0, 3)
        for step in range(3):
            exact, _ = reference.evaluate(task.step, exact, task.constants, step, SEED)
            assert state_root([torch.from_numpy(np.asarray(x)) for x in exact]) == roots[step]
