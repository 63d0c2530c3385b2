"""Checkpoints that are no state: what an agent finds in a published one, the chain confirms."""

from __future__ import annotations

import struct

import pytest
import torch

from lockstep.agents.base import Agent
from lockstep.agents.solver import Solver
from lockstep.agents.submitter import Order, Submitter
from lockstep.agents.verifier import Verifier
from lockstep.agents.whistleblower import Whistleblower
from lockstep.chain.lockstep import Lockstep, PostedTask
from lockstep.chain.types import MALFORMED, ClaimBody, SlotState, TaskState
from lockstep.cli.demo.acts import make_verifier
from lockstep.cli.demo.stage import PRICE, Stage, job
from lockstep.dispute.starts import MalformedStart, StartPart, find_malformed
from lockstep.engine.checkpoint import checkpoint_parts, state_root
from lockstep.numerics.dtypes import DType
from lockstep.numerics.routes.carriers import TORCH
from tests.strategies.checkpoints import Raw, raw_file, raw_root, raw_state

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]

SPOILT = 2
"""Number of the checkpoint that the dishonest solver spoils."""
NANS = (0x7F800001, 0x7FC00001, 0xFFC00000, 0x7FFFFFFF)
WORKLOAD = job("mlp").workload
LAST = len(WORKLOAD.step.state) - 1


class BlindVerifier(Verifier):
    """Does not look at starts: leaves showing them to others."""

    def convicts_start(self, posted: PostedTask, segment: int) -> bool:
        """Nothing."""
        return False


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


class NaNSolver(Solver):
    """Commits to a checkpoint with a NaN that no step makes, and publishes it."""

    def _commit(self, posted: PostedTask) -> bool:
        log = self._log(posted.terms.id)
        root, name = log.read()[SPOILT]
        tensors = raw_state(self.read_checkpoint(posted, name, bytes.fromhex(root)))
        kind, shape, data = tensors[0]
        tensors[0] = kind, shape, data[:8] + struct.pack("<I", NANS[0]) + data[12:]
        log.add(SPOILT, [(raw_root(tensors).hex(), self.store.put(raw_file(tensors)))])
        return super()._commit(posted)


@pytest.mark.parametrize("shown_by", ["verifier", "whistleblower"])
def test_start_that_no_replay_can_have_costs_its_solver(stage: Stage, shown_by: str) -> None:
    """The segment after the spoilt checkpoint fails, by whoever shows it, and its verifier is whole."""
    world, name = stage.world, {"verifier": "44", "whistleblower": "45"}[shown_by]
    posted = world.agent(Submitter, f"{name} submitter").submit(
        WORKLOAD, Order(4, 1, audits=None, price=PRICE, seed=int(name))
    )
    task = posted.terms.id
    solver = world.agent(NaNSolver, f"{name} solver", [task])
    kind = Verifier if shown_by == "verifier" else BlindVerifier
    agents: list[Agent] = [solver, make_verifier(stage, kind, f"{name} verifier", posted, 5)]
    if shown_by == "whistleblower":
        agents.append(world.agent(Whistleblower, f"{name} whistleblower", [task]))
    worth = world.parties[f"{name} verifier"].worth
    assert world.run(task, agents) is TaskState.REJECTED
    slots = [solver.lockstep.slot(task, segment) for segment in range(5)]
    assert [slot.standing == MALFORMED for slot in slots] == [False, False, False, True, False]
    assert slots[SPOILT].state == slots[SPOILT + 1].state == SlotState.FAILED
    assert world.parties[f"{name} verifier"].worth > worth
    world.dismiss(agents[1])  # type: ignore[arg-type]


def test_blind_claim_on_a_malformed_start_is_taken_back(stage: Stage) -> None:
    world, failed = stage.world, SPOILT + 1
    posted = world.agent(Submitter, "46 submitter").submit(WORKLOAD, Order(4, 1, audits=None, price=PRICE, seed=46))
    task = posted.terms.id
    solver = world.agent(NaNSolver, "46 solver", [task])
    early = world.agent(Whistleblower, "46 whistleblower", [task])
    verifier = make_verifier(stage, Verifier, "46 verifier", posted, 5)
    chain, held = early.lockstep, list[int]()

    def on_round() -> None:
        if not held and failed in chain.live_segments(task):
            body = ClaimBody(bytes(32), bytes(32), bytes(32), bytes(8))
            early.place(posted, failed, chain.slot(task, failed), body, "of a guess, before anybody has looked")
            held.append(chain.locked(early.address))

    # The verifier draws: who guesses does so before anybody else looks at what was drawn.
    assert world.run(task, [solver, early, verifier], on_round) is TaskState.REJECTED
    assert held == [chain.parameters.blind_bond]
    assert chain.slot(task, failed).standing == MALFORMED
    assert len(chain._logs("AuditCourt", "BlindReclaimed", claimant=early.address)) == 1
    assert not chain.is_engaged(early.address)
    assert chain.locked(early.address) == 0
    world.dismiss(verifier)


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
