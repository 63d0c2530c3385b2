"""The committed vectors of trees, tensors and programs are current, and agree with the standard."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lockstep.commitments import merkle

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts"))

import make_vectors_commitments as vectors  # noqa: E402


@pytest.mark.parametrize("path", sorted(vectors.files()))
def test_vector_file_is_what_its_script_writes(path):
    assert (ROOT / path).read_text() == vectors.files()[path], "run scripts/make_vectors_commitments.py"


@pytest.mark.parametrize("size", range(1, 9))
def test_merkle_root_of_the_standards_leaves_is_the_published_one(size):
    leaves = [bytes.fromhex(leaf) for leaf in vectors.STANDARD_LEAVES[:size]]
    assert merkle.merkle_root(leaves).hex() == vectors.STANDARD_ROOTS[size - 1]


@pytest.mark.parametrize("case", vectors.merkle_vectors()["inclusions"], ids=lambda c: f"{c['index']}of{c['size']}")
def test_inclusion_proof_gives_the_root(case):
    proof = [bytes.fromhex(item[2:]) for item in case["proof"]]
    root = merkle.root_from_inclusion(case["size"], case["index"], bytes.fromhex(case["leafHash"][2:]), proof)
    assert root.hex() == case["root"][2:]


@pytest.mark.parametrize("case", vectors.merkle_vectors()["ranges"], ids=lambda c: f"{c['start']}of{c['size']}")
def test_range_proof_gives_the_root(case):
    proof = [bytes.fromhex(item[2:]) for item in case["proof"]]
    leaves = [bytes.fromhex(item[2:]) for item in case["leafHashes"]]
    assert merkle.root_from_range(case["size"], case["start"], leaves, proof).hex() == case["root"][2:]


def test_every_aligned_block_of_64_leaves_is_a_subtree():
    tree = merkle.Tree([merkle.hash_leaf(i.to_bytes(4, "big")) for i in range(5000)])
    assert merkle.fold(tree.levels[1]) == merkle.fold(tree.levels[0]) == tree.root
