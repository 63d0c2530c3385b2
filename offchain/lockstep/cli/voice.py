"""What an agent says while it works: a line a move with its time, and a bar while it trains."""

from __future__ import annotations

import time
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

REPORT_SECONDS = 10.0
"""Without a terminal there is no bar, but a line as often as this."""


class Voice:
    """Lines and progress of one agent on one console."""

    def __init__(self, console: Console, role: str) -> None:
        self.console = console
        self.role = role
        self._bar: Progress | None = None
        self._last_report = time.monotonic()

    def say(self, line: str) -> None:
        """One line about what was done."""
        self._line(line, "")

    def warn(self, line: str) -> None:
        """One line about what is wrong."""
        self._line(line, "yellow")

    def _line(self, line: str, style: str) -> None:
        moment = datetime.now().strftime("%H:%M:%S")
        text = f"[dim]{moment}[/dim]  {self.role}  {escape(line)}"
        self.console.print(text, style=style, highlight=False, soft_wrap=True)

    def progress(self, done: int, total: int, note: str) -> None:
        """How far the training is."""
        if not self.console.is_terminal:
            now = time.monotonic()
            if now - self._last_report >= REPORT_SECONDS:
                self._last_report = now
                self.say(f"is at step {done} of {total}{', ' + note if note else ''}")
            return
        if self._bar is None:
            self._bar = Progress(
                TextColumn("  training"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[note]}"),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            self._bar.add_task("", total=total, note=note)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, total=total, note=note)
        if done >= total:
            self.close()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
