"""The native engine gives the reference's bits, on every op, random programs, and convolutions of many shapes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lockstep.commitments.tensor import tensor_root as tensor_root_by_hashlib
from lockstep.engine import hashing
from lockstep.engine.checkpoint import state_root
from lockstep.engine.errors import EngineError
from lockstep.engine.native import access, library, selftest
from lockstep.engine.native.arena import ALIGN, MARGIN, place
from lockstep.engine.native.engine import NativeEngine
from lockstep.engine.routes import from_numpy, same_bits
from lockstep.engine.run import Runner, check_constants, check_state, native_is_usable
from lockstep.engine.segment import initial_state, run_segment
from lockstep.numerics import contraction
from lockstep.numerics.dtypes import DType
from lockstep.numerics.routes import contraction as torch_contraction
from lockstep.program.capture import capture
from lockstep.program.graph import ConstantEntry, Input, Node, Program, StateEntry
from lockstep.program.ops import InputKind, Op
from lockstep.program.optimisers import SGD
from lockstep.program.reference import evaluate
from lockstep.program.selection import Dataset
from tests.offchain.engine.small_programs import Nodes, f32, tiny_regression, tiny_state
from tests.strategies import random_program_case

pytestmark = pytest.mark.skipif(library.load() is None, reason="There is no native engine here.")

OPS = [op for op in Op if op is not Op.STATE]


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name.lower())
def test_native_edge_cases_equal_reference(op: Op) -> None:
    assert selftest.passes(op)


@pytest.mark.parametrize("threads", [1, 2])
def test_native_random_programs_every_node_equals_reference(threads: int, long: bool) -> None:
    rng = np.random.default_rng(100 + threads)
    for _ in range(2_000 if long else 60):
        case = random_program_case(rng)
        program = case.program
        new_state, values = evaluate(program, case.state, case.constants, case.step, case.seed)
        constants, state = check_constants(program, case.constants), check_state(program, case.state)
        every = [Input(InputKind.NODE, index) for index in range(len(program.nodes) - 1)]
        last = [(i, s) for i, s in enumerate(program.nodes[-1].inputs) if s.kind is InputKind.NODE]
        for outputs, wanted in (
            (every, values[:-1]),  # nothing is fused away
            ([source for _, source in last], [new_state[i] for i, _ in last]),  # everything may be
        ):
            if not outputs:
                continue
            found = NativeEngine(program, outputs, constants, case.seed, threads).run(state, case.step)
            for value, expected, source in zip(found, wanted, outputs, strict=True):
                node = program.nodes[source.value]
                assert same_bits(value, np.asarray(expected), node.dtype), node


@pytest.mark.parametrize("threads", [1, 2])
def test_native_chain_with_more_values_than_a_group_holds_equals_reference(threads: int) -> None:
    # Every node has a literal of its own and is an output: as many registers as nodes can ask for.
    count, length = 400, 3_000
    nodes = Nodes([StateEntry(DType.F32, (length,))], [])
    every: list[Input] = []
    for index in range(count):
        before = every[-1] if every else Input(InputKind.STATE, 0)
        every.append(nodes.add(Op.ADD if index % 2 else Op.MUL, before, f32(index - 200.5), shape=(length,)))
    program = nodes.finish(every[-1:], [])
    state = [np.linspace(-1, 1, length, dtype=np.float32)]
    _, values = evaluate(program, state, [], 0, 0)
    found = NativeEngine(program, every, [], 0, threads).run(check_state(program, state), 0)
    for value, expected in zip(found, values[:-1], strict=True):
        assert same_bits(value, np.asarray(expected), DType.F32)


def test_native_program_it_has_no_room_for_runs_on_torch_with_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    program, constants = tiny_regression()
    state = tiny_state()
    expected = state_root(Runner(program, constants, 5).step(state, 0)[0])
    monkeypatch.setattr(access, "MAX_DIMS", 0)
    runner = Runner(program, constants, 5)
    assert runner.name == "torch"
    assert state_root(runner.step(state, 0)[0]) == expected
    with pytest.raises(EngineError, match="axes"):
        Runner(program, constants, 5, native=True)


class Convolutions(nn.Module):
    """Two convolutions, so that the gradient of an input is needed, and a linear layer."""

    def __init__(self, channels: int, size: int, first: dict[str, object], second: dict[str, object]) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 8, **first)  # type: ignore[arg-type]
        self.second = nn.Conv2d(8, 6, **second)  # type: ignore[arg-type]
        with torch.no_grad():
            count = self.second(self.first(torch.zeros(1, channels, size, size))).numel()
        self.classify = nn.Linear(count, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.second(torch.relu(self.first(x))))
        scores: torch.Tensor = self.classify(hidden.flatten(1))
        return scores


PLAIN = {"kernel_size": 3, "padding": 1}
SHAPES = [
    (1, 6, PLAIN, PLAIN),
    (3, 7, PLAIN, {"kernel_size": 3, "padding": 1, "stride": 2}),
    (4, 8, {"kernel_size": 5, "padding": 2}, {"kernel_size": 1}),
    (2, 9, {"kernel_size": 3}, {"kernel_size": 3, "stride": 2}),
    (3, 8, {"kernel_size": 3, "padding": 2, "dilation": 2}, {"kernel_size": (1, 3), "padding": (0, 1)}),
    (5, 5, {"kernel_size": 2, "padding": 1}, {"kernel_size": 3, "padding": 2}),
    (2, 8, {"kernel_size": 3, "padding": 1, "bias": False}, {"kernel_size": 3, "padding": 1, "groups": 2}),
    (1, 11, {"kernel_size": 4, "stride": 3, "padding": 1}, {"kernel_size": 2, "stride": 2, "padding": 1}),
]


@pytest.mark.parametrize(("channels", "size", "first", "second"), SHAPES)
def test_native_convolution_step_equals_torch_routes(
    channels: int, size: int, first: dict[str, object], second: dict[str, object]
) -> None:
    rng = np.random.default_rng(size)
    inputs = rng.standard_normal((40, channels, size, size)).astype(np.float32)
    targets = rng.integers(0, 3, 40).astype(np.int32)
    torch.manual_seed(0)
    model = Convolutions(channels, size, first, second)
    task = capture(model, nn.CrossEntropyLoss(), SGD(lr=0.1), Dataset(inputs, targets), batch_size=10)
    state = initial_state(task.init, task.constants, 3)
    roots = {
        run_segment(Runner(task.step, task.constants, 3, native=native, threads=threads), state, 0, 2).root
        for native, threads in ((False, 1), (True, 1), (True, 2))
    }
    assert len(roots) == 1


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("m", "n", "k"), [(300, 170, 130), (1, 1000, 33), (97, 5, 2_000), (513, 31, 64), (40, 40, 16_384)]
)
def test_native_contraction_of_many_blocks_equals_float64(m: int, n: int, k: int, threads: int) -> None:
    rng = np.random.default_rng(m)
    arrays = []
    for rows in (m, n):
        x = np.ldexp(rng.standard_normal((rows, k)), rng.integers(-20, 20, (rows, 1))).astype(np.float32)
        e = contraction.exponent(x, -113)
        arrays += [contraction.quantize(x, e), e]
    assert_native_product(arrays, threads)


def assert_native_product(arrays: Sequence[np.ndarray], threads: int = 1) -> None:
    """The native product of m16 [m, k], e16 [m], m16 [n, k], e16 [n] is float64's, exact until it is rounded."""
    m, n = arrays[0].shape[0], arrays[2].shape[0]
    tensors = [from_numpy(a) for a in arrays]
    dtypes = [DType.M16, DType.E16] * 2
    entries = tuple(ConstantEntry(d, a.shape, bytes(32)) for d, a in zip(dtypes, arrays, strict=True))
    node = Node(Op.MATMUL, DType.F32, (m, n), tuple(Input(InputKind.CONST, i) for i in range(4)))
    program = Program((node,), (), entries)
    (found,) = NativeEngine(program, [Input(InputKind.NODE, 0)], tensors, 0, threads).run([], 0)
    expected = torch_contraction.matmul_float64(*tensors)
    assert same_bits(found, expected.numpy(), DType.F32)


