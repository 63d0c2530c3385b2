"""A party's own run of a segment, and what it can say and show of it: end, digest, claim, evidence."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from lockstep.agents.reader import Link, Reader
from lockstep.agents.replica import Replica, Shortcut, Tamper
from lockstep.agents.sums import find_sums, sums_key
from lockstep.agents.traces import publish_trace
from lockstep.chain.lockstep import PostedTask
from lockstep.chain.types import ClaimBody, Slot
from lockstep.dispute import claims
from lockstep.dispute.digest import DigestKey, ReplayDigest
from lockstep.dispute.evidence import Ending, Evidence
from lockstep.engine.checkpoint import state_root
from lockstep.engine.committed import reads_committed


@dataclass(frozen=True, slots=True)
class Checked:
    """A party's own run of a segment: what it ends in, and its digest."""

    replica: Replica
    start_root: bytes
    checkpoint_root: bytes
    end_root: bytes


class Replayer(Reader):
    """Replays segments, and makes of its runs what a claim and its defence need.

    ``publishes_trace``: whether its claims come with the trace of the run, which costs hashing everything and lets
    anybody convict a lie in one transaction. ``uses_sums``: whether it checks contractions by the sums that the solver
    published, where it did, and computes only the rest.
    """

    publishes_trace = False
    uses_sums = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._checked: dict[tuple[int, int], Checked] = {}

    def release(self, task: int) -> None:
        """Give back the memory that a finished task took."""
        super().release(task)
        self._checked = {key: checked for key, checked in self._checked.items() if key[0] != task}

    def tamper(self, posted: PostedTask, segment: int) -> Tamper | None:
        """What this party changes in its run of a segment: nothing."""
        return None

    def check(self, posted: PostedTask, segment: int) -> Checked:
        """This party's own run of a segment, made once.

        Raises:
            DataMissingError: the solver's checkpoints cannot be had
            WorkloadError: the task's programs or data cannot be had or break the rules

        """
        key = (posted.terms.id, segment)
        known = self._checked.get(key)
        if known is not None and known.replica.committed and not self._is_current(posted, segment, known):
            del self._checked[key]  # another draw: such a program reads its value
        if key not in self._checked:
            link, start = self.link(posted, segment), self.start(posted, segment)
            first, steps = claims.first_step(posted.terms, segment), claims.segment_steps(posted.terms, segment)
            replica = Replica(
                self.bench(posted),
                segment,
                start,
                first,
                steps,
                self.tamper(posted, segment),
                self._shortcut(posted, segment, steps, link),
                self.committed(posted, segment),
            )
            self._checked[key] = Checked(
                replica,
                link.start,
                link.checkpoint,
                state_root(replica.run()),
            )
        return self._checked[key]

    def _is_current(self, posted: PostedTask, segment: int, checked: Checked) -> bool:
        """Whether a run read the value of the segment's present draw."""
        value = self.lockstep.slot(posted.terms.id, segment).beacon_value
        return checked.replica.committed[-1].numpy().tobytes() == value

    def _shortcut(self, posted: PostedTask, segment: int, steps: int, link: Link) -> Shortcut | None:
        """The check of the sums published for a segment."""
        if not self.uses_sums or segment == 0 or reads_committed(self.bench(posted).workload.step):
            return None
        task, key = posted.terms.id, sums_key(link.start, link.checkpoint)
        what = f"segment {segment} of task {task}"
        sums = find_sums(self.store, self.bench(posted), key, steps, what, self.narrate)
        if sums is None:
            return None
        self.narrate(f"checks {what} by the sums that were published")
        return sums.advance

    def digest(self, posted: PostedTask, segment: int, slot: Slot, claimant: str) -> bytes:
        """The replay digest that ``claimant`` should have posted, from this party's own run."""
        replica = self.check(posted, segment).replica
        key = DigestKey.of(slot.beacon_value, claimant, posted.terms.id, segment, slot.round)
        digest = ReplayDigest(key, self.bench(posted).workload.step.state)
        for step in range(replica.steps):
            digest.add(replica.state_after(step))
        return digest.value

    def body(self, posted: PostedTask, segment: int, slot: Slot) -> ClaimBody:
        """What this party says about a segment."""
        checked = self.check(posted, segment)
        return ClaimBody(
            checked.start_root,
            checked.checkpoint_root,
            checked.end_root,
            self.digest(posted, segment, slot, self.address),
            claims.make_commitment(self.secret(posted, segment, slot)),
            self.trace_root(posted, segment),
        )

    def secret(self, posted: PostedTask, segment: int, slot: Slot) -> bytes:
        """The secret behind a claim's commitment, kept in the journal."""
        scope, name = self.scope(posted.terms.id), f"secret/{segment}/{slot.round}"
        known = self.journal.get(scope, name)
        if known is None:
            known = secrets.token_hex(32)
            self.journal.put(scope, name, known)
        return bytes.fromhex(known)

    def trace_root(self, posted: PostedTask, segment: int) -> bytes:
        """Root of the trace this party publishes beside its claim; zero: it publishes none."""
        if not self.publishes_trace:
            return bytes(32)
        return publish_trace(self.store, self.check(posted, segment).replica)

    def evidence(self, posted: PostedTask, segment: int) -> Evidence:
        """What this party can show for its run."""
        checked, link = self.check(posted, segment), self.link(posted, segment)
        commitment = self.bench(posted).workload.commitment(segment)
        path = claims.end_inclusion(posted.terms, segment, (link.start, link.checkpoint), link.proof)
        ending = Ending(link.checkpoint, tuple(path))
        return Evidence(checked.replica, commitment, posted.terms.seed, checked.start_root, ending)
