"""The Python game and the contracts, move by move: they accept and refuse the same, and stand the same afterwards."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from lockstep.chain.types import ClaimRef, Dispute
from lockstep.dispute import claims
from lockstep.dispute.game import Claim, Rules
from lockstep.dispute.moves import Move
from lockstep.dispute.one_shot import find_one_shot
from lockstep.dispute.player import NothingToContestError, challenger_move
from lockstep.dispute.proofs import IllegalMoveError
from lockstep.dispute.transition import Outcome, Phase, Side
from lockstep.engine.routes import from_numpy
from lockstep.numerics.dtypes import DType
from lockstep.program.graph import Input, Node, Program, StateEntry
from lockstep.program.long_rows import block_size
from lockstep.program.ops import DRAW_WORDS, InputKind, Op
from tests.differential.dispute_harness import BOND, TREASURY, ChainGame, DisputeHarness
from tests.differential.harness import ExecutorHarness
from tests.offchain.dispute.long_world import LyingMatch, long_world, lying_run
from tests.offchain.dispute.world import (
    BEACON,
    CHALLENGER,
    DEFENDER,
    LIES,
    Match,
    TestRun,
    World,
    ladder,
    lie_about_value,
    random_world,
    reading_the_end,
)
from tests.strategies import random_program_case
from tests.strategies.long_rows import LONG_OPS

START = 4_000_000_000
MATCHES = 24
PROGRAMS = 16


@pytest.fixture(scope="module")
def disputes(executor: ExecutorHarness) -> Iterator[DisputeHarness]:
    before = executor._node.snapshot()
    yield DisputeHarness(executor._node, executor.executor)
    executor._node.restore(before)


class Both:
    """One match in both games; every action must have the same effect."""

    def __init__(self, harness: DisputeHarness, match: Match) -> None:
        self.match = match
        self.now = max(START, harness.node.now() + 100)  # deploying makes blocks, a second each
        self.chain = ChainGame(harness, match.world.terms, BEACON, match.rules, self.now)
        for claim in match.game.claims.values():
            self.chain.add_claim(claim)
        self.count = 0
        self.refusal = ""

    def tick(self, seconds: int = 7) -> None:
        """Let some time pass before the next action."""
        self.now = max(self.now + seconds, self.chain.harness.node.now() + 1)
        self.chain.at(self.now)

    def open(self, digest_step: int | None = None) -> int:
        self.tick()
        defender, challenger = self.match.refs
        number = self.match.game.open(defender, challenger, self.now, digest_step)
        assert self.chain.open(defender, challenger, CHALLENGER, digest_step)
        self.count = number
        self.compare()
        return number

    def move(self, number: int, move: Move, mover: str) -> bool:
        self.tick()
        try:
            self.match.game.move(number, move, mover, self.now)
            legal, why = True, ""
        except IllegalMoveError as error:
            legal, why = False, str(error)
        assert self.chain.move(number, move, mover) == legal, (move, why)
        self.compare()
        self.refusal = why
        return legal

    def timeout(self, number: int) -> bool:
        self.tick()
        try:
            self.match.game.timeout(number, self.now)
            legal = True
        except IllegalMoveError:
            legal = False
        assert self.chain.call(TREASURY, "timeout", number) == legal
        self.compare()
        return legal

    def withdraw(self, number: int) -> bool:
        self.tick()
        try:
            self.match.game.withdraw(number)
            legal = True
        except IllegalMoveError:
            legal = False
        assert self.chain.call(TREASURY, "withdraw", number) == legal
        self.compare()
        return legal

    def compare(self) -> None:
        """Every dispute stands the same in both."""
        for number in range(1, self.count + 1):
            assert canonical(self.match.game.dispute(number)) == canonical(self.chain.dispute(number))
            if self.match.game.dispute(number).phase != Phase.RESOLVED:
                assert self.match.game.deadline(number) == self.chain.deadline(number)

    def honest_move(self, number: int) -> tuple[Move | None, str]:
        """The move its side's player makes, and who makes it."""
        match = self.match
        position = match.game.position(number)
        if position.side is Side.DEFENDER:
            return match.reveal(position), DEFENDER
        claimed = match.game.claims[claims.claim_key(match.refs[0])].body.digest
        try:
            return challenger_move(position, match.evidence[1], match.key(DEFENDER), claimed), CHALLENGER
        except NothingToContestError:
            return None, CHALLENGER

    def play(self, number: int, rng: np.random.Generator, noise: float = 0.3) -> Outcome:
        """Play to the end, with spoilt moves, strangers, early timeouts and late moves in between."""
        while self.match.game.dispute(number).phase != Phase.RESOLVED:
            move, mover = self.honest_move(number)
            if rng.random() < noise:
                self.disturb(number, move, mover, rng)
                continue
            if move is None or not self.move(number, move, mover):
                self.tick(self.match.game.deadline(number) - self.now - 6)
                assert self.timeout(number)
        return Outcome(self.match.game.dispute(number).outcome)

    def disturb(self, number: int, move: Move | None, mover: str, rng: np.random.Generator) -> None:
        match int(rng.integers(0, 5)):
            case 0:
                self.timeout(number)
            case 1:
                self.withdraw(number)
            case 2 if move is not None:
                self.move(number, move, TREASURY)
            case _ if move is not None:
                self.move(number, spoilt(move, rng), mover)


