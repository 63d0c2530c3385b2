"""The builder: merging, folding, movement, reductions, composites, in exact arithmetic where it matters."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.numerics import contraction, rows
from lockstep.numerics.dtypes import DType
from lockstep.program import composites, reference
from lockstep.program.builder import Builder
from lockstep.program.emitter import Built, Value
from lockstep.program.fold import fold
from lockstep.program.graph import Node
from lockstep.program.infer import ProgramError
from lockstep.program.ops import MAX_SUM_ROW, ROW_BLOCK, Op
from lockstep.program.spec import check_program
from tests.strategies.values import f32_values

F32, I32 = DType.F32, DType.I32
Array = np.ndarray
SEED = 77


def value_of(emit: Callable[[Builder, Value], Value], x: Array, *, step: int = 0) -> Array:
    """What a piece of program gives for a state tensor, by the reference."""
    return built_value(emit, x, step)[1]


def built_value(emit: Callable[[Builder, Value], Value], x: Array, step: int = 0) -> tuple[Built, Array]:
    b = Builder()
    state = b.add_state("x", F32 if x.dtype == np.float32 else I32, x.shape)
    y = emit(b, state)
    b.add_state("y", y.dtype, y.shape)
    built = b.finish([state, y])
    check_program(built.program)
    after, _ = reference.evaluate(built.program, [x, np.zeros(y.shape, x.dtype)], built.constants, step, SEED)
    return built, after[1]


def ops_of(built: Built) -> list[Op]:
    return [node.op for node in built.program.nodes[:-1]]


def sample(shape: tuple[int, ...], seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


# merging and folding


def test_equal_nodes_are_one_and_dead_nodes_are_none() -> None:
    def emit(b: Builder, x: Value) -> Value:
        b.exp(x)  # nobody reads it
        return b.add(b.mul(x, 3.0), b.mul(x, 3.0))

    built, _ = built_value(emit, sample((4,)))
    assert ops_of(built) == [Op.MUL, Op.ADD]


def test_literals_fold_and_what_changes_nothing_is_dropped() -> None:
    b = Builder()
    x = b.add_state("x", F32, (4,))
    assert b.add(b.f32(0.1), b.f32(0.2)).source.value == int((np.float32(0.1) + np.float32(0.2)).view(np.uint32))
    assert b.add(0.1, 0.2).exact == pytest.approx(0.3, rel=1e-15)
    assert b.mul(x, 1.0) == x
    assert b.div(x, 1.0) == x
    assert b.sub(x, 0.0) == x
    assert b.add(x, -0.0) == x
    assert b.add(x, 0.0) != x  # -0.0 would become +0.0
    assert b.select(b.i32(1), x, 0.0) == x
    quarter = b.node_of(b.div(x, 4.0))
    assert quarter is not None
    assert quarter.op is Op.MUL


ARITHMETIC = [
    op for op in Op if op.family.value in (1, 3, 4, 5) and op not in (Op.SQRT, Op.FLOOR, Op.CEIL, Op.RNE, Op.TRUNC)
]  # fmt: skip


@given(st.integers(0, 2**32 - 1))
def test_folded_literal_is_what_the_node_would_be(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for op in ARITHMETIC:
        floating = op.family.value == 1 or Op.LT <= op <= Op.NE or op is Op.BITCAST
        count = {Op.SELECT: 3, Op.NEG: 1, Op.ABS: 1, Op.CAST: 1, Op.BITCAST: 1}.get(
            op, 1 if Op.SHL <= op <= Op.SAR else 2
        )
        bits = [int(f32_values(rng, (1,)).view(np.uint32)[0]) for _ in range(count)]
        out = F32 if op.family.value == 1 or op is Op.SELECT else I32
        if op is Op.CAST:
            floating, out = False, F32
        literals = [(b, float(np.uint32(b).view(np.float32))) for b in bits]
        shift = int(rng.integers(0, 32))
        with np.errstate(all="ignore"):
            folded = fold(op, out, literals, shift)
        if folded is None:
            continue
        carriers = [np.array(b, np.uint32).view(np.float32 if floating else np.int32) for b in bits]
        if op is Op.SELECT:
            carriers[1:] = [np.array(b, np.uint32).view(np.float32) for b in bits[1:]]
        node = Node(op, out, (), attrs=(shift,) if Op.SHL <= op <= Op.SAR else ())
        value = reference._compute(node, carriers, 0)
        assert int(np.asarray(value).reshape(1).view(np.uint32)[0]) == folded[0], (op, bits)


# movement


def test_movement_helpers_move_as_numpy_does() -> None:
    x = sample((3, 4, 5))
    cases: list[tuple[Callable[[Builder, Value], Value], Array]] = [
        (lambda b, v: b.reshape(v, (6, 10)), x.reshape(6, 10)),
        (lambda b, v: b.permute(v, (2, 0, 1)), x.transpose(2, 0, 1)),
        (lambda b, v: b.transpose(v), x.swapaxes(-1, -2)),
        (lambda b, v: b.slice(v, 1, 1, 2), x[:, 1:3]),
        (lambda b, v: b.slice(v, 2, 4, 3, -2), x[:, :, ::-2]),
        (lambda b, v: b.flip(v, 0), x[::-1]),
        (lambda b, v: b.pad(v, 1, 1, 2), np.pad(x, ((0, 0), (1, 2), (0, 0)))),
        (lambda b, v: b.pad(v, 1, -1, -1), x[:, 1:-1]),
        (lambda b, v: b.expand(b.slice(v, 0, 0, 1), (2, 3, 4, 5)), np.broadcast_to(x[:1], (2, 3, 4, 5))),
        (lambda b, v: b.expand_rows(v, 2), np.repeat(x[..., None], 2, -1)),
        (lambda b, v: b.concat([v, b.flip(v, 1)], 1), np.concatenate([x, x[:, ::-1]], 1)),
        (lambda b, v: b.rows(v, (0, 2)), x.transpose(1, 0, 2).reshape(4, 15)),
        (lambda b, v: b.gather(v, b.i32(2, (2,))), x[[2, 2]]),
    ]
    for emit, expected in cases:
        np.testing.assert_array_equal(value_of(emit, x), expected)


def test_views_of_views_are_one_node_where_they_are_one_view() -> None:
    def emit(b: Builder, x: Value) -> Value:
        return b.pad(b.slice(b.transpose(b.transpose(b.reshape(x, (4, 6)))), 0, 0, 4), 1, 1, 0)

    built, _ = built_value(emit, sample((24,)))
    assert ops_of(built) == [Op.VIEW]
    built, _ = built_value(lambda b, x: b.reshape(b.permute(x, (1, 0)), (24,)), sample((4, 6)))
    assert ops_of(built) == [Op.VIEW, Op.VIEW]
    built, _ = built_value(lambda b, x: b.neg(b.transpose(b.transpose(x))), sample((4, 6)))
    assert ops_of(built) == [Op.NEG]


def test_operands_of_two_shapes_are_refused_with_the_line() -> None:
    b = Builder()
    x, y = b.add_state("x", F32, (2,)), b.add_state("y", F32, (3,))
    with (
        b.at("model.py:7"),
        pytest.raises(ProgramError, match=r"model.py:7: add: operands have shapes \[2\] and \[3\]"),
    ):
        b.add(x, y)
    with b.at("model.py:8"), pytest.raises(ProgramError, match=r"model.py:8: Shape \[2\] does not widen to \[3\]"):
        b.expand(x, (3,))


# reductions and contractions


def test_sum_of_a_long_row_is_lowered_to_rows_of_one_leaf() -> None:
    x = sample((2, MAX_SUM_ROW * 2 + 5))
    built, total = built_value(lambda b, v: b.sum_rows(v), x)
    np.testing.assert_allclose(total, x.astype(np.float64).sum(-1), rtol=1e-6)
    assert ops_of(built).count(Op.SUM) == 2
    padded = np.pad(x, ((0, 0), (0, MAX_SUM_ROW - 5))).reshape(2, 3, MAX_SUM_ROW)
    parts = rows.row_sum(padded, contraction.exponent(padded, -126))
    np.testing.assert_array_equal(total, rows.row_sum(parts, contraction.exponent(parts, -126)))


def test_maximum_of_a_long_row_is_one_node() -> None:
    x = -np.abs(sample((2, ROW_BLOCK + 1))) - 1
    built, largest = built_value(lambda b, v: b.max_rows(v), x)
    np.testing.assert_array_equal(largest, x.max(-1))
    assert ops_of(built).count(Op.REDUCE_MAX) == 1


def test_sums_and_means_over_axes() -> None:
    x = sample((3, 4, 5))
    wide = x.astype(np.float64)
    np.testing.assert_allclose(value_of(lambda b, v: b.sum_axes(v, (0, 2)), x), wide.sum((0, 2)), rtol=1e-6)
    means = value_of(lambda b, v: b.mean_axes(v, (1,), keepdim=True), x)
    np.testing.assert_allclose(means, wide.mean(1, keepdims=True), rtol=1e-5)
    np.testing.assert_array_equal(value_of(lambda b, v: b.max_axes(v, (0,)), x), x.max(0))
    np.testing.assert_array_equal(value_of(lambda b, v: b.sum_axes(v, (0,)), x[:1]), x[0])


def test_residual_contraction_finds_what_one_large_entry_hides() -> None:
    x = sample((4, 64)) * np.float32(1e-5)
    x[:, 0] = 1.0
    truth = x.astype(np.float64) @ x.astype(np.float64).T - 1

    def error(*, residual: bool) -> float:
        def emit(b: Builder, v: Value) -> Value:
            other = b.pad(b.slice(v, 1, 1, 63), 1, 1, 0)  # without the large entry
            return b.contract(v, other, residuals=(residual, False))

        return float(np.abs(value_of(emit, x) - truth).max() / np.abs(truth).max())

    assert error(residual=False) > 0.5
    assert error(residual=True) < 1e-3


def test_matmul_is_contract_with_a_transpose() -> None:
    x = sample((6, 6))
    built, product = built_value(lambda b, v: b.matmul(v, v), x)
    np.testing.assert_allclose(product, x.astype(np.float64) @ x.astype(np.float64), atol=2e-3)
    assert ops_of(built).count(Op.MATMUL) == 1


# composites


COMPOSITES: dict[str, tuple[Callable[[Builder, Value], Value], Callable[[Array], Array]]] = {
    "sigmoid": (composites.sigmoid, lambda x: 1 / (1 + np.exp(-x))),
    "silu": (composites.silu, lambda x: x / (1 + np.exp(-x))),
    "gelu": (composites.gelu, lambda x: x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2),
    "softmax": (composites.softmax, lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
    "log_softmax": (composites.log_softmax, lambda x: x - np.log(np.exp(x).sum(-1, keepdims=True))),
    "rsqrt": (lambda b, x: composites.rsqrt(b, b.add(b.mul(x, x), 1.0)), lambda x: 1 / np.sqrt(x * x + 1)),
    "relu": (composites.relu, lambda x: np.maximum(x, 0)),
    "sine": (lambda b, x: composites.sine(b, b.mul(x, 800.0)), lambda x: np.sin(np.float32(x) * np.float32(800))),
    "cosine": (lambda b, x: composites.sine(b, x, 1), np.cos),
    "log1p": (lambda b, x: composites.log1p(b, b.mul(x, x)), lambda x: np.log1p(x * x)),
    "expm1": (composites.expm1, np.expm1),
}


@pytest.mark.parametrize("name", COMPOSITES)
def test_composite_is_near_the_true_function(name: str) -> None:
    emit, truth = COMPOSITES[name]
    x = sample((40, 30)) * 2
    np.testing.assert_allclose(value_of(emit, x), truth(x.astype(np.float64)), rtol=3e-6, atol=1e-6)


def test_logarithm_and_exponential_about_one_keep_small_numbers_and_edges() -> None:
    x = np.array([0.0, 1e-30, -1e-30, 3e-8, np.inf, 1e-3, -0.5, np.nan], np.float32)
    for emit, truth in ((composites.log1p, np.log1p), (composites.expm1, np.expm1)):
        np.testing.assert_allclose(value_of(emit, x), truth(x.astype(np.float64)), rtol=3e-7)
    ends = np.array([-1.0, -np.inf], np.float32)
    assert value_of(composites.log1p, ends)[0] == -np.inf
    assert value_of(composites.expm1, ends)[1] == -1.0


def test_sine_of_a_large_number_stays_within_one() -> None:
    x = np.array([1e7, -3e12, 3e38], np.float32)
    assert (np.abs(value_of(composites.sine, x)) <= 1).all()
    assert np.isnan(value_of(composites.sine, np.array([np.inf, np.nan], np.float32))).all()


def test_relu_passes_a_nan_on() -> None:
    x = np.array([np.nan, -1, 2], np.float32)
    np.testing.assert_array_equal(value_of(composites.relu, x), np.array([np.nan, 0, 2], np.float32))


def test_normal_draws_are_standard_and_bounded() -> None:
    z = value_of(lambda b, x: composites.normal(b, (300, 400)), sample((1,)), step=5)
    assert abs(z.mean()) < 0.01
    assert abs(z.std() - 1) < 0.01
    assert np.abs(z).max() <= 5.4
    assert abs((np.abs(z) < 0.6745).mean() - 0.5) < 0.01
    assert abs((np.abs(z) > 1.96).mean() - 0.05) < 0.005


def test_uniform_draws_fill_their_interval() -> None:
    u = value_of(lambda b, x: composites.uniform(b, (200, 200), -0.25, 0.75), sample((1,)))
    assert u.min() >= -0.25
    assert u.max() <= 0.75
    assert abs(u.mean() - 0.25) < 0.01
    assert abs(u.std() - 1 / math.sqrt(12)) < 0.01


def test_dropout_mask_keeps_the_right_share_and_differs_by_step_and_site() -> None:
    def emit(b: Builder, x: Value) -> Value:
        return b.concat([composites.dropout_mask(b, (100, 100), 0.3), composites.dropout_mask(b, (100, 100), 0.3)])

    masks = value_of(emit, sample((1,)), step=1)
    first, second = masks[:100], masks[100:]
    assert abs((first == 0).mean() - 0.3) < 0.02
    assert set(np.unique(first)) == {np.float32(0), np.float32(1 / 0.7)}
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, value_of(emit, sample((1,)), step=2)[:100])


def test_unfinished_state_is_refused() -> None:
    b = Builder()
    b.add_state("x", F32, (2,))
    with pytest.raises(ProgramError, match="0 new values for 1 state entries"):
        b.finish([])
    with pytest.raises(ProgramError, match="float64"):
        b.add_constant("c", np.zeros(3))
