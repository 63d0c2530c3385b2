"""The checker of whole programs, one's own or a stranger's: nothing runs that it has not passed.

``check_program`` reads only the program's integers. It allocates nothing of the sizes they speak of and
its arithmetic is in unbounded integers, so a hostile program costs no more than its own bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from lockstep.commitments.tensor import CHUNK_BYTES
from lockstep.numerics.dtypes import ITEMSIZE, DType
from lockstep.program.encoding import HEADER, commit_program, encode_node
from lockstep.program.graph import ConstantEntry, Input, Node, Program, StateEntry, TensorType
from lockstep.program.infer import ELEMENTWISE, ProgramError, check_shape, check_site, infer, is_canonical_f32
from lockstep.program.leaf import PROVEN_KINDS
from lockstep.program.long_rows import PART_BYTES, block_size, row_blocks
from lockstep.program.ops import (
    MAX_CONSTANTS,
    MAX_METRICS,
    MAX_NODES,
    MAX_STATE,
    MAX_WORK,
    InputKind,
    Op,
)
from lockstep.program.work import node_work

__all__ = ["MAX_LEAF_BYTES", "ProgramError", "check_program", "check_task_programs", "leaf_bytes"]

MAX_LEAF_BYTES = 100 * 1024
"""Calldata one leaf may take at worst: pools of real nodes refuse transactions above 128 KiB."""

_STATE_DTYPES = frozenset({DType.F32, DType.I32})
_CONSTANT_DTYPES = frozenset({DType.F32, DType.I32, DType.U8, DType.U16})
_READ_OVERHEAD = 512
"""Bytes of a read besides its chunks and their path: header, step-tree path, ABI words."""


def leaf_bytes(node: Node, types: Sequence[TensorType], nodes: int) -> int:
    """Upper bound in bytes of the calldata that proves any one element of a node's output.

    The node with its path among ``nodes`` nodes, and for every input that is proven the chunks its run
    can touch at the worst alignment, the two paths that bind them, and the tensor's own path. Of a row of several
    blocks, one of them and every block's part.
    """
    depth = max(1, (nodes - 1).bit_length())
    total = len(encode_node(node)) + 32 * depth + _READ_OVERHEAD
    blocks = row_blocks(node, types)
    if blocks > 1:
        total += PART_BYTES * blocks
    reads = list(enumerate(zip(node.inputs, types, strict=True)))
    if node.op in (Op.STATE, Op.CONCAT):
        reads = [max(reads, key=lambda read: read[1][1].elements)]
    for slot, (source, given) in reads:
        if source.kind not in PROVEN_KINDS:
            continue
        chunks = -(-given.elements * ITEMSIZE[given.dtype] // CHUNK_BYTES)
        total += 64 * chunks.bit_length() + 32 * depth + _READ_OVERHEAD
        if node.op is not Op.STATE:
            run = _run_length(node.op, slot, given) * ITEMSIZE[given.dtype]
            unaligned = run % CHUNK_BYTES > 0 and CHUNK_BYTES % run > 0
            total += min(chunks, -(-run // CHUNK_BYTES) + unaligned) * CHUNK_BYTES
    return total


def _run_length(op: Op, slot: int, given: TensorType) -> int:
    """Elements of one run a leaf reads at an input, at most a block's."""
    match op:
        case Op.EXPONENT | Op.REDUCE_MAX | Op.ARGMAX | Op.SORT | Op.ARGSORT:
            row = True
        case Op.MATMUL:
            row = slot in (0, 2)
        case Op.SUM:
            row = slot == 0
        case Op.SCATTER_ADD:
            row = slot in (0, 1)
        case _:
            row = False
    return min(given.shape[-1], block_size(op) or given.shape[-1]) if row else 1


