"""An account that changes its role: whistleblower, verifier or solver, whichever pays best (``agents/roles.py``).

It leaves a role by beginning nothing new in it, ends what it has begun, and takes the next one only when nothing of its
own is open on chain: no claim, blind bond, dispute, application or task.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from lockstep.agents.answerer import Answerer
from lockstep.agents.base import Agent
from lockstep.agents.defender import Defender
from lockstep.agents.entry import Choice
from lockstep.agents.prospects import Means, read_prospects
from lockstep.agents.roles import Rules, Standing, goal, incomes, sentence, watch
from lockstep.agents.solver import Solver
from lockstep.agents.verifier import Verifier
from lockstep.agents.whistleblower import Whistleblower
from lockstep.chain.lockstep import PostedTask
from lockstep.chain.types import Slot, SlotState
from lockstep.dispute.transition import Side

STANDING = "role"
"""Journal's name of the role an account has on a deployment."""


class Watcher(Whistleblower):
    """A whistleblower that leaves alone what its account was drawn for as a verifier: it may be, for a while."""

    def contests(self, posted: PostedTask, segment: int, slot: Slot) -> str | None:
        """Why a claim of one's own is needed; None where it is drawn itself."""
        return None if _is_drawn_for(slot, self.address) else super().contests(posted, segment, slot)

    def answers(self, posted: PostedTask, segment: int, side: Side) -> bool:
        """Whether a dispute is this role's."""
        return not _is_drawn_for(self.lockstep.slot(posted.terms.id, segment), self.address)

    def open_disputes(self, posted: PostedTask, segment: int, slot: Slot) -> bool:
        """Challenge what differs from its own claim."""
        return not _is_drawn_for(slot, self.address) and super().open_disputes(posted, segment, slot)


class Drawn(Verifier):
    """A verifier that leaves alone what its account claimed as a whistleblower."""

    def answers(self, posted: PostedTask, segment: int, side: Side) -> bool:
        """Whether a dispute is this role's."""
        return _is_drawn_for(self.lockstep.slot(posted.terms.id, segment), self.address)

    def _is_drawn(self, slot: Slot) -> bool:
        return slot.state == SlotState.DRAWN and _is_drawn_for(slot, self.address)


def _is_drawn_for(slot: Slot, account: str) -> bool:
    return slot.verifier == account and not slot.is_called


class Switcher(Agent):
    """One account in the role that pays best; ``means`` is what it may use, ``rules`` when it changes.

    All roles share one journal, the whistleblower's, and so one process.
    """

    role = "whistleblower"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.watcher, self.verifier = Watcher(*arguments, **options), Drawn(*arguments, **options)
        self.solver, self.answerer = Solver(*arguments, **options), Answerer(*arguments, **options)
        self.defender = Defender(*arguments, **options)
        self.means = Means()
        window = self.lockstep.parameters.claim_window
        self.rules = Rules(patience=window, dwell=2 * window)
        self._weighed_at = -1

    def equip(self, means: Means) -> None:
        """Give every role what the account may use."""
        self.means, self.watcher.prices = means, means.prices
        self.solver.caution, self.solver.spare_fees = means.caution, means.spare_fees

    @property
    def _members(self) -> tuple[Agent, ...]:
        return self.watcher, self.verifier, self.solver, self.answerer, self.defender

    @property
    def compute_seconds(self) -> float:
        """Time this account has spent computing steps, in whichever role."""
        return sum(member.compute_seconds for member in self._members)

    def release(self, task: int) -> None:
        """Give back the memory that a finished task took."""
        for member in self._members:
            member.release(task)

    # The role

    @property
    def standing(self) -> Standing:
        """The present role, from the journal; before the first, what the draws say: a registered account verifies."""
        found = self.journal.get(self.lockstep.deployment.identity, STANDING)
        if found is None:
            return Standing(Choice.VERIFIER if self._weight() else Choice.WHISTLEBLOWER)
        better = None if found["better"] is None else Choice(found["better"])
        return Standing(**{**found, "role": Choice(found["role"]), "better": better})

    def _keep(self, standing: Standing) -> None:
        better = None if standing.better is None else standing.better.value
        facts = {**asdict(standing), "role": standing.role.value, "better": better}
        self.journal.put(self.lockstep.deployment.identity, STANDING, facts)

    def _weight(self) -> int:
        return self.lockstep.weight(self.address)

    def tick(self) -> bool:
        """Do what the role has to do; where that is nothing, see whether another pays better."""
        standing, acted = self.standing, False
        self.watcher.takes_new = self.solver.takes_new = not standing.leaving
        for member in self._working(standing.role):
            member.only, member.narrate = self.only, self.narrate
            acted |= member.tick()
        return acted or self._weigh(standing)

    def _working(self, role: Choice) -> tuple[Agent, ...]:
        """Who has something to do: a draw decided before it left the draws may still name the account."""
        if role is Choice.WHISTLEBLOWER:
            return self.verifier, self.watcher
        if role is Choice.SOLVER:
            return self.verifier, self.solver, self.answerer, self.defender
        return (self.verifier,)

    def _weigh(self, standing: Standing) -> bool:
        """Compare the roles, once a block; leave one, or take the next."""
        block = self.lockstep.block_number()
        if block == self._weighed_at:
            return False
        self._weighed_at = block
        engaged = self.lockstep.is_engaged(self.address)
        if standing.leaving:
            return self._leave(standing, engaged)
        if standing.role is Choice.VERIFIER and not engaged and self._restore():
            return True
        now, prospects = self.lockstep.now(), read_prospects(self.lockstep, self.means, self.watcher.speed)
        found = incomes(prospects)
        seen = watch(standing, found, now, self.rules)
        if goal(seen, now, self.rules) is not None:
            seen = replace(seen, leaving=True)
        if seen == standing:
            return False
        self._keep(seen)
        self.complain(sentence(seen, found, prospects, self.rules))
        return seen.leaving and self._leave(seen, engaged)

    def _leave(self, standing: Standing, engaged: bool) -> bool:
        """Leave the draws, with notice; with nothing open, take the next role. Killed in between, it does so again."""
        if self._weight():
            end = self.lockstep.notice_end(self.address)
            if end > self.lockstep.now():
                return False  # until then it is drawn, and verifies
            self.verifier.retire()
            return True
        if engaged:
            return False
        assert standing.better is not None, "A role is left for another."
        if standing.better is Choice.VERIFIER:
            self._register()
        self._keep(Standing(standing.better, since=self.lockstep.now()))
        self.narrate(f"was a {standing.role.value}, and is a {standing.better.value} now")
        return True

    def _register(self) -> None:
        if self.verifier.secrets.are_needed and not self.verifier.secrets.is_known():
            self.verifier.secrets.commit()  # another journal has the seed of the newest tree
        self.verifier.register(self.means.stake)

    def _restore(self) -> bool:
        """Be weighed by the whole stake again, where somebody noted that less of it was free."""
        whole = self.means.stake // self.lockstep.parameters.weight_unit
        if not whole or self._weight() >= whole or self.lockstep.free_stake(self.address) < self.means.stake:
            return False
        self._register()
        return True

    def explain(self) -> str:
        """The inputs and what the policy says of them now, for people; nothing is sent."""
        prospects = read_prospects(self.lockstep, self.means, self.watcher.speed)
        return sentence(self.standing, incomes(prospects), prospects, self.rules)
