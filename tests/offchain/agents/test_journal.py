"""What an agent wrote down is there after a crash."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from lockstep.agents.journal import Journal


def test_facts_survive_reopening(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "deep" / "journal.sqlite")
    journal.put("1/7", "salt", "ab")
    journal.put("1/7", "salt", "cd")
    journal.put("1/8", "salt", {"x": [1, 2]})
    journal.close()
    again = Journal(tmp_path / "deep" / "journal.sqlite")
    assert again.get("1/7", "salt") == "cd"
    assert again.all("1/8") == {"salt": {"x": [1, 2]}}
    again.forget("1/8", "salt")
    assert again.get("1/8", "salt", "gone") == "gone"


def test_facts_survive_sigkill(tmp_path: Path) -> None:
    file = tmp_path / "journal.sqlite"
    script = f"""
import time
from lockstep.agents.journal import Journal
journal = Journal({str(file)!r})
for number in range(100_000):
    journal.put("task", "count", number)
    print(number, flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    lines = [child.stdout.readline() for _ in range(50)]
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert Journal(file).get("task", "count") >= int(lines[-1])


def test_facts_written_together_are_all_there_or_none(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.put_all("1/7", {"a": 1, "b": [2]})
    with pytest.raises(sqlite3.Error):
        journal.put_all("1/7", {"a": 3, None: 4})  # type: ignore[dict-item]  # a name may not be null
    assert journal.all("1/7") == {"a": 1, "b": [2]}
    journal.put("1/7", "a", 5)
    assert Journal(tmp_path / "journal.sqlite").get("1/7", "a") == 5
