"""The solver that ships looks at who has stake, and at its own, before it accepts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from lockstep.agents import backing
from lockstep.agents.backing import read_backings
from lockstep.agents.caution import SPARE_FEES, Caution
from lockstep.agents.solver import Solver
from lockstep.agents.submitter import Submitter
from lockstep.agents.verifier import Verifier
from lockstep.chain.anvil import Anvil
from lockstep.chain.lockstep import Lockstep, PostedTask
from lockstep.chain.parameters import LOCAL, Profile
from lockstep.chain.types import TaskState
from lockstep.cli.demo.acts import make_verifier
from lockstep.cli.demo.stage import Stage
from lockstep.cli.demo.world import World

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]

SEGMENTS = 3
TOLD = Profile(replace(LOCAL.parameters, forced_bps=1_000), LOCAL.disputes)


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    with Anvil() as anvil:
        yield anvil


@pytest.fixture
def empty(node: Anvil, tmp_path: Path) -> Stage:
    """A deployment without a verifier."""
    return Stage(World(node, tmp_path), Console(quiet=True))


def post(stage: Stage, prefix: str) -> PostedTask:
    return stage.submit(stage.world.agent(Submitter, f"{prefix} submitter"), "mlp", stage.order("cautious", 4, 2))


def shipped(stage: Stage, name: str, task: int, lines: list[str]) -> Solver:
    """The solver as ``lockstep solve`` makes it away from a local chain."""
    solver = stage.world.agent(Solver, name, [task])
    solver.caution, solver.spare_fees, solver.narrate = Caution(), SPARE_FEES, lines.append
    return solver


def claim_lock(chain: Lockstep, posted: PostedTask) -> int:
    return chain.numbers(posted.terms).claim_deposit + chain.parameters.claim_bond


def test_solver_declines_where_one_account_has_the_stake_and_accepts_once_others_have_too(empty: Stage) -> None:
    stage, world, lines = empty, empty.world, list[str]()
    posted = post(stage, "1")
    task = posted.terms.id
    solver = shipped(stage, "1 solver", task, lines)
    chain = solver.lockstep
    assert not solver.turn()
    assert "takes: 0, and 2 are asked for" in lines[-1]

    attacker = make_verifier(stage, Verifier, "1 attacker verifier", posted, 40)
    assert not solver.turn()
    assert "takes: 1, and 2 are asked for" in lines[-1]

    small = make_verifier(stage, Verifier, "1 small verifier", posted, 1)
    assert not solver.turn()
    assert f"{attacker.address} has 9" in lines[-1]

    # With notice given the attacker could be gone before the draw: it counts for nothing, whatever others there are.
    honest = make_verifier(stage, Verifier, "1 honest verifier", posted, SEGMENTS)
    attacker.retire()
    assert {each.account for each in read_backings(chain, posted, solver.address)} == {small.address, honest.address}
    assert not solver.turn()
    assert f"without the heaviest (1), {honest.address} among them" in lines[-1]
    attacker.register(chain.free_stake(attacker.address))  # which takes the notice back
    assert chain.notice_end(attacker.address) == 0
    assert not solver.turn()
    assert f"{attacker.address} has 9" in lines[-1]
    assert chain.state(task) is TaskState.OPEN
    assert chain.stake(solver.address) == 0

    honest.register(20 * claim_lock(chain, posted))
    assert solver.turn()
    assert chain.state(task) is TaskState.SOLVING
    state = world.run(task, [solver, honest, small, attacker])
    assert state is TaskState.SETTLED
    world.dismiss(attacker, honest, small)
    assert chain.verifiers() == {}


def test_free_stake_is_read_of_the_heaviest_only_and_of_no_party(empty: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    posted, chain = post(empty, "2"), empty.world.keeper_lockstep
    made = [make_verifier(empty, Verifier, f"2 verifier {n}", posted, n) for n in range(1, 5)]
    found = read_backings(chain, posted, made[3].address)
    assert [each.account for each in found] == [verifier.address for verifier in reversed(made[:3])]
    assert [each.stake // claim_lock(chain, posted) for each in found] == [3, 2, 1]
    monkeypatch.setattr(backing, "MOST_LOOKED_AT", 2)
    read: list[str] = []
    monkeypatch.setattr(chain, "free_stake", lambda account: read.append(account) or 0)
    assert [each.stake for each in read_backings(chain, posted, made[3].address)] == [0, 0]
    assert read == [made[2].address, made[1].address]


def test_verifier_without_secrets_for_the_task_is_nobody(node: Anvil, tmp_path: Path) -> None:
    stage = Stage(World(node, tmp_path, TOLD), Console(quiet=True))
    posted, chain = post(stage, "3"), stage.world.keeper_lockstep
    verifier = make_verifier(stage, Verifier, "3 verifier", posted, SEGMENTS)
    assert [each.account for each in read_backings(chain, posted, "nobody")] == [verifier.address]
    (tree,) = chain.trees(verifier.address)
    later = replace(posted, terms=replace(posted.terms, id=tree.last_task + 1))
    assert read_backings(chain, later, "nobody") == []


def test_solver_keeps_stake_free_to_answer_false_calls_or_declines(empty: Stage) -> None:
    stage, lines = empty, list[str]()
    posted = post(stage, "4")
    for n in (1, 2):
        make_verifier(stage, Verifier, f"4 verifier {n}", posted, SEGMENTS)
    solver = shipped(stage, "4 solver", posted.terms.id, lines)
    chain, numbers = solver.lockstep, solver.lockstep.numbers(posted.terms)
    answer = claim_lock(chain, posted) + chain.dispute_parameters.opening_bond
    spare = max(4 * numbers.fee, answer)
    elsewhere = "0x" + hashlib.sha256(b"elsewhere").hexdigest()[:40]
    spent = chain.tokens(solver.address) - numbers.solver_deposit - spare + 1
    chain.send(chain.token, "transfer", chain.client.web3.to_checksum_address(elsewhere), spent, doing="spend")
    assert not solver.turn()
    assert "does not accept task" in lines[-1]
    assert "--spare" in lines[-1]
    assert chain.stake(solver.address) == 0

    world = stage.world
    world.keeper_lockstep.send(chain.token, "drip", 1, doing="mint")
    world.minted += 1
    world.keeper_lockstep.send(chain.token, "transfer", solver.address, 1, doing="give")
    assert solver.turn()
    assert chain.free_stake(solver.address) == spare
    assert solver._spare(posted) == 2 * spare  # a second such task would need as much again


def test_solver_told_to_keep_nothing_locks_its_deposit_alone(empty: Stage) -> None:
    posted = post(empty, "5")
    solver = shipped(empty, "5 solver", posted.terms.id, [])
    solver.caution, solver.spare_fees = Caution(verifiers=0), 0.0
    assert solver.turn()
    assert solver.lockstep.free_stake(solver.address) == 0
