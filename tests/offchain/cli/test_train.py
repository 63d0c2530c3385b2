"""``lockstep train``: the roots of a solver's run, however often it is killed and however many processes share it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors import safe_open
from typer.testing import CliRunner, Result

from lockstep.cli.main import app
from tests.offchain.cli.bench import TINY

STEPS = 24


@pytest.fixture
def source(tmp_path: Path) -> str:
    file = tmp_path / "job.py"
    file.write_text(TINY)
    return f"{file}:build"


def arguments(source: str, out: Path, *more: object) -> list[str]:
    options = ("train", source, "--batch-size", 6, "--segment-steps", 4, "--seed", 5, "--out", out, *more)
    return [str(option) for option in options]


def train(source: str, out: Path, *more: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, arguments(source, out, "--steps", STEPS, *more))
    assert result.exit_code == code, result.output
    return result


def roots(out: Path) -> list[tuple[int, str]]:
    return [tuple(entry) for entry in json.loads((out / "run.json").read_text())["checkpoints"]]


def test_train_over_processes_prints_and_keeps_the_same_roots(source: str, tmp_path: Path) -> None:
    shown = train(source, tmp_path / "one").output
    assert [steps for steps, _ in roots(tmp_path / "one")] == list(range(0, STEPS + 1, 4))
    assert all(root in shown for _, root in roots(tmp_path / "one"))
    assert re.search(r"is at step 4 of 24, loss \d\.\d{4}, accuracy", shown)
    assert "test loss" in shown
    shown = train(source, tmp_path / "two", "--nproc", 2).output
    assert "2 processes" in shown
    assert roots(tmp_path / "two") == roots(tmp_path / "one")
    weights = [tmp_path / name / "weights.safetensors" for name in ("one", "two")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert len(list((tmp_path / "two").glob("checkpoint-*"))) == 1


def test_train_killed_goes_on_from_its_last_checkpoint_to_the_same_roots(source: str, tmp_path: Path) -> None:
    long = [*arguments(source, tmp_path / "killed"), "--steps", "1000000"]
    process = subprocess.Popen(
        [sys.executable, "-c", "from lockstep.cli.main import app; app()", *long], stdout=subprocess.DEVNULL
    )
    record = tmp_path / "killed" / "run.json"
    wait_for(lambda: record.exists() and len(roots(record.parent)) > 2, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = roots(record.parent)
    steps = done[-1][0] + 8
    shown = CliRunner().invoke(app, [*arguments(source, record.parent), "--steps", str(steps)]).output
    assert f"goes on at step {done[-1][0]} on" in shown
    CliRunner().invoke(app, [*arguments(source, tmp_path / "whole"), "--steps", str(steps)])
    assert roots(record.parent) == roots(tmp_path / "whole")


def test_train_that_loses_a_process_ends_with_a_sentence(source: str, tmp_path: Path) -> None:
    long = [*arguments(source, tmp_path / "lost"), "--steps", "1000000", "--nproc", "2"]
    process = subprocess.Popen(
        [sys.executable, "-c", "from lockstep.cli.main import app; app()", *long],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    record = tmp_path / "lost" / "run.json"
    wait_for(lambda: record.exists() and len(roots(record.parent)) > 2, process)
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True)
    (other,) = map(int, listed.stdout.split())
    os.kill(other, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.splitlines()[-1] == (
        "error: Process 1 of 2 was killed by signal 9. The others were ended, too; start it again."
    )


def wait_for(condition: object, process: subprocess.Popen[str]) -> None:
    assert callable(condition)
    stop = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, "it has ended"
        assert time.monotonic() < stop, "it takes too long"
        time.sleep(0.05)


def test_train_another_job_in_the_same_folder_is_refused(source: str, tmp_path: Path) -> None:
    train(source, tmp_path / "run", "--steps", 4)
    for option, value in (("--seed", 6), ("--segment-steps", 5), ("--batch-size", 7)):
        assert "holds another job" in train(source, tmp_path / "run", option, value, code=1).stderr


def test_train_damaged_folder_is_refused_with_a_sentence(source: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(source, folder, "--steps", 4)
    checkpoint = folder / "checkpoint-00000004.safetensors"
    data = bytearray(checkpoint.read_bytes())
    data[-1] ^= 1
    checkpoint.write_bytes(data)
    assert "does not have the root" in train(source, folder, code=1).stderr
    checkpoint.unlink()
    assert "is missing" in train(source, folder, code=1).stderr
    (folder / "run.json").write_text('{"job": 3}')
    assert "cannot be read" in train(source, folder, code=1).stderr


def test_train_in_native_precision_says_so_and_goes_on_where_it_was(source: str, tmp_path: Path) -> None:
    exact = train(source, tmp_path / "exact").output
    folder = tmp_path / "bf16"
    begun = train(source, folder, "--precision", "bf16", "--threads", 1, "--steps", 8).output
    assert "computes in bf16, not exactly: no other machine finds the roots that follow" in begun
    shown = train(source, folder, "--precision", "bf16", "--threads", 1).output
    assert "goes on at step 8 on torch bf16 on cpu, not reproducible" in shown
    assert [steps for steps, _ in roots(folder)] == list(range(0, STEPS + 1, 4))
    start, *others = roots(folder)
    assert start == roots(tmp_path / "exact")[0]
    assert not set(others) & set(roots(tmp_path / "exact"))
    losses = [float(re.findall(r"test loss (\d+\.\d+)", text)[0]) for text in (exact, shown)]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    with safe_open(folder / "weights.safetensors", "pt") as file:
        assert json.loads(file.metadata()["lockstep"])["precision"] == "bf16"
    assert "holds another job" in train(source, folder, code=1).stderr
    assert "holds another job" in train(source, folder, "--precision", "f32", code=1).stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--precision", "bf16", "--nproc", 2), "leave --nproc and --native out"),
        (("--precision", "f32", "--native"), "leave --nproc and --native out"),
        (("--precision", "tf32"), "tf32 is a precision of CUDA devices, and this is cpu"),
        (("--device", "nowhere"), "There is no device 'nowhere' here"),
    ],
)
def test_train_refuses_what_a_precision_cannot_do(
    source: str, tmp_path: Path, options: tuple[object, ...], sentence: str
) -> None:
    assert sentence in " ".join(train(source, tmp_path / "run", *options, code=1).stderr.split())


def test_train_refuses_a_precision_for_measuring(source: str, tmp_path: Path) -> None:
    assert "perturbed" in train(source, tmp_path / "run", "--precision", "perturbed", code=2).stderr
