"""The revealer: holds a seat on the beacon's panel and hands in its secret for every block that a draw asks for.

Its seed is in the journal before the seat is taken, and everything else follows from seed and chain, so it may be
killed at any moment. What it must not do is be away for longer than a window: a missing secret costs the bond.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from lockstep.agents.base import Agent
from lockstep.agents.block_secrets import SEED_BYTES, BlockSecrets
from lockstep.chain.amounts import amount_text
from lockstep.chain.errors import ChainError, Reverted
from lockstep.chain.types import Draw, Seat

RACE_ERRORS = frozenset({"AlreadyRevealed", "WrongRevealWindow"})
"""Refusals that mean: somebody else was first, or it is a block too late."""


@dataclass(frozen=True, slots=True)
class _Place:
    """This account's seat, and the secrets that belong to it."""

    seat: int
    held: Seat
    tree: BlockSecrets


class Revealer(Agent):
    """One seat. ``confirmations``: blocks on a target before its secret is told, so that no reorganisation knows it."""

    role = "revealer"
    confirmations = 1

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Take what every agent takes."""
        super().__init__(*arguments, **options)
        self._tree: tuple[bytes, BlockSecrets] | None = None
        self._over: set[tuple[str, bytes]] = set()

    def withholds(self, target: int) -> bool:
        """Whether it keeps the secret for a block to itself, which costs the bond; an honest one never does."""
        del target
        return False

    # The seat

    def join(self, count: int) -> None:
        """Take a seat with secrets for the next ``count`` blocks, and lock its bond; nothing where it has one.

        Raises:
            Reverted: no seat is free, or one given up is not free yet

        """
        if self.lockstep.seat(self.address) is not None:
            return
        # The chain goes on while this is sent; the tree may begin earlier than needed, not later.
        first, seed = self.lockstep.block_number(), secrets.token_bytes(SEED_BYTES)
        tree = BlockSecrets(seed, self.address, first, count)
        self.journal.put(self._scope, tree.root.hex(), {"seed": seed.hex(), "first": first, "count": count})
        bond = self.lockstep.reveal_parameters.bond
        self.lockstep.ensure_stake(bond)
        self.lockstep.send(self.lockstep.beacon, "join", tree.root, first, count, doing="take a seat on the panel")
        self.narrate(f"takes a seat with {count:,} secrets and a bond of {amount_text(bond)}")

    def step_down(self) -> None:
        """Leave the panel; secrets of draws that are open stay due, and the bond comes back after a while."""
        self.lockstep.send(self.lockstep.beacon, "stepDown", doing="leave the panel")
        self.narrate("leaves the panel; what was asked for before is still to be revealed")

    @property
    def seated(self) -> bool:
        """Whether the account has a seat, on the panel or leaving it."""
        return self.lockstep.seat(self.address) is not None

    @property
    def _scope(self) -> str:
        return f"{self.lockstep.deployment.identity}/seat"

    def _place(self) -> _Place | None:
        found = self.lockstep.seat(self.address)
        if found is None:
            return None
        seat, held = found
        if self._tree is None or self._tree[0] != held.root:
            known = self.journal.get(self._scope, held.root.hex())
            if known is None:
                raise ChainError(
                    f"The journal does not hold the secrets of {self.address}'s seat; start with the --home that "
                    "took it. Without them the bond is lost with the next draw: `lockstep reveal --leave`."
                )
            tree = BlockSecrets(bytes.fromhex(known["seed"]), self.address, known["first"], known["count"])
            self._tree = (held.root, tree)
        return _Place(seat, held, self._tree[1])

    # Turns

    def tick(self) -> bool:
        """Reveal what is due, leave before the secrets run out, and take the bond back when it is free."""
        place = self._place()
        if place is None:
            return False
        acted = False
        for target in self._due(place):
            acted |= self._reveal(place, target)
        if place.held.left_at:
            return self._vacate(place) or acted
        if self.lockstep.block_number() + self._margin() >= place.tree.first + place.tree.count:
            self.narrate("has secrets for a few more blocks only")
            self.step_down()
            return True
        return acted

    def _margin(self) -> int:
        """Blocks from a request to the end of its window."""
        return self.lockstep.parameters.beacon_delay + self.lockstep.reveal_parameters.window_blocks

    def _due(self, place: _Place) -> list[int]:
        """Blocks whose secret is asked for and can be told now, oldest first."""
        now, window = self.lockstep.block_number(), self.lockstep.reveal_parameters.window_blocks
        return sorted(
            {
                draw.target
                for draw in self._open_draws()
                if draw.missing >> place.seat & 1
                # An older bit is that of the seat's account before this one.
                and draw.target >= place.held.joined_at + self.lockstep.parameters.beacon_delay
                and draw.target + self.confirmations <= now <= draw.target + window
                and not self.withholds(draw.target)
            }
        )

    def _open_draws(self) -> list[Draw]:
        """Values that may need this seat; one recorded a window ago is never looked at again."""
        draws: list[Draw] = []
        for key in self.lockstep.requested_draws():
            if key in self._over:
                continue
            draw = self.lockstep.draw(*key)
            draws.append(draw)
            # Not sooner: a reorganisation may undo the record, and with it this seat's secret.
            if draw.recorded and self.lockstep.block_number() > draw.target + self._margin():
                self._over.add(key)
        return draws

    def _reveal(self, place: _Place, target: int) -> bool:
        beacon, secret = self.lockstep.beacon, place.tree.secret(target)
        arguments = (place.seat, target, secret, place.tree.proof(target))
        try:
            self.lockstep.send(beacon, "reveal", *arguments, doing=f"reveal the secret for block {target}")
        except Reverted as error:
            if error.error in RACE_ERRORS:
                return False
            raise
        self.narrate(f"reveals its secret for block {target}")
        return True

    def _vacate(self, place: _Place) -> bool:
        free_from = place.held.left_at + int(self.lockstep.view(self.lockstep.beacon, "holdBlocks")) + 1
        if self.lockstep.block_number() < free_from:
            return False
        self.lockstep.send(self.lockstep.beacon, "vacate", place.seat, doing="give the seat back")
        self.narrate("gives its seat back" + ("; its bond was lost" if place.held.struck else " and has its bond free"))
        return True
