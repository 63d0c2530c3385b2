"""Figures that were measured are near those that forge measures with every run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lockstep.economics.calibration import calibration

SNAPSHOT = Path(__file__).resolve().parents[2] / "snapshots" / "gas" / "CleanTaskGasTest.json"
NEAR = 0.25
"""Other data and batches of claims; contracts that change by more than this need a new calibration."""


@pytest.mark.parametrize(
    ("part", "kinds"),
    [
        ("submit", ("submit",)),
        ("solve", ("acceptAndAcknowledge", "commit")),
        ("claim", ("postClaim",)),
        ("keep", ("drawAudits", "settle")),
    ],
)
def test_gas_is_near_the_snapshot(part: str, kinds: tuple[str, ...]) -> None:
    measured = json.loads(SNAPSHOT.read_text())
    assert getattr(calibration().gas, part) == pytest.approx(sum(int(measured[kind]) for kind in kinds), rel=NEAR)
