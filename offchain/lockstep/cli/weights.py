"""Trained weights as a file for people: safetensors under the model's own names."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from lockstep.program.graph import Program


def write_weights(file: Path, program: Program, state: Sequence[Tensor], about: dict[str, str]) -> None:
    """A safetensors file, whole or not at all, under the names of the model's state_dict where the task has them.

    ``about`` is one entry of its metadata, ``lockstep``, as JSON: safetensors writes several in any order, and equal
    weights shall be equal files.
    """
    names = program.names.state
    if len(names) != len(state) or len(set(names)) != len(names):
        names = tuple(map(str, range(len(state))))
    data = save(
        {name: tensor.contiguous() for name, tensor in zip(names, state, strict=True)}, {"lockstep": json.dumps(about)}
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "wb") as opened:
            opened.write(data)
        Path(partial).chmod(0o644)
        Path(partial).replace(file)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
