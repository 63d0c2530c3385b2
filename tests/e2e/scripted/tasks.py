"""Verbs about the task: posting it, handing in work, voiding it."""

from __future__ import annotations

from lockstep.chain.parameters import TOKEN
from lockstep.chain.types import TaskOffer
from lockstep.dispute import claims
from lockstep.program.faults import FaultKind, ProgramFault
from tests.e2e.scripted.scene import LAST, NODE, SEGMENT_STEPS, STEPS, WORK, Scene, header, root_named


class Tasks(Scene):
    """What its submitter, its solver and strangers do to a task."""

    def submit(self, who: str, levy: str = "4") -> None:
        """Post the task: an init segment and one of four steps, both audited; the levy in c."""
        chain, c = self.chain(who), SEGMENT_STEPS * TOKEN
        amounts = (TOKEN, c, int(levy) * c)
        deadline = self.anvil.now() + 3_600
        made = TaskOffer(header(WORK), header(WORK), 7, STEPS, SEGMENT_STEPS, LAST + 1, *amounts, deadline, 3_600, "")
        sent = chain.send(chain.market, "submit", made.abi(), doing="submit")
        self.posted = self.seen.task(int(chain.client.decode(chain.market, "TaskSubmitted", sent)[0]["args"]["id"]))

    def commit(self, who: str, kind: str = "right") -> None:
        """Hand in right checkpoints, or a last one that is bad."""
        self.checkpoints = [root_named("right", segment) for segment in range(LAST + 1)]
        if kind == "bad":
            self.checkpoints[LAST] = root_named("bad", LAST)
        root, proof = claims.work_tree(self.checkpoints).root, claims.final_proof(self.checkpoints)
        chain = self.chain(who)
        chain.send(
            chain.market, "commit", self.task.terms.abi(), root, self.checkpoints[-1], proof, "nowhere", doing="commit"
        )

    def voidInvalidProgram(self, who: str) -> None:  # noqa: N802
        """Show that the program's only node is none."""
        fault = ProgramFault(FaultKind.NODE, False, header(WORK), 0, (NODE,), ((),))
        chain = self.chain(who)
        chain.send(chain.market, "voidInvalidProgram", self.task.terms.abi(), fault.abi(), doing="void")

    def beginAudit(self, who: str) -> None:  # noqa: N802
        """Try to put the task where only the court puts it."""
        chain = self.chain(who)
        chain.send(chain.market, "beginAudit", self.task.terms.id, 0, doing="begin the audit")
