"""Disputes about a step of the size of GPT-2 small, on a real chain: moves and gas, by kind of move.

The program is captured as any other; the court, the game and the executor are the real ones, and the agents make every
move. The runs are stated, not computed (``benchmarks/stated.py``): 64 steps of it would take a day here.

Each case is a lie in another kind of node. ``peer`` is the limit the project sets itself; there is no ratio.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Result
from benchmarks.stated import Place, Stated, StatedRun, stated_root
from lockstep.agents.claimant import Claimant
from lockstep.agents.replayer import Checked
from lockstep.agents.replica import Workbench
from lockstep.agents.submitter import Order, Submitter
from lockstep.agents.verifier import Verifier
from lockstep.agents.whistleblower import Whistleblower
from lockstep.agents.workload import Workload, make_workload
from lockstep.chain.anvil import Anvil
from lockstep.chain.lockstep import PostedClaim, PostedTask
from lockstep.chain.parameters import LOCAL
from lockstep.chain.types import Slot, TaskState
from lockstep.cli.demo.world import World
from lockstep.commitments import merkle
from lockstep.dispute import claims
from lockstep.dispute.digest import ENTRY_BYTES
from lockstep.dispute.evidence import Evidence
from lockstep.dispute.leaf_proof import proven_types
from lockstep.dispute.length import longest_dispute
from lockstep.dispute.moves import Move, RevealParts
from lockstep.dispute.one_shot import find_one_shot
from lockstep.dispute.position import Position
from lockstep.engine.trace import trace_tree
from lockstep.models.gpt import GPT, next_token_loss
from lockstep.program.capture import capture
from lockstep.program.graph import Program
from lockstep.program.long_rows import row_blocks
from lockstep.program.ops import Op
from lockstep.program.optimisers import AdamW
from lockstep.program.selection import Dataset
from lockstep.program.spec import leaf_bytes
from lockstep.storage.manifest import WorkManifest, put_manifest
from tests.offchain.dispute.long_world import forged_reveal

LAYERS, WIDTH, HEADS, VOCABULARY, PLACES, BATCH = 12, 768, 12, 50_257, 1_024, 1
STEPS, LIED_STEP, SEGMENT = 64, 37, 1
MOVES_LIMIT, DISPUTE_LIMIT, ONE_SHOT_LIMIT = 8, 3_000_000, 1_500_000
WORK_RATE = 10**9
"""Units of work a second that the deployment counts on. By the default no claim window is long enough for 64 steps."""
REVEALS = ("revealStates", "revealStep", "revealNodes", "revealChunks", "revealData", "revealParts")
PICKS = ("pickStep", "pickBlock", "pickNode", "pickChunk", "pickElement")
PROOFS = ("prove", "provePart")


@cache
def gpt2_small() -> Workload:
    """A step of it: AdamW, one sequence of 1,024 tokens, tied embeddings, 124 million parameters."""
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, (16, PLACES + 1)).astype(np.int32)
    data = Dataset(np.ascontiguousarray(tokens[:, :-1]), np.ascontiguousarray(tokens[:, 1:]), scale=None)
    model = GPT(VOCABULARY, PLACES, LAYERS, WIDTH, HEADS, tied=True)
    task = capture(model, next_token_loss, AdamW(lr=3e-4), data, BATCH)
    return make_workload(task.init, task.step, task.constants, task.constants)


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of node to lie about, the one with the largest ``key``; ``traced``: convicted by its trace."""

    name: str
    op: Op
    blocks: bool
    key: Callable[[Program, int], int]
    traced: bool = False

    def node(self, program: Program) -> int:
        """The first of the largest nodes of the kind."""

        def is_one(index: int) -> bool:
            node = program.nodes[index]
            return node.op is self.op and (row_blocks(node, proven_types(program, node)) > 1) is self.blocks

        return max(filter(is_one, range(len(program.nodes))), key=lambda index: (self.key(program, index), -index))


def elements(program: Program, node: int) -> int:
    return program.nodes[node].type.elements


def proof_bytes(program: Program, node: int) -> int:
    made = program.nodes[node]
    return leaf_bytes(made, [program.input_type(source, made.shape) for source in made.inputs], len(program.nodes))


