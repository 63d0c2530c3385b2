"""From a program to a plan: which nodes run once, which every step, and when a value may go.

A plan allocates nothing. ``estimate_memory`` is computed from it before anything is run.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path

import torch

from lockstep.engine.errors import MemoryLimitError
from lockstep.program.graph import Program
from lockstep.program.liveness import needed_nodes, node_inputs, peak_bytes, releases, type_bytes
from lockstep.program.ops import InputKind, Op

MEMORY_LIMIT_VARIABLE = "LOCKSTEP_MEMORY_LIMIT"
STATIC_LIMIT = 1 << 28
"""Bytes of values kept from step to step because they never change; more are recomputed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a step runs, in program order.

    ``static`` nodes depend on constants, literals and the seed alone and run once; ``dynamic`` ones
    run every step. ``release[i]`` are the dynamic nodes whose last reader is node i. Nodes that
    neither the new state nor a metric needs are in none. ``peak_bytes`` are node values alive at
    once; ``scratch_bytes`` what the largest node needs besides.
    """

    program: Program
    static: tuple[int, ...]
    dynamic: tuple[int, ...]
    release: dict[int, tuple[int, ...]]
    static_bytes: int
    peak_bytes: int
    scratch_bytes: int

    @property
    def state_bytes(self) -> int:
        """Bytes of one state."""
        return sum(type_bytes(entry.type) for entry in self.program.state)

    @property
    def constant_bytes(self) -> int:
        """Bytes of the constants."""
        return sum(type_bytes(entry.type) for entry in self.program.constants)

    @property
    def total_bytes(self) -> int:
        """Everything a runner of this plan holds at its peak: two states, constants, values, scratch."""
        return 2 * self.state_bytes + self.constant_bytes + self.static_bytes + self.peak_bytes + self.scratch_bytes


def _static(program: Program, needed: set[int]) -> tuple[set[int], int]:
    changing = {InputKind.STATE, InputKind.STEP, InputKind.COMMITTED}
    static: set[int] = set()
    kept = 0
    for index in sorted(needed):
        node = program.nodes[index]
        if all(
            source.value in static if source.kind is InputKind.NODE else source.kind not in changing
            for source in node.inputs
        ):
            size = type_bytes(node.type)
            if kept + size > STATIC_LIMIT:
                continue
            static.add(index)
            kept += size
    return static, kept


def _scratch(program: Program, index: int) -> int:
    """Working memory of one node beside its inputs and output, an upper bound over the routes."""
    node = program.nodes[index]
    inputs = [type_bytes(program.input_type(source)) for source in node.inputs]
    match node.op:
        case Op.MATMUL:
            # Rows are packed by 16, at up to 8 bytes a term: at least one such block of either operand a thread.
            packed = 2 * 16 * 8 * program.input_type(node.inputs[0]).shape[-1] * torch.get_num_threads()
            return 6 * sum(inputs) + 4 * type_bytes(node.type) + packed
        case Op.SUM | Op.SCATTER_ADD:
            return 4 * sum(inputs) + 4 * type_bytes(node.type)
        case Op.RANDOM_BITS | Op.SHUFFLE:
            return 24 * node.type.elements
        case Op.VIEW | Op.CONCAT:
            return sum(inputs)
        case _:
            return 4 * max([type_bytes(node.type), *inputs])


@functools.lru_cache(maxsize=32)
def make_plan(program: Program) -> Plan:
    """Plan of a well-formed program (``check_program`` comes first; this trusts shapes and order)."""
    needed = needed_nodes(program)
    static, static_bytes = _static(program, needed)
    dynamic = tuple(index for index in sorted(needed) if index not in static)
    kept = static | set(program.metrics) | set(node_inputs(program.nodes[-1]))
    release = releases(program, dynamic, kept)
    peak = peak_bytes(program, dynamic, release)
    scratch = max((_scratch(program, index) for index in sorted(needed)), default=0)
    return Plan(program, tuple(sorted(static)), dynamic, release, static_bytes, peak, scratch)


def estimate_memory(program: Program) -> int:
    """Bytes a step of this program needs at most, constants and both states included."""
    return make_plan(program).total_bytes


def default_memory_limit() -> int:
    """``LOCKSTEP_MEMORY_LIMIT`` in bytes, or nine tenths of what this machine has available."""
    given = os.environ.get(MEMORY_LIMIT_VARIABLE)
    if given:
        return int(given)
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024 * 9 // 10
    except OSError:
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 9 // 10


def check_memory(program: Program, limit: int | None = None, extra: int = 0) -> None:
    """Refuse a program whose step needs more than ``limit`` bytes (default: ``default_memory_limit``).

    ``extra`` bytes are added to the estimate: a traced step keeps every node.
    """
    need = estimate_memory(program) + extra
    allowed = default_memory_limit() if limit is None else limit
    if need > allowed:
        raise MemoryLimitError(
            f"A step of this program needs up to {_size(need)}, and {_size(allowed)} are allowed. "
            f"Use a smaller batch or model, or raise {MEMORY_LIMIT_VARIABLE} (bytes) on a larger machine."
        )


def _size(count: int) -> str:
    value = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError
