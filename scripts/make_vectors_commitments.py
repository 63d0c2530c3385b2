"""Known answers of Merkle trees, tensor roots and program encodings, for forge and pytest.

    scripts/make_vectors_commitments.py    write tests/vectors/{merkle,tensor,program}.json

``scripts/generate.py`` calls ``files``; tests/offchain/commitments/test_vectors.py keeps them up to date and compares
them with the standard's own numbers. All bytes are hexadecimal behind 0x.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np

from lockstep.commitments import merkle
from lockstep.commitments.tensor import commit_roots, commit_tensor, tensor_header
from lockstep.numerics.dtypes import ITEMSIZE, NUMPY, DType
from lockstep.program.encoding import (
    commit_program,
    encode_constant_entry,
    encode_node,
    encode_state_entry,
)
from lockstep.program.graph import Concat, ConstantEntry, Input, Node, Program, StateEntry, View
from lockstep.program.ops import InputKind, Op

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "tests/vectors"

STANDARD_LEAVES = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
"""Leaves of the test tree of RFC 6962's reference implementation (Certificate Transparency)."""

STANDARD_ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
"""Its roots for the first 1 to 8 leaves, as published with that implementation."""


def _hex(data: bytes | memoryview) -> str:
    return "0x" + bytes(data).hex()


def _hashes(hashes: list[bytes]) -> list[str]:
    return [_hex(item) for item in hashes]


def _leaves(count: int, label: str) -> list[bytes]:
    rng = random.Random(f"{label} {count}")
    return [rng.randbytes(rng.randrange(0, 90)) for _ in range(count)]


