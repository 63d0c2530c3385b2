"""Blind claims that are never opened: their maker takes the bond back where it may, and else the treasury gets it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lockstep.agents import blinds
from lockstep.agents.journal import Journal
from lockstep.agents.keeper import Keeper
from lockstep.agents.whistleblower import Whistleblower
from lockstep.chain.anvil import Anvil
from lockstep.chain.client import Client
from lockstep.chain.deployment import Deployment, deploy
from lockstep.chain.parameters import LOCAL, TOKEN, Profile
from lockstep.chain.types import TaskState
from lockstep.cli.main import app
from lockstep.storage.store import ArtifactStore
from tests.e2e.script import LAST, Script, fund

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]

HALF = Profile(replace(LOCAL.parameters, forced_bps=5_000, jackpot_multiple=1), LOCAL.disputes)
"""Half of the drawn verifiers are told to err: where all of them are, the treasury owes more than a levy."""
BEGINNING = ("verifier enrol", "submitter submit 2", "solver accept", "solver acknowledge", "solver commit")
DRAWING = ("anybody waits blocks", "anybody drawAudits")
CAST = ("verifier", "submitter", "solver", "finder", "other", "stranger", "anybody")


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    with Anvil() as anvil:
        yield anvil


def deployed(node: Anvil, profile: Profile) -> Deployment:
    founder = Client(node.url, "0x" + "5d" * 32, node.chain_id)
    node.set_balance(founder.address, 10**21)
    made = deploy(founder, profile)
    for who in CAST:
        fund(node, made, who)
    return made


def play(script: Script, *lines: str) -> Script:
    for line in lines:
        script.play(line)
    return script


def watcher(script: Script, who: str, store: Path, journal: Journal) -> Whistleblower:
    return Whistleblower(script.chain(who), ArtifactStore(str(store)), journal, only=[script.task.terms.id])


def test_whistleblower_takes_its_bond_back_once_the_task_is_void(node: Anvil, tmp_path: Path) -> None:
    script = play(Script(node, deployed(node, LOCAL)), *BEGINNING, *DRAWING)
    agent = watcher(script, "finder", tmp_path, Journal(":memory:"))
    chain, task = agent.lockstep, script.task.terms.id
    slot, bond = chain.slot(task, LAST), chain.parameters.blind_bond
    agent.place(script.task, LAST, slot, script._body("finder", LAST, "other"), "of a hunch")
    assert chain.locked(agent.address) == bond
    said: list[str] = []
    agent.narrate = said.append
    assert not agent._take_back(script.task)  # the segment is still open: it must be opened
    assert said == []
    play(script, "verifier postClaim", "stranger voidInvalidProgram")
    assert chain.state(task) is TaskState.VOID
    reborn = watcher(script, "finder", tmp_path, agent.journal)
    assert reborn.tick()
    assert chain.locked(agent.address) == 0
    assert script.gains()["finder"] == 0
    assert not reborn.tick()
    assert [name for name in agent.journal.all(agent.scope(task)) if name.startswith("blind/")] == []


def test_late_blind_is_listed_and_forfeited_by_command(node: Anvil, tmp_path: Path) -> None:
    made = deployed(node, LOCAL)
    script = play(Script(node, made), *BEGINNING, *DRAWING, "finder placeBlind", "other placeBlind")
    play(script, "verifier postClaim", "anybody waits claim", "other unblind", "anybody waits open")
    play(script, "anybody settle", "anybody closeClaims")
    made.save(tmp_path / "deployment.json")

    def run(*options: str) -> str:
        environment = {"LOCKSTEP_RPC": node.url, "LOCKSTEP_HOME": str(tmp_path)}
        result = CliRunner().invoke(app, ["forfeit", "--as", "whistleblower", *options], env=environment)
        assert result.exit_code == 0, result.output
        return result.output

    assert "may be forfeited in " in run()
    assert "nothing is due" in run("--send")
    finder = script.chain("finder")
    assert [blind.claimant for blind in blinds.open_blinds(finder)] == [finder.client.address]
    assert blinds.forgotten(finder) == []
    script.play("anybody waits forgotten")
    assert blinds.forgotten(finder) == blinds.open_blinds(finder)
    assert "may be forfeited now" in run()
    before = script.gains()["treasury"]
    assert "1 forfeited" in run("--send")
    assert script.gains()["treasury"] == before + finder.parameters.blind_bond
    assert "every blind claim was opened, taken back or forfeited" in run()


def test_keeper_forfeits_where_the_treasury_owes_it_and_lacks_the_money(node: Anvil, tmp_path: Path) -> None:
    script = owed_by_the_treasury(node, deployed(node, HALF))
    chain, stranger = script.chain("verifier"), script.chain("stranger")
    owing = chain.view(chain.treasury, "arrearsOf", chain.client.address)
    assert owing == 2 * TOKEN
    assert script.gains()["treasury"] == 0
    task = script.task.terms.id

    def keeper(who: str) -> Keeper:
        return Keeper(script.chain(who), ArtifactStore(str(tmp_path)), Journal(":memory:"), only=[task])

    before = script.gains()["verifier"]
    assert not keeper("verifier").turn()  # what lies there is not late yet
    script.play("anybody waits forgotten")
    assert not keeper("stranger").turn()  # it would pay gas for nothing
    assert stranger.client.gas.keys() & {"forfeitBlind", "payArrears"} == set()
    assert keeper("verifier").turn()
    assert script.gains()["verifier"] == before + owing
    assert chain.view(chain.treasury, "arrearsOf", chain.client.address) == 0
    assert blinds.open_blinds(chain) == []
    assert sum(script.gains().values()) == 0
    assert not keeper("verifier").turn()


def owed_by_the_treasury(node: Anvil, deployment: Deployment) -> Script:
    """A settled task whose verifier was told to err twice, and whose levy pays less; two blind claims lie forgotten.

    A beacon's value tells both with a chance of a fourth: there are many blocks to try.
    """
    for _ in range(60):
        before = node.snapshot()
        script = play(Script(node, deployment), *BEGINNING, *DRAWING, "finder placeBlind", "other placeBlind")
        try:
            script.play("verifier postClaim")
        except AssertionError:
            node.restore(before)
            node.mine()
            continue
        return play(script, "anybody waits unblind", "anybody settle", "verifier openSecret")
    raise AssertionError("Sixty values told no verifier to err twice.")
