"""Merkle trees against the recursive definition of RFC 9162, and proofs against each other."""

from __future__ import annotations

import contextlib
import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lockstep.commitments import merkle

SIZES = st.integers(1, 300)

RFC_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
RFC_ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
"""Certificate Transparency's reference tree: roots of its first 1, 2, ... 8 leaves."""


def leaf_hashes(size: int) -> list[bytes]:
    return [merkle.hash_leaf(i.to_bytes(4, "big")) for i in range(size)]


def definition(hashes: list[bytes]) -> bytes:
    """MTH of RFC 9162, 2.1.1, word for word."""
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while 2 * k < len(hashes):
        k *= 2
    return hashlib.sha256(b"\x01" + definition(hashes[:k]) + definition(hashes[k:])).digest()


@pytest.mark.parametrize("size", range(1, 9))
def test_root_of_the_reference_tree_is_the_published_one(size: int) -> None:
    assert merkle.merkle_root(RFC_LEAVES[:size]).hex() == RFC_ROOTS[size - 1]


@given(SIZES)
@example(64)
@example(65)
def test_root_is_the_recursive_definition_by_every_way_of_folding(size: int) -> None:
    hashes = leaf_hashes(size)
    expected = definition(hashes)
    assert merkle.fold(hashes) == expected
    assert merkle.Tree(hashes).root == expected
    assert merkle.merkle_root([i.to_bytes(4, "big") for i in range(size)]) == expected


@given(st.integers(1, 9000))
@example(64)
@example(65)
@example(4096)
@example(4097)
def test_levels_are_subtrees_of_64_and_their_number_is_the_height(size: int) -> None:
    tree = merkle.Tree(leaf_hashes(size))
    assert len(tree.levels) == merkle.height(size)
    assert tree.size == size
    for level, hashes in enumerate(tree.levels):
        assert len(hashes) == merkle.level_count(size, level)
    last = len(tree.levels) - 1
    for level in range(1, last + 1):
        for index in {0, len(tree.levels[level]) - 1}:
            children = tree.children(level, index)
            assert 1 <= len(children) <= merkle.WIDTH
            assert merkle.fold(children) == tree.levels[level][index]
    assert tree.children(last + 1, 0) == tree.levels[last]


@given(SIZES, st.data())
def test_every_inclusion_proof_gives_the_root(size: int, data: st.DataObject) -> None:
    hashes = leaf_hashes(size)
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(hashes, index)
    assert len(proof) <= (size - 1).bit_length()
    assert merkle.root_from_inclusion(size, index, hashes[index], proof) == merkle.fold(hashes)
    assert merkle.Tree(hashes).inclusion_proof(index) == proof


@given(SIZES, st.data())
def test_every_range_proof_gives_the_root(size: int, data: st.DataObject) -> None:
    hashes = leaf_hashes(size)
    start = data.draw(st.integers(0, size - 1))
    stop = data.draw(st.integers(start + 1, size))
    proof = merkle.Tree(hashes).prove(start, stop)
    assert merkle.root_from_range(size, start, hashes[start:stop], proof) == merkle.fold(hashes)


@given(SIZES, st.data())
def test_an_inclusion_proof_comes_out_of_a_ranges_proof(size: int, data: st.DataObject) -> None:
    hashes = leaf_hashes(size)
    start = data.draw(st.integers(0, size - 1))
    stop = data.draw(st.integers(start + 1, size))
    index = data.draw(st.integers(start, stop - 1))
    proof = merkle.prove_range(hashes, start, stop)
    found = merkle.inclusion_from_range(size, start, hashes[start:stop], proof, index)
    assert found == merkle.inclusion_proof(hashes, index)
    with pytest.raises(ValueError, match="not in"):
        merkle.inclusion_from_range(size, start, hashes[start:stop], proof, stop)


@given(SIZES, st.data())
def test_a_range_of_one_leaf_has_the_hashes_of_its_inclusion_proof(size: int, data: st.DataObject) -> None:
    hashes = leaf_hashes(size)
    index = data.draw(st.integers(0, size - 1))
    assert sorted(merkle.prove_range(hashes, index, index + 1)) == sorted(merkle.inclusion_proof(hashes, index))
    assert merkle.Tree(hashes).prove(index) == merkle.prove_range(hashes, index, index + 1)