def merkle_vectors() -> dict[str, Any]:
    """The standard's tree; roots, inclusion proofs, range proofs and reveals of trees of many sizes."""
    standard = [
        {"size": size, "root": "0x" + root, "leaves": ["0x" + leaf for leaf in STANDARD_LEAVES[:size]]}
        for size, root in enumerate(STANDARD_ROOTS, 1)
    ]
    folds, inclusions, ranges, reveals = [], [], [], []
    for size in (1, 2, 3, 5, 8, 13, 31, 33, 47, 63, 64):
        hashes = [merkle.hash_leaf(leaf) for leaf in _leaves(size, "fold")]
        folds.append({"hashes": _hashes(hashes), "root": _hex(merkle.fold(hashes))})
    for size in (1, 2, 3, 6, 7, 8, 21, 64, 65, 100, 200):
        tree = merkle.Tree([merkle.hash_leaf(leaf) for leaf in _leaves(size, "inclusion")])
        rng = random.Random(size)
        for index in sorted({0, size // 2, size - 1, rng.randrange(size)}):
            proof = merkle.inclusion_proof(tree.levels[0], index)
            inclusions.append(
                {
                    "size": size,
                    "index": index,
                    "leafHash": _hex(tree.levels[0][index]),
                    "proof": _hashes(proof),
                    "root": _hex(tree.root),
                }
            )
        starts = sorted({0, size - 1, *(rng.randrange(size) for _ in range(2))})
        for start in starts:
            stop = rng.randrange(start, min(size, start + 40)) + 1
            ranges.append(
                {
                    "size": size,
                    "start": start,
                    "leafHashes": _hashes(tree.levels[0][start:stop]),
                    "proof": _hashes(tree.prove(start, stop)),
                    "root": _hex(tree.root),
                }
            )
    for size in (5, 64, 65, 4096, 4097, 5000):
        # Leaf hashes too many to list: hash i is H(0x00 || i as four big-endian bytes).
        tree = merkle.Tree([merkle.hash_leaf(i.to_bytes(4, "big")) for i in range(size)])
        height = merkle.height(size)
        for level in range(1, height + 1):
            index = merkle.level_count(size, level) - 1
            reveals.append(
                {
                    "size": size,
                    "height": height,
                    "level": level,
                    "index": index,
                    "children": _hashes(tree.children(level, index)),
                    "hash": _hex(tree.root if level == height else tree.levels[level][index]),
                    "root": _hex(tree.root),
                    "proof": _hashes(merkle.inclusion_proof(tree.levels[level], index) if level < height else []),
                }
            )
    return {"standard": standard, "folds": folds, "inclusions": inclusions, "ranges": ranges, "reveals": reveals}


_TENSORS: tuple[tuple[DType, tuple[int, ...]], ...] = (
    (DType.F32, ()),
    (DType.F32, (3,)),
    (DType.F32, (256,)),
    (DType.F32, (257,)),
    (DType.F32, (5, 7, 11)),
    (DType.I32, (2, 3, 4)),
    (DType.M16, (33, 40)),
    (DType.E16, (600,)),
    (DType.U8, (1025,)),
    (DType.U8, (2, 1, 1, 3, 1, 1, 1, 200)),
    (DType.U16, (8, 100)),
    (DType.F32, (20, 400)),
)


def _tensor_data(dtype: DType, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    raw = rng.integers(0, 256, int(np.prod(shape, dtype=np.int64)) * ITEMSIZE[dtype], dtype=np.uint8)
    return raw.view(NUMPY[dtype]).reshape(shape)


def tensor_vectors() -> dict[str, Any]:
    """Headers, roots and element range proofs."""
    rng = np.random.default_rng(0x7E45)
    cases = []
    for dtype, shape in _TENSORS:
        tensor = commit_tensor(_tensor_data(dtype, shape, rng), dtype)
        total, item = len(tensor.data) // ITEMSIZE[dtype], ITEMSIZE[dtype]
        spans = {(0, 1), (total - 1, 1)}
        start = int(rng.integers(total))
        spans.add((start, int(rng.integers(1, min(total - start, 700) + 1))))
        for start, count in sorted(spans):
            first, end = start * item // 1024, ((start + count) * item - 1) // 1024 + 1
            cases.append(
                {
                    "header": _hex(tensor_header(dtype, shape)),
                    "root": _hex(tensor.root),
                    "treeRoot": _hex(tensor.tree.root),
                    "chunkCount": tensor.tree.size,
                    "start": start,
                    "count": count,
                    "chunks": _hex(tensor.data[first * 1024 : end * 1024]),
                    "proof": _hashes(tensor.tree.prove(first, end)),
                    "data": _hex(tensor.data[start * item : (start + count) * item]),
                }
            )
    roots = [merkle.hash_leaf(bytes([i])) for i in range(40)]
    state = commit_roots(roots)
    cases.append(
        {
            "header": _hex(tensor_header(DType.ROOT, (40,))),
            "root": _hex(state.root),
            "treeRoot": _hex(state.tree.root),
            "chunkCount": state.tree.size,
            "start": 31,
            "count": 2,
            "chunks": _hex(state.data),
            "proof": [],
            "data": _hex(roots[31] + roots[32]),
        }
    )
    return {"cases": cases}


def example_program() -> Program:
    """A program that uses every layout of the encoding. It means nothing."""
    node, state, const = InputKind.NODE, InputKind.STATE, InputKind.CONST
    nodes = (
        Node(Op.IOTA, DType.I32, (6,)),
        Node(Op.RANDOM_BITS, DType.I32, (2, 3), (Input(InputKind.STEP),), (7,)),
        Node(Op.SHUFFLE, DType.I32, (6,), (Input(node, 0), Input(InputKind.STEP)), (100, 0x01020304)),
        Node(Op.GATHER, DType.U8, (6, 5), (Input(const, 0), Input(node, 2))),
        Node(Op.CAST, DType.F32, (6, 5), (Input(node, 3),)),
        Node(Op.EXPONENT, DType.E16, (6,), (Input(node, 4),), (-113,)),
        Node(Op.QUANTIZE, DType.M16, (6, 5), (Input(node, 4), Input(node, 5)), (14,)),
        Node(Op.EXPONENT, DType.E16, (2,), (Input(state, 0),), (-113,)),
        Node(Op.QUANTIZE, DType.M16, (2, 5), (Input(state, 0), Input(node, 7)), (14,)),
        Node(Op.MATMUL, DType.F32, (6, 2), (Input(node, 6), Input(node, 5), Input(node, 8), Input(node, 7))),
        Node(
            Op.VIEW,
            DType.F32,
            (2, 8, 3),
            (Input(node, 9),),
            View((6, 2), (-1, 1), ((1, -1), (0, 1), (0, 0)), 0x3F800000),
        ),
        Node(
            Op.CONCAT,
            DType.F32,
            (8, 2),
            (Input(node, 9), Input(state, 1)),
            Concat(0, (6, 2)),
        ),
        Node(Op.MUL, DType.F32, (2, 5), (Input(state, 0), Input(InputKind.F32, 0x3DCCCCCD))),
        Node(Op.SHR, DType.I32, (2, 3), (Input(node, 1),), (8,)),
        Node(Op.STATE, DType.ROOT, (3,), (Input(node, 12), Input(state, 1), Input(state, 2))),
    )
    return Program(
        nodes,
        (
            StateEntry(DType.F32, (2, 5)),
            StateEntry(DType.F32, (2, 2), frozen=True),
            StateEntry(DType.I32, ()),
        ),
        (ConstantEntry(DType.U8, (100, 5), merkle.hash_leaf(b"images")),),
        (4,),
    )


def program_vectors() -> dict[str, Any]:
    """Encoded nodes with their fields, entries, header and hash of ``example_program``."""
    program = example_program()
    commitment = commit_program(program, 12_345)
    nodes = [
        {
            "node": _hex(encode_node(node)),
            "op": int(node.op),
            "tensorHeader": _hex(tensor_header(node.dtype, node.shape)),
            "elements": node.type.elements,
            "kinds": [int(source.kind) for source in node.inputs],
            "values": [source.value for source in node.inputs],
        }
        for node in program.nodes
    ]
    state, chunks = [], 0
    for entry in program.state:
        state.append(
            {
                "entry": _hex(encode_state_entry(entry, chunks)),
                "tensorHeader": _hex(tensor_header(entry.dtype, entry.shape)),
                "frozen": entry.frozen,
                "chunksBefore": chunks,
            }
        )
        chunks += 0 if entry.frozen else 1
    constants = [
        {
            "entry": _hex(encode_constant_entry(entry)),
            "tensorHeader": _hex(tensor_header(entry.dtype, entry.shape)),
            "tensorRoot": _hex(entry.root),
        }
        for entry in program.constants
    ]
    header = {
        "header": _hex(commitment.header),
        "hash": _hex(commitment.hash),
        "nodesRoot": _hex(commitment.nodes.root),
        "stateRoot": _hex(commitment.state.root),
        "constantsRoot": _hex(commitment.constants.root) if commitment.constants else "",
        "metricsRoot": _hex(commitment.metrics.root) if commitment.metrics else "",
        "counts": [len(program.nodes), len(program.state), len(program.constants), len(program.metrics)],
        "stateChunks": commitment.state_chunks,
        "work": commitment.work,
    }
    return {"nodes": nodes, "state": state, "constants": constants, "header": header}


def files() -> dict[str, str]:
    """Text of each vector file by its path from the repository's root."""
    vectors = {"merkle": merkle_vectors(), "tensor": tensor_vectors(), "program": program_vectors()}
    return {f"{FOLDER}/{name}.json": json.dumps(value, indent=1) + "\n" for name, value in vectors.items()}


def main() -> None:
    """Write the files."""
    for path, text in files().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text)
        print(f"wrote {path}: {len(text):,} characters")


if __name__ == "__main__":
    main()
