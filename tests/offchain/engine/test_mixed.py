"""Programs in native floating point: close to the exact steps, the same integers, nothing shared, nothing left over."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from lockstep.cli.zoo import PRESETS
from lockstep.engine.errors import EngineError, MemoryLimitError
from lockstep.engine.mixed.assembly import assemble
from lockstep.engine.mixed.forms import find_forms
from lockstep.engine.mixed.precision import Arithmetic, Precision, round8
from lockstep.engine.mixed.runner import MixedRunner
from lockstep.engine.parallel.ranks import torch_threads
from lockstep.engine.run import Runner
from lockstep.engine.segment import initial_state, run_segment
from lockstep.numerics.dtypes import DType
from lockstep.program import composites
from lockstep.program.builder import Builder, Value
from lockstep.program.graph import Input, Program, StateEntry
from lockstep.program.ops import InputKind, Op
from tests.offchain.engine.small_programs import tiny_regression, tiny_state
from tests.zoo import zoo_task

SEED = 0x1234_5678_9ABC_DEF0
ROWS, TERMS, COLUMNS = 5, 24, 4
CPU_PRECISIONS = tuple(p for p in Precision if p is not Precision.TF32)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small products gain nothing from threads, and lose much where the processors are busy."""
    with torch_threads(1):
        yield


def distance(a: list[Tensor], b: list[Tensor]) -> float:
    """L2 over all f32 tensors together; the integers must be equal."""
    total = 0.0
    for x, y in zip(a, b, strict=True):
        if x.dtype == torch.float32:
            total += float((x.double() - y.double()).square().sum())
        else:
            assert torch.equal(x, y)
    return math.sqrt(total)


# The zoo

LOSS = {"f32": 2.0**-10, "bf16": 2.0**-6}
"""Relative difference of a first loss. An operand is off by 2^-14 of its row's largest in the exact run and by 2^-9 of
itself in bfloat16; eight times as much leaves room for tens of layers, whose errors add up like noise."""


@pytest.mark.parametrize("name", PRESETS)
def test_zoo_first_step_is_close_and_finite(name: str) -> None:
    task = zoo_task(name)
    start = initial_state(task.init, task.constants, SEED)
    given = [tensor.clone() for tensor in start]
    exact, (loss, *_) = Runner(task.step, task.constants, SEED, threads=1).step(start, 0)
    moved = distance(exact, [a if a.dtype == torch.float32 else b for a, b in zip(start, exact, strict=True)])
    off = {}
    for precision in ("f32", "bf16"):
        state, metrics = MixedRunner(task.step, task.constants, SEED, precision=precision).step(start, 0)
        assert metrics[0] == pytest.approx(loss, rel=LOSS[precision])
        assert all(bool(torch.isfinite(tensor).all()) for tensor in state)
        off[precision] = distance(state, exact) / moved
    assert 0 < off["f32"] < off["bf16"] < 0.5
    assert all(torch.equal(a, b) for a, b in zip(start, given, strict=True))


def test_a_segment_stays_close_and_is_run_by_what_runs_exact_ones() -> None:
    task = zoo_task("mlp")
    start = initial_state(task.init, task.constants, SEED)
    exact = run_segment(Runner(task.step, task.constants, SEED, threads=1), start, 0, 24)
    for precision, most in (("f32", 0.05), ("bf16", 0.2)):
        found = run_segment(MixedRunner(task.step, task.constants, SEED, precision=precision), start, 0, 24)
        assert 0 < distance(found.state, exact.state) / distance(exact.state, start) < most
        assert found.metrics[-1][0] == pytest.approx(exact.metrics[-1][0], rel=0.05)


# Integers and draws


def test_draws_batches_and_masks_are_the_exact_ones() -> None:
    b = Builder()
    counts, order, kept = (b.add_state(n, DType.I32, (40,)) for n in ("counts", "order", "kept"))
    x = b.add_state("x", DType.F32, (8, 5))
    bits = b.random_bits((40,))
    rows = b.shuffle(b.iota((40,)), 97, b.step)
    mask = b.lt(composites.uniform(b, (40,)), 0.4)
    dropped = b.mul(x, composites.dropout_mask(b, (8, 5), 0.5))
    program = b.finish([b.iadd(counts, bits), rows, b.iadd(kept, mask), dropped]).program
    assert order.shape == (40,)
    generator = np.random.default_rng(3)
    state = [generator.integers(0, 9, 40, dtype=np.int32) for _ in range(3)]
    given = [*state, generator.normal(size=(8, 5)).astype(np.float32)]
    for step in (0, 7):
        exact, _ = Runner(program, [], SEED).step(given, step)
        for precision in CPU_PRECISIONS:
            found, _ = MixedRunner(program, [], SEED, precision=precision).step(given, step)
            assert all(torch.equal(a, b) for a, b in zip(found, exact, strict=True))