@given(st.integers(2, 300), st.data())
def test_a_proof_serves_no_other_leaf_index_or_hash(size: int, data: st.DataObject) -> None:
    hashes = leaf_hashes(size)
    root = merkle.fold(hashes)
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(hashes, index)
    other = data.draw(st.integers(0, size - 1).filter(lambda i: i != index))
    assert merkle.root_from_inclusion(size, index, hashes[other], proof) != root
    at = data.draw(st.integers(0, len(proof) - 1))
    changed = [*proof[:at], bytes(32), *proof[at + 1 :]]
    assert merkle.root_from_inclusion(size, index, hashes[index], changed) != root
    with contextlib.suppress(ValueError):  # where the other place's proof has another length
        assert merkle.root_from_inclusion(size, other, hashes[index], proof) != root


@given(SIZES, st.data())
def test_a_proof_of_the_wrong_length_is_refused(size: int, data: st.DataObject) -> None:
    hashes = leaf_hashes(size)
    index = data.draw(st.integers(0, size - 1))
    inclusion, span = merkle.inclusion_proof(hashes, index), merkle.prove_range(hashes, index, index + 1)
    with pytest.raises(ValueError, match="too long"):
        merkle.root_from_inclusion(size, index, hashes[index], [*inclusion, bytes(32)])
    with pytest.raises(ValueError, match="too long"):
        merkle.root_from_range(size, index, hashes[index : index + 1], [*span, bytes(32)])
    if size > 1:
        with pytest.raises(ValueError, match="too short"):
            merkle.root_from_inclusion(size, index, hashes[index], inclusion[:-1])
        with pytest.raises(ValueError, match="too short"):
            merkle.root_from_range(size, index, hashes[index : index + 1], span[:-1])


@pytest.mark.parametrize(("start", "count"), [(0, 0), (3, 0), (-1, 1), (4, 1), (3, 2), (0, 5), (2**64, 1)])
def test_an_empty_or_outlying_range_is_refused(start: int, count: int) -> None:
    hashes = leaf_hashes(4)
    with pytest.raises(ValueError, match="No leaves"):
        merkle.prove_range(hashes, start, start + count)
    with pytest.raises(ValueError, match="No leaves"):
        merkle.root_from_range(4, start, [bytes(32)] * count, [])


@pytest.mark.parametrize("index", [-1, 4, 2**64])
def test_an_outlying_leaf_is_refused(index: int) -> None:
    with pytest.raises(ValueError, match="No leaf"):
        merkle.inclusion_proof(leaf_hashes(4), index)
    with pytest.raises(ValueError, match="No leaf"):
        merkle.Tree(leaf_hashes(4)).inclusion_proof(index)
    with pytest.raises(ValueError, match="No leaf"):
        merkle.root_from_inclusion(4, index, bytes(32), [])


def test_an_empty_tree_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one leaf"):
        merkle.fold([])
    with pytest.raises(ValueError, match="at least one leaf"):
        merkle.Tree([])


@given(st.binary(max_size=80))
def test_a_leaf_is_never_an_inner_node(data: bytes) -> None:
    assert merkle.hash_leaf(data) == hashlib.sha256(b"\x00" + data).digest()
    if len(data) == 64:
        assert merkle.hash_leaf(data) != merkle.hash_inner(data[:32], data[32:])


@given(st.integers(2, 2**40))
def test_split_point_is_the_largest_power_of_two_below(size: int) -> None:
    k = merkle.split_point(size)
    assert k & (k - 1) == 0
    assert k < size <= 2 * k


def test_size_is_bound_only_by_who_states_it() -> None:
    """A tree's root does not hold its size: programs and tensors fix sizes in their headers."""
    inner = merkle.hash_inner(*leaf_hashes(2))
    assert merkle.fold([inner, leaf_hashes(3)[2]]) == merkle.fold(leaf_hashes(3))
