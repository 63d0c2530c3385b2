"""What people get wrong: each mistake is one sentence on stderr and exit code 1 (usage errors 2), nothing half-done."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from lockstep.chain.anvil import Anvil
from lockstep.chain.client import Client
from lockstep.chain.deployment import Deployment
from lockstep.cli.keys import well_known_key
from lockstep.cli.options import Role
from lockstep.cli.session import FundedLockstep
from tests.offchain.cli.bench import TINY, Bench

pytestmark = pytest.mark.chain

OWN = "class Own(nn.Sequential):\n    def forward(self, x):\n        return super().forward(x)\n\n"
FRESH_KEY = "0x" + "17" * 32
"""An account nobody funded."""

COMMANDS: list[tuple[Any, ...]] = [
    ("submit", "mlp", "--yes"),
    ("quote", "mlp"),
    ("solve", "--once"),
    ("verify", "--once"),
    ("whistleblow", "--once"),
    ("challenge", 1, 0, 0),
    ("withdraw", "--as", "solver"),
    ("status",),
    ("result", 1),
    ("program", "show", 1),
]
"""Every command that needs a deployment."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# The chain


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_command_without_deployment_file_says_how_to_deploy(
    bench: Bench, tmp_path: Path, command: tuple[Any, ...]
) -> None:
    line = bench.refuse(*command, "--home", tmp_path / "nowhere")
    assert "There is no deployment file" in line
    assert "lockstep deploy" in line
    assert not (tmp_path / "nowhere").exists()


def test_dead_rpc_says_where_nobody_answers(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    line = bench.refuse("status", "--rpc", url)
    assert f"No Ethereum node answers at {url}" in line


def test_rpc_of_another_scheme_is_a_usage_error(bench: Bench) -> None:
    assert "is not an HTTP address" in " ".join(bench.run("status", "--rpc", "localhost", code=2).stderr.split())


def test_wrong_chain_names_both(bench: Bench) -> None:
    with Anvil(chain_id=4242) as other:
        line = bench.refuse("status", "--rpc", other.url)
        assert "serves chain 4242" in line
        assert "on chain 31337" in line
        assert "no account is free for all" in bench.refuse("deploy", "--rpc", other.url)
        keyed = ("deploy", "--rpc", other.url, "--key", other.accounts[0].key)
        assert "--token ADDRESS, or --faucet" in bench.refuse(*keyed)
        assert "There is no contract at" in bench.refuse(*keyed, "--token", other.accounts[1].address)


def test_restarted_chain_says_contracts_are_gone(bench: Bench) -> None:
    with Anvil() as fresh:
        line = bench.refuse("status", "--rpc", fresh.url)
        assert "has no contracts where" in line
        assert "forgets everything when it is restarted" in line
        bench.run("deploy", "--rpc", fresh.url)  # the file's deployment is gone, so nothing is lost
        again = Deployment.load(bench.home / "deployment.json")
        assert again.addresses == bench.deployment.addresses
        assert again.identity != bench.deployment.identity  # journals of the old chain are not taken for this one's
        assert "No tasks yet" in bench.run("status", "--rpc", fresh.url).stdout
    assert "has no contracts where" in bench.refuse("status")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("[]", "is incomplete"),
        ('{"format": "other"}', "is not of format"),
        ("\x00\xff", "cannot be read"),
    ],
)
def test_corrupted_deployment_file_says_so(bench: Bench, text: str, expected: str) -> None:
    (bench.home / "deployment.json").write_bytes(text.encode("latin1"))
    assert expected in bench.refuse("status")
    assert "cannot be understood" in bench.refuse("deploy")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda d: d["addresses"].pop("AuditCourt"), "no valid address for AuditCourt"),
        (lambda d: d["addresses"].update(TaskMarket="0x12"), "no valid address for TaskMarket"),
        (lambda d: d["parameters"].pop("redraws"), "redraws"),
        (lambda d: d.update(chain_id="many"), "is incomplete"),
        (lambda d: d.pop("origin"), "is incomplete"),
    ],
)
def test_damaged_deployment_file_says_where(bench: Bench, change: Any, expected: str) -> None:
    file = bench.home / "deployment.json"
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))
    assert expected in bench.refuse("status")


def test_deploy_over_a_live_deployment_refused(bench: Bench) -> None:
    before = (bench.home / "deployment.json").read_text()
    assert "holds a deployment on chain 31337" in bench.refuse("deploy")
    assert (bench.home / "deployment.json").read_text() == before