def canonical(dispute: Dispute) -> Dispute:
    """With addresses in lower case and numbers as numbers."""
    return dataclasses.replace(
        dispute,
        defender=dispute.defender.lower(),
        challenger=dispute.challenger.lower(),
        phase=int(dispute.phase),
        outcome=int(dispute.outcome),
    )


def spoilt(value: Any, rng: np.random.Generator) -> Any:
    """The same with one thing in it changed: a bit, a number, a place in a list."""
    if isinstance(value, bytes):
        if not value or rng.random() < 0.1:
            return value + b"\x00" if len(value) != 32 else bytes(32)
        data = bytearray(value)
        data[int(rng.integers(0, len(data)))] ^= 1 << int(rng.integers(0, 8))
        return bytes(data)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return max(0, value + int(rng.choice([-1, 1, 64])))
    if isinstance(value, tuple):
        items = list(value)
        choice = rng.random()
        if not items or choice < 0.15:
            return (*items, items[0] if items else bytes(32)) if not items or isinstance(items[0], bytes) else value
        place = int(rng.integers(0, len(items)))
        if choice < 0.3 and isinstance(items[0], bytes):
            return tuple(items[:place] + items[place + 1 :])
        items[place] = spoilt(items[place], rng)
        return tuple(items)
    names = [field.name for field in dataclasses.fields(value)]
    name = names[int(rng.integers(0, len(names)))]
    return dataclasses.replace(value, **{name: spoilt(getattr(value, name), rng)})


def lying_match(seed: int, world: World | None = None) -> tuple[Match, np.random.Generator]:
    rng = np.random.default_rng(seed)
    world = world or random_world(rng)
    segment = 0 if rng.random() < 0.15 else 1
    liar = world.run(segment)
    LIES[int(rng.integers(0, len(LIES)))](rng, liar)
    return Match(world, liar, world.run(segment), Rules(3000, 500, int(rng.choice([0, 1, 7])))), rng


@pytest.mark.chain
@pytest.mark.parametrize("seed", range(MATCHES))
def test_games_of_random_lies_are_the_same(disputes: DisputeHarness, seed: int) -> None:
    match, rng = lying_match(seed)
    both = Both(disputes, match)
    assert both.play(both.open(), rng) is Outcome.DEFENDER_CONVICTED
    assert both.chain.convictions() == 1
    assert both.chain.released(CHALLENGER) == BOND


