"""State roots that never change: programs run for a few steps, with the roots every machine must reach.

    python scripts/make_golden_roots.py            print them
    python scripts/make_golden_roots.py --write    write tests/vectors/golden_roots.json

``--full`` does the same for the zoo's larger models at their own size (tests/vectors/golden_roots_full.json), which
takes minutes and gigabytes. ``--hashes`` prints the programs' hashes alone. ``--programs FOLDER`` runs programs that
``save`` put there instead of capturing them. A root changes only where a program does (its hash is beside it: a new
capture or lowering), or where arithmetic was broken.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.numpy import load_file, save_file
from torch import nn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lockstep.cli.zoo import PRESETS  # noqa: E402
from lockstep.data import digits  # noqa: E402
from lockstep.engine.checkpoint import state_root  # noqa: E402
from lockstep.engine.run import Runner  # noqa: E402
from lockstep.engine.segment import initial_state, segment_state_roots  # noqa: E402
from lockstep.models import MLP  # noqa: E402
from lockstep.program.capture import CapturedTask, capture  # noqa: E402
from lockstep.program.encoding import commit_program, decode_program  # noqa: E402
from lockstep.program.graph import Program  # noqa: E402
from lockstep.program.optimisers import Momentum  # noqa: E402
from lockstep.program.work import program_work  # noqa: E402
from tests.zoo import SMALLER, zoo_task  # noqa: E402

SEED = 0x4C6F636B73746570
STEPS, FULL_STEPS = 4, 2
FULL = tuple(SMALLER)
"""Presets that the ordinary file has as a smaller model or step."""


class Task(NamedTuple):
    """What is run: a task's programs and the constants of both."""

    init: Program
    step: Program
    constants: Sequence[np.ndarray]


def names(*, full: bool = False) -> tuple[str, ...]:
    """Names of the tasks of a file."""
    return FULL if full else ("mlp_dropout", *PRESETS)


def captured(name: str, *, full: bool = False) -> Task:
    """A task of a file: a model of the zoo, or one with dropout and momentum."""
    if name in PRESETS:
        return _programs(zoo_task(name, full=full))
    model, data = MLP(hidden=(48, 32), dropout=0.25), digits(flat=True)[0]
    return _programs(capture(model, nn.CrossEntropyLoss(), Momentum(lr=0.05), data, batch_size=33))


def _programs(task: CapturedTask) -> Task:
    return Task(task.init, task.step, task.constants)


def save(name: str, task: Task, folder: Path) -> None:
    """Put a task's programs and constants into files of ``folder``."""
    for kind, program in (("init", task.init), ("step", task.step)):
        (folder / f"{name}.{kind}").write_bytes(commit_program(program, program_work(program)).file_bytes())
    arrays = {str(index): np.ascontiguousarray(value) for index, value in enumerate(task.constants)}
    save_file(arrays, folder / f"{name}.safetensors")


def saved(name: str, folder: Path) -> Task:
    """A task that ``save`` put into a folder."""
    init, step = (decode_program((folder / f"{name}.{kind}").read_bytes())[0] for kind in ("init", "step"))
    arrays = load_file(folder / f"{name}.safetensors")
    return Task(init, step, [arrays[str(index)] for index in range(len(arrays))])


def hashes(task: Task) -> dict[str, str]:
    """Hashes of a task's programs, in hex."""
    return {
        "init": commit_program(task.init, program_work(task.init)).hash.hex(),
        "program": commit_program(task.step, program_work(task.step)).hash.hex(),
    }


def golden(
    task: Task, threads: int | None = None, *, native: bool | None = None, steps: int = STEPS
) -> dict[str, object]:
    """Hashes of a task's programs, and the state roots from step 0 to ``steps``."""
    state = initial_state(task.init, task.constants, SEED)
    runner = Runner(task.step, task.constants, SEED, threads=threads, native=native)
    roots = [state_root(state), *segment_state_roots(runner, state, 0, steps)]
    return {**hashes(task), "roots": [root.hex() for root in roots]}


def path(*, full: bool = False) -> str:
    """The generated file, from the repository's root."""
    return f"tests/vectors/golden_roots{'_full' if full else ''}.json"


def text(found: Mapping[str, Mapping[str, object]], *, full: bool = False) -> str:
    """The generated file's text."""
    return json.dumps({"seed": SEED, "steps": FULL_STEPS if full else STEPS, "tasks": found}, indent=1) + "\n"


def main() -> None:
    """Print the roots or the hashes, or write the roots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the file instead of printing it")
    parser.add_argument("--full", action="store_true", help="the larger models, at their own size")
    parser.add_argument("--hashes", action="store_true", help="print the programs' hashes, and run nothing")
    parser.add_argument("--programs", type=Path, metavar="FOLDER", help="run saved programs instead of capturing them")
    chosen = parser.parse_args()
    found: dict[str, Mapping[str, object]] = {}
    for name in names(full=chosen.full):
        task = saved(name, chosen.programs) if chosen.programs else captured(name, full=chosen.full)
        steps = FULL_STEPS if chosen.full else STEPS
        found[name] = hashes(task) if chosen.hashes else golden(task, steps=steps)
    if chosen.hashes:
        print(json.dumps(found))
    elif chosen.write:
        (ROOT / path(full=chosen.full)).write_text(text(found, full=chosen.full))
    else:
        print(text(found, full=chosen.full), end="")


if __name__ == "__main__":
    main()
