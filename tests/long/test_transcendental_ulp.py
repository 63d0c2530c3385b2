"""exp, log, tanh and erf over all 2**32 inputs: the committed figures are what is measured now."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from lockstep.numerics import transcendental
from tests.offchain.numerics.native_transcendental import build, compiler

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import measure_transcendental_ulp as measurement  # noqa: E402

NAMES = tuple(transcendental.FUNCTIONS)
MEASURED = json.loads(measurement.OUTPUT.read_text())
BLOCK = 1 << 22

pytestmark = [pytest.mark.long, pytest.mark.timeout(0)]


@pytest.mark.parametrize("name", NAMES)
def test_every_input_is_within_two_ulps_and_as_recorded(name: str) -> None:
    found = measurement.measure(name)
    assert found["worst_ulp"] != "wrong"
    assert found["worst_ulp"] <= 2
    assert found == MEASURED[name]


@pytest.mark.skipif(compiler() is None, reason="no C++ compiler on PATH: install g++ to run this")
@pytest.mark.parametrize("name", NAMES)
def test_native_header_gives_the_recorded_bits_for_every_input(name: str, tmp_path: Path) -> None:
    function = build(tmp_path, "-O3", "-fno-trapping-math", "-march=native")[name]
    digest = hashlib.sha256()
    for start in range(0, measurement.INPUTS, BLOCK):
        bits = np.arange(start, start + BLOCK, dtype=np.uint64).astype(np.uint32)
        digest.update(function(bits.view(np.float32)).tobytes())
    assert digest.hexdigest() == MEASURED[name]["outputs_sha256"]
