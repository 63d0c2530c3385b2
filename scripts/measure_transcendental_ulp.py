"""Measure the error of exp, log, tanh and erf over all 2**32 inputs.

    scripts/measure_transcendental_ulp.py [NAME ...]    measure (all four: about a quarter of an hour on one core)

writes docs/data/transcendental_ulp.json. The error is the distance to the true value in units of the last place of
the true value's binade (2**-149 at the bottom), which is never wider than that of the correctly rounded result. The
reference is float64: its own error, about 1e-9 of these units, cannot be seen in the figures, and the worst input is
recomputed with 60 digits. NaN and infinities must come exactly where they are due, zeros with the right sign.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import torch

from lockstep.numerics import transcendental

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "docs" / "data" / "transcendental_ulp.json"
INPUTS = 1 << 32
BLOCK = 1 << 15
"""Inputs at a time: what fits in a core's second-level cache."""


def _erf(x: np.ndarray) -> np.ndarray:
    return np.asarray(torch.special.erf(torch.from_numpy(x)))


REFERENCES: dict[str, Callable[[np.ndarray], np.ndarray]] = {"exp": np.exp, "log": np.log, "tanh": np.tanh, "erf": _erf}
"""The functions in float64."""


def ulp_errors(outputs: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return |output - true| in ulps of the true value; infinity where a NaN, an infinity or a zero is wrong.

    Args:
        outputs: float32
        true: float64, the true values to about 1e-16

    """
    with np.errstate(all="ignore"):
        rounded = true.astype(np.float32)
        exponent = np.clip(np.frexp(true)[1], -125, None)  # true = f * 2**exponent, 1/2 <= |f| < 1
        errors = np.abs(np.ldexp(outputs.astype(np.float64) - true, 24 - exponent))
    exact = ~np.isfinite(rounded) | (true == 0)
    same = outputs.view(np.uint32) == np.where(np.isnan(true), np.float32(np.nan), rounded).view(np.uint32)
    return np.where(exact | ~np.isfinite(outputs), np.where(same, 0.0, np.inf), errors)


def exact_ulp_error(name: str, input_bits: int, output_bits: int) -> float:
    """Return the error at one input, from 60 digits of the true value."""
    with mpmath.workdps(60):
        x, y = (mpmath.mpf(float(np.uint32(bits).view(np.float32))) for bits in (input_bits, output_bits))
        true = getattr(mpmath, name)(x)
        exponent = max(mpmath.frexp(true)[1], -125)
        return float(abs(y - true) * mpmath.mpf(2) ** (24 - exponent))


def measure(name: str, first: int = 0, count: int = INPUTS) -> dict[str, Any]:
    """Return the figures of one function over the inputs whose bits are first, first + 1, ..., first + count - 1."""
    function, reference = getattr(transcendental, f"{name}_numpy"), REFERENCES[name]
    digest = hashlib.sha256()
    worst, worst_input, worst_output = -1.0, 0, 0
    correct = faithful = descents = 0
    last = np.empty(0, np.float32)
    for start in range(first, first + count, BLOCK):
        bits = np.arange(start, min(start + BLOCK, first + count), dtype=np.uint32)
        x = bits.view(np.float32)
        y = function(x)
        digest.update(y.astype("<f4").tobytes())
        with np.errstate(all="ignore"):
            true = reference(x.astype(np.float64))
            rounded = true.astype(np.float32)
        errors = ulp_errors(y, true)
        at = int(errors.argmax())
        if errors[at] > worst:
            worst, worst_input, worst_output = float(errors[at]), int(bits[at]), int(y.view(np.uint32)[at])
        correct += int(np.count_nonzero((y == rounded) | np.isnan(true)))
        faithful += int(np.count_nonzero(errors < 1))
        # Successive bits are ascending floats, descending when the sign is set.
        line = np.concatenate([last, y]) if start != 1 << 31 else y
        lower, upper = (line[:-1], line[1:]) if start < 1 << 31 else (line[1:], line[:-1])
        descents += int(np.count_nonzero(upper < lower))
        last = y[-1:]
    if 0 < worst < np.inf:
        worst = exact_ulp_error(name, worst_input, worst_output)
    return {
        "worst_ulp": round(worst, 6) if np.isfinite(worst) else "wrong",
        "worst_input": float(np.uint32(worst_input).view(np.float32)),
        "worst_input_bits": f"0x{worst_input:08x}",
        "worst_output_bits": f"0x{worst_output:08x}",
        "share_correctly_rounded": round(correct / count, 6),
        "inputs_off_by_one_ulp_or_more": count - faithful,
        "adjacent_inputs_out_of_order": descents,
        "outputs_sha256": digest.hexdigest(),
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="functions to measure (all four when none is named)")
    names = parser.parse_args().names or list(transcendental.FUNCTIONS)
    torch.set_num_threads(1)
    found = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else {}
    for name in names:
        begin = time.monotonic()
        with np.errstate(all="ignore"):
            found[name] = measure(name)
        print(f"{name}: {found[name]['worst_ulp']} ulp, {time.monotonic() - begin:.0f} s")
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(
        json.dumps({name: found[name] for name in transcendental.FUNCTIONS if name in found}, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
