"""The game itself, without a chain: the rules of ``contracts/dispute``, folding included.

For tests of the player and for simulations. It knows nothing of money: it keeps who won. Time is a number the caller
passes. The executor is a function, so that it runs on a toy machine as well as on the reference arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from eth_utils.crypto import keccak

from lockstep.chain.types import ClaimBody, ClaimRef, Dispute, TaskTerms
from lockstep.commitments import merkle
from lockstep.commitments.tensor import CHUNK_BYTES, chunk_count, root_from_tree
from lockstep.dispute import claims, transition
from lockstep.dispute.digest import DigestKey, entry_at
from lockstep.dispute.moves import (
    Move,
    PickBlock,
    PickChunk,
    PickElement,
    PickNode,
    PickStep,
    Prove,
    ProveDigest,
    ProvePart,
    RevealChunks,
    RevealData,
    RevealNodes,
    RevealParts,
    RevealStates,
    RevealStep,
)
from lockstep.dispute.one_shot import OneShot
from lockstep.dispute.position import Position, awaited_path, defender_ref, path_key
from lockstep.dispute.proofs import (
    Executor,
    IllegalMoveError,
    LeafPlace,
    ProgramView,
    WorkPlace,
    open_row,
    parts_combine,
    require,
    require_false_digest,
    require_false_leaf,
    require_false_part,
    require_false_trace,
)
from lockstep.dispute.transition import TURNS, Outcome, Phase, Side, side_to_move
from lockstep.numerics.dtypes import ITEMSIZE
from lockstep.program.encoding import decode_node
from lockstep.program.graph import Node
from lockstep.program.long_rows import decode_parts


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim as the game sees it."""

    ref: ClaimRef
    claimant: str
    body: ClaimBody


@dataclass(frozen=True, slots=True)
class Rules:
    """What is fixed about every dispute: seconds a side has in all, and for a move at least."""

    clock: int = 3600
    increment: int = 600
    work_rate: int = 0


