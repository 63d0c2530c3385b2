"""The program checker: valid programs pass, and every rule has a program that breaks it and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.numerics.dtypes import DType
from lockstep.program import spec
from lockstep.program.builder import Builder
from lockstep.program.encoding import commit_program
from lockstep.program.graph import Attrs, Concat, ConstantEntry, Input, Names, Node, Program, StateEntry, View
from lockstep.program.ops import INIT_SITE_BIT, MAX_NODES, MAX_STATE, InputKind, Op
from lockstep.program.spec import ProgramError, check_program, check_task_programs
from lockstep.program.work import program_work
from tests.strategies.programs import ProgramCase, program_cases

F32, I32, M16, E16, U8, ROOT = DType.F32, DType.I32, DType.M16, DType.E16, DType.U8, DType.ROOT
S0, C0, C1, STEP = (
    Input(InputKind.STATE, 0),
    Input(InputKind.CONST, 0),
    Input(InputKind.CONST, 1),
    Input(InputKind.STEP),
)
CONSTANTS = (ConstantEntry(U8, (4, 6), bytes(32)), ConstantEntry(I32, (3,), bytes(32)))


def at(index: int) -> Input:
    return Input(InputKind.NODE, index)


def f32(bits: int = 0) -> Input:
    return Input(InputKind.F32, bits)


def program(*nodes: Node, shape: tuple[int, ...] = (4, 6), **changes: object) -> Program:
    """Nodes over one f32 state entry, u8 and i32 constants, and the closing state node."""
    entry = StateEntry(F32, shape)
    last = Node(Op.STATE, ROOT, (1,), (S0,))
    return replace(Program((*nodes, last), (entry,), CONSTANTS), **changes)  # type: ignore[arg-type]


def node(op: Op, dtype: DType, shape: tuple[int, ...], *inputs: Input, attrs: Attrs = ()) -> Node:
    return Node(op, dtype, shape, inputs, attrs)


def view(src: tuple[int, ...], offset: tuple[int, ...], mapping: tuple[tuple[int, int], ...], fill: int = 0) -> View:
    return View(src, offset, mapping, fill)


EXP = node(Op.EXPONENT, E16, (4,), S0, attrs=(-113,))
QUANT = node(Op.QUANTIZE, M16, (4, 6), S0, at(0), attrs=(14,))
SAME = view((4, 6), (0, 0), ((0, 1), (1, 1)))


def seen(**changes: object) -> Node:
    """A view that changes nothing, but for these attributes."""
    return node(Op.VIEW, F32, (4, 6), S0, attrs=replace(SAME, **changes))  # type: ignore[arg-type]


ZEROS = node(Op.VIEW, F32, (3, 4), f32(), attrs=view((1,), (0,), ((0, 0), (0, 0))))
BITS = node(Op.RANDOM_BITS, I32, (4,), STEP, attrs=(7,))

BROKEN: dict[str, tuple[Program, str]] = {
    # arity and attributes
    "one input of two": (program(node(Op.ADD, F32, (4, 6), S0)), "takes 2 inputs and has 1"),
    "three inputs of two": (program(node(Op.ADD, F32, (4, 6), S0, S0, S0)), "takes 2 inputs and has 3"),
    "concat of nothing": (program(node(Op.CONCAT, F32, (4, 6), attrs=Concat(0, ()))), "one input or more"),
    "attributes where there are none": (program(node(Op.NEG, F32, (4, 6), S0, attrs=(1,))), "takes 0 attributes"),
    "view without attributes": (program(node(Op.VIEW, F32, (4, 6), S0)), "not those of a view"),
    "shift by 32": (program(node(Op.SHL, I32, (3,), C1, attrs=(32,))), "count may not be 32"),
    "unknown floor": (program(replace(EXP, attrs=(-100,))), "floor may not be -100"),
    "fifteen bits": (program(EXP, replace(QUANT, attrs=(15,))), "bits may not be 15"),
    "shuffle of nothing": (program(node(Op.SHUFFLE, I32, (3,), C1, STEP, attrs=(0, 1))), "n may not be 0"),
    "attribute of another type": (program(node(Op.SHL, I32, (3,), C1, attrs=(1.0,))), "not an integer"),  # type: ignore[arg-type]
    # dtypes
    "add of integers": (program(node(Op.ADD, F32, (3,), C1, C1)), "input 0 is i32; f32 is needed"),
    "iadd of floats": (program(node(Op.IADD, I32, (4, 6), S0, S0)), "input 0 is f32; i32 is needed"),
    "compare declared f32": (program(node(Op.LT, F32, (4, 6), S0, S0)), "its inputs give i32"),
    "select by a float": (program(node(Op.SELECT, F32, (4, 6), S0, S0, S0)), "input 0 is f32"),
    "select of two types": (program(node(Op.SELECT, I32, (3,), C1, C1, f32())), "input 2 is f32"),
    "cast to bytes": (program(node(Op.CAST, U8, (3,), C1)), "no cast from i32 to u8"),
    "cast to itself": (program(node(Op.CAST, I32, (3,), C1)), "no cast from i32 to i32"),
    "cast of an exponent to f32": (program(EXP, node(Op.CAST, F32, (4,), at(0))), "no cast from e16 to f32"),
    "bitcast of bytes": (program(node(Op.BITCAST, F32, (4, 6), C0)), "bitcast goes"),
    "add of bytes": (program(node(Op.ADD, F32, (4, 6), C0, S0)), "input 0 is u8"),
    "quantize under integers": (program(replace(QUANT, inputs=(S0, C1))), "input 1 is i32; e16"),
    "sum of mantissas": (program(EXP, QUANT, node(Op.SUM, F32, (4,), at(1), at(0))), "input 0 is m16; f32"),
    "matmul of floats": (program(EXP, node(Op.MATMUL, F32, (4, 4), S0, at(0), S0, at(0))), "input 0 is f32; m16"),
    "gather by floats": (program(node(Op.GATHER, F32, (4, 6, 6), S0, S0)), "input 1 is f32; i32"),
    # shapes
    "operands of two shapes": (
        program(node(Op.ADD, F32, (4, 6), S0, ZEROS.inputs[0]), replace(ZEROS), node(Op.ADD, F32, (4, 6), S0, at(1))),
        "shape [3, 4]; [4, 6] is needed",
    ),
    "step as a vector": (program(node(Op.IADD, I32, (3,), C1, STEP)), "input 1 has shape []"),
    "row op on a scalar": (program(node(Op.EXPONENT, E16, (), f32(), attrs=(-113,))), "rank 1 or more"),
    "exponents of other rows": (program(EXP, ZEROS, replace(QUANT, inputs=(at(1), at(0)))), "shape [4]; [3] is needed"),
    "wrong output shape": (program(replace(EXP, shape=(6,))), "its inputs give e16 [4]"),
    "matmul rows of two lengths": (
        program(
            EXP,
            QUANT,
            ZEROS,
            replace(EXP, shape=(3,), inputs=(at(2),)),
            node(Op.QUANTIZE, M16, (3, 4), at(2), at(3), attrs=(14,)),
            node(Op.MATMUL, F32, (4, 3), at(1), at(0), at(4), at(3)),
        ),
        "6 and 4 elements",
    ),
    "random bits by a vector": (program(replace(BITS, inputs=(C1,))), "input 0 has shape [3]; [] is needed"),
    "gather from a scalar": (program(node(Op.GATHER, F32, (3,), f32(), C1)), "a table of rank 1"),
    "concat along no axis": (program(node(Op.CONCAT, F32, (4, 6), S0, attrs=Concat(2, (4,)))), "axis 2 is not one"),
    "concat of other extents": (program(node(Op.CONCAT, F32, (4, 6), S0, attrs=Concat(0, (3,)))), "[3, 6] is needed"),
    "scatter of three axes": (program(EXP, node(Op.SCATTER_ADD, F32, (4, 6, 1), S0, C1, at(0))), "have rank 2"),
    "extent of zero": (program(node(Op.IOTA, I32, (3, 0))), "extent 0"),
    "negative extent": (program(node(Op.IOTA, I32, (-3,))), "extent -3"),
    "rank of nine": (program(node(Op.IOTA, I32, (1,) * 9)), "rank 9"),
    # views
    "view of another size": (program(seen(src_shape=(4, 5))), "20 elements"),
    "view with one offset": (program(seen(offset=(0,))), "1 offsets"),
    "view with one mapping": (program(seen(mapping=((0, 1),))), "maps 1 axes"),
    "view of a missing axis": (program(seen(mapping=((0, 1), (2, 1)))), "source axis 2 of 2"),
    "expansion of axis 1": (program(seen(mapping=((0, 1), (1, 0)))), "written with axis 0"),
    "stride of 33 bits": (program(seen(mapping=((0, 1), (1, 2**32)))), "does not fit 32 bits"),
    "offset of 33 bits": (program(seen(offset=(0, -(2**32)))), "does not fit 32 bits"),
    "fill that is no NaN of ours": (program(seen(fill=0x7FC00001)), "no element of f32"),
    "fill that is no byte": (program(node(Op.VIEW, U8, (4, 6), C0, attrs=replace(SAME, fill=256))), "no element of u8"),
    "fill that is no mantissa": (
        program(EXP, QUANT, node(Op.VIEW, M16, (4, 6), at(1), attrs=replace(SAME, fill=0x4001))),
        "no element of m16",
    ),
    "fill that is no exponent": (
        program(EXP, node(Op.VIEW, E16, (4,), at(0), attrs=view((4,), (0,), ((0, 1),), 200))),
        "no element of e16",
    ),
    "reach beyond the bound": (
        program(node(Op.VIEW, F32, (2**20,), S0, attrs=view((24,), (0,), ((0, 2**21),)))),
        "reaches",
    ),
    # limits
    "too many elements": (program(node(Op.IOTA, I32, (2**16, 2**16))), "at most 1073741824"),
    "extents that overflow 64 bits": (program(node(Op.IOTA, I32, (2**31 - 1,) * 8)), "at most 1073741824"),
    "extent beyond the limit": (program(node(Op.IOTA, I32, (2**31,))), "extent 2147483648"),
    "row of too many blocks": (
        program(
            node(Op.VIEW, F32, (1, 2**24 + 1), f32(), attrs=view((1,), (0,), ((0, 0), (0, 0)))),
            node(Op.EXPONENT, E16, (1,), at(0), attrs=(-113,)),
        ),
        "rows of 16777217 elements; at most 16777216 are allowed",
    ),
    "sum beyond a leaf": (
        program(
            node(Op.VIEW, F32, (1, 16_385), f32(), attrs=view((1,), (0,), ((0, 0), (0, 0)))),
            node(Op.EXPONENT, E16, (1,), at(0), attrs=(-126,)),
            node(Op.SUM, F32, (1,), at(0), at(1)),
        ),
        "rows of 16385 elements; at most 16384 are allowed",
    ),
    "sorted row beyond a leaf": (
        program(
            node(Op.VIEW, F32, (1_025,), f32(), attrs=view((1,), (0,), ((0, 0),))), node(Op.SORT, F32, (1_025,), at(0))
        ),
        "at most 1024 are allowed",
    ),
    "257 tensors joined": (
        program(node(Op.CONCAT, F32, (1_028, 6), *(S0,) * 257, attrs=Concat(0, (4,) * 257))),
        "at most 256",
    ),
    # inputs
    "itself": (program(node(Op.NEG, F32, (4, 6), at(0))), "node 0, which is not earlier"),
    "a later node": (program(node(Op.NEG, F32, (4, 6), at(1)), node(Op.NEG, F32, (4, 6), at(0))), "not earlier"),
    "missing state": (program(node(Op.NEG, F32, (4, 6), Input(InputKind.STATE, 1))), "state entry 1 of 1"),
    "missing constant": (program(node(Op.NEG, F32, (4, 6), Input(InputKind.CONST, 2))), "constant 2 of 2"),
    "missing committed": (program(node(Op.NEG, F32, (4, 6), Input(InputKind.COMMITTED, 2))), "committed entry 2 of 1"),
    "draw of another type": (program(node(Op.NEG, F32, (8,), Input(InputKind.COMMITTED, 1))), "i32"),
    "state of what is committed": (
        program(nodes=(node(Op.STATE, ROOT, (1,), Input(InputKind.COMMITTED, 0)),)),
        "the state is COMMITTED",
    ),
    "step with a value": (program(node(Op.CAST, F32, (), Input(InputKind.STEP, 1))), "STEP with value 1"),
    "seed with a value": (program(node(Op.CAST, F32, (2,), Input(InputKind.SEED, 9))), "SEED with value 9"),
    "NaN with a payload": (program(node(Op.NEG, F32, (), f32(0xFFC00000))), "NaN literal"),
    "literal of 33 bits": (program(node(Op.NEG, F32, (), f32(2**32))), "unsigned 32-bit"),
    "literal as a table": (
        program(node(Op.VIEW, F32, (4,), f32(), attrs=view((4,), (0,), ((0, 1),)))),
        "4 elements, the source 1",
    ),
    # the state node
    "no state node": (program(nodes=(node(Op.NEG, F32, (4, 6), S0),)), "the last node and only that"),
    "state in the middle": (program(node(Op.STATE, ROOT, (1,), S0)), "the last node and only that"),
    "state of a literal": (program(nodes=(node(Op.STATE, ROOT, (1,), f32()),), shape=()), "the state is F32"),
    "state of the step": (program(nodes=(node(Op.STATE, ROOT, (1,), STEP),)), "the state is STEP"),
    "state of another type": (
        program(nodes=(node(Op.STATE, ROOT, (1,), C1),)),
        "input 0 is i32 [3]; state entry 0 is f32",
    ),
    "state of two": (program(nodes=(node(Op.STATE, ROOT, (2,), S0, S0),)), "2 inputs for 1 state entries"),
    "frozen entry that changes": (
        program(
            nodes=(node(Op.NEG, F32, (4, 6), S0), node(Op.STATE, ROOT, (1,), at(0))),
            state=(StateEntry(F32, (4, 6), frozen=True),),
        ),
        "which is frozen",
    ),
    "frozen entry from its twin": (
        program(nodes=(node(Op.STATE, ROOT, (2,), S0, S0),), state=(StateEntry(F32, (4, 6), frozen=True),) * 2),
        "input 1 is not state entry 1 itself",
    ),
    # entries
    "no nodes": (program(nodes=()), "at least one node"),
    "no state entries": (program(state=()), "at least one node and one state entry"),
    "state of mantissas": (program(state=(StateEntry(M16, (4, 6)),)), "State entry 0 is m16"),
    "state of bytes": (program(state=(StateEntry(U8, (4, 6)),)), "State entry 0 is u8"),
    "constant of exponents": (program(constants=(ConstantEntry(E16, (4,), bytes(32)),)), "Constant 0 is e16"),
    "constant with a short root": (program(constants=(ConstantEntry(F32, (4,), bytes(31)),)), "31 bytes"),
    "huge state entry": (program(state=(StateEntry(F32, (2**31 - 1, 2**31 - 1)),)), "State entry 0"),
    "too many state entries": (program(state=(StateEntry(F32, ()),) * (MAX_STATE + 1)), "4097 state entries"),
    "too many metrics": (program(metrics=(0,) * 65), "65 metrics"),
    "metric that is missing": (program(metrics=(1,)), "Metric 0 is node 1 of 1"),
    "metric that is a matrix": (program(node(Op.NEG, F32, (4, 6), S0), metrics=(0,)), "not an f32 scalar"),
    "metric that is a root": (program(metrics=(0,)), "not an f32 scalar"),
    # sites
    "site of an init program": (program(replace(BITS, attrs=(INIT_SITE_BIT,))), "top bit set"),
    "site used twice": (program(BITS, replace(BITS, shape=(5,))), "that of node 0 too"),
    "site of a shuffle used twice": (
        program(BITS, node(Op.SHUFFLE, I32, (3,), C1, STEP, attrs=(5, 7))),
        "that of node 0 too",
    ),
}
BROKEN["matmul of vectors"] = (
    program(
        node(Op.VIEW, F32, (6,), f32(), attrs=view((1,), (0,), ((0, 0),))),
        node(Op.EXPONENT, E16, (), at(0), attrs=(-113,)),
        node(Op.QUANTIZE, M16, (6,), at(0), at(1), attrs=(14,)),
        node(Op.MATMUL, F32, (), at(2), at(1), at(2), at(1)),
    ),
    "rank 2 or more",
)


@pytest.mark.parametrize("name", BROKEN)
def test_program_that_breaks_one_rule_is_refused_with_a_sentence(name: str) -> None:
    broken, why = BROKEN[name]
    with pytest.raises(ProgramError) as refused:
        check_program(broken)
    message = str(refused.value)
    assert why in message
    assert message.endswith(".")
    assert message[0].isupper()


def test_parts_of_the_broken_programs_are_valid() -> None:
    nodes = (
        EXP,
        QUANT,
        node(Op.VIEW, F32, (4, 6), S0, attrs=SAME),
        node(Op.MATMUL, F32, (4, 4), at(1), at(0), at(1), at(0)),
        node(Op.SUM, F32, (4,), S0, at(0)),
        BITS,
        node(Op.SHUFFLE, I32, (3,), C1, STEP, attrs=(5, 8)),
        ZEROS,
        node(Op.NEG, F32, (), f32(0x7FC00000)),
    )
    assert check_program(program(*nodes, metrics=(8,))) > 0


@given(program_cases())
def test_random_valid_program_passes(case: ProgramCase) -> None:
    work = check_program(case.program)
    assert work == program_work(case.program)
    check_program(case.program, commit_program(case.program, work).header)


@given(program_cases(init=True))
def test_random_valid_init_program_passes(case: ProgramCase) -> None:
    check_program(case.program, init=True)


@given(program_cases(), st.integers(0, 2**32 - 1))
def test_random_change_is_refused_with_a_sentence_or_still_valid(case: ProgramCase, seed: int) -> None:
    rng = np.random.default_rng(seed)
    changed = list(case.program.nodes)
    index = int(rng.integers(0, len(changed)))
    target = changed[index]
    number = int(rng.choice([0, 1, 2, 3, 255, 2**31, 2**32 - 1, 2**40]))
    changes: list[Callable[[], Node]] = [
        lambda: replace(target, op=list(Op)[int(rng.integers(0, len(Op)))]),
        lambda: replace(target, dtype=list(DType)[int(rng.integers(0, len(DType)))]),
        lambda: replace(target, shape=(*target.shape, number)),
        lambda: replace(target, shape=target.shape[1:]),
        lambda: replace(target, inputs=target.inputs[1:]),
        lambda: replace(target, inputs=(*target.inputs, Input(list(InputKind)[number % 8], number))),
        lambda: replace(target, attrs=(number,)),
    ]
    changed[index] = changes[int(rng.integers(0, len(changes)))]()
    try:
        check_program(replace(case.program, nodes=tuple(changed)))
    except ProgramError as error:
        assert str(error).endswith(".")  # noqa: PT017


def test_message_names_the_users_line() -> None:
    broken = program(node(Op.ADD, F32, (4, 6), S0), names=Names(nodes={0: "model.py:12"}))
    with pytest.raises(ProgramError, match=r"Node 0 \(add, model.py:12\)"):
        check_program(broken)


def test_declared_work_must_be_the_programs() -> None:
    right = program(EXP)
    work = program_work(right)
    check_program(right, commit_program(right, work).header)
    with pytest.raises(ProgramError, match=f"declares work {work + 1}; the program's is {work}"):
        check_program(right, commit_program(right, work + 1).header)
    with pytest.raises(ProgramError, match="not that of this program"):
        check_program(right, commit_program(program(EXP, QUANT), work).header)
    with pytest.raises(ProgramError, match="3 bytes"):
        check_program(right, b"abc")


def test_work_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    work = check_program(program(EXP))
    monkeypatch.setattr(spec, "MAX_WORK", work - 1)
    with pytest.raises(ProgramError, match=f"One step costs {work} operations; at most {work - 1} are allowed."):
        check_program(program(EXP))


def test_too_many_nodes_are_refused_before_any_is_looked_at() -> None:
    nonsense = node(Op.ADD, F32, (0,))
    with pytest.raises(ProgramError, match=f"at most {MAX_NODES} are allowed"):
        check_program(program(*(nonsense,) * MAX_NODES))


def test_leaf_that_takes_too_much_calldata_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = node(Op.VIEW, F32, (2, 16_384), f32(), attrs=view((1,), (0,), ((0, 0), (0, 0))))
    exponent = node(Op.EXPONENT, E16, (2,), at(0), attrs=(-113,))
    mantissa = node(Op.QUANTIZE, M16, (2, 16_384), at(0), at(1), attrs=(14,))
    product = node(Op.MATMUL, F32, (2, 2), at(2), at(1), at(2), at(1))
    check_program(program(wide, exponent, mantissa, product))
    monkeypatch.setattr(spec, "MAX_LEAF_BYTES", 16 * 1024)
    with pytest.raises(ProgramError, match="a leaf of it takes up to"):
        check_program(program(wide, exponent, mantissa, product))


def init_builder() -> Builder:
    b = Builder(init=True)
    b.add_state("weight", F32, (3,))
    return b


def test_init_program_reads_no_state_and_has_sites_of_its_own() -> None:
    b = init_builder()
    good = b.finish([b.cast(b.random_bits((3,)), F32)]).program
    check_program(good, init=True)
    with pytest.raises(ProgramError, match="top bit set"):
        check_program(good)
    reading = program(shape=(3,))
    check_program(reading)
    with pytest.raises(ProgramError, match="starts from no state"):
        check_program(reading, init=True)
    draws = program(BITS)
    with pytest.raises(ProgramError, match="top bit clear"):
        check_program(draws, init=True)


def test_init_program_may_fill_frozen_entries() -> None:
    b = Builder(init=True)
    b.add_state("frozen", F32, (3,), frozen=True)
    check_program(b.finish([b.f32(1.0, (3,))]).program, init=True)


def test_task_programs_must_list_the_same_state() -> None:
    b = init_builder()
    init = b.finish([b.f32(1.0, (3,))]).program
    assert check_task_programs(init, program(shape=(3,)))
    with pytest.raises(ProgramError, match="different state entries"):
        check_task_programs(init, program(shape=(4,)))
    with pytest.raises(ProgramError, match="different state entries"):
        check_task_programs(init, program(shape=(3,), state=(StateEntry(F32, (3,), frozen=True),)))
