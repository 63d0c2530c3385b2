"""The examples of docs/CAPTURE.md run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "CAPTURE.md").read_text(), re.DOTALL)
PRINTED = {"capture": "program v1: 152 nodes", "optimisers": "'stop': 0.0"}
"""By example, in order, what it prints."""


@pytest.mark.parametrize(("example", "printed"), list(zip(EXAMPLES, PRINTED.values(), strict=True)), ids=PRINTED)
def test_example_of_the_capture_document_runs(example: str, printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(example, "docs/CAPTURE.md", "exec"), {})
    assert printed in capsys.readouterr().out
