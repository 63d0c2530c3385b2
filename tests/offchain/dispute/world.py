"""Parties, programs and lies for the dispute's tests: a small task whose every party runs the engine.

A run is honest, or lies by the book of one of ``LIES``: about a value (consistently, down to the chunk), or about a
hash it cannot open later. ``play`` lets two runs play a dispute in the Python game.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from lockstep.chain.types import ClaimBody, ClaimRef, TaskTerms
from lockstep.commitments import merkle
from lockstep.dispute import claims
from lockstep.dispute.digest import DigestKey, replay_digest
from lockstep.dispute.evidence import Ending, Evidence
from lockstep.dispute.game import Claim, Game, Rules
from lockstep.dispute.moves import Move
from lockstep.dispute.player import challenger_move, defender_move
from lockstep.dispute.position import Position
from lockstep.dispute.proofs import IllegalMoveError, Read, require
from lockstep.dispute.transition import Outcome, Phase, Side
from lockstep.engine.checkpoint import state_root
from lockstep.engine.committed import committed_tensors, reads_committed
from lockstep.engine.trace import StepOpening, open_step, trace_tree
from lockstep.numerics.dtypes import ITEMSIZE, NUMPY, DType
from lockstep.program.encoding import ProgramCommitment, commit_program
from lockstep.program.graph import Input, Node, Program, StateEntry, TensorType
from lockstep.program.leaf import PROVEN_KINDS, leaf_reads
from lockstep.program.long_rows import row_blocks
from lockstep.program.ops import InputKind, Op
from lockstep.program.reference import evaluate_node, own_input

DEFENDER, CHALLENGER = "0x" + "d1" * 20, "0x" + "c2" * 20
BEACON = bytes(range(32))

Lie = Callable[[np.random.Generator, "TestRun"], None]


def reference_executor(node: Node, element: int, step: int, seed: int, reads: Sequence[Read]) -> bytes:
    """The leaf by the reference arithmetic, from exactly the reads it needs; zeros stand for all the rest."""
    arrays: list[np.ndarray | None] = [None] * len(node.inputs)
    types: list[TensorType | None] = [INPUT_TYPES.get((node, slot)) for slot in range(len(node.inputs))]
    for slot, kind in enumerate(types):
        if kind is not None:
            arrays[slot] = np.zeros(kind.shape, NUMPY[kind.dtype])
    given = []
    for slot, start, header, data in reads:
        kind = types[slot]
        assert kind is not None
        if not header:
            given.append((slot, start, 1))
            continue
        part = np.frombuffer(data, NUMPY[kind.dtype])
        given.append((slot, start, len(part)))
        array = arrays[slot]
        assert array is not None
        array.reshape(-1)[start : start + len(part)] = part

    def index(position: int) -> int:
        own = own_input(node, node.inputs[1], step, seed)
        array = arrays[1] if own is None else np.broadcast_to(own, node.shape)
        assert array is not None
        return int(array.reshape(-1)[position])

    require(row_blocks(node, types) == 1, "One leaf does not carry the row.")
    roots = node.op is Op.STATE
    needed = [tuple(read) for read in leaf_reads(node, element, types, index)]
    require(given == needed and all(bool(read[2]) != roots for read in reads), "These are not the leaf's reads.")
    if roots:
        return reads[0][3]
    value = evaluate_node(node, arrays, step, seed)
    return value.reshape(-1)[element].tobytes()


INPUT_TYPES: dict[tuple[Node, int], TensorType] = {}
"""Types of nodes' proven inputs; filled by ``World``."""


