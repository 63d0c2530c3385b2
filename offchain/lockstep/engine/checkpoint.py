"""Checkpoints: a state's roots, and states as safetensors files that are checked before they are read.

A file holds state entry i under the name ``"i"``, in order and without gaps; a reader accepts
exactly the layout that ``checkpoint_parts`` writes for the program at hand and nothing else, so a
stranger's file can make it allocate no more than the program's own state.
"""

from __future__ import annotations

import ctypes
import functools
import json
import mmap
import os
import re
import struct
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from lockstep.engine.errors import CheckpointError
from lockstep.engine.hashing import hash_tensors
from lockstep.engine.native.arena import MARGIN
from lockstep.engine.routes import from_numpy, to_numpy
from lockstep.numerics.dtypes import ITEMSIZE, NUMPY, DType
from lockstep.program.graph import Program, StateEntry

_NAMES = {DType.F32: "F32", DType.I32: "I32"}


def tensor_roots(state: Sequence[Tensor]) -> list[bytes]:
    """Tensor root of each f32 or i32 tensor, hashed in parallel threads."""
    return hash_tensors(state).roots


def state_root(state: Sequence[Tensor]) -> bytes:
    """Root of a state, 32 bytes: what a claim and a checkpoint commit to."""
    return hash_tensors(state).root


@dataclass(frozen=True, slots=True)
class Header:
    """A checkpoint file's header, and the bytes of data behind it."""

    data: bytes
    size: int


def header_of(program: Program) -> Header:
    """The header of the files that hold this program's state."""
    return _header_of(program.state)


