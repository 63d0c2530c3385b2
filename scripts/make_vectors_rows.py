"""Known answers of rows that one leaf does not carry: what ``LongRows`` on chain is held to.

    scripts/make_vectors_rows.py    write tests/vectors/long_rows.json

``scripts/generate.py`` calls ``files``; tests/offchain/program/test_long_rows.py and
tests/contracts/executor/LongRows.t.sol read it back. A case::

    {"node":       encoded node,
     "element":    row-major index into the node's output,
     "stated":     the element as a claimant states it: the reference's, or another,
     "opening":    [{"slot", "start", "header", "data"}]: the reads of ``openRow``; a type alone has no data,
     "parts":      8 bytes each, big-endian: the reference's, or others,
     "combines":   whether these parts make what is stated,
     "index":      the last block of the row, which has few elements,
     "blockReads": its reads,
     "part":       its part}

Bytes are hexadecimal behind 0x.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lockstep.commitments.tensor import tensor_header
from lockstep.program.encoding import encode_node
from lockstep.program.leaf import LeafRead
from lockstep.program.long_rows import block_reads, block_size, combine, encode_parts, opening_reads

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests.strategies.long_rows import (  # noqa: E402
    LONG_OPS,
    element_bytes,
    exponents_of,
    long_case,
    part_of,
    parts_of,
    run_of,
)
from tests.strategies.nodes import NodeCase  # noqa: E402

CASES = 8
PATH = "tests/vectors/long_rows.json"
EDGES = (0, 1, -1, 2**31, -(2**31), 2**63 - 1, -(2**63))
"""Parts that nothing honest gives."""


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _reads(case: NodeCase, reads: Sequence[LeafRead]) -> list[dict[str, Any]]:
    shown = []
    for read in reads:
        given = case.types[read.slot]
        assert given is not None
        data = np.ascontiguousarray(run_of(case, read)).tobytes()
        header = tensor_header(given.dtype, given.shape)
        shown.append({"slot": read.slot, "start": read.start, "header": _hex(header), "data": _hex(data)})
    return shown


def _vector(number: int, case: NodeCase, rng: np.random.Generator) -> dict[str, Any]:
    node, element = case.node, int(rng.integers(0, case.node.type.elements))
    parts = parts_of(case, element)
    stated = element_bytes(case, element)
    if number % 4 == 1:  # another element
        stated = bytes([stated[0] ^ 1]) + stated[1:]
    if number % 4 >= 2:  # another part; in the last of four cases the element follows from it
        parts[int(rng.integers(0, len(parts)))] = int(rng.choice(np.array(EDGES)))
    made = combine(node, exponents_of(case, element), parts)
    if number % 4 == 3:
        stated = made
    block = len(parts) - 1
    return {
        "node": _hex(encode_node(node)),
        "element": element,
        "stated": _hex(stated),
        "opening": _reads(case, opening_reads(node, element)),
        "parts": _hex(encode_parts(parts)),
        "combines": made == stated,
        "index": block,
        "blockReads": _reads(case, block_reads(node, element, block, case.types)),
        "part": _hex(encode_parts([part_of(case, element, block)])),
    }


def vectors() -> list[dict[str, Any]]:
    """Every op's cases, every second one over what only a liar would commit."""
    found = []
    for op in LONG_OPS:
        size = block_size(op)
        assert size is not None
        for number in range(CASES):
            rng = np.random.default_rng([op, number])
            length = size * int(rng.integers(1, 3)) + int(rng.integers(1, 20))
            found.append(_vector(number, long_case(rng, op, length, hostile=number % 2 == 1), rng))
    return found


def files() -> dict[str, str]:
    """Text of the file by its path from the root."""
    lines = ",\n".join("  " + json.dumps(one, separators=(",", ":")) for one in vectors())
    return {PATH: f'{{"cases": [\n{lines}\n]}}\n'}


def main() -> None:
    """Write the file."""
    for path, text in files().items():
        (ROOT / path).write_text(text)


if __name__ == "__main__":
    main()
