"""The griefing table: its page is what was measured, and measuring again gives the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.griefing import table
from benchmarks.griefing.losses import Loss, Row
from lockstep.chain.anvil import Anvil

GAS_TOLERANCE = 0.1
"""Which segments are drawn follows from the hash of a block: claims on some are shorter."""
QUICK = {
    "cancel_on_applicants",
    "never_commit",
    "flee_after_acceptance",
    "notice_before_acceptance",
    "worthless_tasks",
    "false_claim",
}
ABOVE_ONE = {"fill_the_draws"}
"""What the page says plainly."""


def test_page_has_the_table_that_was_measured() -> None:
    rows = table.recorded()
    assert list(rows) == [move.__name__ for move in table.MOVES]
    assert table.text(rows) in table.PAGE.read_text()


def test_only_the_moves_that_the_page_names_cost_the_victim_more() -> None:
    rows = table.recorded()
    assert {name for name, row in rows.items() if row.ratio is not None and row.ratio > 1} == ABOVE_ONE
    for name in ABOVE_ONE:
        assert rows[name].remark


def test_total_adds_tokens_gas_work_and_time() -> None:
    year = 365 * 24 * 3600
    assert Loss(5, 3, work=7, locked=100, seconds=year).total == 5 + 3 * 10**9 + 7 + 10
    assert Row("", "", "", "", Loss(4, 0), Loss(-1, 0)).ratio is None


@pytest.mark.chain
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "move",
    [move if move.__name__ in QUICK else pytest.param(move, marks=pytest.mark.long) for move in table.MOVES],
    ids=lambda move: move.__name__,
)
def test_move_costs_what_the_table_says(anvil: Anvil, tmp_path: Path, move: table.Move) -> None:
    measured, known = table.play(anvil, tmp_path, move), table.recorded()[move.__name__]
    for mine, other in ((measured.attacker, known.attacker), (measured.victim, known.victim)):
        assert mine.tokens == pytest.approx(other.tokens, rel=1e-6)
        assert mine.gas == pytest.approx(other.gas, rel=GAS_TOLERANCE, abs=3_000)
        assert mine.work == other.work
        assert mine.locked == other.locked
        assert mine.seconds == pytest.approx(other.seconds, abs=120)
