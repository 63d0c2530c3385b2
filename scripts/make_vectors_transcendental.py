"""Known answers of exp, log, tanh and erf, for forge and pytest.

    scripts/make_vectors_transcendental.py    write tests/vectors/transcendental.json

The answers come from the NumPy back end, whose errors over all inputs scripts/measure_transcendental_ulp.py measures.
Inputs and outputs are the bits of f32s, hexadecimal behind 0x. Some inputs are NaNs other than the canonical one.
"""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import numpy as np

from lockstep.numerics import transcendental

ROOT = Path(__file__).resolve().parent.parent
PATH = "tests/vectors/transcendental.json"
MEASURED = ROOT / "docs" / "data" / "transcendental_ulp.json"

SPECIAL = (
    0x00000000,  # +0
    0x00000001,  # smallest subnormal
    0x00000002,
    0x00123456,
    0x007FFFFF,  # largest subnormal
    0x00800000,  # smallest normal
    0x00800001,
    0x3F7FFFFF,  # just below 1
    0x3F800000,
    0x3F800001,
    0x7F7FFFFF,  # largest finite
    0x7F800000,  # infinity
    0x7F800001,  # signalling NaN
    0x7FC00000,  # the NaN
    0x7FFFFFFF,
)
"""Inputs of every function, with either sign."""

BOUNDARIES: dict[str, tuple[float, ...]] = {
    # Overflow, the smallest normal, half the smallest subnormal, and the bounds of the clamp.
    "exp": (128 * math.log(2), 89, -126 * math.log(2), -149 * math.log(2), -150 * math.log(2), -104),
    "log": (2**-126, math.sqrt(0.5), math.sqrt(2), 2, 4, math.e, 2**-149, 2**-127, 2**127),
    "tanh": (0.75, 9.0109, 10, 2**-12),
    "erf": (1.140625, 3.9192, 4, 2**-12),
}
"""Where a sequence changes course, or a result its kind; tried with both neighbours and either sign."""

RANGES: dict[str, tuple[float, float]] = {"exp": (-105, 90), "log": (0, 4), "tanh": (-10, 10), "erf": (-4.2, 4.2)}
"""Where the function is neither nearly constant nor outside its domain."""

UNIFORM = 160
ANY_BITS = 100


def _bits(value: float) -> int:
    return int(np.float32(value).view(np.uint32))


def inputs(name: str) -> list[int]:
    """Return the bits of the inputs of one function's vectors, each once."""
    rng = random.Random(f"transcendental vectors of {name}")
    found = [bits ^ sign for bits in SPECIAL for sign in (0, 1 << 31)]
    boundaries = list(BOUNDARIES[name])
    if name in ("exp", "tanh"):
        # Halfway between two multiples n of the reduction's step, where n changes.
        step = math.log(2) / (1 if name == "exp" else 2)
        boundaries += [(n + 0.5) * step for n in (0, 1, 2, 3, 9, 17, 24)]
    for boundary in boundaries:
        found += [(_bits(boundary) + d) ^ sign for d in (-1, 0, 1) for sign in (0, 1 << 31)]
    measured = json.loads(MEASURED.read_text())
    found.append(int(measured[name]["worst_input_bits"], 16))
    low, high = RANGES[name]
    found += [_bits(rng.uniform(low, high)) for _ in range(UNIFORM)]
    found += [rng.getrandbits(32) for _ in range(ANY_BITS)]
    return list(dict.fromkeys(found))


def files() -> dict[str, str]:
    """Text of the vector file by its path from the repository's root."""
    lines = []
    for name in transcendental.FUNCTIONS:
        bits = np.array(inputs(name), dtype=np.uint32)
        outputs = getattr(transcendental, f"{name}_numpy")(bits.view(np.float32)).view(np.uint32)
        pairs = {"inputs": bits, "outputs": outputs}
        lists = {key: json.dumps([f"0x{int(word):08x}" for word in words]) for key, words in pairs.items()}
        lines.append(f' "{name}": {{\n  "inputs": {lists["inputs"]},\n  "outputs": {lists["outputs"]}\n }}')
    return {PATH: "{\n" + ",\n".join(lines) + "\n}\n"}


def main() -> None:
    """Write the file."""
    for path, text in files().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text)
        print(f"wrote {path}: {len(text):,} characters")


if __name__ == "__main__":
    main()
