"""What another draw is worth, against the odds counted out."""

from __future__ import annotations

from fractions import Fraction
from math import comb

from hypothesis import given
from hypothesis import strategies as st

from lockstep.chain.terms import reroll_worth


@given(st.integers(2, 64), st.data())
def test_reroll_is_worth_most_with_one_bad_segment(segments: int, data: st.DataObject) -> None:
    audits = data.draw(st.integers(1, segments))
    fee, deposit = data.draw(st.integers(0, 10**24)), data.draw(st.integers(0, 10**24))
    worths = [
        Fraction(comb(segments - bad, audits), comb(segments, audits)) * (fee + deposit)
        for bad in range(1, segments + 1)
    ]
    assert reroll_worth(fee, deposit, audits, segments) == max(worths) // 1
