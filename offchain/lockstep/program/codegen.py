"""Solidity's half of what both languages share: dtype, op and input codes, and limits.

    python -m lockstep.program.codegen           write the files of contracts/types that ``files`` names
    python -m lockstep.program.codegen --check   write nothing; fail when a file is not what it should be

The Python enums of ``lockstep.numerics.dtypes`` and ``lockstep.program.ops`` are the source. The same text comes out on
every machine. ``scripts/generate.py`` calls ``files``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path

from lockstep.commitments.merkle import WIDTH, WIDTH_BITS
from lockstep.commitments.tensor import CHUNK_BYTES
from lockstep.numerics import transcendental
from lockstep.numerics.dtypes import CANONICAL_NAN, ITEMSIZE, DType
from lockstep.program import ops
from lockstep.program.encoding import HEADER
from lockstep.program.ops import ELEMENTWISE_FAMILIES, OP_TABLE, Family, InputKind, Op

ROOT = Path(__file__).resolve().parents[3]
FOLDER = "contracts/types"

_ATTR_BYTES = {"u8": 1, "i16": 2, "u32": 4}
_VARIADIC = 0xFF
"""Arity of an op that takes any number of inputs from 1 up."""
_NO_OP = 0xFE
"""Arity of a code that is no op."""

_LIMITS: tuple[tuple[str, str, int, str], ...] = (
    ("uint256", "VERSION", ops.VERSION, "Version of the program encoding."),
    ("uint256", "MAX_NODES", ops.MAX_NODES, "Nodes of a program."),
    ("uint256", "MAX_RANK", ops.MAX_RANK, "Axes of a tensor."),
    ("uint256", "MAX_DIM", ops.MAX_DIM, "Extent of an axis; the least is 1."),
    ("uint256", "MAX_ELEMENTS", ops.MAX_ELEMENTS, "Elements of a tensor."),
    ("uint256", "MAX_STATE", ops.MAX_STATE, "State entries of a program."),
    ("uint256", "MAX_CONSTANTS", ops.MAX_CONSTANTS, "Constants of a program."),
    ("uint256", "MAX_METRICS", ops.MAX_METRICS, "Metrics of a program."),
    ("uint256", "MAX_CONCAT", ops.MAX_CONCAT, "Inputs of a concat."),
    ("uint256", "ROW_BLOCK", ops.ROW_BLOCK, "Elements of a row that one leaf carries."),
    ("uint256", "SCATTER_BLOCK", ops.SCATTER_BLOCK, "Elements of a scatter_add's row that one leaf carries."),
    ("uint256", "MAX_ROW", ops.MAX_ROW, "Longest row of exponent, reduce_max, argmax and of matmul's operands."),
    ("uint256", "MAX_SCATTER_ROW", ops.MAX_SCATTER_ROW, "Longest row of scatter_add."),
    ("uint256", "MAX_SUM_ROW", ops.MAX_SUM_ROW, "Longest row of sum."),
    ("uint256", "MAX_SORT_ROW", ops.MAX_SORT_ROW, "Longest row of sort and argsort."),
    (
        "uint256",
        "MAX_VIEW_REACH",
        ops.MAX_VIEW_REACH,
        "Bound on |offset| + sum |stride| * (extent - 1) of a view's source axis.",
    ),
    ("uint256", "MAX_WORK", ops.MAX_WORK, "Work of a step."),
    ("uint256", "QUANTIZE_BITS", ops.QUANTIZE_BITS, "Mantissa bits of quantize."),
    ("int256", "EXPONENT_FLOOR_QUANTIZE", ops.EXPONENT_FLOOR_QUANTIZE, "Floor of an exponent made for quantize."),
    ("int256", "EXPONENT_FLOOR_SUM", ops.EXPONENT_FLOOR_SUM, "Floor of an exponent made for sum."),
    ("uint256", "INIT_SITE_BIT", ops.INIT_SITE_BIT, "Set in the random sites of init programs, clear in all others."),
    ("uint256", "HEADER_BYTES", HEADER.size, "Bytes of a program's encoded header."),
    ("uint256", "CHUNK_BYTES", CHUNK_BYTES, "Bytes of a tensor's chunk; the last may be shorter."),
    ("uint256", "TREE_WIDTH", WIDTH, "Hashes a reveal shows at most."),
    ("uint256", "TREE_WIDTH_BITS", WIDTH_BITS, "Binary levels of a tree that one reveal opens."),
)


def _literal(value: int) -> str:
    """Solidity literal of an integer: hexadecimal for a large power of two, thousands marked otherwise."""
    if value >= 2**20:
        return f"{value:#x}"
    return f"{value:_}" if value >= 10_000 else str(value)


def _file(source: str, body: list[str]) -> str:
    head = [
        "// SPDX-License-Identifier: MIT",
        f"// Generated from {source} by lockstep.program.codegen; do not edit.",
        "pragma solidity ^0.8.28;",
        "",
    ]
    return "\n".join(head + body) + "\n"


def _constants(members: type[IntEnum], notes: Mapping[int, str] | None = None) -> list[str]:
    lines = []
    for member in members:
        if notes and member in notes:
            lines.append(f"    /// @dev {notes[member]}")
        lines.append(f"    uint8 internal constant {member.name} = {member.value:#04x};")
    return lines


def _table(name: str, note: str, values: Mapping[int, int], default: int) -> list[str]:
    """A function from a code to a byte, by look-up in constant words of 32 bytes."""
    words = [bytes(values.get(code, default) for code in range(32 * row, 32 * row + 32)) for row in range(256 // 32)]
    empty = bytes([default] * 32)
    lines = [
        "",
        f"    /// @notice {note}",
        f"    function {name}(uint256 code) internal pure returns (uint256) {{",
        f"        bytes32 row = 0x{empty.hex()};",
    ]
    lines += [f"        if (code >> 5 == {i}) row = 0x{word.hex()};" for i, word in enumerate(words) if word != empty]
    lines += ["        return uint8(row[code & 31]);", "    }"]
    return lines


def _dtype() -> str:
    body = [
        "/// @title Element types of tensors: their codes and sizes.",
        "library DType {",
        *_constants(DType),
        "",
        "    /// @dev The only NaN an f32 may hold.",
        f"    uint256 internal constant CANONICAL_NAN = {CANONICAL_NAN:#010x};",
        *_table(
            "itemSize",
            "Bytes an element takes in a commitment; 0 for a code that is no dtype.",
            {int(dtype): size for dtype, size in ITEMSIZE.items()},
            0,
        ),
        "}",
    ]
    return _file("offchain/lockstep/numerics/dtypes.py", body)


def _op() -> str:
    arity = {int(op): _VARIADIC if info.arity is None else info.arity for op, info in OP_TABLE.items()}
    attribute_bytes = {int(op): sum(_ATTR_BYTES[kind] for _, kind in info.attrs) for op, info in OP_TABLE.items()}
    elementwise = sum(1 << family for family in ELEMENTWISE_FAMILIES)
    body = [
        "/// @title Families of operations: the high nibble of an op's code; the executor dispatches by it.",
        "library Family {",
        *_constants(Family),
        "",
        "    /// @dev Bit f is set where output element j of family f reads exactly element j of each operand.",
        f"    uint256 internal constant ELEMENTWISE = {elementwise:#06x};",
        "}",
        "",
        "/// @title Operations: their codes and what is fixed about each.",
        "library Op {",
        *_constants(Op, {op: info.summary for op, info in OP_TABLE.items()}),
        "",
        "    /// @dev Arity of an op that takes any number of inputs from 1 up.",
        f"    uint256 internal constant VARIADIC = {_VARIADIC:#04x};",
        "    /// @dev What `arity` gives for a code that is no op.",
        f"    uint256 internal constant UNKNOWN = {_NO_OP:#04x};",
        *_table(
            "arity",
            "Number of inputs; `VARIADIC` for any number from 1 up, `UNKNOWN` for a code that is no op.",
            arity,
            _NO_OP,
        ),
        *_table(
            "attributeBytes",
            "Bytes of the fixed attributes; 0 for `view` and `concat`, whose layouts are their own.",
            attribute_bytes,
            0,
        ),
        "}",
    ]
    return _file("offchain/lockstep/program/ops.py", body)


def _input_kind() -> str:
    body = [
        "/// @title Kinds of node inputs: where an operand comes from.",
        "library InputKind {",
        *_constants(InputKind),
        "}",
    ]
    return _file("offchain/lockstep/program/ops.py", body)


def _limits() -> str:
    body = ["/// @title Limits of a valid program, and the sizes of encodings.", "library Limits {"]
    for kind, name, value, note in _LIMITS:
        body += [f"    /// @dev {note}", f"    {kind} internal constant {name} = {_literal(value)};"]
    return _file("offchain/lockstep/program/ops.py and its neighbours", [*body, "}"])


def _transcendental() -> str:
    """The f32 constants of exp, log, tanh and erf by their names; a polynomial's in one word, constant term lowest."""
    body = ["/// @title Bits of the f32 constants of exp, log, tanh and erf.", "library TranscendentalConstants {"]
    scalars = {
        **transcendental.CONSTANTS,
        "LOG_SQRT_HALF": transcendental.LOG_SQRT_HALF,
        "LOG_SQRT_HALF_SCALED": transcendental.LOG_SQRT_HALF_SCALED,
    }
    body += [f"    uint256 internal constant {name} = {bits:#010x};" for name, bits in scalars.items()]
    for name in ("ERF_SMALL_COEFFICIENTS", "ERF_LARGE_COEFFICIENTS"):
        coefficients: tuple[int, ...] = getattr(transcendental, name)
        word = sum(bits << (32 * degree) for degree, bits in enumerate(coefficients))
        body += [
            "    /// @dev Coefficients of 32 bits, constant term lowest.",
            f"    uint256 internal constant {name} =",
            f"        {word:#066x};",
        ]
    return _file("offchain/lockstep/numerics/transcendental.py", [*body, "}"])


def files() -> dict[str, str]:
    """Text of every generated file by its path from the repository's root."""
    return {
        f"{FOLDER}/DType.sol": _dtype(),
        f"{FOLDER}/Op.sol": _op(),
        f"{FOLDER}/InputKind.sol": _input_kind(),
        f"{FOLDER}/Limits.sol": _limits(),
        f"{FOLDER}/TranscendentalConstants.sol": _transcendental(),
    }


def main() -> None:
    """Write the files, or with ``--check`` fail where one is out of date."""
    parser = argparse.ArgumentParser(description="Generate contracts/types from the Python enums.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    check = parser.parse_args().check
    stale = [path for path, text in files().items() if not (ROOT / path).exists() or (ROOT / path).read_text() != text]
    if check and stale:
        sys.exit(f"Out of date: {', '.join(stale)}. Run python -m lockstep.program.codegen and commit what it changes.")
    for path in stale:
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(files()[path])
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
