"""The readable form of a program, and the work a program declares."""

from __future__ import annotations

import numpy as np
import pytest

from lockstep.numerics.dtypes import DType
from lockstep.program.builder import Builder
from lockstep.program.graph import Input, Node, TensorType
from lockstep.program.ops import InputKind, Op
from lockstep.program.text import f32_text, operand_text, program_text
from lockstep.program.work import WEIGHT, node_work, program_work

F32, I32, M16, E16 = DType.F32, DType.I32, DType.M16, DType.E16

EXAMPLE = """\
program v1: 12 nodes, 2 state entries, 1 constant, work 1173
state s0 f32[4,3] "weight"
state s1 i32[2] frozen "table"
constant c0 u8[2,3] 3fa7aca9d1ce.. "inputs"
%0 = cast f32[2,3] c0
%1 = exponent e16[2] %0 {floor=-113}                          # model.py:3
%2 = quantize m16[2,3] %0, %1 {bits=14}                       # model.py:3
%3 = exponent e16[4] s0 {floor=-113}                          # model.py:3
%4 = quantize m16[4,3] s0, %3 {bits=14}                       # model.py:3
%5 = matmul f32[2,4] %2, %1, %4, %3                           # model.py:3
%6 = view f32[8] %5 {src=[8] map=[0*1]}
%7 = exponent e16[] %6 {floor=-126}
%8 = sum f32[] %6, %7
%9 = view f32[4,3] %8 {src=[1] map=[-,-]}
%10 = mul f32[4,3] %9, 0.1
%11 = state root[2] %10, s1
metric %8 "loss"
"""


def example() -> str:
    b = Builder()
    weight = b.add_state("weight", F32, (4, 3))
    table = b.add_state("table", I32, (2,), frozen=True)
    x = b.cast(b.add_constant("inputs", np.arange(6, dtype=np.uint8).reshape(2, 3)), F32)
    with b.at("model.py:3"):
        y = b.contract(x, weight)
    loss = b.sum_axes(y, (0, 1))
    return program_text(b.finish([b.mul(b.expand(loss, (4, 3)), 0.1), table], {"loss": loss}).program)


def test_text_of_a_program_reads_as_documented() -> None:
    root, text = EXAMPLE.split("constant c0 u8[2,3] ")[1][:12], example()
    found = text.split("constant c0 u8[2,3] ")[1][:12]
    work = text.split("work ")[1].split("\n")[0]
    assert text == EXAMPLE.replace(root, found).replace("1173", work)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1.0"), (-0.0, "-0.0"), (0.1, "0.1"), (1e-45, "1e-45"), (np.inf, "inf"), (-np.inf, "-inf"), (np.nan, "nan")],
)
def test_f32_literal_is_shortest_and_reads_back(value: float, text: str) -> None:
    bits = int(np.float32(value).view(np.uint32))
    assert f32_text(bits) == text
    assert np.float32(text).view(np.uint32) == bits


def test_operands_are_written_by_kind() -> None:
    assert operand_text(Input(InputKind.I32, 0xFFFFFFFF)) == "-1"
    assert operand_text(Input(InputKind.STEP)) == "step"
    assert operand_text(Input(InputKind.SEED)) == "seed"
    assert operand_text(Input(InputKind.CONST, 3)) == "c3"


def test_attributes_are_in_the_text() -> None:
    b = Builder()
    x = b.add_state("x", F32, (4, 6))
    y = b.pad(b.flip(x, 1), 0, 1, 0, 0x3F800000)
    b.add_state("y", F32, y.shape)
    both = b.concat([y, y], 0)
    b.add_state("z", F32, both.shape)
    text = program_text(b.finish([x, y, both]).program)
    assert "view f32[5,6] s0 {src=[24] offset=[-1] map=[0*6,0*-1] fill=0x3f800000}" in text
    assert "concat f32[10,6] %0, %0 {axis=0 extents=[5,5]}" in text


def test_every_op_has_a_weight() -> None:
    assert set(WEIGHT) == set(Op)
    assert all(type(weight) is int and weight > 0 for weight in WEIGHT.values())


def test_work_counts_multiply_adds_and_elements() -> None:
    a, e = TensorType(M16, (5, 4, 7)), TensorType(E16, (5, 4))
    b, eb = TensorType(M16, (5, 3, 7)), TensorType(E16, (5, 3))
    assert node_work(Node(Op.MATMUL, F32, (5, 4, 3)), [a, e, b, eb]) == 5 * 4 * 3 * 7
    row = TensorType(F32, (4, 100))
    assert node_work(Node(Op.SUM, F32, (4,)), [row, TensorType(E16, (4,))]) == WEIGHT[Op.SUM] * 400
    assert node_work(Node(Op.SORT, F32, (4, 100)), [row]) == WEIGHT[Op.SORT] * 400 * 7
    assert node_work(Node(Op.EXP, F32, (4, 100)), [row]) == WEIGHT[Op.EXP] * 400
    huge = TensorType(F32, (2**31 - 1,) * 8)
    assert node_work(Node(Op.EXPONENT, E16, ()), [huge]) == (2**31 - 1) ** 8


def test_work_of_a_program_is_the_sum_of_its_nodes() -> None:
    b = Builder()
    x = b.add_state("x", F32, (8,))
    program = b.finish([b.add(b.exp(x), x)]).program
    assert program_work(program) == WEIGHT[Op.EXP] * 8 + WEIGHT[Op.ADD] * 8 + WEIGHT[Op.STATE]
