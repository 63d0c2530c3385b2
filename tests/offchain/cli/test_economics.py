"""``lockstep economics``: what it says of profiles, files and contracts; and deploy's refusal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from lockstep.chain import parameters
from lockstep.cli.main import app
from tests.offchain.cli.bench import Bench


def economics(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["economics", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


@pytest.mark.parametrize("preset", ["local", "public"])
def test_check_of_a_profile_holds(preset: str) -> None:
    shown = economics("check", "--preset", preset).stdout
    assert "A verifier that does not replay loses" in shown
    assert "does not hold" not in shown


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--looked-at", 0.1), "leaves out segments"),
        (("--steps", 32_000), "Silence of colluding verifiers"),
        (("--outside-gain", 0.5), "One bad segment"),
        (("--censorship", "24h"), "Every window"),
        (("--gas-price", 10**14), "lives on its wage"),
        (("--steps", 1), "Enough whistleblowers join"),
    ],
)
def test_check_with_what_breaks_it_says_so_and_ends_with_one(options: tuple[object, ...], names: str) -> None:
    result = economics("check", "--preset", "public", *options, code=1)
    assert "does not hold" in result.stdout
    assert names in " ".join(result.stderr.split())


def test_check_reads_the_deployment_file(tmp_path: Path) -> None:
    result = economics("check", "--home", tmp_path, code=1)
    assert "lockstep deploy" in " ".join(result.stderr.split())


@pytest.mark.chain
def test_check_reads_the_contracts_whatever_the_file_says(bench: Bench) -> None:
    bench.run("economics", "check", "--on-chain")
    file = bench.home / "deployment.json"
    document = json.loads(file.read_text())
    document["parameters"]["solver_deposit_multiple"] = 1
    file.write_text(json.dumps(document))
    assert "leaves out segments" in bench.refuse("economics", "check")
    bench.run("economics", "check", "--on-chain")


@pytest.mark.chain
def test_deploy_of_unsafe_numbers_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    weak = replace(parameters.LOCAL, parameters=replace(parameters.LOCAL.parameters, solver_deposit_multiple=1))
    monkeypatch.setitem(parameters.PROFILES, "local", weak)
    said = bench.refuse("deploy", "--deployment", bench.home / "other.json")
    assert "leaves out segments" in said
    assert "--force" in said
    assert not (bench.home / "other.json").exists()


def test_simulate_shows_payoffs_ends_and_diagrams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lockstep.cli import phase_plot
    from lockstep.economics import phases

    for module in (phases, phase_plot):
        monkeypatch.setattr(module, "FINE", 5)
        monkeypatch.setattr(module, "COARSE", 2)
    shown = economics("simulate", "--tasks", 100, "--rounds", 2, "--out", tmp_path).stdout
    for words in ("copying", "without forced errors", "Audits and whistleblowers"):
        assert words in shown
    drawn = {file.name for file in tmp_path.iterdir()}
    assert drawn == {f"{name}.png" for name in ("audits", "collusion", "deposits", "forced")}
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in tmp_path.iterdir())
