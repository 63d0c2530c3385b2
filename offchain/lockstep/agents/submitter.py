"""The submitter: publishes a workload, posts the task with its escrow, fetches the trained weights."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from torch import Tensor

from lockstep.agents.base import Agent
from lockstep.agents.nearness import tolerant
from lockstep.agents.workload import Workload, load_workload, publish, stacked
from lockstep.chain import lots
from lockstep.chain import terms as arithmetic
from lockstep.chain.amounts import amount_text
from lockstep.chain.errors import ChainError
from lockstep.chain.lockstep import PostedTask
from lockstep.chain.options import TaskOptions
from lockstep.chain.types import TaskOffer, TaskState
from lockstep.dispute import claims
from lockstep.engine.checkpoint import checkpoint_parts, parse_checkpoint
from lockstep.program.tolerance import Schedule, Tolerance
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
    allows; windows in seconds; ``seed`` None draws one, or is the parent's. ``parent`` is the settled task that this
    one goes on from (0: none), ``first_step`` its first value of STEP (None: where the parent ended).
    ``apply_window`` above 0: the solver is drawn among those who apply in it; ``family`` as in ``TaskOptions``.
    ``prize``: what an audited segment whose lot wins is to be paid at least; the levy follows from it.
    """

    steps: int
    segment_steps: int = 32
    audits: int | None = 2
    price: int = DEFAULT_PRICE
    wage: int | None = None
    levy: int | None = None
    prize: int = 0
    accept_window: int = 24 * 3600
    solve_window: int = 24 * 3600
    seed: int | None = None
    title: str = ""
    parent: int = 0
    first_step: int | None = None
    apply_window: int = 0
    family: int = 0


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
            order.steps, order.segment_steps, workload.step_commitment.work, workload.init_work, order.price
        )
        segments = arithmetic.segment_count(plan) - (order.parent != 0)
        replay = arithmetic.replay_cost(plan)
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
        now, options, seed = self.lockstep.now(), self._options(order), order.seed
        if seed is None:
            seed = self.lockstep.task(order.parent).terms.seed if order.parent else secrets.randbits(64)
        return TaskOffer(
            step_header=workload.step_commitment.header,
            init_header=workload.commitment(0).header if workload.start is None else self.parent_header(order.parent),
            seed=seed,
            steps=order.steps,
            segment_steps=order.segment_steps,
            audits=audits,
            price=order.price,
            wage=arithmetic.least_wage(parameters, replay) if order.wage is None else order.wage,
            levy=self._levy(order, replay, audits),
            accept_deadline=now + order.accept_window,
            solve_window=order.solve_window,
            uri="",
            options=options.pack(),
        )

    def _levy(self, order: Order, cost: int, audits: int) -> int:
        """The least there may be, and what the wanted prize needs."""
        if order.levy is not None:
            return order.levy
        parameters = self.lockstep.parameters
        wanted = lots.levy_for(order.prize, cost, audits, parameters)
        return max(arithmetic.least_levy(parameters, cost, audits), wanted)

    def _options(self, order: Order) -> TaskOptions:
        if order.first_step is not None and not order.parent:
            raise ChainError("Only a task with a parent may begin at another step than 0.")
        if order.apply_window > order.accept_window:
            raise ChainError("Applications cannot be open for longer than the task is.")
        first = order.first_step or 0
        if order.parent and order.first_step is None:
            before = self.lockstep.task(order.parent).terms
            first = TaskOptions.unpack(before.options).first_step + before.steps
        deadline = self.lockstep.now() + order.apply_window if order.apply_window else 0
        return TaskOptions(order.parent, first, deadline, order.family if deadline else 0)

    def tolerate(self, workload: Workload, order: Order, tolerance: Tolerance) -> Workload:
        """The same work in tolerance mode, for this order's segments; raises as ``tolerant``."""
        schedule = Schedule(self._options(order).first_step, order.steps, order.segment_steps)
        return tolerant(workload, tolerance, schedule)

    # Stacked tasks

    def parent_header(self, parent: int) -> bytes:
        """Header of the step program of the task that another one goes on from."""
        posted = self.lockstep.task(parent)
        return load_workload(self.store, posted.terms, posted.uri, self.memory_limit).step_commitment.header

    def stack(self, workload: Workload, parent: int) -> Workload:
        """The same work from where a settled task ended; its last checkpoint is published anew.

        Raises:
            ChainError: the task has not settled, or its state is another one's
            WorkloadError, StorageError: its programs or its checkpoint cannot be had

        """
        posted = self.lockstep.task(parent)
        state = self.lockstep.state(parent)
        if state is not TaskState.SETTLED:
            raise ChainError(f"Task {parent} is {state.name.lower()}; only a settled task can be gone on from.")
        before = load_workload(self.store, posted.terms, posted.uri, self.memory_limit)
        if before.step.state != workload.step.state:
            raise ChainError(f"The state of task {parent} has other tensors than the state of this program.")
        start = self.store.put_parts(checkpoint_parts(before.step, self.result(posted)))
        return stacked(workload, start)

    def _parent_arguments(self, parent: int) -> tuple[object, ...]:
        """What ``submitStacked`` takes beside the offer: the parent's terms, its final root and the proof of it."""
        posted, work = self.lockstep.task(parent), self.lockstep.work(parent)
        assert work is not None, "A settled task has work."
        roots = [bytes.fromhex(root) for root in get_manifest(self.store, work.uri, WorkManifest).roots]
        if claims.work_tree(roots).root != work.root:
            raise ChainError(f"The manifest of task {parent}'s work does not list what its solver committed to.")
        return posted.terms.abi(), work.final_root, claims.final_proof(roots)

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
        if order.parent:
            proof = self._parent_arguments(order.parent)
            sent = self.lockstep.send(market, "submitStacked", offer.abi(), *proof, doing="submit the task")
        else:
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
