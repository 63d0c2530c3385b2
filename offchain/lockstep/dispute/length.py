"""How many moves a dispute takes: counts of nodes, chunks and blocks decide it, nothing that was computed does."""

from __future__ import annotations

from collections.abc import Iterable

from lockstep.commitments import merkle
from lockstep.commitments.tensor import chunk_count
from lockstep.dispute.leaf_proof import proven_types
from lockstep.dispute.transition import Phase, Side, side_to_move
from lockstep.program.graph import Program
from lockstep.program.long_rows import row_blocks


def dispute_phases(program: Program, node: int, steps: int) -> tuple[Phase, ...]:
    """Phases of a dispute about an end root that runs to ``node`` of a segment of ``steps`` steps, one a move.

    As ``transition.TURNS`` says: a reveal a level of a tree, a pick after each, the proof instead of the last pick.
    """
    levels = merkle.height(len(program.nodes))
    made = program.nodes[node]
    chunks = chunk_count(made.dtype, made.shape)
    phases = [Phase.STATES, Phase.PICK_STEP] if steps > 1 else []
    phases += [Phase.STEP, *[Phase.PICK_BLOCK, Phase.NODES] * (levels - 1), Phase.PICK_NODE]
    if chunks > 1:
        phases += [Phase.CHUNKS, Phase.PICK_CHUNK] * merkle.height(chunks)
    phases += [Phase.DATA, Phase.PROVE]
    if row_blocks(made, proven_types(program, made)) > 1:
        phases += [Phase.PARTS, Phase.PROVE_PART]
    return tuple(phases)


def moves_a_side(phases: Iterable[Phase]) -> int:
    """Moves of the side that has more of them."""
    sides = [side_to_move(phase) for phase in phases]
    return max(sides.count(side) for side in Side)


def longest_dispute(program: Program, steps: int) -> tuple[int, int]:
    """(moves a side, node): the longest dispute about an end root, and the first node it may run to."""
    return max(
        ((moves_a_side(dispute_phases(program, node, steps)), node) for node in range(len(program.nodes))),
        key=lambda found: (found[0], -found[1]),
    )
