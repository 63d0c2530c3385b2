"""What a solver asks of the verifiers' stake before it accepts, whatever that is."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from lockstep.agents.caution import Backing, Caution, capacity, misgiving

NEED = 30
"""Deposit and bond of a claim in the examples, base units."""

backings = st.lists(st.integers(0, 400), max_size=8).map(
    lambda stakes: [Backing(f"verifier {number}", stake) for number, stake in enumerate(stakes)]
)
cautions = st.builds(Caution, verifiers=st.integers(0, 5), largest=st.floats(0, 1))


@given(b=backings, audits=st.integers(1, 12), c=cautions)
def test_who_is_accepted_can_be_audited_though_the_heaviest_leave(b: list[Backing], audits: int, c: Caution) -> None:
    if c.verifiers and misgiving(b, NEED, audits, c) is None:
        ordered = sorted(b, key=lambda each: -each.stake)
        assert capacity(ordered[c.verifiers - 1 :], NEED) >= audits
        assert ordered[c.verifiers - 1].stake >= NEED
        if c.verifiers > 1:
            assert ordered[0].stake <= c.largest * sum(each.stake for each in b)


@given(b=backings, audits=st.integers(1, 12), c=cautions)
def test_more_is_asked_for_more_is_declined(b: list[Backing], audits: int, c: Caution) -> None:
    if misgiving(b, NEED, audits, c) is not None:
        assert misgiving(b, NEED, audits, replace(c, verifiers=c.verifiers + 1)) is not None
        assert misgiving(b, NEED, audits + 1, c) is not None
        assert misgiving(b, NEED, audits, replace(c, largest=c.largest / 2)) is not None


@given(b=backings, audits=st.integers(1, 12), c=cautions)
def test_known_verifiers_with_stake_for_every_audit_are_enough(b: list[Backing], audits: int, c: Caution) -> None:
    known = Backing("a friend", audits * NEED)
    assert misgiving([*b, known], NEED, audits, replace(c, trusted=frozenset({"a friend"}))) is None
    poor = replace(known, stake=audits * NEED - 1)
    alone = replace(c, verifiers=max(2, c.verifiers), trusted=frozenset({"a friend"}))
    assert misgiving([poor], NEED, audits, alone) is not None


@given(b=backings, small=st.integers(1, 40))
def test_a_crowd_too_small_to_claim_is_nobody(b: list[Backing], small: int) -> None:
    crowd = [Backing(f"crowd {number}", NEED - 1) for number in range(small)]
    alone = [each for each in b if each.stake >= NEED][:1]
    assert misgiving([*alone, *crowd], NEED, 1, Caution(verifiers=2)) is not None


def test_sentences_say_who_and_how_much() -> None:
    def said(*stakes: int, verifiers: int = 2, audits: int = 2) -> str:
        found = [Backing(f"v{number}", stake) for number, stake in enumerate(stakes)]
        return misgiving(found, NEED, audits, Caution(verifiers)) or "accepts"

    assert "a claim takes: 1, and 2 are asked for" in said(300)
    assert "v0 has 97 % of the verifiers' free stake" in said(2_000, 60)
    assert "without the heaviest (1), v0 among them" in said(100, 59)
    assert said(100, 60) == "accepts"
    assert "all together" in said(59, verifiers=1)
    assert said(verifiers=0) == "accepts"
