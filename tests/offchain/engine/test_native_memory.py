"""What the native engine holds: no more than the program asks for."""

from __future__ import annotations

import torch

from lockstep.engine.checkpoint import tensor_roots
from lockstep.engine.native.lower import lower
from lockstep.engine.run import Runner
from lockstep.numerics.dtypes import DType
from lockstep.program.builder import Builder
from lockstep.program.ops import InputKind

ELEMENTS, PARAMETERS = 1 << 14, 8


def test_updates_that_share_a_scalar_hold_nothing_between_their_passes() -> None:
    """As Adam's: a rate computed from STEP is spread over every parameter, after work that does not need it."""
    b = Builder()
    state = [b.add_state(f"p{i}", DType.F32, (ELEMENTS,)) for i in range(PARAMETERS)]
    rate = b.div(1.0, b.add(b.sqrt(b.cast(b.step, DType.F32)), 3.0))
    after = []
    for value in state:
        root = b.sqrt(b.abs(value))
        after.append(b.add(root, b.mul(root, b.expand(rate, value.shape))))
    program = b.finish(after).program
    outputs = [source for source in program.nodes[-1].inputs if source.kind is InputKind.NODE]
    assert len(outputs) == PARAMETERS
    assert lower(program, outputs, 0).arena_bytes < 4 * ELEMENTS
    start = [torch.full((ELEMENTS,), float(i)) for i in range(PARAMETERS)]
    found, wanted = (Runner(program, [], 0, native=native).step(start, 5)[0] for native in (None, False))
    assert tensor_roots(found) == tensor_roots(wanted)
