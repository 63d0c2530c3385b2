"""``lockstep economics``: what it says of profiles, files and contracts; and deploy's refusal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from lockstep.chain import parameters
from lockstep.cli.economics import cautions
from lockstep.cli.main import app
from lockstep.economics.beyond import most_steps
from lockstep.economics.setting import Setting, preset
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
        (("--steps", 32_000), "A task is not too long"),
        (("--outside-gain", 0.5), "One bad segment"),
        (("--outside-gain", 0.8, "--searched", 0.25), "One bad segment"),
        (("--censorship", "24h"), "Every window"),
        (("--gas-price", 10**14), "lives on its wage"),
        (("--steps", 1), "Enough whistleblowers join"),
    ],
)
def test_check_with_what_breaks_it_says_so_and_ends_with_one(options: tuple[object, ...], names: str) -> None:
    result = economics("check", "--preset", "public", *options, code=1)
    assert "does not hold" in result.stdout
    assert names in " ".join(result.stderr.split())


def test_volunteers_carry_a_gain_from_outside_that_audits_alone_do_not() -> None:
    assert (
        "does not hold"
        not in economics("check", "--preset", "public", "--outside-gain", 0.5, "--searched", 0.25).stdout
    )


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


def task(steps: int, segment_steps: int, tolerance: float | None = None) -> Setting:
    s = preset("public")
    plan = replace(s.job.plan, steps=steps, segment_steps=segment_steps)
    return Setting(s.profile, replace(s.job, plan=plan, tolerance=tolerance), s.assumed)


def test_submitter_is_cautioned_of_long_and_of_lenient_tasks() -> None:
    most = most_steps(task(320, 32))
    assert cautions(task(most, 32)) == []
    (said,) = cautions(task(most + 1, 32))
    assert f"{most:,}" in said
    assert "--parent" in said
    assert cautions(task(320, 10, 0.1)) == []
    (said,) = cautions(task(320, 16, 0.1))
    assert "--segment-steps 10 or fewer" in said
    assert any("--tolerance-share" in each for each in cautions(task(320, 2, 0.2)))


@pytest.mark.chain
def test_quote_of_a_long_task_cautions_and_of_a_short_one_does_not(bench: Bench) -> None:
    short = bench.run("quote", "mlp", "--steps", 320)
    assert "Caution" not in short.stderr
    long = bench.run("quote", "mlp", "--steps", 9_600)
    assert "Caution: 9,600 steps are more than" in " ".join(long.stderr.split())


@pytest.mark.chain
def test_deploy_of_a_bond_that_many_draws_outweigh_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    weak = replace(parameters.LOCAL, reveals=replace(parameters.LOCAL.reveals, bond=100 * parameters.TOKEN))
    monkeypatch.setitem(parameters.PROFILES, "local", weak)
    assert "Keeping a secret" in bench.refuse("deploy", "--deployment", bench.home / "other.json")


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
    shown = economics(
        "simulate", "--tasks", 100, "--rounds", 2, "--searched", 0.25, "--callers", 0.1, "--out", tmp_path
    )
    for words in ("copying", "without forced errors", "Audits and whistleblowers", "volunteer, a look", "false caller"):
        assert words in shown.stdout
    drawn = {file.name for file in tmp_path.iterdir()}
    assert drawn == {f"{name}.png" for name in ("audits", "collusion", "deposits", "forced", "volunteers")}
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in tmp_path.iterdir())
