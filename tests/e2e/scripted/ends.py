"""Verbs that judge claims, and what came of a history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from tests.e2e.scripted.scene import WALLET, Scene


class Ends(Scene):
    """The end of a task, and who has what then."""

    def closeClaims(self, who: str) -> None:  # noqa: N802
        """Judge every claim that is not yet judged, also the places of verifiers that were silent."""
        self._close(who, lambda closed: not closed)

    def closeAgain(self, who: str) -> None:  # noqa: N802
        """Judge every claim that was judged once more."""
        self._close(who, lambda closed: closed)

    def _close(self, who: str, due: Callable[[bool], bool]) -> None:
        chain, number = self.chain(who), self.task.terms.id
        for segment in self.seen.drawn_segments(number):
            for round_ in range(self.seen.slot(number, segment).round + 1):
                for claim in self.seen.claims(number, segment, round_):
                    if due(self.seen.claim(claim.ref).closed):
                        place = (segment, round_, claim.ref.index)
                        chain.send(chain.court, "closeClaim", self.task.terms.abi(), *place, doing="close a claim")

    # What came of it

    def gains(self) -> dict[str, int]:
        """What everybody has more than before, base units; what is still locked counts as theirs."""
        found = {who: self.seen.worth(chain.client.address) - WALLET for who, chain in self.parties.items()}
        return {**found, "treasury": int(self.seen.view(self.seen.treasury, "balance"))}

    def slashed(self) -> list[str]:
        """Who lost any of what it had locked."""
        owners: dict[tuple[str, bytes], str] = {}
        names = {chain.client.address: who for who, chain in self.parties.items()}
        events: dict[str, list[tuple[str, bytes]]] = defaultdict(list)
        for event in ("Locked", "Slashed"):
            for log in self.seen._logs("StakeVault", event):
                args = log["args"]
                key = (str(args["module"]), bytes(args["engagement"]))
                events[event].append(key)
                if event == "Locked":
                    owners[key] = names[args["account"]]
        return sorted({owners[key] for key in events["Slashed"]})
