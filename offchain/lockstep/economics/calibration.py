"""Figures measured on the real contracts; ``calibration.json`` names the command that wrote them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("calibration.json")


@dataclass(frozen=True, slots=True)
class Gas:
    """Gas of each party's part in a task.

    Attributes:
        submit: posting it
        solve: accepting, acknowledging, committing
        claim: a drawn verifier's claim
        keep: drawing and settling, with two audits
        blind_claim: placing and opening a blind claim
        call: calling up a segment that was not drawn
        defend, challenge: one whole dispute, each side

    """

    submit: int
    solve: int
    claim: int
    keep: int
    blind_claim: int
    call: int
    defend: int
    challenge: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """Gas, and the work of the demo's MLP: a step's and the init program's, units."""

    gas: Gas
    step_work: int
    init_work: int


@cache
def calibration() -> Calibration:
    """What was measured."""
    document = json.loads(FILE.read_text())
    return Calibration(Gas(**document["gas"]), document["work"]["step"], document["work"]["init"])
