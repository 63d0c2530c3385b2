"""A process that does its share of each step another one asks for: ``python -m lockstep.engine.parallel.worker``.

It is started by ``lockstep.engine.parallel.ranks``, which writes lines to its standard input:

    meet                connect to the others
    step NUMBER known   do a step from the state that the last one left
    step NUMBER given   the same, from a state that rank 0 hands out first

It says ``ready`` once the program is loaded, ``met`` once it is connected, and ends when its input does.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor
from torch._C._distributed_c10d import FileStore, Store

from lockstep.engine.errors import EngineError
from lockstep.engine.parallel.communicator import Communicator
from lockstep.engine.parallel.share import rank_steps, share
from lockstep.engine.parallel.stages import RankSteps
from lockstep.engine.run import assert_denormals
from lockstep.numerics.routes.carriers import TORCH
from lockstep.program.encoding import decode_program
from lockstep.program.graph import Program

PROGRAM, CONSTANT, MEETING_POINT = "program", "constant-{}", "meeting"
"""Files in the folder that the first process fills."""


def load(folder: Path) -> tuple[Program, list[Tensor]]:
    """The program and its constants. These are mapped into memory, which the processes share."""
    program, _ = decode_program((folder / PROGRAM).read_bytes())
    constants = []
    for index, entry in enumerate(program.constants):
        path = str(folder / CONSTANT.format(index))
        flat = torch.from_file(path, shared=False, size=entry.type.elements, dtype=TORCH[entry.dtype])
        constants.append(flat.view(entry.shape))
    return program, constants


def meeting(folder: Path, ranks: int) -> Store:
    """Where the ranks find each other."""
    return FileStore(str(folder / MEETING_POINT), ranks)


def serve(program: Program, steps: RankSteps, group: Communicator) -> None:
    """Steps, as the lines on standard input ask for them."""
    state: list[Tensor] = []
    for line in sys.stdin:
        _, number, source = line.split()
        if source == "given":
            state = [torch.empty(entry.shape, dtype=TORCH[entry.dtype]) for entry in program.state]
            for tensor in state:
                group.spread(tensor)
        state, _ = steps.step(state, int(number))


def main() -> None:
    """Arguments: the folder, this process's rank, how many there are, the seed, threads, native or not (1, 0)."""
    folder, rank, ranks, seed, threads, native = Path(sys.argv[1]), *map(int, sys.argv[2:7])
    torch.set_num_threads(threads)
    assert_denormals()
    program, constants = load(folder)
    local = share(program, rank, ranks)
    print("ready", flush=True)
    sys.stdin.readline()
    group = Communicator(meeting(folder, ranks), rank, ranks)
    steps = rank_steps(local, constants, seed, group, threads, native != 0)
    print("met", flush=True)
    serve(program, steps, group)


if __name__ == "__main__":
    try:
        main()
    except EngineError as error:
        sys.exit(str(error))
