"""Reads ``tests/vectors/transitions.json``: every move of every state machine in every state, and what comes of it.

Twin of ``tests/contracts/transitions/TransitionTable.sol``, which drives the contracts through all of it. A machine has

- rows: states, and behind a comma what else matters about them;
- actors, who each try everything, and where ``late`` says so once more after the state's deadline;
- moves: functions, a variant's name behind ``_``. Each has rules ``rows -> outcomes; late outcomes``, of which the
  first that names the row, its state, or ``else`` counts. Outcomes are one for all actors or one each: the state after
  the move, or the error it is refused with.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TABLE: dict[str, Any] = json.loads((Path(__file__).parent / "vectors/transitions.json").read_text())
MACHINES: tuple[str, ...] = tuple(name for name in TABLE if name not in ("errors", "elsewhere"))
ERRORS: frozenset[str] = frozenset(signature.partition("(")[0] for signature in TABLE["errors"])
STATES: dict[str, frozenset[str]] = {
    name: frozenset(row.partition(", ")[0] for row in TABLE[name]["rows"]) for name in MACHINES
}


@dataclass(frozen=True, slots=True)
class Cell:
    """What one move of one actor comes to."""

    machine: str
    row: str
    move: str
    actor: str
    late: bool
    outcome: str

    @property
    def state(self) -> str:
        """The state that the row is about."""
        return state_of(self.row)

    @property
    def legal(self) -> bool:
        """Whether the move is accepted. A name that is a state's means the state."""
        return self.outcome in STATES[self.machine] or self.outcome not in ERRORS


def state_of(row: str) -> str:
    """The state that a row is about."""
    return row.partition(", ")[0]


def rule_for(rules: list[str], row: str) -> int | None:
    """Which of a move's rules counts for a row."""
    for place, rule in enumerate(rules):
        if {row, state_of(row), "else"} & set(rule.partition(" -> ")[0].split(" & ")):
            return place
    return None


def cells(machine: str) -> list[Cell]:
    """Every cell of a machine, written out.

    Raises:
        ValueError: a cell is missing, or has neither one outcome nor one an actor

    """
    table, found = TABLE[machine], []
    for row in table["rows"]:
        for move, rules in table["moves"].items():
            place = rule_for(rules, row)
            if place is None:
                raise ValueError(f"{machine}: nothing is said of {move} in {row}.")
            halves = rules[place].partition(" -> ")[2].split("; late ")
            for late in (False, True)[: 2 if table["late"] else 1]:
                outcomes = halves[late and len(halves) == 2].split(" | ")
                if len(outcomes) == 1:
                    outcomes *= len(table["actors"])
                if len(outcomes) != len(table["actors"]):
                    raise ValueError(f"{machine}: {move} in {row} has outcomes for {len(outcomes)} actors.")
                found += [
                    Cell(machine, row, move, actor, late, outcome)
                    for actor, outcome in zip(table["actors"], outcomes, strict=True)
                ]
    return found
