"""The Solidity executor as a function from Python: thousands of leaves in one call to a local node.

``ExecutorHarness`` deploys the executor and the batching contract of tests/contracts/differential on anvil.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak

from lockstep.chain.anvil import Anvil, AnvilError
from lockstep.chain.deployment import FAMILIES
from lockstep.commitments.tensor import tensor_header, tensor_root
from lockstep.numerics.dtypes import ITEMSIZE, NUMPY
from lockstep.program.encoding import encode_node
from lockstep.program.graph import Node, TensorType
from lockstep.program.leaf import LeafRead, leaf_reads
from lockstep.program.ops import ELEMENTWISE_FAMILIES, InputKind, Op
from tests.strategies.nodes import NodeCase
from tests.strategies.values import Array

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("tests/contracts/differential/ExecutorHarness.sol", "contracts/executor")
BATCH_BYTES = 400_000
"""Calldata of one call: a request, in hexadecimal, stays below anvil's 2 MB."""
BATCH_LEAVES = 5_000
CALL_GAS = 10**15
DEPLOY_GAS = 15_000_000

_READ = "(uint16,uint64,bytes,bytes)"
_LEAF = f"(bytes,uint256,uint32,uint64,{_READ}[])"
_OPERAND = "(uint16,bytes,uint256,bytes)"
_ELEMENTWISE = ["address", "bytes", "uint32", "uint64", f"{_OPERAND}[]", "uint256", "uint256", "uint256"]
_LEAVES = ["address", f"{_LEAF}[]"]
_ROWS = ["address", f"(bytes,uint256,bytes,{_READ}[],bytes)[]"]
_BLOCKS = ["address", f"(bytes,uint256,uint256,{_READ}[])[]"]
_NODE = "(bytes,uint32,uint64,bytes[],bytes[],bytes)"
_NODES = ["address", f"{_NODE}[]"]
_CHECK = "(bytes,uint256,uint256,uint256,uint256,bool,bytes[])"
_CHECKS = ["address", f"{_CHECK}[]"]

PROVEN = frozenset({InputKind.NODE, InputKind.STATE, InputKind.CONST, InputKind.COMMITTED})


@dataclass(frozen=True, slots=True)
class Check:
    """Arguments of ``IProgramChecker.checkNode``; ``headers`` by slot, empty for what is no tensor of the program."""

    node: bytes
    index: int
    node_count: int
    state_count: int
    constant_count: int
    init: bool
    headers: tuple[bytes, ...]


