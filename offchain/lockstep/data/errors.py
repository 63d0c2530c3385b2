"""What is wrong with data that were asked for."""

from __future__ import annotations


class DataError(RuntimeError):
    """Data that are missing, damaged or do not fit; the message is a sentence that says which and what to do."""
