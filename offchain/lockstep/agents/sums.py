"""Published sums in the artifact store: a segment's contractions done once by the solver, checked by whoever replays.

The sums of a segment are a manifest of one file a step. It is found by the segment's two checkpoint roots, and is a
hint: believed only as far as the check of ``lockstep.engine.freivalds`` goes, so anybody may publish anything.
"""

from __future__ import annotations

import hashlib
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from lockstep.agents.base import Narrate
from lockstep.agents.replica import Replica, Workbench
from lockstep.engine.errors import EngineError
from lockstep.engine.sums import parse_sums, sums_bytes, write_sums
from lockstep.storage.manifest import ArtifactName, Manifest, get_manifest, put_manifest
from lockstep.storage.store import ArtifactStore, StorageError

KIND = "sums"


class SumsManifest(Manifest):
    """The files of a segment's sums, a step each."""

    kind: Literal["lockstep/sums/1"] = "lockstep/sums/1"
    steps: Annotated[list[ArtifactName], Field(min_length=1, max_length=64)]


def sums_key(start_root: bytes, end_root: bytes) -> bytes:
    """What the sums of the segment between two checkpoints are found by, 32 bytes."""
    return hashlib.sha256(b"lockstep/sums/1" + start_root + end_root).digest()


def publish_sums(store: ArtifactStore, replica: Replica, key: bytes) -> int:
    """Write the sums of a run of the step program into the store; bytes of a step's file."""
    bench, names = replica.bench, []
    program, carried = bench.workload.step, bench.carried
    with tempfile.TemporaryDirectory(prefix="lockstep-sums-") as folder:
        for step in range(replica.steps):
            file = Path(folder) / f"step-{step:05d}"
            sums = bench.summing.run(replica.state_after(step - 1), replica.first_step + step)
            write_sums(file, program, carried, sums)
            names.append(store.put_file(file))
            file.unlink()
    store.set_ref(KIND, key, put_manifest(store, SumsManifest(steps=names)))
    return sums_bytes(program, carried)


class SumsCheck:
    """A segment's published sums as a replica's shortcut: step by step, until something is wrong with them.

    Whatever is wrong is narrated once, and every step from there on is replayed in full: false sums prove nothing
    against the work, so the claim is made as if there had been none.
    """

    def __init__(
        self, store: ArtifactStore, bench: Workbench, names: Sequence[str], what: str, narrate: Narrate
    ) -> None:
        self.store = store
        self.bench = bench
        self.names = list(names)
        self.what = what
        self.narrate = narrate
        self.usable = True

    def advance(self, state: Sequence[Tensor], step: int, global_step: int) -> tuple[list[Tensor], list[float]] | None:
        """State and metrics after a step of the segment; None where it has to be replayed in full."""
        if not self.usable:
            return None
        program, carried, name = self.bench.workload.step, self.bench.carried, self.names[step]
        try:
            data = self.store.get(name, sums_bytes(program, carried))
            sums = parse_sums(data, program, carried)
            # The file is here and fixed by its hash; only now are the residues drawn that it will be checked with.
            entropy = bytes.fromhex(name.removeprefix("sha256:")) + secrets.token_bytes(32)
            return self.bench.checked_runner.step(state, global_step, sums, entropy)
        except (StorageError, EngineError) as error:
            self.usable = False
            self.narrate(f"cannot use the sums published for {self.what}, step {global_step}, and replays it: {error}")
            return None


def find_sums(
    store: ArtifactStore, bench: Workbench, key: bytes, steps: int, what: str, narrate: Narrate
) -> SumsCheck | None:
    """The sums published for a segment of ``steps`` steps; None where there are none that fit."""
    name = store.get_ref(KIND, key)
    if name is None or not bench.carried:
        return None
    try:
        manifest = get_manifest(store, name, SumsManifest)
    except StorageError as error:
        narrate(f"cannot use the sums published for {what}: {error}")
        return None
    if len(manifest.steps) != steps:
        narrate(f"cannot use the sums published for {what}: they are of {len(manifest.steps)} steps, not {steps}")
        return None
    return SumsCheck(store, bench, manifest.steps, what, narrate)
