"""Tensor roots from their definition; what they bind and what they do not see."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.commitments import merkle
from lockstep.commitments.tensor import (
    CHUNK_BYTES,
    canonical_bytes,
    chunk_count,
    commit_roots,
    commit_tensor,
    root_from_tree,
    state_root,
    tensor_header,
    tensor_root,
)
from lockstep.numerics.dtypes import CANONICAL_NAN, ITEMSIZE, NUMPY, DType
from tests.strategies.values import NOISY_NAN_BITS, random_shape, values_of

DTYPES = (DType.F32, DType.I32, DType.M16, DType.E16, DType.U8, DType.U16)
SEEDS = st.integers(0, 2**32 - 1)


def definition(data: bytes, dtype: DType, shape: tuple[int, ...]) -> bytes:
    """H(0x02 || dtype || rank || shape || tree over 1 KiB chunks), from the bytes."""
    header = bytes([dtype, len(shape)]) + b"".join(extent.to_bytes(4, "big") for extent in shape)
    tree = merkle.merkle_root([data[i : i + 1024] for i in range(0, len(data), 1024)])
    return hashlib.sha256(b"\x02" + header + tree).digest()


def drawn(seed: int, dtype: DType, elements: int = 2000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return values_of(rng, dtype, random_shape(rng, elements))


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@given(seed=SEEDS)
def test_root_is_its_definition(dtype: DType, seed: int) -> None:
    array = drawn(seed, dtype)
    data = array.astype(array.dtype.newbyteorder("<")).tobytes()
    assert tensor_root(array, dtype) == definition(data, dtype, array.shape)


@given(SEEDS)
def test_chunks_are_1024_bytes_and_a_rest_and_each_is_proven(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 1500))
    commitment = commit_tensor(values_of(rng, DType.F32, (n,)), DType.F32)
    count = chunk_count(DType.F32, (n,))
    chunks = [commitment.chunk(i) for i in range(count)]
    assert b"".join(chunks) == bytes(commitment.data)
    assert [len(chunk) for chunk in chunks[:-1]] == [CHUNK_BYTES] * (count - 1)
    assert 1 <= len(chunks[-1]) <= CHUNK_BYTES
    assert commitment.tree.size == count
    index = int(rng.integers(0, count))
    proof = commitment.tree.prove(index)
    tree_root = merkle.root_from_range(count, index, [merkle.hash_leaf(chunks[index])], proof)
    assert root_from_tree(DType.F32, (n,), tree_root) == commitment.root


@given(SEEDS)
def test_memory_layout_and_byte_order_are_not_seen(seed: int) -> None:
    array = np.atleast_2d(drawn(seed, DType.I32))
    expected = tensor_root(array, DType.I32)
    assert tensor_root(np.asfortranarray(array), DType.I32) == expected
    assert tensor_root(array.astype(">i4"), DType.I32) == expected
    padded = np.zeros((*array.shape[:-1], array.shape[-1] * 2), np.int32)
    padded[..., ::2] = array
    assert tensor_root(padded[..., ::2], DType.I32) == expected


@pytest.mark.parametrize("bits", NOISY_NAN_BITS)
def test_every_nan_commits_as_the_canonical_one_and_the_array_is_left_alone(bits: int) -> None:
    noisy = np.array([1, bits], np.uint32).view(np.float32)
    clean = np.array([1, CANONICAL_NAN], np.uint32).view(np.float32)
    assert tensor_root(noisy, DType.F32) == tensor_root(clean, DType.F32)
    assert noisy.view(np.uint32).tolist() == [1, bits]
    assert bytes(canonical_bytes(noisy, DType.F32)) == clean.tobytes()


def test_integers_that_look_like_nan_are_kept() -> None:
    words = np.array(NOISY_NAN_BITS, np.uint32).view(np.int32)
    assert bytes(canonical_bytes(words, DType.I32)) == words.tobytes()


def test_signed_zeros_and_subnormals_are_kept() -> None:
    x = np.array([0x80000000, 1, 0x807FFFFF], np.uint32).view(np.float32)
    assert bytes(canonical_bytes(x, DType.F32)) == x.tobytes()


def test_root_binds_dtype_shape_and_every_byte() -> None:
    data = np.arange(12, dtype=np.int16)
    roots = {
        tensor_root(data, DType.M16),
        tensor_root(data, DType.E16),
        tensor_root(data.view(np.uint16), DType.U16),
        tensor_root(data.view(np.int32), DType.I32),
        tensor_root(data, DType.M16, (3, 4)),
        tensor_root(data, DType.M16, (4, 3)),
        tensor_root(data, DType.M16, (12, 1)),
        tensor_root(data[:1], DType.M16),
        tensor_root(data[:1], DType.M16, ()),
        *(tensor_root(data ^ (np.arange(12) == i).astype(np.int16), DType.M16) for i in range(12)),
    }
    assert len(roots) == 9 + 12


@given(SEEDS)
def test_shape_may_be_given_for_a_flat_array(seed: int) -> None:
    array = drawn(seed, DType.F32)
    assert tensor_root(array.reshape(-1), DType.F32, array.shape) == tensor_root(array, DType.F32)


@pytest.mark.parametrize(
    ("array", "shape"),
    [(np.zeros(3, np.float32), (4,)), (np.zeros(3, np.float32), ()), (np.zeros(0, np.float32), None)],
)
def test_a_wrong_count_or_no_element_is_refused_with_a_sentence(array: np.ndarray, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="do not fill a F32 tensor"):
        commit_tensor(array, DType.F32, shape)


@pytest.mark.parametrize("dtype", DType)
def test_chunk_count_is_of_the_bytes(dtype: DType) -> None:
    per_chunk = CHUNK_BYTES // ITEMSIZE[dtype]
    for elements in (1, per_chunk, per_chunk + 1, 10 * per_chunk):
        assert chunk_count(dtype, (elements,)) == -(-elements // per_chunk)
    assert chunk_count(dtype, ()) == 1
    assert chunk_count(dtype, (2**31 - 1,) * 8) == -(-((2**31 - 1) ** 8) * ITEMSIZE[dtype] // CHUNK_BYTES)


@given(st.lists(st.integers(1, 2**32 - 1), max_size=8), st.sampled_from(DType))
def test_header_is_two_bytes_and_four_an_extent(shape: list[int], dtype: DType) -> None:
    header = tensor_header(dtype, shape)
    assert len(header) == 2 + 4 * len(shape)
    assert header[:2] == bytes([dtype, len(shape)])
    assert [int.from_bytes(header[i : i + 4], "big") for i in range(2, len(header), 4)] == shape


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=80))
def test_a_state_is_the_tensor_of_its_roots(roots: list[bytes]) -> None:
    expected = definition(b"".join(roots), DType.ROOT, (len(roots),))
    assert state_root(roots) == expected
    commitment = commit_roots(roots)
    assert commitment.shape == (len(roots),)
    assert commitment.chunk(0)[:32] == roots[0]  # a root that ends in zero bytes keeps them
    assert tensor_root(np.frombuffer(b"".join(roots), np.uint8).reshape(-1, 32), DType.ROOT) == expected


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
def test_carriers_have_the_size_and_sign_of_their_type(dtype: DType) -> None:
    assert NUMPY[dtype].itemsize == ITEMSIZE[dtype]
    assert math.log2(ITEMSIZE[dtype]).is_integer()
