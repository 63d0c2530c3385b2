"""Building and loading the native library: plain g++ (or another C++17 compiler), cached outside the source tree.

Nothing needs it: without a compiler, or with ``LOCKSTEP_NATIVE=0``, the torch routes run. Built once for a
source, a compiler and an instruction set; the cache is ``LOCKSTEP_CACHE``, else ``$XDG_CACHE_HOME/lockstep``,
else ``~/.cache/lockstep``. ``LOCKSTEP_ISA`` (amx, vnni, avx512, avx2, baseline) asks for less than the
processor has.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger("lockstep.engine")

KERNELS = Path(__file__).parent.parent / "kernels"
TRANSCENDENTAL = Path(__file__).parent.parent.parent / "numerics" / "native"
# No contraction and no fast-math: the bits are the point. The two -fno flags change no value.
FLAGS = (
    "-std=c++17",
    "-O3",
    "-shared",
    "-fPIC",
    "-pthread",
    "-ffp-contract=off",
    "-Wno-uninitialized",
    "-fno-math-errno",
    "-fno-trapping-math",
)
_WIDE = ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mbmi2", "-mprefer-vector-width=512")
_ISA: dict[str, tuple[frozenset[str], tuple[str, ...]]] = {
    "amx": (
        frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni", "amx_int8", "amx_tile"}),
        (*_WIDE, "-mavx512vnni", "-mamx-tile", "-mamx-int8"),
    ),
    "vnni": (frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"}), (*_WIDE, "-mavx512vnni")),
    "avx512": (frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl"}), _WIDE),
    "avx2": (frozenset({"avx2", "fma"}), ("-mavx2", "-mfma", "-mbmi2")),
    "baseline": (frozenset(), ()),
}
"""Instruction sets, best first: the processor flags they need (Linux names) and the compiler's."""


@functools.cache
def processor_flags() -> frozenset[str]:
    """The processor's features by their Linux names; none where they are not known."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("flags"):
                return frozenset(line.split(":", 1)[1].split())
    except OSError:
        pass
    return frozenset()


def instruction_set() -> str:
    """The best instruction set this processor has, or the lesser one that ``LOCKSTEP_ISA`` names."""
    names = list(_ISA)
    wanted = os.environ.get("LOCKSTEP_ISA", names[0])
    if wanted not in names:
        raise ValueError(f"LOCKSTEP_ISA is {wanted!r}; it is one of {', '.join(names)}.")
    for name in names[names.index(wanted) :]:
        if _ISA[name][0] <= processor_flags():
            return name
    return "baseline"


def compiler() -> str | None:
    """Path of a C++ compiler: ``CXX``, g++, clang++ or c++."""
    for name in (os.environ.get("CXX"), "g++", "clang++", "c++"):
        found = shutil.which(name) if name else None
        if found:
            return found
    return None


def cache_folder() -> Path:
    """Where built libraries are kept."""
    given = os.environ.get("LOCKSTEP_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lockstep"


def _sources() -> list[Path]:
    return [*sorted(KERNELS.glob("*.cpp")), *sorted(KERNELS.glob("*.h")), *sorted(TRANSCENDENTAL.glob("*.h"))]


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a file's lock, so that processes that start together build once."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build(isa: str) -> Path:
    """Path of the library for an instruction set, built if it is not in the cache.

    ``OSError`` or ``subprocess.SubprocessError`` where that fails.
    """
    program = compiler()
    if program is None:
        raise OSError("there is no C++ compiler")
    version = subprocess.run([program, "--version"], capture_output=True, check=True, timeout=60).stdout
    sha = ("-msha", "-msse4.1") if "sha_ni" in processor_flags() else ()
    command = [program, *FLAGS, *_ISA[isa][1], *sha, f"-I{TRANSCENDENTAL}"]
    key = hashlib.sha256(repr(command).encode() + version + platform.machine().encode())
    for source in _sources():
        key.update(source.name.encode() + b"\0" + source.read_bytes())
    target = cache_folder() / f"engine-{isa}-{key.hexdigest()[:20]}.so"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    log.info("Building the native engine for %s (once).", isa)
    with _lock(target.with_suffix(".lock")), tempfile.TemporaryDirectory(dir=target.parent) as folder:
        if target.exists():  # another process built it meanwhile
            return target
        made = Path(folder) / target.name
        units = [str(path) for path in _sources() if path.suffix == ".cpp"]
        done = subprocess.run([*command, *units, "-o", str(made)], capture_output=True, text=True, timeout=600)
        if done.returncode:
            raise OSError(f"the compiler failed: {done.stderr.strip().splitlines()[-1:]}")
        made.replace(target)
    return target


_P, _I64, _INT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
_SIGNATURES: dict[str, tuple[object, tuple[object, ...]]] = {
    "lockstep_format": (ctypes.c_char_p, ()),
    "lockstep_lines_between": (_INT, (_P, _P, _I64)),
    "lockstep_team": (_P, (_INT,)),
    "lockstep_team_free": (None, (_P,)),
    "lockstep_engine": (_P, (_P, _I64, _P, _I64, _I64, _P)),
    "lockstep_engine_free": (None, (_P,)),
    "lockstep_run": (None, (_P, _P)),
    "lockstep_profile": (None, (_P, _P, _P)),
    "lockstep_chunk_hashes": (None, (_P, _P, _I64, _P)),
    "lockstep_roots": (None, (_P, _P, _P, _P)),
    "lockstep_file_roots": (None, (_P, _P, _I64, _P, _P, _P)),
    "lockstep_sha_portable": (None, (_P, _P)),
}


def enabled() -> bool:
    """Whether the environment allows the native library (``LOCKSTEP_NATIVE`` is not 0)."""
    return os.environ.get("LOCKSTEP_NATIVE", "1") != "0"


@functools.cache
def _load(isa: str) -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(str(build(isa)))
    except (OSError, subprocess.SubprocessError) as error:
        log.info("The native engine is not used (%s); torch runs instead, slower and with the same bits.", error)
        return None
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def load() -> ctypes.CDLL | None:
    """The library for this process, None where it cannot be had or is switched off."""
    return _load(instruction_set()) if enabled() else None


@functools.cache
def team(threads: int) -> int:
    """A team of threads of the library, kept for the life of the process. 0 without the library."""
    library = load()
    return library.lockstep_team(threads) if library is not None else 0


def describe() -> str:
    """What runs contractions here, for benchmarks: "int8 AMX", "float64" and so on."""
    library = load()
    if library is None:
        return "torch"
    return str(library.lockstep_format().decode())
