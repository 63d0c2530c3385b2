"""``lockstep inspect``: what it prints and writes."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from lockstep.cli.commands.inspect import sampled_steps, warnings
from lockstep.cli.main import app
from lockstep.engine.inspection import OperandFigures
from tests.offchain.cli.bench import TINY


def operand(place: str, lost: float, *, residual: bool = False) -> OperandFigures:
    return OperandFigures(7, 0, 6, place, "head", (2, 3), lost, 0.0, 123.4, residual)


def test_inspect_shows_every_parameter_and_writes_figures_and_plots(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TINY)
    out = tmp_path / "figures"
    arguments = ["inspect", f"{tmp_path}/train.py:build", "--batch-size", "6", "--steps", "9", "--out", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    figures = json.loads((out / "figures.json").read_text())
    assert [found["step"] for found in figures] == [0, 2, 4, 6, 8]
    names = [parameter["name"] for parameter in figures[-1]["parameters"]]
    assert names == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert all(name in result.output for name in names)
    assert all(parameter["gradient_norm"] > 0 for parameter in figures[0]["parameters"])
    for plot in ("parameters.svg", "operands.svg"):
        assert "<svg" in (out / plot).read_text()


def test_sampled_steps_hold_the_first_and_the_last() -> None:
    assert [sorted(sampled_steps(steps)) for steps in (1, 2, 5, 100)] == [
        [0],
        [0, 1],
        [0, 1, 2, 3, 4],
        [0, 25, 50, 74, 99],
    ]


def test_a_warning_names_the_line_and_the_option_once() -> None:
    found = [
        operand("a.py:1", 0.2),
        operand("a.py:1", 0.5),
        operand("b.py:2", 0.9, residual=True),
        operand("c.py:3", 0.05),
    ]
    (line,) = warnings(found)
    wanted = "a.py:1 (node 7): 50 % of an operand's non-zero entries are quantised to zero (crest factor 123)."
    assert line == f"{wanted} Consider --residual head."
