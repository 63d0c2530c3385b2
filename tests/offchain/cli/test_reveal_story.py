"""Draws that need revealers' secrets, through the commands and on a real chain: crashes, withholding, leaving."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lockstep.agents.block_secrets import BlockSecrets
from lockstep.agents.journal import Journal
from lockstep.agents.revealer import Revealer
from lockstep.chain.client import Client
from lockstep.chain.errors import ChainError
from lockstep.chain.lockstep import Lockstep
from lockstep.chain.types import Draw, TaskState
from lockstep.cli.errors import INTERRUPTED
from lockstep.cli.options import Role
from lockstep.cli.session import FundedLockstep
from lockstep.commitments.merkle import hash_leaf, root_from_inclusion
from tests.offchain.cli.bench import Bench

pytestmark = [pytest.mark.chain, pytest.mark.timeout(300)]

SECRETS = 1_000
PATIENCE = 60.0
"""Seconds a process may take for what it does at once."""


class Withholder(Revealer):
    """Keeps every secret to itself."""

    def withholds(self, target: int) -> bool:
        return True


def revealer(bench: Bench, number: int, kind: type[Revealer] = Revealer, journal: Path | None = None) -> Revealer:
    """A revealer in this process, with one of the node's accounts."""
    client = Client(bench.node.url, bench.node.accounts[number].key)
    chain = FundedLockstep(client, bench.deployment)
    return kind(chain, bench.store, Journal(journal or ":memory:"))


def wait(what: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.05)


def draw_of(chain: Lockstep, task: int) -> Draw:
    return chain.draw(chain.market.address, task.to_bytes(32, "big"))


def committed(bench: Bench) -> int:
    """A task whose work is committed, and whose audits are about to be drawn."""
    bench.run("verify", "--once")
    task = bench.submit("--steps", 4, "--segment-steps", 2, "--audits", "all")
    bench.run("solve", "--once")
    return task


def price_of_a_reroll(bench: Bench) -> str:
    """What ``quote`` says of the posted task's model, in one line."""
    shown = bench.run("quote", f"{bench.home / 'train.py'}:build", "--batch-size", 4).stdout
    return " ".join(shown[shown.index("a re-roll is worth") :].split())


def settle(bench: Bench, task: int) -> None:
    assert bench.run("verify", "--once").stdout.count("passes segment") == 3
    bench.node.advance_time(1200)
    assert f"settles task {task}: settled" in bench.run("verify", "--once").stdout


def test_story_revealer_killed_and_started_again_the_draw_has_both_secrets(bench: Bench) -> None:
    chain = bench.lockstep(Role.SUBMITTER)
    first = ("reveal", "--poll", 0.1, "--secrets", SECRETS)
    second = (*first, "--key", bench.node.accounts[6].key)
    started = [bench.start(*first), bench.start(*second)]
    killed, other = started
    try:
        wait(lambda: len(chain.panel()) == 2, killed)
        killed.send_signal(signal.SIGKILL)
        assert killed.wait(PATIENCE) == -signal.SIGKILL
        task = committed(bench)
        wait(lambda: draw_of(chain, task).missing.bit_count() == 1, other)
        bench.run("verify", "--once")
        assert chain.state(task) is TaskState.COMMITTED

        again = bench.start(*first)
        started.append(again)
        wait(lambda: not draw_of(chain, task).missing, again)
        settle(bench, task)
        assert draw_of(chain, task).recorded
        assert all(chain.seat(account)[1].left_at == 0 for account in chain.panel())  # type: ignore[index]
        again.send_signal(signal.SIGINT)
        assert again.stdout is not None
        out = again.stdout.read()
        assert again.wait(PATIENCE) == INTERRUPTED
        assert "Its seat and bond wait for it" in out
    finally:
        for process in started:
            process.kill()
            with process:
                pass


