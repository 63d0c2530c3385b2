"""Checkpoints: written whole, read only when they are exactly this program's state."""

from __future__ import annotations

import json
import mmap
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lockstep.commitments.tensor import state_root as root_of_roots
from lockstep.commitments.tensor import tensor_root
from lockstep.engine.checkpoint import (
    checkpoint_parts,
    parse_checkpoint,
    read_checkpoint,
    state_root,
    tensor_roots,
    write_checkpoint,
)
from lockstep.engine.errors import CheckpointError
from lockstep.numerics.dtypes import DType
from lockstep.program.graph import Program, StateEntry


def program_with(*entries: StateEntry) -> Program:
    return Program((), entries)


PROGRAM = program_with(
    StateEntry(DType.F32, (3, 5)), StateEntry(DType.I32, ()), StateEntry(DType.F32, (700,), frozen=True)
)


def joined(program: Program, state: list[torch.Tensor]) -> bytes:
    return b"".join(checkpoint_parts(program, state))


def a_state() -> list[torch.Tensor]:
    rng = np.random.default_rng(0)
    floats = rng.integers(0, 2**32, 715, np.uint32).view(np.float32).copy()
    return [
        torch.from_numpy(floats[:15].reshape(3, 5)),
        torch.tensor(-7, dtype=torch.int32),
        torch.from_numpy(floats[15:]),
    ]


def test_checkpoint_round_trip_keeps_the_root(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, PROGRAM, a_state())
    root = state_root(a_state())
    assert state_root(read_checkpoint(path, PROGRAM, root)) == root
    assert path.read_bytes() == joined(PROGRAM, a_state())
    assert [p.name for p in tmp_path.iterdir()] == ["c.safetensors"]


def test_checkpoint_is_a_safetensors_file(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, PROGRAM, a_state())
    loaded = load_file(path)
    assert torch.equal(loaded["1"], torch.tensor(-7, dtype=torch.int32))
    assert [tuple(loaded[str(i)].shape) for i in range(3)] == [(3, 5), (), (700,)]


def test_checkpoint_nan_is_canonical_on_the_way_in_and_out() -> None:
    program = program_with(StateEntry(DType.F32, (2,)))
    odd = np.array([0xFFC00001, 0x7F800001], np.uint32).view(np.float32)
    data = joined(program, [torch.from_numpy(odd.copy())])
    assert data.endswith(bytes.fromhex("0000c07f") * 2)
    dirty = data[:-8] + odd.tobytes()
    (back,) = parse_checkpoint(dirty, program)
    assert back.view(torch.int32).tolist() == [0x7FC00000] * 2


def test_state_root_is_the_tree_over_tensor_roots() -> None:
    arrays = [t.numpy() for t in a_state()]
    expected = [tensor_root(a, DType.I32 if a.dtype == np.int32 else DType.F32) for a in arrays]
    assert tensor_roots(a_state()) == expected
    assert state_root(a_state()) == root_of_roots(expected)


def test_tensor_roots_of_large_state_hashed_in_threads_are_the_same() -> None:
    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal(n).astype(np.float32) for n in (1, 255, 256, 257, 70_000, 300_001)]
    arrays[4][1234] = np.nan
    assert tensor_roots([torch.from_numpy(a) for a in arrays]) == [tensor_root(a, DType.F32) for a in arrays]


def test_checkpoint_state_that_does_not_fit_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not fit"):
        write_checkpoint(tmp_path / "c", PROGRAM, a_state()[:2])
    assert list(tmp_path.iterdir()) == []


def with_header(table: object, data: bytes = b"") -> bytes:
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    return struct.pack("<Q", len(text)) + text + data


