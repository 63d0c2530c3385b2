"""Tolerance mode: a step program whose segments may end in a checkpoint that was trained otherwise, but near.

``tolerant_step`` rewrites an exact step program. A replay of a segment then trains beside the exact run several
perturbed ones, which start where the segment starts and whose contractions read operands rounded to fewer bits, as
the units of graphics cards do, at scales that the segment's draw decides. In the segment's last step the checkpoint
that the solver committed to (COMMITTED) is compared with the exact run: where every entry's distance is at most a
multiple of the farthest perturbed run's or twice a share of what the segment changed of it, and that of all
together at most that share of what it changed in all, the replay ends in the committed checkpoint itself; else in its
own state. So a claim passes, fails and is disputed as any other, node by node: a perturbed run and a threshold, too.

Why the farthest run, and a multiple of it or a share: what native training is off in a small tensor has long tails
(Adam's first steps have the gradient's sign: one element near zero may go the other way, and that tensor ends ten times
as far off as the median of eight runs, but as one or two of them), and where gradients are all rounding (a bias before
a normalisation) no share of the update would do.

The state has, behind the program's own entries, for each f32 entry that is not frozen its value at the segment's start,
and one in each run: zeros in every checkpoint, so that nobody stores or chooses them.

Distances are Euclidean, in f32 with exact sums; a NaN or an infinity in one rejects. Entries of i32 must be equal.
Random draws are shared by all runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lockstep.numerics.dtypes import DType
from lockstep.program.builder import Builder, Value
from lockstep.program.graph import Input, Node, Program, StateEntry, TensorType, View
from lockstep.program.infer import ProgramError
from lockstep.program.ops import DRAW_WORDS, EXPONENT_FLOOR_QUANTIZE, INIT_SITE_BIT, InputKind, Op

F32, I32 = DType.F32, DType.I32
MAX_RUNS = 64
ENTRY_SHARES = 2.0
"""An entry alone may be off by so many times the share that all entries together may."""
_DRAWS = (Op.RANDOM_BITS, Op.SHUFFLE)
_STEP_ODD = 0x9E3779B1
"""Odd, so that the counters of the steps of a task are all different."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What a task allows.

    ``runs`` perturbed runs a segment; ``bits`` significant bits their operands are rounded to (8: bfloat16, 11:
    float16 and TF32); an entry's threshold is ``multiple`` times the farthest run's distance, or twice ``share`` of how
    far the segment moved it if that is more; that of all entries together ``share`` of how far it moved all.
    """

    runs: int = 8
    bits: int = 8
    multiple: float = 4.0
    share: float = 0.1

    def __post_init__(self) -> None:
        if not 1 <= self.runs <= MAX_RUNS:
            raise ProgramError(f"There are 1 to {MAX_RUNS} perturbed runs, not {self.runs}.")
        if not 2 <= self.bits <= 16:
            raise ProgramError(f"Perturbed operands keep 2 to 16 significant bits, not {self.bits}.")
        if not 1 <= self.multiple <= 1000:
            raise ProgramError(f"A threshold is 1 to 1,000 times the farthest run's distance, not {self.multiple:g}.")
        if not 0 < self.share <= 0.5:
            raise ProgramError(f"A threshold is at most half of a segment's update, not {self.share:g} of it.")


@dataclass(frozen=True, slots=True)
class Schedule:
    """A task's segments: STEP of segment 1's first step, steps in all, steps a segment (the last may have fewer)."""

    first_step: int
    steps: int
    segment_steps: int


def tracked_entries(program: Program) -> list[int]:
    """Entries of an exact program's state that are compared by distance: f32, not frozen."""
    return [index for index, entry in enumerate(program.state) if entry.dtype is F32 and not entry.frozen]


def tolerant_state(program: Program, runs: int) -> tuple[StateEntry, ...]:
    """State entries of the rewritten program: its own, the starts, and each run's."""
    tracked = tuple(program.state[index] for index in tracked_entries(program))
    return program.state + tracked * (1 + runs)


def tolerant_init(program: Program, runs: int) -> Program:
    """The init program with the entries that ``tolerant_step`` adds, all zero."""
    b = Builder(init=True)
    copy = _Copy(b, program, [])
    outputs = copy.state_after(copy.nodes([]))
    names = _state_names(program)
    for which in ("start", *(f"run {run}" for run in range(runs))):
        for index in tracked_entries(program):
            outputs.append(b.f32(0.0, program.state[index].shape))
            b.add_state(f"{which}: {names[index]}", F32, program.state[index].shape)
    return b.finish(outputs).program


def tolerant_step(program: Program, tolerance: Tolerance, schedule: Schedule) -> Program:
    """The step program that replays a segment in tolerance mode; ``ProgramError`` where it would be too large."""
    return _Rewriting(program, tolerance, schedule).result()


class _Copy:
    """Emits a program's nodes anew, over other values of its state."""

    def __init__(self, b: Builder, program: Program, extra: Sequence[str]) -> None:
        self.b, self.program = b, program
        names = _state_names(program)
        self.own = [b.add_state(names[i], e.dtype, e.shape, frozen=e.frozen) for i, e in enumerate(program.state)]
        self.added = [
            [b.add_state(f"{which}: {names[i]}", F32, program.state[i].shape) for i in tracked_entries(program)]
            for which in extra
        ]
        named = program.names.constants
        self.constants = [
            b.declare_constant(named[i] if i < len(named) else f"constant {i}", entry)
            for i, entry in enumerate(program.constants)
        ]

    def nodes(
        self,
        state: Sequence[Value],
        operand: Callable[[int, int, Value], Value] | None = None,
        draws: Sequence[Value] | None = None,
    ) -> list[Value]:
        """Values of all nodes but the last. ``operand(node, slot, value)`` may give another one to a node's input;
        ``draws`` has the values of random nodes, which draw once."""
        made: list[Value] = []
        for index, node in enumerate(self.program.nodes[:-1]):
            if draws is not None and node.op in _DRAWS:
                made.append(draws[index])
                continue
            inputs = [self.value(source, state, made) for source in node.inputs]
            if operand is not None:
                inputs = [operand(index, slot, value) for slot, value in enumerate(inputs)]
            with self.b.at(self.program.names.nodes.get(index, "")):
                made.append(self.b.emit(node.op, inputs, node.dtype, node.shape, node.attrs))
        return made

    def value(self, source: Input, state: Sequence[Value], made: Sequence[Value]) -> Value:
        """What an input of the program denotes here."""
        match source.kind:
            case InputKind.NODE:
                return made[source.value]
            case InputKind.STATE:
                return state[source.value]
            case InputKind.CONST:
                return self.constants[source.value]
            case InputKind.COMMITTED:
                raise ProgramError("The program is in tolerance mode already.")
            case _:
                return Value(source, self.program.input_type(source))

    def state_after(self, made: Sequence[Value], state: Sequence[Value] = ()) -> list[Value]:
        """New values of the program's own state entries."""
        return [self.value(source, state, made) for source in self.program.nodes[-1].inputs]


class _Rewriting:
    def __init__(self, program: Program, tolerance: Tolerance, schedule: Schedule) -> None:
        self.program, self.tolerance, self.schedule = program, tolerance, schedule
        self.tracked = tracked_entries(program)
        if not self.tracked:
            raise ProgramError("The program's state has no f32 entry that changes: nothing of it could be near.")
        self.b = Builder()
        self.copy = _Copy(self.b, program, ["start", *(f"run {run}" for run in range(tolerance.runs))])
        self.operands, self.readers = _rounded_operands(program)
        self._site = 1 + max((_site_of(node) for node in program.nodes if node.op in _DRAWS), default=-1)
        if self._site + 3 > INIT_SITE_BIT:
            raise ProgramError("The program leaves no random sites for perturbed runs.")
        behind = Input(InputKind.COMMITTED, len(tolerant_state(program, tolerance.runs)))
        self.draw = Value(behind, TensorType(I32, (DRAW_WORDS,)))

    def result(self) -> Program:
        b, own = self.b, self.copy.own
        first, last = self._bounds()
        starts = [self._chosen(first, own[i], kept) for i, kept in zip(self.tracked, self.copy.added[0], strict=True)]
        base = self.copy.nodes(own)
        after = self.copy.state_after(base, own)
        scales = self._scales()
        runs = []
        for run, entries in enumerate(self.copy.added[1:]):
            state = list(own)
            for i, kept in zip(self.tracked, entries, strict=True):
                state[i] = self._chosen(first, own[i], kept)
            made = self.copy.nodes(state, self._rounding(run, scales), base)
            ended = self.copy.state_after(made, state)
            runs.append([ended[i] for i in self.tracked])
        accepted, measures = self._verdict(after, starts, runs)
        ends = b.bit_and(last, accepted)
        outputs = [
            value if entry.frozen else self._chosen(ends, self._committed(i), value)
            for i, (value, entry) in enumerate(zip(after, self.program.state, strict=True))
        ]
        outputs += [self._chosen(last, 0.0, value) for values in (starts, *runs) for value in values]
        names = self.program.names.metrics
        metrics = {
            names[i] if i < len(names) else f"metric {i}": base[node] for i, node in enumerate(self.program.metrics)
        }
        return b.finish(outputs, metrics | measures).program

    def _bounds(self) -> tuple[Value, Value]:
        """Whether this step is the first of its segment, and the last."""
        b, schedule = self.b, self.schedule
        done = b.isub(b.step, schedule.first_step)
        within = b.umod(done, schedule.segment_steps)
        last = b.bit_or(b.ieq(within, schedule.segment_steps - 1), b.ieq(done, schedule.steps - 1))
        return b.ieq(within, 0), last

    def _chosen(self, condition: Value, chosen: Value | float, other: Value) -> Value:
        return self.b.select(self.b.expand(condition, other.shape), chosen, other)

    def _committed(self, index: int) -> Value:
        return Value(Input(InputKind.COMMITTED, index), self.program.state[index].type)

    # Perturbed runs

    def _scales(self) -> tuple[Value, Value, Value]:
        """For every run and operand: a scale in [1, 2), its inverse, and the factor that splits off low bits.

        A run rounds an operand with a probability of its own, from 1/2 to 1: what portion of it is perturbed is drawn
        with the rest. Scale and factor 1 leave it as it is.
        """
        b, runs, count = self.b, self.tolerance.runs, len(self.operands)
        word = b.reshape(b.slice(self.draw, 0, 0, 1), ())
        counter = b.iadd(word, b.imul(b.step, _STEP_ODD - (1 << 32)))
        shape = (runs, count)
        portion = b.add(b.mul(self._uniform((runs,), counter, 0), 0.5), 0.5)
        rounds = b.lt(self._uniform(shape, counter, 1), b.expand_rows(portion, count))
        scale = b.select(rounds, b.add(self._uniform(shape, counter, 2), 1.0), 1.0)
        split = b.select(rounds, float((1 << (24 - self.tolerance.bits)) + 1), b.f32(1.0, shape))
        return scale, b.div(b.f32(1.0, shape), scale), split

    def _uniform(self, shape: tuple[int, ...], counter: Value, which: int) -> Value:
        """f32 in [0, 1) of 23 bits."""
        b = self.b
        return b.mul(b.cast(b.shr(b.random_bits(shape, counter, self._site + which), 9), F32), 2.0**-23)

    def _rounding(self, run: int, scales: tuple[Value, Value, Value]) -> Callable[[int, int, Value], Value]:
        """What a run reads in the place of an operand: rounded at its scale.

        The splitting is T. J. Dekker's (A floating-point technique for extending the available precision, 1971).
        """
        b, known = self.b, dict[Input, Value]()

        def rounded(x: Value, operand: int) -> Value:
            scale, inverse, split = (self._scalar(values, run, operand, x.shape) for values in scales)
            scaled = b.mul(x, scale)
            high = b.mul(scaled, split)
            return b.mul(b.sub(high, b.sub(high, scaled)), inverse)

        def operand(node: int, slot: int, value: Value) -> Value:
            source = self.program.nodes[node].inputs[slot]
            if slot or source not in self.operands or node not in self.readers:
                return value
            if source not in known:
                known[source] = rounded(value, self.operands[source])
            return known[source]

        return operand

    def _scalar(self, values: Value, run: int, operand: int, shape: tuple[int, ...]) -> Value:
        """One of the scales, widened to a shape."""
        return self.b.view(values, View(values.shape, (run, operand), ((0, 0),) * len(shape)), shape)

    # The verdict

    def _verdict(
        self, after: Sequence[Value], starts: Sequence[Value], runs: Sequence[Sequence[Value]]
    ) -> tuple[Value, dict[str, Value]]:
        """Whether the committed checkpoint is near enough, i32, and what says by how much, f32 scalars."""
        b, tolerance = self.b, self.tolerance
        accepted, worst = b.i32(1), b.f32(0.0)
        distances, updates, share = b.f32(0.0), b.f32(0.0), float(tolerance.share) ** 2
        for place, index in enumerate(self.tracked):
            exact = after[index]
            distance = self._squared(self._committed(index), exact)
            farthest = b.max_rows(b.concat([b.reshape(self._squared(run[place], exact), (1,)) for run in runs]))
            near = b.mul(farthest, float(tolerance.multiple) ** 2)
            update = self._squared(exact, starts[place])
            most = b.mul(update, (ENTRY_SHARES * tolerance.share) ** 2)
            # A NaN is at most nothing, an infinity is no distance.
            within = b.bit_or(b.le(distance, near), b.le(distance, most))
            accepted = b.bit_and(accepted, b.bit_and(within, b.lt(distance, float("inf"))))
            worst = b.maximum(worst, b.select(b.eq(distance, 0.0), 0.0, b.div(distance, b.maximum(near, most))))
            distances, updates = b.add(distances, distance), b.add(updates, update)
        accepted = b.bit_and(accepted, b.le(distances, b.mul(updates, share)))
        for index, entry in enumerate(self.program.state):
            if entry.dtype is I32 and not entry.frozen:
                differs = b.cast(b.ine(self._committed(index), after[index]), F32)
                accepted = b.bit_and(accepted, b.eq(self._total(differs), 0.0))
        return accepted, {
            "distance over threshold": b.sqrt(worst),
            "distance over update": b.sqrt(b.div(distances, updates)),
            "within tolerance": b.cast(accepted, F32),
        }

    def _squared(self, x: Value, y: Value) -> Value:
        """Squared Euclidean distance of two tensors, f32 of shape ()."""
        difference = self.b.sub(x, y)
        return self._total(self.b.mul(difference, difference))

    def _total(self, x: Value) -> Value:
        return self.b.sum_rows(self.b.reshape(x, (x.type.elements,)))


