"""From an ordinary ``nn.Module``, a loss and optimiser settings to the two programs of a task.

::

    task = capture(model, nn.CrossEntropyLoss(), Adam(lr=1e-3), dataset, batch_size=64, evaluation=test)
    task.init, task.step, task.evaluate       # programs
    task.constants                            # arrays of init and step, one a constant entry

The step program holds everything a step does: which rows it reads, forward, loss, backward, update. See
``docs/CAPTURE.md``.
"""

from __future__ import annotations

import operator
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from lockstep.numerics.dtypes import DType
from lockstep.program import lowering, selection
from lockstep.program.accumulation import Key, accumulated, check_settings
from lockstep.program.builder import Builder, Built
from lockstep.program.emitter import Value
from lockstep.program.graph import Input, Names, Program
from lockstep.program.initial import Initial, from_buffer, initial_values
from lockstep.program.ops import InputKind
from lockstep.program.optimisers import Optimiser, Update
from lockstep.program.recompute import recomputed
from lockstep.program.selection import Dataset
from lockstep.program.spec import check_program, check_task_programs
from lockstep.program.stopping import METRIC, EarlyStopping
from lockstep.program.tracing import CaptureError, Loss, Traced, input_name, location_of, trace

Array = npt.NDArray[Any]
F32, I32 = DType.F32, DType.I32
MAX_EVALUATION_BATCH = 256
_CARRIERS = {torch.float32: (F32, np.float32), torch.int64: (I32, np.int32), torch.int32: (I32, np.int32)}
_CARRIERS[torch.bool] = (I32, np.int32)


Tables = Mapping[tuple[str, str], Array]
"""Constants by (``buffer``, ``loss`` or ``literal``, name)."""


@dataclass(frozen=True, slots=True)
class CapturedTask:
    """The programs of a task with their constants.

    ``init`` and ``step`` share ``constants`` (their order is the constant entries'). ``evaluate``, where
    there is one, keeps the state as it is and reports the metrics of rows ``STEP * evaluation_batch`` and on of
    the evaluation data, for steps 0 to ``evaluation_steps - 1``; equal batches, so the mean over the steps is
    the metric of the whole. ``outputs`` is the node of ``evaluate`` that is the model's output.

    ``parameters`` maps a name in the model's state_dict to its state entry. ``step_literals`` maps (node,
    input slot) of ``step`` to the float64 an f32 literal was rounded from. ``gradients`` maps a trained
    parameter's name to the node of ``step`` that is its gradient, before clipping; what is no node is missing.
    """

    init: Program
    step: Program
    constants: list[Array]
    batch_size: int
    steps_per_epoch: int
    parameters: dict[str, int]
    evaluate: Program | None
    evaluation_constants: list[Array]
    evaluation_batch: int
    evaluation_steps: int
    outputs: int
    step_literals: dict[tuple[int, int], float]
    gradients: dict[str, int]

    @property
    def names(self) -> Names:
        """Names of the step program's entries and the source lines of its nodes."""
        return self.step.names

    def state_dict(self, state: list[Array]) -> dict[str, Tensor]:
        """Parameters and changed buffers for ``model.load_state_dict(..., strict=False)``."""
        return {name: torch.from_numpy(np.array(state[index])) for name, index in self.parameters.items()}


@dataclass(slots=True)
class _Entry:
    """A state tensor that comes from the model: a parameter or a buffer that training changes."""

    name: str
    kind: str
    value: Array | None
    """The model's own, copied, where the state starts from it."""
    shape: tuple[int, ...]
    dtype: DType
    initial: Initial
    frozen: bool


def accuracy(output: Tensor, targets: Tensor) -> Tensor:
    """Share of rows whose largest score is the target's: a metric for ``capture``. The first output counts."""
    output = tree_leaves(output)[0]
    return (output.argmax(-1) == targets).to(torch.float32).mean()