def compile_contracts() -> Path:
    """Compile the executor and the harness with forge and return the folder of their artifacts."""
    built = subprocess.run(
        [ROOT / "scripts" / "forge", "build", *SOURCES], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if built.returncode:
        raise RuntimeError(f"forge could not compile the executor:\n{built.stdout}{built.stderr}")
    return ROOT / os.environ.get("FOUNDRY_OUT", "build/forge/out")


def own_node() -> Anvil:
    """A node that lets one call use as much gas as it likes."""
    return Anvil(block_gas_limit=2**60)


def reads_of(case: NodeCase, element: int) -> list[LeafRead]:
    """The runs that an element's leaf reads."""
    return leaf_reads(case.node, element, case.types, case.index)


def tensor_bytes(case: NodeCase, slot: int) -> bytes:
    """Little-endian bytes of a proven input, as a liar may have committed them (NaNs as they are)."""
    array = case.arrays[slot]
    assert array is not None
    return bytes(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


class ExecutorHarness:
    """The executor on a local node."""

    def __init__(self, node: Anvil) -> None:
        """Deploy everything (about 20 million gas)."""
        self._node = node
        self._out = compile_contracts()
        families = tuple(self._deploy(name) for name in FAMILIES)
        types = ["(" + ",".join(["address"] * len(families)) + ")"]
        self.executor = self._deploy("OpExecutor", encode(types, [families]))
        self.checker = self._deploy("ProgramChecker")
        self.harness = self._deploy("ExecutorHarness")

    def _deploy(self, name: str, arguments: bytes = b"") -> str:
        artifact = json.loads((self._out / f"{name}.sol" / f"{name}.json").read_text())
        code = bytes.fromhex(artifact["bytecode"]["object"][2:]) + arguments
        sender = self._node.accounts[0].address
        transaction = {"from": sender, "data": "0x" + code.hex(), "gas": hex(DEPLOY_GAS)}
        digest = self._node.rpc("eth_sendTransaction", transaction)
        deadline = time.monotonic() + 10
        while (receipt := self._node.rpc("eth_getTransactionReceipt", digest)) is None:
            assert time.monotonic() < deadline, f"{name}'s deployment was not mined"
            time.sleep(0.01)
        assert receipt["status"] == "0x1", f"{name} was not deployed"
        return str(receipt["contractAddress"])

    def _call(self, signature: str, types: Sequence[str], values: Sequence[Any], result: Sequence[str]) -> Any:
        data = keccak(text=f"{signature}({','.join(types)})")[:4] + encode(types, values)
        request = {"to": self.harness, "data": "0x" + data.hex(), "gas": hex(CALL_GAS)}
        return decode(result, bytes.fromhex(self._node.rpc("eth_call", request, "latest")[2:]))

    def run(self, case: NodeCase, elements: Sequence[int] | None = None) -> Array:
        """Elements of a node's output as the executor computes them (all by default), in the output's carrier.

        A 1-d array; for a ``state`` node, uint8 of shape (n, 32). A leaf the executor refuses raises ``AnvilError``.
        """
        return self.run_all([(case, elements)])[0]

    def run_all(self, work: Sequence[tuple[NodeCase, Sequence[int] | None]]) -> list[Array]:
        """``run`` for many nodes in few calls."""
        calls: list[tuple[Any, ...]] = []
        results: list[bytes] = []
        size = 0
        for case, elements in work:
            call = self._node_call(case, range(case.node.type.elements) if elements is None else elements)
            needed = 1000 + len(call[0]) + sum(200 + len(part) for part in (*call[3], *call[4])) + len(call[5])
            if calls and size + needed > BATCH_BYTES:
                results += self._run_batch(calls)
                calls, size = [], 0
            calls.append(call)
            size += needed
        results += self._run_batch(calls)
        return [self._array(case.node, value) for (case, _), value in zip(work, results, strict=True)]

    def _run_batch(self, calls: list[tuple[Any, ...]]) -> list[bytes]:
        return list(self._call("executeNodes", _NODES, (self.executor, calls), ["bytes[]"])[0])

    def _node_call(self, case: NodeCase, elements: Sequence[int]) -> tuple[Any, ...]:
        headers, tensors = [], []
        for slot, given in enumerate(case.types):
            if given is None:
                headers.append(b"")
                tensors.append(b"")
            elif case.node.op is Op.STATE:
                headers.append(b"")
                tensors.append(tensor_root(np.asarray(case.arrays[slot]), given.dtype))
            else:
                headers.append(self.header(given))
                tensors.append(tensor_bytes(case, slot))
        packed = bytearray()
        for element in elements:
            reads = reads_of(case, element)
            packed += struct.pack(">QB", element, len(reads))
            for slot, start, length in reads:
                given = case.types[slot]
                assert given is not None
                item = 32 if case.node.op is Op.STATE else ITEMSIZE[given.dtype]
                packed += struct.pack(">HQQI", slot, start * item, start, length * item)
        return (encode_node(case.node), case.step, case.seed, headers, tensors, bytes(packed))

    def elementwise(self, case: NodeCase) -> Array:
        """All elements of a node each of which reads the operands' elements of its own number, or nothing."""
        node = case.node
        if node.op.family not in ELEMENTWISE_FAMILIES:
            raise ValueError(f"{node.op.name} is not elementwise.")
        slots = [slot for slot, given in enumerate(case.types) if given is not None]
        headers = [self.header(case.types[slot]) for slot in slots]
        sizes = [ITEMSIZE[case.types[slot].dtype] for slot in slots]  # type: ignore[union-attr]
        data = [tensor_bytes(case, slot) for slot in slots]
        batch = min(BATCH_LEAVES, BATCH_BYTES // max(sum(sizes), 1))
        out = b""
        for first in range(0, node.type.elements, batch):
            count = min(batch, node.type.elements - first)
            operands = [
                (slot, header, size, piece[first * size : (first + count) * size])
                for slot, header, size, piece in zip(slots, headers, sizes, data, strict=True)
            ]
            arguments = (
                self.executor,
                encode_node(node),
                case.step,
                case.seed,
                operands,
                first,
                count,
                ITEMSIZE[node.dtype],
            )
            out += self._call("executeElementwise", _ELEMENTWISE, arguments, ["bytes"])[0]
        return self._array(node, out)

    @staticmethod
    def header(given: TensorType | None) -> bytes:
        """Tensor header of a type."""
        assert given is not None
        return tensor_header(given.dtype, given.shape)

    def leaf(
        self, case: NodeCase, element: int, change: Callable[[list[Any]], list[Any]] = lambda reads: reads
    ) -> tuple[Any, ...]:
        """One leaf as the harness contract takes it; ``change`` may falsify its reads."""
        reads: list[Any] = []
        cache: dict[int, bytes] = {}
        for slot, start, length in reads_of(case, element):
            given = case.types[slot]
            assert given is not None
            if case.node.op is Op.STATE:
                reads.append((slot, start, b"", tensor_root(np.asarray(case.arrays[slot]), given.dtype)))
                continue
            data = cache.setdefault(slot, tensor_bytes(case, slot))
            size = ITEMSIZE[given.dtype]
            reads.append((slot, start, self.header(given), data[start * size : (start + length) * size]))
        return (encode_node(case.node), element, case.step, case.seed, change(reads))

    def leaves(self, leaves: Sequence[tuple[Any, ...]], refuse: bool = True) -> tuple[list[bytes], list[int]]:
        """Bytes of each element, and the gas each took; ``refuse``: raise where the executor reverted."""
        values: list[bytes] = []
        gas: list[int] = []
        batch: list[tuple[Any, ...]] = []
        size = 0
        for leaf in leaves:
            needed = 600 + len(leaf[0]) + sum(320 + len(read[2]) + len(read[3]) for read in leaf[4])
            if batch and (size + needed > BATCH_BYTES or len(batch) == BATCH_LEAVES):
                self._flush(batch, values, gas)
                batch, size = [], 0
            batch.append(leaf)
            size += needed
        if batch:
            self._flush(batch, values, gas)
        if refuse:
            for leaf, value in zip(leaves, values, strict=True):
                if value.startswith(b"revert"):
                    raise AnvilError(f"the executor refused element {leaf[1]} of {leaf[0].hex()}: {value[6:].hex()}")
        return values, gas

    def _flush(self, batch: list[tuple[Any, ...]], values: list[bytes], gas: list[int]) -> None:
        found, used = self._call("executeLeaves", _LEAVES, (self.executor, batch), ["bytes[]", "uint256[]"])
        values += found
        gas += used

    def combinations(self, rows: Sequence[tuple[Any, ...]]) -> tuple[list[bool], list[int]]:
        """Whether parts combine to what is stated, for (node, element, stated, opening reads, parts); gas."""
        return self._batched("combineRows", _ROWS, rows, ["bool[]", "uint256[]"])

    def blocks(self, blocks: Sequence[tuple[Any, ...]]) -> tuple[list[int], list[int]]:
        """The part of each (node, element, block, reads); gas."""
        return self._batched("executeBlocks", _BLOCKS, blocks, ["int64[]", "uint256[]"])

    def _batched(
        self, signature: str, types: Sequence[str], items: Sequence[tuple[Any, ...]], result: Sequence[str]
    ) -> tuple[list[Any], list[int]]:
        """Both lists that a function gives for items, of which a call takes as many as it can."""
        values: list[Any] = []
        gas: list[int] = []
        batch: list[tuple[Any, ...]] = []
        size = 0
        for place, item in enumerate(items):
            batch.append(item)
            size += 1_000 + sum(200 + len(read[3]) for read in item[3])
            if size > BATCH_BYTES or place + 1 == len(items):
                found, used = self._call(signature, types, (self.executor, batch), result)
                values += found
                gas += used
                batch, size = [], 0
        return values, gas

    def check(self, checks: Sequence[Check]) -> tuple[list[bool], list[int]]:
        """Verdict of the checker on each node, and the gas each took."""
        valid: list[bool] = []
        gas: list[int] = []
        for i in range(0, len(checks), 200):
            batch = [
                (c.node, c.index, c.node_count, c.state_count, c.constant_count, c.init, list(c.headers))
                for c in checks[i : i + 200]
            ]
            found, used = self._call("checkNodes", _CHECKS, (self.checker, batch), ["bool[]", "uint256[]"])
            valid += found
            gas += used
        return valid, gas

    def read_gas(self, header: bytes, start: int, count: int, chunks: bytes, proof: Sequence[bytes]) -> int:
        """Gas of proving one read against its tensor's root; the proof's content does not matter."""
        types = ["bytes", "uint256", "uint256", "bytes", "bytes32[]"]
        return int(self._call("measureRead", types, (header, start, count, chunks, proof), ["uint256", "bytes32"])[0])

    def path_gas(self, size: int, index: int, leaf: bytes, proof: Sequence[bytes]) -> int:
        """Gas of proving that a leaf is in a tree; the proof's content does not matter."""
        types = ["uint256", "uint256", "bytes", "bytes32[]"]
        return int(self._call("measurePath", types, (size, index, leaf, proof), ["uint256", "bytes32"])[0])

    @staticmethod
    def _array(node: Node, data: bytes) -> Array:
        if node.op is Op.STATE:
            return np.frombuffer(data, np.uint8).reshape(-1, 32)
        return np.frombuffer(data, NUMPY[node.dtype])
