"""One flipped bit anywhere in a training step: the claims of both sides, and which nodes and elements are tried.

A step is run once; a lie is the same step with one bit of one node's tensor changed, and the roots above it. What comes
after the node is left as it was: only the first difference counts.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from torch import Tensor

from lockstep.chain.types import ClaimBody, ClaimRef, TaskTerms
from lockstep.commitments import merkle
from lockstep.commitments.tensor import CHUNK_BYTES, TensorCommitment
from lockstep.dispute import claims
from lockstep.dispute.evidence import Evidence, Opening
from lockstep.dispute.leaf_proof import proven_types
from lockstep.dispute.one_shot import OneShot, find_one_shot
from lockstep.engine.checkpoint import state_root
from lockstep.engine.run import Runner
from lockstep.engine.segment import initial_state
from lockstep.engine.trace import StepOpening, Tracer, trace_tree
from lockstep.numerics.dtypes import ITEMSIZE
from lockstep.program.capture import CapturedTask
from lockstep.program.encoding import commit_program
from lockstep.program.graph import Concat, Input, Node, Program, View
from lockstep.program.leaf import view_source
from lockstep.program.long_rows import row_blocks
from lockstep.program.ops import InputKind, Op
from lockstep.program.work import program_work

SEED = 0x5EED
SEGMENT = 2
"""The segment in court: one step, STEP = 1, so that nothing of the optimiser's state is as it was initialised."""
FALSE_END = b"\xe0" * 32
"""End root of the claim under attack. A one-shot proof is about its trace: nothing has to lead to this root."""
DRAWS = 64
"""Elements of a view that are drawn to find one outside its source, and one inside."""


@dataclass(frozen=True, slots=True)
class Flip:
    """The lie: bit ``bit`` of element ``element`` of node ``node``'s tensor is the other one."""

    node: int
    element: int
    bit: int


class FlippedOpening:
    """An opened step in which one bit is flipped; an ``Opening`` that shares all else with the honest one."""

    def __init__(self, honest: StepOpening, flip: Flip) -> None:
        self.honest = honest
        self.flipped = flip_bit(honest.node(flip.node), flip)
        self.source = Input(InputKind.NODE, flip.node)
        self.node_roots: list[bytes] = [*honest.node_roots]
        self.node_roots[flip.node] = self.flipped.root
        leaves = [*honest.tree.levels[0]]
        leaves[flip.node] = merkle.hash_leaf(self.flipped.root)
        self.tree = merkle.Tree(leaves)

    @property
    def program(self) -> Program:
        return self.honest.program

    @property
    def state(self) -> Sequence[Tensor]:
        return self.honest.state

    def tensor(self, source: Input) -> Tensor | None:
        assert source != self.source, "A leaf reads earlier nodes only."
        return self.honest.tensor(source)

    def commitment(self, source: Input) -> TensorCommitment:
        return self.flipped if source == self.source else self.honest.commitment(source)


def flip_bit(tensor: TensorCommitment, flip: Flip) -> TensorCommitment:
    """The tensor's bytes with one bit flipped, whatever they stand for then, and their tree."""
    data = bytearray(tensor.data)
    place = flip.element * ITEMSIZE[tensor.dtype] + flip.bit // 8
    data[place] ^= 1 << flip.bit % 8
    chunk = place // CHUNK_BYTES
    leaves = [*tensor.tree.levels[0]]
    leaves[chunk] = merkle.hash_leaf(bytes(data[chunk * CHUNK_BYTES : (chunk + 1) * CHUNK_BYTES]))
    return replace(tensor, data=memoryview(data), tree=merkle.Tree(leaves))


class Party:
    """A ``Run`` of the segment and the trace it publishes: the honest step, or the one in ``opened``."""

    def __init__(self, honest: StepOpening) -> None:
        self.opened: Opening = honest
        self.honest = honest
        self.steps, self.first_step = 1, honest.step
        self.state_roots = [honest.state_root]

    def opening(self, step: int) -> Opening:
        assert step == 0
        return self.opened

    def state_after(self, step: int) -> Sequence[Tensor]:
        return self.honest.state if step < 0 else self.honest.state_after

    # A published trace

    def node_roots(self, step: int) -> Sequence[bytes]:
        return self.opening(step).node_roots

    def node(self, step: int, index: int) -> TensorCommitment:
        return self.opening(step).commitment(Input(InputKind.NODE, index))


