"""What surrounds the commands: shared options, help, amounts, keys, and how fast the command line is there."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from lockstep.chain.amounts import TOKEN, amount_text
from lockstep.chain.anvil import Anvil
from lockstep.chain.errors import ChainError
from lockstep.cli.console import (
    MAX_SECONDS,
    duration_text,
    parse_amount,
    parse_duration,
    relative_text,
)
from lockstep.cli.errors import CommandError, Commands, remember_debug
from lockstep.cli.keys import well_known_key
from lockstep.cli.main import app
from lockstep.cli.options import Bundle, Role, bundled

NAMES = (
    *("deploy", "submit", "solve", "verify", "whistleblow", "reveal", "challenge", "withdraw"),
    *("status", "quote", "cancel", "result", "demo"),
)
MOST = 2**96 - 1


# Amounts and durations


@given(st.integers(0, MOST))
def test_amount_as_text_is_at_most_the_amount_and_close(units: int) -> None:
    text = amount_text(units)
    if text.endswith("base units"):
        assert int(text.split()[0].replace(",", "")) == units
    else:
        shown = parse_amount(text.removesuffix(" LOCK").replace(",", ""))
        assert 0 <= units - shown < TOKEN // 10**6


@given(st.integers(0, MOST))
def test_amount_parsed_exactly(units: int) -> None:
    assert parse_amount(f"{units // TOKEN}.{units % TOKEN:018d}") == units


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "nan", "inf", "1e-19", "0.1234567890123456789", "1e29", "1e9999999", "1,5", "0x10"]
)
def test_amount_that_is_none_is_a_usage_error(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_amount(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("15m", 900), ("24h", 86400), (" 7d ", 604800), ("4294967295", MAX_SECONDS)],
)
def test_duration_parsed(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0d", "-1s", "1.5h", "soon", "4294967296", "99999999999d"])
def test_duration_that_is_none_is_a_usage_error(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59, "59 s"), (252, "4 min 12 s"), (3600, "1 h"), (90061, "1 d 1 h")]
)
def test_duration_as_text(seconds: int, text: str) -> None:
    assert duration_text(seconds) == text


def test_deadline_relative_to_the_chains_time() -> None:
    assert relative_text(100, 40) == "in 1 min"
    assert relative_text(100, 100) == "in 0 s"
    assert relative_text(100, 130) == "30 s ago"


# Keys


def test_well_known_keys_are_anvils_first_accounts(anvil: Anvil) -> None:
    assert [well_known_key(role) for role in Role] == [account.key for account in anvil.accounts[: len(Role)]]


# Help


@pytest.mark.parametrize("name", NAMES)
def test_help_of_a_command_has_a_paragraph_and_an_example(name: str) -> None:
    text = CliRunner().invoke(app, [name, "--help"]).output
    assert "Example" in text
    assert f"lockstep {name}" in text
    if name != "demo":
        assert "--debug" in text


def test_help_lists_every_command() -> None:
    text = CliRunner().invoke(app, ["--help"]).output
    assert all(name in text for name in (*NAMES, "program"))


def test_watch_is_whistleblow() -> None:
    whistleblow, watch = (CliRunner().invoke(app, [name, "--help"]).output for name in ("whistleblow", "watch"))
    assert watch.split("Watch the verifiers")[1] == whistleblow.split("Watch the verifiers")[1]


def test_version_is_the_packages() -> None:
    assert CliRunner().invoke(app, ["--version"]).output.startswith("lockstep 0.")


def test_help_imports_nothing_slow() -> None:
    """Help and completion are there at once: torch and web3 are imported by the commands that use them."""
    code = (
        "import sys, lockstep.cli.main\n"
        "print(*(name for name in ('torch', 'web3', 'sklearn', 'numpy', 'pydantic') if name in sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == []


# Bundles and errors


@dataclass(frozen=True, slots=True)
class Pair(Bundle):
    left: Annotated[int, typer.Option("--left")] = 1
    right: Annotated[int, typer.Option("--right")] = 2


def program(raised: Exception | None = None) -> typer.Typer:
    made = typer.Typer(cls=Commands)

    @made.callback()
    def root(debug: Annotated[bool, typer.Option("--debug", callback=remember_debug)] = False) -> None:
        pass

    @made.command()
    @bundled
    def add(pair: Pair, name: str, times: int = 1) -> None:
        """Add."""
        if raised is not None:
            raise raised
        typer.echo(f"{name} {(pair.left + pair.right) * times}")

    return made


def test_bundle_becomes_options_of_the_command() -> None:
    result = CliRunner().invoke(program(), ["add", "sum", "--right", "5", "--times", "3"])
    assert result.output == "sum 18\n"
    assert CliRunner().invoke(program(), ["add", "sum", "--right", "x"]).exit_code == 2


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ChainError("the chain says no."), "error: the chain says no."),
        (CommandError("no [bold]markup[/] here."), "error: no [bold]markup[/] here."),
        (OSError(28, "No space left on device", "f"), "error: f: No space left on device."),
        (KeyError("odd"), "error: Lockstep failed in a way it should not: KeyError: 'odd'."),
    ],
)
def test_error_is_a_sentence_on_stderr(error: Exception, expected: str) -> None:
    result = CliRunner().invoke(program(error), ["add", "sum"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(expected)
    assert "Traceback" not in result.stderr


def test_error_with_debug_is_raised() -> None:
    result = CliRunner().invoke(program(ChainError("no.")), ["--debug", "add", "sum"])
    assert isinstance(result.exception, ChainError)
