"""docs/CLI.md names only commands and options that exist."""

from __future__ import annotations

import re
from pathlib import Path

from typer.main import get_command

from lockstep.cli.main import app

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "CLI.md").read_text()


def test_document_every_command_it_names_exists() -> None:
    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    named = set(re.findall(r"(?:\$ |`)lockstep ([a-z]+)", TEXT))
    assert named <= known
    assert known - {"watch", "demo"} <= named


def test_document_every_option_it_names_exists() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    groups = [
        *commands.values(),
        *(each for name in ("program", "economics") for each in commands[name].commands.values()),
    ]
    parameters = [parameter for command in groups for parameter in command.params]
    known = {option for parameter in parameters for option in (*parameter.opts, *parameter.secondary_opts)}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", TEXT)) <= known | {"--hardfork", "--help"}
