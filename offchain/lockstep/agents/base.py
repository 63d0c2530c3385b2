"""What all agents share: their contracts, store, journal and voice.

An agent's ``tick`` looks at the chain, does everything it can do now, and returns whether it did anything. It keeps
nothing in memory that it could not rebuild, so it may be killed at any moment and started again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lockstep.agents.journal import Journal
from lockstep.agents.replica import Workbench
from lockstep.agents.workload import load_workload
from lockstep.chain.lockstep import Lockstep, PostedTask
from lockstep.storage.store import ArtifactStore

RECOVERED = "recovered"
"""Journal's name of a manifest made of answers to demands."""
Narrate = Callable[[str], None]
"""Takes one line about what an agent just did."""


@dataclass
class Progress:
    """How far a long piece of work is; ``update(done, total, note)`` is called as it goes on."""

    update: Callable[[int, int, str], None] = field(default=lambda done, total, note: None)


class Agent:
    """One account in one role.

    ``store`` holds artifacts, ``journal`` what must survive a crash; ``narrate`` takes a line for each thing done;
    ``only`` limits the agent to some tasks (None: all of the deployment); ``processes`` share each step it computes.
    """

    role = "agent"

    def __init__(
        self,
        lockstep: Lockstep,
        store: ArtifactStore,
        journal: Journal,
        narrate: Narrate = lambda line: None,
        progress: Progress | None = None,
        memory_limit: int | None = None,
        only: Sequence[int] | None = None,
        processes: int = 1,
    ) -> None:
        self.lockstep = lockstep
        self.store = store
        self.journal = journal
        self.narrate = narrate
        self.progress = progress or Progress()
        self.memory_limit = memory_limit
        self.only = only
        self.processes = processes
        self._benches: dict[int, Workbench] = {}
        self._obstacles: set[str] = set()
        self._spent = 0.0

    @property
    def address(self) -> str:
        """The agent's account."""
        return self.lockstep.client.address

    def complain(self, line: str) -> None:
        """Tell what keeps this agent from its work, once: it meets the same obstacle at every tick."""
        if line not in self._obstacles:
            self._obstacles.add(line)
            self.narrate(line)

    def scope(self, task: int) -> str:
        """Journal scope of a task on this deployment."""
        return f"{self.lockstep.deployment.identity}/{task}"

    def uri(self, posted: PostedTask) -> str:
        """Name of the manifest of a task's programs and data: the submitter's, or one of what was demanded on chain."""
        found: str = self.journal.get(self.scope(posted.terms.id), RECOVERED, posted.uri)
        return found

    @property
    def compute_seconds(self) -> float:
        """Time this agent has spent computing steps."""
        return self._spent + sum(bench.seconds for bench in self._benches.values())

    def release(self, task: int) -> None:
        """Give back the memory that a finished task took."""
        bench = self._benches.pop(task, None)
        if bench is not None:
            self._spent += bench.seconds
            bench.close()

    def tasks(self) -> Iterator[PostedTask]:
        """The tasks this agent looks at, oldest first, each as it stands when its turn comes: perhaps much later."""
        numbers = [posted.terms.id for posted in self.lockstep.tasks()] if self.only is None else self.only
        return map(self.lockstep.task, tuple(numbers))

    def bench(self, posted: PostedTask) -> Workbench:
        """Checked programs and data of a task, loaded once.

        Raises:
            WorkloadError: the task's artifacts are missing, damaged or break the rules

        """
        task = posted.terms.id
        if task not in self._benches:
            workload = load_workload(self.store, posted.terms, self.uri(posted), self.memory_limit)
            self._benches[task] = Workbench(workload, posted.terms.seed, self.memory_limit, self.processes)
        return self._benches[task]

    def tick(self) -> bool:
        """Do what can be done now; whether anything was done."""
        raise NotImplementedError

    def turn(self) -> bool:
        """A tick that looks for new blocks once in a while, not before every question."""
        with self.lockstep.hold():
            return self.tick()


def journal_path(folder: Path, role: str, address: str) -> Path:
    """Where a role's journal lies for an account."""
    return folder / f"{role}-{address.lower()}.sqlite"
