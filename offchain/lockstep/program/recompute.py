"""Activation checkpointing as a rewrite of a program: the backward pass computes parts of the forward pass again.

A forward pass is cut into parts where little passes from one to the next. What passes is kept; what else the backward
pass reads of a part is computed again from that, just before its first reader there, and goes after its last. The
last part is not cut off: its backward follows at once. The new nodes are copies of old ones, so every value, and with
it every state, has the bits it had; only the program is another, with more work and fewer bytes alive at once.

Random draws are never copied (a site draws once in a program), nor is what depends on constants alone, which is
computed once for all steps.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace

from lockstep.program.emitter import Built
from lockstep.program.graph import Input, Node, Program
from lockstep.program.infer import ProgramError
from lockstep.program.liveness import needed_nodes, node_inputs, peak_bytes, releases, type_bytes
from lockstep.program.ops import InputKind, Op

PARTS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Numbers of parts that are tried, in this order."""
_DRAWS = (Op.RANDOM_BITS, Op.SHUFFLE)
_CHANGING = (InputKind.STATE, InputKind.STEP, InputKind.COMMITTED)

Place = tuple[int, int]
"""Which forward pass of the step, and which part of it."""


def working_bytes(program: Program) -> int:
    """Most bytes of node values alive at once in a step, beside the new state, which has a place of its own."""
    order = sorted(needed_nodes(program))
    after = set(node_inputs(program.nodes[-1]))
    return peak_bytes(program, order, releases(program, order, after | set(program.metrics)), after)


def recomputed(built: Built, forwards: Sequence[range], budget: int) -> Built:
    """The program with its forward passes in the fewest parts that keep ``working_bytes`` within ``budget``.

    Numbers of parts are those of ``PARTS``. ``forwards`` are the emitted nodes of each forward pass, before ``finish``
    numbered them. ``ProgramError`` where no number of parts is enough.
    """
    numbers = sorted(built.index)
    passes = []
    for emitted in forwards:
        first, stop = bisect.bisect_left(numbers, emitted.start), bisect.bisect_left(numbers, emitted.stop)
        passes.append(range(first, stop))  # dead nodes went, and the order stayed: so the place is the number
    least = working_bytes(built.program)
    if least <= budget:
        return built
    for parts in PARTS:
        rewritten = _Rewriting(built, passes, parts).result()
        found = working_bytes(rewritten.program)
        if found <= budget:
            return rewritten
        least = min(least, found)
    raise ProgramError(
        f"The step's values take at least {least:,} bytes at once, in however many parts the forward pass is computed"
        f" again, and {budget:,} are allowed. Allow more, or use a smaller batch."
    )


def _changing(program: Program) -> list[bool]:
    """Whether each node depends on the state or the step."""
    found: list[bool] = []
    for node in program.nodes:
        kinds = any(source.kind in _CHANGING for source in node.inputs)
        found.append(kinds or any(found[index] for index in node_inputs(node)))
    return found