def _rounded_operands(program: Program) -> tuple[dict[Input, int], set[int]]:
    """The operands of contractions, numbered, and the nodes that read them as such.

    An operand is what is quantised, but not what quantising another one lost (a residual): that is computed from the
    rounded one.
    """
    readers: dict[Input, list[int]] = {}
    for index, node in enumerate(program.nodes):
        for source in node.inputs:
            readers.setdefault(source, []).append(index)

    def is_quantising(node: Node) -> bool:
        return node.op is Op.QUANTIZE or (node.op is Op.EXPONENT and node.attrs == (EXPONENT_FLOOR_QUANTIZE,))

    quantised = {node.inputs[0]: None for node in program.nodes if node.op is Op.QUANTIZE}
    residuals = {
        index
        for index, node in enumerate(program.nodes)
        if node.op is Op.SUB
        and node.inputs[0] in quantised
        and all(is_quantising(program.nodes[each]) for each in readers.get(Input(InputKind.NODE, index), ()))
    }
    operands = [source for source in quantised if not (source.kind is InputKind.NODE and source.value in residuals)]
    reading = {index for index, node in enumerate(program.nodes) if is_quantising(node)} | residuals
    return {source: number for number, source in enumerate(operands)}, reading


def _state_names(program: Program) -> list[str]:
    names = program.names.state
    return [names[i] if i < len(names) else f"state {i}" for i in range(len(program.state))]


def _site_of(node: Node) -> int:
    assert isinstance(node.attrs, tuple)
    return int(node.attrs[-1])