class TestRun:
    """A run of a segment that may lie; what ``lockstep.agents.replica`` is for agents."""

    __test__ = False

    def __init__(self, world: World, segment: int, start: Sequence[Tensor]) -> None:
        self.world = world
        self.segment = segment
        self.start = list(start)
        self.steps = claims.segment_steps(world.terms, segment)
        self.first_step = claims.first_step(world.terms, segment)
        self.overrides: dict[int, Callable[[StepOpening], Mapping[int, Tensor]]] = {}
        self.root_lies: dict[int, dict[int, bytes]] = {}
        self.state_lies: dict[int, bytes] = {}
        self._openings: dict[int, StepOpening] = {}

    def opening(self, step: int) -> StepOpening:
        if step not in self._openings:
            state = self.state_after(step - 1)
            program, constants = self.world.program(self.segment), self.world.constants(self.segment)
            at = (program, constants, self.world.terms.seed, state, self.first_step + step)
            committed = self.world.committed if self.segment else []
            opening = open_step(*at, committed=committed)
            if step in self.overrides:
                opening = open_step(*at, overrides=self.overrides[step](opening), committed=committed)
            for node, root in self.root_lies.get(step, {}).items():
                opening.node_roots[node] = root
            if step in self.root_lies or step in self.state_lies:
                opening.node_roots[-1] = self.state_lies.get(step, opening.node_roots[-1])
                opening.tree = merkle.Tree([merkle.hash_leaf(root) for root in opening.node_roots])
            self._openings[step] = opening
        return self._openings[step]

    def state_after(self, step: int) -> list[Tensor]:
        return self.start if step < 0 else self.opening(step).state_after

    @property
    def state_roots(self) -> list[bytes]:
        honest = [state_root(self.state_after(step)) for step in range(self.steps)]
        return [self.state_lies.get(step, root) for step, root in enumerate(honest)]


@dataclass
class World:
    """A task with its programs and data; segment 1 is played, and must end in ``end`` where its program reads that."""

    step: Program
    start: list[Tensor]
    step_constants: list[Tensor] = field(default_factory=list)
    steps: int = 3
    segment_steps: int = 3
    seed: int = 7
    end: list[Tensor] | None = None

    def __post_init__(self) -> None:
        reads = self.end is not None and reads_committed(self.step)
        self.committed = committed_tensors(self.end, BEACON) if reads and self.end is not None else []
        roots = [bytes([7]) * 32, bytes(32) if self.end is None else state_root(self.end)]
        self.work = claims.work_tree(roots)
        self.commitment = commit_program(self.step, 1)
        self.init = init_program(self.step)
        self.init_commitment = commit_program(self.init, 1)
        self.terms = TaskTerms(
            id=1,
            submitter="0x" + "5b" * 20,
            step_program=self.commitment.hash,
            init_program=self.init_commitment.hash,
            step_work=1000,
            init_work=10,
            state_chunks=self.commitment.state_chunks,
            node_count=len(self.step.nodes),
            init_node_count=len(self.init.nodes),
            seed=self.seed,
            steps=self.steps,
            segment_steps=self.segment_steps,
            audits=1,
            price=1,
            wage=1,
            levy=1,
            accept_deadline=0,
            solve_window=0,
            work_root=self.work.root,
        )
        for program in (self.step, self.init):
            for node in program.nodes:
                for slot, source in enumerate(node.inputs):
                    if source.kind in PROVEN_KINDS:
                        INPUT_TYPES[(node, slot)] = program.input_type(source)

    def program(self, segment: int) -> Program:
        return self.step if segment else self.init

    def program_commitment(self, segment: int) -> ProgramCommitment:
        return self.commitment if segment else self.init_commitment

    def constants(self, segment: int) -> list[Tensor]:
        return self.step_constants if segment else []

    def run(self, segment: int = 1) -> TestRun:
        return TestRun(self, segment, self.start if segment else [])

    def evidence(self, run: TestRun) -> Evidence:
        start = state_root(run.start) if run.segment else claims.INIT_START_ROOT
        ending = None
        if self.end is not None:
            ending = Ending(state_root(self.end), tuple(self.work.inclusion_proof(1)))
        return Evidence(run, self.program_commitment(run.segment), self.terms.seed, start, ending)


