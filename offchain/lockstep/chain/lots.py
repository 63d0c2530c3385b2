"""The draw of useful work: what a winning segment is paid, and how it is collected; twin of ``UsefulWorkDraw.sol``."""

from __future__ import annotations

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from lockstep.chain import terms as arithmetic
from lockstep.chain.parameters import Parameters

ODDS = 4
"""One ticket in so many wins."""
_WHOLE = 4 * arithmetic.WHOLE_BPS
_MOST = 2**96 - 1


def bonus(task: arithmetic.Shape, audits: int, levy: int, parameters: Parameters) -> int:
    """What a winning ticket of a task of this shape is paid, base units.

    All tickets together win in the mean half of what the levy leaves after the most that forced errors cost in the
    mean: ``levy - audits x p x 5/4 J``.
    """
    forced = _forced(arithmetic.replay_cost(task), audits, parameters)
    return min(_MOST, ODDS * max(0, levy - forced) // (2 * audits))


def levy_for(prize: int, cost: int, audits: int, parameters: Parameters) -> int:
    """The least levy from which a winning ticket is paid ``prize``, where replaying a segment costs ``cost``."""
    return _forced(cost, audits, parameters) - (-2 * audits * prize // ODDS) if prize else 0


def _forced(cost: int, audits: int, parameters: Parameters) -> int:
    """The most that a task's forced errors cost in the mean, rounded up."""
    return -(-cost * audits * parameters.forced_bps * parameters.jackpot_multiple * 5 // _WHOLE)


def ticket_id(task: int, segment: int) -> bytes:
    """By what the treasury knows a segment's lot, 32 bytes."""
    return keccak(encode(["string", "uint256", "uint32"], ["useful work", task, segment]))
