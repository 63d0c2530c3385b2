"""Manifests: small JSON documents that say which artifacts make up a task, and a solver's work.

They come from strangers: parsed by pydantic, bounded in size, unknown fields refused.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from lockstep.storage.store import ArtifactStore, StorageError

MANIFEST_LIMIT = 16 << 20
"""Largest manifest read, bytes."""

ArtifactName = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Root = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Label = Annotated[str, StringConstraints(max_length=200)]


class Manifest(BaseModel):
    """A manifest: unknown fields are refused, nothing is coerced."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ToleranceTerms(BaseModel):
    """How near to an exact replay the solver's checkpoints must be; fields as in ``lockstep.program.tolerance``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    runs: Annotated[int, Field(ge=1, le=64)]
    bits: Annotated[int, Field(ge=2, le=16)]
    multiple: Annotated[float, Field(ge=1, le=1000)]
    share: Annotated[float, Field(gt=0, le=0.5)]


class TaskManifest(Manifest):
    """What a submitter publishes: programs as files, and every constant as one safetensors file.

    ``init`` is the init program's file; a stacked task has none, but in ``start`` the checkpoint it starts from.
    Names and ``predict`` are for people and outside every commitment. ``predict`` measures a state on data of its own:
    its metrics averaged over the steps 0 to ``predict_steps - 1``. In tolerance mode ``native`` is the file of the step
    program that ``step`` was made from, and that a solver trains by.
    """

    kind: Literal["lockstep/task/1"] = "lockstep/task/1"
    title: Label = ""
    step: ArtifactName
    init: ArtifactName | None = None
    start: ArtifactName | None = None
    constants: Annotated[list[ArtifactName], Field(max_length=4096)]
    init_constants: Annotated[list[ArtifactName], Field(max_length=4096)] = []
    state_names: Annotated[list[Label], Field(max_length=4096)] = []
    metric_names: Annotated[list[Label], Field(max_length=64)] = []
    predict: ArtifactName | None = None
    predict_constants: Annotated[list[ArtifactName], Field(max_length=4096)] = []
    predict_steps: Annotated[int, Field(ge=0, le=1 << 20)] = 0
    native: ArtifactName | None = None
    tolerance: ToleranceTerms | None = None


class WorkManifest(Manifest):
    """What a solver publishes with its commitment: checkpoint roots C_0 .. C_S and their files, in order."""

    kind: Literal["lockstep/work/1"] = "lockstep/work/1"
    roots: Annotated[list[Root], Field(min_length=1, max_length=1 << 20)]
    checkpoints: Annotated[list[ArtifactName], Field(min_length=1, max_length=1 << 20)]


M = TypeVar("M", bound=Manifest)


def put_manifest(store: ArtifactStore, manifest: Manifest) -> str:
    """Store a manifest, and return its name."""
    return store.put(manifest.model_dump_json().encode())


def get_manifest(store: ArtifactStore, name: str, model: type[M]) -> M:
    """Manifest of the wanted kind from the store; ``StorageError`` when it is missing or not one."""
    data = store.get(name, MANIFEST_LIMIT)
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "document"
        raise StorageError(f"Artifact {name} is not a valid {model.__name__}: {where}: {first['msg']}.") from None
