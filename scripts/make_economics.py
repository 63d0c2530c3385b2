"""The tables of docs/ECONOMICS.md, from the inequalities themselves.

``scripts/generate.py`` writes and checks the file. What stands outside the marked parts is written by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from lockstep.economics.beyond import BEYOND
from lockstep.economics.bounds import BOUNDS
from lockstep.economics.inequalities import INEQUALITIES, Inequality
from lockstep.economics.planted import PLANTED
from lockstep.economics.setting import Setting, preset

ROOT = Path(__file__).resolve().parent.parent
PATH = "docs/ECONOMICS.md"
NAMES = ("inequalities", "tasks", "planted", "bounds")
LONG_STEPS = (32, 320, 3_200, 32_000)
"""Lengths of tasks in segments of 32 steps: how margins change with them."""
SHOWN_MOST = 1_000


def files() -> Mapping[str, str]:
    """The document with its tables written anew."""
    text = (ROOT / PATH).read_text()
    tables = {"inequalities": _inequalities(), "tasks": _tasks(), "planted": _planted(), "bounds": _bounds()}
    for name in NAMES:
        begin, end = f"<!-- {name}: written by scripts/generate.py -->", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        if not after:
            raise SystemExit(f"{PATH} has no place for {name}.")
        text = f"{before}{begin}\n\n" + "\n".join(tables[name]) + f"\n\n{end}{after}"
    return {PATH: text}


def _rows(header: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    heads = list(header)
    return [_row(heads), _row("---" for _ in heads), *map(_row, rows)]


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _margin(each: Inequality, s: Setting) -> str:
    sides = each.sides(s)
    shown = f"{sides.margin:.2f}" if sides.margin < SHOWN_MOST else f"> {SHOWN_MOST:,}"
    return shown if sides.holds else f"**{shown}**"


def _inequalities() -> list[str]:
    local, public = preset("local"), preset("public")
    return _rows(
        ("what must hold", "formula", "bounds", "assumes", "public, with numbers", "margin", "local"),
        (
            (
                each.name,
                f"`{each.formula}`",
                each.sets,
                each.assumes,
                each.sides(public).numbers,
                _margin(each, public),
                _margin(each, local),
            )
            for each in (*INEQUALITIES, *BEYOND)
        ),
    )


def _tasks() -> list[str]:
    s = preset("public")
    settings = [
        Setting(s.profile, replace(s.job, plan=replace(s.job.plan, steps=steps)), s.assumed) for steps in LONG_STEPS
    ]
    shown = [each for each in (*INEQUALITIES, *BEYOND) if len({_margin(each, case) for case in settings}) > 1]
    return _rows(
        ("margin at training segments", *(f"{case.segments - 1:,}" for case in settings)),
        ((each.name, *(_margin(each, case) for case in settings)) for each in shown),
    )


def _planted() -> list[str]:
    s = preset("public")
    return _rows(
        ("what must hold", "formula", "bounds", "assumes", "public, with numbers", "margin"),
        (
            (
                each.name,
                f"`{each.formula}`",
                each.sets,
                each.assumes,
                each.sides(s).numbers,
                _margin(each, s),
            )
            for each in PLANTED
        ),
    )


def _bounds() -> list[str]:
    s = preset("public")
    return _rows(("figure", "formula", "public"), ((b.name, f"`{b.formula}`", b.value(s)) for b in BOUNDS))
