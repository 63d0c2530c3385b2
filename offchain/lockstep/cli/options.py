"""Options that several commands share, declared once.

A command takes a bundle as a parameter, and Typer sees the bundle's fields as options::

    @bundled
    def status(connection: Connection, json: bool = False) -> None: ...
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from lockstep.cli.errors import remember_debug

DEFAULT_RPC = "http://127.0.0.1:8545"
DEFAULT_HOME = Path(".lockstep")
CHAIN, ACCOUNT = "The chain and what lies beside it", "The account"


class Role(StrEnum):
    """What an account does; on a local chain each has a well-known key, in this order."""

    DEPLOYER = "deployer"
    SUBMITTER = "submitter"
    SOLVER = "solver"
    VERIFIER = "verifier"
    WHISTLEBLOWER = "whistleblower"
    REVEALER = "revealer"


ModelSource = Annotated[str, typer.Argument(metavar="MODEL|FILE.py:FUNCTION", help="What `submit` takes.")]
BatchSize = Annotated[
    int | None, typer.Option("--batch-size", min=1, help="Samples a step.", show_default="what suits the model")
]
Poll = Annotated[float, typer.Option("--poll", min=0.05, max=3600, help="Seconds between looks at the chain.")]
MAX_PROCESSES = 64
Processes = Annotated[
    int,
    typer.Option("--nproc", min=1, max=MAX_PROCESSES, help="Processes that split each batch: the same bits, sooner."),
]


class Bundle:
    """Options that belong together; subclasses are dataclasses of annotated fields."""


@dataclass(frozen=True, slots=True)
class Connection(Bundle):
    """Which chain, which deployment, which folders."""

    rpc: Annotated[
        str, typer.Option("--rpc", envvar="LOCKSTEP_RPC", help="Ethereum node, HTTP.", rich_help_panel=CHAIN)
    ] = DEFAULT_RPC
    deployment: Annotated[
        Path | None,
        typer.Option(
            "--deployment",
            envvar="LOCKSTEP_DEPLOYMENT",
            help="Deployment file. Default: deployment.json in --home.",
            show_default=False,
            rich_help_panel=CHAIN,
        ),
    ] = None
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            envvar="LOCKSTEP_STORE",
            metavar="URL",
            help="Artifact store: a folder or any fsspec URL. Default: store in --home.",
            show_default=False,
            rich_help_panel=CHAIN,
        ),
    ] = None
    home: Annotated[
        Path,
        typer.Option("--home", envvar="LOCKSTEP_HOME", help="Folder for journals and defaults.", rich_help_panel=CHAIN),
    ] = DEFAULT_HOME
    debug: Annotated[
        bool,
        typer.Option("--debug", envvar="LOCKSTEP_DEBUG", help="Show tracebacks.", callback=remember_debug),
    ] = False


@dataclass(frozen=True, slots=True)
class Account(Bundle):
    """Whose account acts. On anvil (chain 31337) there is a well-known key for each role."""

    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            envvar="LOCKSTEP_KEY",
            metavar="HEX",
            help="Private key; visible to other users of the machine, unlike the environment or --key-file.",
            show_default=False,
            rich_help_panel=ACCOUNT,
        ),
    ] = None
    key_file: Annotated[
        Path | None,
        typer.Option("--key-file", help="File that holds the key.", show_default=False, rich_help_panel=ACCOUNT),
    ] = None
    acting: Annotated[
        Role | None,
        typer.Option(
            "--as",
            help="Whose well-known key to use; local chain only.",
            show_default="the command's role",
            rich_help_panel=ACCOUNT,
        ),
    ] = None


def bundled(command: Callable[..., None]) -> Callable[..., None]:
    """The command with every bundle among its parameters replaced by the bundle's fields."""
    hints = get_type_hints(command, include_extras=True)
    bundles: dict[str, type[Any]] = {}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        kind = hints[name]
        if isinstance(kind, type) and issubclass(kind, Bundle):
            bundles[name] = kind
        else:
            parameters.append(parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY))
    for kind in bundles.values():
        annotations = get_type_hints(kind, include_extras=True)
        for field in fields(kind):
            default = inspect.Parameter.empty if field.default is MISSING else field.default
            parameters.append(
                inspect.Parameter(
                    field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotations[field.name]
                )
            )

    @functools.wraps(command)
    def run(**values: Any) -> None:
        taken = {
            name: kind(**{field.name: values.pop(field.name) for field in fields(kind)})
            for name, kind in bundles.items()
        }
        command(**values, **taken)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del run.__wrapped__
    return run
