"""Lots of useful work: which of a settled task's audited segments won, and their collection."""

from __future__ import annotations

from dataclasses import dataclass

from lockstep.agents.workload import WorkloadError
from lockstep.chain import lots
from lockstep.chain.errors import Reverted
from lockstep.chain.lockstep import Lockstep, PostedTask
from lockstep.chain.types import TaskTerms
from lockstep.dispute import claims
from lockstep.storage.manifest import WorkManifest, get_manifest
from lockstep.storage.store import ArtifactStore, StorageError


@dataclass(frozen=True, slots=True)
class Winning:
    """A segment whose lot won, with what collecting it takes.

    Attributes:
        terms: of its task
        segment: its number, at least 1
        start, end: roots of the checkpoints around it, 32 bytes each
        proof: range proof of the two under the work root
        bonus: what it is paid, base units

    """

    terms: TaskTerms
    segment: int
    start: bytes
    end: bytes
    proof: list[bytes]
    bonus: int


def winnings(lockstep: Lockstep, store: ArtifactStore, posted: PostedTask) -> list[Winning]:
    """What a task won and nobody collected; empty before it settled.

    Raises:
        WorkloadError: something was won, and the store does not have the roots that were committed

    """
    terms = posted.terms
    bonus = lots.bonus(terms, terms.audits, terms.levy, lockstep.parameters)
    segments = lockstep.open_lots(terms.id) if bonus else []
    if not segments:
        return []
    roots = committed_roots(lockstep, store, posted)
    return [_winning(terms, roots, segment, bonus) for segment in segments if roots[segment - 1] != roots[segment]]


def committed_roots(lockstep: Lockstep, store: ArtifactStore, posted: PostedTask) -> list[bytes]:
    """Roots of a committed task's checkpoints, 32 bytes each, from its manifest.

    Raises:
        WorkloadError: the store does not have those that were committed

    """
    terms, work = posted.terms, lockstep.work(posted.terms.id)
    try:
        roots = [bytes.fromhex(root) for root in get_manifest(store, work.uri, WorkManifest).roots] if work else []
    except (StorageError, ValueError) as error:
        raise WorkloadError(f"the checkpoints' roots of task {terms.id} cannot be had: {error}") from None
    if work is None or len(roots) != claims.last_segment(terms) + 1 or claims.work_tree(roots).root != work.root:
        raise WorkloadError(f"the checkpoints' roots of task {terms.id} in the store are not those committed")
    return roots


def _winning(terms: TaskTerms, roots: list[bytes], segment: int, bonus: int) -> Winning:
    proof = claims.checkpoint_proof(roots, segment)
    return Winning(terms, segment, roots[segment - 1], roots[segment], proof, bonus)


def collect(lockstep: Lockstep, won: Winning) -> bool:
    """Have a winning segment credited to its solver; False where somebody just did."""
    arguments = won.terms.abi(), won.segment, won.start, won.end, won.proof
    try:
        lockstep.send(lockstep.lots, "collect", *arguments, doing=f"collect the bonus of task {won.terms.id}")
    except Reverted as error:
        if error.error != "AlreadyPaid":
            raise
        return False
    return True
