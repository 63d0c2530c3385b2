"""What goes wrong becomes one sentence on stderr and exit code 1; usage errors stay Typer's, with exit code 2."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from lockstep.cli.console import errors

EXPECTED = {
    "lockstep.chain.errors": "ChainError",
    "lockstep.chain.anvil": "AnvilError",
    "lockstep.storage.store": "StorageError",
    "lockstep.agents.workload": "WorkloadError",
    "lockstep.agents.journal": "JournalError",
    "lockstep.agents.reader": "DataMissingError",
    "lockstep.engine.errors": "EngineError",
    "lockstep.program.infer": "ProgramError",  # CaptureError is one
    "lockstep.program.encoding": "EncodingError",
    "lockstep.data.errors": "DataError",
}
"""Module -> the exception whose message is written for people. Looked up only where the module is loaded already."""

INTERRUPTED = 130
_DEBUG = "lockstep.debug"


class CommandError(RuntimeError):
    """A command that cannot do what it was asked; the message says why and what to do."""


def remember_debug(context: typer.Context, value: bool) -> bool:
    """Callback of ``--debug``, wherever it stands on the command line."""
    if value:
        context.find_root().meta[_DEBUG] = True
    return value


def is_expected(error: BaseException) -> bool:
    """Whether an error's message is a sentence for people."""
    if isinstance(error, CommandError):
        return True
    return any(
        module in sys.modules and isinstance(error, getattr(sys.modules[module], name))
        for module, name in EXPECTED.items()
    )


def sentence(error: Exception) -> str:
    """What to tell people about an error."""
    if is_expected(error):
        return str(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}."
    return (
        f"Lockstep failed in a way it should not: {type(error).__name__}: {error}. Run it again with --debug for the "
        "traceback, and please report it."
    )


class Commands(TyperGroup):
    """The root command: turns errors into sentences."""

    def invoke(self, ctx: Any) -> object:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, EOFError, BrokenPipeError):
            raise
        except Exception as error:
            # Usage errors know how to show themselves; older Typers take them from click, newer from their own copy.
            if hasattr(error, "format_message") or ctx.find_root().meta.get(_DEBUG):
                raise
            errors().print(f"error: {sentence(error)}", style="red", markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(1) from None
