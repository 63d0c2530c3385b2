"""What a trained state is worth by its submitter's own measure: test loss and accuracy, in the same exact arithmetic.

The measuring program is for people and outside every commitment; it is checked like every stranger's all the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from lockstep.agents.workload import PROGRAM_LIMIT, Workload, WorkloadError, load_constants
from lockstep.chain.types import TaskTerms
from lockstep.engine.errors import EngineError
from lockstep.engine.run import Runner
from lockstep.engine.segment import mean_metrics
from lockstep.program.encoding import EncodingError, decode_program
from lockstep.program.spec import ProgramError, check_program
from lockstep.storage.manifest import TaskManifest, get_manifest
from lockstep.storage.store import ArtifactStore, StorageError


def measure(
    store: ArtifactStore,
    terms: TaskTerms,
    uri: str,
    workload: Workload,
    state: Sequence[Tensor],
    memory_limit: int | None = None,
) -> dict[str, float]:
    """Metrics of a state by name, on the submitter's evaluation data; none where the task came without any.

    Raises:
        WorkloadError: the measuring program or its data are missing, damaged, or break the rules

    """
    try:
        manifest = get_manifest(store, uri, TaskManifest)
        if manifest.predict is None or not manifest.predict_steps:
            return {}
        program, header = decode_program(store.get(manifest.predict, PROGRAM_LIMIT))
        check_program(program, header)
        if program.state != workload.step.state[: workload.own_state]:
            raise WorkloadError("The task's measuring program is for another state than the one that was trained.")
        constants = load_constants(store, manifest.predict_constants, program)
        runner = Runner(program, constants, terms.seed, memory_limit=memory_limit)
        means = mean_metrics(runner, state[: workload.own_state], manifest.predict_steps)
    except (StorageError, EncodingError, ProgramError, EngineError) as error:
        raise WorkloadError(f"The state cannot be measured: {error}") from error
    names = (workload.native or workload.step).names.metrics
    if len(names) != len(program.metrics):
        names = tuple(f"metric {index}" for index in range(len(program.metrics)))
    return dict(zip(names, means, strict=True))
