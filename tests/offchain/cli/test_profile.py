"""``lockstep profile`` shows every op's share of a step's time."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from lockstep.cli.main import app
from lockstep.engine.native import library


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["profile", *arguments, "--repeat", "2"])
    assert result.exit_code == 0, result.output
    return result.output


def test_profile_torch_names_every_op_and_shares_add_up() -> None:
    shown = run("mlp", "--torch")
    assert "on torch" in shown
    for op in ("matmul", "exponent", "quantize", "gather", "select"):
        assert re.search(rf"^{op} +\d+ +[\d.]+ +[\d.]+ %", shown, re.MULTILINE), op
    shares = [float(share) for share in re.findall(r"([\d.]+) %", shown)]
    assert sum(shares) == pytest.approx(100, abs=0.1 * len(shares))


@pytest.mark.skipif(library.load() is None, reason="There is no native engine here.")
def test_profile_native_each_names_the_passes() -> None:
    shown = run("mlp", "--native", "--each", "--threads", "1")
    assert "1 thread" in shown
    assert re.search(r"^fused \d+\.\.\d+ x\d+ ", shown, re.MULTILINE)