CASES = (
    Case("scores", Op.MATMUL, False, elements),
    Case("longest_product", Op.MATMUL, False, proof_bytes),
    Case("embedding_gradient", Op.SCATTER_ADD, False, elements),
    Case("loss_sum", Op.SUM, True, proof_bytes),
    Case("score_gradient", Op.MATMUL, True, proof_bytes),
    Case("largest_score", Op.REDUCE_MAX, True, proof_bytes),
    Case("score_exponent", Op.EXPONENT, True, proof_bytes),
    Case("one_shot_scores", Op.MATMUL, False, elements, traced=True),
    Case("one_shot_longest_product", Op.MATMUL, False, proof_bytes, traced=True),
    Case("one_shot_longest_sum", Op.SUM, False, proof_bytes, traced=True),
)


class _Stating(Claimant):
    """States a run of one segment, and what the solver committed to elsewhere."""

    def __init__(self, *arguments: Any, run: StatedRun, bench: Workbench, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.run, self._bench = run, bench

    def bench(self, posted: PostedTask) -> Workbench:
        return self._bench

    def check(self, posted: PostedTask, segment: int) -> Checked:
        roots = [bytes.fromhex(root) for root in self.published(posted).roots]
        start = claims.INIT_START_ROOT if segment == 0 else roots[segment - 1]
        end = self.run.state_roots[-1] if segment == SEGMENT else roots[segment]
        return Checked(self.run, start, roots[segment], end)  # type: ignore[arg-type]

    def digest(self, posted: PostedTask, segment: int, slot: Slot, claimant: str) -> bytes:
        """Any entries, the same whoever asks: nobody disputes them."""
        entries = claims.segment_steps(posted.terms, segment)
        return b"".join(stated_root("digest", claimant, step)[:ENTRY_BYTES] for step in range(entries))

    def trace_root(self, posted: PostedTask, segment: int) -> bytes:
        return self.trace_tree().root if self.publishes_trace and segment == SEGMENT else bytes(32)

    def trace_tree(self) -> merkle.Tree:
        return trace_tree([self.run.opening(step).root for step in range(STEPS)])


class _Liar(_Stating, Verifier):
    def reveal(self, position: Position, evidence: Evidence) -> Move | None:
        """The truth about its run; the parts of a long row so that they make the element it stated."""
        move = super().reveal(position, evidence)
        return forged_reveal(move, position, evidence, 1) if isinstance(move, RevealParts) else move


class _Challenger(_Stating, Whistleblower):
    accused: StatedRun

    def one_shot(self, posted: PostedTask, claim: PostedClaim, own: PostedClaim) -> bool:
        if claim.body.trace_root == bytes(32):
            return False
        shot = find_one_shot(_Trace(self.accused), claim.body.trace_root, self.evidence(posted, SEGMENT))
        function, arguments = shot.call(posted.terms.abi(), claim.ref.abi(), own.ref.index, claim.body.abi())
        self.lockstep.send(self.lockstep.game, function, *arguments, doing="convict a claim by its trace")
        return True


@dataclass(frozen=True, slots=True)
class _Trace:
    run: StatedRun

    def node_roots(self, step: int) -> Sequence[bytes]:
        return self.run.opening(step).node_roots

    def node(self, step: int, index: int) -> Any:
        return self.run.opening(step).known[index]


@dataclass(frozen=True, slots=True)
class Played:
    """Gas of every transaction by kind, and moves of the two sides (none where there was no dispute)."""

    gas: dict[str, list[int]]
    reveals: int
    picks: int


def play(world: World, workload: Workload, case: Case) -> Played:
    """A task whose verifier lies about one element, to its end: the liar is convicted, the solver paid."""
    node = case.node(workload.step)
    stated = Stated(workload, Place(LIED_STEP, node, elements(workload.step, node) // 2))
    honest, lying = (StatedRun(stated, STEPS, 0, lies) for lies in (False, True))
    posted = world.agent(Submitter, f"{case.name} submitter").submit(
        workload, Order(STEPS, STEPS, audits=None, price=1, seed=7, title=case.name)
    )
    task, bench = posted.terms.id, Workbench(workload, 7)
    liar = world.agent(_Liar, f"{case.name} verifier", [task], run=lying, bench=bench)
    liar.publishes_trace = case.traced
    numbers, parameters = liar.lockstep.numbers(posted.terms), liar.lockstep.parameters
    liar.register(2 * (numbers.claim_deposit + parameters.claim_bond) + parameters.weight_unit)
    _solve(world, posted, case.name, [stated_root("initial"), honest.state_roots[-1]])
    challenger = world.agent(_Challenger, f"{case.name} whistleblower", [task], run=honest, bench=bench)
    challenger.accused = lying
    world.gas_used()
    state = world.run(task, [liar, challenger])
    world.dismiss(liar)
    assert state is TaskState.SETTLED, state
    chain = world.keeper_lockstep
    convicted = chain.claim(chain.claims(task, SEGMENT, 0)[0].ref).convicted
    assert convicted, f"The lie about {case.name} stood."
    moves = [chain.moves(number) for number in chain.disputes(task)]
    assert len(moves) == (not case.traced)
    return Played(world.gas_used(), *(moves[0] if moves else (0, 0)))


def _solve(world: World, posted: PostedTask, name: str, roots: Sequence[bytes]) -> None:
    """Commit to checkpoints, whose files nobody asks for."""
    chain, terms = world.party(f"{name} solver").lockstep, posted.terms.abi()
    chain.ensure_stake(chain.numbers(posted.terms).solver_deposit)
    for function in ("accept", "acknowledge"):
        chain.send(chain.market, function, terms, doing=function)
    files = [f"sha256:{hashlib.sha256(root).hexdigest()}" for root in roots]
    uri = put_manifest(world.store, WorkManifest(roots=[root.hex() for root in roots], checkpoints=files))
    proof = claims.final_proof(roots)
    chain.send(chain.market, "commit", terms, claims.work_tree(roots).root, roots[-1], proof, uri, doing="commit")


def _results(workload: Workload, case: Case, played: Played) -> Iterator[Result]:
    program = workload.step
    node = case.node(program)
    made = program.nodes[node]
    what = f"{made.op.name.lower()} {list(made.shape)}, {proof_bytes(program, node):,} bytes of proof at most"
    if case.traced:
        yield _gas(f"gpt2/{case.name}", sum(played.gas["oneShot"]), ONE_SHOT_LIMIT, what)
        return
    moves = f"defender {played.reveals}, challenger {played.picks}"
    yield Result(
        f"moves/gpt2/{case.name}", float(max(played.reveals, played.picks)), float(MOVES_LIMIT), None, "moves", moves
    )
    parts = {"open": ("open",), "reveals": REVEALS, "picks": PICKS, "proof": PROOFS}
    totals = {part: sum(sum(played.gas.get(kind, [])) for kind in kinds) for part, kinds in parts.items()}
    listed = ", ".join(f"{part} {units:,}" for part, units in totals.items())
    each = ", ".join(
        f"{kind} {' + '.join(f'{units:,}' for units in played.gas[kind])}"
        for kind in (*REVEALS, *PICKS, *PROOFS)
        if played.gas.get(kind)
    )
    yield _gas(f"gpt2/{case.name}", sum(totals.values()), DISPUTE_LIMIT, f"{what}: {listed} ({each})")


def _gas(name: str, used: int, limit: int, detail: str) -> Result:
    return Result(f"gas/{name}", float(used), float(limit), None, "gas", detail)


def measure(quick: bool) -> Iterator[Result]:
    """Every case; ``quick`` plays the first alone. Gas varies by half a percent: a charged clock costs a write."""
    workload = gpt2_small()
    most, node = longest_dispute(workload.step, STEPS)
    detail = f"of {len(workload.step.nodes):,} nodes, {len(workload.step.state)} states; first at node {node}"
    yield Result("moves/gpt2/longest", float(most), float(MOVES_LIMIT), None, "moves", detail)
    profile = replace(
        LOCAL,
        parameters=replace(LOCAL.parameters, work_rate=WORK_RATE),
        disputes=replace(LOCAL.disputes, work_rate=WORK_RATE),
    )
    with tempfile.TemporaryDirectory(prefix="lockstep-bench-") as folder, Anvil() as node_process:
        world = World(node_process, Path(folder), profile)
        for case in CASES[:1] if quick else CASES:
            yield from _results(workload, case, play(world, workload, case))