@pytest.mark.parametrize("k", [1, 2, 5, 6, 7, 16, 31, 32, 33, 64, 129, 384, 385, 448, 449, 504, 577])
def test_native_contraction_of_extreme_rows_equals_float64(k: int) -> None:
    rng = np.random.default_rng(k)

    def mantissas(rows: int) -> np.ndarray:
        kinds = [
            np.full((rows, k), 16_384),
            np.full((rows, k), -16_384),
            rng.integers(-16_384, 16_385, (rows, k)),
            rng.integers(-3, 4, (rows, k)),
            rng.choice([-16_384, -129, -128, -127, 0, 127, 128, 129, 16_384], (rows, k)),
        ]
        return np.concatenate(kinds).astype(np.int16)

    # Usual exponents; results that overflow; results that are subnormal or 0; a row that is not finite among others.
    for least, most in ((-20, 21), (60, 128), (-113, -40), (-113, 128)):
        pairs = [(x, rng.integers(least, most, len(x)).astype(np.int16)) for x in (mantissas(21), mantissas(13))]
        assert_native_product([a for pair in pairs for a in pair])
        pairs[0][1][7] = pairs[1][1][64] = 255
        assert_native_product([a for pair in pairs for a in pair])


spans = st.tuples(st.integers(0, 40), st.integers(0, 12)).map(lambda s: (s[0], s[0] + s[1]))
alike = st.lists(st.tuples(st.sampled_from([64, 20_000]), spans).map(lambda v: (v[0], *v[1])), max_size=30)
values = st.lists(st.tuples(st.integers(1, 5_000), spans).map(lambda v: (v[0], *v[1])), max_size=60)


