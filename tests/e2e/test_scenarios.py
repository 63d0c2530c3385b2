"""The catalogue of scenarios: who acts, what they do in order, and what must come of it, all of it data.

``tests/scenarios/catalogue.toml`` has them; each is played on a chain with the real contracts, and every base unit is
held to the payout function.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lockstep.chain.anvil import Anvil
from lockstep.chain.client import Client
from lockstep.chain.deployment import Deployment, deploy
from lockstep.chain.parameters import LOCAL, Profile
from lockstep.chain.types import TaskState
from tests.e2e.chain_histories import predicted
from tests.e2e.script import Script, fund

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]

CATALOGUE: dict[str, Any] = tomllib.loads((Path(__file__).parents[1] / "scenarios/catalogue.toml").read_text())
SCENARIOS: list[dict[str, Any]] = CATALOGUE["scenario"]
FIELDS = {"name", "long", "lacks", "forced", "play", "end", "gains", "slashed", "payouts"}
FORCED = Profile(replace(LOCAL.parameters, forced_bps=10_000, jackpot_multiple=1), LOCAL.disputes)
"""Everybody is told to err."""
PREDECESSORS = ("Truebit", "opML")


def lines(play: list[str]) -> list[str]:
    """A scenario's lines, its beginnings written out."""
    found: list[str] = []
    for line in play:
        found += CATALOGUE["beginnings"][line[1:]] if line.startswith("@") else [line]
    return found


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    with Anvil() as anvil:
        yield anvil


@pytest.fixture(scope="module")
def deployments(node: Anvil) -> dict[bool, Deployment]:
    """One deployment without forced errors, one with, and everybody with a full account."""
    founder = Client(node.url, "0x" + "5c" * 32, node.chain_id)
    node.set_balance(founder.address, 10**21)
    made = {forced: deploy(founder, FORCED if forced else LOCAL) for forced in (False, True)}
    for forced, deployment in made.items():
        scenarios = [scenario for scenario in SCENARIOS if scenario.get("forced", False) == forced]
        for who in sorted(
            {line.split()[0] for scenario in scenarios for line in lines(scenario["play"])} | {"anybody"}
        ):
            fund(node, deployment, who)
    return made


@pytest.fixture
def clean(node: Anvil, deployments: dict[bool, Deployment]) -> Iterator[dict[bool, Deployment]]:
    """The deployments as they were made."""
    before = node.snapshot()
    yield deployments
    node.restore(before)


def sign(amount: int) -> str:
    """How a gain is told."""
    return "+" if amount > 0 else "-" if amount < 0 else "0"


@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param(scenario, id=scenario["name"], marks=[pytest.mark.long] if scenario.get("long") else [])
        for scenario in SCENARIOS
    ],
)
def test_scenario_ends_as_told(node: Anvil, clean: dict[bool, Deployment], scenario: dict[str, Any]) -> None:
    forced = scenario.get("forced", False)
    script = Script(node, clean[forced])
    for line in lines(scenario["play"]):
        script.play(line)
    chain, number = script.chain("anybody"), script.task.terms.id
    gains = script.gains()
    assert chain.state(number) is TaskState[scenario["end"]]
    assert {who: sign(gains[who]) for who in scenario["gains"]} == scenario["gains"]
    assert script.slashed() == scenario["slashed"]
    if not chain.state(number).terminal:
        return
    assert sum(gains.values()) == 0
    assert {who for who, gain in gains.items() if gain} <= set(scenario["gains"])
    if not scenario.get("payouts", True):
        return
    names = {party.client.address: who for who, party in script.parties.items()} | {"treasury": "treasury"}
    told = {names[account]: gain for account, gain in predicted(chain, script.task, "treasury").items()}
    assert {who: told.get(who, 0) for who in gains} == gains


def test_catalogue_is_well_formed_and_answers_its_predecessors() -> None:
    assert len({scenario["name"] for scenario in SCENARIOS}) == len(SCENARIOS)
    for scenario in SCENARIOS:
        assert set(scenario) <= FIELDS
        assert {"name", "play", "end", "gains", "slashed"} <= set(scenario)
    lacks = " ".join(scenario.get("lacks", "") for scenario in SCENARIOS)
    assert all(name in lacks for name in PREDECESSORS)
