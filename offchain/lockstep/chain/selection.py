"""What an application weighs in the draw of a task's solver, and whom a value draws.

Twin of ``contracts/market/SolverWeight.sol`` and ``SolverSelection.sol``; integers throughout.
"""

from __future__ import annotations

from collections.abc import Sequence

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from lockstep.chain import terms as arithmetic
from lockstep.chain.options import TaskOptions
from lockstep.chain.types import Declaration, TaskTerms

BASE, FIT = 3_000, 7_000
"""Factor of an application that fits nothing, and what compatibility adds, in 1/10,000."""
FAMILY, SPEED, MEMORY = 2_000, 4_000, 4_000
"""Parts of compatibility, in 1/10,000."""
HASTE, ROOM = 4, 4
"""Speed counts up to so many times what the solve window needs, memory up to so many times the state."""
RATE_UNIT = 1_000_000
SCALE = 1 << 20
MOST_DEPOSITS = 1_000


def needed_rate(terms: TaskTerms) -> int:
    """Rate at which the task's work fills its solve window: 10^6 units a second, rounded up."""
    return -(-arithmetic.whole_work(terms) // (RATE_UNIT * terms.solve_window))


def compatibility(terms: TaskTerms, declared: Declaration) -> int:
    """How well what a solver declares fits the task, in 1/10,000."""
    family = TaskOptions.unpack(terms.options).family
    fits = FAMILY if family == 0 or declared.families >> (family - 1) & 1 else 0
    speed = _share(SPEED, declared.rate, HASTE * needed_rate(terms))
    return fits + speed + _share(MEMORY, declared.memory_mib * 1024, ROOM * terms.state_chunks)


def weight(terms: TaskTerms, deposit: int, stake: int, earned: int, declared: Declaration) -> int:
    """Weight of an application that locks ``stake``, by who earned ``earned``; the task asks for ``deposit``."""
    stake = min(stake, deposit * MOST_DEPOSITS)
    factor = BASE + FIT * compatibility(terms, declared) // arithmetic.WHOLE_BPS
    return (stake + min(earned, stake // 2)) * factor * SCALE // (deposit * arithmetic.WHOLE_BPS)


def solve_window(terms: TaskTerms, rate: int) -> int:
    """Seconds a drawn solver has that declared ``rate``."""
    needed = needed_rate(terms)
    if rate <= needed:
        return terms.solve_window
    return max(1, terms.solve_window * needed // min(rate, HASTE * needed))


def drawn(value: bytes, weights: Sequence[int]) -> int:
    """Index of the application that a beacon value (32 bytes) draws."""
    pick = int.from_bytes(keccak(encode(["string", "bytes32"], ["solver", value])), "big") % sum(weights)
    for index, weight_ in enumerate(weights):
        if pick < weight_:
            return index
        pick -= weight_
    raise AssertionError("A number below the sum of weights belongs to one of them.")


def draw_key(task: int) -> bytes:
    """Beacon key of the draw of a task's solver, 32 bytes."""
    return keccak(encode(["string", "uint256"], ["solver", task]))


def _share(part: int, have: int, most: int) -> int:
    return part * have // most if have < most else part
