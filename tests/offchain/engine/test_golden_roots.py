"""The same roots on every route, thread count and instruction set."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from lockstep.engine.native.library import load
from lockstep.engine.run import Runner

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "scripts" / "make_golden_roots.py"
NAMES = ("mlp", "mlp_dropout", "cnn")


@cache
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_golden_roots", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def captured() -> dict[str, Any]:
    tasks: dict[str, Any] = script().tasks()
    return tasks


@cache
def golden() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((ROOT / "tests" / "vectors" / "golden_roots.json").read_text())
    assert (content["seed"], content["steps"]) == (script().SEED, script().STEPS)
    tasks: dict[str, Any] = content["tasks"]
    return tasks


def test_golden_roots_cover_every_task() -> None:
    assert tuple(golden()) == tuple(captured()) == NAMES


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_golden_roots_native(name: str, threads: int) -> None:
    if load() is None:
        pytest.skip("There is no native engine here (no compiler, or LOCKSTEP_NATIVE=0).")
    assert script().golden(captured()[name], threads, native=True) == golden()[name]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_golden_roots_torch(name: str, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert script().golden(captured()[name], native=False) == golden()[name]
    finally:
        torch.set_num_threads(before)


ENVIRONMENTS = [
    {"LOCKSTEP_NATIVE": "0", "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"},
    {"LOCKSTEP_NATIVE": "0", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    {"LOCKSTEP_NATIVE": "0", "ATEN_CPU_CAPABILITY": "avx512", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
    {"LOCKSTEP_NATIVE": "0", "ATEN_CPU_CAPABILITY": "avx512", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"},
    {"LOCKSTEP_NO_AMX": "1", "ATEN_CPU_CAPABILITY": "default", "OMP_NUM_THREADS": "1"},
]
LESSER = [{"LOCKSTEP_ISA": isa} for isa in ("vnni", "avx512", "avx2", "baseline")]


def run_script(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["tasks"] == golden()


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda e: " ".join(e.values()))
def test_golden_roots_instruction_sets(environment: dict[str, str]) -> None:
    run_script(environment)


@pytest.mark.long
@pytest.mark.parametrize("environment", LESSER, ids=lambda e: " ".join(e.values()))
def test_golden_roots_lesser_native_builds(environment: dict[str, str]) -> None:
    """Each builds its own library, which takes a minute."""
    run_script(environment)


SATURATION = """
import torch
from lockstep.engine import routes
from lockstep.program.ops import Op
largest = torch.full((32, 64), 127, dtype=torch.int8)
right = bool((torch._int_mm(largest, largest.T.contiguous()) == 64 * 127 * 127).all())
print(right, routes.passes(Op.MATMUL, routes.MATMUL_INT8), routes.passes(Op.MATMUL, routes.MATMUL_FLOAT64))
"""


@pytest.mark.parametrize("isa", ["AVX2", "AVX512_CORE", "DEFAULT"])
def test_int8_route_is_used_just_where_its_products_are_right(isa: str) -> None:
    """On x86 without VNNI ``torch._int_mm`` adds pairs in saturating int16: its self-test must say so."""
    done = subprocess.run(
        [sys.executable, "-c", SATURATION],
        capture_output=True,
        text=True,
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": isa},
        check=True,
    )
    right, sliced, exact = (word == "True" for word in done.stdout.split())
    assert sliced is right
    assert exact


def test_runner_name_says_what_runs() -> None:
    task = captured()["mlp"]
    assert Runner(task.step, task.constants, 1, native=False).name == "torch"
    if load() is not None:
        assert Runner(task.step, task.constants, 1, native=True, threads=2).name.endswith(", 2 threads")
