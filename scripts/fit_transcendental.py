"""Fit the polynomials behind exp, log, tanh and erf again, and compare them with the frozen coefficients.

    scripts/fit_transcendental.py    print, for each polynomial, the best coefficients and both errors

The best coefficients are those of the weighted minimax problem, found by Lawson's iteration (least squares, each
point's weight multiplied by its error, again and again) in float64. The frozen ones are f32s near them, chosen by a
random search for the smallest error of the whole sequence, rounding of every operation included; so they are a little
worse as polynomials and better as programs. Errors are of the function, relative to it (absolute for erf's outer
part, whose result is near 1), caused by the polynomial alone; one half ulp is 3.0e-8 to 6.0e-8.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lockstep.numerics import transcendental

POINTS = 500
ITERATIONS = 800


@dataclass(frozen=True)
class Problem:
    """Approximate ``wanted(variable)`` by a polynomial so that ``weight * error`` is small.

    Attributes:
        name: for people
        variable: float64 points
        wanted: the values there
        weight: how much an error of the polynomial changes the function
        frozen: bits of the f32 coefficients in use, constant term first

    """

    name: str
    variable: np.ndarray
    wanted: np.ndarray
    weight: np.ndarray
    frozen: Sequence[int]

    def error(self, coefficients: np.ndarray) -> float:
        """Return the greatest weighted error of a polynomial, constant term first."""
        values = np.polynomial.polynomial.polyval(self.variable, coefficients)
        return float(np.max(np.abs(values - self.wanted) * self.weight))

    def best(self) -> np.ndarray:
        """Return the coefficients of least greatest weighted error, constant term first."""
        middle, half = (self.variable.max() + self.variable.min()) / 2, np.ptp(self.variable) / 2
        basis = np.polynomial.chebyshev.chebvander((self.variable - middle) / half, len(self.frozen) - 1)
        share, least, kept = np.full(len(self.variable), 1 / len(self.variable)), math.inf, np.zeros(len(self.frozen))
        for _ in range(ITERATIONS):
            root = np.sqrt(share) * self.weight
            solution = np.linalg.lstsq(basis * root[:, None], self.wanted * root, rcond=None)[0]
            errors = np.abs(basis @ solution - self.wanted) * self.weight
            if errors.max() < least:
                least, kept = errors.max(), solution
            share = share * errors / np.sum(share * errors)
        series = np.polynomial.Chebyshev(kept, domain=[middle - half, middle + half])
        return np.asarray(series.convert(kind=np.polynomial.Polynomial).coef)


def _erf(x: np.ndarray, complement: bool = False) -> np.ndarray:
    function = torch.special.erfc if complement else torch.special.erf
    return np.asarray(function(torch.from_numpy(x)))


def problems() -> list[Problem]:
    """Return the five polynomials' problems."""
    constants = {name: float(np.uint32(bits).view(np.float32)) for name, bits in transcendental.CONSTANTS.items()}
    unit = np.sin(np.linspace(0.01, math.pi / 2, POINTS))  # (0, 1], denser near 1

    r = np.concatenate([-unit[::-1], unit]) * (math.log(2) / 2 * 1.001)
    q = 2 - 2 * r / np.expm1(r)  # e**r = 1 + r + r q / (2 - q), so e**r changes by 2r / (2 - q)**2 of q's change
    exp = (r * r, (r - q) / r**2, np.abs(2 * r**3 / (2 - q) ** 2) / np.exp(r))

    s = unit * (3 - 2 * math.sqrt(2))
    log = (s * s, (2 * np.arctanh(s) - 2 * s) / s**3, s**3 / (2 * np.arctanh(s)))

    x = unit * constants["TANH_SMALL"]
    tanh = (x * x, (x / np.tanh(x) - 1) / x**2, x * np.tanh(x))

    x = unit * constants["ERF_SMALL"]
    small = (x * x, 1 - _erf(x) / x, x / _erf(x))

    low, high = constants["ERF_SMALL"], constants["ERF_MAX"]
    x = (high + low) / 2 - (high - low) / 2 * np.cos(np.linspace(0, math.pi, 2 * POINTS))
    root = _erf(x, complement=True) ** 0.25
    large = (x, root, 4 * root**3)

    def coefficients(prefix: str, count: int) -> list[int]:
        return [transcendental.CONSTANTS[f"{prefix}{index}"] for index in range(count)]

    return [
        Problem("exp, P(r**2)", *exp, coefficients("EXP_P", 2)),
        Problem("log, L(s**2)", *log, coefficients("LOG_L", 3)),
        Problem("tanh, Q(r**2)", *tanh, coefficients("TANH_Q", 4)),
        Problem("erf, small |x|, polynomial in x**2", *small, transcendental.ERF_SMALL_COEFFICIENTS),
        Problem("erf, large |x|, polynomial in |x|", *large, transcendental.ERF_LARGE_COEFFICIENTS),
    ]


def main() -> None:
    """Print the comparison."""
    for problem in problems():
        best = problem.best()
        frozen = np.array(problem.frozen, np.uint32).view(np.float32).astype(np.float64)
        print(f"{problem.name}: error {problem.error(best):.1e} at best, {problem.error(frozen):.1e} frozen")
        for now, ideal, bits in zip(frozen, best, problem.frozen, strict=True):
            print(f"    0x{bits:08x} = {now:+.9e}   best {ideal:+.9e}")


if __name__ == "__main__":
    main()
