"""The submitter: publishes a workload, posts the task with its escrow, fetches the trained weights."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from torch import Tensor

from lockstep.agents.base import Agent
from lockstep.agents.workload import Workload, load_workload, publish
from lockstep.chain import terms as arithmetic
from lockstep.chain.amounts import amount_text
from lockstep.chain.errors import ChainError
from lockstep.chain.lockstep import PostedTask
from lockstep.chain.types import TaskOffer
from lockstep.engine.checkpoint import parse_checkpoint
from lockstep.storage.manifest import WorkManifest, get_manifest

DEFAULT_PRICE = 1_000
"""Token base units per 10^6 units of work."""
MAX_SEGMENT_STEPS = 64
MAX_AUDITS = 64
"""Most segments the market lets one task have audited (``MarketNumbers.MAX_AUDITS``)."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a submitter wants: ``steps`` steps in segments of ``segment_steps``, ``audits`` of them drawn (None: all).

    ``price`` is in token base units per 10^6 units of work; ``wage`` and ``levy`` default to the least the deployment
    allows; windows in seconds; ``seed`` None draws one.
    """

    steps: int
    segment_steps: int = 32
    audits: int | None = 2
    price: int = DEFAULT_PRICE
    wage: int | None = None
    levy: int | None = None
    accept_window: int = 24 * 3600
    solve_window: int = 24 * 3600
    seed: int | None = None
    title: str = ""


class Submitter(Agent):
    """Posts tasks and collects their results."""

    role = "submitter"

    def offer(self, workload: Workload, order: Order) -> TaskOffer:
        """The offer an order makes of a workload on this deployment; nothing is sent."""
        parameters = self.lockstep.parameters
        if not 1 <= order.segment_steps <= MAX_SEGMENT_STEPS:
            raise ChainError(f"A segment has 1 to {MAX_SEGMENT_STEPS} steps, not {order.segment_steps}.")
        if order.steps < 1:
            raise ChainError("A task has at least one step.")
        plan = arithmetic.Plan(
            order.steps, order.segment_steps, workload.step_commitment.work, workload.init_commitment.work, order.price
        )
        segments, replay = arithmetic.segment_count(plan), arithmetic.replay_cost(plan)
        audits = segments if order.audits is None else order.audits
        if audits > MAX_AUDITS:
            raise ChainError(
                f"{audits} audits are more than the {MAX_AUDITS} one task may have. "
                "Ask for fewer, or for longer segments."
            )
        if not parameters.min_audits <= audits <= segments:
            raise ChainError(
                f"{audits} audits do not fit: this deployment asks for at least {parameters.min_audits}, "
                f"and the task has {segments} segments."
            )
        return TaskOffer(
            step_header=workload.step_commitment.header,
            init_header=workload.init_commitment.header,
            seed=secrets.randbits(64) if order.seed is None else order.seed,
            steps=order.steps,
            segment_steps=order.segment_steps,
            audits=audits,
            price=order.price,
            wage=parameters.min_wage_multiple * replay if order.wage is None else order.wage,
            levy=arithmetic.least_levy(parameters, replay, audits) if order.levy is None else order.levy,
            accept_deadline=self.lockstep.now() + order.accept_window,
            solve_window=order.solve_window,
            uri="",
        )

    def submit(self, workload: Workload, order: Order) -> PostedTask:
        """Publish, escrow and post; the task as the chain has it.

        Raises:
            ChainError: the offer does not fit the deployment, or the account cannot pay; nothing was posted

        """
        offer = self.offer(workload, order)  # what is wrong with the order is said before anything is stored
        offer = replace(offer, uri=publish(self.store, workload, order.title))
        escrow = self.lockstep.quote(offer).escrow
        have = self.lockstep.tokens(self.address)
        if have < escrow:
            raise ChainError(
                f"The escrow is {amount_text(escrow)} and {self.address} has {amount_text(have)}. "
                "Fund the account, or submit less work or at a lower price."
            )
        self.lockstep.allow(self.lockstep.vault, escrow)
        market = self.lockstep.market
        sent = self.lockstep.send(market, "submit", offer.abi(), doing="submit the task")
        task = int(self.lockstep.client.decode(market, "TaskSubmitted", sent)[0]["args"]["id"])
        self.narrate(f"posts task {task}: {order.steps} steps, {offer.audits} audits, escrow {amount_text(escrow)}")
        return self.lockstep.task(task)

    def cancel(self, posted: PostedTask) -> None:
        """Take an open task back; the escrow returns."""
        task = posted.terms.id
        self.lockstep.send(self.lockstep.market, "cancel", posted.terms.abi(), doing=f"cancel task {task}")
        self.narrate(f"cancels task {task}")

    def result(self, posted: PostedTask) -> list[Tensor]:
        """The trained state of a task whose work is committed: final checkpoint, held to the root on chain."""
        work = self.lockstep.work(posted.terms.id)
        if work is None:
            raise ChainError(f"Task {posted.terms.id} has no result yet.")
        manifest = get_manifest(self.store, work.uri, WorkManifest)
        workload = load_workload(self.store, posted.terms, posted.uri, self.memory_limit)
        return parse_checkpoint(
            self.store.get_buffer(manifest.checkpoints[-1], workload.checkpoint_limit), workload.step, work.final_root
        )

    def tick(self) -> bool:
        """A submitter waits; anybody may settle."""
        return False
