"""Ranks as threads of one process, which meet over gloo like processes do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from torch import Tensor
from torch._C._distributed_c10d import HashStore

from lockstep.engine.parallel import communicator
from lockstep.engine.parallel.communicator import Communicator
from lockstep.engine.parallel.layout import Sharded
from lockstep.engine.parallel.local import LocalProgram, localise
from lockstep.engine.parallel.native_stages import NativeSteps
from lockstep.engine.parallel.sharding import batch_gathers, place
from lockstep.engine.parallel.stages import RankSteps, TorchSteps
from lockstep.program.graph import Program

Make = Callable[[LocalProgram, Sequence[Tensor], int, Communicator], RankSteps]
Result = tuple[list[Tensor], list[list[float]]]
"""Last state and the metrics of each step."""


def native(local: LocalProgram, constants: Sequence[Tensor], seed: int, group: Communicator) -> RankSteps:
    return NativeSteps(local, constants, seed, group, 1)


ROUTES: dict[str, Make] = {"torch": TorchSteps, "native": native}


def run_ranks(
    program: Program,
    constants: Sequence[Tensor],
    seed: int,
    state: Sequence[Tensor],
    ranks: int,
    makes: Sequence[Make],
    steps: Sequence[int] = (0, 1),
    cuts: Mapping[int, Sharded] | None = None,
) -> list[Result]:
    """What each rank has after some steps; rank r computes as ``makes[r % len(makes)]`` says."""
    store, met = HashStore(), Barrier(ranks)
    placed = place(program, batch_gathers(program, ranks) if cuts is None else cuts)

    def one(rank: int) -> Result:
        group = Communicator(store, rank, ranks)
        met.wait(30)  # one that has nothing to exchange does not leave before the others have come
        share = makes[rank % len(makes)](localise(program, placed, rank), constants, seed, group)
        current, metrics = list(state), []
        for step in steps:
            current, values = share.step(current, step)
            metrics.append(values)
        return current, metrics

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(ranks) as pool:
        patch.setattr(communicator, "PATIENCE", timedelta(seconds=10))  # a rank that fails leaves the others waiting
        found = [pool.submit(one, rank) for rank in range(ranks)]
        errors = [error for error in (each.exception() for each in found) if error is not None]
        for error in sorted(errors, key=lambda error: isinstance(error, communicator.LostRankError)):
            raise error
    return [each.result() for each in found]
