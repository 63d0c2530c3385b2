"""Roots of many tensors at once are the roots of each, and a file's hash is its bytes', whoever computes them."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from torch import Tensor

from lockstep.commitments.tensor import commit_tensor, state_root
from lockstep.engine import hashing
from lockstep.engine.hashing import Hashed, hash_tensors
from lockstep.engine.routes import from_numpy
from lockstep.numerics.dtypes import NUMPY, DType

pytestmark = pytest.mark.usefixtures("way")


@pytest.fixture(params=["native", "two threads", "hashlib"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hashing.native_hashing()
    if request.param == "hashlib":
        monkeypatch.setattr(hashing, "native_hashing", lambda: False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2 if request.param == "two threads" else 1)


def array(rng: np.random.Generator, dtype: DType, shape: tuple[int, ...]) -> np.ndarray:
    if dtype is DType.ROOT:
        return rng.integers(0, 256, (*shape, 32), np.uint8)
    size = int(np.prod(shape)) * np.dtype(NUMPY[dtype]).itemsize
    return np.frombuffer(rng.bytes(size), NUMPY[dtype]).reshape(shape).copy()


def require_right(found: Hashed, arrays: list[np.ndarray], dtypes: list[DType], head: bytes) -> None:
    commitments = [commit_tensor(value, dtype) for value, dtype in zip(arrays, dtypes, strict=True)]
    assert found.roots == [commitment.root for commitment in commitments]
    assert found.root == state_root(found.roots)
    data = b"".join(bytes(commitment.data) for commitment in commitments)
    assert b"".join(tensor.numpy().tobytes() for tensor in found.tensors) == data
    assert found.digest == hashlib.sha256(head + data).digest()


@pytest.mark.parametrize("seed", range(12))
def test_many_tensors_have_the_roots_of_each_and_their_file_its_hash(seed: int) -> None:
    rng = np.random.default_rng(seed)
    dtypes = [DType(kind) for kind in rng.choice([int(dtype) for dtype in NUMPY], rng.integers(1, 50))]
    shapes = [tuple(rng.integers(1, 40, rng.integers(0, 4)).tolist()) for _ in dtypes]
    arrays = [array(rng, dtype, shape) for dtype, shape in zip(dtypes, shapes, strict=True)]  # random bits: NaNs too
    head = rng.bytes(int(rng.integers(0, 200)))
    require_right(hash_tensors([from_numpy(x) for x in arrays], dtypes, head=head), arrays, dtypes, head)
    assert hash_tensors([from_numpy(x) for x in arrays], dtypes).roots == [
        commit_tensor(x, dtype).root for x, dtype in zip(arrays, dtypes, strict=True)
    ]


@pytest.mark.parametrize("chunks", [15, 16, 17, 31, 63, 64, 65, 127, 128, 129, 1_000, 4_097])
@pytest.mark.parametrize("rest", [0, 4, 1_020])
def test_trees_of_whole_and_of_broken_rounds_are_right(chunks: int, rest: int) -> None:
    rng = np.random.default_rng(chunks)
    arrays = [array(rng, DType.I32, (256 * chunks + rest // 4,)), array(rng, DType.F32, (3,))]
    require_right(hash_tensors([from_numpy(x) for x in arrays], head=b"h"), arrays, [DType.I32, DType.F32], b"h")


def test_odd_nan_anywhere_is_hashed_as_the_canonical_one_and_the_given_tensors_are_left_alone() -> None:
    for place in (0, 15, 16, 255, 256, 20_000, 29_999):
        given = np.zeros(30_000, np.float32)
        given.view(np.uint32)[place] = 0xFF800001
        tensors: list[Tensor] = [torch.ones(5), from_numpy(given)]
        arrays = [np.ones(5, np.float32), given.copy()]
        found = hash_tensors(tensors, head=b"")
        require_right(found, arrays, [DType.F32, DType.F32], b"")
        assert found.tensors[1].view(torch.int32)[place] == 0x7FC00000
        assert given.view(np.uint32)[place] == 0xFF800001
        assert found.tensors[0] is tensors[0]


def test_tensor_that_is_not_contiguous_is_hashed_in_order() -> None:
    grid = torch.arange(12, dtype=torch.int32).reshape(3, 4)
    assert hash_tensors([grid.T]).roots == [commit_tensor(grid.T.numpy().copy(), DType.I32).root]


@pytest.mark.parametrize("tensors", [[], [torch.zeros(0)], [torch.zeros(2), torch.zeros(2, 0)]])
def test_nothing_has_no_root(tensors: list[Tensor]) -> None:
    with pytest.raises(ValueError, match="bytes"):
        hash_tensors(tensors)