def init_program(step: Program) -> Program:
    """An init program that makes a state of this shape: zeros, but the first entry counts up where it is i32."""
    nodes = []
    for entry in step.state:
        if entry.dtype is DType.I32:
            nodes.append(Node(Op.IOTA, DType.I32, entry.shape))
        else:
            nodes.append(Node(Op.IOTA, DType.I32, entry.shape))
            made = Input(InputKind.NODE, len(nodes) - 1)
            nodes.append(Node(Op.CAST, DType.F32, entry.shape, (made,)))
    outputs, at = [], -1
    for entry in step.state:
        at += 1 if entry.dtype is DType.I32 else 2
        outputs.append(Input(InputKind.NODE, at))
    nodes.append(Node(Op.STATE, DType.ROOT, (len(outputs),), tuple(outputs)))
    return Program(tuple(nodes), tuple(replace(entry, frozen=False) for entry in step.state))


def ladder(nodes: int, sizes: Sequence[int], rng: np.random.Generator) -> tuple[Program, list[Tensor]]:
    """A step of ``nodes`` integer nodes over states of these sizes, and a start state.

    Each node is a bijection of the one before it in its chain (and reads the state of later chains only), so that no
    lie is ever lost on the way to the end.
    """
    entries = tuple(StateEntry(DType.I32, (size,)) for size in sizes)
    made: list[Node] = []
    last = [Input(InputKind.STATE, j) for j in range(len(sizes))]
    while len(made) < nodes - 1:
        j = len(made) % len(sizes) if len(made) < len(sizes) else int(rng.integers(0, len(sizes)))
        op = Op(rng.choice([Op.IADD, Op.XOR, Op.ISUB]))
        other = Input(InputKind.I32, int(rng.integers(1, 2**32)))
        later = [k for k in range(j + 1, len(sizes)) if sizes[k] == sizes[j]]
        if later and rng.random() < 0.5:
            other = Input(InputKind.STATE, later[0])
        made.append(Node(op, DType.I32, entries[j].shape, (last[j], other)))
        last[j] = Input(InputKind.NODE, len(made) - 1)
    made.append(Node(Op.STATE, DType.ROOT, (len(sizes),), tuple(last)))
    state = [torch.from_numpy(rng.integers(-(2**31), 2**31, size).astype(np.int32)) for size in sizes]
    return Program(tuple(made), entries), state