# Contractions in every form

Build = Callable[[Builder, Value, Value], Value]


def plain(b: Builder, x: Value, w: Value) -> Value:
    return b.contract(x, w)


def transposed(b: Builder, x: Value, w: Value) -> Value:
    """Mantissas moved after they were made, their exponents with them."""
    (mx, ex), (mw, ew) = b.quantize(x), b.quantize(w)
    turned = b.flip(mx, 0), b.flip(ex, 0)
    joined = b.concat([mw, mw], 0), b.concat([ew, ew], 0)
    product = b.matmul_quantized(*turned, *joined)
    return b.slice(b.flip(product, 0), 1, 0, w.shape[0])


def padded(b: Builder, x: Value, w: Value) -> Value:
    """Zeros among the mantissas, as at the border of a convolution."""
    (mx, ex), (mw, ew) = b.quantize(x), b.quantize(w)
    return b.matmul_quantized(b.pad(mx, 1, 2, 1), ex, b.pad(mw, 1, 2, 1), ew)


def with_residuals(b: Builder, x: Value, w: Value) -> Value:
    return b.contract(x, w, residuals=(True, True))


def under_others_exponents(b: Builder, x: Value, w: Value) -> Value:
    """Rows contracted under exponents of other rows: no product of x."""
    (mx, ex), (mw, ew) = b.quantize(x), b.quantize(w)
    return b.matmul_quantized(mx, b.flip(ex, 0), mw, ew)


def quantised_under_others(b: Builder, x: Value, w: Value) -> Value:
    """Mantissas that were made under exponents of another tensor."""
    ex = b.exponent(b.mul(x, 0.25))
    return b.matmul_quantized(b.quantize(x, ex)[0], ex, *b.quantize(w))


def filled(b: Builder, x: Value, w: Value) -> Value:
    """Mantissas that no quantisation made: those a view fills with."""
    (mx, ex), (mw, ew) = b.quantize(x), b.quantize(w)
    return b.matmul_quantized(b.pad(mx, 1, 1, 0, 77), ex, b.pad(mw, 1, 1, 0, 5), ew)


def gathered(b: Builder, x: Value, w: Value) -> Value:
    """Rows that the step chooses: which exponents come with them no plan knows."""
    (mx, ex), product = b.quantize(x), b.quantize(w)
    rows = b.umod(b.iadd(b.iota((ROWS,)), b.expand(b.step, (ROWS,))), ROWS)
    return b.matmul_quantized(b.gather(mx, rows), b.gather(ex, rows), *product)


def product_program(build: Build) -> Program:
    b = Builder()
    x, w = b.add_state("x", DType.F32, (ROWS, TERMS)), b.add_state("w", DType.F32, (COLUMNS, TERMS))
    y = b.add_state("y", DType.F32, (ROWS, COLUMNS))
    assert y.shape == (ROWS, COLUMNS)
    return b.finish([x, w, build(b, x, w)]).program


def operands() -> list[np.ndarray]:
    generator = np.random.default_rng(5)
    x, w = generator.normal(size=(ROWS, TERMS)), generator.normal(size=(COLUMNS, TERMS))
    x[:, 0] *= 3000.0  # a giant in each row, which costs the others their bits
    x *= 2.0 ** np.arange(ROWS)[:, None]  # rows of different exponents
    return [a.astype(np.float32) for a in (x, w, np.zeros((ROWS, COLUMNS)))]


def product_of(program: Program, precision: str) -> np.ndarray:
    state, _ = MixedRunner(program, [], SEED, precision=precision).step(operands(), 2)
    return state[2].double().numpy()


@pytest.mark.parametrize("build", [plain, transposed, padded, with_residuals], ids=lambda f: f.__name__)
def test_contraction_of_floats_is_their_product(build: Build) -> None:
    program = product_program(build)
    x, w = (a.astype(np.float64) for a in operands()[:2])
    true, size = x @ w.T, np.abs(x) @ np.abs(w).T
    # float32: K additions. bfloat16: 8 significant bits, so 2^-8 from both operands together, and then the same.
    for precision, bound in (("f32", TERMS * 2.0**-24), ("bf16", 2.0**-8 + 2.0**-18 + TERMS * 2.0**-24)):
        assert (np.abs(product_of(program, precision) - true) <= bound * size).all()
    exact = Runner(program, [], SEED).step(operands(), 2)[0][2].double().numpy()
    errors = [np.abs(value - true).max() for value in (product_of(program, "f32"), product_of(program, "bf16"))]
    assert errors[0] < errors[1]
    if build is not with_residuals:
        assert errors[0] < np.abs(exact - true).max()


