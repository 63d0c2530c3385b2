"""Measure what the dearest leaf of every op costs, for docs/PROGRAM.md.

    scripts/leaf_costs.py    measure on a local node; write docs/data/leaf_costs.json and the table in docs/PROGRAM.md

For each op: the largest shape a program may have, in the largest program, with the contents that take the executor
longest; of rows that one leaf does not carry, a block. ``calldata_bytes`` is ``spec.leaf_bytes``, an upper bound;
``executor_gas`` the call of ``OpExecutor``; ``proof_gas`` proves the node and every read (chunks, range proof, tensor
root, step tree). ``transaction_gas`` is what a transaction with these pays: 21,000 and the dearer of calldata's floor
(40 gas a byte, EIP-7623) and calldata at 16 gas a byte plus execution; the dispute game's own bookkeeping comes on top.
tests/differential/test_leaf_costs.py measures again and fails when a figure is off by more than a tenth.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lockstep.commitments.tensor import CHUNK_BYTES, chunk_count, tensor_header  # noqa: E402
from lockstep.numerics.dtypes import ITEMSIZE, DType  # noqa: E402
from lockstep.program import ops  # noqa: E402
from lockstep.program.encoding import encode_node  # noqa: E402
from lockstep.program.graph import Attrs, Concat, Input, Node, Shape, TensorType, View  # noqa: E402
from lockstep.program.leaf import leaf_reads  # noqa: E402
from lockstep.program.long_rows import block_reads, row_blocks  # noqa: E402
from lockstep.program.ops import MAX_ELEMENTS, MAX_NODES, MAX_STATE, InputKind, Op  # noqa: E402
from lockstep.program.spec import leaf_bytes  # noqa: E402
from tests.differential.harness import ExecutorHarness, own_node  # noqa: E402
from tests.strategies.values import EDGE_F32_BITS, values_of  # noqa: E402

JSON = ROOT / "docs" / "data" / "leaf_costs.json"
DOCUMENT = ROOT / "docs" / "PROGRAM.md"
BEGIN, END = "<!-- leaf costs: written by scripts/leaf_costs.py -->", "<!-- end of leaf costs -->"
VARIANTS = 24
"""Random contents tried beside the extreme ones."""

F32, I32, M16, E16 = DType.F32, DType.I32, DType.M16, DType.E16
Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class LeafCost:
    """What the dearest leaf of an op costs."""

    op: str
    shape: str
    calldata_bytes: int
    executor_gas: int
    proof_gas: int
    transaction_gas: int


@dataclass(frozen=True, slots=True)
class Case:
    """The largest node of an op. ``index`` is what every index element holds; ``shape`` says it for people."""

    node: Node
    types: tuple[TensorType, ...]
    shape: str
    index: int = 0


def _wide(last: int, rank: int = 8) -> Shape:
    """Shape of this rank and of as many elements as a tensor may have, with this last extent."""
    return (*(1,) * (rank - 2), MAX_ELEMENTS // last, last)


def _inputs(count: int) -> tuple[Input, ...]:
    return tuple(Input(InputKind.NODE, MAX_NODES - 2 - slot) for slot in range(count))


def _case(op: Op, dtype: DType, shape: Shape, attrs: Attrs, *types: TensorType, text: str = "", index: int = 0) -> Case:
    text = text or str(list(types[0].shape if types else shape)).replace("1, 1, 1, 1, 1, 1, ", "..., ")
    return Case(Node(op, dtype, shape, _inputs(len(types)), attrs), types, text, index)


def _elementwise(op: Op) -> Case:
    shape = _wide(MAX_ELEMENTS)
    given, dtype = [F32, F32], F32
    match op.family:
        case ops.Family.FLOAT:
            given = [F32] * (2 if op < Op.SQRT else 1)
        case ops.Family.TRANSCENDENTAL:
            given = [F32]
        case ops.Family.INTEGER:
            given, dtype = [I32] * (1 if op >= Op.SHL else 2), I32
        case ops.Family.COMPARE:
            given, dtype = [I32 if op >= Op.ILT else F32] * 2, I32
            if op is Op.SELECT:
                given, dtype = [I32, F32, F32], F32
        case _:
            given, dtype = [F32], I32
    attrs = (31,) if op in (Op.SHL, Op.SHR, Op.SAR) else ()
    return _case(op, dtype, shape, attrs, *(TensorType(operand, shape) for operand in given), text="any")


def _row(op: Op, limit: int) -> Case:
    x = TensorType(F32, _wide(limit))
    rows = TensorType(E16, x.shape[:-1])
    match op:
        case Op.EXPONENT:
            return _case(op, E16, rows.shape, (ops.EXPONENT_FLOOR_SUM,), x)
        case Op.QUANTIZE:
            return _case(op, M16, x.shape, (ops.QUANTIZE_BITS,), x, rows)
        case Op.SUM:
            return _case(op, F32, rows.shape, (), x, rows)
        case Op.SORT | Op.ARGSORT:
            return _case(op, F32 if op is Op.SORT else I32, x.shape, (), x)
    return _case(op, I32 if op is Op.ARGMAX else F32, rows.shape, (), x)


def _matmul() -> Case:
    k = ops.MAX_ROW
    rows = MAX_ELEMENTS // k // 4
    a = TensorType(M16, (1, 1, 1, 1, 1, 4, rows, k))
    b = TensorType(M16, (1, 1, 1, 1, 1, 4, rows // 2, k))
    ea, eb = (TensorType(E16, x.shape[:-1]) for x in (a, b))
    shape = (*a.shape[:-1], b.shape[-2])
    return _case(Op.MATMUL, F32, shape, (), a, ea, b, eb, text=f"K = {k}")


def _view() -> Case:
    shape = (8,) * 7 + (512,)
    view = View(shape, (0,) * 8, tuple((axis, 1) for axis in range(8)))
    return _case(Op.VIEW, F32, shape, view, TensorType(F32, shape), text="8 axes to 8")


def _concat() -> Case:
    count = ops.MAX_CONCAT
    part = TensorType(F32, (1, 1, 1, 1, 1, 1, MAX_ELEMENTS // count, 1))
    shape = (*part.shape[:-1], count)
    return _case(Op.CONCAT, F32, shape, Concat(7, (1,) * count), *[part] * count, text=f"{count} inputs")


def _scatter_add() -> Case:
    n = ops.MAX_SCATTER_ROW
    x = TensorType(F32, (MAX_ELEMENTS // n, n))
    shape = (x.shape[0], 2**13)
    types = (x, TensorType(I32, (n,)), TensorType(E16, x.shape[:1]))
    return _case(Op.SCATTER_ADD, F32, shape, (), *types, text=f"[..., {n}]", index=shape[1] - 1)


def largest(op: Op) -> Case:
    """The dearest node of an op."""
    if op.family in ops.ELEMENTWISE_FAMILIES:
        return _elementwise(op)
    any_shape = _wide(MAX_ELEMENTS)
    match op:
        case Op.MATMUL:
            return _matmul()
        case Op.VIEW:
            return _view()
        case Op.CONCAT:
            return _concat()
        case Op.SCATTER_ADD:
            return _scatter_add()
        case Op.GATHER:
            table = TensorType(F32, (2**15, 1, 1, 1, 1, 2**15))
            index = TensorType(I32, (1, 1, 2**15))
            shape = (*index.shape, *table.shape[1:])
            return _case(op, F32, shape, (), table, index, text="8 axes", index=2**15 - 1)
        case Op.IOTA:
            return _case(op, I32, any_shape, (), text="any")
        case Op.RANDOM_BITS:
            return _case(op, I32, any_shape, (5,), TensorType(I32, ()), text="any")
        case Op.SHUFFLE:
            x, counter = TensorType(I32, any_shape), TensorType(I32, ())
            return _case(op, I32, any_shape, (2**32 - 1, 5), x, counter, text="any")
        case Op.STATE:
            shape = (MAX_STATE,)
            entries = [TensorType(F32, any_shape)] * MAX_STATE
            return _case(op, DType.ROOT, shape, (), *entries, text=f"{MAX_STATE} entries")
        case Op.SORT | Op.ARGSORT:
            return _row(op, ops.MAX_SORT_ROW)
        case Op.SUM | Op.QUANTIZE:
            return _row(op, ops.MAX_SUM_ROW)
    return _row(op, ops.MAX_ROW)


def contents(case: Case, dtype: DType, length: int, slot: int) -> Iterator[Array]:
    """Runs of elements to try: ordinary, random and extreme ones."""
    rng = np.random.default_rng([case.node.op, slot])
    if dtype is E16:
        yield from (np.full(length, e, np.int16) for e in (0, -126, 127, 3, -3, 255))
    elif dtype is I32 and case.node.op in (Op.GATHER, Op.SCATTER_ADD):
        yield np.full(length, case.index, np.int32)
    elif dtype is F32 and length > 1:
        yield np.arange(length, dtype=np.float32)
        yield np.zeros(length, np.float32)
        yield np.full(length, np.nan, np.float32)
        yield np.full(length, 1.5, np.float32)
        yield -np.arange(length, dtype=np.float32)
    elif dtype is F32:
        yield from np.array(EDGE_F32_BITS, np.uint32).view(np.float32).reshape(-1, 1)
        yield from (rng.standard_normal(1).astype(np.float32) for _ in range(VARIANTS))
    else:
        yield from (values_of(rng, dtype, (length,)) for _ in range(6))


def range_proof_length(size: int, start: int, stop: int) -> int:
    """Number of hashes in a range proof (``merkle.prove_range``)."""

    def walk(low: int, count: int) -> int:
        if low >= stop or low + count <= start:
            return 1
        if count == 1:
            return 0
        left = 1 << ((count - 1).bit_length() - 1)
        return walk(low, left) + walk(low + left, count - left)

    return walk(0, size)


def measure(harness: ExecutorHarness, op: Op) -> LeafCost:
    """The dearest leaf of an op among all contents tried."""
    case = largest(op)
    node, data = case.node, encode_node(case.node)
    element = math.prod(node.shape) - 1
    blocks = row_blocks(node, case.types)
    runs = leaf_reads(node, element, case.types, lambda _: case.index)
    if blocks > 1:
        runs = block_reads(node, element, 0, case.types)
    depth = MAX_NODES.bit_length() - 1
    path = [bytes(32)] * depth
    proof_gas = harness.path_gas(MAX_NODES, MAX_NODES - 1, data, path)
    variants: list[list[Array]] = []
    for run in runs:
        given = case.types[run.slot]
        proof_gas += harness.path_gas(MAX_NODES, MAX_NODES - 1, bytes(32), path)
        if op is Op.STATE:
            variants.append([np.zeros(32, np.uint8)])
            continue
        header, item = tensor_header(given.dtype, given.shape), ITEMSIZE[given.dtype]
        first, end = run.start * item // CHUNK_BYTES, -(-(run.start + run.length) * item // CHUNK_BYTES)
        proof = [bytes(32)] * range_proof_length(chunk_count(given.dtype, given.shape), first, end)
        size = min(end * CHUNK_BYTES, given.elements * item) - first * CHUNK_BYTES
        proof_gas += harness.read_gas(header, run.start, run.length, bytes(size), proof)
        variants.append(list(contents(case, given.dtype, run.length, run.slot)))
    leaves = []
    for number in range(max([len(variant) for variant in variants], default=1)):
        reads = []
        for run, variant in zip(runs, variants, strict=True):
            given = case.types[run.slot]
            header = b"" if op is Op.STATE else tensor_header(given.dtype, given.shape)
            reads.append((run.slot, run.start, header, variant[number * (run.slot + 1) % len(variant)].tobytes()))
        leaves.append((data, element, 0, reads) if blocks > 1 else (data, element, 7, 2**63 + 5, reads))
    _, gas = harness.blocks(leaves) if blocks > 1 else harness.leaves(leaves)
    calldata = leaf_bytes(node, case.types, MAX_NODES)
    execution = max(gas) + proof_gas
    transaction = 21_000 + max(40 * calldata, 16 * calldata + execution)
    return LeafCost(op.name.lower(), case.shape, calldata, max(gas), proof_gas, transaction)


def measure_all(harness: ExecutorHarness, progress: Callable[[str], None] = lambda _: None) -> list[LeafCost]:
    """Every op's, in the order of their codes."""
    costs = []
    for op in Op:
        costs.append(measure(harness, op))
        progress(str(costs[-1]))
    return costs