def _check_input(program: Program, index: int, slot: int, source: Input, *, init: bool) -> None:
    """Refuse an input that denotes nothing, or that may not stand where it stands."""
    kind, value = source.kind, source.value
    if type(value) is not int or not 0 <= value < 2**32:
        raise ProgramError(f"input {slot} has value {value}; it is an unsigned 32-bit integer.")
    match kind:
        case InputKind.NODE:
            if value >= index:
                raise ProgramError(f"input {slot} is node {value}, which is not earlier.")
        case InputKind.STATE:
            if init:
                raise ProgramError(f"input {slot} is state entry {value}; an init program starts from no state.")
            if value >= len(program.state):
                raise ProgramError(f"input {slot} is state entry {value} of {len(program.state)}.")
        case InputKind.CONST:
            if value >= len(program.constants):
                raise ProgramError(f"input {slot} is constant {value} of {len(program.constants)}.")
        case InputKind.STEP | InputKind.SEED:
            if value:
                raise ProgramError(f"input {slot} is {kind.name} with value {value}; it is written with 0.")
        case InputKind.F32:
            if not is_canonical_f32(value):
                raise ProgramError(f"input {slot} is a NaN literal {value:#010x}; NaN is written 0x7fc00000.")
        case InputKind.I32:
            pass
        case _:
            if init:
                raise ProgramError(f"input {slot} is COMMITTED; an init program ends in what it says alone.")
            if value > len(program.state):  # behind the last entry: the draw
                raise ProgramError(f"input {slot} is committed entry {value} of {len(program.state)}.")
    if program.nodes[index].op is Op.STATE and kind not in (InputKind.NODE, InputKind.STATE, InputKind.CONST):
        raise ProgramError(f"input {slot} of the state is {kind.name}; it is a node, a state entry or a constant.")


def _check_lists(program: Program) -> None:
    for count, limit, what in (
        (len(program.nodes), MAX_NODES, "nodes"),
        (len(program.state), MAX_STATE, "state entries"),
        (len(program.constants), MAX_CONSTANTS, "constants"),
        (len(program.metrics), MAX_METRICS, "metrics"),
    ):
        if count > limit:
            raise ProgramError(f"The program has {count} {what}; at most {limit} are allowed.")
    if not program.nodes or not program.state:
        raise ProgramError("A program has at least one node and one state entry.")
    for i, entry in enumerate(program.state):
        check_state_entry(entry, f"State entry {i}")
    for i, constant in enumerate(program.constants):
        check_constant(constant, f"Constant {i}")


def check_state_entry(entry: StateEntry, what: str = "The state entry") -> None:
    """Refuse a state entry that is malformed in itself."""
    if entry.dtype not in _STATE_DTYPES:
        raise ProgramError(f"{what} is {entry.dtype.name.lower()}; it is f32 or i32.")
    check_shape(entry.shape, what)


def check_constant(entry: ConstantEntry, what: str = "The constant") -> None:
    """Refuse a constant entry that is malformed in itself."""
    if entry.dtype not in _CONSTANT_DTYPES:
        raise ProgramError(f"{what} is {entry.dtype.name.lower()}; it is f32, i32, u8 or u16.")
    check_shape(entry.shape, what)
    if len(entry.root) != 32:
        raise ProgramError(f"{what} has a root of {len(entry.root)} bytes; it has 32.")


def _check_state(program: Program, *, init: bool) -> None:
    """The last node: one input a state entry, of its type; frozen entries passed through."""
    last = program.nodes[-1]
    if len(last.inputs) != len(program.state):
        raise ProgramError(f"it has {len(last.inputs)} inputs for {len(program.state)} state entries.")
    for j, (source, entry) in enumerate(zip(last.inputs, program.state, strict=True)):
        given = program.input_type(source)
        if given != entry.type:
            raise ProgramError(
                f"input {j} is {given.dtype.name.lower()} {list(given.shape)}; state entry {j} is"
                f" {entry.dtype.name.lower()} {list(entry.shape)}."
            )
        if entry.frozen and not init and source != Input(InputKind.STATE, j):
            raise ProgramError(f"input {j} is not state entry {j} itself, which is frozen.")


def _where(program: Program, index: int) -> str:
    name = program.names.nodes.get(index)
    return f"Node {index} ({program.nodes[index].op.name.lower()}{', ' + name if name else ''})"