def changed(value: Tensor, dtype: DType, rng: np.random.Generator) -> Tensor:
    """The value with the lowest bit of one element flipped (zeros where that would make a NaN)."""
    flat = value.clone().contiguous().reshape(-1)
    raw = flat.numpy().view(np.uint8)
    size = ITEMSIZE[dtype]
    raw[int(rng.integers(0, len(raw) // size)) * size] ^= 1
    if dtype is DType.F32 and torch.isnan(flat).any():
        return torch.zeros_like(value)
    return flat.reshape(value.shape)


def lie_about_value(rng: np.random.Generator, run: TestRun) -> None:
    """One element of one node of one step is wrong, and everything after follows from it."""
    step = int(rng.integers(0, run.steps))
    program = run.world.program(run.segment)
    node = int(rng.integers(0, len(program.nodes) - 1))

    def override(honest: StepOpening) -> Mapping[int, Tensor]:
        return {node: changed(honest.value(node), program.nodes[node].dtype, rng)}

    run.overrides[step] = override


def lie_about_node_root(rng: np.random.Generator, run: TestRun) -> None:
    """A node's root is 32 random bytes: no chunks fold to it."""
    step = int(rng.integers(0, run.steps))
    node = int(rng.integers(0, len(run.world.program(run.segment).nodes) - 1))
    run.root_lies[step] = {node: rng.bytes(32)}
    lie_about_later_state(rng, run, step)


def lie_about_state_root(rng: np.random.Generator, run: TestRun) -> None:
    """A state root is 32 random bytes: the last node's tensor cannot be opened."""
    step = int(rng.integers(0, run.steps))
    run.state_lies[step] = rng.bytes(32)
    lie_about_later_state(rng, run, step)


def lie_about_later_state(rng: np.random.Generator, run: TestRun, step: int) -> None:
    """All states from ``step`` on are random, so that the end root differs."""
    for later in range(step, run.steps):
        run.state_lies.setdefault(later, rng.bytes(32))


def reading_the_end(program: Program, rng: np.random.Generator) -> Program:
    """The program with some of its reads of the state turned to what the segment must end in."""
    nodes = []
    for node in program.nodes:
        inputs = node.inputs
        if node.op is not Op.STATE:
            inputs = tuple(
                Input(InputKind.COMMITTED, source.value)
                if source.kind is InputKind.STATE and rng.random() < 0.6
                else source
                for source in inputs
            )
        nodes.append(replace(node, inputs=inputs))
    return replace(program, nodes=tuple(nodes))


LIES: tuple[Lie, ...] = (lie_about_value, lie_about_node_root, lie_about_state_root)


def random_world(rng: np.random.Generator) -> World:
    """A world of random size: one or several steps, nodes and chunks of one, two or three levels."""
    steps = int(rng.choice([1, 2, 4]))
    nodes = int(rng.choice([2, 5, 20, 65]))
    sizes = [int(rng.choice([1, 255, 256, 257, 700])) for _ in range(int(rng.integers(1, 4)))]
    if rng.random() < 0.1:
        sizes = [int(rng.choice([16_384, 16_385, 20_000]))]
        nodes = 5
    program, state = ladder(nodes, sizes, rng)
    return World(program, state, steps=steps, segment_steps=steps, seed=int(rng.integers(0, 2**63)))


@dataclass
class Match:
    """Two claims about a segment, and a game to dispute them in."""

    world: World
    defender: TestRun
    challenger: TestRun
    rules: Rules = field(default_factory=Rules)

    def __post_init__(self) -> None:
        self.segment = self.defender.segment
        self.refs = (ClaimRef(1, self.segment, 0, 0), ClaimRef(1, self.segment, 0, 1))
        self.evidence = (self.world.evidence(self.defender), self.world.evidence(self.challenger))
        self.game = Game(self.world.terms, BEACON, reference_executor, self.rules)
        for ref, who, evidence in zip(self.refs, (DEFENDER, CHALLENGER), self.evidence, strict=True):
            self.game.add_claim(Claim(ref, who, self.body(evidence, who)))
        self.now = 1_000
        self.moves: list[str] = []

    def key(self, claimant: str) -> DigestKey:
        return DigestKey.of(BEACON, claimant, 1, self.segment, 0)

    def body(self, evidence: Evidence, claimant: str) -> ClaimBody:
        states = [evidence.state_after(step) for step in range(evidence.steps)]
        digest = replay_digest(self.key(claimant), self.world.program(self.segment).state, states)
        trace = trace_tree([evidence.step_tree(step).root for step in range(evidence.steps)]).root
        return ClaimBody(evidence.start_root, bytes(32), evidence.end_root, digest, bytes(32), trace)

    def open(self, digest_step: int | None = None) -> int:
        return self.game.open(*self.refs, self.now, digest_step)

    def reveal(self, position: Position) -> Move | None:
        """What the defender shows in its turn."""
        return defender_move(position, self.evidence[0])

    def turn(self, number: int) -> bool:
        """Let whoever owes a move make it; False where it has none that the game accepts."""
        position = self.game.position(number)
        self.now += 10
        try:
            if position.side is Side.DEFENDER:
                move, mover = self.reveal(position), DEFENDER
            else:
                claimed = self.game.claims[claims.claim_key(self.refs[0])].body.digest
                move, mover = challenger_move(position, self.evidence[1], self.key(DEFENDER), claimed), CHALLENGER
            assert move is not None
            self.game.move(number, move, mover, self.now)
        except IllegalMoveError:
            return False
        self.moves.append(move.function)
        return True

    def play(self, number: int) -> Outcome:
        """Play to the end; a side that cannot move runs out of time."""
        while Phase(self.game.dispute(number).phase) is not Phase.RESOLVED:
            if not self.turn(number):
                self.now = self.game.deadline(number) + 1
                self.game.timeout(number, self.now)
        return Outcome(self.game.dispute(number).outcome)
