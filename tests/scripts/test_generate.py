"""scripts/generate.py finds a generated file that is stale, missing or left over, and mends it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def generate(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import generate

    yield generate
    del sys.modules["generate"]


@pytest.fixture
def generator(generate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "toy_generator.py").write_text(
        "def files():\n    return {'made/a.txt': 'one\\n', 'made/b.txt': 'two\\n'}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield generate.Generator("toys", "toy_generator:files", owns=("made/*.txt",))
    sys.modules.pop("toy_generator", None)


def test_differences_after_writing_are_none(generate, generator, tmp_path: Path) -> None:
    found = generate.differences(generator, tmp_path)
    assert found == {"made/a.txt": (None, "one\n"), "made/b.txt": (None, "two\n")}
    for path, (_, wanted) in found.items():
        generate.apply(path, wanted, tmp_path)
    assert generate.differences(generator, tmp_path) == {}


def test_differences_edited_missing_and_left_over_file_are_found(generate, generator, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made/a.txt").write_text("edited\n")
    (tmp_path / "made/old.txt").write_text("left over\n")
    found = generate.differences(generator, tmp_path)
    assert found == {
        "made/a.txt": ("edited\n", "one\n"),
        "made/b.txt": (None, "two\n"),
        "made/old.txt": ("left over\n", None),
    }
    for path, (_, wanted) in found.items():
        generate.apply(path, wanted, tmp_path)
    assert sorted(file.name for file in (tmp_path / "made").iterdir()) == ["a.txt", "b.txt"]


def test_check_stale_file_fails_with_the_difference(
    generate, generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "GENERATORS", (generator,))
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    with pytest.raises(SystemExit, match="2 generated files are out of date"):
        generate.main()
    assert "+one" in capsys.readouterr().out
    assert not (tmp_path / "made").exists()
