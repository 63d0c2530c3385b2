"""A task's whole life through the commands, on a real chain."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from lockstep.agents.journal import Journal
from lockstep.agents.replica import Replica, Tamper, Workbench
from lockstep.agents.verifier import Verifier
from lockstep.agents.whistleblower import Whistleblower
from lockstep.agents.workload import load_workload
from lockstep.chain.lockstep import PostedTask
from lockstep.chain.types import TaskState
from lockstep.cli.errors import INTERRUPTED
from lockstep.cli.options import Role
from lockstep.engine.checkpoint import state_root
from tests.offchain.cli.bench import Bench

pytestmark = pytest.mark.chain

LIED_ABOUT = 1
"""Segment that dishonest parties lie about."""


def test_story_honest_parties_task_settles_and_pays(bench: Bench, tmp_path: Path) -> None:
    bench.run("verify", "--once")
    task = bench.submit("--steps", 4, "--segment-steps", 2, "--audits", "all")
    solved = bench.run("solve", "--once").stdout
    assert "commits to 3 checkpoints" in solved
    verified = bench.run("verify", "--once").stdout
    assert verified.count("passes segment") == 3
    assert "has nothing to do now" in bench.run("whistleblow", "--once").stdout
    bench.node.advance_time(1200)
    assert f"settles task {task}: settled" in bench.run("verify", "--once").stdout

    document = json.loads(bench.run("status", task, "--json").stdout)["task"]
    assert document["state"] == "settled"
    assert [line["state"] for line in document["audited"]] == ["passed"] * 3
    assert all(line["claims"][0]["judged"] for line in document["audited"])

    out = tmp_path / "trained.safetensors"
    shown = bench.run("result", task, "--out", out)
    assert shown.stderr == ""
    assert document["final_root"] in shown.stdout
    assert "test accuracy" in shown.stdout
    with safe_open(out, "pt") as file:
        names = bench_names(bench, task)
        assert {name for name in file.keys()} == set(names)  # noqa: SIM118, C416
        assert state_root([file.get_tensor(name) for name in names]).hex() == document["final_root"]
        assert json.loads(file.metadata()["lockstep"])["root"] == document["final_root"]

    paid = bench.run("withdraw", "--as", "solver").stdout
    assert "that were owed" in paid
    solver = bench.lockstep(Role.SOLVER)
    assert solver.tokens(solver.client.address) == int(document["fee"])
    assert "can be withdrawn in 4 h" in bench.run("withdraw", "--as", "solver", "--stake", "all").stdout
    bench.node.advance_time(solver.parameters.withdrawal_delay + 1)
    assert "of stake" in bench.run("withdraw", "--as", "solver").stdout
    assert solver.worth(solver.client.address) == solver.tokens(solver.client.address)


def bench_names(bench: Bench, task: int) -> tuple[str, ...]:
    """Names of the trained state, from the task's manifest."""
    posted = bench.lockstep(Role.SUBMITTER).task(task)
    return load_workload(bench.store, posted.terms, posted.uri).step.names.state


def test_deploy_as_process_writes_file_that_status_reads(bench: Bench, tmp_path: Path) -> None:
    home = tmp_path / "elsewhere"
    process = bench.start("deploy", "--home", home)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "TaskMarket" in out
    document = json.loads(bench.run("status", "--home", home, "--numbers", "--json").stdout)["deployment"]
    assert document["chain"] == 31337
    assert document["addresses"]["TaskMarket"] in out
    assert document["addresses"]["TaskMarket"] != bench.deployment.addresses["TaskMarket"]


# Crashes


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_solve_stopped_in_the_middle_same_command_reaches_the_same_root(bench: Bench, number: signal.Signals) -> None:
    task = bench.submit("--steps", 6_000, "--segment-steps", 50)
    process = bench.start("solve", "--task", task, "--poll", 0.1)
    journal = next_journal(bench, process)
    wait_for_checkpoints(journal, process, 3)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else INTERRUPTED), err
    if number == signal.SIGINT:
        assert "the same command goes on where this one ended" in out
        assert err == ""
    lockstep = bench.lockstep(Role.SOLVER)
    assert lockstep.state(task) is TaskState.SOLVING

    resumed = bench.run("solve", "--task", task, "--once").stdout
    assert f"goes on with task {task} at checkpoint" in resumed
    work = lockstep.work(task)
    assert work is not None
    assert work.final_root == uninterrupted_root(bench, task)


