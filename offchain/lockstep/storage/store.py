"""A content-addressed store of artifacts behind fsspec.

What is stored is named by the SHA-256 of its bytes, so whoever holds a name can check what it is given. A name is
written ``sha256:<64 hex digits>``. Small pointers (``refs``) map a hash that stands on chain, such as a trace root, to
an artifact; they are hints, and what they point at is checked against the hash itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import mmap
import os
import re
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

_NAME = re.compile(r"sha256:([0-9a-f]{64})")
DEFAULT_LIMIT = 1 << 30
"""Largest artifact read unless the caller says otherwise, bytes."""
BLOCK = 1 << 22
"""Bytes of a large artifact that are read, hashed and passed on at a time."""
SPARE = 64
"""Bytes behind an artifact in memory that vector code may read, never use."""

_TOGETHER = 1024
"""Parts that one call writes, as every system allows."""

Part = bytes | memoryview
"""Bytes, or a view of bytes."""


class StorageError(RuntimeError):
    """An artifact that is missing, too large, damaged or wrongly named; the message says which and what to do."""


def artifact_name(data: bytes | memoryview) -> str:
    """Name of an artifact: ``sha256:`` and 64 hex digits."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def is_artifact_name(name: str) -> bool:
    """Whether a string is an artifact's name."""
    return _NAME.fullmatch(name) is not None


