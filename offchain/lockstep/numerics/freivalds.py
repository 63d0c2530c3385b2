"""Exact Freivalds: whether stated sums S are those of a contraction, in quadratic time (Freivalds 1977).

``A (B^T r) = S r`` modulo the prime p = 2^61 - 1, for r drawn uniformly from the residues once S is fixed. Where S is
false, D = S - A B^T has a non-zero entry; both sides being integers below 2^47 in magnitude, it is non-zero modulo p,
too, and of the p values of its r_j only one lets its row pass: a chance of one in p, below 2^-60.

``engine/kernels/freivalds.h`` is the fast twin. Residues are cut into limbs of 21 bits, so that every matrix product
here is a float64 product whose partial sums are integers below 2^53: exact in any order.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from lockstep.numerics.float32 import I16, I64

Residues = npt.NDArray[np.uint64]
Doubles = npt.NDArray[np.float64]

PRIME = (1 << 61) - 1
LONGEST = 1 << 17
"""Most terms of a contraction that is checked: 2^17 products of 15 and 21 bits stay within 2^53."""
LARGEST_SUM = 1 << 46
"""Sums of so many terms of ``quantize``'s mantissas (2^28 K) are below, and none at or above is believed."""

_LIMB = 21
_LIMBS = 3
_DIGIT = 20
_BLOCK = 1 << 11
"""Columns of S at a time: 2^11 products of 20 and 21 bits."""


def challenge(entropy: bytes, node: int, count: int) -> Residues:
    """uint64 [count], uniform residues modulo 2^61 - 1: SHAKE-256 of the entropy and the node's index.

    ``entropy`` must hold what whoever stated the sums could not know when it fixed them.
    """
    head = b"lockstep/freivalds/1" + len(entropy).to_bytes(8, "little") + entropy + node.to_bytes(8, "little")
    spare = 8
    while True:
        words = np.frombuffer(hashlib.shake_256(head).digest(8 * (count + spare)), "<u8") & np.uint64(PRIME)
        found: Residues = words[words != np.uint64(PRIME)]  # 2^61 - 1 itself is no residue: drawn again
        if len(found) >= count:
            return found[:count].copy()
        spare *= 2


def _limbs(residues: Residues) -> Doubles:
    """Residues [...] as limbs [..., 3], lowest first."""
    mask = np.uint64((1 << _LIMB) - 1)
    parts = [(residues >> np.uint64(_LIMB * n)) & mask for n in range(_LIMBS)]
    return np.asarray(np.stack(parts, -1), np.float64)


def _joined(sums: Doubles) -> Residues:
    """Residues [...] of exact sums of limbs [..., 3]."""
    whole = sums.astype(np.int64).astype(object)
    total = sum(whole[..., n] << _LIMB * n for n in range(_LIMBS)) % PRIME
    return np.asarray(total).astype(np.uint64)


def _matrix_times(m: I16, residues: Residues) -> Residues:
    """m16 [M, K] times residues [K]: residues [M]."""
    total = np.zeros(len(m), np.uint64)
    for first in range(0, m.shape[1], LONGEST):  # B^T has as many columns as B has rows
        part = slice(first, first + LONGEST)
        product = _joined(m[:, part].astype(np.float64) @ _limbs(residues[part]))
        total = (total + product) % np.uint64(PRIME)
    return total


def _sums_times(sums: I64, residues: Residues) -> Residues:
    """Sums [M, N], each below 2^46 in magnitude, times residues [N]: residues [M]."""
    total = np.zeros(len(sums), np.uint64)
    mask = (1 << _DIGIT) - 1
    for first in range(0, sums.shape[1], _BLOCK):
        part = sums[:, first : first + _BLOCK]
        limbs = _limbs(residues[first : first + _BLOCK])
        digits = (part & mask, (part >> _DIGIT) & mask, part >> 2 * _DIGIT)
        products = [_joined(digit.astype(np.float64) @ limbs).astype(object) for digit in digits]
        joined = sum(product << _DIGIT * n for n, product in enumerate(products)) % PRIME
        total = (total + np.asarray(joined).astype(np.uint64)) % np.uint64(PRIME)
    return total


def sums_hold(ma: I16, mb: I16, sums: I64, residues: Residues) -> bool:
    """Whether ``sums`` [..., M, N] are those of m16 [..., M, K] and [..., N, K], by residues [N].

    Right sums always pass. ``ValueError`` where K is above ``LONGEST``.
    """
    length = ma.shape[-1]
    if length > LONGEST:
        raise ValueError(f"A contraction over {length} terms is too long to be checked; at most {LONGEST}.")
    if ((sums < -LARGEST_SUM) | (sums >= LARGEST_SUM)).any():
        return False
    left, right = ma.reshape(-1, *ma.shape[-2:]), mb.reshape(-1, *mb.shape[-2:])
    for a, b, s in zip(left, right, sums.reshape(-1, *sums.shape[-2:]), strict=True):
        if (_matrix_times(a, _matrix_times(b.T, residues)) != _sums_times(s, residues)).any():
            return False
    return True