def check_node(program: Program, index: int, *, init: bool) -> tuple[int, int | None]:
    """Work and random site of one node whose predecessors are valid; ``ProgramError`` where it is not."""
    node = program.nodes[index]
    check_shape(node.shape, "its output")
    for slot, source in enumerate(node.inputs):
        _check_input(program, index, slot, source, init=init)
    types = [program.input_type(source, _literal_shape(node)) for source in node.inputs]
    if DType.ROOT in (given.dtype for given in types):
        raise ProgramError("it reads the state's roots; nothing may follow the state.")
    found = infer(node, types)
    if found != node.type:
        raise ProgramError(
            f"it declares {node.dtype.name.lower()} {list(node.shape)}; its inputs give"
            f" {found.dtype.name.lower()} {list(found.shape)}."
        )
    last = index == len(program.nodes) - 1
    if (node.op is Op.STATE) is not last:
        raise ProgramError("the state is the last node and only that.")
    if last:
        _check_state(program, init=init)
    # an elementwise leaf is a few elements: one chunk and its paths each
    needed = 0 if node.op in ELEMENTWISE else leaf_bytes(node, types, len(program.nodes))
    if needed > MAX_LEAF_BYTES:
        raise ProgramError(f"a leaf of it takes up to {needed} bytes; at most {MAX_LEAF_BYTES} fit a transaction.")
    attrs = node.attrs if isinstance(node.attrs, tuple) else ()
    return node_work(node, types), check_site(node.op, attrs, init=init)


def _literal_shape(node: Node) -> tuple[int, ...] | None:
    return node.shape if node.op in ELEMENTWISE else None


def _check(program: Program, *, init: bool) -> tuple[int, dict[int, int]]:
    """Work and random sites (site -> node) of a program, or ``ProgramError``."""
    _check_lists(program)
    work, sites = 0, dict[int, int]()
    for index in range(len(program.nodes)):
        try:
            node_cost, site = check_node(program, index, init=init)
            if site is not None and site in sites:
                raise ProgramError(f"its random site {site:#010x} is that of node {sites[site]} too.")
        except ProgramError as error:
            raise ProgramError(f"{_where(program, index)}: {error}") from None
        if site is not None:
            sites[site] = index
        work += node_cost
    if work > MAX_WORK:
        raise ProgramError(f"One step costs {work} operations; at most {MAX_WORK} are allowed.")
    for i, index in enumerate(program.metrics):
        if type(index) is not int or not 0 <= index < len(program.nodes):
            raise ProgramError(f"Metric {i} is node {index} of {len(program.nodes)}.")
        if program.nodes[index].type != TensorType(DType.F32, ()):
            raise ProgramError(f"Metric {i} is {_where(program, index)}, which is not an f32 scalar.")
    return work, sites


def _check_header(program: Program, header: bytes, work: int) -> None:
    if len(header) != HEADER.size:
        raise ProgramError(f"The header has {len(header)} bytes; it has {HEADER.size}.")
    declared = HEADER.unpack(header)[-1]
    if declared != work:
        raise ProgramError(f"The header declares work {declared}; the program's is {work}.")
    if commit_program(program, work).header != header:
        raise ProgramError("The header is not that of this program.")


def check_program(program: Program, header: bytes | None = None, *, init: bool = False) -> int:
    """Refuse a program that is not valid; return its work.

    ``init`` says which of a task's two programs it is: an init program reads no state and its random
    sites have the top bit set. With ``header`` (``ProgramCommitment.header``, or what
    ``decode_program`` returned) the header must be this program's, its declared work included.

    ``ProgramError`` is a sentence that names the node, its op and, where the program's names know it,
    the user's source line. Limits are checked before anything is allocated.
    """
    work, _ = _check(program, init=init)
    if header is not None:
        _check_header(program, header, work)
    return work


def check_task_programs(
    init: Program, step: Program, init_header: bytes | None = None, step_header: bytes | None = None
) -> tuple[int, int]:
    """Refuse a pair of programs that is not a task's; return the work of each.

    Each must be valid by itself, both must list the same state entries, and no random site may occur in
    both (the top bit keeps them apart).
    """
    init_work = check_program(init, init_header, init=True)
    step_work = check_program(step, step_header)
    if init.state != step.state:
        raise ProgramError("The init program and the step program list different state entries.")
    return init_work, step_work
