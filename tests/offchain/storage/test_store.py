"""The artifact store holds what its names promise, and takes nothing on trust."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.storage.manifest import TaskManifest, WorkManifest, get_manifest, put_manifest
from lockstep.storage.store import ArtifactStore, StorageError, artifact_name


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(str(tmp_path / "store"))


def stored_file(store: ArtifactStore, name: str) -> Path:
    digest = name.removeprefix("sha256:")
    return Path(store.url) / "sha256" / digest[:2] / digest[2:]


@given(st.binary(max_size=4096))
def test_put_then_get_returns_the_same_bytes(data: bytes) -> None:
    store = ArtifactStore("memory://property")
    name = store.put(data)
    assert name == "sha256:" + hashlib.sha256(data).hexdigest()
    assert store.get(name) == data
    assert store.put(data) == name


def test_get_damaged_artifact_is_refused(store: ArtifactStore) -> None:
    name = store.put(b"weights")
    stored_file(store, name).write_bytes(b"w3ights")
    with pytest.raises(StorageError, match="damaged"):
        store.get(name)


def test_get_oversized_artifact_is_refused_before_reading(store: ArtifactStore) -> None:
    name = store.put(b"x" * 1000)
    with pytest.raises(StorageError, match="1000 bytes; at most 999"):
        store.get(name, limit=999)


def test_get_missing_artifact_says_where_to_look(store: ArtifactStore) -> None:
    with pytest.raises(StorageError, match="--store"):
        store.get(artifact_name(b"nobody stored this"))


@pytest.mark.parametrize("name", ["../../etc/passwd", "sha256:../x", "sha256:" + "g" * 64, "sha256:" + "a" * 63, ""])
def test_get_hostile_name_is_refused(store: ArtifactStore, name: str) -> None:
    with pytest.raises(StorageError, match="not an artifact's name"):
        store.get(name)


def test_large_artifacts_pass_block_by_block(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockstep.storage.store.BLOCK", 1000)
    data = bytes(range(256)) * 20
    (tmp_path / "file").write_bytes(data)
    name = store.put_parts([data[:7], memoryview(data)[7:3000], b"", data[3000:]])
    assert name == store.put_file(tmp_path / "file") == artifact_name(data)
    buffer = store.get_buffer(name, len(data))
    assert buffer == data
    buffer[0] = 9  # the caller's own
    store.get_file(name, tmp_path / "out", len(data))
    assert (tmp_path / "out").read_bytes() == store.get(name) == data
    (tmp_path / "file").write_bytes(b"")
    assert store.put_file(tmp_path / "file") == artifact_name(b"")


@pytest.mark.parametrize("wrong", [b"x" * 999, b"x" * 1001, b"x" * 999 + b"y"], ids=["short", "long", "other"])
def test_artifact_that_is_not_what_it_says_leaves_no_file(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: bytes
) -> None:
    """Its size is what the file system says; a file that grows or shrinks meanwhile is not read to its end."""
    name = store.put(b"x" * 1000)
    stored_file(store, name).write_bytes(wrong)
    monkeypatch.setattr(store._fs, "size", lambda path: 1000)
    for take in (store.get, store.get_buffer, lambda name: store.get_file(name, tmp_path / "out")):
        with pytest.raises(StorageError, match="damaged"):
            take(name)
    with pytest.raises(StorageError, match="1000 bytes; at most 999"):
        store.get_file(name, tmp_path / "out", 999)
    assert not (tmp_path / "out").exists()


def test_refs_point_at_artifacts_only(store: ArtifactStore) -> None:
    name = store.put(b"trace")
    store.set_ref("trace", b"\x01" * 32, name)
    assert store.get_ref("trace", b"\x01" * 32) == name
    assert store.get_ref("trace", b"\x02" * 32) is None
    with pytest.raises(StorageError):
        store.set_ref("trace", b"\x01" * 32, "https://example.org/evil")
    with pytest.raises(StorageError):
        store.set_ref("../trace", b"\x01" * 32, name)


def test_ref_with_foreign_content_is_ignored(store: ArtifactStore) -> None:
    store.set_ref("trace", b"\x01" * 32, store.put(b"trace"))
    path = Path(store.url) / "refs" / "trace" / ("01" * 32)
    path.write_bytes(b"\xff" * 100)
    assert store.get_ref("trace", b"\x01" * 32) is None
    path.write_bytes(b"a" * 10_000)
    assert store.get_ref("trace", b"\x01" * 32) is None


@pytest.mark.parametrize("call", ["writev", "open"])
def test_interrupted_write_leaves_no_artifact(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def fail(*arguments: object, **options: object) -> int:
        raise OSError("disk full")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(StorageError, match="disk full"):
        store.put(b"half")
    monkeypatch.undo()
    assert not store.has(artifact_name(b"half"))
    assert not [path for path in Path(store.url).rglob("*") if path.is_file()]


def test_interrupted_write_to_another_file_system_leaves_no_artifact(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError("disk full")

    store = ArtifactStore("memory://interrupted")
    monkeypatch.setattr(store._fs, "mv", fail)
    with pytest.raises(StorageError, match="disk full"):
        store.put(b"half")
    monkeypatch.undo()
    assert not store.has(artifact_name(b"half"))


def test_artifact_of_many_parts_is_whole_however_little_the_system_writes_at_once(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: list[bytes | memoryview] = [bytes([i % 256]) * (i % 5) for i in range(3_000)]
    whole, write = b"".join(parts), os.writev
    calls: list[int] = []

    def writes_little(file: int, buffers: list[memoryview]) -> int:
        calls.append(len(buffers))
        first = b"".join(buffers)[: 1 + 7 * len(calls)]
        return write(file, [first])

    monkeypatch.setattr(os, "writev", writes_little)
    name = store.put_hashed(hashlib.sha256(whole).digest(), parts)
    assert max(calls) == 1024 < len(parts)
    assert store.get(name) == whole
    assert name == artifact_name(whole)


def test_artifact_put_under_a_wrong_digest_cannot_be_read(store: ArtifactStore) -> None:
    name = store.put_hashed(bytes(32), [b"weights"])
    with pytest.raises(StorageError, match="damaged"):
        store.get(name)


def test_manifest_round_trip(store: ArtifactStore) -> None:
    manifest = WorkManifest(roots=["ab" * 32], checkpoints=[store.put(b"c")])
    assert get_manifest(store, put_manifest(store, manifest), WorkManifest) == manifest


@pytest.mark.parametrize(
    "document",
    [
        b"not json",
        b"[]",
        b"{}",
        b'{"kind":"lockstep/work/1","roots":[],"checkpoints":[]}',
        b'{"kind":"lockstep/task/1","step":"sha256:x","init":"sha256:x","constants":[]}',
        b'{"kind":"lockstep/work/1","roots":["' + b"ab" * 32 + b'"],"checkpoints":["file:///etc/passwd"]}',
        b'{"kind":"lockstep/work/1","roots":["'
        + b"ab" * 32
        + b'"],"checkpoints":["sha256:'
        + b"ab" * 32
        + b'"],"more":1}',
        b"[" * 100_000,
    ],
)
@pytest.mark.parametrize("model", [TaskManifest, WorkManifest])
def test_hostile_manifest_is_refused_with_a_sentence(
    store: ArtifactStore, document: bytes, model: type[TaskManifest | WorkManifest]
) -> None:
    with pytest.raises(StorageError, match="not a valid"):
        get_manifest(store, store.put(document), model)