def table(costs: list[LeafCost]) -> str:
    """The documentation's table; ops that cost the same to a tenth share a line."""
    groups: list[list[LeafCost]] = []
    for cost in costs:
        last = groups[-1][-1] if groups else None
        if last and (last.shape, last.calldata_bytes) == (cost.shape, cost.calldata_bytes):
            groups[-1].append(cost)
        else:
            groups.append([cost])
    lines = [
        "| op | largest shape | calldata bytes | executor gas | proof gas | transaction gas |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for group in groups:
        worst = max(group, key=lambda cost: cost.executor_gas)
        names = " ".join(cost.op for cost in group)
        lines.append(
            f"| {names} | {worst.shape} | {worst.calldata_bytes:,} | {worst.executor_gas:,} |"
            f" {worst.proof_gas:,} | {worst.transaction_gas:,} |"
        )
    return "\n".join(lines)


def with_table(document: str, costs: list[LeafCost]) -> str:
    """The document with its table replaced."""
    before, rest = document.split(BEGIN)
    return f"{before}{BEGIN}\n\n{table(costs)}\n\n{END}{rest.split(END)[1]}"


def read() -> list[LeafCost]:
    """The committed figures."""
    return [LeafCost(**cost) for cost in json.loads(JSON.read_text())]


def main() -> None:
    """Measure and write."""
    with own_node() as node:
        costs = measure_all(ExecutorHarness(node), print)
    JSON.parent.mkdir(parents=True, exist_ok=True)
    JSON.write_text(json.dumps([asdict(cost) for cost in costs], indent=1) + "\n")
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(), costs))


if __name__ == "__main__":
    main()
