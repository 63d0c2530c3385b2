"""A task that goes on from another, its solver drawn, through the commands; and what they refuse."""

from __future__ import annotations

import json

import pytest

from lockstep.chain.amounts import TOKEN
from lockstep.cli.options import Role
from tests.offchain.cli.bench import Bench

pytestmark = pytest.mark.chain

SHAPE = ("--steps", 4, "--segment-steps", 2, "--audits", "all")


def settle(bench: Bench, task: int) -> None:
    """Verify a committed task, and settle it."""
    bench.run("verify", "--once")
    bench.node.advance_time(1200)
    assert f"settles task {task}: settled" in bench.run("verify", "--once").stdout


def test_story_stacked_task_with_a_drawn_solver_settles(bench: Bench) -> None:
    bench.run("verify", "--once")
    parent = bench.submit(*SHAPE)
    refused = bench.refuse("submit", f"{bench.home / 'train.py'}:build", "--batch-size", 4, "--yes", "--parent", parent)
    assert "only a settled task" in refused
    bench.run("solve", "--once")
    settle(bench, parent)
    child = bench.submit(*SHAPE, "--parent", parent, "--draw", "10m", "--family", "mlp", "--prize", "0.5")
    declared = ("--memory", 1024, "--rate", 1000, "--family", "mlp")
    assert f"applies for task {child}" in bench.run("solve", "--once", *declared).stdout
    document = json.loads(bench.run("status", child, "--json").stdout)["task"]
    assert document["parent"] == parent
    assert document["first_step"] == 4
    assert document["init_program"] is None
    assert len(document["applicants"]) == 1
    assert f"task {parent}, at step 4" in bench.run("status", child).stdout
    bench.node.advance_time(601)
    solved = bench.run("solve", "--once", *declared).stdout
    assert f"drawSolver on task {child}" in solved
    assert "commits to 3 checkpoints" in solved
    settle(bench, child)
    document = json.loads(bench.run("status", child, "--json").stdout)["task"]
    assert [line["segment"] for line in document["audited"]] == [1, 2]
    assert document["audited"][0]["steps"] == [4, 5]
    assert "no init program" in bench.refuse("program", "show", child, "--which", "init")
    check_reputation(bench, parent, child)
    check_bonus(bench, child)


def check_reputation(bench: Bench, parent: int, child: int) -> None:
    shown = bench.run("reputation", "--as", "solver").stdout
    assert f"could credit the work of task {child}" in shown
    assert f"credits the work of task {parent}" in bench.run("reputation", "--as", "solver", "--fetch").stdout
    assert "credit" not in bench.run("reputation", "--as", "solver", "--fetch").stdout
    fetched = bench.run("reputation", "--as", "verifier", "--fetch").stdout
    assert f"credits the claim on segment 1 of task {child}" in fetched
    solver = bench.lockstep(Role.SOLVER)
    levies = sum(solver.task(task).terms.levy for task in (parent, child))
    assert solver.view(solver.ledger, "earnedOf", solver.client.address, 0) == levies // 2


def check_bonus(bench: Bench, task: int) -> None:
    """The levy pays for the prize; what was won, if anything, is collected by hand, and then there is nothing."""
    solver = bench.lockstep(Role.SOLVER)
    assert solver.view(solver.lots, "bonusOf", solver.task(task).terms.abi()) >= TOKEN // 2
    won = bool(solver.open_lots(task))
    before = solver.owed(solver.client.address)
    fetched = bench.run("bonus", "--as", "solver", "--fetch").stdout
    assert (f"of task {task}: " in fetched) is won
    assert (bench.lockstep(Role.SOLVER).owed(solver.client.address) > before) is ("collects" in fetched)
    assert "nothing to collect" in bench.run("bonus", "--as", "solver").stdout


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--family", "mlp"), "--draw"),
        (("--draw", "2h", "--family", "gnn"), "no family"),
    ],
)
def test_submit_options_that_say_nothing_are_refused(bench: Bench, options: tuple[str, ...], word: str) -> None:
    shown = bench.run("submit", "mlp", "--yes", *options, code=2)
    assert word in shown.stderr


def test_solve_unknown_family_is_refused(bench: Bench) -> None:
    assert "no family" in bench.run("solve", "--once", "--family", "gnn", code=2).stderr
