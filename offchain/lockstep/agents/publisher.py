"""A solver's service to those who check it: its contractions' sums, once it is known which segments are looked at."""

from __future__ import annotations

from lockstep.agents.claimant import Claimant
from lockstep.agents.reader import DataMissingError, checkpoint_roots
from lockstep.agents.sums import publish_sums, sums_key
from lockstep.agents.workload import WorkloadError
from lockstep.chain.lockstep import PostedTask
from lockstep.engine.errors import EngineError
from lockstep.storage.store import StorageError


class SumsPublisher(Claimant):
    """Publishes the sums of every segment drawn of the tasks this account solved; it claims nothing.

    It shares the solver's journal, and so its lock: one process runs both.
    """

    role = "solver"

    def tick(self) -> bool:
        """Publish what is not published yet."""
        acted = False
        for posted in self.tasks():
            if self.lockstep.solver(posted.terms.id) != self.address:
                continue
            for segment in self.lockstep.live_segments(posted.terms.id):
                acted |= self._publish(posted, segment)
        return acted

    def _publish(self, posted: PostedTask, segment: int) -> bool:
        task, name = posted.terms.id, f"sums/{segment}"
        if segment == 0 or self.journal.get(self.scope(task), name) is not None:
            return False
        try:
            if not self.bench(posted).carried:
                self.complain(f"publishes no sums of task {task}: its contractions are too small to be worth it")
                return False
            roots = checkpoint_roots(self.published(posted))
            key = sums_key(roots[segment - 1], roots[segment])
            size = publish_sums(self.store, self.check(posted, segment).replica, key)
        except (DataMissingError, WorkloadError, StorageError, EngineError) as error:
            self.complain(f"cannot publish the sums of segment {segment} of task {task}: {error}")
            return False
        self.journal.put(self.scope(task), name, size)
        self.narrate(f"publishes the sums of segment {segment} of task {task}, {size / 1e6:,.1f} MB a step")
        return True
