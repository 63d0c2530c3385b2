"""A task's programs and data, published to the store and read back from it with every check.

Nothing of a stranger's task is run before it passed: sizes first, then hashes against the chain's, then the program
checker (which includes that every op has an executor leaf that can carry it).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save
from torch import Tensor

from lockstep.chain.options import TaskOptions
from lockstep.chain.types import TaskTerms
from lockstep.commitments.tensor import tensor_root
from lockstep.engine.checkpoint import parse_checkpoint
from lockstep.engine.errors import EngineError
from lockstep.engine.plan import check_memory
from lockstep.numerics.dtypes import ITEMSIZE, NUMPY
from lockstep.program.capture import CapturedTask
from lockstep.program.encoding import EncodingError, ProgramCommitment, commit_program, decode_program
from lockstep.program.faults import ProgramFault, Suspect
from lockstep.program.graph import ConstantEntry, Names, Program
from lockstep.program.spec import ProgramError, check_program, check_task_programs
from lockstep.program.tolerance import Tolerance, tolerant_state
from lockstep.program.work import program_work
from lockstep.storage.manifest import TaskManifest, ToleranceTerms, get_manifest, put_manifest
from lockstep.storage.store import ArtifactStore, StorageError

PROGRAM_LIMIT = 64 << 20
"""Largest program file read, bytes."""
CONSTANTS_LIMIT = 8 << 30
"""Most bytes of constants one task may bring."""
CHECKPOINT_OVERHEAD = 1 << 20
"""Bytes a checkpoint file may have beside its tensors: the safetensors header."""
SAFETENSORS_OVERHEAD = 4096
"""Bytes a one-tensor safetensors file may have beside its data."""


class WorkloadError(RuntimeError):
    """A task whose artifacts are missing, damaged, or break the rules; the message says how."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A task's programs with their commitments, and its constants as arrays in entry order.

    ``predict`` measures a trained state: its metrics, averaged over ``predict_steps`` steps on constants of its own.
    Only its submitter has it here; see ``lockstep.agents.measure``. A stacked task has no init program but ``start``,
    the artifact of the checkpoint it starts from. In tolerance mode ``native`` is the program that ``step`` was made
    from, as the submitter says it: nobody but a solver relies on it (``lockstep.agents.nearness``).
    """

    step: Program
    init: Program | None
    step_commitment: ProgramCommitment
    init_commitment: ProgramCommitment | None
    constants: tuple[np.ndarray, ...] = field(repr=False)
    init_constants: tuple[np.ndarray, ...] = field(repr=False)
    predict: Program | None = None
    predict_constants: tuple[np.ndarray, ...] = field(default=(), repr=False)
    predict_steps: int = 0
    start: str | None = None
    native: Program | None = None
    tolerance: Tolerance | None = None

    @property
    def own_state(self) -> int:
        """State entries of the model and its optimiser; behind them are those of tolerance mode."""
        return len(self.step.state if self.native is None else self.native.state)

    @property
    def init_work(self) -> int:
        """Work of the init program, 0 where there is none."""
        return 0 if self.init_commitment is None else self.init_commitment.work

    @property
    def checkpoint_limit(self) -> int:
        """Bytes a file of this task's state may have: the state's own, and a header's."""
        return sum(entry.type.elements * ITEMSIZE[entry.dtype] for entry in self.step.state) + CHECKPOINT_OVERHEAD

    def program(self, segment: int) -> Program:
        """Program of a segment: init for segment 0, step for the others."""
        if segment:
            return self.step
        assert self.init is not None, "Nothing of a stacked task's segment 0 is ever run."
        return self.init

    def commitment(self, segment: int) -> ProgramCommitment:
        """Commitment of a segment's program."""
        if segment:
            return self.step_commitment
        assert self.init_commitment is not None, "Nothing of a stacked task's segment 0 is ever run."
        return self.init_commitment

    def constants_of(self, segment: int) -> tuple[np.ndarray, ...]:
        """Constants of a segment's program."""
        return self.init_constants if segment == 0 else self.constants


def make_workload(
    init: Program,
    step: Program,
    init_constants: Sequence[np.ndarray],
    constants: Sequence[np.ndarray],
    predict: Program | None = None,
    predict_constants: Sequence[np.ndarray] = (),
    predict_steps: int = 0,
) -> Workload:
    """Workload from programs of one's own, checked like a stranger's; ``WorkloadError`` says what is wrong."""
    try:
        check_task_programs(init, step)
        if predict is not None:
            check_program(predict)
    except ProgramError as error:
        raise WorkloadError(f"The program breaks the rules: {error}") from error
    for program, values in ((init, init_constants), (step, constants)):
        _check_constants(program, values)
    if predict is not None and predict_steps:
        _check_constants(predict, predict_constants)
    return Workload(
        step,
        init,
        commit_program(step, program_work(step)),
        commit_program(init, program_work(init)),
        tuple(constants),
        tuple(init_constants),
        predict,
        tuple(predict_constants),
        predict_steps,
    )