GOOD = joined(PROGRAM, a_state())
ENTRY = {"dtype": "F32", "shape": [3, 5], "data_offsets": [0, 60]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "has 0 bytes"),
        (b"\x00" * 7, "has 7 bytes"),
        (struct.pack("<Q", 2**63) + b"{}", "header claims 9223372036854775808 bytes"),
        (with_header(b"\xff\xfe"), "cannot be read"),
        (with_header(b"[" * 60_000), "nested too deep"),
        (with_header(b'{"0":[' + b"[" * 60_000), "nested too deep"),
        (with_header(b"1" * 100_000), "header has 100000 bytes where"),
        (with_header(b'{"0":1,"0":1}'), "a name occurs twice"),
        (with_header([1]), "not a table"),
        (with_header({"a": ENTRY}), "are not this program's state 0..2"),
        (with_header({"0": 1, "1": 1, "2": 1}), "State tensor 0 has no description"),
        (with_header({"0": {**ENTRY, "shape": [2**40]}, "1": {}, "2": {}}), "State tensor 0 is F32"),
        (with_header({"0": {**ENTRY, "dtype": "F64"}, "1": {}, "2": {}}), "State tensor 0 is F64"),
        (GOOD[:-1], "bytes where this program's state takes"),
        (GOOD + b"\x00", "bytes where this program's state takes"),
        (GOOD.replace(b'"data_offsets":[0,60]', b'"data_offsets":[0,61]'), "not the canonical one"),
    ],
)
def test_checkpoint_hostile_bytes_are_refused_with_a_sentence(data: bytes, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        parse_checkpoint(data, PROGRAM)


def test_checkpoint_of_another_root_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c"
    write_checkpoint(path, PROGRAM, a_state())
    with pytest.raises(CheckpointError, match="does not have the root 0000"):
        read_checkpoint(path, PROGRAM, bytes(32))
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="is empty"):
        read_checkpoint(path, PROGRAM)


def test_checkpoint_written_by_safetensors_in_another_order_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c"
    save_file({"0": a_state()[0], "1": a_state()[1], "2": a_state()[2]}, path, metadata={"who": "else"})
    with pytest.raises(CheckpointError):
        read_checkpoint(path, PROGRAM)


def test_checkpoint_is_mapped_and_not_read_into_memory(tmp_path: Path) -> None:
    """Two tensors of it: one that is touched stays the file's own until it is written to."""
    path, program = tmp_path / "c", program_with(*[StateEntry(DType.F32, (1 << 16,))] * 2)
    state = [torch.full((1 << 16,), float(i)) for i in range(2)]
    write_checkpoint(path, program, state)
    found = read_checkpoint(path, program, state_root(state))
    mapped = [
        line.split()[0].split("-") for line in Path("/proc/self/maps").read_text().splitlines() if str(path) in line
    ]
    for tensor in found:
        assert any(int(low, 16) <= tensor.data_ptr() < int(high, 16) for low, high in mapped)
    found[0].zero_()
    assert state_root(read_checkpoint(path, program)) == state_root(state)


def test_checkpoint_that_ends_with_a_page_is_read_as_well(tmp_path: Path) -> None:
    """Nothing lies behind its last element, so it is copied to where something does."""
    path, header = tmp_path / "c", 0
    for _ in range(2):  # the header's length follows from the shape, and the shape from the header's length
        program = program_with(StateEntry(DType.F32, ((4 * mmap.PAGESIZE - header) // 4,)))
        header = len(checkpoint_parts(program, [torch.zeros(program.state[0].shape)])[0])
    state = [torch.arange(program.state[0].shape[0], dtype=torch.float32)]
    write_checkpoint(path, program, state)
    assert path.stat().st_size % mmap.PAGESIZE == 0
    (found,) = read_checkpoint(path, program, state_root(state))
    assert torch.equal(found, state[0])
    assert str(path) not in Path("/proc/self/maps").read_text()


def test_checkpoint_in_memory_of_its_own_is_not_copied() -> None:
    data = memoryview(bytearray(GOOD))
    state = parse_checkpoint(data, PROGRAM)
    start = np.frombuffer(data, np.uint8).ctypes.data
    assert all(start <= tensor.data_ptr() < start + len(data) for tensor in state if tensor.dtype == torch.int32)
    assert tensor_roots(state) == tensor_roots(parse_checkpoint(GOOD, PROGRAM)) == tensor_roots(a_state())
