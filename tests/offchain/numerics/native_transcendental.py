"""Compiles native/transcendental.h into a library of loops, for the tests."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

import lockstep.numerics.transcendental as python_side

HEADER = Path(python_side.__file__).parent / "native" / "transcendental.h"
SOURCE = """
#include "transcendental.h"
#define LOOP(name)                                                              \\
    extern "C" void loop_##name(const float* x, float* __restrict y, long n) {  \\
        for (long i = 0; i < n; ++i) y[i] = lockstep::transcendental::name(x[i]); \\
    }
LOOP(exp) LOOP(log) LOOP(tanh) LOOP(erf)
"""
REQUIRED_FLAGS = ("-std=c++17", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")


def compiler() -> str | None:
    """Path of a C++ compiler, if there is one."""
    return shutil.which("g++") or shutil.which("clang++")


def build(folder: Path, *flags: str) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Compile into the folder; return the functions by name, from float32 arrays to float32 arrays."""
    path = compiler()
    assert path is not None
    (folder / "loops.cpp").write_text(SOURCE)
    library = folder / f"loops{''.join(flags)}.so"
    subprocess.run(
        [path, *REQUIRED_FLAGS, *flags, f"-I{HEADER.parent}", "-o", str(library), str(folder / "loops.cpp")], check=True
    )
    loaded = ctypes.CDLL(str(library))

    def function(name: str) -> Callable[[np.ndarray], np.ndarray]:
        loop = getattr(loaded, f"loop_{name}")
        loop.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_long]

        def call(x: np.ndarray) -> np.ndarray:
            x = np.ascontiguousarray(x, dtype=np.float32)
            y = np.empty_like(x)
            loop(x.ctypes.data, y.ctypes.data, x.size)
            return y

        return call

    return {name: function(name) for name in python_side.FUNCTIONS}
