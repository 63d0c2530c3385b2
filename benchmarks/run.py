"""Runs every benchmark, prints a table, writes ``build/bench.json``.

A benchmark is a module of this package with ``measure(quick) -> iterable of Result``; add its name to
``MODULES``, or to ``BY_NAME`` if it takes minutes. One that cannot run (no chain, say) raises ``Unavailable``
with a sentence.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
from dataclasses import asdict
from pathlib import Path

from benchmarks.measure import Result

MODULES = ("matmul", "convolution", "step", "zoo", "compiled", "cached", "parallel", "checkpoints", "gas", "sortition")
BY_NAME = ("closeness", "dispute", "freivalds", "gpu", "mixed")
"""Modules that take minutes or need a GPU: run where they are named."""
OUTPUT = Path(__file__).resolve().parent.parent / "build" / "bench.json"


class Unavailable(Exception):
    """A benchmark that cannot run here; the message says what is missing."""


def line(result: Result) -> str:
    """One row of the table."""
    ratio = "      -" if result.ratio is None else f"{result.ratio:6.2f}x"
    return f"{result.name:28} {result.ours:12.3f} {result.peer:12.3f} {result.unit:5} {ratio}  {result.detail}"


def main() -> None:
    """Command line: all benchmarks, or those named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "modules",
        nargs="*",
        metavar="name",
        help=f"which to run: {', '.join(MODULES)} (default: all); {', '.join(BY_NAME)}",
    )
    parser.add_argument("--quick", action="store_true", help="short and noisy: to see that everything runs")
    arguments = parser.parse_args()
    every = (*MODULES, *BY_NAME)
    unknown = sorted(set(arguments.modules) - set(every))
    if unknown:
        parser.error(f"there is no benchmark called {', '.join(unknown)}; there are {', '.join(every)}")
    print(f"{platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}. Medians, turn about.")
    print(f"{'name':28} {'ours':>12} {'peer':>12} {'unit':5} {'ratio':>7}  detail")
    results: list[Result] = []
    for name in arguments.modules or MODULES:
        try:
            for result in importlib.import_module(f"benchmarks.{name}").measure(arguments.quick):
                print(line(result), flush=True)
                results.append(result)
        except Unavailable as reason:
            print(f"{name:28} not measured: {reason}")
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")
    print(f"Written to {OUTPUT.relative_to(OUTPUT.parent.parent)}.")


if __name__ == "__main__":
    main()
