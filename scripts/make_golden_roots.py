"""State roots that never change: a few programs run for a few steps, with the roots every machine must reach.

    python scripts/make_golden_roots.py            print them
    python scripts/make_golden_roots.py --write    write tests/vectors/golden_roots.json

``scripts/generate.py`` writes and checks the file too. A root changes only where a program does (its hash is beside
it: a new capture or lowering), or where arithmetic was broken.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from torch import nn

from lockstep.data import digits
from lockstep.engine.checkpoint import state_root
from lockstep.engine.run import Runner
from lockstep.engine.segment import initial_state, segment_state_roots
from lockstep.models import CNN, MLP
from lockstep.program.capture import CapturedTask, capture
from lockstep.program.encoding import commit_program
from lockstep.program.optimisers import Adam, Momentum
from lockstep.program.work import program_work

PATH = "tests/vectors/golden_roots.json"
SEED = 0x4C6F636B73746570
STEPS = 4


def tasks() -> dict[str, CapturedTask]:
    """The programs, by name: the demo's two models, and one with dropout and momentum."""
    flat, images = digits(flat=True)[0], digits(flat=False)[0]
    loss = nn.CrossEntropyLoss()
    return {
        "mlp": capture(MLP(), loss, Adam(lr=3e-3), flat, batch_size=64),
        "mlp_dropout": capture(MLP(hidden=(48, 32), dropout=0.25), loss, Momentum(lr=0.05), flat, batch_size=33),
        "cnn": capture(CNN(), loss, Adam(lr=3e-3), images, batch_size=64),
    }


def golden(task: CapturedTask, threads: int | None = None, *, native: bool | None = None) -> dict[str, object]:
    """Hashes of a task's programs, and the state roots from step 0 to ``STEPS``."""
    state = initial_state(task.init, task.constants, SEED)
    runner = Runner(task.step, task.constants, SEED, threads=threads, native=native)
    return {
        "init": commit_program(task.init, program_work(task.init)).hash.hex(),
        "program": commit_program(task.step, program_work(task.step)).hash.hex(),
        "roots": [state_root(state).hex()] + [root.hex() for root in segment_state_roots(runner, state, 0, STEPS)],
    }


def files() -> Mapping[str, str]:
    """The generated file's text by its path."""
    found = {name: golden(task) for name, task in tasks().items()}
    return {PATH: json.dumps({"seed": SEED, "steps": STEPS, "tasks": found}, indent=1) + "\n"}


def main() -> None:
    """Print the roots, or write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the file instead of printing it")
    text = files()[PATH]
    if parser.parse_args().write:
        (Path(__file__).resolve().parent.parent / PATH).write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
