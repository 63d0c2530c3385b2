"""The same roots on every route, thread count and instruction set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from lockstep.cli.zoo import PRESETS
from lockstep.engine.native.library import load
from lockstep.engine.run import Runner
from tests.offchain.engine.golden_roots import SCRIPT, captured, golden, script, steps

NAMES: tuple[str, ...] = script().names()
FULL: tuple[str, ...] = script().names(full=True)


def check_roots(name: str, threads: int, *, native: bool, full: bool = False) -> None:
    """A task reaches the roots of the file on a route, with so many threads."""
    if native and load() is None:
        pytest.skip("There is no native engine here (no compiler, or LOCKSTEP_NATIVE=0).")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = script().golden(captured(name, full=full), threads, native=native, steps=steps(full))
    finally:
        torch.set_num_threads(before)
    assert found == golden(full=full)[name]


def test_golden_roots_cover_every_task() -> None:
    assert tuple(golden()) == NAMES
    assert set(NAMES) > set(PRESETS)
    assert tuple(golden(full=True)) == FULL


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_golden_roots_native(name: str, threads: int) -> None:
    check_roots(name, threads, native=True)


@pytest.mark.parametrize("name", NAMES)
def test_golden_roots_torch(name: str) -> None:
    """With two threads and more in processes of their own: ``ENVIRONMENTS``."""
    check_roots(name, 1, native=False)


@pytest.mark.long
@pytest.mark.parametrize("native", [True, False], ids=["native", "torch"])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", FULL)
def test_golden_roots_full_size(name: str, threads: int, native: bool) -> None:
    check_roots(name, threads, native=native, full=True)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every task's programs, so that other processes need not capture them again."""
    folder = tmp_path_factory.mktemp("programs")
    for name in NAMES:
        script().save(name, captured(name), folder)
    return folder


def run_script(environment: dict[str, str], *arguments: str) -> Any:
    """What the script prints in a process of its own, with more variables in its environment."""
    command = [sys.executable, str(SCRIPT), *arguments]
    # Threads that wait sleep: where others run beside the test, spinning takes ten times as long as computing.
    variables = {**os.environ, "OMP_WAIT_POLICY": "passive", **environment}
    done = subprocess.run(command, capture_output=True, text=True, env=variables, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


TORCH = {"LOCKSTEP_NATIVE": "0", "OMP_NUM_THREADS": "2"}
ENVIRONMENTS = [
    {**TORCH, "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"},
    {**TORCH, "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    {**TORCH, "ATEN_CPU_CAPABILITY": "avx512", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
    {**TORCH, "ATEN_CPU_CAPABILITY": "avx512", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI", "OMP_NUM_THREADS": "3"},
    {"LOCKSTEP_NO_AMX": "1", "ATEN_CPU_CAPABILITY": "default", "OMP_NUM_THREADS": "1"},
]
LESSER = [{"LOCKSTEP_ISA": isa} for isa in ("vnni", "avx512", "avx2", "baseline")]


def called(environment: dict[str, str]) -> str:
    return " ".join(environment.values())


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=called)
def test_golden_roots_instruction_sets(environment: dict[str, str], programs: Path) -> None:
    assert run_script(environment, "--programs", str(programs))["tasks"] == golden()


@pytest.mark.long
@pytest.mark.parametrize("environment", LESSER, ids=called)
def test_golden_roots_lesser_native_builds(environment: dict[str, str], programs: Path) -> None:
    """Each builds its own library, which takes a minute."""
    assert run_script(environment, "--programs", str(programs))["tasks"] == golden()


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("environment", [*ENVIRONMENTS, *LESSER], ids=called)
def test_golden_roots_full_size_instruction_sets(environment: dict[str, str]) -> None:
    assert run_script(environment, "--full")["tasks"] == golden(full=True)


@pytest.mark.parametrize(
    "seed", ["0", pytest.param("1", marks=pytest.mark.long), pytest.param("random", marks=pytest.mark.long)]
)
def test_captured_programs_do_not_depend_on_the_seed_of_pythons_hashes(seed: str) -> None:
    """Nor on the process: the file was written by another one, and this one's captures are compared with it, too."""
    found = run_script({"PYTHONHASHSEED": seed}, "--hashes")
    assert found == {name: {kind: task[kind] for kind in ("init", "program")} for name, task in golden().items()}


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
    task = captured("mlp")
    assert Runner(task.step, task.constants, 1, native=False).name == "torch"
    if load() is not None:
        assert Runner(task.step, task.constants, 1, native=True, threads=2).name.endswith(", 2 threads")