def test_story_secret_withheld_bond_lost_and_the_draw_goes_on(bench: Bench) -> None:
    chain = bench.lockstep(Role.VERIFIER)
    honest, liar = revealer(bench, 6), revealer(bench, 7, Withholder)
    honest.join(SECRETS)
    liar.join(SECRETS)
    assert sorted(chain.panel()) == sorted([honest.address, liar.address])
    task = committed(bench)
    assert honest.turn()
    assert not honest.turn()
    assert not liar.turn()
    failed = draw_of(chain, task)
    assert failed.missing

    bench.node.mine(chain.reveal_parameters.window_blocks + 1)
    assert "2 revealers, one honest suffices" in price_of_a_reroll(bench)
    treasury, owed = chain.view(chain.treasury, "balance"), chain.owed(chain.client.address)
    assert "calls time on 1 missing secrets" in bench.run("verify", "--once").stdout
    bond = chain.reveal_parameters.bond
    tip = bond * chain.reveal_parameters.tip_bps // 10_000
    assert chain.view(chain.treasury, "balance") - treasury == bond - tip
    assert chain.owed(chain.client.address) - owed == tip
    assert chain.panel() == [honest.address]
    again = draw_of(chain, task)
    assert (again.members.bit_count(), again.target > failed.target) == (1, True)

    assert honest.turn()
    assert chain.stake(honest.address) == bond
    settle(bench, task)


def test_quote_without_revealers_says_who_chooses(bench: Bench) -> None:
    bench.submit("--steps", 4, "--segment-steps", 2)
    assert "nobody reveals: who builds the block chooses the draw" in price_of_a_reroll(bench)


def test_reveal_without_its_journal_says_so(bench: Bench) -> None:
    revealer(bench, 6).join(SECRETS)
    with pytest.raises(ChainError, match="does not hold the secrets"):
        revealer(bench, 6).turn()


def test_join_killed_once_it_is_sent_next_life_has_the_secrets(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        pass

    agent = revealer(bench, 6, journal=tmp_path / "journal")
    send = agent.lockstep.send

    def die(*arguments: object, **options: object) -> None:
        send(*arguments, **options)  # type: ignore[arg-type]
        if arguments[1] == "join":
            raise Killed

    monkeypatch.setattr(agent.lockstep, "send", die)
    with pytest.raises(Killed):
        agent.join(SECRETS)
    agent.journal.close()
    task = committed(bench)
    assert revealer(bench, 6, journal=tmp_path / "journal").turn()
    assert not draw_of(bench.lockstep(Role.SOLVER), task).missing


def test_reveal_with_few_secrets_left_leaves_and_has_its_bond_back(bench: Bench) -> None:
    agent = revealer(bench, 6)
    chain, window = agent.lockstep, agent.lockstep.reveal_parameters.window_blocks
    agent.join(2 * window)
    assert not agent.turn()
    bench.node.mine(window)
    assert agent.turn()
    assert chain.panel() == []
    assert not agent.turn()
    bench.node.mine(int(chain.view(chain.beacon, "holdBlocks")) + 1)
    assert agent.turn()
    assert not agent.seated
    assert chain.free_stake(agent.address) == chain.reveal_parameters.bond


def test_leave_without_a_seat_is_refused(bench: Bench) -> None:
    assert "has no seat to leave" in bench.refuse("reveal", "--leave")


def test_secrets_prove_under_their_root_and_differ_by_block_and_account() -> None:
    tree = BlockSecrets(bytes(32), "0x" + "11" * 20, 1_000, 300)
    for block in (1_000, 1_157, 1_299):
        leaf = hash_leaf(bytes([0x11]) * 20 + block.to_bytes(8, "big") + tree.secret(block))
        assert root_from_inclusion(300, block - 1_000, leaf, tree.proof(block)) == tree.root
    for outside in (999, 1_300):
        with pytest.raises(ValueError, match="No leaf"):
            tree.proof(outside)
    assert len({tree.secret(block) for block in range(1_000, 1_300)}) == 300
    assert BlockSecrets(bytes(32), "0x" + "22" * 20, 1_000, 300).root != tree.root
    with pytest.raises(ValueError, match="32 bytes"):
        BlockSecrets(b"short", "0x" + "11" * 20, 0, 1)