def next_journal(bench: Bench, process: subprocess.Popen[str]) -> Path:
    """The solver's journal, once there is one."""
    while process.poll() is None:
        found = list((bench.home / "journals").glob("solver-*.sqlite"))
        if found:
            return found[0]
        time.sleep(0.02)
    raise AssertionError(process.communicate())


def wait_for_checkpoints(journal: Path, process: subprocess.Popen[str], count: int) -> None:
    """Wait until a running solver has recorded some checkpoints."""
    while process.poll() is None:
        with closing(sqlite3.connect(journal, timeout=10)) as database:
            try:
                rows = database.execute("select 1 from facts where scope like '%/checkpoints'").fetchall()
            except sqlite3.OperationalError:  # the table is not there yet
                rows = []
        if len(rows) >= count:
            return
        time.sleep(0.005)
    raise AssertionError(process.communicate())


def uninterrupted_root(bench: Bench, task: int) -> bytes:
    """Root of the final state of a run in one go."""
    posted = bench.lockstep(Role.SUBMITTER).task(task)
    workbench = Workbench(load_workload(bench.store, posted.terms, posted.uri), posted.terms.seed)
    start = Replica(workbench, 0, [], 0, 1).run()
    return state_root(Replica(workbench, 1, start, 0, posted.terms.steps).run())


def test_solve_twice_with_one_account_second_refused(bench: Bench) -> None:
    task = bench.submit("--steps", 240, "--segment-steps", 2)
    process = bench.start("solve", "--task", task, "--poll", 0.1)
    try:
        wait_for_checkpoints(next_journal(bench, process), process, 1)
        assert "Another process runs the solver" in bench.refuse("solve", "--once")
    finally:
        process.kill()
        process.communicate()


# Disputes


def next_float(tensor: Tensor) -> Tensor:
    changed = tensor.clone()
    changed.view(torch.int32).reshape(-1)[0] += 1
    return changed


def lie(bench: Bench, task: int) -> Tamper:
    """One weight one ulp off after the first step of a segment."""
    posted = bench.lockstep(Role.SUBMITTER).task(task)
    program = load_workload(bench.store, posted.terms, posted.uri).step
    return {0: {program.nodes[-1].inputs[0].value: next_float}}


class LyingVerifier(Verifier):
    lie: Tamper

    def tamper(self, posted: PostedTask, segment: int) -> Tamper | None:
        return self.lie if segment == LIED_ABOUT else None


class LyingWhistleblower(Whistleblower):
    lie: Tamper

    def tamper(self, posted: PostedTask, segment: int) -> Tamper | None:
        return self.lie if segment == LIED_ABOUT else None


def test_challenge_lying_verifier_is_convicted_and_each_mistake_is_explained(bench: Bench) -> None:
    lockstep = bench.lockstep(Role.VERIFIER)
    lockstep.send(lockstep.token, "drip", 10**22, doing="fund the wallet")
    liar = LyingVerifier(lockstep, bench.store, Journal(":memory:"))
    liar.register(10**21)
    task = bench.submit("--steps", 4, "--segment-steps", 2, "--audits", "all")
    liar.lie = lie(bench, task)
    bench.run("solve", "--once")
    assert liar.tick()
    assert "Disputes open in" in bench.refuse("challenge", task, LIED_ABOUT, 0)
    before = bench.lockstep(Role.WHISTLEBLOWER).client.nonce()
    stays = bench.run("whistleblow", "--explain", "--cost", 1_000).stdout
    assert f"Task {task}: 0 rivals seen, 0 of 0 judged claims false" in stays
    assert "it stays away" in stays
    assert "looks at 100 % of the claims" in bench.run("whistleblow", "--explain").stdout
    assert "it stays away" in bench.run("whistleblow", "--once", "--cost", 1_000).stdout
    assert bench.lockstep(Role.WHISTLEBLOWER).client.nonce() == before
    blown = bench.run("whistleblow", "--once").stdout
    assert f"about task {task}: 0 rivals seen" in blown
    assert f"places a blind claim: segment {LIED_ABOUT}" in blown
    windows = lockstep.windows(task, LIED_ABOUT)
    bench.node.advance_time(windows.claim + 1 - bench.node.now())
    assert "opens its claim on segment" in bench.run("watch", "--once").stdout
    bench.node.advance_time(windows.unblind + 1 - bench.node.now())

    assert "has no claim on segment 2" in bench.refuse("challenge", task, 2, 0)
    assert "no claim 7 on segment 1 in round 0. Claims: 0 (" in bench.refuse("challenge", task, LIED_ABOUT, 7)
    assert "Claim 1 is your own" in bench.refuse("challenge", task, LIED_ABOUT, 1)
    assert "was neither drawn nor called up" in bench.refuse("challenge", task, 9, 0)
    assert "has 2 steps" in bench.refuse("challenge", task, LIED_ABOUT, 0, "--digest-step", 9)
    assert "challenges the end root" in bench.run("challenge", task, LIED_ABOUT, 0).stdout
    assert "You dispute claim 0 already" in bench.refuse("challenge", task, LIED_ABOUT, 0)

    claim = liar.round_claims(lockstep.task(task), LIED_ABOUT, lockstep.slot(task, LIED_ABOUT))[0]
    assert liar.play(lockstep.task(task))
    assert "picks the first step that differs" in bench.run("whistleblow", "--once").stdout
    challenger = Whistleblower(bench.lockstep(Role.WHISTLEBLOWER), bench.store, Journal(":memory:"))
    while not lockstep.claim(claim.ref).convicted:  # as the command would go on, but quicker
        assert liar.play(lockstep.task(task)) | challenger.play(lockstep.task(task))
    shown = bench.run("status", task).stdout
    assert "defender convicted" in shown
    bench.node.advance_time(windows.open + 1 - bench.node.now())
    assert "settled" in bench.run("whistleblow", "--once").stdout