def test_residual_products_collapse_into_one() -> None:
    program = product_program(with_residuals)
    assert len(find_forms(program).passed) == 2
    calls = assemble(program, Arithmetic("f32", "cpu"), SEED, "cpu", lambda: 0).every
    made = [program.nodes[key[0]].op for key in (call.key for call in calls) if not isinstance(key, Input)]
    assert made.count(Op.MATMUL) == 1
    assert Op.CAST not in made
    assert Op.EXPONENT not in made


def test_residual_whose_mantissas_are_read_does_not_collapse() -> None:
    def read(b: Builder, x: Value, w: Value) -> Value:
        product = b.contract(x, w, residuals=(True, False))
        mantissas = b.slice(b.cast(b.quantize(x)[0], DType.F32), 1, 0, COLUMNS)
        return b.add(product, b.mul(mantissas, 0.0))

    program = product_program(read)
    assert not find_forms(program).passed
    exact = Runner(program, [], SEED).step(operands(), 2)[0][2].double().numpy()
    x, w = (np.abs(a.astype(np.float64)) for a in operands()[:2])
    # The first product is of the mantissas' own values, so only what the second loses differs: 2^-14 of 2^-14.
    error = 2.0**-14 * np.abs(w).max(1)[None, :] * x.sum(1)[:, None] + 2 * TERMS * 2.0**-24 * x @ w.T
    assert (np.abs(product_of(program, "f32") - exact) <= error).all()


