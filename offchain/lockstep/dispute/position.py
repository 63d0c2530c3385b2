"""The game's state as a player sees it: the dispute, and what was revealed on the way to where it stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from lockstep.chain.types import ClaimRef, Dispute
from lockstep.commitments import merkle
from lockstep.dispute.claims import claim_key
from lockstep.dispute.transition import Phase, Side, side_to_move

Fetch = Callable[[bytes], bytes | None]
"""What was revealed under a path key: hashes one after the other, or a chunk; None if nothing was."""


def path_key(ref: ClaimRef, kind: Phase, step: int = 0, node: int = 0, level: int = 0, index: int = 0) -> bytes:
    """Key of a reveal, 32 bytes; see ``IDisputeGame.pathOf``."""
    types = ["bytes32", "uint8", "uint8", "uint32", "uint8", "uint32"]
    return keccak(encode(types, [claim_key(ref), int(kind), step, node, level, index]))


def defender_ref(dispute: Dispute) -> ClaimRef:
    """The claim under attack."""
    return ClaimRef(dispute.task, dispute.segment, dispute.round, dispute.defender_index)


def awaited_path(dispute: Dispute) -> bytes | None:
    """Key of the reveal the dispute waits for; None where it waits for the challenger."""
    phase = Phase(dispute.phase)
    if side_to_move(phase) is not Side.DEFENDER:
        return None
    ref = defender_ref(dispute)
    match phase:
        case Phase.STATES:
            return path_key(ref, phase)
        case Phase.STEP:
            return path_key(ref, phase, dispute.step)
        case _:
            return path_key(ref, phase, dispute.step, dispute.node, dispute.level, dispute.index)


def _hashes(data: bytes) -> tuple[bytes, ...]:
    return tuple(data[i : i + 32] for i in range(0, len(data), 32))


@dataclass(frozen=True, slots=True)
class Position:
    """A dispute with the reveals its next move needs.

    ``states`` are the defender's state roots. ``tree`` has, for each level of the step's tree that was opened (0:
    leaves), the hashes shown there, which are the children of the subtree on the way to the disputed node. ``chunks``
    are the hashes of the chunk tree shown last. ``data`` is the disputed chunk, or the parts of the disputed row. What
    the next move does not need is empty or None.
    """

    dispute: Dispute
    states: tuple[bytes, ...] = ()
    tree: dict[int, tuple[bytes, ...]] = field(default_factory=dict)
    chunks: tuple[bytes, ...] = ()
    data: bytes | None = None

    @property
    def phase(self) -> Phase:
        """What the side to move owes."""
        return Phase(self.dispute.phase)

    @property
    def side(self) -> Side | None:
        """Who owes it."""
        return side_to_move(self.phase)

    @classmethod
    def read(cls, dispute: Dispute, fetch: Fetch) -> Position:
        """A dispute as ``disputeOf`` gives it, with what its next move needs fetched from the events.

        Raises:
            LookupError: a reveal that the dispute's state implies was not found

        """
        phase = Phase(dispute.phase)
        if side_to_move(phase) is not Side.CHALLENGER:
            return cls(dispute)
        ref = defender_ref(dispute)

        def shown(kind: Phase, node: int, level: int, index: int) -> bytes:
            found = fetch(path_key(ref, kind, dispute.step if kind is not Phase.STATES else 0, node, level, index))
            if found is None:
                raise LookupError(
                    f"The dispute says that {kind.name.lower()} were revealed, but no event shows them; "
                    "is the node behind, or does it keep no logs?"
                )
            return found

        if phase is Phase.PICK_STEP:
            return cls(dispute, states=_hashes(shown(Phase.STATES, 0, 0, 0)) if dispute.steps > 1 else (dispute.state,))
        tree: dict[int, tuple[bytes, ...]] = {}
        top = merkle.height(dispute.node_count) - 1
        low = dispute.level if phase in (Phase.PICK_BLOCK, Phase.PICK_NODE) else 0
        for level in range(top, low - 1, -1):
            if level == top:
                tree[level] = _hashes(shown(Phase.STEP, 0, 0, 0))
                continue
            # While the step's tree is walked, `index` is the subtree that `level` shows; afterwards the node says it.
            if phase in (Phase.PICK_BLOCK, Phase.PICK_NODE):
                index = dispute.index >> (merkle.WIDTH_BITS * (level - low))
            else:
                index = dispute.node >> (merkle.WIDTH_BITS * (level + 1))
            tree[level] = _hashes(shown(Phase.NODES, 0, level, index))
        if phase is Phase.PICK_CHUNK:
            return cls(
                dispute, tree=tree, chunks=_hashes(shown(Phase.CHUNKS, dispute.node, dispute.level, dispute.index))
            )
        if phase in (Phase.PROVE, Phase.PROVE_PART):
            kind = Phase.DATA if phase is Phase.PROVE else Phase.PARTS
            return cls(dispute, tree=tree, data=shown(kind, dispute.node, 0, dispute.index))
        return cls(dispute, tree=tree)