class _Rewriting:
    """One rewrite of a program, with every forward pass cut into ``parts``."""

    def __init__(self, built: Built, passes: Sequence[range], parts: int) -> None:
        self.built, self.program = built, built.program
        self.place: dict[int, Place] = {}
        last: dict[int, Place] = {}
        for number, nodes in enumerate(passes):
            cuts = _cuts(self.program, nodes, parts)
            for index in nodes:
                self.place[index] = last[index] = (number, bisect.bisect_right(cuts, index))
                for source in node_inputs(self.program.nodes[index]):
                    if self.place.get(source, (-1, 0))[0] == number:
                        last[source] = max(last[source], self.place[index])
        ends = {number: self.place[nodes[-1]][1] for number, nodes in enumerate(passes) if nodes}
        changing, kept = _changing(self.program), {*self.program.metrics, *node_inputs(self.program.nodes[-1])}
        self.dropped = {
            index
            for index, (number, part) in self.place.items()
            if part < ends[number]
            and last[index] == (number, part)
            and changing[index]
            and index not in kept
            and self.program.nodes[index].op not in _DRAWS
        }
        """Nodes whose values are not kept for the backward pass."""

    def _foreign(self, index: int, place: Place | None) -> list[int]:
        """What a node at ``place`` (None: in no forward pass) reads of parts that are not its own."""
        inputs = node_inputs(self.program.nodes[index])
        return [source for source in inputs if source in self.dropped and self.place[source] != place]

    def result(self) -> Built:
        """The program rewritten, without the nodes that nothing needs any more."""
        nodes: list[Node] = []
        origin: list[int] = []
        first: dict[int, int] = {}
        copies: dict[int, int] = {}

        def append(index: int, foreign: Iterable[int]) -> int:
            again = set(foreign)

            def moved(source: Input) -> Input:
                if source.kind is not InputKind.NODE:
                    return source
                return replace(source, value=(copies if source.value in again else first)[source.value])

            node = self.program.nodes[index]
            nodes.append(replace(node, inputs=tuple(map(moved, node.inputs))))
            origin.append(index)
            return len(nodes) - 1

        for index in range(len(self.program.nodes)):
            foreign = self._foreign(index, self.place.get(index))
            for source in self._missing(foreign, copies):
                copies[source] = append(source, self._foreign(source, None))
            first[index] = append(index, foreign)
        return self._finished(nodes, origin, first)

    def _missing(self, wanted: Sequence[int], copies: dict[int, int]) -> list[int]:
        """The nodes to copy before ``wanted`` can be read again, in order."""
        todo, found = list(wanted), set[int]()
        while todo:
            index = todo.pop()
            if index not in copies and index not in found:
                found.add(index)
                todo += self._foreign(index, None)
        return sorted(found)

    def _finished(self, nodes: list[Node], origin: list[int], first: dict[int, int]) -> Built:
        program = self.program
        whole = replace(program, nodes=tuple(nodes), metrics=tuple(first[index] for index in program.metrics))
        live = [*sorted(needed_nodes(whole)), len(nodes) - 1]
        number = {index: place for place, index in enumerate(live)}

        def moved(source: Input) -> Input:
            return replace(source, value=number[source.value]) if source.kind is InputKind.NODE else source

        lines = {at: line for at, i in enumerate(live) if (line := program.names.nodes.get(origin[i])) is not None}
        names = replace(program.names, nodes=lines)
        rewritten = Program(
            tuple(replace(nodes[i], inputs=tuple(map(moved, nodes[i].inputs))) for i in live),
            program.state,
            program.constants,
            tuple(number[index] for index in whole.metrics),
            names,
        )
        index = {e: number[first[i]] for e, i in self.built.index.items() if first[i] in number}
        slots: dict[int, dict[int, float]] = {}
        for (node, slot), exact in self.built.literals.items():
            slots.setdefault(node, {})[slot] = exact
        literals = {(at, slot): exact for at, i in enumerate(live) for slot, exact in slots.get(origin[i], {}).items()}
        return Built(rewritten, self.built.constants, index, literals)


def _cuts(program: Program, nodes: range, parts: int) -> list[int]:
    """First nodes of the second part and those after it.

    Parts hold about as many bytes each of what the backward pass reads; near the place where that would be exact, a cut
    is where the fewest bytes pass.
    """
    last, saved = {index: index for index in nodes}, set[int]()
    for index in range(nodes.start, len(program.nodes) - 1):
        for source in node_inputs(program.nodes[index]):
            if source in last and index in nodes:
                last[source] = index
            elif source in last:
                saved.add(source)
    sizes = {index: type_bytes(program.nodes[index].type) for index in nodes}
    held = [0, *itertools.accumulate(sizes[index] if index in saved else 0 for index in nodes)]
    changes = [0] * (len(nodes) + 2)
    for index in nodes:
        changes[index - nodes.start + 1] += sizes[index]
        changes[last[index] - nodes.start + 1] -= sizes[index]
    passing = list(itertools.accumulate(changes))
    cuts: list[int] = []
    for part in range(1, parts):
        ideal, reach = held[-1] * part / parts, held[-1] / (2 * parts)
        low = max(bisect.bisect_left(held, ideal - reach), 1)
        high = min(bisect.bisect_right(held, ideal + reach), len(nodes))
        if low < high:
            best = min(range(low, high), key=lambda place: (passing[place], abs(held[place] - ideal)))
            cuts.append(nodes.start + best)
    return sorted(set(cuts))
