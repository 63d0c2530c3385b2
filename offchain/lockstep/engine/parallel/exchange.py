"""The exchange after a stage: all of its values in at most three collectives."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lockstep.engine.parallel.communicator import Communicator
from lockstep.engine.parallel.layout import local_shape
from lockstep.engine.parallel.local import Exchange
from lockstep.engine.parallel.partial import from_key_bits, key_bits
from lockstep.engine.parallel.sharding import Join
from lockstep.numerics.dtypes import ITEMSIZE
from lockstep.numerics.routes import rows
from lockstep.numerics.routes.carriers import TORCH

_LARGEST = (Join.EXPONENT, Join.LARGEST)
_LEAST = {Join.EXPONENT: -(2**15), Join.LARGEST: -(2**31)}
"""What a rank says that has no part of a row: less than any part."""
_ALIGNED = 8


class Exchanger:
    """Buffers for a stage's exchanges, reused in every step.

    ``totals[n]`` is where exchange n's sums may be written by whoever computes them (TOTAL only).
    """

    def __init__(self, exchanges: Sequence[Exchange], group: Communicator) -> None:
        self.exchanges, self.group = exchanges, group
        self._keys = self._slots(_LARGEST, torch.int32)
        self.totals = self._slots((Join.TOTAL, Join.PICK), torch.int64)
        self._sizes = [
            [self._bytes(e, rank) if e.join is Join.GATHER else 0 for e in exchanges] for rank in range(group.size)
        ]
        most = max((sum(sizes) for sizes in self._sizes), default=0)
        self._parts = torch.zeros(most, dtype=torch.uint8, device=group.device)

    def _slots(self, joins: Sequence[Join], dtype: torch.dtype) -> dict[int, Tensor]:
        """A part of one buffer for each exchange of a kind."""
        mine = [n for n, e in enumerate(self.exchanges) if e.join in joins]
        sizes = [self.exchanges[n].whole.elements for n in mine]
        buffer = torch.empty(sum(sizes), dtype=dtype, device=self.group.device)
        parts = torch.split(buffer, sizes) if sizes else ()
        return {n: part.view(self.exchanges[n].whole.shape) for n, part in zip(mine, parts, strict=True)}

    def _bytes(self, exchange: Exchange, rank: int) -> int:
        shape = local_shape(exchange.whole.shape, exchange.layout, rank)
        size = math.prod(shape) * ITEMSIZE[exchange.whole.dtype]
        return -(-size // _ALIGNED) * _ALIGNED

    def run(self, parts: Sequence[Tensor | None]) -> list[Tensor]:
        """Every exchange's value: whole, but TOTAL's, which is the int64 sum before rounding.

        ``parts`` are this rank's, None where it has none; they may be the slots of ``totals`` themselves.
        """
        at = 0
        for n, (exchange, part) in enumerate(zip(self.exchanges, parts, strict=True)):
            match exchange.join:
                case Join.EXPONENT | Join.LARGEST:
                    self._put(self._keys[n], self._key(exchange, part), _LEAST[exchange.join])
                case Join.TOTAL | Join.PICK:
                    wire = key_bits(part) if part is not None and exchange.join is Join.PICK else part
                    self._put(self.totals[n], wire, 0)
                case Join.GATHER:
                    size = self._sizes[self.group.rank][n]
                    if part is not None:
                        flat = _joinable(part).reshape(-1)
                        slot = self._parts[at : at + flat.numel() * flat.element_size()]
                        slot.view(flat.dtype).copy_(flat)
                    at += size
        if self._keys:
            self.group.largest(_buffer(self._keys))
        if self.totals:
            self.group.total(_buffer(self.totals))
        gathered = self.group.gather(self._parts) if len(self._parts) else []
        return [self._value(n, exchange, gathered) for n, exchange in enumerate(self.exchanges)]

    @staticmethod
    def _key(exchange: Exchange, part: Tensor | None) -> Tensor | None:
        return rows.keys(part) if part is not None and exchange.join is Join.LARGEST else part

    @staticmethod
    def _put(slot: Tensor, part: Tensor | None, nothing: int) -> None:
        if part is None:
            slot.fill_(nothing)
        elif part.data_ptr() != slot.data_ptr():
            slot.copy_(part)

    def _value(self, n: int, exchange: Exchange, gathered: Sequence[Tensor]) -> Tensor:
        match exchange.join:
            case Join.EXPONENT:
                return self._keys[n].short()
            case Join.LARGEST:
                return rows.from_keys(self._keys[n])
            case Join.TOTAL:
                return self.totals[n]
            case Join.PICK:
                return from_key_bits(self.totals[n], TORCH[exchange.whole.dtype])
            case Join.GATHER:
                return self._together(n, exchange, gathered)

    def _together(self, n: int, exchange: Exchange, gathered: Sequence[Tensor]) -> Tensor:
        assert exchange.layout is not None
        parts, carrier = [], TORCH[exchange.whole.dtype]
        for rank, data in enumerate(gathered):
            shape = exchange.layout.local(exchange.whole.shape, rank)
            at = sum(self._sizes[rank][:n])
            raw = data[at : at + math.prod(shape) * ITEMSIZE[exchange.whole.dtype]]
            parts.append(_joinable(raw.view(carrier).view(shape)))
        return torch.cat(parts, dim=exchange.layout.axis).view(carrier)


def _joinable(part: Tensor) -> Tensor:
    return part.view(torch.int16) if part.dtype == torch.uint16 else part


def _buffer(slots: dict[int, Tensor]) -> Tensor:
    """The one buffer that all slots are parts of, from its beginning."""
    first = next(iter(slots.values()))
    count = sum(slot.numel() for slot in slots.values())
    return first.as_strided((count,), (1,))
