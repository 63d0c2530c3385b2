"""What carries the parts: collectives of PyTorch's process groups, gloo between CPUs and NCCL between GPUs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import AllgatherOptions, Store

from lockstep.engine.errors import LostRankError

MEETING = timedelta(seconds=60)
"""How long the ranks may take to meet."""
PATIENCE = timedelta(minutes=30)
"""How long a rank waits for others that are alive but silent. One that ends is noticed at once."""


class Communicator:
    """One of ``size`` ranks that meet at a store. Every rank makes the same calls in the same order.

    ``interface`` is the address gloo listens on: this machine's own unless told otherwise.
    """

    def __init__(self, store: Store, rank: int, size: int, device: str = "cpu", interface: str = "127.0.0.1") -> None:
        self.rank, self.size, self.device = rank, size, device
        try:
            self._group: Any = self._meet(store, interface)
        except RuntimeError as error:
            raise LostRankError(f"The {size} processes did not meet: {error}.") from error

    def _meet(self, store: Store, interface: str) -> Any:
        if torch.device(self.device).type == "cuda":
            return dist.ProcessGroupNCCL(store, self.rank, self.size, dist.ProcessGroupNCCL.Options())
        # A group of its own: PyTorch's default group is one a process, and a process may share several programs.
        gloo: Any = dist.ProcessGroupGloo
        options = gloo._Options()
        options._devices = [gloo.create_device(hostname=interface)]
        options._timeout = MEETING
        return gloo(store, self.rank, self.size, options)

    def largest(self, values: Tensor) -> None:
        """Replace each int32 by the largest among the ranks'."""
        self._reduce(values, dist.ReduceOp.MAX)

    def total(self, values: Tensor) -> None:
        """Replace each int64 by the sum of the ranks'."""
        self._reduce(values, dist.ReduceOp.SUM)

    def _reduce(self, values: Tensor, how: Any) -> None:
        options = dist.AllreduceOptions()
        options.reduceOp = how
        options.timeout = PATIENCE
        self._wait(lambda: self._group.allreduce([values], options))

    def gather(self, values: Tensor) -> list[Tensor]:
        """Every rank's uint8 tensor, all of one length, in the order of the ranks."""
        found = [torch.empty_like(values) for _ in range(self.size)]
        options = AllgatherOptions()
        options.timeout = PATIENCE
        self._wait(lambda: self._group.allgather([found], [values], options))
        return found

    def spread(self, values: Tensor) -> None:
        """Replace a tensor of any carrier by rank 0's."""
        options = dist.BroadcastOptions()
        options.rootRank = 0
        options.timeout = PATIENCE
        flat = values.reshape(-1).view(torch.uint8)
        self._wait(lambda: self._group.broadcast([flat], options))

    def _wait(self, begin: Callable[[], Any]) -> None:
        try:
            begin().wait()
        except RuntimeError as error:
            raise LostRankError(f"Rank {self.rank} of {self.size} has lost another one: {error}") from error
