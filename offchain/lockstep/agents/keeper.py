"""The calls anybody may make so that nothing gets stuck: draws, finality, settlement, time.

Every role does them for the tasks it has a stake in; a keeper does nothing else. Each is tried only when the chain's
state says that it is due, and losing the race to somebody else is no error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from lockstep.agents.base import Agent
from lockstep.agents.blinds import forfeit, forgotten
from lockstep.agents.stalls import Stalls
from lockstep.chain.amounts import amount_text
from lockstep.chain.errors import Reverted
from lockstep.chain.lockstep import PostedClaim, PostedTask
from lockstep.chain.options import TaskOptions
from lockstep.chain.selection import draw_key
from lockstep.chain.types import DemandState, Slot, SlotState, TaskState
from lockstep.dispute import claims
from lockstep.dispute.transition import Outcome

RACE_ERRORS = frozenset(
    {
        "WrongState",
        "WrongTaskState",
        "WrongTerms",  # the solver has committed meanwhile
        "WrongSlot",
        "WrongPhase",
        "Moot",
        "WrongWindow",
        "AlreadyClosed",
        "SecretAwaited",
        "AlreadyRequested",
        "NothingToClose",
        "DrawPending",
        "DeadlinePassed",
        "TooEarly",
        "ClockRunning",
        "DeadlineNotPassed",
        "StillLive",
        "DisputesOpen",
        "NotExpired",
        "Unrevealed",
        "NothingMissing",
        "WrongRevealWindow",
        "WrongDemand",
        "DemandPending",
        "NothingToPay",
    }
)
"""Refusals that mean: somebody else was first, or it is a block too early."""

SCAN_STEPS = 64
"""Claims one finalize looks at."""


class Keeper(Agent):
    """Drives tasks onward by whatever permissionless call is due."""

    role = "keeper"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._stalls = Stalls()

    def tick(self) -> bool:
        """Make every call that is due."""
        acted = self._collect_arrears()
        for posted in self.tasks():
            acted |= self.keep(posted)
        return acted

    def _collect_arrears(self) -> bool:
        """Have the treasury pay what it owes this account; where it lacks the money, out of forgotten blind claims.

        Their bonds go to the treasury whoever calls, so only whom it owes gains by the call.
        """
        lockstep = self.lockstep
        owing, bond = int(lockstep.view(lockstep.treasury, "arrearsOf", self.address)), lockstep.parameters.blind_bond
        if not owing:
            return False
        missing = owing - int(lockstep.view(lockstep.treasury, "balance"))
        if missing > 0 and bond:
            count = forfeit(lockstep, forgotten(lockstep)[: -(-missing // bond)])
            if count:
                self.narrate(f"has {count} forgotten blind claims forfeited to the treasury, which owes it money")
        # Less than a bond is not worth a transaction of its own.
        if int(lockstep.view(lockstep.treasury, "balance")) < min(owing, max(bond, 1)):
            return False
        before = lockstep.owed(self.address)
        if not self._try(lambda: lockstep.send(lockstep.treasury, "payArrears", self.address, doing="be paid arrears")):
            return False
        self.narrate(f"is paid {amount_text(lockstep.owed(self.address) - before)} that the treasury owed it")
        return True

    def keep(self, posted: PostedTask) -> bool:
        """Make the calls that are due for one task."""
        task = posted.terms.id
        state, now = self.lockstep.state(task), self.lockstep.now()
        late = now > self.lockstep.deadline(task)
        match state:
            case TaskState.OPEN if TaskOptions.unpack(posted.terms.options).apply_deadline and self._select(posted):
                return True
            case TaskState.OPEN if now > posted.terms.accept_deadline and late:
                return self._market(posted, "cancel", "nobody accepted in time")
            case TaskState.ACCEPTED if late:
                return self._market(posted, "giveBack", "the solver did not acknowledge in time")
            case TaskState.SOLVING if late:
                return self._market(posted, "expire", "the solver did not commit in time")
            case TaskState.COMMITTED if late:
                return self._market(posted, "expireUndrawn", "no audits could be drawn in time")
            case TaskState.COMMITTED:
                return self._draw(posted)
            case TaskState.AUDITING:
                return self._audit(posted, now)
            case _ if state.terminal:
                return self._close(posted)
        return False

    def _select(self, posted: PostedTask) -> bool:
        """Close the applications for a task, and draw its solver, when that is due."""
        task, now = posted.terms.id, self.lockstep.now()
        selection = self.lockstep.selection(task)
        if not selection.closed:
            last = TaskOptions.unpack(posted.terms.options).apply_deadline
            if not selection.count or not last < now <= posted.terms.accept_deadline:
                return False
            return self._market(posted, "closeApplications", f"{selection.count} applied")
        if now > self.lockstep.deadline(task):
            return False
        drawn = (self.lockstep.market.address, draw_key(task))
        if not self._beacon_ready(*drawn):
            return self._strike(*drawn)
        try:
            return self._market(posted, "drawSolver", "the random value is known")
        except Reverted as error:
            if error.error == "Expired":
                return self._renew(*drawn)
            raise

    def _try(self, act: Callable[[], object]) -> bool:
        try:
            act()
        except Reverted as error:
            if error.error in RACE_ERRORS:
                return False
            raise
        return True

    def _market(self, posted: PostedTask, function: str, why: str) -> bool:
        task, market = posted.terms.id, self.lockstep.market
        done = self._try(
            lambda: self.lockstep.send(market, function, posted.terms.abi(), doing=f"{function} task {task}")
        )
        if done:
            self.narrate(f"{function} on task {task}: {why}")
        return done

    def _court(self, posted: PostedTask, function: str, *arguments: object, doing: str) -> bool:
        court = self.lockstep.court
        return self._try(lambda: self.lockstep.send(court, function, posted.terms.abi(), *arguments, doing=doing))

    def _is_stalled(self, task: int, segment: int | None) -> bool:
        """Whether a draw is left alone for now."""
        return self._stalls.is_paused((task, segment), self.lockstep.now())

    def _note_stall(self, task: int, segment: int | None) -> None:
        """A draw has found nobody; say so where it is left alone from now on."""
        pause = self._stalls.note((task, segment), self.lockstep.now())
        if pause:
            what = f"task {task}" if segment is None else f"segment {segment} of task {task}"
            self.narrate(f"finds nobody with stake to spare to verify {what}, and tries again in {pause} s")

    def _draw(self, posted: PostedTask) -> bool:
        task = posted.terms.id
        if self._is_stalled(task, None):
            return False
        drawn = (self.lockstep.market.address, task.to_bytes(32, "big"))
        if not self._beacon_ready(*drawn):
            return self._strike(*drawn)
        try:
            if not self._court(posted, "drawAudits", doing=f"draw the audits of task {task}"):
                return False
        except Reverted as error:
            if error.error == "Expired":
                return self._renew(*drawn)
            if error.error != "NoVerifier":
                raise
            return False  # a verifier may still register, and if none does there is a deadline
        segments = self.lockstep.drawn_segments(task)
        if segments:
            self.narrate(f"draws segments {', '.join(map(str, sorted(segments)))} of task {task}")
        elif self.lockstep.state(task) is TaskState.COMMITTED:
            self._note_stall(task, None)
        return True

    def _beacon_ready(self, consumer: str, key: bytes) -> bool:
        draw = self.lockstep.draw(consumer, key)
        return bool(draw.target) and self.lockstep.block_number() > draw.target and not draw.missing

    def _strike(self, consumer: str, key: bytes) -> bool:
        """Call time on revealers whose secrets are late: they lose their bonds, and another block is drawn."""
        draw, window = self.lockstep.draw(consumer, key), self.lockstep.reveal_parameters.window_blocks
        if not draw.missing or self.lockstep.block_number() <= draw.target + window:
            return False
        beacon = self.lockstep.beacon
        done = self._try(
            lambda: self.lockstep.send(beacon, "strike", consumer, key, doing="call time on missing secrets")
        )
        if done:
            self.narrate(f"calls time on {draw.missing.bit_count()} missing secrets of block {draw.target}")
        return done

    def _renew(self, consumer: str, key: bytes) -> bool:
        """Ask for another random value: nobody used the first while its block was within reach."""
        beacon = self.lockstep.beacon
        return self._try(
            lambda: self.lockstep.send(beacon, "renew", consumer, key, doing="ask for another random value")
        )

    def _audit(self, posted: PostedTask, now: int) -> bool:
        task = posted.terms.id
        acted = self._close_demands(posted) or self._call_time(posted, now)
        final = True
        for segment in self.lockstep.audited_segments(task):
            slot = self.lockstep.slot(task, segment)
            if slot.state == SlotState.REDRAWING:
                acted |= self._redraw(posted, segment) or self._finalize(posted, segment)
            elif slot.state == SlotState.DRAWN:
                windows = self.lockstep.windows(task, segment)
                if slot.claims > 1 or not self._has_lone_claim(posted, segment):
                    missed = slot.claims <= 1 and now > windows.unblind
                    if (now > windows.open or missed) and not slot.open_disputes:
                        acted |= self._finalize(posted, segment)
            slot = self.lockstep.slot(task, segment)
            over = slot.state == SlotState.DRAWN and now > self.lockstep.windows(task, segment).open
            final &= slot.state not in (SlotState.DRAWN, SlotState.REDRAWING) or (over and not slot.open_disputes)
        return (self._settle(posted) if final else False) or acted

    def _close_demands(self, posted: PostedTask) -> bool:
        """End demands that were not answered in time, which fails their segments, or whose segments have ended."""
        acted, task, now = False, posted.terms.id, self.lockstep.now()
        over = self.lockstep.state(task).terminal
        for demand in self.lockstep.demands(task):
            if demand.answer is not None or self.lockstep.demand(demand.id).state != DemandState.OPEN:
                continue
            slot = self.lockstep.slot(task, demand.piece.segment)
            if not over and slot.state in (SlotState.DRAWN, SlotState.REDRAWING) and now <= demand.deadline:
                continue
            board, piece = self.lockstep.data_demands, demand.piece.abi()
            if self._try(partial(self.lockstep.send, board, "close", piece, doing="end a demand for data")):
                self.narrate(f"ends a demand for data of segment {demand.piece.segment} of task {task}")
                acted = True
        return acted

    def _redraw(self, posted: PostedTask, segment: int) -> bool:
        task = posted.terms.id
        if self._is_stalled(task, segment):
            return False
        drawn = (
            self.lockstep.court.address,
            claims.redraw_key(task, segment, self.lockstep.slot(task, segment).round + 1),
        )
        if not self._beacon_ready(*drawn):
            return self._strike(*drawn)
        try:
            if not self._court(posted, "redraw", segment, doing=f"redraw segment {segment}"):
                return False
            if self.lockstep.slot(task, segment).state == SlotState.REDRAWING:
                self._note_stall(task, segment)
            return True
        except Reverted as error:
            if error.error == "Expired":
                return self._renew(*drawn)
            if error.error != "NoVerifier":
                raise
            return False  # until its deadline; then the segment ends without

    def _has_lone_claim(self, posted: PostedTask, segment: int) -> bool:
        slot = self.lockstep.slot(posted.terms.id, segment)
        return len(self.lockstep.claims(posted.terms.id, segment, slot.round)) == 1

    def _finalize(self, posted: PostedTask, segment: int) -> bool:
        task = posted.terms.id
        done = self._court(posted, "finalize", segment, SCAN_STEPS, doing=f"finalize segment {segment}")
        if done:
            state = SlotState(self.lockstep.slot(task, segment).state)
            self.narrate(f"finalizes segment {segment} of task {task}: {state.name.lower()}")
        return done

    def _settle(self, posted: PostedTask) -> bool:
        task = posted.terms.id
        done = self._try(
            lambda: self.lockstep.send(self.lockstep.market, "settle", posted.terms.abi(), doing=f"settle task {task}")
        )
        if done:
            self.narrate(f"settles task {task}: {self.lockstep.state(task).name.lower()}")
        return done

    def _game(self, function: str, number: int) -> bool:
        game = self.lockstep.game
        return self._try(lambda: self.lockstep.send(game, function, number, doing=f"{function} dispute {number}"))

    def _call_time(self, posted: PostedTask, now: int) -> bool:
        """Call time on whoever's clock ran out, and withdraw what decides nothing any more."""
        acted, game = False, self.lockstep.game
        for number in self.lockstep.disputes(posted.terms.id):
            dispute = self.lockstep.dispute(number)
            if dispute.outcome != Outcome.NONE:
                continue
            if self.lockstep.is_moot(dispute):
                acted |= self._game("withdraw", number)
            elif now > self.lockstep.view(game, "deadlineOf", number):
                done = self._game("timeout", number)
                if done:
                    outcome = Outcome(self.lockstep.dispute(number).outcome)
                    self.narrate(f"calls time in dispute {number}: {outcome.name.lower().replace('_', ' ')}")
                acted |= done
        return acted

    def _close(self, posted: PostedTask) -> bool:
        """Judge every claim of an ended task that is not judged yet."""
        task, acted = posted.terms.id, self._close_demands(posted)
        acted |= self._call_time(posted, self.lockstep.now())
        due: list[PostedClaim] = []
        for segment in self.lockstep.audited_segments(task):
            slot = self.lockstep.slot(task, segment)
            for round_ in slot.rounds:
                due += [
                    claim
                    for claim in self.lockstep.claims(task, segment, round_)
                    if not self.lockstep.claim(claim.ref).closed and not self.lockstep.awaits_secret(claim)
                ]
            acted |= self._free_drawn(posted, segment, slot)
        return self._judge(posted, due) or acted

    def _free_drawn(self, posted: PostedTask, segment: int, slot: Slot) -> bool:
        """Give a drawn verifier its deposit back where the segment ended before it had to claim."""
        task = posted.terms.id
        if any(claim.ref.index == 0 for claim in self.lockstep.claims(task, segment, slot.round)):
            return False
        key = claims.engagement_key(task, segment, slot.round, slot.verifier)
        account, _ = self.lockstep.view(self.lockstep.vault, "engagementOf", self.lockstep.court.address, key)
        if account != slot.verifier and not slot.held:
            return False
        return self._court(posted, "closeClaim", segment, slot.round, 0, doing="give a drawn verifier its deposit back")

    def _judge(self, posted: PostedTask, due: Sequence[PostedClaim]) -> bool:
        """Close claims, many to a transaction; each for itself where one of them is refused."""
        calls = [(posted.terms.abi(), ref.segment, ref.round, ref.index) for ref in (claim.ref for claim in due)]
        try:
            self.lockstep.send_all("closeClaim", calls, doing=f"close claims on task {posted.terms.id}")
        except Reverted as error:
            if len(due) > 1:
                return sum(self._judge(posted, [claim]) for claim in due) > 0
            if error.error in RACE_ERRORS:
                return False
            raise
        for claim in due:
            self.narrate(
                f"closes the claim of {claim.claimant[:8]}… on segment {claim.ref.segment} of task {posted.terms.id}"
            )
        return bool(due)
