"""Which values of a program are alive at once when its nodes run in order and each value goes after its last reader."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lockstep.numerics.dtypes import ITEMSIZE
from lockstep.program.graph import Node, Program, TensorType
from lockstep.program.ops import InputKind

Releases = dict[int, tuple[int, ...]]
"""Node -> the nodes whose last reader it is."""


def type_bytes(kind: TensorType) -> int:
    """Bytes of a tensor's data."""
    return kind.elements * ITEMSIZE[kind.dtype]


def node_inputs(node: Node) -> list[int]:
    """Indices of the nodes a node reads."""
    return [source.value for source in node.inputs if source.kind is InputKind.NODE]


def needed_nodes(program: Program) -> set[int]:
    """Nodes that the new state or a metric needs, without the state node itself."""
    last = len(program.nodes) - 1
    todo = [*node_inputs(program.nodes[last]), *program.metrics]
    needed: set[int] = set()
    while todo:
        index = todo.pop()
        if index not in needed:
            needed.add(index)
            todo.extend(node_inputs(program.nodes[index]))
    return needed - {last}


def releases(program: Program, order: Sequence[int], kept: Collection[int]) -> Releases:
    """What may go after each node of ``order``; ``kept`` values never go."""
    reader: dict[int, int] = {}
    for index in order:
        for source in node_inputs(program.nodes[index]):
            reader[source] = index
    found: dict[int, list[int]] = {}
    for source, index in reader.items():
        if source not in kept:
            found.setdefault(index, []).append(source)
    return {index: tuple(sources) for index, sources in found.items()}


def peak_bytes(program: Program, order: Sequence[int], release: Releases, apart: Collection[int] = ()) -> int:
    """Most bytes of values alive at once, those of the nodes in ``apart`` not counted."""
    alive = peak = 0
    for index in order:
        alive += 0 if index in apart else type_bytes(program.nodes[index].type)
        peak = max(peak, alive)
        alive -= sum(type_bytes(program.nodes[source].type) for source in release.get(index, ()) if source not in apart)
    return peak
