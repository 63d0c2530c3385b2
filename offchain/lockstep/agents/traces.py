"""Published traces in the artifact store: everything a segment's run computed, for convictions in one transaction.

A trace is a manifest of two artifacts a step: node roots (32 bytes each) and the bytes of every node's tensor. It is
found by the trace root that stands in the claim, and checked against it; sizes follow from the program.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from lockstep.agents.replica import Replica
from lockstep.dispute.evidence import Evidence
from lockstep.dispute.one_shot import TraceMismatchError
from lockstep.engine.trace import TraceReader, TraceWriter
from lockstep.storage.manifest import ArtifactName, Manifest, get_manifest, put_manifest
from lockstep.storage.store import ArtifactStore

KIND = "trace"


class TraceManifest(Manifest):
    """The artifacts of a trace, a step each."""

    kind: Literal["lockstep/trace/1"] = "lockstep/trace/1"
    roots: Annotated[list[ArtifactName], Field(min_length=1, max_length=64)]
    data: Annotated[list[ArtifactName], Field(min_length=1, max_length=64)]


def publish_trace(store: ArtifactStore, replica: Replica) -> bytes:
    """Write the trace of a run into the store; its root, 32 bytes."""
    roots: list[str] = []
    data: list[str] = []
    with tempfile.TemporaryDirectory(prefix="lockstep-trace-") as folder:
        writer = TraceWriter(folder)
        for step in range(replica.steps):
            writer.add(replica.opening(step))
            stem = Path(folder) / f"step-{step:05d}"
            for files, suffix in ((roots, ".roots"), (data, ".data")):
                file = stem.with_suffix(suffix)
                files.append(store.put_file(file))
                file.unlink()
        root = writer.root
    store.set_ref(KIND, root, put_manifest(store, TraceManifest(roots=roots, data=data)))
    return root


@contextmanager
def open_trace(store: ArtifactStore, root: bytes, evidence: Evidence) -> Iterator[TraceReader]:
    """A stranger's trace of the segment that ``evidence`` is about, brought here while the block runs.

    Raises:
        TraceMismatchError: nothing fitting was published under this root
        StorageError: an artifact is missing, too large or damaged

    """
    name = store.get_ref(KIND, root)
    if name is None:
        raise TraceMismatchError("nothing is published under this trace root")
    manifest = get_manifest(store, name, TraceManifest)
    if len(manifest.roots) != evidence.steps or len(manifest.data) != evidence.steps:
        raise TraceMismatchError("the published trace has another number of steps than the segment")
    with tempfile.TemporaryDirectory(prefix="lockstep-trace-") as folder:
        reader = TraceReader(folder, evidence.program(0))
        for step in range(evidence.steps):
            stem = Path(folder) / f"step-{step:05d}"
            limits = {".roots": 32 * len(reader.program.nodes), ".data": reader.offsets[-1]}
            for names, suffix in ((manifest.roots, ".roots"), (manifest.data, ".data")):
                store.get_file(names[step], stem.with_suffix(suffix), limits[suffix])
        yield reader
