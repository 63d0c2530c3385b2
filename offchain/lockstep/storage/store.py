"""A content-addressed store of artifacts behind fsspec.

What is stored is named by the SHA-256 of its bytes, so whoever holds a name can check what it is given. A name is
written ``sha256:<64 hex digits>``. Small pointers (``refs``) map a hash that stands on chain, such as a trace root, to
an artifact; they are hints, and what they point at is checked against the hash itself.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from pathlib import Path

from fsspec.core import url_to_fs

_NAME = re.compile(r"sha256:([0-9a-f]{64})")
DEFAULT_LIMIT = 1 << 30
"""Largest artifact read unless the caller says otherwise, bytes."""


class StorageError(RuntimeError):
    """An artifact that is missing, too large, damaged or wrongly named; the message says which and what to do."""


def artifact_name(data: bytes | memoryview) -> str:
    """Name of an artifact: ``sha256:`` and 64 hex digits."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def is_artifact_name(name: str) -> bool:
    """Whether a string is an artifact's name."""
    return _NAME.fullmatch(name) is not None


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

    def _write(self, path: str, data: bytes | memoryview) -> None:
        parent = path.rsplit("/", 1)[0]
        self._fs.makedirs(parent, exist_ok=True)
        partial = f"{path}.{uuid.uuid4().hex}.partial"
        try:
            with self._fs.open(partial, "wb") as file:
                file.write(bytes(data))
            self._fs.mv(partial, path)
        except OSError as error:
            raise StorageError(f"The artifact store {self.url!r} cannot be written: {error}.") from error

    def put(self, data: bytes | memoryview) -> str:
        """Store bytes, and return their name; a second time does nothing."""
        name = artifact_name(data)
        path = self._path(name)
        if not self._fs.exists(path):
            self._write(path, data)
        return name

    def put_file(self, file: Path) -> str:
        """Store a file's bytes, and return their name."""
        return self.put(file.read_bytes())

    def has(self, name: str) -> bool:
        """Whether an artifact is here."""
        return bool(self._fs.exists(self._path(name)))

    def get(self, name: str, limit: int = DEFAULT_LIMIT) -> bytes:
        """Bytes of an artifact of at most ``limit`` bytes.

        Raises:
            StorageError: when it is missing, larger than ``limit``, or not what its name says

        """
        path = self._path(name)
        try:
            size = self._fs.size(path)
            if size is None or size > limit:
                raise StorageError(f"Artifact {name} has {size} bytes; at most {limit} are read here.")
            data: bytes = self._fs.cat_file(path)
        except FileNotFoundError:
            raise StorageError(
                f"Artifact {name} is not in {self.url}. Point --store at the store of whoever published it."
            ) from None
        except OSError as error:
            raise StorageError(f"Artifact {name} cannot be read from {self.url}: {error}.") from error
        if artifact_name(data) != name:
            raise StorageError(f"Artifact {name} in {self.url} is damaged: its bytes have another hash.")
        return data

    def _ref_path(self, kind: str, key: bytes) -> str:
        if not kind.isidentifier():
            raise StorageError(f"{kind!r} is not a kind of reference.")
        return f"{self._root}/refs/{kind}/{key.hex()}"

    def set_ref(self, kind: str, key: bytes, name: str) -> None:
        """Point ``kind``/``key`` (a hash that stands on chain) at an artifact; the last writer wins."""
        self._path(name)
        path = self._ref_path(kind, key)
        self._write(path, name.encode())

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