def write_parts(path: Path, parts: Sequence[Part]) -> None:
    """Write a new file with as few calls as can be, and its folder where that is missing; no file where it fails."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        left = deque(memoryview(part) for part in parts if len(part))
        while left:
            done = os.writev(file, list(itertools.islice(left, _TOGETHER)))  # the system may take less
            while left and done >= len(left[0]):
                done -= len(left.popleft())
            if done:
                left[0] = left[0][done:]
    except BaseException:
        path.unlink()
        raise
    finally:
        os.close(file)


class ArtifactStore:
    """Artifacts under one fsspec URL (a folder, ``file://``, ``s3://``, ``memory://``).

    Writing is atomic and idempotent: a reader sees a whole artifact or none. Reading checks the size before it
    allocates and the hash before it returns.
    """

    def __init__(self, url: str) -> None:
        """Open, or make, a store at ``url``."""
        self.url = url
        try:
            self._fs, root = url_to_fs(url)
            self._fs.makedirs(root, exist_ok=True)
        except (ValueError, ImportError, OSError) as error:
            raise StorageError(
                f"The artifact store {url!r} cannot be opened: {error}. Pass a folder or an fsspec URL."
            ) from error
        self._root = root.rstrip("/")

    def _path(self, name: str) -> str:
        match = _NAME.fullmatch(name)
        if match is None:
            raise StorageError(f"{name!r} is not an artifact's name; names look like sha256:<64 hex digits>.")
        digest = match.group(1)
        return f"{self._root}/sha256/{digest[:2]}/{digest[2:]}"

    def _write(self, path: str, parts: Sequence[Part]) -> None:
        partial = f"{path}.{uuid.uuid4().hex}.partial"
        try:
            if isinstance(self._fs, LocalFileSystem):
                write_parts(Path(partial), parts)
                Path(partial).replace(path)
                return
            self._fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
            with self._fs.open(partial, "wb") as file:
                for part in parts:
                    file.write(part)
            self._fs.mv(partial, path)
        except OSError as error:
            raise StorageError(f"The artifact store {self.url!r} cannot be written: {error}.") from error

    def put(self, data: Part) -> str:
        """Store bytes, and return their name; a second time does nothing."""
        return self.put_parts([data])

    def put_parts(self, parts: Sequence[Part]) -> str:
        """As ``put``, of what the parts are joined, which nobody has to hold."""
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        return self.put_hashed(digest.digest(), parts)

    def put_hashed(self, digest: bytes, parts: Sequence[Part]) -> str:
        """As ``put_parts``, of parts whose SHA-256 is known; under another digest, nobody can read them."""
        name = f"sha256:{digest.hex()}"
        path = self._path(name)
        if not self._fs.exists(path):
            self._write(path, parts)
        return name

    def put_file(self, file: Path) -> str:
        """Store a file's bytes, which are mapped, not read into memory; return their name."""
        if not file.stat().st_size:
            return self.put(b"")
        with (
            file.open("rb") as opened,
            mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data,
            memoryview(data) as whole,
        ):
            return self.put(whole)

    def has(self, name: str) -> bool:
        """Whether an artifact is here."""
        return bool(self._fs.exists(self._path(name)))

    @contextlib.contextmanager
    def _opened(self, name: str, limit: int) -> Iterator[tuple[int, Any]]:
        """An artifact's stated size, at most ``limit``, and its bytes as an open file."""
        path = self._path(name)
        try:
            size = self._fs.size(path)
            if size is None or size > limit:
                raise StorageError(f"Artifact {name} has {size} bytes; at most {limit} are read here.")
            with self._fs.open(path, "rb") as file:
                yield size, file
        except FileNotFoundError:
            raise StorageError(
                f"Artifact {name} is not in {self.url}. Point --store at the store of whoever published it."
            ) from None
        except OSError as error:
            raise StorageError(f"Artifact {name} cannot be read from {self.url}: {error}.") from error

    def get_buffer(self, name: str, limit: int = DEFAULT_LIMIT) -> memoryview:
        """Bytes of an artifact of at most ``limit`` bytes, in memory that is the caller's own and may be written to.

        Raises:
            StorageError: when it is missing, larger than ``limit``, or not what its name says

        """
        with self._opened(name, limit) as (size, file):
            buffer, digest, at = memoryview(bytearray(size + SPARE))[:size], hashlib.sha256(), 0
            while at < size and (count := file.readinto(buffer[at : at + BLOCK])):
                digest.update(buffer[at : at + count])
                at += count
            self._require(name, digest.hexdigest(), whole=at == size and not file.read(1))
        return buffer

    def get(self, name: str, limit: int = DEFAULT_LIMIT) -> bytes:
        """As ``get_buffer``, as ``bytes``: for what is small."""
        return bytes(self.get_buffer(name, limit))

    def get_file(self, name: str, target: Path, limit: int = DEFAULT_LIMIT) -> None:
        """Write an artifact into a new file, block by block; raises as ``get_buffer``, and leaves no file then."""
        try:
            with self._opened(name, limit) as (size, file), target.open("xb") as out:
                digest, left = hashlib.sha256(), size
                while left and (block := file.read(min(BLOCK, left))):
                    digest.update(block)
                    out.write(block)
                    left -= len(block)
                self._require(name, digest.hexdigest(), whole=not left and not file.read(1))
        except StorageError:
            target.unlink(missing_ok=True)
            raise

    def _require(self, name: str, digest: str, *, whole: bool) -> None:
        if not whole or f"sha256:{digest}" != name:
            raise StorageError(f"Artifact {name} in {self.url} is damaged: its bytes have another hash.")

    def _ref_path(self, kind: str, key: bytes) -> str:
        if not kind.isidentifier():
            raise StorageError(f"{kind!r} is not a kind of reference.")
        return f"{self._root}/refs/{kind}/{key.hex()}"

    def set_ref(self, kind: str, key: bytes, name: str) -> None:
        """Point ``kind``/``key`` (a hash that stands on chain) at an artifact; the last writer wins."""
        self._path(name)
        path = self._ref_path(kind, key)
        self._write(path, [name.encode()])

    def get_ref(self, kind: str, key: bytes) -> str | None:
        """Name of the artifact a reference points at, None when there is none or it is no name."""
        path = self._ref_path(kind, key)
        try:
            if self._fs.size(path) > 256:
                return None
            name = self._fs.cat_file(path).decode("ascii", "replace")
        except FileNotFoundError:
            return None
        return name if is_artifact_name(name) else None


__all__ = ["ArtifactStore", "StorageError", "artifact_name", "is_artifact_name"]