@functools.lru_cache(maxsize=16)
def _header_of(entries: tuple[StateEntry, ...]) -> Header:
    table: dict[str, dict[str, object]] = {}
    at = 0
    for index, entry in enumerate(entries):
        size = entry.type.elements * ITEMSIZE[entry.dtype]
        table[str(index)] = {"dtype": _NAMES[entry.dtype], "shape": list(entry.shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return Header(struct.pack("<Q", len(text)) + text, at)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A state that is ready to be kept: its root, and a safetensors file's parts with the SHA-256 of all of them."""

    root: bytes
    digest: bytes
    parts: list[memoryview]


def make_checkpoint(header: Header, state: Sequence[Tensor]) -> Checkpoint:
    """Root and file of a state of the program with this header, hashed together by this thread alone.

    The file's parts are the header and each tensor's own memory, which is not copied.
    """
    _require_fitting(header, state)
    hashed = hash_tensors(state, head=header.data)
    return Checkpoint(hashed.root, hashed.digest, [memoryview(header.data), *map(_bytes_of, hashed.tensors)])


def checkpoint_parts(program: Program, state: Sequence[Tensor]) -> list[memoryview]:
    """As ``Checkpoint.parts``, without any hash."""
    header = header_of(program)
    _require_fitting(header, state)
    return [memoryview(header.data), *(_bytes_of(from_numpy(to_numpy(tensor))) for tensor in state)]


def _require_fitting(header: Header, state: Sequence[Tensor]) -> None:
    if sum([tensor.nbytes for tensor in state]) != header.size:
        raise CheckpointError("The state does not fit the program's state entries; nothing was written.")


def _bytes_of(tensor: Tensor) -> memoryview:
    """A contiguous tensor's memory, which it keeps alive; NumPy's way there takes ten times as long."""
    memory = (ctypes.c_char * tensor.nbytes).from_address(tensor.data_ptr())
    memory.owner = tensor  # type: ignore[attr-defined]
    return memoryview(memory).cast("B")


def write_whole(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Write a file whole or not at all (temporary file, then rename), and onto the disk before it has its name."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_checkpoint(path: Path | str, program: Program, state: Sequence[Tensor]) -> None:
    """Write a state as a safetensors file, whole or not at all."""
    write_whole(Path(path), checkpoint_parts(program, state))


def parse_checkpoint(data: bytes | memoryview | mmap.mmap, program: Program, root: bytes | None = None) -> list[Tensor]:
    """State tensors from a safetensors file's bytes, checked against the program.

    Tensors lie in ``data`` itself where that can be written to, and is theirs from then on; else they are copies. With
    ``root``, a state of another root is refused. ``CheckpointError`` says what is wrong.
    """
    header = header_of(program).data
    expected = len(header) + header_of(program).size
    if len(data) < 8:
        raise CheckpointError(f"The checkpoint has {len(data)} bytes and no header.")
    (stated,) = struct.unpack("<Q", data[:8])
    if len(data) - 8 < stated:
        raise CheckpointError(f"The checkpoint's header claims {stated} bytes, but the file has {len(data)} in all.")
    if bytes(data[: len(header)]) != header:
        raise CheckpointError(_header_difference(bytes(data[8 : 8 + stated]), len(header) - 8, program))
    if len(data) != expected:
        raise CheckpointError(f"The checkpoint has {len(data)} bytes where this program's state takes {expected}.")
    view = memoryview(data)
    state, at = [], len(header)
    for entry in program.state:
        end = at + entry.type.elements * ITEMSIZE[entry.dtype]
        array = np.frombuffer(view[at:end], NUMPY[entry.dtype]).reshape(entry.shape)
        state.append(from_numpy(to_numpy(from_numpy(array))))
        at = end
    if root is not None and state_root(state) != root:
        raise CheckpointError(f"The checkpoint's state does not have the root {root.hex()}.")
    return state


_HEADER_SPARE = 1 << 16
"""Bytes of a wrong header that are read beyond the right one's length, to tell what is wrong."""
HEADER_NESTING = 3
"""How deep tables and lists of a header lie in each other."""


def nesting(text: bytes) -> int:
    """How deep brackets lie in each other at most. Parsers recurse: depth is known before one is called."""
    depth = deepest = 0
    for bracket in re.findall(rb"[][{}]", text):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _header_difference(text: bytes, expected: int, program: Program) -> str:
    """A sentence on how a file's header differs from the one this program's state has, of ``expected`` bytes."""
    if len(text) > expected + _HEADER_SPARE:
        return f"The checkpoint's header has {len(text)} bytes where this program's state takes {expected}."
    if nesting(text) > HEADER_NESTING:
        return "The checkpoint's header cannot be read: it is nested too deep."

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise ValueError("a name occurs twice")
        return dict(pairs)

    try:
        table = json.loads(text, object_pairs_hook=unique)
    except ValueError as error:
        return f"The checkpoint's header cannot be read: {error}."
    if not isinstance(table, dict):
        return "The checkpoint's header is not a table of tensors."
    names = {str(index) for index in range(len(program.state))}
    if set(table) != names:
        odd = sorted(set(table) ^ names)[:3]
        return f"The checkpoint's tensors are not this program's state 0..{len(names) - 1} (look at {', '.join(odd)})."
    for index, entry in enumerate(program.state):
        found = table[str(index)]
        if not isinstance(found, dict):
            return f"State tensor {index} has no description."
        if found.get("dtype") != _NAMES[entry.dtype] or found.get("shape") != list(entry.shape):
            return (
                f"State tensor {index} is {found.get('dtype')} {found.get('shape')} in the checkpoint; "
                f"the program has {_NAMES[entry.dtype]} {list(entry.shape)}."
            )
    return "The checkpoint's header is not the canonical one: names, offsets or spacing differ."


def read_checkpoint(path: Path | str, program: Program, root: bytes | None = None) -> list[Tensor]:
    """State tensors from a safetensors file, which is mapped, not read into memory; see ``parse_checkpoint``.

    Who writes into the file later changes them; ``write_checkpoint`` makes new files.
    """
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            raise CheckpointError(f"The checkpoint {path} is empty.")
        # Behind the last page there is nothing that vector code may read: where the file ends there, it is copied.
        access = mmap.ACCESS_COPY if -size % mmap.PAGESIZE >= MARGIN else mmap.ACCESS_READ
        return parse_checkpoint(mmap.mmap(file.fileno(), 0, access=access), program, root)
