"""Programs as text for people: one line an entry, one line a node.

::

    program v1: 3 nodes, 1 state entry, 0 constants, work 96
    state s0 f32[32] "weight"
    %0 = mul f32[32] s0, 0.5
    %1 = add f32[32] s0, %0          # model.py:12
    %2 = state root[1] %1

Operands: ``%i`` a node, ``sj`` a state entry, ``cj`` a constant, ``step``, ``seed``, numbers for
literals (with a point or an exponent: f32, shortest that reads back; else i32). Attributes stand in
braces. The text says all the encoding says except a constant's root, which it shortens.
"""

from __future__ import annotations

import math
import struct

import numpy as np

from lockstep.numerics.dtypes import DType
from lockstep.program.graph import Concat, Input, Node, Program, Shape, View
from lockstep.program.ops import OP_TABLE, VERSION, InputKind
from lockstep.program.work import program_work


def _type(dtype: DType, shape: Shape) -> str:
    return f"{dtype.name.lower()}[{','.join(map(str, shape))}]"


def f32_text(bits: int) -> str:
    """An f32 by its bits: the shortest decimal that reads back to it, ``inf``, ``-inf`` or ``nan``."""
    value = struct.unpack("<f", struct.pack("<I", bits))[0]
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else f"{value:f}"
    return str(np.float32(value))


def operand_text(source: Input) -> str:
    """An input as it stands in a node's line."""
    match source.kind:
        case InputKind.NODE:
            return f"%{source.value}"
        case InputKind.STATE:
            return f"s{source.value}"
        case InputKind.CONST:
            return f"c{source.value}"
        case InputKind.COMMITTED:
            return f"k{source.value}"
        case InputKind.F32:
            return f32_text(source.value)
        case InputKind.I32:
            return str(source.value - (source.value >> 31 << 32))
        case kind:
            return kind.name.lower()


def _attributes(node: Node) -> str:
    attrs = node.attrs
    if isinstance(attrs, View):
        maps = ",".join("-" if stride == 0 else f"{axis}*{stride}" for axis, stride in attrs.mapping)
        offset = f" offset=[{','.join(map(str, attrs.offset))}]" if any(attrs.offset) else ""
        fill = "" if attrs.fill == 0 else f" fill={attrs.fill:#x}"
        return f" {{src=[{','.join(map(str, attrs.src_shape))}]{offset} map=[{maps}]{fill}}}"
    if isinstance(attrs, Concat):
        return f" {{axis={attrs.axis} extents=[{','.join(map(str, attrs.extents))}]}}"
    if not attrs:
        return ""
    pairs = zip(OP_TABLE[node.op].attrs, attrs, strict=True)
    return " {" + " ".join(f"{name}={value}" for (name, _), value in pairs) + "}"


def node_text(node: Node, index: int) -> str:
    """One node's line, without its name."""
    operands = ", ".join(map(operand_text, node.inputs))
    return f"%{index} = {node.op.name.lower()} {_type(node.dtype, node.shape)} {operands}".rstrip() + _attributes(node)


def program_text(program: Program) -> str:
    """The whole program, a line an entry and a node, names behind."""

    def name(names: tuple[str, ...], index: int) -> str:
        return f' "{names[index]}"' if index < len(names) else ""

    def count(number: int, one: str, many: str) -> str:
        return f"{number} {one if number == 1 else many}"

    names = program.names
    first = (
        f"program v{VERSION}: {count(len(program.nodes), 'node', 'nodes')},"
        f" {count(len(program.state), 'state entry', 'state entries')},"
        f" {count(len(program.constants), 'constant', 'constants')}, work {program_work(program)}"
    )
    lines = [first]
    for j, entry in enumerate(program.state):
        frozen = " frozen" if entry.frozen else ""
        lines.append(f"state s{j} {_type(entry.dtype, entry.shape)}{frozen}{name(names.state, j)}")
    for c, constant in enumerate(program.constants):
        root = constant.root.hex()[:12]
        lines.append(f"constant c{c} {_type(constant.dtype, constant.shape)} {root}..{name(names.constants, c)}")
    for i, node in enumerate(program.nodes):
        line = node_text(node, i)
        lines.append(f"{line:<60}  # {names.nodes[i]}" if i in names.nodes else line)
    lines += [f"metric %{index}{name(names.metrics, i)}" for i, index in enumerate(program.metrics)]
    return "\n".join(lines) + "\n"
