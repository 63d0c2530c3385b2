"""Amounts of the settlement token, for people."""

from __future__ import annotations

TOKEN = 10**18
"""Base units of one settlement token."""
SYMBOL = "LOCK"
_SMALLEST_SHOWN = TOKEN // 10**6


def amount_text(units: int) -> str:
    """An amount in tokens to six digits, or in base units where it is too small for that."""
    if 0 < abs(units) < _SMALLEST_SHOWN:
        return f"{units:,} base units"
    whole, rest = divmod(abs(units), TOKEN)
    fraction = f".{rest // _SMALLEST_SHOWN:06d}".rstrip("0").rstrip(".")
    return f"{'-' if units < 0 else ''}{whole:,}{fraction} {SYMBOL}"
