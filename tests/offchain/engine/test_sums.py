"""Files of sums: what is written is read, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load

from lockstep.engine.errors import EngineError
from lockstep.engine.sums import parse_sums, sums_bytes, write_sums
from lockstep.numerics.dtypes import DType
from lockstep.program.graph import ConstantEntry, Input, Node, Program
from lockstep.program.ops import InputKind, Op

SHAPES = ((2, 3), (1, 4, 5))


def program() -> Program:
    entries, nodes = [], []
    for *lead, rows, columns in SHAPES:
        inputs = []
        for count in (rows, columns):
            for dtype, shape in ((DType.M16, (*lead, count, 7)), (DType.E16, (*lead, count))):
                inputs.append(Input(InputKind.CONST, len(entries)))
                entries.append(ConstantEntry(dtype, shape, bytes(32)))
        nodes.append(Node(Op.MATMUL, DType.F32, (*lead, rows, columns), tuple(inputs)))
    return Program(tuple(nodes), (), tuple(entries))


def file(folder: Path) -> bytes:
    sums = (torch.arange(n, n + torch.Size(shape).numel()).reshape(shape) - 5 for n, shape in enumerate(SHAPES))
    path = folder / "sums"
    write_sums(path, program(), (0, 1), sums)
    return path.read_bytes()


def test_sums_come_back_as_they_were_written(tmp_path: Path) -> None:
    data = file(tmp_path)
    assert len(data) == sums_bytes(program(), (0, 1))
    found = parse_sums(data, program(), (0, 1))
    public = load(data)  # any reader of safetensors
    for place, shape in enumerate(SHAPES):
        wanted = np.arange(place, place + np.prod(shape)).reshape(shape) - 5
        assert found[place].dtype == np.int64
        assert (found[place] == wanted).all()
        assert (public[str(place)] == wanted).all()


def test_nothing_but_this_programs_sums_is_read(tmp_path: Path) -> None:
    data = file(tmp_path)
    for wrong in (b"", data[:8], data[:-1], data + b"\0"):
        with pytest.raises(EngineError, match=r"bytes where this program's take"):
            parse_sums(wrong, program(), (0, 1))
    header = len(data) - 8 * sum(torch.Size(shape).numel() for shape in SHAPES)
    for at in (0, 7, 8, header - 1):
        wrong = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(EngineError, match="header"):
            parse_sums(wrong, program(), (0, 1))
    with pytest.raises(EngineError, match=r"bytes where this program's take"):
        parse_sums(data, program(), (1,))


def test_a_file_of_sums_replaces_none(tmp_path: Path) -> None:
    file(tmp_path)
    with pytest.raises(FileExistsError):
        file(tmp_path)