def test_challenge_right_claim_refused_unless_forced(bench: Bench) -> None:
    bench.run("verify", "--once")
    task = bench.submit("--steps", 4, "--segment-steps", 2, "--audits", "all")
    bench.run("solve", "--once")
    bench.run("verify", "--once")
    lockstep = bench.lockstep(Role.WHISTLEBLOWER)
    lockstep.send(lockstep.token, "drip", 10**22, doing="fund the wallet")
    liar = LyingWhistleblower(lockstep, bench.store, Journal(":memory:"))
    liar.lie = lie(bench, task)
    windows = lockstep.windows(task, LIED_ABOUT)
    for until in (windows.claim, windows.unblind):
        assert liar.tick()
        bench.node.advance_time(until + 1 - bench.node.now())
    refused = bench.refuse("challenge", task, LIED_ABOUT, 0)
    assert "nothing to challenge: your replay of segment 1 ends as claim 0 says" in refused
    entry = bench.refuse("challenge", task, LIED_ABOUT, 0, "--digest-step", 1)
    assert "nothing to challenge: entry 1 is what your replay gives. So are all others." in entry
    opened = bench.run("challenge", task, LIED_ABOUT, 0, "--digest-step", 1, "--force")
    assert "challenges digest entry 1" in opened.stdout
    assert "This is dispute 1; 5 LOCK are at stake" in opened.stderr


def test_whistleblow_switch_becomes_what_pays_and_says_why(bench: Bench) -> None:
    assert "--switch" in bench.run("whistleblow", "--once", "--stake", 5, code=2).stderr
    # No look would leave a million tokens; work costs nothing, so three wages pay more than one fee of two segments.
    options = ("--switch", "--cost", 0, "--min-reward", 1_000_000, "--patience", "10s")
    assert "no task was posted yet" in bench.run("whistleblow", "--explain", *options).stdout
    task = bench.submit("--steps", 4, "--segment-steps", 2, "--audits", "all")
    told = bench.run("whistleblow", "--explain", *options).stdout
    assert "as a verifier there is more than 25 % more than as a whistleblower" in told
    assert "changes once that was so for 10 s" in told
    watcher = bench.lockstep(Role.WHISTLEBLOWER)
    assert watcher.client.nonce() == 0
    assert "is a verifier now" not in bench.run("whistleblow", "--once", *options).stdout
    bench.node.advance_time(11)
    assert "was a whistleblower, and is a verifier now" in bench.run("whistleblow", "--once", *options).stdout
    assert list(watcher.verifiers()) == [watcher.client.address]
    assert "it stays a verifier" in bench.run("whistleblow", "--explain", *options).stdout
    bench.run("solve", "--once")
    assert bench.run("whistleblow", "--once", *options).stdout.count("passes segment") == 3
    bench.node.advance_time(1200)
    assert f"settles task {task}: settled" in bench.run("whistleblow", "--once", *options).stdout
    assert watcher.owed(watcher.client.address) == 3 * watcher.task(task).terms.wage
