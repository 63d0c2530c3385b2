"""The committed answers of every op are current, complete, well typed, and follow from their reads alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lockstep.numerics.dtypes import ITEMSIZE, NUMPY, DType
from lockstep.program.encoding import decode_node
from lockstep.program.graph import Node, TensorType
from lockstep.program.infer import infer
from lockstep.program.leaf import PROVEN_KINDS
from lockstep.program.ops import ELEMENTWISE_FAMILIES, InputKind, Op
from lockstep.program.reference import evaluate_node
from tests.strategies.values import values_of

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "scripts"))

import make_vectors_ops as vectors  # noqa: E402

OPS = tuple(Op)
MAX_BYTES = 100_000


def path_of(op: Op) -> Path:
    return ROOT / "tests" / "vectors" / "ops" / f"{op.name.lower()}.json"


def cases(op: Op) -> list[dict[str, Any]]:
    return json.loads(path_of(op).read_text())["cases"]


def data(text: str) -> bytes:
    assert text.startswith("0x")
    return bytes.fromhex(text[2:])


def header_type(header: bytes) -> TensorType:
    assert len(header) == 2 + 4 * header[1]
    extents = [int.from_bytes(header[i : i + 4], "big") for i in range(2, len(header), 4)]
    return TensorType(DType(header[0]), tuple(extents))


def test_vector_files_are_what_their_script_writes() -> None:
    wanted = vectors.files()
    assert {f"tests/vectors/ops/{file.name}" for file in path_of(Op.ADD).parent.iterdir()} == set(wanted)
    for path, text in wanted.items():
        assert (ROOT / path).read_text() == text, "run scripts/generate.py"


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name.lower())
def test_every_op_has_its_edge_cases_in_a_small_file(op: Op) -> None:
    assert path_of(op).stat().st_size < MAX_BYTES
    assert len(cases(op)) >= 8
    for case in cases(op):
        assert decode_node(data(case["node"])).op is op
        assert len(data(case["value"])) == ITEMSIZE[decode_node(data(case["node"])).dtype]


def test_literals_step_and_seed_occur() -> None:
    kinds = {source.kind for op in OPS for case in cases(op) for source in decode_node(data(case["node"])).inputs}
    assert kinds == set(InputKind) - {InputKind.COMMITTED}


@pytest.mark.parametrize("op", [op for op in OPS if op is not Op.STATE], ids=lambda op: op.name.lower())
def test_the_value_follows_from_the_reads_whatever_else_the_inputs_hold(op: Op) -> None:
    for case in cases(op):
        node = decode_node(data(case["node"]))
        value = reevaluate(node, case)
        assert value.astype(value.dtype.newbyteorder("<")).tobytes() == data(case["value"])


def reevaluate(node: Node, case: dict[str, Any]) -> np.ndarray:
    """The element from the reads, other elements of their tensors being random."""
    rng = np.random.default_rng(0)
    arrays: list[np.ndarray | None] = [None] * len(node.inputs)
    for slot, source in enumerate(node.inputs):
        read = next((read for read in case["reads"] if read["slot"] == slot), None)
        if read is None:
            if source.kind in PROVEN_KINDS:
                arrays[slot] = unread(rng, node, slot)
            continue
        given = header_type(data(read["header"]))
        flat = values_of(rng, given.dtype, given.shape).reshape(-1).copy()
        run = np.frombuffer(data(read["data"]), NUMPY[given.dtype])
        flat[read["start"] : read["start"] + len(run)] = run
        arrays[slot] = flat.reshape(given.shape)
    check_types(node, case)
    value = evaluate_node(node, arrays, case["step"], int(case["seed"], 16))
    return value.reshape(-1)[case["element"]]


def unread(rng: np.random.Generator, node: Node, slot: int) -> np.ndarray:
    """An input the leaf does not read, in a shape that fits: the source of a view's fill, a concat's other tensors."""
    attrs = node.attrs
    if node.op is Op.VIEW:
        return values_of(rng, node.dtype, attrs.src_shape)  # type: ignore[union-attr]
    if node.op is Op.CONCAT:
        extent = attrs.extents[slot]  # type: ignore[union-attr]
        axis = attrs.axis  # type: ignore[union-attr]
        return values_of(rng, node.dtype, (*node.shape[:axis], extent, *node.shape[axis + 1 :]))
    raise AssertionError(f"A leaf of {node.op.name} reads every input that needs proof.")


def check_types(node: Node, case: dict[str, Any]) -> None:
    """The headers are those of a valid node, where every input is read or needs no proof."""
    types: dict[int, TensorType] = {
        read["slot"]: header_type(data(read["header"])) for read in case["reads"] if read["header"] != "0x"
    }
    literal_shape = node.shape if node.op.family in ELEMENTWISE_FAMILIES else ()
    for slot, source in enumerate(node.inputs):
        match source.kind:
            case InputKind.STEP:
                types[slot] = TensorType(DType.I32, ())
            case InputKind.SEED:
                types[slot] = TensorType(DType.I32, (2,))
            case InputKind.F32:
                types[slot] = TensorType(DType.F32, literal_shape)
            case InputKind.I32:
                types[slot] = TensorType(DType.I32, literal_shape)
    if len(types) == len(node.inputs):
        assert infer(node, [types[slot] for slot in range(len(node.inputs))]) == node.type


def test_state_reads_the_root_that_is_its_value() -> None:
    for case in cases(Op.STATE):
        (read,) = case["reads"]
        assert (read["header"], read["start"], read["slot"]) == ("0x", 0, case["element"])
        assert read["data"] == case["value"]
