"""The example of docs/CAPTURE.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def test_example_of_the_capture_document_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "CAPTURE.md").read_text(), re.DOTALL)
    exec(compile(example, "docs/CAPTURE.md", "exec"), {})
    assert "program v1: 152 nodes" in capsys.readouterr().out
