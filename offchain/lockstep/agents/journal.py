"""What an agent must not forget: a small local database.

Everything an agent needs beyond the chain and the store is written here *before* the transaction it belongs to is
sent, above all the salts and bodies of blind claims (a lost salt is a lost bond). One file per role and account; a
process that was killed reads it and goes on.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SCHEMA = """
create table if not exists facts (
    scope text not null,
    name  text not null,
    value text not null,
    primary key (scope, name)
) without rowid
"""


class JournalError(RuntimeError):
    """A journal that cannot be opened; the message says which and what to do."""


class Journal:
    """Facts by scope and name: JSON values, durable when ``put`` returns. Several threads may use one."""

    def __init__(self, file: Path | str) -> None:
        """Open or make the database (``":memory:"`` for none); ``JournalError`` when the file is none."""
        if str(file) != ":memory:":
            Path(file).parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        try:
            self._database.execute("pragma journal_mode = wal")
            self._database.execute("pragma synchronous = full")
            self._database.execute(_SCHEMA)
        except sqlite3.DatabaseError as error:
            self._database.close()
            raise JournalError(
                f"The journal {file} cannot be read ({error}). It may hold what blind claims need to be opened: "
                "restore it from a copy; where there is none, move it away to begin a new one."
            ) from None

    def put(self, scope: str, name: str, value: Any) -> None:
        """Write one fact; an earlier value is replaced."""
        self.put_all(scope, {name: value})

    def put_all(self, scope: str, facts: Mapping[str, Any]) -> None:
        """Write facts, all of them or none, at the price of one; earlier values are replaced."""
        rows = [(scope, name, json.dumps(value)) for name, value in facts.items()]
        with self._lock:
            self._database.execute("begin")
            try:
                self._database.executemany(
                    "insert into facts values (?, ?, ?) on conflict do update set value = excluded.value", rows
                )
            except BaseException:
                self._database.execute("rollback")
                raise
            self._database.execute("commit")

    def get(self, scope: str, name: str, default: Any = None) -> Any:
        """Read one fact, or the default."""
        with self._lock:
            row = self._database.execute(
                "select value from facts where scope = ? and name = ?", (scope, name)
            ).fetchone()
        return default if row is None else json.loads(row[0])

    def all(self, scope: str) -> dict[str, Any]:
        """All facts of a scope by name."""
        with self._lock:
            rows = self._database.execute(
                "select name, value from facts where scope = ? order by name", (scope,)
            ).fetchall()
        return {name: json.loads(value) for name, value in rows}

    def forget(self, scope: str, name: str) -> None:
        """Remove one fact."""
        with self._lock:
            self._database.execute("delete from facts where scope = ? and name = ?", (scope, name))

    def close(self) -> None:
        """Close the database."""
        self._database.close()
