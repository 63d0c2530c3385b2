"""The table of transitions is whole, names every function, and says what documents and the agents' own tables say."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from lockstep.chain.artifacts import abi
from lockstep.chain.types import SlotState, TaskState
from lockstep.dispute.transition import MOVES, TURNS, Phase
from tests.transitions import ERRORS, MACHINES, TABLE, cells, rule_for, state_of

ROOT = Path(__file__).parents[2]
CONTRACTS = (
    "TaskMarket",
    "AuditCourt",
    "StartChecker",
    "DisputeGame",
    "RandomBeacon",
    "ReputationLedger",
    "JackpotTreasury",
    "StakeVault",
    "UsefulWorkDraw",
    "DataDemands",
)
PANICS = {"Panic(uint256)"}
BEGINNINGS = {
    "task": {"None", "Open", "Rejected"},
    "segment": {"None", "Drawn silent"},
    "claim": {"Held"},
    "dispute": {"None", "States"},
    "seat": {"None", "Struck"},
}
"""States that no cell leads to: where a machine begins, and ends that need more moves than one."""

machines = pytest.mark.parametrize("machine", MACHINES)


@machines
def test_every_cell_is_written_once_and_every_rule_is_needed(machine: str) -> None:
    table = TABLE[machine]
    rows = table["rows"]
    assert len(set(rows)) == len(rows)
    assert len(cells(machine)) == len(rows) * len(table["moves"]) * len(table["actors"]) * (2 if table["late"] else 1)
    for move, rules in table["moves"].items():
        assert {rule_for(rules, row) for row in rows} == set(range(len(rules))), move
        for rule in rules:
            named = rule.partition(" -> ")[0].split(" & ")
            assert set(named) <= {*rows, *map(state_of, rows), "else"}, rule
            assert table["late"] or "; late " not in rule, rule


@machines
def test_every_outcome_is_a_state_or_an_error(machine: str) -> None:
    states = {state_of(row) for row in TABLE[machine]["rows"]}
    extra = {f"{state} copied" for state in states} if machine == "segment" else set()
    assert {cell.outcome for cell in cells(machine)} <= states | extra | ERRORS


@machines
def test_every_state_is_reached(machine: str) -> None:
    reached = {cell.outcome for cell in cells(machine) if cell.outcome != cell.state}
    assert {state_of(row) for row in TABLE[machine]["rows"]} - reached <= BEGINNINGS.get(machine, {"None", "Out"})


def test_errors_are_the_contracts_and_all_of_them_happen() -> None:
    declared = {
        f"{item['name']}({','.join(entry['type'] for entry in item['inputs'])})"
        for contract in (*CONTRACTS, "IOpExecutor")
        for item in abi(contract)
        if item["type"] == "error"
    }
    assert set(TABLE["errors"]) <= declared | PANICS
    assert {cell.outcome for machine in MACHINES for cell in cells(machine) if not cell.legal} == ERRORS


def test_every_function_that_changes_something_has_its_place() -> None:
    functions = {
        item["name"]
        for contract in CONTRACTS
        for item in abi(contract)
        if item["type"] == "function" and item["stateMutability"] not in ("view", "pure")
    }
    named = {move.partition("_")[0] for machine in MACHINES for move in TABLE[machine]["moves"]}
    assert named | set(TABLE["elsewhere"]) == functions
    assert not named & set(TABLE["elsewhere"])
    for function, place in TABLE["elsewhere"].items():
        assert re.search(rf"\b{function}\b", (ROOT / "tests" / place).read_text()), function


# What else says it


def test_states_are_the_contracts() -> None:
    assert {state_of(row).upper() for row in TABLE["task"]["rows"]} == {state.name for state in TaskState}
    slots = {state_of(row).partition(" ")[0].upper() for row in TABLE["segment"]["rows"]}
    assert slots - {"MALFORMED"} == {state.name for state in SlotState}


def test_tasks_that_agents_take_for_ended_are_those_nothing_moves() -> None:
    moved = {cell.state for cell in cells("task") if cell.legal and cell.outcome != cell.state}
    ended = {state.name for state in TaskState if state.terminal}
    assert {state_of(row).upper() for row in TABLE["task"]["rows"]} - {name.upper() for name in moved} == ended | {
        "NONE"
    }


def markdown_rows(heading: str) -> list[list[str]]:
    """Cells of the tables below a heading of PROTOCOL.md."""
    text = (ROOT / "docs/PROTOCOL.md").read_text().partition(f"\n## {heading}\n")[2]
    lines = re.findall(r"^\|.*\|$", text.partition("\n## ")[0], re.MULTILINE)
    return [[part.strip() for part in line.strip("|").split("|")] for line in lines]


def test_protocol_page_has_the_tasks_transitions() -> None:
    rows = markdown_rows("The task")
    told: dict[str, set[str]] = defaultdict(set)
    for row in rows[rows.index(["from", "call", "by", "condition", "effect"]) + 2 :]:
        if len(row) != 5:
            break
        for call in re.findall(r"`(\w+)`", row[1]):
            told[call] |= set(row[0].split(", "))
    legal: dict[str, set[str]] = defaultdict(set)
    for cell in cells("task"):
        if cell.legal:
            legal[cell.move].add(cell.state)
    for call in ("cancel", "accept", "acknowledge", "giveBack", "commit", "commitStacked", "expire", "expireUndrawn"):
        assert told[call] == legal[call], call
    for call in ("drawAudits", "settle", "voidInvalidProgram"):
        assert told[call] == legal[call], call
    moves = {move.partition("_")[0] for move in (*TABLE["task"]["moves"], *TABLE["application"]["moves"])}
    assert set(told) <= moves | {"submit"}


# The dispute's twin


def phase_of(state: str) -> Phase:
    """A phase by its name in the contracts."""
    return Phase[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", state).upper()]


def test_disputes_moves_are_those_of_the_players_table() -> None:
    functions: dict[Phase, set[str]] = defaultdict(set)
    follows: dict[Phase, set[Phase]] = defaultdict(set)
    movers: dict[Phase, set[str]] = defaultdict(set)
    for cell in cells("dispute"):
        phase = phase_of(cell.state)
        if cell.move in MOVES and cell.legal and not cell.late:
            functions[phase].add(cell.move)
            follows[phase].add(phase_of(cell.outcome))
            movers[phase].add(cell.actor)
    assert set(functions) == set(TURNS)
    # Trees of one more level than those of the table's rows lead from a pick to the next reveal, and back.
    deeper = {Phase.PICK_CHUNK: {Phase.CHUNKS}, Phase.NODES: {Phase.PICK_BLOCK}}
    for phase, turn in TURNS.items():
        assert functions[phase] == set(turn.functions), phase
        assert follows[phase] | deeper.get(phase, set()) == set(turn.follows), phase
        assert movers[phase] == (set(TABLE["dispute"]["actors"]) if turn.anybody else {turn.side.value}), phase


def test_a_side_that_is_late_can_make_no_move_and_anybody_can_call_time() -> None:
    for cell in cells("dispute"):
        turn = TURNS.get(phase_of(cell.state))
        if cell.late and cell.move in MOVES:
            owed = turn is not None and cell.move in turn.functions
            assert cell.outcome == ("ClockExpired" if owed else "WrongPhase")
        if cell.move == "timeout" and turn is not None:
            assert cell.outcome == ("Resolved" if cell.late else "ClockRunning")
