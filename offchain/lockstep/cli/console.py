"""Where output goes, and how amounts, times and accounts are written."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Any, TextIO

import typer
from rich.console import Console
from rich.table import Table

from lockstep.chain.amounts import SYMBOL, TOKEN

WIDTH = 160
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MAX_SECONDS = 2**32 - 1


def _console(file: TextIO) -> Console:
    # Without a terminal nobody says how wide a line is; tables take what they need up to this.
    return Console(file=file, width=None if file.isatty() else WIDTH)


def output() -> Console:
    """What was asked for: stdout, as it is now."""
    return _console(sys.stdout)


def errors() -> Console:
    """What went wrong, and asides: stderr, as it is now."""
    return _console(sys.stderr)


def print_json(document: Any) -> None:
    """A JSON document on stdout. Amounts in it are decimal strings: most readers lose digits of large integers."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def parse_amount(text: str) -> int:
    """Base units from an amount in tokens as people write it (``12.5``); a usage error if it is none."""
    try:
        with localcontext(prec=60):  # the default of 28 digits would round large amounts
            value = Decimal(text) * TOKEN
    except ArithmeticError:
        raise typer.BadParameter(f"{text!r} is not an amount in {SYMBOL}, such as 12.5.") from None
    if not value.is_finite() or value < 0 or value != value.to_integral_value() or value >= 2**96:
        raise typer.BadParameter(f"{text} {SYMBOL} is not an amount: it is 0 or more, below 79 billion, to 18 digits.")
    return int(value)


def parse_address(text: str) -> str:
    """A checksummed address from one as people write it; a usage error if it is none."""
    from eth_utils.address import is_address, to_checksum_address

    if not is_address(text):
        raise typer.BadParameter(f"{text!r} is not an address: it is 0x and 40 hex digits.")
    return to_checksum_address(text)


def parse_duration(text: str) -> int:
    """Seconds from a duration such as ``90s``, ``15m``, ``24h``, ``7d``; a usage error if it is none."""
    match = re.fullmatch(r"(\d{1,10})([smhd]?)", text.strip())
    seconds = int(match.group(1)) * _UNITS[match.group(2) or "s"] if match else 0
    if not 0 < seconds <= MAX_SECONDS:
        raise typer.BadParameter(f"{text!r} is not a duration, such as 90s, 15m, 24h or 7d.")
    return seconds


def duration_text(seconds: int) -> str:
    """A duration for people: its two largest units."""
    parts = []
    for unit, size in reversed(_UNITS.items()):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {'min' if unit == 'm' else unit}")
    return " ".join(parts[:2]) or "0 s"


def moment_text(timestamp: int) -> str:
    """A timestamp as UTC date and time."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def relative_text(timestamp: int, now: int) -> str:
    """A deadline as seen from the chain's time: ``in 4 min 12 s``, ``3 h ago``."""
    if timestamp >= now:
        return f"in {duration_text(timestamp - now)}"
    return f"{duration_text(now - timestamp)} ago"


def short(address: str) -> str:
    """An address people can tell from others at a glance."""
    return f"{address[:6]}…{address[-4:]}"


def table(title: str, *columns: str, right: Iterable[str] = ()) -> Table:
    """An empty table in the house's style; ``right`` names columns of numbers."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in set(right) else "left", overflow="fold")
    return made
