"""Which segments a draw takes; twin of ``contracts/audit/SegmentDraw.sol``."""

from __future__ import annotations

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from lockstep.chain.options import TaskOptions
from lockstep.chain.terms import segment_count
from lockstep.chain.types import TaskTerms


def drawn_segments(terms: TaskTerms, value: bytes) -> list[int]:
    """Segments of a task that a beacon value (32 bytes) draws for audit, in the draw's order; all different."""
    first = 1 if TaskOptions.unpack(terms.options).parent else 0
    total, segments = segment_count(terms), list[int]()
    for index in range(terms.audits):
        last = total - terms.audits + index
        random = int.from_bytes(keccak(encode(["string", "bytes32", "uint256"], ["segment", value, index])))
        pick = first + random % (last + 1 - first)
        segments.append(last if pick in segments else pick)
    return segments