@given(values)
def test_arena_values_alive_together_do_not_overlap(sizes: Sequence[tuple[int, int, int]]) -> None:
    total, offsets = place(sizes)
    for i, (size, first, last) in enumerate(sizes):
        assert offsets[i] % ALIGN == 0
        assert offsets[i] + size + MARGIN <= total
        for j in range(i):
            other, start, stop = sizes[j]
            if first <= stop and start <= last:
                apart = offsets[i] + size <= offsets[j] or offsets[j] + other <= offsets[i]
                assert apart, (sizes[i], sizes[j])


def test_arena_reuses_memory_of_values_that_are_gone() -> None:
    total, _ = place([(1 << 20, i, i + 1) for i in range(50)])
    assert total < 4 << 20


@given(alike, st.data())
def test_arena_heirs_overlap_with_nobody_but_the_value_they_replace(
    sizes: Sequence[tuple[int, int, int]], data: st.DataObject
) -> None:
    pairs = [
        (i, j)
        for i, (size, first, last) in enumerate(sizes)
        for j, (other, start, _) in enumerate(sizes)
        if i != j and size == other and last == start and first < start
    ]
    heirs = data.draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    total, offsets = place(sizes, heirs)
    for i, (size, first, last) in enumerate(sizes):
        assert offsets[i] + size + MARGIN <= total
        for j in range(i):
            other, start, stop = sizes[j]
            if first <= stop and start <= last and (i, j) not in heirs and (j, i) not in heirs:
                assert offsets[i] + size <= offsets[j] or offsets[j] + other <= offsets[i]


def test_arena_value_is_written_over_the_one_it_replaces() -> None:
    chain = [(1 << 20, i, i + 1) for i in range(50)]
    total, offsets = place(chain, [(i, i + 1) for i in range(49)])
    assert set(offsets) == {0}
    assert total < 2 << 20
    # Each value has one heir, and each heir one value.
    _, offsets = place([(64, 0, 2), (64, 1, 2), (64, 2, 3), (64, 2, 3)], [(0, 2), (1, 2), (0, 3), (1, 3)])
    assert sorted([offsets[0], offsets[1]]) == sorted([offsets[2], offsets[3]])


@pytest.mark.parametrize("size", [1, 255, 256, 257, 4_096, 70_001, 300_000])
def test_native_hashes_equal_hashlib(size: int) -> None:
    assert hashing.native_hashing()
    x = np.random.default_rng(size).integers(0, 2**32, size, np.uint32).view(np.float32)
    assert hashing.tensor_root(from_numpy(x)) == tensor_root_by_hashlib(x, DType.F32)
    committed = hashing.commit(from_numpy(x))
    assert committed.root == tensor_root_by_hashlib(x, DType.F32)
    assert hashlib.sha256(b"\0" + committed.chunk(0)).digest() == committed.tree.levels[0][0]


def test_portable_sha256_equals_hashlib() -> None:
    native = library.load()
    assert native is not None
    block = b"abc\x80" + bytes(59) + b"\x18"
    state = np.array(
        [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19], np.uint32
    )
    native.lockstep_sha_portable(block, state.ctypes.data)
    assert state.byteswap().tobytes() == hashlib.sha256(b"abc").digest()


def test_runner_same_state_twice_gives_the_same_bits_and_leaves_the_state_alone() -> None:
    program, constants = tiny_regression()
    runner = Runner(program, constants, 5)
    state = [torch.randn(5, 7), torch.randn(5)]
    before = state_root(state)
    first, _ = runner.step(state, 0)
    out = runner.empty_state()
    second, _ = runner.step(state, 0, out)
    assert state_root(first) == state_root(second)
    assert state_root(state) == before
    assert [t.data_ptr() for t in second] == [t.data_ptr() for t in out]


def test_native_is_not_used_when_a_self_test_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    program, constants = tiny_regression()
    monkeypatch.setattr(selftest, "passes", lambda op: op is not Op.MATMUL)
    assert not native_is_usable(program)
    assert Runner(program, constants, 5).name == "torch"
    with pytest.raises(EngineError, match="cannot be used here"):
        Runner(program, constants, 5, native=True)


def in_a_process(code: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, check=True
    )
    return done.stdout.strip()


def test_library_switched_off_or_without_compiler_is_none() -> None:
    code = "from lockstep.engine.native.library import load, describe; print(load(), describe())"
    assert in_a_process(code, {"LOCKSTEP_NATIVE": "0"}) == "None torch"


def test_library_without_compiler_leaves_torch(tmp_path: object) -> None:
    code = "from lockstep.engine.native.library import load; print(load())"
    nowhere = {"PATH": str(tmp_path), "CXX": "", "LOCKSTEP_CACHE": str(tmp_path)}
    assert in_a_process(code, nowhere) == "None"


def test_library_instruction_set_by_name_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKSTEP_ISA", "baseline")
    assert library.instruction_set() == "baseline"
    monkeypatch.setenv("LOCKSTEP_ISA", "mmx")
    with pytest.raises(ValueError, match="it is one of amx, vnni, avx512, avx2, baseline"):
        library.instruction_set()