@pytest.mark.parametrize(
    "build", [under_others_exponents, quantised_under_others, filled, gathered], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("precision", CPU_PRECISIONS)
def test_contraction_that_is_no_product_of_floats_is_exact(build: Build, precision: str) -> None:
    program = product_program(build)
    assert not find_forms(program).contractions
    exact = Runner(program, [], SEED).step(operands(), 2)[0][2].double().numpy()
    assert np.array_equal(product_of(program, precision), exact)


def test_sum_under_others_exponents_is_exact() -> None:
    b = Builder()
    x, y = b.add_state("x", DType.F32, (ROWS, TERMS)), b.add_state("y", DType.F32, (ROWS,))
    assert y.shape == (ROWS,)
    small = b.exponent(b.mul(x, 2.0**-20), -126)
    program = b.finish([x, b.emit(Op.SUM, [x, small], DType.F32, (ROWS,))]).program
    given = [operands()[0], np.zeros(ROWS, np.float32)]
    assert not find_forms(program).sums
    found, exact = (r.step(given, 0)[0] for r in (MixedRunner(program, [], SEED), Runner(program, [], SEED)))
    assert torch.equal(found[1], exact[1])


def test_cast_of_mantissas_and_exponents_is_exact() -> None:
    b = Builder()
    x, m, e = (b.add_state(*a) for a in (("x", DType.F32, (3, 4)), ("m", DType.I32, (3, 4)), ("e", DType.I32, (3,))))
    mantissas, exponents = b.quantize(x)
    program = b.finish([x, b.cast(mantissas, DType.I32), b.cast(exponents, DType.I32)]).program
    assert m.shape == (3, 4)
    assert e.shape == (3,)
    given = [operands()[0][:3, :4].copy(), np.zeros((3, 4), np.int32), np.zeros(3, np.int32)]
    found, exact = (r.step(given, 0)[0] for r in (MixedRunner(program, [], SEED), Runner(program, [], SEED)))
    assert all(torch.equal(a, b) for a, b in zip(found, exact, strict=True))


# Memory


def test_new_state_shares_no_memory_with_anything() -> None:
    b = Builder()
    first, second = b.add_state("first", DType.F32, (6,)), b.add_state("second", DType.F32, (6,))
    frozen = b.add_state("frozen", DType.F32, (6,), frozen=True)
    third, fourth = b.add_state("third", DType.F32, (2, 3)), b.add_state("fourth", DType.F32, (3,))
    fifth, sixth = b.add_state("fifth", DType.F32, (6,)), b.add_state("sixth", DType.F32, (6,))
    table = b.add_constant("table", np.arange(6, dtype=np.float32))
    total = b.add(first, second)
    assert third.shape == (2, 3)
    assert fourth.shape == (3,)
    assert fifth.shape == sixth.shape
    outputs = [second, first, frozen, b.reshape(total, (2, 3)), b.slice(total, 0, 0, 3), total, table]
    built = b.finish(outputs)
    constants = [torch.arange(6, dtype=torch.float32)]
    given = [torch.randn(entry.shape) for entry in built.program.state]
    runner = MixedRunner(built.program, constants, SEED)
    after, _ = runner.step(given, 0)
    places = [tensor.untyped_storage().data_ptr() for tensor in (*after, *given, *constants)]
    assert after[2] is given[2]
    assert len(set(places)) == len(places) - 1
    assert all(tensor.untyped_storage().nbytes() == tensor.nbytes for tensor in after)
    wanted = [tensor.clone() for tensor in after]
    for index, tensor in enumerate(after):
        if index != 2:
            tensor.fill_(math.nan)
    again, _ = runner.step(given, 0)
    assert all(torch.equal(a, b) for a, b in zip(again, wanted, strict=True))


def test_values_go_after_their_last_reader() -> None:
    task = zoo_task("cnn")
    found = assemble(task.step, Arithmetic("f32", "cpu"), SEED, "cpu", lambda: 0)
    alive = {call.key for call in found.once}
    kept = alive | {key for key in (*found.state, *found.metrics) if not isinstance(key, Input)}
    for call in found.every:
        assert {key for key in call.reads if not isinstance(key, Input)} <= alive
        alive.add(call.key)
        alive -= set(call.last)
    assert alive == kept


def test_profile_names_each_call_by_its_node() -> None:
    task = zoo_task("mlp")
    runner = MixedRunner(task.step, task.constants, SEED)
    found = runner.profile(initial_state(task.init, task.constants, SEED), repeat=2)
    named = [name.split() for name, _ in found]
    assert all(task.step.nodes[int(node)].op.name.lower() == op for op, node in named)
    assert {"matmul", "quantize", "view", "sum"} <= {op for op, _ in named}
    assert all(0 < seconds < 10 for _, seconds in found)


def test_too_large_a_program_is_refused_before_anything_is_allocated() -> None:
    program, constants = tiny_regression()
    with pytest.raises(MemoryLimitError, match="A step of this program needs up to"):
        MixedRunner(program, constants, SEED, memory_limit=1000)


# Precisions


def test_unknown_precision_is_refused_with_the_known_ones() -> None:
    program, constants = tiny_regression()
    with pytest.raises(EngineError, match=r"no precision 'f64'; there are f32, bf16, tf32, perturbed\."):
        MixedRunner(program, constants, SEED, precision="f64")


def test_tf32_is_refused_where_there_is_none() -> None:
    program, constants = tiny_regression()
    with pytest.raises(EngineError, match="tf32 is a precision of CUDA devices, and this is cpu"):
        MixedRunner(program, constants, SEED, precision="tf32")


def test_torchs_own_settings_are_left_as_they_were() -> None:
    program, constants = tiny_regression()
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    for precision, inside in (("f32", ("highest", False)), ("bf16", ("medium", True))):
        MixedRunner(program, constants, SEED, precision=precision).step(tiny_state(), 0)
        assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == before
        with Arithmetic(precision, "cpu").active():
            assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == inside
        assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == before


def test_perturbed_runs_repeat_and_differ_by_noise_as_bfloat16_does() -> None:
    task = zoo_task("cnn")
    start = initial_state(task.init, task.constants, SEED)
    exact, _ = Runner(task.step, task.constants, SEED, threads=1).step(start, 0)

    def run(precision: str, noise: int = 0) -> list[Tensor]:
        return MixedRunner(task.step, task.constants, SEED, precision=precision, noise=noise).step(start, 0)[0]

    assert distance(run("perturbed", 1), run("perturbed", 1)) == 0
    assert distance(run("perturbed", 1), run("perturbed", 2)) > 0
    sizes = [distance(run("perturbed", noise), exact) for noise in range(3)]
    assert max(sizes) / 4 < distance(run("bf16"), exact) < 4 * min(sizes)


def test_round8_leaves_eight_significant_bits() -> None:
    generator = torch.Generator().manual_seed(9)
    x = torch.randn(10_000, generator=generator) * 2.0 ** torch.randint(-60, 60, (10_000,), generator=generator)
    rounded = round8(x)
    assert not bool((rounded.view(torch.int32) & 0xFFFF).any())
    assert bool(((rounded - x).abs() <= 2.0**-8 * x.abs()).all())


def test_frozen_entries_and_programs_without_state_reads_run_too() -> None:
    b = Builder()
    b.add_state("weight", DType.F32, (3,))
    program = b.finish([b.f32(0.5, (3,))]).program
    assert program.state == (StateEntry(DType.F32, (3,)),)
    assert all(source.kind is not InputKind.STATE for node in program.nodes for source in node.inputs)
    state, _ = MixedRunner(program, [], SEED).step([], 0)
    assert state[0].tolist() == [0.5, 0.5, 0.5]
