"""``Builder``: programs by hand or by a lowering, one method an op and the helpers every model needs.

::

    b = Builder()
    w = b.add_state("weight", DType.F32, (4, 3))
    x = b.add_constant("inputs", np.ones((2, 3), np.float32))
    y = b.contract(x, w)                       # f32 [2, 4]: y = x w^T, both quantised along K
    w_new = b.sub(w, b.mul(b.expand(b.sum_axes(y, (0, 1)), (4, 3)), 0.1))
    program = b.finish([w_new]).program

Values have types; shapes never widen by themselves (``expand`` does it). Numbers stand for literals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from lockstep.numerics.dtypes import DType
from lockstep.program.emitter import Built, Emitter, Operand, Value
from lockstep.program.graph import Concat, Shape, View
from lockstep.program.infer import ProgramError
from lockstep.program.ops import (
    EXPONENT_FLOOR_QUANTIZE,
    EXPONENT_FLOOR_SUM,
    MAX_SUM_ROW,
    QUANTIZE_BITS,
    Op,
)
from lockstep.program.views import expand_view, permute_view, reshape_view

__all__ = ["Builder", "Built", "Value"]

F32, I32 = DType.F32, DType.I32

Unary = Callable[["Builder", Operand], Value]
Binary = Callable[["Builder", Operand, Operand], Value]
Shift = Callable[["Builder", Operand, int], Value]
Quantized = tuple[Value, Value]
"""Mantissas m16 [..., K] and exponents e16 [...]."""


def _unary(op: Op) -> Unary:
    def method(self: Builder, x: Operand) -> Value:
        return self.elementwise(op, [self.literal_like(x, F32)], F32)

    return method


def _binary(op: Op, operand: DType, result: DType) -> Binary:
    def method(self: Builder, a: Operand, b: Operand) -> Value:
        return self.elementwise(op, [self.literal_like(a, operand), self.literal_like(b, operand)], result)

    return method


def _shift(op: Op) -> Shift:
    def method(self: Builder, x: Operand, count: int) -> Value:
        return self.elementwise(op, [self.literal_like(x, I32)], I32, (count,)) if count else self.literal_like(x, I32)

    return method


class Builder(Emitter):
    """Emits nodes; see ``lockstep.program.emitter`` for inputs, literals, names and ``finish``."""

    add, sub = _binary(Op.ADD, F32, F32), _binary(Op.SUB, F32, F32)
    mul, div = _binary(Op.MUL, F32, F32), _binary(Op.DIV, F32, F32)
    maximum, minimum = _binary(Op.MAX, F32, F32), _binary(Op.MIN, F32, F32)
    sqrt, floor, ceil, rne, trunc = (
        _unary(Op.SQRT),
        _unary(Op.FLOOR),
        _unary(Op.CEIL),
        _unary(Op.RNE),
        _unary(Op.TRUNC),
    )
    neg, abs = _unary(Op.NEG), _unary(Op.ABS)
    exp, log, tanh, erf = _unary(Op.EXP), _unary(Op.LOG), _unary(Op.TANH), _unary(Op.ERF)
    iadd, isub, imul = _binary(Op.IADD, I32, I32), _binary(Op.ISUB, I32, I32), _binary(Op.IMUL, I32, I32)
    udiv, umod = _binary(Op.UDIV, I32, I32), _binary(Op.UMOD, I32, I32)
    bit_and, bit_or, bit_xor = _binary(Op.AND, I32, I32), _binary(Op.OR, I32, I32), _binary(Op.XOR, I32, I32)
    shl, shr, sar = _shift(Op.SHL), _shift(Op.SHR), _shift(Op.SAR)
    lt, le = _binary(Op.LT, F32, I32), _binary(Op.LE, F32, I32)
    eq, ne = _binary(Op.EQ, F32, I32), _binary(Op.NE, F32, I32)
    ilt, ile = _binary(Op.ILT, I32, I32), _binary(Op.ILE, I32, I32)
    ieq, ine = _binary(Op.IEQ, I32, I32), _binary(Op.INE, I32, I32)
    ult, ule = _binary(Op.ULT, I32, I32), _binary(Op.ULE, I32, I32)

    def select(self, condition: Value, a: Operand, b: Operand) -> Value:
        """``a`` where the i32 condition is not 0, else ``b``; a number takes the other's dtype, or f32."""
        dtype = next((v.dtype for v in (a, b) if isinstance(v, Value)), F32)
        values = [condition, self.literal_like(a, dtype), self.literal_like(b, dtype)]
        return self.elementwise(Op.SELECT, values, dtype)

    def cast(self, x: Value, dtype: DType) -> Value:
        """``x`` as f32 or i32 by value; nothing where it is that already."""
        return x if x.dtype is dtype else self.elementwise(Op.CAST, [x], dtype)

    def bitcast(self, x: Value) -> Value:
        """f32 as i32 or i32 as f32 by bits."""
        return self.elementwise(Op.BITCAST, [x], I32 if x.dtype is F32 else F32)

    # movement

    def reshape(self, x: Value, shape: Shape) -> Value:
        """The same elements in row-major order under another shape."""
        return self.view(x, reshape_view(tuple(shape)) if shape else View((1,), (0,), ()), shape)

    def expand(self, x: Value, shape: Shape) -> Value:
        """``x`` widened to ``shape``, aligned at the right, as PyTorch broadcasts."""
        if x.shape == tuple(shape):
            return x
        try:
            return self.view(x, expand_view(x.shape, tuple(shape)), shape)
        except ValueError as error:
            raise ProgramError(f"{self.location or 'A node'}: {error}") from None

    def expand_rows(self, x: Value, length: int) -> Value:
        """``x`` [...] with a new last axis of ``length`` equal elements."""
        src = x.shape or (1,)
        mapping = (*((axis, 1) for axis in range(len(x.shape))), (0, 0))
        return self.view(x, View(src, (0,) * len(src), mapping), (*x.shape, length))

    def permute(self, x: Value, order: Sequence[int]) -> Value:
        """Axes in another order: output axis j is axis ``order[j]``."""
        order = [axis % len(x.shape) for axis in order]
        return self.view(x, permute_view(x.shape, order), tuple(x.shape[axis] for axis in order))

    def transpose(self, x: Value, a: int = -2, b: int = -1) -> Value:
        """Two axes exchanged, the last two by default."""
        order = list(range(len(x.shape)))
        order[a], order[b] = order[b], order[a]
        return self.permute(x, order)

    def slice(self, x: Value, axis: int, start: int, length: int, stride: int = 1) -> Value:
        """``length`` elements along an axis from ``start``, every ``stride``-th; a negative stride flips."""
        axis %= len(x.shape)
        offset = [0] * len(x.shape)
        offset[axis] = start
        mapping = tuple((a, stride if a == axis else 1) for a in range(len(x.shape)))
        shape = (*x.shape[:axis], length, *x.shape[axis + 1 :])
        return self.view(x, View(x.shape, tuple(offset), mapping), shape)

    def flip(self, x: Value, axis: int) -> Value:
        """The elements along an axis in reverse."""
        return self.slice(x, axis, x.shape[axis] - 1, x.shape[axis], -1)

    def pad(self, x: Value, axis: int, before: int, after: int, fill: int = 0) -> Value:
        """An axis longer by ``before`` and ``after`` elements of these bits; negative ones crop."""
        axis %= len(x.shape)
        offset = [0] * len(x.shape)
        offset[axis] = -before
        mapping = tuple((a, 1) for a in range(len(x.shape)))
        shape = (*x.shape[:axis], x.shape[axis] + before + after, *x.shape[axis + 1 :])
        return self.view(x, View(x.shape, tuple(offset), mapping, fill), shape)

    def concat(self, values: Sequence[Value], axis: int = 0) -> Value:
        """Tensors of one dtype joined along an axis."""
        if len(values) == 1:
            return values[0]
        first = values[0]
        axis %= len(first.shape)
        extents = tuple(v.shape[axis] for v in values)
        shape = (*first.shape[:axis], sum(extents), *first.shape[axis + 1 :])
        return self.emit(Op.CONCAT, values, first.dtype, shape, Concat(axis, extents))

    def gather(self, table: Value, index: Value) -> Value:
        """Rows of ``table`` [R, ...] by i32 ``index`` [I...] -> [I..., ...]; 0 out of range."""
        return self.emit(Op.GATHER, [table, index], table.dtype, (*index.shape, *table.shape[1:]))

    def scatter_add(self, x: Value, index: Value, extent: int) -> Value:
        """f32 ``x`` [C, N], i32 ``index`` [N] -> f32 [C, extent]: exact sums of what shares an index."""
        exponent = self.exponent(x, EXPONENT_FLOOR_SUM)
        return self.emit(Op.SCATTER_ADD, [x, index, exponent], F32, (x.shape[0], extent))

    # generators

    def iota(self, shape: Shape) -> Value:
        """i32: every element its own row-major number."""
        return self.emit(Op.IOTA, [], I32, shape)

    def random_bits(self, shape: Shape, counter: Value | None = None, site: int | None = None) -> Value:
        """i32 words of Threefry at a site of their own; the counter is STEP unless given."""
        site = self.next_site() if site is None else site
        return self.emit(Op.RANDOM_BITS, [self.step if counter is None else counter], I32, shape, (site,))

    def shuffle(self, index: Value, n: int, counter: Value, site: int | None = None) -> Value:
        """Images of i32 ``index`` under a permutation of 0..n-1 that the counter and the site choose."""
        site = self.next_site() if site is None else site
        return self.emit(Op.SHUFFLE, [index, counter], I32, index.shape, (n, site))

    # contraction

    def exponent(self, x: Value, floor: int = EXPONENT_FLOOR_QUANTIZE) -> Value:
        """Block exponents of the rows of f32 ``x`` [..., K] -> e16 [...]."""
        return self.emit(Op.EXPONENT, [x], DType.E16, x.shape[:-1], (floor,))

    def quantize(self, x: Value, exponent: Value | None = None) -> tuple[Value, Value]:
        """Mantissas m16 [..., K] and exponents e16 [...] of f32 ``x`` [..., K]."""
        exponent = self.exponent(x) if exponent is None else exponent
        return self.emit(Op.QUANTIZE, [x, exponent], DType.M16, x.shape, (QUANTIZE_BITS,)), exponent

    def matmul_quantized(self, a: Value, ea: Value, b: Value, eb: Value) -> Value:
        """The op itself: m16 [L.., M, K], e16 [L.., M], m16 [L.., N, K], e16 [L.., N] -> f32 [L.., M, N]."""
        return self.emit(Op.MATMUL, [a, ea, b, eb], F32, (*a.shape[:-1], b.shape[-2]))

    def quantized_parts(self, x: Value, *, residual: bool = False) -> list[Quantized]:
        """Mantissas and exponents of ``x``, and with ``residual`` those of what quantising it lost, which is exact."""
        m, e = self.quantize(x)
        if not residual:
            return [(m, e)]
        scale = self.bitcast(self.shl(self.iadd(self.cast(e, I32), 127 - (QUANTIZE_BITS - 1)), 23))
        kept = self.mul(self.cast(m, F32), self.expand_rows(scale, x.shape[-1]))
        return [(m, e), self.quantize(self.sub(x, kept))]

    def matmul_parts(self, a: Sequence[Quantized], b: Sequence[Quantized]) -> Value:
        """The sum of the products of two operands' parts, without that of the two residuals, which is below 2^-28."""
        (ma, ea), (mb, eb) = a[0], b[0]
        total = self.matmul_quantized(ma, ea, mb, eb)
        for m, e in a[1:]:
            total = self.add(total, self.matmul_quantized(m, e, mb, eb))
        for m, e in b[1:]:
            total = self.add(total, self.matmul_quantized(ma, ea, m, e))
        return total

    def contract(self, a: Value, b: Value, *, residuals: tuple[bool, bool] = (False, False)) -> Value:
        """f32 ``a`` [L.., M, K], ``b`` [L.., N, K] -> f32 [L.., M, N]: ``a b^T``, quantised along K.

        ``residuals`` says of which operand what quantising lost is quantised under exponents of its own, contracted
        too and added: for rows where one large entry hides many small ones.
        """
        parts = [self.quantized_parts(x, residual=more) for x, more in zip((a, b), residuals, strict=True)]
        return self.matmul_parts(*parts)

    def matmul(self, a: Value, b: Value) -> Value:
        """f32 ``a`` [L.., M, K], ``b`` [L.., K, N] -> f32 [L.., M, N]; as ``contract``."""
        return self.contract(a, self.transpose(b))

    # reductions

    def sum_rows(self, x: Value) -> Value:
        """Exact sums of the rows of f32 ``x`` [..., K] -> f32 [...], one rounding.

        Rows above 16,384 are cut into rows of 16,384 filled with 0, summed, and their sums summed.
        """
        if x.shape[-1] == 1:
            return self.reshape(x, x.shape[:-1])
        if x.shape[-1] > MAX_SUM_ROW:
            return self.sum_rows(self.sum_rows(self._blocks(x)))
        return self.emit(Op.SUM, [x, self.exponent(x, EXPONENT_FLOOR_SUM)], F32, x.shape[:-1])

    def max_rows(self, x: Value) -> Value:
        """Largest of each row of f32 ``x`` [..., K] -> f32 [...], in the total order (NaN above all)."""
        if x.shape[-1] == 1:
            return self.reshape(x, x.shape[:-1])
        return self.emit(Op.REDUCE_MAX, [x], F32, x.shape[:-1])

    def argmax_rows(self, x: Value) -> Value:
        """Index of the largest of each row of f32 ``x`` [..., K] -> i32 [...], the lowest of equals."""
        return self.emit(Op.ARGMAX, [x], I32, x.shape[:-1])

    def _blocks(self, x: Value) -> Value:
        """Rows cut into rows of 16,384, the last filled with 0: [..., K] -> [..., blocks, 16384]."""
        *lead, length = x.shape
        rows = math.prod(lead)
        blocks = -(-length // MAX_SUM_ROW)
        cut = View((rows, length), (0, 0), ((0, 1), (1, MAX_SUM_ROW), (1, 1)))
        return self.reshape(self.view(x, cut, (rows, blocks, MAX_SUM_ROW)), (*lead, blocks, MAX_SUM_ROW))

    def rows(self, x: Value, axes: Sequence[int]) -> Value:
        """``x`` with these axes moved last, in order, and joined into one; one form however it was shaped."""
        axes = sorted(axis % len(x.shape) for axis in axes)
        kept = [axis for axis in range(len(x.shape)) if axis not in axes]
        runs: list[list[int]] = []
        for axis in range(len(x.shape)):
            if runs and (axis in axes) == (runs[-1][0] in axes):
                runs[-1].append(axis)
            else:
                runs.append([axis])
        joined = self.reshape(x, tuple(math.prod(x.shape[axis] for axis in run) for run in runs))
        order = sorted(range(len(runs)), key=lambda run: runs[run][0] in axes)
        moved = self.permute(joined, order)
        return self.reshape(moved, (*(x.shape[axis] for axis in kept), math.prod(x.shape[axis] for axis in axes)))

    def sum_axes(self, x: Value, axes: Sequence[int], *, keepdim: bool = False) -> Value:
        """Exact sums of f32 ``x`` over some axes; ``keepdim`` leaves them with extent 1."""
        total = self.sum_rows(self.rows(x, axes))
        return self.reshape(total, _kept(x.shape, axes)) if keepdim else total

    def mean_axes(self, x: Value, axes: Sequence[int], *, keepdim: bool = False) -> Value:
        """Means of f32 ``x`` over some axes: the exact sum, rounded, over the count."""
        count = math.prod(x.shape[axis] for axis in axes)
        return self.div(self.sum_axes(x, axes, keepdim=keepdim), float(count))

    def max_axes(self, x: Value, axes: Sequence[int], *, keepdim: bool = False) -> Value:
        """Largest elements of f32 ``x`` over some axes."""
        largest = self.max_rows(self.rows(x, axes))
        return self.reshape(largest, _kept(x.shape, axes)) if keepdim else largest


def _kept(shape: Shape, axes: Sequence[int]) -> Shape:
    gone = {axis % len(shape) for axis in axes}
    return tuple(1 if axis in gone else extent for axis, extent in enumerate(shape))