class Game:
    """Disputes about one task's claims."""

    def __init__(
        self,
        terms: TaskTerms,
        beacon_value: bytes,
        executor: Executor,
        rules: Rules | None = None,
    ) -> None:
        self.terms = terms
        self.beacon_value = beacon_value
        self.executor = executor
        self.rules = rules or Rules()
        self.disputes: list[Dispute] = []
        self.claims: dict[bytes, Claim] = {}
        self.convicted: set[tuple[bytes, bool]] = set()
        self._revealed: dict[bytes, tuple[int, bytes | None, bytes]] = {}

    # Claims and opening

    def add_claim(self, claim: Claim) -> None:
        """Let a claim be known."""
        self.claims[claims.claim_key(claim.ref)] = claim

    def open(self, defender: ClaimRef, challenger: ClaimRef, now: int, digest_step: int | None = None) -> int:
        """Open a dispute about the end root, or about a digest entry; its number."""
        digest = digest_step is not None
        accused, accuser = self.claims[claims.claim_key(defender)], self.claims[claims.claim_key(challenger)]
        require((claims.claim_key(defender), digest) not in self.convicted, "The claim is convicted.")
        require(accused.claimant != accuser.claimant, "A claimant cannot dispute itself.")
        require(digest or accused.body.end_root != accuser.body.end_root, "The end roots are equal.")
        steps = claims.segment_steps(self.terms, defender.segment)
        nodes = claims.segment_nodes(self.terms, defender.segment)
        require(not digest or digest_step < steps, "The segment has no such step.")  # type: ignore[operator]
        work = claims.segment_work(self.terms, defender.segment)
        budget = transition.budget(self.rules.clock, work, self.rules.work_rate)
        self.disputes.append(
            Dispute(
                task=defender.task,
                segment=defender.segment,
                round=defender.round,
                defender_index=defender.index,
                challenger_index=challenger.index,
                phase=transition.first_phase(steps, digest),
                outcome=Outcome.NONE,
                digest=digest,
                digest_step=digest_step or 0,
                steps=steps,
                step=0,
                level=0 if steps > 1 else merkle.height(nodes) - 1,
                node_count=nodes,
                node=0,
                index=0,
                defender=accused.claimant,
                turn_start=now,
                defender_clock=budget,
                challenger=accuser.claimant,
                challenger_clock=budget,
                target=bytes(32),
                previous_state=accused.body.start_root,
                state=accused.body.end_root,
                node_hash=bytes(32),
            )
        )
        return len(self.disputes)

    # Reading

    def dispute(self, number: int) -> Dispute:
        """A dispute as it stands, reveals made in others taken into account."""
        dispute = self.disputes[number - 1]
        path = awaited_path(dispute)
        found = self._revealed.get(path) if path else None
        if found is None or found[0] > self._deadline(dispute):
            return dispute
        return self._pass_turn(dispute, found[0], found[1])

    def deadline(self, number: int) -> int:
        """Last second in which the side to move may move."""
        return self._deadline(self.dispute(number))

    def position(self, number: int) -> Position:
        """A dispute with the reveals its next move needs."""
        return Position.read(self.dispute(number), self.revealed)

    def revealed(self, path: bytes) -> bytes | None:
        """What was revealed under a path."""
        found = self._revealed.get(path)
        return found[2] if found else None

    # Moving

    def move(self, number: int, move: Move, mover: str, now: int) -> None:
        """Make a move, or raise ``IllegalMoveError``."""
        dispute = self.dispute(number)
        turn = TURNS.get(Phase(dispute.phase))
        require(turn is not None and move.function in turn.functions, "The move does not fit the phase.")
        assert turn is not None
        owner = dispute.defender if turn.side is Side.DEFENDER else dispute.challenger
        require(turn.anybody or mover == owner, "It is not this side's move.")
        require(now <= self._deadline(dispute), "The clock has run out.")
        try:
            self.disputes[number - 1] = self._apply(dispute, move, now)
        except ValueError as error:  # bytes that are no node, hashes that are no tree
            raise IllegalMoveError(str(error)) from error

    def _apply(self, dispute: Dispute, move: Move, now: int) -> Dispute:
        match move:
            case RevealStates():
                return self._reveal_states(dispute, move, now)
            case PickStep():
                return self._pick_step(dispute, move, now)
            case RevealStep():
                return self._reveal_step(dispute, move, now)
            case PickBlock():
                root = self._child_root(dispute, dispute.node_count, move.index, move.hash, move.proof)
                require(root == dispute.target, "The pick does not fold.")
                moved = replace(dispute, target=move.hash, index=move.index, level=dispute.level - 1)
                return self._picked(moved, Phase.NODES, now)
            case RevealNodes():
                self._count(move.hashes, dispute, dispute.node_count)
                require(merkle.fold(move.hashes) == dispute.target, "The reveal does not fold.")
                return self._record(dispute, b"".join(move.hashes), None, now)
            case PickNode():
                return self._pick_node(dispute, move, now)
            case RevealChunks():
                node = self._node(dispute, move.node)
                self._count(move.hashes, dispute, chunk_count(node.dtype, node.shape))
                self._require_chunk_root(dispute, node, merkle.fold(move.hashes))
                return self._record(dispute, b"".join(move.hashes), None, now)
            case PickChunk():
                return self._pick_chunk(dispute, move, now)
            case RevealData():
                self._require_chunk(dispute, move.node, move.chunk)
                return self._record(dispute, move.chunk, None, now)
            case Prove():
                return self._prove(dispute, move)
            case PickElement():
                return self._pick_element(dispute, move, now)
            case RevealParts():
                node = self._node(dispute, move.node)
                require(parts_combine(node, dispute.target, move.parts), "The parts do not make the element.")
                return self._record(dispute, move.parts, keccak(move.parts), now)
            case ProvePart():
                return self._prove_part(dispute, move)
            case ProveDigest():
                return self._prove_digest(dispute, move)
        raise TypeError(f"{type(move).__name__} is no move.")

    def timeout(self, number: int, now: int) -> None:
        """Call time on the side to move."""
        dispute = self.dispute(number)
        side = side_to_move(Phase(dispute.phase))
        require(side is not None, "The dispute is over.")
        require(now > self._deadline(dispute), "The clock is running.")
        require(self._live(dispute), "The claim fell elsewhere.")
        if side is Side.DEFENDER:
            self.disputes[number - 1] = self._convict(dispute)
        else:
            self.disputes[number - 1] = replace(dispute, phase=Phase.RESOLVED, outcome=Outcome.CHALLENGE_FAILED)

    def withdraw(self, number: int) -> None:
        """Close a dispute whose claim fell elsewhere."""
        dispute = self.dispute(number)
        require(side_to_move(Phase(dispute.phase)) is not None, "The dispute is over.")
        require(not self._live(dispute), "The dispute still decides something.")
        self.disputes[number - 1] = replace(dispute, phase=Phase.RESOLVED, outcome=Outcome.WITHDRAWN)

    def one_shot(self, proof: OneShot, defender: ClaimRef, challenger: ClaimRef) -> None:
        """Convict a claim by its own published trace, or raise ``IllegalMoveError``."""
        accused, accuser = self.claims[claims.claim_key(defender)], self.claims[claims.claim_key(challenger)]
        require(accused.body.trace_root != bytes(32), "The claim has no trace.")
        require(accused.body.end_root != accuser.body.end_root, "The end roots are equal.")
        require(accused.claimant != accuser.claimant, "A claimant cannot dispute itself.")
        segment = defender.segment
        try:
            require_false_trace(
                proof,
                self._program(proof.leaf.header, segment),
                accused.body,
                claims.segment_steps(self.terms, segment),
                claims.first_step(self.terms, segment),
                self.terms.seed,
                self.executor,
                self._work(segment),
            )
        except ValueError as error:
            raise IllegalMoveError(str(error)) from error
        self.convicted.add((claims.claim_key(defender), False))

    # Parts of moves

    def _reveal_states(self, dispute: Dispute, move: RevealStates, now: int) -> Dispute:
        require(len(move.roots) == dispute.steps, "There are too many or too few states.")
        require(move.roots[-1] == dispute.state, "The last state is not the end root.")
        return self._record(dispute, b"".join(move.roots), merkle.fold(move.roots), now)

    def _pick_step(self, dispute: Dispute, move: PickStep, now: int) -> Dispute:
        limit = dispute.digest_step + 1 if dispute.digest else dispute.steps
        require(move.step < limit, "The segment has no such step to pick.")
        if move.step == 0:
            self._require_state(dispute, 0, move.state, move.proof)
            require(move.previous == dispute.previous_state, "The start is another.")
        else:
            pair = [move.previous, move.state]
            root = merkle.root_from_range(dispute.steps, move.step - 1, pair, move.proof)
            require(root == dispute.target, "The pick does not fold.")
        level = merkle.height(dispute.node_count) - 1
        moved = replace(dispute, step=move.step, previous_state=move.previous, state=move.state, level=level)
        return self._picked(moved, Phase.STEP, now)

    def _reveal_step(self, dispute: Dispute, move: RevealStep, now: int) -> Dispute:
        size = dispute.node_count
        self._count(move.hashes, replace(dispute, index=0), size)
        root = merkle.fold(move.hashes)
        last = merkle.hash_leaf(dispute.state)
        found = merkle.root_from_inclusion(size, size - 1, last, move.last_proof)
        require(found == root, "The last leaf is not the state root.")
        return self._record(dispute, b"".join(move.hashes), root, now)

    def _pick_node(self, dispute: Dispute, move: PickNode, now: int) -> Dispute:
        root = self._child_root(dispute, dispute.node_count, move.index, move.hash, move.proof)
        require(root == dispute.target, "The pick does not fold.")
        program = self._program(move.header, dispute.segment)
        program.require_node(move.index, move.node, move.node_proof)
        node = decode_node(move.node)
        chunks = chunk_count(node.dtype, node.shape)
        moved = replace(
            dispute,
            node=move.index,
            node_hash=keccak(move.node),
            target=move.hash,
            index=0,
            level=merkle.height(chunks) - 1,
        )
        return self._picked(moved, Phase.DATA if chunks == 1 else Phase.CHUNKS, now)

    def _pick_chunk(self, dispute: Dispute, move: PickChunk, now: int) -> Dispute:
        node = self._node(dispute, move.node)
        root = self._child_root(dispute, chunk_count(node.dtype, node.shape), move.index, move.hash, move.proof)
        self._require_chunk_root(dispute, node, root)
        moved = replace(dispute, target=move.hash, index=move.index)
        if dispute.level == 0:
            return self._picked(moved, Phase.DATA, now)
        return self._picked(replace(moved, level=dispute.level - 1), Phase.CHUNKS, now)

    def _prove(self, dispute: Dispute, move: Prove) -> Dispute:
        require(self._live(dispute), "The claim fell elsewhere.")
        self._require_chunk(dispute, move.leaf.node, move.chunk)
        program = self._program(move.leaf.header, dispute.segment)
        require_false_leaf(move.leaf, program, self._place(dispute), move.chunk, self.executor)
        return self._convict(dispute)

    def _pick_element(self, dispute: Dispute, move: PickElement, now: int) -> Dispute:
        self._require_chunk(dispute, move.leaf.node, move.chunk)
        program = self._program(move.leaf.header, dispute.segment)
        claim = open_row(move.leaf, program, self._place(dispute), move.chunk)
        return self._picked(replace(dispute, target=claim, index=move.leaf.element), Phase.PARTS, now)

    def _prove_part(self, dispute: Dispute, move: ProvePart) -> Dispute:
        require(self._live(dispute), "The claim fell elsewhere.")
        self._node(dispute, move.leaf.node)
        require(move.leaf.element == dispute.index, "The element is another.")
        require(keccak(move.parts) == dispute.target, "The parts are others.")
        stated = decode_parts(move.parts)
        require(move.index < len(stated), "The row has no such block.")
        program = self._program(move.leaf.header, dispute.segment)
        require_false_part(move.leaf, program, self._place(dispute), move.index, stated[move.index])
        return self._convict(dispute)

    def _place(self, dispute: Dispute) -> LeafPlace:
        """What the proofs of a leaf are held against."""
        step_path = path_key(defender_ref(dispute), Phase.STEP, dispute.step)
        step_root = self._revealed[step_path][1]
        assert step_root is not None
        return LeafPlace(
            step_root=step_root,
            previous_state=dispute.previous_state,
            chunk=dispute.index,
            step=claims.global_step(self.terms, dispute.segment, dispute.step),
            seed=self.terms.seed,
            work=self._work(dispute.segment),
        )

    def _work(self, segment: int) -> WorkPlace:
        return WorkPlace(self.terms.work_root, claims.last_segment(self.terms) + 1, segment, self.beacon_value)

    def _prove_digest(self, dispute: Dispute, move: ProveDigest) -> Dispute:
        require(dispute.digest, "The dispute is not about a digest entry.")
        require(self._live(dispute), "The claim fell elsewhere.")
        self._require_state(dispute, dispute.digest_step, move.state, move.state_proof)
        ref = defender_ref(dispute)
        body = self.claims[claims.claim_key(ref)].body
        key = DigestKey.of(self.beacon_value, dispute.defender, ref.task, ref.segment, ref.round)
        program = self._program(move.header, dispute.segment)
        stated = entry_at(body.digest, dispute.digest_step)
        require_false_digest(move.chunks, program, key, dispute.digest_step, move.state, stated)
        return self._convict(dispute)

    # Helpers

    def _live(self, dispute: Dispute) -> bool:
        return (claims.claim_key(defender_ref(dispute)), dispute.digest) not in self.convicted

    def _convict(self, dispute: Dispute) -> Dispute:
        self.convicted.add((claims.claim_key(defender_ref(dispute)), dispute.digest))
        return replace(dispute, phase=Phase.RESOLVED, outcome=Outcome.DEFENDER_CONVICTED)

    def _deadline(self, dispute: Dispute) -> int:
        defends = side_to_move(Phase(dispute.phase)) is Side.DEFENDER
        left = dispute.defender_clock if defends else dispute.challenger_clock
        return transition.deadline(dispute.turn_start, left, self.rules.increment)

    def _pass_turn(self, dispute: Dispute, moment: int, root: bytes | None) -> Dispute:
        phase = transition.after_reveal(Phase(dispute.phase), dispute.level)
        passed = replace(dispute, phase=phase, target=root if root is not None else dispute.target)
        if moment <= dispute.turn_start:
            return passed
        left = transition.charge(dispute.defender_clock, dispute.turn_start, moment)
        return replace(passed, defender_clock=left, turn_start=moment)

    def _record(self, dispute: Dispute, data: bytes, root: bytes | None, now: int) -> Dispute:
        path = awaited_path(dispute)
        assert path is not None
        self._revealed[path] = (now, root, data)
        return self._pass_turn(dispute, now, root)

    def _picked(self, dispute: Dispute, phase: Phase, now: int) -> Dispute:
        left = transition.charge(dispute.challenger_clock, dispute.turn_start, now)
        return replace(dispute, phase=phase, challenger_clock=left, turn_start=now)

    def _count(self, hashes: Sequence[bytes], dispute: Dispute, size: int) -> None:
        level, index = dispute.level, dispute.index
        needed = min(merkle.WIDTH, merkle.level_count(size, level) - index * merkle.WIDTH)
        require(len(hashes) == needed, "There are too many or too few hashes.")

    def _child_root(self, dispute: Dispute, size: int, index: int, hash_: bytes, proof: Sequence[bytes]) -> bytes:
        require(index >> merkle.WIDTH_BITS == dispute.index, "The pick is not in the subtree shown.")
        count = min(merkle.WIDTH, merkle.level_count(size, dispute.level) - dispute.index * merkle.WIDTH)
        return merkle.root_from_inclusion(count, index % merkle.WIDTH, hash_, proof)

    def _node(self, dispute: Dispute, node: bytes) -> Node:
        require(keccak(node) == dispute.node_hash, "The node is not the picked one.")
        return decode_node(node)

    def _require_chunk_root(self, dispute: Dispute, node: Node, root: bytes) -> None:
        if dispute.level == merkle.height(chunk_count(node.dtype, node.shape)) - 1:
            root = merkle.hash_leaf(root_from_tree(node.dtype, node.shape, root))
        require(root == dispute.target, "The hashes do not fold to the tensor.")

    def _require_chunk(self, dispute: Dispute, node: bytes, chunk: bytes) -> None:
        decoded = self._node(dispute, node)
        size = decoded.type.elements * ITEMSIZE[decoded.dtype]
        needed = min(CHUNK_BYTES, size - dispute.index * CHUNK_BYTES)
        require(len(chunk) == needed, "The chunk is too long or too short.")
        root = merkle.hash_leaf(chunk)
        if chunk_count(decoded.dtype, decoded.shape) == 1:
            root = merkle.hash_leaf(root_from_tree(decoded.dtype, decoded.shape, root))
        require(root == dispute.target, "The chunk is another.")

    def _require_state(self, dispute: Dispute, step: int, state: bytes, proof: Sequence[bytes]) -> None:
        if dispute.steps == 1:
            require(not proof and state == dispute.state, "The state is another.")
            return
        root = merkle.root_from_inclusion(dispute.steps, step, state, proof)
        require(root == dispute.target, "The state does not fold.")

    def _program(self, header: bytes, segment: int) -> ProgramView:
        program = ProgramView.of(header)
        require(program.hash == claims.segment_program(self.terms, segment), "The header is not the task's program's.")
        return program
