"""Programs that break the rules: what an agent accuses, the chain confirms; and a task with one is void."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from lockstep.agents.submitter import Order, Submitter
from lockstep.agents.verifier import Verifier
from lockstep.agents.workload import Workload, publish
from lockstep.chain.lockstep import Lockstep, PostedTask
from lockstep.chain.types import TaskState
from lockstep.cli.demo.acts import make_verifier
from lockstep.cli.demo.stage import Stage, job
from lockstep.commitments.merkle import merkle_root
from lockstep.dispute import claims
from lockstep.program import encoding
from lockstep.program.encoding import EncodingError, decode_program
from lockstep.program.faults import FaultKind, Suspect
from lockstep.program.infer import ProgramError
from lockstep.program.spec import check_program
from lockstep.storage.manifest import TaskManifest, get_manifest, put_manifest
from tests.strategies.programs import random_program_case

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]

PROGRAMS, LONG_PROGRAMS = 40, 1_000
WHOLE = ("site", "Metric", "work", "leaf of it", "costs")
"""Words of refusals that need more than one node, or a bound that only agents keep: the chain is shown nothing."""

Parts = tuple[list[bytes], list[bytes], list[bytes], list[bytes]]


def file_of(parts: Parts, chunks: int, work: int) -> tuple[bytes, bytes]:
    """A program file of encoded entries whatever they say, and its hash."""
    fields: list[object] = [encoding.VERSION]
    for place, part in enumerate(parts):
        fields += [len(part), merkle_root(part) if part else encoding.EMPTY_ROOT]
        if place == 1:
            fields.append(chunks)
    header = encoding.HEADER.pack(*fields, work)
    body = b"".join(struct.pack(">H", len(entry)) + entry for part in parts for entry in part)
    return encoding.MAGIC + header + body, encoding.hash_header(header)


def spoil(rng: np.random.Generator, parts: Parts, chunks: int) -> int:
    """Change some byte of some entry, or the header's total of chunks, which is returned."""
    place = int(rng.choice([0, 0, 0, 1, 2, 4]))
    if place == 4:
        return chunks + 1
    part = parts[place] or parts[0]
    index = int(rng.integers(0, len(part))) if rng.random() < 0.7 else len(part) - 1
    changed = bytearray(part[index])
    at = min(int(rng.integers(0, len(changed))), int(rng.choice([12, 1_000])))
    changed[at] = (changed[at] + int(rng.choice([1, 255, 16, 128]))) % 256
    part[index] = bytes(changed) if rng.random() < 0.9 else bytes(changed[:-1])
    return chunks


def refusal(data: bytes) -> str:
    """Why ``decode_program`` or ``check_program`` refuses a program file; empty where they do not."""
    try:
        program, header = decode_program(data)
        check_program(program, header)
    except (EncodingError, ProgramError) as error:
        return str(error)
    return ""


def spoilt_programs(count: int) -> Iterator[tuple[bytes, bytes]]:
    rng = np.random.default_rng(71)
    for _ in range(count):
        case = random_program_case(rng)
        made = encoding.commit_program(case.program, 1)
        parts = (list(made.node_bytes), list(made.state_bytes), list(made.constant_bytes), list(made.metric_bytes))
        yield file_of(parts, spoil(rng, parts, made.state_chunks), 1)


def test_valid_programs_are_accused_of_nothing() -> None:
    for program, init in ((job("cnn").workload.step_commitment, False), (job("cnn").workload.init_commitment, True)):
        assert list(Suspect(program.file_bytes(), program.hash, init=init).faults()) == []


def test_what_the_checker_refuses_the_chain_is_shown(stage: Stage, long: bool) -> None:
    chain, confirmed = stage.world.keeper_lockstep, set[FaultKind]()
    for data, program_hash in spoilt_programs(LONG_PROGRAMS if long else PROGRAMS):
        why = refusal(data)
        faults = [f for f in Suspect(data, program_hash, init=False).faults() if chain.is_fault(program_hash, f)]
        confirmed |= {fault.kind for fault in faults}
        if not why or any(word in why for word in WHOLE):
            assert not faults, why
        else:
            assert faults, why
    assert FaultKind.NODE in confirmed
    assert len(confirmed) >= 4


def post(stage: Stage, submitter: Submitter, workload: Workload, data: bytes) -> PostedTask:
    """Post a task whose step program is these bytes, past every check of the submitter's own."""
    offer = submitter.offer(workload, Order(8, 4, audits=None, price=10**12))
    submitter.lockstep.allow(submitter.lockstep.vault, submitter.lockstep.quote(offer).escrow)
    manifest = get_manifest(submitter.store, publish(submitter.store, workload), TaskManifest)
    uri = put_manifest(submitter.store, manifest.model_copy(update={"step": submitter.store.put(data)}))
    header, _ = encoding.split_file(data)
    chain = submitter.lockstep
    posted = replace(offer, step_header=header, uri=uri)
    sent = chain.send(chain.market, "submit", posted.abi(), doing="submit the task")
    return chain.task(int(chain.client.decode(chain.market, "TaskSubmitted", sent)[0]["args"]["id"]))


def pretend_to_solve(chain: Lockstep, posted: PostedTask) -> None:
    """Accept, acknowledge, and commit to checkpoints that are none."""
    chain.ensure_stake(chain.numbers(posted.terms).solver_deposit)
    for function in ("accept", "acknowledge"):
        chain.send(chain.market, function, posted.terms.abi(), doing=function)
    roots = [bytes([index + 1]) * 32 for index in range(claims.last_segment(posted.terms) + 1)]
    root, proof = claims.work_tree(roots).root, claims.final_proof(roots)
    chain.send(chain.market, "commit", posted.terms.abi(), root, roots[-1], proof, "nowhere", doing="commit")


def test_task_with_an_invalid_program_is_void_and_the_drawn_verifier_whole(stage: Stage) -> None:
    world, workload = stage.world, job("mlp").workload
    made = workload.step_commitment
    parts = (list(made.node_bytes), list(made.state_bytes), list(made.constant_bytes), list(made.metric_bytes))
    spoilt = bytearray(parts[0][40])
    spoilt[1] ^= 1  # another dtype
    parts[0][40] = bytes(spoilt)
    data, _ = file_of(parts, made.state_chunks, made.work)
    posted = post(stage, world.agent(Submitter, "12 submitter"), workload, data)
    verifier = make_verifier(stage, Verifier, "12 verifier", posted, 3)
    pretend_to_solve(world.party("12 solver").lockstep, posted)
    worth = world.parties["12 verifier"].worth
    assert world.run(posted.terms.id, [verifier]) is TaskState.VOID
    assert world.parties["12 verifier"].worth == worth
    world.dismiss(verifier)
