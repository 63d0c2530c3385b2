"""Checkpoint files of any tensors, good or not, and the roots that a solver would commit to with them."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence

from torch import Tensor

from lockstep.commitments.merkle import merkle_root
from lockstep.commitments.tensor import CHUNK_BYTES, root_from_tree, state_root
from lockstep.numerics.dtypes import DType

Raw = tuple[DType, tuple[int, ...], bytes]
"""A tensor as it lies in a file, whatever its bits say."""


def raw_state(state: Sequence[Tensor]) -> list[Raw]:
    """A state's tensors, to be spoilt."""
    return [
        (DType.F32 if tensor.is_floating_point() else DType.I32, tuple(tensor.shape), tensor.numpy().tobytes())
        for tensor in state
    ]


def raw_file(tensors: Sequence[Raw]) -> bytes:
    """The safetensors file of these tensors, as a checkpoint is written."""
    table, at = {}, 0
    for index, (kind, shape, data) in enumerate(tensors):
        table[str(index)] = {"dtype": kind.name, "shape": list(shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors)


def raw_root(tensors: Sequence[Raw]) -> bytes:
    """Root of a state of these tensors, hashed as they are."""
    roots = []
    for kind, shape, data in tensors:
        chunks = [data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)]
        roots.append(root_from_tree(kind, shape, merkle_root(chunks)))
    return state_root(roots)
