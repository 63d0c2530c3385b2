"""Every op in native floating point, given the exact engine's inputs: how far the value may be from the exact one.

Bounds come from the arithmetic. An exact contraction's operand is off by half a unit of its mantissas, 2^(E - 14) with
E the exponent of its row; a float32 sum of K terms by K 2^-24 of the sum of their magnitudes; transcendental functions
by 2 ulp here and by less than 4 in PyTorch. All else that is float is rounded once on both sides; integers are equal.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from lockstep.engine.mixed.assembly import COUNTER, Assembly, Form, Key, assemble
from lockstep.engine.mixed.forms import find_forms
from lockstep.engine.mixed.precision import Arithmetic
from lockstep.engine.routes import from_numpy, own_input, to_numpy
from lockstep.numerics.dtypes import DType
from lockstep.program.graph import Input, Node, Program, StateEntry
from lockstep.program.ops import Family, InputKind, Op
from lockstep.program.reference import evaluate
from tests.strategies import random_program_case
from tests.strategies.programs import ProgramCase
from tests.strategies.values import Array

ULP = 2.0**-23
LEAST = 2.0**-149
NORMAL = 2.0**-126
LARGEST = 2.0**126

OPS = [op for op in Op if op not in (Op.STATE, Op.EXPONENT, Op.QUANTIZE)]


def showing_every_node(program: Program) -> Program:
    """The program with every f32 and i32 node in its state."""
    shown = [index for index, node in enumerate(program.nodes) if node.dtype in (DType.F32, DType.I32)]
    entries = tuple(StateEntry(program.nodes[index].dtype, program.nodes[index].shape) for index in shown)
    last = program.nodes[-1]
    inputs = (*last.inputs, *(Input(InputKind.NODE, index) for index in shown))
    closed = replace(last, shape=(len(inputs),), inputs=inputs)
    return replace(program, nodes=(*program.nodes[:-1], closed), state=(*program.state, *entries))


class Steps:
    """The calls of a program's step, each given what the exact step gives it."""

    def __init__(self, case: ProgramCase, precision: str = "f32") -> None:
        self.case = case
        self.program = showing_every_node(case.program)
        _, self.exact = evaluate(case.program, case.state, case.constants, case.step, case.seed)
        arithmetic = Arithmetic(precision, "cpu")
        self.assembly: Assembly = assemble(self.program, arithmetic, case.seed, "cpu", lambda: case.step)
        self.found: dict[Key, torch.Tensor] = {}
        for call in (*self.assembly.once, *self.assembly.every):
            self.found[call.key] = call.run(*[self.given(key) for key in call.reads])

    def given(self, key: Key) -> torch.Tensor:
        if key == COUNTER:
            key = Input(InputKind.STEP)
        if not isinstance(key, Input):
            index, form = key
            exact = from_numpy(self.exact[index])
            if form is Form.FLOAT:
                return self.found[key]
            return exact.bool() if self.found[key].dtype == torch.bool else exact
        if key.kind is InputKind.STATE:
            return from_numpy(self.case.state[key.value])
        if key.kind is InputKind.CONST:
            return from_numpy(self.case.constants[key.value])
        value = own_input(self.program.nodes[-1], key, self.case.step, self.case.seed)
        assert value is not None
        return value

    def array(self, source: Input) -> Array:
        """An input of a node in the exact step."""
        key = (source.value, Form.OWN) if source.kind is InputKind.NODE else source
        return self.exact[source.value] if source.kind is InputKind.NODE else to_numpy(self.given(key))


def float_bound(steps: Steps, index: int, node: Node) -> tuple[Array, Array] | None:
    """The most by which a float32 value may differ, and the largest number on the way to it; None: it must be equal."""
    exact = np.abs(np.float64(steps.exact[index]))
    forms = find_forms(steps.program)
    if index in forms.contractions:
        return contraction_bound(steps, node)
    if index in forms.sums:
        return sum_bound(steps, node)
    if node.op is Op.SQRT:
        return ULP * exact, exact
    if node.op.family is Family.TRANSCENDENTAL:
        return 8 * ULP * exact + NORMAL, exact
    return None


def contraction_bound(steps: Steps, node: Node) -> tuple[Array, Array]:
    sizes, wide = [], []
    for slot in (0, 2):
        m, e = (np.float64(steps.array(node.inputs[slot + part])) for part in (0, 1))
        sizes.append(np.abs(m) * np.exp2(e - 13)[..., None])
        wide.append(sizes[-1] + np.exp2(e - 14)[..., None])
    most, least = (np.matmul(a, np.swapaxes(b, -1, -2)) for a, b in (wide, sizes))
    length = sizes[0].shape[-1]
    return most - least + 2 * length * 2.0**-24 * most + length * LEAST, most


def sum_bound(steps: Steps, node: Node) -> tuple[Array, Array]:
    x = np.abs(np.float64(steps.array(node.inputs[0])))
    length, size = x.shape[-1], x.sum(-1)
    size = size if node.op is Op.SUM else np.repeat(size[:, None], node.shape[1], 1)
    return 2 * length * 2.0**-24 * size + length * LEAST, size


def assert_close(steps: Steps, index: int) -> None:
    node, exact = steps.program.nodes[index], steps.exact[index]
    value = steps.found[index, Form.OWN]
    found = to_numpy(value.to(torch.int32) if value.dtype == torch.bool else value)
    assert found.shape == exact.shape, node
    with np.errstate(all="ignore"):
        good = (found == exact) | (np.isnan(found) & np.isnan(exact))
        bounds = float_bound(steps, index, node) if node.dtype is DType.F32 else None
        if bounds is not None:
            # Where numbers on the way leave float32, one side may overflow alone.
            good |= (np.abs(np.float64(found) - np.float64(exact)) <= bounds[0]) | ~(bounds[1] < LARGEST)
            # An exact row with an infinity is NaN as a whole; here an infinity may stay one, or meet only some sums.
            good |= np.isnan(exact) & ((node.op is Op.SCATTER_ADD) | ~np.isfinite(found))
        elif node.op is Op.ARGMAX:
            # The place of a largest element, be it that of a -0 beside a +0.
            x = np.expand_dims(steps.array(node.inputs[0]), 0)
            values = [np.take_along_axis(x, np.int64(at)[None, ..., None], -1)[0, ..., 0] for at in (found, exact)]
            good |= (values[0] == values[1]) | (np.isnan(values[0]) & np.isnan(values[1]))
        elif node.op in (Op.MAX, Op.MIN):
            good |= np.isnan(found)  # here a NaN always comes through
    assert good.all(), (node, found, exact)


def test_random_programs_every_node_is_within_its_bound(long: bool) -> None:
    rng = np.random.default_rng(21)
    seen: dict[Op, int] = dict.fromkeys(OPS, 0)
    for _ in range(2_000 if long else 150):
        steps = Steps(random_program_case(rng))
        for index, node in enumerate(steps.program.nodes):
            if (index, Form.OWN) in steps.found:
                assert_close(steps, index)
                if node.op in seen:
                    seen[node.op] += 1
    assert min(seen.values()) > 0, seen