def captured_workload(task: CapturedTask) -> Workload:
    """Workload of a captured model, evaluation included; errors as for ``make_workload``."""
    return make_workload(
        task.init,
        task.step,
        task.constants,
        task.constants,
        task.evaluate,
        task.evaluation_constants,
        task.evaluation_steps,
    )


def _check_constants(program: Program, values: Sequence[np.ndarray]) -> None:
    if len(values) != len(program.constants):
        raise WorkloadError(f"The program has {len(program.constants)} constants, and {len(values)} were given.")
    for index, (entry, value) in enumerate(zip(program.constants, values, strict=True)):
        if tensor_root(value, entry.dtype, entry.shape) != entry.root:
            raise WorkloadError(f"Constant {index} does not have the root that the program names.")


def stacked(workload: Workload, start: str) -> Workload:
    """The same work from another start: ``start`` is the artifact of a settled task's last checkpoint."""
    return replace(workload, init=None, init_commitment=None, init_constants=(), start=start)


def read_start(store: ArtifactStore, workload: Workload, terms: TaskTerms) -> list[Tensor]:
    """The state a stacked task starts from, held to the root on chain.

    Raises:
        WorkloadError: it is missing, damaged, or not that root's

    """
    assert workload.start is not None, "Only a stacked task starts from a checkpoint."
    try:
        data = store.get_buffer(workload.start, workload.checkpoint_limit)
        return parse_checkpoint(data, workload.step, terms.init_program)
    except (StorageError, EngineError) as error:
        raise WorkloadError(f"The checkpoint that the task starts from cannot be had: {error}") from error


def publish(store: ArtifactStore, workload: Workload, title: str = "") -> str:
    """Put a workload's artifacts into the store; the manifest's name is the task's URI."""
    names = workload.step.names
    return put_manifest(
        store,
        TaskManifest(
            title=title[:200],
            step=store.put(workload.step_commitment.file_bytes()),
            init=None if workload.init_commitment is None else store.put(workload.init_commitment.file_bytes()),
            start=workload.start,
            constants=_put_constants(store, workload.constants),
            init_constants=_put_constants(store, workload.init_constants),
            state_names=[name[:200] for name in names.state],
            metric_names=[name[:200] for name in names.metrics],
            predict=store.put(commit_program(workload.predict, program_work(workload.predict)).file_bytes())
            if workload.predict
            else None,
            predict_constants=_put_constants(store, workload.predict_constants),
            predict_steps=workload.predict_steps,
            native=None
            if workload.native is None
            else store.put(commit_program(workload.native, program_work(workload.native)).file_bytes()),
            tolerance=None if workload.tolerance is None else ToleranceTerms(**asdict(workload.tolerance)),
        ),
    )


def _put_constants(store: ArtifactStore, values: Sequence[np.ndarray]) -> list[str]:
    return [store.put(save({"data": np.ascontiguousarray(value)})) for value in values]


def load_workload(store: ArtifactStore, terms: TaskTerms, uri: str, memory_limit: int | None = None) -> Workload:
    """A task's workload from the store, held to the terms that stand on chain.

    Raises:
        WorkloadError: an artifact is missing, damaged, oversized, not what the chain names, or breaks the rules

    """
    try:
        manifest = get_manifest(store, uri, TaskManifest)
        step, step_commitment = load_program(store, manifest.step, terms.step_program, "step")
        step = _named(step, manifest)
        if TaskOptions.unpack(terms.options).parent:
            return _load_stacked(store, terms, manifest, step, step_commitment, memory_limit)
        if manifest.init is None:
            raise WorkloadError("The task's manifest names no init program.")
        init, init_commitment = load_program(store, manifest.init, terms.init_program, "init")
        check_task_programs(init, step, init_commitment.header, step_commitment.header)
        if (step_commitment.work, init_commitment.work) != (terms.step_work, terms.init_work):
            raise WorkloadError("The work that the task states is not the work of its programs.")
        for program in (init, step):
            check_memory(program, memory_limit)
        budget = CONSTANTS_LIMIT
        constants = load_constants(store, manifest.constants, step, budget)
        budget -= sum(value.nbytes for value in constants)
        init_constants = load_constants(store, manifest.init_constants, init, budget)
    except (StorageError, EncodingError, ProgramError, EngineError) as error:
        raise WorkloadError(str(error)) from error
    native = _load_native(store, manifest, step)
    return Workload(step, init, step_commitment, init_commitment, constants, init_constants, **native)


