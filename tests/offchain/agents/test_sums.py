"""Published sums: what a verifier makes of right ones, false ones, and of none."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lockstep.agents import replica as replicas
from lockstep.agents.replica import Replica, Workbench
from lockstep.agents.sums import KIND, SumsCheck, SumsManifest, find_sums, publish_sums, sums_key
from lockstep.cli.demo.stage import job
from lockstep.engine.checkpoint import state_root
from lockstep.engine.freivalds import CheckedRunner
from lockstep.engine.sums import carried_nodes, parse_sums, sums_bytes
from lockstep.storage.manifest import WorkManifest, put_manifest
from lockstep.storage.store import ArtifactStore

STEPS = 3
KEY = sums_key(bytes(32), bytes([1]) * 32)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Workbench:
    monkeypatch.setattr(replicas, "carried_nodes", lambda program: carried_nodes(program, 0))
    return Workbench(job("mlp").workload, seed=11)


@pytest.fixture
def start(bench: Workbench) -> list[Tensor]:
    return Replica(bench, 0, [], 0, 1).run()


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(str(tmp_path))


@pytest.fixture
def names(bench: Workbench, start: list[Tensor], store: ArtifactStore) -> list[str]:
    """Honest sums, published; their artifacts."""
    size = publish_sums(store, Replica(bench, 1, start, 4, STEPS), KEY)
    assert size == sums_bytes(bench.workload.step, bench.carried)
    name = store.get_ref(KIND, KEY)
    assert name is not None
    return SumsManifest.model_validate_json(store.get(name)).steps


def count_checked(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Global steps that the checked runner finishes from now on."""
    done: list[int] = []
    step = CheckedRunner.step

    def counted(self: CheckedRunner, state: Any, number: int, *arguments: Any) -> Any:
        found = step(self, state, number, *arguments)
        done.append(number)
        return found

    monkeypatch.setattr(CheckedRunner, "step", counted)
    return done


def replay(
    store: ArtifactStore, bench: Workbench, start: Sequence[Tensor], names: Sequence[str] | None = None
) -> tuple[bytes, list[str]]:
    """End root of a replay by published sums, and what was said."""
    said: list[str] = []
    if names is not None:
        store.set_ref(KIND, KEY, put_manifest(store, SumsManifest(steps=list(names))))
    sums = find_sums(store, bench, KEY, STEPS, "segment 1 of task 0", said.append)
    replica = Replica(bench, 1, start, 4, STEPS, shortcut=sums.advance if sums else None)
    return state_root(replica.run()), said


def test_replay_by_right_sums_ends_as_a_full_one(
    bench: Workbench, start: list[Tensor], store: ArtifactStore, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = count_checked(bench, monkeypatch)
    assert replay(store, bench, start) == (state_root(Replica(bench, 1, start, 4, STEPS).run()), [])
    assert done == [4, 5, 6]


def test_false_sums_are_named_and_replayed_without(
    bench: Workbench, start: list[Tensor], store: ArtifactStore, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = count_checked(bench, monkeypatch)
    data = bytearray(store.get(names[1]))
    node = bench.carried[3]
    false = parse_sums(memoryview(data), bench.workload.step, bench.carried)[3]
    false[1, 2] += 1
    changed = [names[0], store.put(bytes(data)), names[2]]
    end, said = replay(store, bench, start, changed)
    assert end == state_root(Replica(bench, 1, start, 4, STEPS).run())
    assert done == [4]
    assert len(said) == 1
    assert "segment 1 of task 0, step 5" in said[0]
    assert f"node {node} (matmul f32[" in said[0]


def test_a_step_of_a_wrong_rounding_does_not_end_where_right_sums_lead(
    bench: Workbench, start: list[Tensor], store: ArtifactStore, names: list[str]
) -> None:
    upwards = {bench.carried[-1]: lambda gradient: torch.nextafter(gradient, torch.tensor(torch.inf))}
    lie = state_root(Replica(bench, 1, start, 4, STEPS, {STEPS - 1: upwards}).run())
    end, said = replay(store, bench, start)
    assert end != lie
    assert not said


@pytest.mark.parametrize("what", ["gone", "longer", "not the file of its name", "of another layout"])
def test_what_is_no_file_of_sums_is_refused_and_replayed_without(
    bench: Workbench, start: list[Tensor], store: ArtifactStore, names: list[str], what: str
) -> None:
    honest = store.get(names[0])
    path = Path(store._path(names[0]))
    match what:
        case "gone":
            path.unlink()
        case "longer":
            names[0] = store.put(honest + b"\0")
        case "not the file of its name":
            path.write_bytes(honest[:-1] + bytes([honest[-1] ^ 1]))
        case _:
            names[0] = store.put(b"\xff" * len(honest))
    end, said = replay(store, bench, start, names)
    assert end == state_root(Replica(bench, 1, start, 4, STEPS).run())
    assert len(said) == 1


def test_manifests_that_do_not_fit_are_refused(bench: Workbench, store: ArtifactStore, names: list[str]) -> None:
    said: list[str] = []

    def found(name: str | None = None) -> SumsCheck | None:
        if name is not None:
            store.set_ref(KIND, KEY, name)
        return find_sums(store, bench, KEY, STEPS, "it", said.append)

    assert found() is not None
    assert found(put_manifest(store, SumsManifest(steps=names[:2]))) is None
    assert found(put_manifest(store, WorkManifest(roots=["0" * 64], checkpoints=names[:1]))) is None
    assert found(names[0]) is None
    assert len(said) == 3
    assert find_sums(store, bench, bytes(32), STEPS, "it", said.append) is None
    assert len(said) == 3  # none published is no reproach


def test_residues_depend_on_the_file_and_on_fresh_randomness(
    bench: Workbench, start: list[Tensor], store: ArtifactStore, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    step = CheckedRunner.step

    def noted(self: CheckedRunner, state: Any, number: int, sums: Any, entropy: bytes) -> Any:
        seen.append(entropy)
        return step(self, state, number, sums, entropy)

    monkeypatch.setattr(CheckedRunner, "step", noted)
    for _ in range(2):
        replay(store, bench, start)
    files = [hashlib.sha256(store.get(name)).digest() for name in names]
    assert [entropy[:32] for entropy in seen] == files * 2
    assert {len(entropy) for entropy in seen} == {64}
    assert len({entropy[32:] for entropy in seen}) == 2 * STEPS


def test_programs_of_small_contractions_alone_have_no_sums() -> None:
    bench = Workbench(job("mlp").workload, seed=11)
    assert bench.carried == ()
