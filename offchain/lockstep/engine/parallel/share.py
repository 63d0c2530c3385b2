"""One rank's share of a program's steps, on the fastest route that this process trusts."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from torch import Tensor

from lockstep.engine.errors import NativeLimitError
from lockstep.engine.parallel.communicator import Communicator
from lockstep.engine.parallel.local import LocalProgram, localise
from lockstep.engine.parallel.sharding import batch_gathers, place
from lockstep.engine.parallel.stages import RankSteps, TorchSteps
from lockstep.engine.run import native_is_usable
from lockstep.program.graph import Program

log = logging.getLogger("lockstep.engine")


def share(program: Program, rank: int, ranks: int) -> LocalProgram:
    """What one of ``ranks`` computes of a program whose batch is cut evenly."""
    return localise(program, place(program, batch_gathers(program, ranks)), rank)


def rank_steps(
    local: LocalProgram, constants: Sequence[Tensor], seed: int, group: Communicator, threads: int, native: bool = True
) -> RankSteps:
    """This rank's steps, natively where that is possible (and wanted), else by torch routes.

    Ranks of a group may compute in different ways: what they exchange is the same.
    """
    if native and group.device == "cpu" and native_is_usable(local.program):
        from lockstep.engine.parallel.native_stages import NativeSteps
        from lockstep.engine.parallel.selftest import passes_raw

        try:
            if all(passes_raw(op) for op in {local.program.nodes[index].op for index in local.raw}):
                return NativeSteps(local, constants, seed, group, threads)
        except NativeLimitError as error:
            log.info("PyTorch runs this rank's share: the native engine cannot hold it (%s)", error)
    return TorchSteps(local, constants, seed, group)
