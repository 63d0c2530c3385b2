"""Gas of the verifiers' sum tree with 10, 1,000 and 10,000 of them: a new verifier, a changed weight, a draw.

``peer`` is what a list would cost: a cold word for each verifier that a draw walks past, on average half of them.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Result

ROOT = Path(__file__).resolve().parent.parent
COLD_WORD = 2_100
LINE = re.compile(r"sortition (\d+) (\d+) (\d+) (\d+)")


def measure(quick: bool) -> Iterator[Result]:
    """Three figures for each number of verifiers; ``quick`` changes nothing, they are exact."""
    done = subprocess.run(
        [str(ROOT / "scripts" / "forge"), "test", "--match-contract", "SortitionGasTest", "-vv"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for count, *units in (tuple(map(int, found)) for found in LINE.findall(done.stdout)):
        for what, gas in zip(("register", "change", "draw"), units, strict=True):
            peer = max(1, count // 2) * COLD_WORD
            name = f"sortition/{what}_{count}"
            yield Result(
                name, float(gas), float(peer), gas / peer, "gas", f"{count:,} verifiers, a call without its base"
            )