@pytest.mark.chain
@pytest.mark.parametrize("seed", range(8))
def test_games_against_honest_claims_are_the_same(disputes: DisputeHarness, seed: int) -> None:
    match, rng = lying_match(100 + seed)
    match.evidence = match.evidence[::-1]
    for ref, who, evidence in zip(match.refs, (DEFENDER, CHALLENGER), match.evidence, strict=True):
        match.game.add_claim(Claim(ref, who, match.body(evidence, who)))
    both = Both(disputes, match)
    number = both.open()
    while match.game.dispute(number).phase != Phase.RESOLVED:
        move, mover = both.honest_move(number)
        # A spoilt list of states is a legal lie: an honest defender is not made to tell one.
        if rng.random() < 0.3 and mover == CHALLENGER:
            both.disturb(number, move, mover, rng)
        elif move is None or not both.move(number, move, mover):
            assert match.game.position(number).side is Side.CHALLENGER, both.refusal
            both.tick(match.game.deadline(number) - both.now - 6)
            assert both.timeout(number)
    assert match.game.dispute(number).outcome == Outcome.CHALLENGE_FAILED
    assert both.chain.convictions() == 0
    assert (both.chain.paid(DEFENDER), both.chain.paid(TREASURY)) == (BOND // 2, BOND - BOND // 2)


@pytest.mark.chain
@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_games_over_the_whole_op_set_are_the_same(disputes: DisputeHarness, seed: int) -> None:
    rng = np.random.default_rng(200 + seed)
    case = random_program_case(rng, 12)
    start = [from_numpy(np.asarray(array)) for array in case.state]
    reads_end = seed % 2 == 1
    world = World(
        reading_the_end(case.program, rng) if reads_end else case.program,
        start,
        [from_numpy(np.asarray(array)) for array in case.constants],
        steps=1,
        segment_steps=1,
        seed=case.seed,
        end=[value.flip(0) if value.ndim else value for value in start] if reads_end else None,
    )
    for _ in range(3):
        liar = world.run()
        lie_about_value(rng, liar)
        match = Match(world, liar, world.run())
        if match.evidence[0].end_root == match.evidence[1].end_root:
            continue
        both = Both(disputes, match)
        assert both.play(both.open(), rng, noise=0.2) is Outcome.DEFENDER_CONVICTED
        assert both.chain.gas[-1][0] == "prove"


@pytest.mark.chain
@pytest.mark.parametrize("honest", [False, True])
def test_games_over_the_draw_and_the_end_are_the_same(disputes: DisputeHarness, honest: bool) -> None:
    """A leaf that reads the draw's value, and a checkpoint of more entries than one chunk of roots holds."""
    rng = np.random.default_rng(800 + honest)
    entries = tuple(StateEntry(DType.I32, (DRAW_WORDS,)) for _ in range(40))
    draw, last = Input(InputKind.COMMITTED, len(entries)), Input(InputKind.COMMITTED, len(entries) - 1)
    made = [Node(Op.IADD, DType.I32, (DRAW_WORDS,), (draw, last))]
    outputs = [Input(InputKind.STATE, index) for index in range(len(entries) - 1)] + [Input(InputKind.NODE, 0)]
    made.append(Node(Op.STATE, DType.ROOT, (len(entries),), tuple(outputs)))
    start, end = ([from_numpy(rng.integers(-9, 9, DRAW_WORDS).astype(np.int32)) for _ in entries] for _ in range(2))
    world = World(Program(tuple(made), entries), start, steps=1, segment_steps=1, end=end)
    liar = world.run()
    lie_about_value(rng, liar)
    both = Both(disputes, Match(world, *((world.run(), liar) if honest else (liar, world.run()))))
    wanted = Outcome.CHALLENGE_FAILED if honest else Outcome.DEFENDER_CONVICTED
    assert both.play(both.open(), rng, noise=0.3 * (not honest)) is wanted


@pytest.mark.chain
@pytest.mark.parametrize("op", LONG_OPS, ids=lambda op: op.name.lower())
def test_games_of_long_rows_are_the_same(disputes: DisputeHarness, op: Op) -> None:
    rng = np.random.default_rng([600, op])
    size = block_size(op)
    assert size is not None
    world = long_world(op, size + int(rng.integers(1, 400)), rng)
    liar, honest = lying_run(world, op, rng), world.run()
    match = LyingMatch(world, liar, honest)
    match.hidden = int(rng.integers(0, 2))
    both = Both(disputes, match)
    assert both.play(both.open(), rng) is Outcome.DEFENDER_CONVICTED
    assert both.chain.gas[-1][0] == "provePart"
    assert both.chain.convictions() == 1
    assert all(gas < 5_000_000 for _, gas in both.chain.gas)

    # The other way round: a liar challenges an honest claim, down to a part that agrees.
    both = Both(disputes, Match(world, honest, liar))
    assert both.play(both.open(), rng, noise=0.0) is Outcome.CHALLENGE_FAILED
    assert "revealParts" in [function for function, _ in both.chain.gas]
    assert both.chain.convictions() == 0


@pytest.mark.chain
@pytest.mark.parametrize("seed", range(6))
def test_games_side_by_side_are_the_same(disputes: DisputeHarness, seed: int) -> None:
    """Several disputes about one claim: reveals serve all of them, clocks run apart, one verdict ends the rest."""
    match, rng = lying_match(300 + seed)
    both = Both(disputes, match)
    numbers = [both.open(), both.open(), both.open(0)]
    for _ in range(60):
        open_ones = [n for n in numbers if match.game.dispute(n).phase != Phase.RESOLVED]
        if not open_ones:
            break
        number = int(rng.choice(open_ones))
        move, mover = both.honest_move(number)
        roll = rng.random()
        if roll < 0.1:
            both.tick(int(rng.integers(1, 1500)))
        elif roll < 0.3 or move is None:
            both.disturb(number, move, mover, rng)
        else:
            both.move(number, move, mover)
    assert both.chain.convictions() <= 2


@pytest.mark.chain
@pytest.mark.parametrize("seed", range(6))
def test_digest_games_are_the_same(disputes: DisputeHarness, seed: int) -> None:
    rng = np.random.default_rng(400 + seed)
    world = random_world(rng)
    match = Match(world, world.run(), world.run())
    key = claims.claim_key(match.refs[0])
    honest = match.game.claims[key]
    step = int(rng.integers(0, match.evidence[0].steps))
    wrong = bytearray(honest.body.digest)
    wrong[8 * step + int(rng.integers(0, 8))] ^= 1
    for body, outcome in (
        (dataclasses.replace(honest.body, digest=bytes(wrong)), Outcome.DEFENDER_CONVICTED),
        (honest.body, Outcome.CHALLENGE_FAILED),
    ):
        match.game.add_claim(dataclasses.replace(honest, body=body))
        both = Both(disputes, match)
        match.game.disputes.clear()
        match.game._revealed.clear()
        match.game.convicted.clear()
        assert both.play(both.open(step), rng, noise=0.2) is outcome


class PublishedTrace:
    """A run's trace as a verifier would publish it."""

    def __init__(self, run: TestRun) -> None:
        self.run = run

    def node_roots(self, step: int) -> list[bytes]:
        return list(self.run.opening(step).node_roots)

    def node(self, step: int, index: int):  # type: ignore[no-untyped-def]
        return self.run.opening(step).node(index)


@pytest.mark.chain
@pytest.mark.parametrize("seed", range(8))
def test_one_shots_are_the_same(disputes: DisputeHarness, seed: int) -> None:
    rng = np.random.default_rng(500 + seed)
    world = random_world(rng)
    liar = world.run()
    lie_about_value(rng, liar)
    match = Match(world, liar, world.run())
    both = Both(disputes, match)
    proof = find_one_shot(
        PublishedTrace(liar), match.game.claims[claims.claim_key(match.refs[0])].body.trace_root, match.evidence[1]
    )
    for _ in range(6):
        both.tick()
        bad = spoilt(proof, rng)
        try:
            match.game.one_shot(bad, *match.refs)
            legal = True
        except IllegalMoveError:
            legal = False
        assert both.chain.one_shot(bad, *match.refs, CHALLENGER) == legal
        if legal:
            return
    both.tick()
    match.game.one_shot(proof, *match.refs)
    assert both.chain.one_shot(proof, *match.refs, CHALLENGER)
    assert both.chain.convictions() == 1


@pytest.mark.chain
def test_dispute_of_a_200_node_program_stays_within_its_gas(disputes: DisputeHarness) -> None:
    rng = np.random.default_rng(5)
    program, state = ladder(200, [4000], rng)
    world = World(program, state, steps=32, segment_steps=32)
    liar = world.run()
    lie_about_value(rng, liar)
    match = Match(world, liar, world.run())
    both = Both(disputes, match)
    assert both.play(both.open(), rng, noise=0.0) is Outcome.DEFENDER_CONVICTED
    functions = [function for function, _ in both.chain.gas]
    assert sum(function.startswith("reveal") for function in functions) <= 5
    assert sum(function.startswith(("pick", "prove")) for function in functions) <= 5
    assert sum(gas for _, gas in both.chain.gas) <= 3_000_000
    print(both.chain.gas, sum(gas for _, gas in both.chain.gas))


def test_refs_are_two_claims() -> None:
    assert ClaimRef(1, 1, 0, 0) != ClaimRef(1, 1, 0, 1)
