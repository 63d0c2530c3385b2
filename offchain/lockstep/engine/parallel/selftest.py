"""The native engine's sums before rounding against the reference's, once a process before their first use."""

from __future__ import annotations

import functools
import logging

import torch

from lockstep.engine.native.engine import NativeEngine
from lockstep.engine.native.selftest import THREADS, case_program
from lockstep.engine.parallel.partial import exponent_slots, reference_sums
from lockstep.engine.routes import SELF_TEST_SEED, to_numpy
from lockstep.numerics.contraction import HIGHEST_EXPONENT
from lockstep.numerics.rows import LOWEST_SUM_EXPONENT
from lockstep.program.graph import Input
from lockstep.program.ops import InputKind, Op

log = logging.getLogger("lockstep.engine")


@functools.cache
def passes_raw(op: Op) -> bool:
    """Whether the native engine's exact sums are the reference's on the edge cases of an op that sums."""
    program, constants, _ = case_program(op)
    outputs = [Input(InputKind.NODE, index) for index in range(len(program.nodes))]
    raw = frozenset(range(len(program.nodes)))
    for threads in THREADS:
        found = NativeEngine(program, outputs, constants, SELF_TEST_SEED, threads, raw=raw).run([], 0)
        for node, value in zip(program.nodes, found, strict=True):
            inputs = [constants[source.value] for source in node.inputs]
            wanted = reference_sums(node, [to_numpy(x) for x in inputs])
            if op is not Op.MATMUL:
                # Under an exponent that is not valid the terms mean nothing: the value is NaN whatever they are.
                e = inputs[exponent_slots(op)[0]]
                valid = (e >= LOWEST_SUM_EXPONENT) & (e <= HIGHEST_EXPONENT)
                valid = valid if op is Op.SUM else valid.unsqueeze(-1)
                value, wanted = (torch.where(valid, total, 0) for total in (value, wanted))
            if not torch.equal(value, wanted):
                log.warning("The native sums of %s differ from the reference's; PyTorch does this share.", op.name)
                return False
    return True
