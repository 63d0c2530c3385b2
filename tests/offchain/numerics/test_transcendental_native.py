"""The C++ transcription of exp, log, tanh and erf gives the bits of the NumPy sequences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lockstep.numerics import transcendental
from tests.offchain.numerics.native_transcendental import build, compiler

PER_KIND = 1_000_000

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C++ compiler on PATH: install g++ to run this")


@pytest.fixture(scope="module")
def inputs() -> np.ndarray:
    rng = np.random.default_rng(20)
    any_bits = rng.integers(0, 1 << 32, PER_KIND, dtype=np.uint32).view(np.float32)
    near = (rng.standard_normal(PER_KIND) * rng.choice([0.3, 2, 40], PER_KIND)).astype(np.float32)
    return np.concatenate([any_bits, near])


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(("-O0",), id="plain"),
        pytest.param(("-O3", "-fno-trapping-math"), id="vectors"),
        pytest.param(("-O3", "-fno-trapping-math", "-march=native"), id="native-vectors"),
    ],
)
def test_header_compiled_any_way_gives_the_bits_of_numpy(
    flags: tuple[str, ...], inputs: np.ndarray, tmp_path: Path
) -> None:
    functions = build(tmp_path, *flags)
    for name, function in functions.items():
        wanted = getattr(transcendental, f"{name}_numpy")(inputs).view(np.uint32)
        wrong = np.flatnonzero(function(inputs).view(np.uint32) != wanted)
        assert wrong.size == 0, f"{name} differs at {wrong.size} inputs, first {inputs[wrong[0]]!r}"