def _load_native(store: ArtifactStore, manifest: TaskManifest, step: Program) -> dict[str, Any]:
    """What the submitter says a solver trains by; nothing where that is no program, or not of this state."""
    if manifest.native is None or manifest.tolerance is None:
        return {}
    try:
        native, header = decode_program(store.get(manifest.native, PROGRAM_LIMIT))
        check_program(native, header)
        tolerance = Tolerance(**manifest.tolerance.model_dump())
    except (StorageError, EncodingError, ProgramError):
        return {}
    if tolerant_state(native, tolerance.runs) != step.state:
        return {}
    names = Names(step.names.state[: len(native.state)], metrics=step.names.metrics[: len(native.metrics)])
    return {"native": replace(native, names=names), "tolerance": tolerance}


def _load_stacked(
    store: ArtifactStore,
    terms: TaskTerms,
    manifest: TaskManifest,
    step: Program,
    commitment: ProgramCommitment,
    memory_limit: int | None,
) -> Workload:
    """The rest of ``load_workload`` for a task that starts from another's end; what it starts from is read later."""
    if manifest.start is None:
        raise WorkloadError("The task's manifest names no checkpoint to start from.")
    check_program(step, commitment.header)
    if commitment.work != terms.step_work:
        raise WorkloadError("The work that the task states is not the work of its programs.")
    check_memory(step, memory_limit)
    constants = load_constants(store, manifest.constants, step)
    return Workload(
        step, None, commitment, None, constants, (), start=manifest.start, **_load_native(store, manifest, step)
    )


def find_fault(store: ArtifactStore, terms: TaskTerms, uri: str) -> Iterator[tuple[bytes, ProgramFault]]:
    """Accusations of a task's programs, each with the program's hash; none where nothing can be shown.

    Raises:
        WorkloadError: the programs cannot be had

    """
    try:
        manifest = get_manifest(store, uri, TaskManifest)
        programs = [(manifest.step, terms.step_program, False)]
        if manifest.init is not None and not TaskOptions.unpack(terms.options).parent:
            programs.insert(0, (manifest.init, terms.init_program, True))
        for name, program_hash, init in programs:
            suspect = Suspect(store.get(name, PROGRAM_LIMIT), program_hash, init=init)
            for fault in suspect.faults():
                yield program_hash, fault
    except (StorageError, EncodingError) as error:
        raise WorkloadError(str(error)) from error


def _named(step: Program, manifest: TaskManifest) -> Program:
    """The program with the manifest's names, where their numbers fit."""
    if len(manifest.state_names) != len(step.state) or len(manifest.metric_names) != len(step.metrics):
        return step
    names = Names(state=tuple(manifest.state_names), metrics=tuple(manifest.metric_names))
    return Program(step.nodes, step.state, step.constants, step.metrics, names)


def load_program(store: ArtifactStore, name: str, program_hash: bytes, what: str) -> tuple[Program, ProgramCommitment]:
    """A program file, held to the hash on chain.

    Raises:
        WorkloadError: it is another program
        StorageError, EncodingError: it is missing, damaged, or no program

    """
    program, header = decode_program(store.get(name, PROGRAM_LIMIT))
    commitment = commit_program(program, int.from_bytes(header[-8:], "big"))
    if commitment.hash != program_hash:
        raise WorkloadError(f"The {what} program in the store is not the one the task names on chain.")
    return program, commitment


def load_constants(
    store: ArtifactStore, artifacts: Sequence[str], program: Program, budget: int = CONSTANTS_LIMIT
) -> tuple[np.ndarray, ...]:
    """A program's constants, each held to its root, of at most ``budget`` bytes in all.

    Raises:
        WorkloadError: they are too many, too large, or not what the program names
        StorageError: one is missing or damaged

    """
    if sum(entry.type.elements * ITEMSIZE[entry.dtype] for entry in program.constants) > budget:
        raise WorkloadError(f"The task's constants take more than {CONSTANTS_LIMIT >> 30} GiB.")
    if len(artifacts) != len(program.constants):
        raise WorkloadError(f"The manifest lists {len(artifacts)} constants; the program has {len(program.constants)}.")
    return tuple(load_constant(store, name, entry) for name, entry in zip(artifacts, program.constants, strict=True))


def load_constant(store: ArtifactStore, name: str, entry: ConstantEntry) -> np.ndarray:
    """One constant, held to its root; raises as ``load_constants``."""
    size = entry.type.elements * ITEMSIZE[entry.dtype]
    data = store.get(name, size + SAFETENSORS_OVERHEAD)
    try:
        tensors = load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise WorkloadError(f"Constant {name} is not a safetensors file: {error}.") from None
    if set(tensors) != {"data"}:
        raise WorkloadError(f"Constant {name} holds other tensors than one called data.")
    array: np.ndarray = tensors["data"]
    if array.dtype != NUMPY[entry.dtype] or array.shape != entry.shape:
        raise WorkloadError(
            f"Constant {name} is {array.dtype}{array.shape}; the program says {entry.dtype.name}{entry.shape}."
        )
    if tensor_root(array, entry.dtype) != entry.root:
        raise WorkloadError(f"Constant {name} does not have the root that the program names.")
    return array