# Keys and money


def test_malformed_key_is_not_shown(bench: Bench) -> None:
    for key in ("0x1234secret", "zz" * 32, "0x" + "00" * 32, "0x" + "ff" * 32):
        result = bench.run("solve", "--once", "--key", key, code=1)
        assert "private key is not valid" in result.stderr
        assert key not in result.output


def test_key_file_is_read_and_missing_or_binary_ones_are_refused(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(well_known_key(Role.WHISTLEBLOWER) + "\n")
    assert "nothing is owed to 0x15d34AAf" in bench.run("withdraw", "--key-file", file).stdout
    assert "cannot be read" in bench.refuse("withdraw", "--key-file", tmp_path / "none")
    file.write_bytes(b"\xff\xfe\x00")
    assert "does not hold a private key" in bench.refuse("withdraw", "--key-file", file)


def test_keys_that_exclude_each_other_are_a_usage_error(bench: Bench, tmp_path: Path) -> None:
    bench.run("withdraw", "--key", FRESH_KEY, "--key-file", tmp_path / "key", code=2)
    bench.run("withdraw", "--key", FRESH_KEY, "--as", "solver", code=2)


def test_withdraw_without_account_asks_whose(bench: Bench) -> None:
    assert "Whose account?" in bench.refuse("withdraw")


def test_account_without_gas_is_told_so(bench: Bench) -> None:
    line = bench.refuse("verify", "--once", "--key", FRESH_KEY)
    assert "too little of the chain's currency to pay for gas" in line


def test_wallet_without_tokens_and_no_faucet_says_what_is_missing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FundedLockstep, "_has_faucet", lambda self: False)
    line = bench.refuse("verify", "--once", "--stake", "12.5")
    assert "has 0 LOCK and 12.5 LOCK are needed: send it 12.5 LOCK" in line
    file = bench.home / "train.py"
    file.write_text(TINY)
    line = bench.refuse("submit", f"{file}:build", "--batch-size", 4, "--steps", 4, "--segment-steps", 2, "--yes")
    assert "are needed: send it" in line
    assert bench.lockstep(Role.SUBMITTER).tasks() == []


def test_submitter_solves_its_own_task_refused(bench: Bench) -> None:
    task = bench.submit("--steps", 4, "--segment-steps", 2)
    assert "has nothing to do now" in bench.run("solve", "--once", "--as", "submitter").stdout
    assert bench.lockstep(Role.SUBMITTER).solver(task) is None


def test_reverted_call_is_explained(bench: Bench) -> None:
    bench.run("verify", "--once", "--stake", 2)
    assert "of free stake; what is locked" in bench.refuse("withdraw", "--as", "verifier", "--stake", 3)
    assert "makes no weight in the draws" in bench.refuse("verify", "--once", "--stake", "0.5")


def test_retired_verifier_is_out_of_the_draws(bench: Bench) -> None:
    lockstep = bench.lockstep(Role.VERIFIER)
    address = lockstep.client.address
    bench.run("verify", "--once", "--stake", 5)
    assert lockstep.view(lockstep.court, "weightOf", address) == 5
    for _ in range(2):
        assert "it can leave the draws in 4 h" in bench.run("verify", "--retire").stderr
    assert lockstep.weight(address) == 5
    bench.node.advance_time(lockstep.parameters.withdrawal_delay)
    assert "Out of the draws" in bench.run("verify", "--retire").stderr
    assert lockstep.view(lockstep.court, "weightOf", address) == 0


# Tasks


def user_file(bench: Bench, text: str) -> Path:
    file = bench.home / "train.py"
    file.write_text(text)
    return file


def test_unsupported_operator_is_named_with_its_source_line(bench: Bench) -> None:
    text = TINY.replace("class", "class").replace(
        "def build():",
        "class Odd(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.a = nn.Linear(6, 3)\n"
        "    def forward(self, x):\n        return self.a(x).lgamma()\n\ndef build():",
    )
    text = text.replace("nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))", "Odd()")
    file = user_file(bench, text)
    number = text.splitlines().index("        return self.a(x).lgamma()") + 1
    result = bench.run("submit", f"{file}:build", "--batch-size", 4, "--yes", code=1)
    assert "lgamma" in result.stderr
    assert f"train.py:{number}" in result.stderr
    assert bench.lockstep(Role.SUBMITTER).tasks() == []
    assert not list((bench.home / "store").rglob("sha256/*/*"))


