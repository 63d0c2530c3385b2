"""Checkpoints that are no state: what an agent finds in a published one, the chain confirms."""

from __future__ import annotations

import struct

import pytest
import torch

from lockstep.chain.lockstep import Lockstep
from lockstep.cli.demo.stage import Stage, job
from lockstep.dispute.starts import MalformedStart, StartPart, find_malformed
from lockstep.engine.checkpoint import checkpoint_parts, state_root
from lockstep.numerics.dtypes import DType
from lockstep.numerics.routes.carriers import TORCH
from tests.strategies.checkpoints import Raw, raw_file, raw_root, raw_state

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]

NANS = (0x7F800001, 0x7FC00001, 0xFFC00000, 0x7FFFFFFF)
WORKLOAD = job("mlp").workload
LAST = len(WORKLOAD.step.state) - 1


def state() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [
        torch.randint(-9, 9, entry.shape, generator=generator, dtype=TORCH[entry.dtype])
        if entry.dtype is DType.I32
        else torch.randn(entry.shape, generator=generator)
        for entry in WORKLOAD.step.state
    ]


def spoilt() -> list[tuple[StartPart, list[Raw]]]:
    """States that are none, each with where that shows."""
    good = raw_state(state())
    kind, shape, data = good[2]
    found = [
        (StartPart.STATE, [*good, good[0]]),
        (StartPart.STATE, good[:-1]),
        (StartPart.ENTRY, [*good[:2], (kind, (shape[0] * 2, *shape[1:]), data * 2), *good[3:]]),
        (StartPart.ENTRY, [*good[:2], (kind, tuple(reversed((1, *shape))), data), *good[3:]]),
        (StartPart.ENTRY, [*good[:2], (DType.I32, shape, data), *good[3:]]),
    ]
    for place, nan in enumerate(NANS):
        at = 4 * place * 300
        changed = data[:at] + struct.pack("<I", nan) + data[at + 4 :]
        found.append((StartPart.ENTRY_TREE, [*good[:2], (kind, shape, changed), *good[3:]]))
    return found


def confirmed(chain: Lockstep, root: bytes, proof: MalformedStart) -> bool:
    checker = chain.client.contract("StartChecker", chain.deployment.addresses["StartChecker"])
    arguments = root, WORKLOAD.step_commitment.hash, proof.abi()
    return bool(chain.client.call(checker.functions["isMalformed"](*arguments), "read isMalformed"))


def test_what_is_found_in_a_published_checkpoint_the_chain_confirms(stage: Stage) -> None:
    chain, step, commitment = stage.world.keeper_lockstep, WORKLOAD.step, WORKLOAD.step_commitment
    for part, tensors in spoilt():
        root = raw_root(tensors)
        proof = find_malformed(raw_file(tensors), step, commitment, root)
        assert proof is not None
        assert proof.part is part
        assert confirmed(chain, root, proof)
        assert find_malformed(raw_file(tensors), step, commitment, bytes(32)) is None


def test_good_checkpoints_and_unreadable_files_show_nothing() -> None:
    step, commitment, good = WORKLOAD.step, WORKLOAD.step_commitment, state()
    good[0][0, 0], good[0][0, 1], good[0][0, 2] = float("nan"), float("inf"), -0.0
    data, root = b"".join(checkpoint_parts(step, good)), state_root(good)
    assert raw_root(raw_state(good)) == root
    assert find_malformed(data, step, commitment, root) is None
    headers = [
        b"[" * 100_000,
        b"{}",
        b"[]",
        b"{" + b" " * 6,
        b'{"0":{}}',
        b'{"0":{"dtype":"F32","shape":[1],"data_offsets":[0]}}',
    ]
    texts = [struct.pack("<Q", len(header)) + header for header in headers]
    for text in (b"", data[:7], data[:100], data[:-1], struct.pack("<Q", 1 << 60) + data[8:], *texts):
        assert find_malformed(text, step, commitment, root) is None
