"""Amounts that agents compute are the contracts' own."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from lockstep.agents.submitter import MAX_AUDITS, Order, Submitter
from lockstep.chain import terms as arithmetic
from lockstep.chain.errors import ChainError
from lockstep.chain.types import TaskOffer, TaskTerms
from lockstep.cli.demo.stage import Stage, job

pytestmark = pytest.mark.chain

OFFERS = 60


def terms_of(offer: TaskOffer) -> TaskTerms:
    """The terms that posting an offer of the demo's MLP would fix, as far as amounts depend on them."""
    workload = job("mlp").workload
    shared = {name: value for name, value in asdict(offer).items() if name not in ("step_header", "init_header", "uri")}
    return TaskTerms(
        id=0,
        submitter="",
        step_program=b"",
        init_program=b"",
        step_work=workload.step_commitment.work,
        init_work=workload.init_commitment.work,
        state_chunks=0,
        node_count=0,
        init_node_count=0,
        **shared,
    )


def test_amounts_of_random_offers_are_those_of_the_market(stage: Stage) -> None:
    submitter = stage.world.agent(Submitter, "10 submitter")
    rng = np.random.default_rng(10)
    for _ in range(OFFERS):
        segment_steps = int(rng.integers(1, 65))
        segments = int(rng.integers(2, 60))
        steps = segment_steps * (segments - 1) - int(rng.integers(0, segment_steps))
        price = int(10 ** rng.uniform(0, 18))
        order = Order(max(1, steps), segment_steps, audits=None, price=price)
        offer = submitter.offer(job("mlp").workload, order)
        terms = terms_of(offer)
        assert submitter.lockstep.numbers(terms) == submitter.lockstep.quote(offer)
        assert offer.audits == arithmetic.segment_count(terms)


def test_most_audits_are_the_contracts_most(stage: Stage) -> None:
    submitter = stage.world.agent(Submitter, "11 submitter")
    offer = submitter.offer(job("mlp").workload, Order(200, 2, audits=MAX_AUDITS, price=1_000))
    submitter.lockstep.quote(offer)
    with pytest.raises(ChainError, match="audits"):
        submitter.lockstep.quote(replace(offer, audits=MAX_AUDITS + 1))