def test_what_a_rule_cannot_carry_is_refused_with_the_users_line(bench: Bench) -> None:
    text = TINY.replace("nn.ReLU(), nn.Linear(8, 3)", "nn.AdaptiveMaxPool1d(5), nn.Linear(5, 3)")
    file = user_file(bench, text)
    line = bench.refuse("submit", f"{file}:build", "--batch-size", 4, "--yes")
    assert "carried where [1, 5] divides the image [1, 8]" in line
    assert "sources.py" not in line  # no line of the user's runs in an nn.Sequential, and ours are none
    file = user_file(bench, text.replace("nn.Sequential(", "Own(").replace("def build", OWN + "def build"))
    line = bench.refuse("submit", f"{file}:build", "--batch-size", 4, "--yes")
    assert "train.py:9: " in line
    assert "divides the image" in line
    assert bench.lockstep(Role.SUBMITTER).tasks() == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def build(:\n", "train.py:1: SyntaxError"),
        ("import nothing_of_that_name\n", "train.py:1: ModuleNotFoundError"),
        ("def build():\n    return 1 / 0\n", "train.py:2: ZeroDivisionError"),
        ("build = 3\n", "has no function build"),
        ("def build():\n    return 3\n", "returned int; it returns (model, loss, optimiser, dataset)"),
        ("def build():\n    return 1, 2, 3, 4\n", "model is no nn.Module"),
        (TINY.replace("data, data", "[1], data"), "returned list as the data set"),
        (TINY.replace("SGD(lr=0.1)", "'adam'"), "returned str as the optimiser"),
        (TINY.replace("SGD(lr=0.1)", "SGD(lr=-1.0)"), "train.py:11: ValueError: lr is -1.0"),
    ],
    ids=["syntax", "import", "raises", "no function", "no tuple", "no model", "no data", "no optimiser", "bad rate"],
)
def test_submit_file_that_does_not_build_a_task_says_why(bench: Bench, text: str, expected: str) -> None:
    file = user_file(bench, text)
    assert expected in bench.refuse("submit", f"{file}:build", "--yes")


def test_submit_source_that_is_nothing_says_what_there_is(bench: Bench) -> None:
    line = bench.refuse("submit", "resnet", "--yes")
    assert "neither a model of the zoo (mlp, cnn, " in line
    assert "nor FILE.py:FUNCTION" in line
    assert "There is no Python file" in bench.refuse("submit", "nowhere.py:build", "--yes")


@pytest.mark.parametrize(
    "options",
    [
        ("--steps", 0),
        ("--steps", -5),
        ("--steps", 2**32),
        ("--segment-steps", 65),
        ("--audits", 0),
        ("--audits", "some"),
        ("--audits", 70000),
        ("--price", "-1"),
        ("--price", "nan"),
        ("--price", "1e40"),
        ("--price", "1e-18"),
        ("--price", "free"),
        ("--seed", -1),
        ("--seed", 2**64),
        ("--batch-size", 0),
        ("--accept-within", "soon"),
        ("--solve-within", "0s"),
        ("--solve-within", "99999999999d"),
    ],
    ids=lambda options: f"{options[0][2:]} {options[1]}",
)
def test_submit_absurd_option_is_a_usage_error(bench: Bench, options: tuple[object, ...]) -> None:
    bench.run("submit", "mlp", "--yes", *options, code=2)


def test_submit_options_that_do_not_fit_each_other_say_so(bench: Bench) -> None:
    file = user_file(bench, TINY)
    source = ("submit", f"{file}:build", "--yes", "--segment-steps", 2)
    assert "A batch of 64 from 48 samples" in bench.refuse(*source, "--steps", 4)
    few = (*source, "--batch-size", 4, "--steps", 4)
    assert "9 audits do not fit" in bench.refuse(*few, "--audits", 9)
    assert "1 audits do not fit" in bench.refuse(*few, "--audits", 1)
    assert "costs more than any account can hold" in bench.refuse(
        *source, "--batch-size", 4, "--steps", 2**32 - 1, "--price", "70000000000"
    )
    assert bench.lockstep(Role.SUBMITTER).tasks() == []


def test_submit_unconfirmed_posts_nothing(bench: Bench) -> None:
    file = user_file(bench, TINY)
    line = bench.refuse("submit", f"{file}:build", "--batch-size", 4, "--steps", 4, "--segment-steps", 2)
    assert "Nothing was posted" in line
    assert bench.lockstep(Role.SUBMITTER).tasks() == []


