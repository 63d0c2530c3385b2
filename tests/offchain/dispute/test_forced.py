"""Forced errors: known answers, which forge checks too, and what a secret tells."""

from __future__ import annotations

import pytest
from eth_utils.crypto import keccak

from lockstep.dispute.digest import entry_at
from lockstep.dispute.forced import (
    HEIGHT,
    SecretTree,
    commitment_of,
    forced_entry,
    naming,
    replace_entry,
    told,
)

SECRET, VALUE, ASSIGNMENT = (bytes([byte]) * 32 for byte in (0x11, 0x22, 0x33))


def test_known_answers_are_those_of_the_contract() -> None:
    """The same numbers are in tests/contracts/audit/ForcedErrors.t.sol."""
    assert [told(SECRET, VALUE, ASSIGNMENT, steps, 10_000) for steps in (1, 4, 7, 64)] == [
        (True, 0),
        (True, 2),
        (True, 5),
        (True, 46),
    ]
    assert told(SECRET, VALUE, ASSIGNMENT, 64, 1_000) == (False, 46)
    assert told(bytes([3]) * 32, VALUE, ASSIGNMENT, 64, 1_000) == (True, 49)
    assert forced_entry(SECRET, ASSIGNMENT).hex() == "8cafdacd659a32b3"
    assert (
        commitment_of(SECRET, ASSIGNMENT, bytes(range(8))).hex()
        == "28c33e4e4d7f503d74051a5cf0ab2bd06b3f3f9cb400490290aa29ea02a41990"
    )


def test_told_share_and_places_are_as_designed() -> None:
    found = [told(number.to_bytes(32, "big"), VALUE, ASSIGNMENT, 4, 2_500) for number in range(2_000)]
    assert sum(errs for errs, _ in found) == pytest.approx(500, abs=80)
    for step in range(4):
        assert sum(at == step for _, at in found) == pytest.approx(125 * (2 * step + 1), abs=80)


@pytest.mark.parametrize("task", [1, 2**HEIGHT - 1, 2**HEIGHT, 12_345_678])
def test_tree_proofs_fold_to_the_root(task: int, tree: SecretTree) -> None:
    node = keccak(tree.secret(task))
    for height, sibling in enumerate(tree.proof(task)):
        node = keccak(sibling + node if task >> height & 1 else node + sibling)
    assert node == tree.root
    assert len(tree.proof(task)) == HEIGHT


@pytest.fixture(scope="module")
def tree() -> SecretTree:
    return SecretTree(bytes(range(32)))


def test_tree_known_answer(tree: SecretTree) -> None:
    assert tree.root.hex() == "dd1115e54125f8087272f67111c591a646a8a772c5c5dd1d49b83fe53ccd0aca"
    with pytest.raises(ValueError, match="32 bytes"):
        SecretTree(b"short")


def test_entries_are_replaced_one_at_a_time() -> None:
    digest = bytes(range(24))
    changed = replace_entry(digest, 1, b"\xff" * 8)
    assert [entry_at(changed, step) for step in range(3)] == [digest[:8], b"\xff" * 8, digest[16:]]
    assert int.from_bytes(naming(0), "big") == 1