def capture(
    model: nn.Module,
    loss: Loss,
    optimiser: Optimiser,
    dataset: Dataset,
    batch_size: int,
    *,
    metrics: Mapping[str, Loss] | None = None,
    evaluation: Dataset | None = None,
    draw: bool = True,
    accumulate: int = 1,
    loss_scale: float = 1.0,
    early_stopping: EarlyStopping | None = None,
    residual: Collection[str] | None = (),
    recompute: int | None = None,
) -> CapturedTask:
    """Capture one training step of ``model`` as programs.

    ``model`` takes the data set's inputs, one an argument, and gives a tensor, or several in a tuple or the like.
    ``loss`` and ``metrics`` take (output, targets) and give a scalar; the loss is a metric too, and
    accuracy is one by default where the targets are classes. ``draw`` False starts from the model's
    present values instead of drawing them from the task's seed (``lockstep.program.initial``).

    ``accumulate`` cuts every batch into as many equal micro-batches, whose gradients' mean makes the step's one update
    (``lockstep.program.accumulation``); the loss is then a mean over its batch. ``loss_scale``, a power of two,
    multiplies the loss before the backward pass and divides the gradients after it. ``early_stopping`` adds its
    metric, ``stop``. ``residual`` names layers, by patterns of ``model.named_modules()``, whose products get residual
    parts of both operands, beside those that rules give by themselves; None: no product gets any (docs/NUMERICS.md).
    ``recompute`` is how many bytes a step's values may take at once, beside the states: where they take more, the
    backward pass computes parts of the forward pass again (``lockstep.program.recompute``).

    ``CaptureError`` names every operator that cannot be carried with the user's source line, before
    anything else is done; ``ProgramError`` what else does not fit.
    """
    if not 1 <= batch_size <= len(dataset):
        raise CaptureError(f"A batch of {batch_size} from {len(dataset)} samples: it has 1 to {len(dataset)}.")
    check_settings(batch_size, accumulate, loss_scale)
    classes = dataset.targets.ndim == 1 and dataset.targets.dtype != np.float32
    measured = dict(metrics) if metrics is not None else ({"accuracy": accuracy} if classes else {})
    if early_stopping and METRIC in measured:
        raise CaptureError(f"A metric is named {METRIC}, as early stopping's is; give it another name.")
    if evaluation is not None and len(evaluation.further) != len(dataset.further):
        raise CaptureError(
            f"The evaluation data have {1 + len(evaluation.further)} inputs, and the training data"
            f" {1 + len(dataset.further)}; the model takes the same of both."
        )
    was_training = model.training
    try:
        model.train()
        examples = _examples(dataset, batch_size // accumulate)
        traced = trace(model, loss, measured, *examples, backward=True, loss_scale=loss_scale, residual=residual)
        _refuse_unknown(traced)
        entries = _entries(model, traced, draw=draw)
        tables = _tables(model, loss, traced, entries)
        step, gradients = _step_program(
            traced, entries, tables, optimiser, dataset, batch_size, accumulate, loss_scale, early_stopping, recompute
        )
        init = _init_program(entries, tables, optimiser, dataset, batch_size, step)
        check_task_programs(init.program, step.program)
        evaluated, outputs, rows = None, -1, 1
        if evaluation is not None:
            rows = _evaluation_batch(len(evaluation))
            model.eval()
            forward = trace(model, loss, measured, *_examples(evaluation, rows), backward=False, residual=residual)
            _refuse_unknown(forward)
            evaluated, outputs = _evaluate_program(
                model, loss, forward, entries, step.program, evaluation, rows, early_stopping
            )
            check_program(evaluated.program)
    finally:
        model.train(was_training)
    return CapturedTask(
        init=init.program,
        step=step.program,
        constants=step.constants,
        batch_size=batch_size,
        steps_per_epoch=len(dataset) // batch_size,
        parameters={entry.name: i for i, entry in enumerate(entries)},
        evaluate=evaluated.program if evaluated else None,
        evaluation_constants=evaluated.constants if evaluated else [],
        evaluation_batch=rows,
        evaluation_steps=len(evaluation) // rows if evaluation is not None else 0,
        outputs=outputs,
        step_literals=step.literals,
        gradients=gradients,
    )


def _examples(dataset: Dataset, batch_size: int) -> tuple[list[Tensor], Tensor]:
    """A batch's shapes and dtypes, as the model and the loss see them."""
    inputs = []
    for column in dataset.columns:
        dtype = torch.int64 if column.scale is None else torch.float32
        inputs.append(torch.zeros((batch_size, *column.values.shape[1:]), dtype=dtype))
    dtype = torch.float32 if dataset.targets.dtype == np.float32 else torch.int64
    return inputs, torch.zeros((batch_size, *dataset.targets.shape[1:]), dtype=dtype)


def _evaluation_batch(rows: int) -> int:
    return max(size for size in range(1, min(rows, MAX_EVALUATION_BATCH) + 1) if rows % size == 0)


def _refuse_unknown(traced: Traced) -> None:
    """Report, all at once, every operator without a rule, dtypes no program has, and draws made twice."""
    found = []
    past_loss, loss = False, _loss(traced)
    for node in traced.graph.nodes:
        where = location_of(node)
        line = f"  {where + ': ' if where else ''}{node.target}"
        if node.op == "call_function" and node.target is not operator.getitem:
            name = lowering.rule_name(node.target)
            if name not in lowering.RULES:
                found.append(f"{line}. {lowering.nearest(name)}".rstrip())
            if past_loss and name in lowering.random.DRAWS:
                found.append(f"{line}: {_DRAWN_AGAIN}")
        found += [
            f"{line}: a tensor of {value.dtype}; programs compute in float32 and int32."
            for value in _tensors(node.meta.get("val"))
            if value.dtype not in _CARRIERS
        ]
        past_loss = past_loss or node is loss
    if found:
        lines = "\n".join(dict.fromkeys(found))
        raise CaptureError(f"The model uses what a program cannot carry:\n{lines}")


_DRAWN_AGAIN = (
    "it is drawn in the backward pass, as activation checkpointing computes the forward pass again, where it would be"
    " another draw. Take the checkpoint out of the model; capture(..., recompute=...) saves memory without it."
)


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [t for t in value if isinstance(t, Tensor)] if isinstance(value, list | tuple) else []


def _placeholders(traced: Traced) -> dict[tuple[str, str], fx.Node]:
    nodes = [node for node in traced.graph.nodes if node.op == "placeholder"]
    return dict(zip(traced.inputs, nodes, strict=True))


def _array(value: Tensor) -> Array:
    """A copy of a model's tensor, as a constant."""
    return np.array(value.detach().cpu().numpy(), _carrier(value)[1], order="C")


def _carrier(value: Tensor) -> tuple[DType, type]:
    """Element types of a model's tensor in a program and in NumPy."""
    if value.dtype not in _CARRIERS:
        raise CaptureError(f"A tensor of the model is {value.dtype}; programs compute in float32 and int32.")
    return _CARRIERS[value.dtype]


def _entry(name: str, kind: str, value: Tensor, initial: Initial, *, frozen: bool) -> _Entry:
    """Weights that are drawn are not copied: a model may be large."""
    given = _array(value) if initial.kind == "given" else None
    return _Entry(name, kind, given, tuple(value.shape), _carrier(value)[0], initial, frozen)


def _entries(model: nn.Module, traced: Traced, *, draw: bool) -> list[_Entry]:
    """The model's part of the state: every parameter, and every buffer the step changes."""
    starts = initial_values(model, draw=draw)
    outputs = dict(traced.outputs)
    placeholders = _placeholders(traced)
    entries = []
    for name, parameter in model.named_parameters():
        frozen = outputs.get(("gradient", name)) is None
        entries.append(_entry(name, "parameter", parameter, starts[name], frozen=frozen))
    for name, buffer in model.named_buffers():
        if _origin(outputs[("buffer", name)]) is not placeholders["buffer", name]:
            entries.append(_entry(name, "buffer", buffer, from_buffer(buffer), frozen=False))
    return entries


_COPIES = ("aten.clone.default", "aten.detach.default", "aten.alias.default")


_RESHAPES = ("aten.view.default", "aten.squeeze.default", "aten.select.int", str(operator.getitem))


def _origin(node: fx.Node | None, through: Collection[str] = _COPIES) -> fx.Node | None:
    while node is not None and str(node.target) in through:
        source = node.args[0]
        assert isinstance(source, fx.Node)
        node = source
    return node


def _loss(traced: Traced) -> fx.Node | None:
    """The node that computes the loss: the last of the forward pass."""
    return _origin(traced.outputs[0][1], (*_COPIES, *_RESHAPES))


def _tables(model: nn.Module, loss: Loss, traced: Traced, entries: list[_Entry]) -> Tables:
    """What is read and stays as it is: buffers of model and loss, tensors written out in the source."""
    state = {("buffer", entry.name) for entry in entries}
    given = {("buffer", name): buffer for name, buffer in model.named_buffers()}
    if isinstance(loss, nn.Module):
        given |= {("loss", name): buffer for name, buffer in loss.named_buffers()}
    read = {
        key: any(str(u.target) not in _COPIES or u.users for u in n.users) for key, n in _placeholders(traced).items()
    }
    tables = {key: _array(value) for key, value in given.items() if key not in state and read[key]}
    written = {("literal", name): value for name, value in traced.attributes.items() if value.dim() > 0}
    return tables | {key: _array(value) for key, value in written.items()}


def _start(b: Builder, dataset: Dataset, tables: Tables) -> tuple[list[Value], Value, dict[tuple[str, str], Value]]:
    """The constants every program of a task begins with."""
    first, *further = (np.ascontiguousarray(column.values) for column in dataset.columns)
    inputs = [b.add_constant(input_name(0), first)]
    targets = b.add_constant("targets", np.ascontiguousarray(dataset.targets))
    inputs += [b.add_constant(input_name(place), values) for place, values in enumerate(further, 1)]
    names = {key: key[1] if key[0] == "buffer" else ".".join(key) for key in tables}
    return inputs, targets, {key: b.add_constant(names[key], array) for key, array in tables.items()}


def _batch(
    b: Builder, dataset: Dataset, inputs: list[Value], targets: Value, rows: Value, *, training: bool
) -> dict[tuple[str, str], Value]:
    floating = dataset.targets.dtype == np.float32
    augmentation = dataset.augmentation if training else None
    given = {}
    for place, (table, column) in enumerate(zip(inputs, dataset.columns, strict=True)):
        moved = augmentation if place == 0 else None
        given["batch", input_name(place)] = selection.select(b, table, rows, column.scale, column.shift, moved)
    given["batch", "targets"] = selection.select(b, targets, rows, 1.0 if floating else None, 0.0)
    return given


def _lower(
    b: Builder,
    traced: Traced,
    given: Mapping[tuple[str, str], Value],
    known: Mapping[Input, Array],
    forwards: list[range] | None = None,
) -> dict[fx.Node, Any]:
    """Every node of the graph as a value (or a tuple of values).

    Where ``forwards`` is given, the emitted nodes of the forward pass are appended to it, up to the loss.
    """
    first, loss = b.emitted, _loss(traced)
    made: dict[fx.Node, Any] = {node: given[key] for key, node in _placeholders(traced).items() if key in given}
    residual: dict[Input, int] | None = {} if traced.residuals else None
    sites: dict[int, int] = {}
    row_totals: dict[Input, Value] = {}

    def value(node: fx.Node) -> Any:
        return made[node]

    for node in traced.graph.nodes:
        if node.op == "get_attr":
            scalar = traced.attributes[str(node.target)]
            if scalar.dim() > 0:
                made[node] = given["literal", str(node.target)]
                continue
            number, dtype = scalar.item(), _CARRIERS[scalar.dtype][0]
            made[node] = b.f32(float(number)) if dtype is F32 else b.i32(int(number))
        elif node.op == "call_function":
            args, kwargs = fx.map_arg(node.args, value), fx.map_arg(node.kwargs, value)
            if node.target is operator.getitem:
                made[node] = args[0][args[1]]
                continue
            context = lowering.Context(b, node, dict(known), residual, sites, row_totals)
            with b.at(location_of(node)):
                made[node] = lowering.RULES[lowering.rule_name(node.target)](context, *args, **kwargs)
        if node is loss and forwards is not None:
            forwards.append(range(first, b.emitted))
    return made


def _outputs(traced: Traced, made: Mapping[fx.Node, Any]) -> dict[tuple[str, str], Value]:
    return {key: made[node] for key, node in traced.outputs if node is not None}


def _step_program(
    traced: Traced,
    entries: list[_Entry],
    tables: Tables,
    optimiser: Optimiser,
    dataset: Dataset,
    batch_size: int,
    accumulate: int,
    loss_scale: float,
    early_stopping: EarlyStopping | None,
    recompute: int | None,
) -> tuple[Built, dict[str, int]]:
    b = Builder()
    inputs, targets, buffers = _start(b, dataset, tables)
    for entry in entries:
        if entry.value is not None:
            b.add_constant(f"initial.{entry.name}", entry.value)
    state = {e.name: b.add_state(e.name, e.dtype, e.shape, frozen=e.frozen) for e in entries}
    trained = [e.name for e in entries if e.kind == "parameter" and not e.frozen]
    slots = {
        slot.name: b.add_state(slot.name, F32, slot.shape)
        for slot in optimiser.slots({name: state[name].shape for name in trained})
    }
    watched = early_stopping.add_state(b) if early_stopping else {}
    whole = dict(buffers)
    whole |= {(e.kind, e.name): state[e.name] for e in entries}

    forwards: list[range] = []

    def one(rows: Value, carried: Mapping[Key, Value]) -> dict[Key, Value]:
        given = _batch(b, dataset, inputs, targets, rows, training=True)
        known = {given["batch", "targets"].source: dataset.targets}
        return _outputs(traced, _lower(b, traced, given | whole | dict(carried), known, forwards))

    rows = selection.shuffled_rows(b, len(dataset), batch_size)
    found = accumulated(b, rows, accumulate, one)
    gradients = {name: b.div(found["gradient", name], loss_scale) for name in trained}
    update = Update({name: state[name] for name in trained}, gradients, slots)
    with b.at(f"{type(optimiser).__name__} update"):
        new, new_slots = optimiser.emit(b, update)
    new |= {e.name: found["buffer", e.name] for e in entries if e.kind == "buffer"}
    after = [new.get(e.name, state[e.name]) for e in entries] + [new_slots[name] for name in slots]
    metrics = _metrics(found)
    if early_stopping:
        with b.at("early stopping"):
            watched = early_stopping.emit(b, watched, metrics["loss"])
            metrics[METRIC] = early_stopping.metric(b, watched)
    built = b.finish([*after, *watched.values()], metrics)
    if recompute is not None:
        built = recomputed(built, forwards, recompute)
    nodes = {name: value.source for name, value in gradients.items() if value.source.kind is InputKind.NODE}
    return built, {name: built.index[source.value] for name, source in nodes.items() if source.value in built.index}


def _metrics(found: Mapping[tuple[str, str], Value]) -> dict[str, Value]:
    return {"loss": found["loss", ""]} | {name: v for (kind, name), v in found.items() if kind == "metric"}


def _init_program(
    entries: list[_Entry],
    tables: Tables,
    optimiser: Optimiser,
    dataset: Dataset,
    batch_size: int,
    step: Built,
) -> Built:
    b = Builder(init=True)
    _start(b, dataset, tables)
    start = []
    for entry, declared in zip(entries, step.program.state, strict=False):
        given = b.add_constant(f"initial.{entry.name}", entry.value) if entry.value is not None else None
        b.add_state(entry.name, entry.dtype, entry.shape, frozen=declared.frozen)
        start.append(entry.initial.emit(b, entry.shape, entry.dtype, given))
    for name, declared in zip(
        step.program.names.state[len(entries) :], step.program.state[len(entries) :], strict=True
    ):
        start.append(b.f32(0.0, b.add_state(name, declared.dtype, declared.shape).shape))
    return b.finish(start)


def _evaluate_program(
    model: nn.Module,
    loss: Loss,
    traced: Traced,
    entries: list[_Entry],
    step: Program,
    dataset: Dataset,
    batch_size: int,
    early_stopping: EarlyStopping | None,
) -> tuple[Built, int]:
    b = Builder()
    inputs, targets, buffers = _start(b, dataset, _tables(model, loss, traced, entries))
    state = [
        b.add_state(name, e.dtype, e.shape, frozen=e.frozen)
        for name, e in zip(step.names.state, step.state, strict=True)
    ]
    given = _batch(b, dataset, inputs, targets, selection.consecutive_rows(b, batch_size), training=False)
    known = {given["batch", "targets"].source: dataset.targets}
    given |= {(e.kind, e.name): v for e, v in zip(entries, state, strict=False)}
    given |= buffers
    found = _outputs(traced, _lower(b, traced, given, known))
    metrics = _metrics(found)
    if early_stopping:
        metrics[METRIC] = early_stopping.metric(b, dict(zip(step.names.state, state, strict=True)))
    built = b.finish(state, metrics)
    return built, built.index.get(found["output", ""].source.value, -1)
