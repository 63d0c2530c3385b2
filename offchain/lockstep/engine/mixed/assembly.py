"""From a program to a list of calls: which values are computed, in which form, and when each may go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from torch import Tensor

from lockstep.engine.mixed import kernels
from lockstep.engine.mixed.convolutions import find_convolution
from lockstep.engine.mixed.forms import Forms, find_forms
from lockstep.engine.mixed.kernels import Kernel
from lockstep.engine.mixed.precision import Arithmetic
from lockstep.engine.plan import make_plan
from lockstep.program.graph import Input, Node, Program
from lockstep.program.liveness import needed_nodes
from lockstep.program.ops import InputKind, Op


class Form(IntEnum):
    """What a value is: its own carrier, or the floats that an m16 tensor stands for."""

    OWN = 0
    FLOAT = 1


Key = tuple[int, Form] | Input
"""A node's value in a form, or what no node makes."""
COUNTER = Input(InputKind.STEP, 1)
"""The step's number on the processor, where a draw wants it: fetching it from a device would wait for the device."""


@dataclass(frozen=True, slots=True)
class Call:
    """One value: what makes it, of which others, and which are not read any more after it."""

    key: Key
    run: Kernel
    reads: tuple[Key, ...]
    last: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Assembly:
    """Calls that run once, calls of every step, and where to find the new state and the metrics."""

    once: tuple[Call, ...]
    every: tuple[Call, ...]
    state: tuple[Key, ...]
    metrics: tuple[Key, ...]


def assemble(program: Program, arithmetic: Arithmetic, seed: int, device: str, step: Callable[[], int]) -> Assembly:
    """The calls of a well-formed program; ``step`` says which step is being run."""
    return _Assembler(program, arithmetic, seed, device, step).assemble()


def node_of(key: Key) -> int:
    """The node whose value this is."""
    assert not isinstance(key, Input)
    return key[0]


class _Assembler:
    def __init__(
        self, program: Program, arithmetic: Arithmetic, seed: int, device: str, step: Callable[[], int]
    ) -> None:
        self.program, self.arithmetic, self.seed, self.device, self.step = program, arithmetic, seed, device, step
        self.forms: Forms = find_forms(program)
        self.wanted: set[Key] = set()

    def assemble(self) -> Assembly:
        program = self.program
        state = tuple(self._own(source) for source in program.nodes[-1].inputs)
        metrics = tuple((node, Form.OWN) for node in program.metrics)
        self.wanted.update(state)
        self.wanted.update(metrics)
        made: list[tuple[Key, Kernel, tuple[Key, ...]]] = []
        # Readers come after what they read, so from the end on it is known of each node what is wanted of it.
        for node in sorted(needed_nodes(program), reverse=True):
            for form in (Form.FLOAT, Form.OWN):
                if (node, form) in self.wanted:
                    run, reads = self._call(node, form)
                    self.wanted.update(reads)
                    made.append(((node, form), run, reads))
        made.reverse()
        static = set(make_plan(program).static)
        once = [call for call in made if node_of(call[0]) in static]
        every = [call for call in made if node_of(call[0]) not in static]
        kept = {*state, *metrics, *(call[0] for call in once)}
        return Assembly(_released(once, {call[0] for call in once}), _released(every, kept), state, metrics)

    @staticmethod
    def _own(source: Input) -> Key:
        return (source.value, Form.OWN) if source.kind is InputKind.NODE else source

    def _call(self, index: int, form: Form) -> tuple[Kernel, tuple[Key, ...]]:
        node = self.program.nodes[index]
        if form is Form.FLOAT:
            return self._floats(index, node)
        if index in self.forms.passed:
            return _same, (self._own(self.forms.passed[index]),)
        if index in self.forms.contractions:
            convolution = find_convolution(self.program, node)
            if convolution is not None:
                return convolution.run, ((convolution.images, Form.FLOAT), (convolution.kernel, Form.FLOAT))
            return self.arithmetic.contract, tuple((node.inputs[slot].value, Form.FLOAT) for slot in (0, 2))
        own = tuple(self._own(source) for source in node.inputs)
        if index in self.forms.sums:
            return (kernels.row_sum if node.op is Op.SUM else kernels.scatter_add(node.shape[1])), own[:-1]
        if node.op is Op.CAST and node.inputs[0].kind is InputKind.NODE and node.inputs[0].value in self.forms.flags:
            return kernels.flag_cast, own
        if node.op in (Op.RANDOM_BITS, Op.SHUFFLE):
            own = tuple(COUNTER if key == Input(InputKind.STEP) else key for key in own)
        return kernels.native_kernel(node, self.seed, self.device, flag=index in self.forms.flags), own

    def _floats(self, index: int, node: Node) -> tuple[Kernel, tuple[Key, ...]]:
        """The floats of an m16 node that contractions read."""
        if node.op is not Op.QUANTIZE:
            return kernels.native_kernel(node, self.seed, self.device), tuple(
                (source.value, Form.FLOAT) for source in node.inputs
            )
        if (index, Form.OWN) in self.wanted:
            # Somebody reads the mantissas, so what they lost is accounted for elsewhere.
            def operand_of(mantissas: Tensor, exponents: Tensor) -> Tensor:
                return self.arithmetic.operand(kernels.dequantised(mantissas, exponents), self.step(), index)

            return operand_of, ((index, Form.OWN), self._own(node.inputs[1]))
        return (lambda x: self.arithmetic.operand(x, self.step(), index)), (self._own(node.inputs[0]),)


def _same(x: Tensor) -> Tensor:
    return x


def _released(made: Sequence[tuple[Key, Kernel, tuple[Key, ...]]], kept: set[Key]) -> tuple[Call, ...]:
    """The calls, each with the values whose last reader it is."""
    last: dict[Key, int] = {}
    for at, (key, _, reads) in enumerate(made):
        last[key] = at
        last.update((read, at) for read in reads if not isinstance(read, Input))
    gone: dict[int, list[Key]] = {}
    for key, at in last.items():
        if key not in kept:
            gone.setdefault(at, []).append(key)
    return tuple(Call(key, run, reads, tuple(gone.get(at, ()))) for at, (key, run, reads) in enumerate(made))