def test_cancel_gives_the_escrow_back_and_refusals_are_decoded(bench: Bench) -> None:
    task = bench.submit("--steps", 4, "--segment-steps", 2)
    escrow = bench.lockstep(Role.SUBMITTER).task(task).escrow
    stranger = bench.refuse("cancel", task, "--as", "solver")
    assert f"Could not cancel task {task}: only 0x7099" in stranger
    assert f"cancels task {task}" in bench.run("cancel", task).stdout
    again = bench.refuse("cancel", task)
    assert f"task {task} is CANCELLED, and this needs OPEN; `lockstep status` shows where it stands." in again
    lockstep = bench.lockstep(Role.SUBMITTER)
    assert lockstep.owed(lockstep.client.address) == escrow


def test_solver_refuses_a_task_that_leaves_no_time(bench: Bench) -> None:
    task = bench.submit("--steps", 60_000, "--segment-steps", 64, "--solve-within", "5s")
    shown = bench.run("solve", "--once").stdout
    assert f"refuses task {task}: it leaves 5 s for" in shown
    assert bench.lockstep(Role.SUBMITTER).solver(task) is None


# Looking


def test_unknown_task_is_named(bench: Bench) -> None:
    for command in (
        ("status", 7),
        ("result", 7),
        ("program", "show", 7),
        ("solve", "--task", 7),
        ("challenge", 7, 0, 0),
    ):
        assert "There is no task 7" in bench.refuse(*command)
    bench.run("status", "seven", code=2)
    assert "is not an address" in bench.run("status", "--account", "0x12", code=2).stderr


def test_result_too_early_or_over_a_file_refused(bench: Bench, tmp_path: Path) -> None:
    task = bench.submit("--steps", 4, "--segment-steps", 2)
    assert f"Task {task} has no result: it is open" in bench.refuse("result", task, "--out", tmp_path / "r")
    (tmp_path / "r").write_text("mine")
    assert "is there already" in bench.refuse("result", task, "--out", tmp_path / "r")
    assert (tmp_path / "r").read_text() == "mine"


def test_result_before_the_audits_are_over_warns(bench: Bench, tmp_path: Path) -> None:
    task = bench.submit("--steps", 4, "--segment-steps", 2)
    bench.run("solve", "--once")
    shown = bench.run("result", task, "--out", tmp_path / "r")
    assert "the audits are not over" in shown.stderr


def test_store_without_the_artifacts_says_which(bench: Bench, tmp_path: Path) -> None:
    task = bench.submit("--steps", 4, "--segment-steps", 2)
    elsewhere = ("--store", tmp_path / "empty")
    assert "Point --store at the store" in bench.refuse("program", "show", task, *elsewhere)
    shown = bench.run("solve", "--once", *elsewhere).stdout
    assert f"refuses task {task}" in shown
    assert "cannot be opened" in bench.refuse("program", "show", task, "--store", "nosuchscheme://x")


def test_damaged_artifact_is_refused(bench: Bench) -> None:
    task = bench.submit("--steps", 4, "--segment-steps", 2)
    uri = bench.lockstep(Role.SUBMITTER).task(task).uri.removeprefix("sha256:")
    artifact = bench.home / "store" / "sha256" / uri[:2] / uri[2:]
    artifact.write_bytes(artifact.read_bytes().replace(b"loss", b"gain"))
    assert "is damaged" in bench.refuse("program", "show", task)


def test_program_show_hostile_file_refused_with_a_sentence(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "p"
    for data in (b"", b"LSP1", b"LSP1" + b"\xff" * 300, b"\x7fELF" + bytes(100)):
        file.write_bytes(data)
        assert "is not a program" in bench.refuse("program", "show", file)
    assert "neither a model of the zoo" in bench.refuse("program", "show", tmp_path / "none")
    bench.run("program", "show", "mlp", "--nodes", "a:b", code=2)
    bench.run("program", "show", "mlp", "--which", "other", code=2)


def test_journal_of_nonsense_is_a_sentence(bench: Bench) -> None:
    address = str(Client(bench.node.url, well_known_key(Role.SOLVER)).address).lower()
    journal = bench.home / "journals" / f"solver-{address}.sqlite"
    journal.parent.mkdir()
    journal.write_bytes(b"this is no database, but it is long enough to look at" * 100)
    line = bench.refuse("solve", "--once")
    assert "journal" in line


def test_home_that_is_a_file_is_a_sentence(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "file" in bench.refuse("status", "--home", tmp_path / "file")