class Case:
    """A task of the zoo whose segment ``SEGMENT`` is in court, run honestly once."""

    def __init__(self, task: CapturedTask) -> None:
        self.program = task.step
        self.commitment = commit_program(task.step, program_work(task.step))
        self.init = commit_program(task.init, program_work(task.init))
        start = initial_state(task.init, task.constants, SEED)
        state, _ = Runner(task.step, task.constants, SEED).step(start, 0)
        self.opening = Tracer(task.step, task.constants, SEED).open(state, 1)
        self.start_root = state_root(state)
        self.liar, self.honest = Party(self.opening), Party(self.opening)
        self.liars_evidence = Evidence(self.liar, self.commitment, SEED, self.start_root)
        self.evidence = Evidence(self.honest, self.commitment, SEED, self.start_root)

    @cached_property
    def terms(self) -> TaskTerms:
        """Terms of the task: three segments of one step each, the init segment's included."""
        return TaskTerms(
            id=1,
            submitter="0x" + "5b" * 20,
            step_program=self.commitment.hash,
            init_program=self.init.hash,
            step_work=self.commitment.work,
            init_work=self.init.work,
            state_chunks=self.commitment.state_chunks,
            node_count=len(self.program.nodes),
            init_node_count=len(self.init.node_bytes),
            seed=SEED,
            steps=2,
            segment_steps=1,
            audits=1,
            price=1,
            wage=1,
            levy=1,
            accept_deadline=0,
            solve_window=0,
        )

    def ref(self, index: int) -> ClaimRef:
        """A claim about the segment."""
        return ClaimRef(1, SEGMENT, 0, index)

    def body(self, party: Party) -> ClaimBody:
        """What the accused party claims: this trace, and an end that others do not agree with."""
        assert claims.first_step(self.terms, SEGMENT) == party.first_step
        trace = trace_tree([party.opening(0).tree.root]).root
        return ClaimBody(self.start_root, self.start_root, FALSE_END, bytes(8), bytes(32), trace)

    def lie(self, flip: Flip) -> None:
        """Let the liar's step be the one with this bit flipped."""
        self.liar.opened = FlippedOpening(self.opening, flip)

    def accusation(self) -> OneShot:
        """The honest party's proof against the liar's trace."""
        return find_one_shot(self.liar, self.body(self.liar).trace_root, self.evidence)

    def slander(self) -> OneShot:
        """The liar's proof against the honest party's trace: the same leaf, where the trace is right."""
        return find_one_shot(self.honest, self.body(self.honest).trace_root, self.liars_evidence)

    def element_bytes(self, flip: Flip) -> bytes:
        """The bytes of the element that is lied about, as they should be."""
        size = ITEMSIZE[self.program.nodes[flip.node].dtype]
        return bytes(self.opening.node(flip.node).data[flip.element * size : (flip.element + 1) * size])


# What is tried


def attributes_of(node: Node) -> object:
    """Nodes of one op, dtype and sort of attributes are of one kind."""
    return (node.op, node.dtype, _sort(node))


def operands_of(node: Node) -> object:
    """Nodes are of one kind whose operands come from the same sorts of places, too: a leaf's proofs differ in that."""
    return (node.op, node.dtype, _sort(node), tuple(source.kind for source in node.inputs))


def _sort(node: Node) -> object:
    """What an executor may treat apart: a view's traits, a concat's axis, integers but for sites and sizes."""
    if isinstance(node.attrs, View):
        strides = [stride for _, stride in node.attrs.mapping]
        axes = [axis for axis, stride in node.attrs.mapping if stride]
        traits = {
            "filled": _reaches_outside(node.attrs, node),
            "backward": any(stride < 0 for stride in strides),
            "strided": any(abs(stride) > 1 for stride in strides),
            "expanded": 0 in strides,
            "joined": len(set(axes)) < len(axes),
            "permuted": axes != sorted(axes),
        }
        return frozenset(name for name, has in traits.items() if has)
    if isinstance(node.attrs, Concat):
        return node.attrs.axis == len(node.shape) - 1
    return () if node.op in (Op.RANDOM_BITS, Op.SHUFFLE) else node.attrs


def _reaches_outside(view: View, node: Node) -> bool:
    low, high = [*view.offset], [*view.offset]
    for (axis, stride), extent in zip(view.mapping, node.shape, strict=True):
        if stride:
            reach = stride * (extent - 1)
            low[axis] += min(reach, 0)
            high[axis] += max(reach, 0)
    return any(a < 0 or b >= extent for a, b, extent in zip(low, high, view.src_shape, strict=True))


def flips(program: Program, name: str, kinds: Iterable[object], each: int = 1) -> Iterator[Flip]:
    """``each`` nodes of every kind and one element of each; of a view with a fill, one inside and one outside.

    ``kinds`` has an entry a node. What is drawn follows from ``name`` alone. Nodes whose rows one leaf does not carry
    are left out: no single transaction convicts of those.
    """
    rng = np.random.default_rng([SEED, zlib.crc32(name.encode())])
    groups: dict[object, list[int]] = {}
    for index, kind in enumerate(kinds):
        node = program.nodes[index]
        if row_blocks(node, proven_types(program, node)) == 1:
            groups.setdefault(kind, []).append(index)
    for group in groups.values():
        for index in rng.permutation(group)[:each]:
            node = program.nodes[int(index)]
            for element in _elements(rng, node):
                yield Flip(int(index), element, int(rng.integers(0, 8 * ITEMSIZE[node.dtype])))


def _elements(rng: np.random.Generator, node: Node) -> Iterator[int]:
    total = node.type.elements
    if not isinstance(node.attrs, View):
        yield int(rng.integers(0, total))
        return
    found: dict[bool, int] = {}
    for element in rng.integers(0, total, DRAWS):
        found.setdefault(view_source(node.attrs, node.shape, int(element)) is None, int(element))
    yield from found.values()
