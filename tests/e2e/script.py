"""Plays a history line by line: each line is one transaction, a wait, or a transaction that must be refused.

No model is trained: checkpoints are hashes that stand for states, and disputes end by the clocks. Who makes the real
moves of a real run is tested elsewhere; here it is who may do what, when, and who pays. A line is

    WHO WHAT [ARGUMENTS] [-> ERROR]

``WHAT`` is one of ``VERBS``, or a function of the contracts that takes the task's terms alone.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lockstep.chain.errors import Reverted
from tests.e2e.scripted.claims import Claims
from tests.e2e.scripted.disputes import Disputes
from tests.e2e.scripted.ends import Ends
from tests.e2e.scripted.scene import LAST, fund
from tests.e2e.scripted.tasks import Tasks

__all__ = ["LAST", "VERBS", "Script", "fund"]


class Script(Tasks, Claims, Disputes, Ends):
    """One task on one deployment, played line by line."""

    def play(self, line: str) -> None:
        """Play one line."""
        told, _, error = (part.strip() for part in line.partition("->"))
        who, what, *arguments = told.split()
        if what == "waits":
            self._wait(*arguments)
            return
        if not error:
            self._act(who, what, arguments)
            return
        with pytest.raises(Reverted) as refused:
            self._act(who, what, arguments)
        assert refused.value.error == error, line

    def _act(self, who: str, what: str, arguments: list[str]) -> None:
        if what in VERBS:
            VERBS[what](self, who, *arguments)
        else:
            self._call(who, what)

    def _call(self, who: str, function: str) -> None:
        """A call that takes the task's terms, and nothing else."""
        chain = self.chain(who)
        for contract in (chain.market, chain.court, chain.ledger):
            if any(entry.get("name") == function for entry in contract.abi):
                chain.send(contract, function, self.task.terms.abi(), doing=function)
                return
        raise AssertionError(f"There is no {function}.")


VERBS: dict[str, Callable[..., None]] = {
    verb.__name__: verb
    for verb in (
        Script.submit,
        Script.commit,
        Script.voidInvalidProgram,
        Script.beginAudit,
        Script.enrol,
        Script.registerVerifier,
        Script.redraw,
        Script.finalize,
        Script.postClaim,
        Script.openSecret,
        Script.placeBlind,
        Script.unblind,
        Script.reclaimBlind,
        Script.forfeitBlind,
        Script.disputes,
        Script.revealStates,
        Script.timeout,
        Script.withdraw,
        Script.closeClaims,
        Script.closeAgain,
    )
}
"""What a line may say; anything else is a call that takes the task's terms alone."""
